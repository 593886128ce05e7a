//! The README is run: every command of its console blocks, in one shell, against a fresh demonstration; every answer is
//! compared with what stands there.
//!
//! JSON is compared as JSON. `<name>` stands for an id, time, ETag, hash or position, and for the same one wherever the
//! name stands again, but for `<id>`, `<time>` and `<position>`, which stand for any. `"..."` stands for what was left out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::demo::{Running, about};

/// A command and what it prints.
#[derive(Debug)]
struct Example {
    command: String,
    output: String,
}

/// The commands of all console blocks.
fn examples(markdown: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut open = false;
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => open = true,
            ("```", _) => open = false,
            (_, Some(first)) if open => {
                let mut command = first.to_owned();
                while !is_whole(&command) {
                    command = format!("{command}\n{}", lines.next().expect("a command that ends"));
                }
                examples.push(Example { command, output: String::new() });
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

/// Runs all commands in one shell; what each of them prints.
fn run(examples: &[&Example], directory: &Path, base_url: &str) -> Vec<String> {
    let mut shell = Command::new("bash");
    let mut shell =
        shell.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash is there");
    let mut input = shell.stdin.take().unwrap();
    for example in examples {
        let command = example.command.replace("http://127.0.0.1:8080", base_url);
        writeln!(input, "{command}\necho; echo '{MARK}'").unwrap();
    }
    drop(input);
    let output = String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap();
    output.split(&format!("\n{MARK}\n")).map(str::to_owned).collect()
}

/// What the names of the page stand for.
type Bound = BTreeMap<String, Value>;

/// Why the answer is not what the page shows.
fn differs(shown: &Value, answered: &Value, at: &str, bound: &mut Bound) -> Result<(), String> {
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

fn compare(example: &Example, printed: &str, bound: &mut Bound) {
    let command = &example.command;
    match serde_json::from_str::<Value>(&example.output) {
        Ok(shown) => {
            let answered = serde_json::from_str(printed).unwrap_or_else(|why| panic!("$ {command}\n{why}: {printed}"));
            let same = differs(&shown, &answered, "", bound);
            same.unwrap_or_else(|why| panic!("$ {command}\n{why}\nprinted: {printed}"));
        }
        Err(_) => {
            let lines = |text: &str| text.trim().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            assert_eq!(lines(printed), lines(&example.output), "$ {command}");
        }
    }
}

/// True if the page's commands can be run here. `cargo test` needs the Rust toolchain alone; who requires PostgreSQL
/// requires these too.
fn tools_are_there() -> bool {
    let runs =
        |tool: &str| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    let there = ["bash", "curl"].into_iter().all(runs);
    let required = std::env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    assert!(there || !required, "the README needs bash and curl");
    if !there {
        let _ = writeln!(std::io::stderr(), "the README was not run: bash or curl is missing");
    }
    there
}

#[test]
fn the_readme_is_what_happens() {
    if !tools_are_there() {
        return;
    }
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let examples = examples(&readme);
    let [start, test, calls @ ..] = examples.as_slice() else { panic!("two commands come first") };
    assert_eq!((start.command.as_str(), test.command.as_str()), ("cargo run --release -- demo", "cargo test"));
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("demo-data");
    let running = Running::start(&directory, &[]);
    let about = about(&directory);
    let base_url = about["base_url"].as_str().unwrap();
    let printed = running.printed();
    for line in start.output.lines().filter(|line| *line != "...") {
        let line = line.replace("http://127.0.0.1:8080", base_url);
        assert!(printed.lines().any(|printed| printed == line), "{line} is not printed:\n{printed}");
    }
    let calls: Vec<&Example> = calls.iter().collect();
    let printed = run(&calls, scratch.path(), base_url);
    let mut bound = Bound::new();
    for (example, printed) in calls.into_iter().zip(printed) {
        compare(example, &printed, &mut bound);
    }
    assert!(bound.len() > 4, "answers were compared: {bound:?}");
    running.stop();
}

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
