//! `thidua rules check`: is a rule file what it should be, and does it do what its examples say?

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config;
use crate::error::Error;
use crate::recommendations::rules::RuleSet;
use crate::yaml::Finding;

/// Rule files.
#[derive(Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Checks schema and references and runs the examples of a rule file, a line each.
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// What a check says.
#[derive(Debug, Default)]
pub struct Checked {
    /// A line for the schema, the references and each example.
    pub lines: Vec<String>,
    /// Examples that came out as expected.
    pub passed: usize,
    /// Examples.
    pub examples: usize,
    /// True if nothing is wrong.
    pub sound: bool,
}

/// Checks; anything wrong fails the command.
pub fn run(args: &RulesArgs) -> Result<ExitCode, Error> {
    let What::Check { file } = &args.what;
    let checked = check(&file.display().to_string(), &config::read(file)?);
    for line in &checked.lines {
        super::say(line)?;
    }
    super::say(format_args!("{} of {}", checked.passed, checked.examples))?;
    Ok(if checked.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the text of a rule file that is shown as `name`.
pub fn check(name: &str, text: &str) -> Checked {
    let mut checked = Checked::default();
    if let Err(findings) = RuleSet::check_schema(text) {
        checked.lines.extend(failures(name, "schema", &findings));
        return checked;
    }
    checked.lines.push("ok    schema".to_owned());
    let rule_set = match RuleSet::load(text) {
        Ok(rule_set) => rule_set,
        Err(findings) => {
            checked.lines.extend(failures(name, "references", &findings));
            return checked;
        }
    };
    checked.lines.push("ok    references".to_owned());
    let results = rule_set.check();
    checked.lines.extend(results.iter().map(ToString::to_string));
    checked.examples = results.len();
    checked.passed = results.iter().filter(|result| result.passed()).count();
    checked.sound = checked.passed == checked.examples;
    checked
}

fn failures<'a>(name: &'a str, step: &'a str, findings: &'a [Finding]) -> impl Iterator<Item = String> + 'a {
    findings.iter().map(move |finding| {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        let path = if finding.path.is_empty() { String::new() } else { format!(" {}:", finding.path) };
        format!("FAIL  {step} {name}{line}:{path} {}", finding.reason)
    })
}
