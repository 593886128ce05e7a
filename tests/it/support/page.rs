//! Pages whose console blocks are run: every command, in one shell; every answer is compared with what stands there.
//!
//! JSON is compared as JSON. `<name>` stands for an id, time, ETag, hash or position, and for the same one wherever the
//! name stands again, but for `<id>`, `<time>` and `<position>`, which stand for any. `"..."` stands for what was left out.
//! In a line of text `<name>` stands for any word, and a first line `...` for any lines.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A command and what it prints.
#[derive(Debug)]
pub struct Example {
    /// The block's last word: `console`, or what stands behind it.
    pub kind: String,
    pub command: String,
    pub output: String,
}

/// The commands of all console blocks.
pub fn examples(markdown: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut open, mut kind) = (false, String::new());
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        match (line, line.strip_prefix("$ ")) {
            ("```", _) => open = false,
            (fence, _) if fence.starts_with("```console") => {
                open = true;
                kind = fence.rsplit([' ', '`']).next().unwrap_or_default().to_owned();
            }
            (_, Some(first)) if open => {
                let mut command = first.to_owned();
                while !is_whole(&command) {
                    command = format!("{command}\n{}", lines.next().expect("a command that ends"));
                }
                examples.push(Example { kind: kind.clone(), command, output: String::new() });
            }
            _ if open => {
                let example = examples.last_mut().expect("a command before its output");
                example.output.push_str(line);
                example.output.push('\n');
            }
            _ => {}
        }
    }
    examples
}

/// True if the shell does not wait for more.
fn is_whole(command: &str) -> bool {
    let check = Command::new("bash").args(["-n", "-c", command]).stderr(Stdio::null()).status().unwrap();
    check.success() && !command.ends_with('\\')
}

const MARK: &str = "--8<-- the next command --8<--";

/// Runs the commands in this shell; what each of them prints.
pub fn run(shell: &mut Command, commands: &[String]) -> Vec<String> {
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash is there");
    let mut input = shell.stdin.take().unwrap();
    for command in commands {
        writeln!(input, "{command}\necho; echo '{MARK}'").unwrap();
    }
    drop(input);
    let output = String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap();
    output.split(&format!("\n{MARK}\n")).map(str::to_owned).collect()
}

/// What the names of the page stand for.
pub type Bound = BTreeMap<String, Value>;

/// Why the answer is not what the page shows.
pub fn differs(shown: &Value, answered: &Value, at: &str, bound: &mut Bound) -> Result<(), String> {
    match (shown, answered) {
        (Value::String(text), _) if text.starts_with('<') && text.ends_with('>') => {
            stands_for(text, answered, at, bound)
        }
        (Value::Object(shown), Value::Object(answered)) => {
            for (name, value) in shown.iter().filter(|(name, _)| *name != "...") {
                let found = answered.get(name).ok_or_else(|| format!("{at}/{name} is not there"))?;
                differs(value, found, &format!("{at}/{name}"), bound)?;
            }
            let extra = answered.keys().find(|name| !shown.contains_key(*name) && !shown.contains_key("..."));
            extra.map_or(Ok(()), |name| Err(format!("{at}/{name} is not shown")))
        }
        (Value::Array(shown), Value::Array(answered)) => items(shown, answered, at, bound),
        _ if shown == answered => Ok(()),
        _ => Err(format!("{at} is {answered}, not {shown}")),
    }
}

/// `"..."` stands for any items, at the beginning or at the end.
fn items(shown: &[Value], answered: &[Value], at: &str, bound: &mut Bound) -> Result<(), String> {
    let left_out = |value: Option<&Value>| value.is_some_and(|value| value == "...");
    let (before, after) = (left_out(shown.first()), left_out(shown.last()));
    let shown: Vec<&Value> = shown.iter().filter(|value| *value != "...").collect();
    let fits = if before || after { shown.len() <= answered.len() } else { shown.len() == answered.len() };
    if !fits {
        return Err(format!("{at} has {} items", answered.len()));
    }
    let skipped = if before { answered.len() - shown.len() } else { 0 };
    for (index, (shown, answered)) in shown.into_iter().zip(&answered[skipped..]).enumerate() {
        differs(shown, answered, &format!("{at}/{}", index + skipped), bound)?;
    }
    Ok(())
}

