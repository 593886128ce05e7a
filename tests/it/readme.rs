//! The README is run, against a fresh demonstration.

use std::path::Path;
use std::process::Command;

use crate::demo::{Running, about};
use crate::support::page::{Bound, compare, examples, run, tools_are_there};

#[test]
fn the_readme_is_what_happens() {
    if !tools_are_there("the README") {
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
    let commands: Vec<String> =
        calls.iter().map(|call| call.command.replace("http://127.0.0.1:8080", base_url)).collect();
    let printed = run(Command::new("bash").current_dir(scratch.path()), &commands);
    let mut bound = Bound::new();
    for (example, printed) in calls.iter().zip(printed) {
        compare(example, &printed, &mut bound);
    }
    assert!(bound.len() > 4, "answers were compared: {bound:?}");
    running.stop();
}
