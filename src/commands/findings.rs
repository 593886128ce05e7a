//! `thidua findings`: the standing questions of the self-audit, one finding a line.

use std::process::ExitCode;

use clap::Args;

use crate::config::DatabaseArgs;
use crate::db::Db;
use crate::error::Error;
use crate::findings::pass::{Found, Pass};
use crate::findings::questions::{self, QUESTIONS, figure_changed_after_confirmation};
use crate::findings::{Finding, outcome};
use crate::log::seal;

/// Answers the standing questions to the log. Exit code 0: nothing was found; 1: something was; 2: it could not be asked.
#[derive(Args)]
pub struct FindingsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only this question; `--list` names them.
    #[arg(long)]
    question: Option<String>,
    /// The last event to be taken into account; the newest if absent.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    log_position: Option<i64>,
    /// Prints the questions with their explanations, and asks none.
    #[arg(long)]
    list: bool,
}

/// Something is found.
const FOUND: u8 = 1;
/// Nobody knows whether there is something.
const FAILED: u8 = 2;

/// Runs the command.
pub async fn run(args: FindingsArgs) -> Result<ExitCode, Error> {
    if args.list {
        for question in QUESTIONS {
            super::say(question)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    match ask(&args).await {
        Ok(0) => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::from(FOUND)),
        Err(error) => {
            eprintln!("thidua: {}", super::told(&error));
            Ok(ExitCode::from(FAILED))
        }
    }
}

async fn ask(args: &FindingsArgs) -> Result<usize, Error> {
    let question = args.question.as_deref();
    if let Some(id) = question.filter(|id| questions::find(id).is_none()) {
        return Err(Error::internal(format!("--question: there is no question {id}; see --list")));
    }
    let db = Db::connect(args.database.of_one_that_is_there()?).await?;
    let found = find(&db, question, args.log_position).await;
    db.close().await;
    let (findings, position) = found?;
    for finding in &findings {
        super::say(line(finding))?;
    }
    eprintln!("{} findings at log position {position}", findings.len());
    Ok(findings.len())
}

async fn find(db: &Db, question: Option<&str>, position: Option<i64>) -> Result<(Vec<Finding>, i64), Error> {
    super::require_migrated(db).await?;
    db.settle().await?;
    let reader = db.reader();
    let newest = seal::size(reader.conn()).await? - 1;
    let position = position.unwrap_or(newest);
    if position > newest {
        return Err(Error::internal(format!("--log-position: the log has not come to {position}")));
    }
    let mut pass = Pass::of(question);
    pass.read_to(reader.conn(), position).await?;
    let Found { mut findings, campaigns } = pass.found();
    if question.is_none_or(|id| id == figure_changed_after_confirmation::QUESTION.id) {
        outcome::evaluate(reader.conn(), &campaigns, &mut findings).await?;
    }
    Ok((findings, position))
}

fn line(finding: &Finding) -> String {
    let Finding { question, severity, text, events, .. } = finding;
    let events: Vec<String> = events.iter().map(|event| event.position.to_string()).collect();
    format!("{question} {severity} events {}: {} / {}", events.join(","), text.vi, text.en)
}