fn stands_for(name: &str, value: &Value, at: &str, bound: &mut Bound) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let digits = |length| text.len() == length && text.chars().all(|c| c.is_ascii_hexdigit());
    let fits = match name {
        "<time>" => thidua::clock::parse_rfc3339(text).is_some(),
        "<position>" => value.is_i64(),
        "<hash>" => digits(64),
        "<trace>" => digits(32),
        "<etag>" => text.starts_with('"') && text.ends_with('"'),
        _ => uuid::Uuid::try_parse(text).is_ok(),
    };
    if !fits {
        return Err(format!("{at} is {value}, no {name}"));
    }
    let any = ["<id>", "<time>", "<position>"].contains(&name);
    let known = bound.entry(name.to_owned()).or_insert_with(|| value.clone());
    if any || known == value { Ok(()) } else { Err(format!("{at} is {value}, but {name} was {known}")) }
}

pub fn compare(example: &Example, printed: &str, bound: &mut Bound) {
    let command = &example.command;
    match serde_json::from_str::<Value>(&example.output) {
        Ok(shown) => {
            let answered = serde_json::from_str(printed).unwrap_or_else(|why| panic!("$ {command}\n{why}: {printed}"));
            let same = differs(&shown, &answered, "", bound);
            same.unwrap_or_else(|why| panic!("$ {command}\n{why}\nprinted: {printed}"));
        }
        Err(_) => {
            let lines = |text: &str| text.trim().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            let (shown, printed) = (lines(&example.output), lines(printed));
            let skipped = shown.first().is_some_and(|line| line == "...") && printed.len() >= shown.len() - 1;
            let (shown, last) = if skipped {
                (&shown[1..], &printed[printed.len() + 1 - shown.len()..])
            } else {
                (&shown[..], &printed[..])
            };
            let same =
                shown.len() == last.len() && shown.iter().zip(last).all(|(shown, printed)| reads(shown, printed));
            assert!(same, "$ {command}\nshown: {shown:#?}\nprinted: {printed:#?}");
        }
    }
}

/// A line as it stands, or with one word for each `<name>` in it.
fn reads(shown: &str, printed: &str) -> bool {
    let (shown, printed): (Vec<&str>, Vec<&str>) = (shown.split(' ').collect(), printed.split(' ').collect());
    let same = |(shown, printed): (&&str, &&str)| shown == printed || (shown.starts_with('<') && shown.ends_with('>'));
    shown.len() == printed.len() && shown.iter().zip(&printed).all(same)
}

/// True if the page's commands can be run here. `cargo test` needs the Rust toolchain alone; who requires PostgreSQL
/// requires these too.
pub fn tools_are_there(page: &str) -> bool {
    let runs =
        |tool: &str| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    let there = ["bash", "curl"].into_iter().all(runs);
    let required = std::env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    assert!(there || !required, "{page} needs bash and curl");
    if !there {
        let _ = writeln!(std::io::stderr(), "{page} was not run: bash or curl is missing");
    }
    there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_finds_what_differs() {
        let check = |shown: &str, answered: &str| {
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            differs(&json(shown), &json(answered), "", &mut Bound::new()).is_ok()
        };
        let (a, b) = ("01a205b3-d002-71cc-9241-cc58a61aecaa", "01a205b3-d00f-7b88-a2c0-b5e8b180b8bc");
        for (shown, answered, same) in [
            (r#"{"x":1}"#, r#"{"x":1}"#.to_owned(), true),
            (r#"{"x":1}"#, r#"{"x":2}"#.to_owned(), false),
            (r#"{"x":1}"#, r#"{"x":1,"y":2}"#.to_owned(), false),
            (r#"{"x":1,"...":"..."}"#, r#"{"x":1,"y":2}"#.to_owned(), true),
            (r#"{"x":1,"...":"..."}"#, r#"{"y":2}"#.to_owned(), false),
            (r#"[1,"..."]"#, "[1,2,3]".to_owned(), true),
            (r#"["...",3]"#, "[1,2,3]".to_owned(), true),
            (r#"["...",2]"#, "[1,2,3]".to_owned(), false),
            (r#"["<unit>","<unit>"]"#, format!(r#"["{a}","{a}"]"#), true),
            (r#"["<unit>","<unit>"]"#, format!(r#"["{a}","{b}"]"#), false),
            (r#"["<id>","<id>"]"#, format!(r#"["{a}","{b}"]"#), true),
            (r#"["<time>"]"#, r#"["yesterday"]"#.to_owned(), false),
        ] {
            assert_eq!(check(shown, &answered), same, "{shown} {answered}");
        }
    }
}
