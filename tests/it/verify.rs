//! The verifiers: `thidua log verify`, `docs/verify.py` and that of the page for auditors say the same of every case of the
//! corpus, and what they should.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::corpus::{self, Case, Log, SIZE, Twist, cases};
use crate::support::watch::{LONGEST, watch};
use crate::support::{not_tested, required};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `thidua log verify`, beside the files of a case.
fn thidua(directory: &Path, words: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(["log", "verify"]).args(words).current_dir(directory).env("RUST_LOG", "error");
    command.stdin(Stdio::null()).output().unwrap()
}

fn python(directory: &Path, words: &[String]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.py");
    Command::new("python3").arg(script).args(words).current_dir(directory).stdin(Stdio::null()).output().unwrap()
}

/// What is wrong with a verdict and what it left behind, if anything.
fn fault(case: &Case, directory: &Path, output: &Output) -> Option<String> {
    if output.status.code() != Some(case.code) {
        return Some(format!("{}: {:?}, not {}: {}", case.name, output.status.code(), case.code, text(output)));
    }
    let before = case.files.get("state");
    let (after, wanted) = (std::fs::read(directory.join("state")).ok(), case.moves_to.as_ref().or(before));
    (after.as_ref() != wanted).then(|| format!("{}: the state is {after:?}, not {wanted:?}", case.name))
}

/// Every case in a directory of its own, judged.
fn judged(
    of: &[Case],
    verifier: fn(&Path, &[String]) -> Output,
    check: fn(&Case, &Output) -> Option<String>,
) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    corpus::write(of, root.path());
    let judge = |case: &Case| {
        let directory = root.path().join(&case.name);
        let output = verifier(&directory, &case.words());
        fault(case, &directory, &output).or_else(|| check(case, &output))
    };
    let halves = of.split_at(of.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| halves.0.iter().filter_map(judge).collect::<Vec<_>>());
        let mut faults: Vec<String> = halves.1.iter().filter_map(judge).collect();
        faults.extend(other.join().unwrap());
        faults
    })
}

/// One line that says why, with the position.
fn says(case: &Case, output: &Output) -> Option<String> {
    let told = text(output);
    let named = case.position.is_none_or(|position| told.contains(&format!("position {position}: ")));
    let starts = match case.code {
        0 => told.contains("verified: ") && !told.contains("not verified"),
        1 => told.contains("not verified: "),
        _ => told.starts_with("thidua: ") || told.contains("Usage: "),
    };
    (!told.contains(case.says) || !named || !starts).then(|| format!("{}: {told}", case.name))
}

#[test]
fn every_case_is_judged_as_it_should_be() {
    watch(LONGEST);
    let faults = judged(&cases::all(), thidua, says);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_second_verifier_says_the_same() {
    watch(LONGEST);
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(!required("REQUIRE_FAULT_TOOLS"), "REQUIRE_FAULT_TOOLS=1, but python3 is not found");
        return not_tested("docs/verify.py", "python3 is not found");
    }
    // It knows proofs, exports and streams; what it is given beside that it does not understand, it does not verify.
    let is_known = |case: &Case| case.what != "diff" && !case.files.contains_key("disclosures");
    let (known, unknown): (Vec<Case>, Vec<Case>) = cases::all().into_iter().partition(is_known);
    let faults = judged(&known, python, |_, _| None);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(!unknown.is_empty());
    for case in unknown {
        let directory = tempfile::tempdir().unwrap();
        case.write(directory.path());
        let output = python(directory.path(), &case.words());
        assert!(!output.status.success(), "{}: {}", case.name, text(&output));
    }
}

/// The verifier of the page for auditors, as a program.
fn node(directory: &Path, words: &[String]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/audit_page/verify.mjs");
    let mut command = Command::new("node");
    command.args(["--no-warnings", script]).args(words).current_dir(directory).stdin(Stdio::null()).output().unwrap()
}

/// The position, where one is named.
fn places(case: &Case, output: &Output) -> Option<String> {
    let told = text(output);
    let named = case.position.is_none_or(|position| told.contains(&format!("position {position}: ")));
    // What became of personal values it says in the same words.
    let counted = !case.says.starts_with("commitments: ") || told.lines().any(|line| line == case.says);
    (!named || !counted).then(|| format!("{}: {told}", case.name))
}

#[test]
fn the_page_s_verifier_says_the_same_of_every_case() {
    watch(LONGEST);
    if Command::new("node").arg("--version").output().is_err() {
        assert!(!required("REQUIRE_FAULT_TOOLS"), "REQUIRE_FAULT_TOOLS=1, but node is not found");
        return not_tested("the page's verifier", "node is not found");
    }
    let faults = judged(&cases::all(), node, places);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn tiles_are_read_from_a_directory_as_they_are_served() {
    watch(LONGEST);
    let case = cases::all().into_iter().find(|case| case.name == "export-leaf-byte-flipped,-tiles").unwrap();
    let directory = tempfile::tempdir().unwrap();
    case.write(directory.path());
    let tiles = directory.path().join("tiles");
    std::fs::remove_file(&tiles).unwrap();
    std::fs::create_dir_all(tiles.join("tile/0/000.p")).unwrap();
    let run = || text(&thidua(directory.path(), &case.words()));
    assert!(run().contains("tile 0 is missing"));
    std::fs::write(tiles.join(format!("tile/0/000.p/{SIZE}")), Log::new(Twist::None).tiles()).unwrap();
    assert!(run().contains("not verified: position 17: the event is not the one in the log"));
}

#[test]
fn the_second_verifier_fits_on_a_page() {
    let script = include_str!("../../docs/verify.py");
    assert!(script.lines().count() <= 80);
    assert!(script.lines().all(|line| line.chars().count() <= 130));
}

#[test]
fn names_of_cases_are_their_own() {
    let mut names: Vec<String> = cases::all().into_iter().map(|case| case.name).collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}
