//! Policies: the example of the specification, every rule of its text, quorums.

use proptest::prelude::*;

use super::super::key::{Algorithm, KeyError, SigningKey, VerifierKey};
use super::super::policy::{Policy, PolicyError, PolicyProblem};
use super::{log_key, witness_key};

/// `$log`, `$1`, `$2` … stand for vkeys.
fn policy(text: &str) -> Result<Policy, PolicyError> {
    let mut text = text.replace("$log", &log_key().verifier().to_string());
    for number in 1..=6 {
        text = text.replace(&format!("${number}"), &witness_key(number).verifier().to_string());
    }
    Policy::parse(text.as_bytes())
}

fn refused(text: &str) -> (usize, PolicyProblem) {
    match policy(text).expect_err(text) {
        PolicyError::Line { line, problem } => (line, problem),
        PolicyError::NoQuorum => panic!("{text}"),
    }
}

fn holds(policy: &Policy, witnesses: &[u8]) -> bool {
    let keys: Vec<VerifierKey> = witnesses.iter().map(|number| witness_key(*number).verifier().clone()).collect();
    policy.quorum_holds(&keys.iter().collect::<Vec<_>>())
}

const EXAMPLE: &str = "\
log $log

witness X1 $1
witness X2 $2
witness X3 $3
group X-witnesses 2 X1 X2 X3

witness Y1 $4
witness Y2 $5
witness Y3 $6
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
";

#[test]
fn the_example_of_the_specification_means_what_it_says() {
    let policy = policy(EXAMPLE).unwrap();
    assert_eq!(policy.logs().len(), 1);
    assert_eq!(policy.witnesses().count(), 6);
    assert_eq!(policy.keys().len(), 7);
    for set in 0..64_u8 {
        let witnesses: Vec<u8> = (1..=6).filter(|number| set >> (number - 1) & 1 == 1).collect();
        let x = witnesses.iter().filter(|number| **number <= 3).count();
        assert_eq!(holds(&policy, &witnesses), x >= 2 && witnesses.len() > x, "{witnesses:?}");
    }
    // The same witness twice is one witness, and the log is none.
    assert!(!holds(&policy, &[1, 1, 4]));
    assert!(!policy.quorum_holds(&[log_key().verifier(), witness_key(1).verifier(), witness_key(4).verifier()]));
}

#[test]
fn a_quorum_may_be_one_witness_or_none() {
    let none = policy("quorum none\n").unwrap();
    assert!(holds(&none, &[]) && none.keys().is_empty());
    let one = policy("witness a $1\nwitness b $2\nquorum a\n").unwrap();
    assert_eq!([&[][..], &[2], &[1], &[1, 2]].map(|witnesses| holds(&one, witnesses)), [false, false, true, true]);
}

#[test]
fn a_stranger_under_a_known_name_does_not_count() {
    let policy = policy("witness a $1\nquorum a\n").unwrap();
    let name = witness_key(1).verifier().name().to_owned();
    let stranger = SigningKey::from_seed(&name, Algorithm::CosignatureV1, &[99; 32]).unwrap();
    assert!(!policy.quorum_holds(&[stranger.verifier()]));
}

#[test]
fn layout_is_free_as_far_as_the_specification_goes() {
    let text = "# comment\n \t # another: Kẻ làm chứng\n\n \t \n\tlog \t $log   https://a.example/  \nwitness \u{fc} $1 https://ü.example\nquorum \u{fc}\n";
    let policy = policy(text).unwrap();
    assert_eq!(policy.logs()[0].url.as_deref(), Some("https://a.example/"));
    assert_eq!(policy.witnesses().next().unwrap().url.as_deref(), Some("https://ü.example"));
    assert!(holds(&policy, &[1]));
    // Names are bytes, not text.
    let vkey = witness_key(1).verifier().to_string();
    let bytes = [b"witness \xff\xfe ", vkey.as_bytes(), b"\nquorum \xff\xfe\n"].concat();
    assert!(holds(&Policy::parse(&bytes).unwrap(), &[1]));
    assert!(Policy::parse(&[b"witness \xff\xfe ", vkey.as_bytes(), b"\nquorum \xff\xff\n"].concat()).is_err());
}

#[test]
fn lines_that_are_not_understood_are_named() {
    let one = "witness a $1\n";
    for line in [
        "foo",
        "Log $log",
        "log",
        "log $log url more",
        "log $log # comment",
        "witness a",
        "witness a $1 url more",
        "group",
        "group g",
        "group g any",
        "quorum",
        "quorum a b",
        "quorum none # comment",
        "log\u{a0}$log",
    ] {
        assert_eq!(refused(&format!("\n{line}\n")), (2, PolicyProblem::Syntax), "{line}");
    }
    for (byte, text) in [(b'\r', "quorum none\r\n"), (0, "\0\n"), (0x7f, "# \u{7f}\n"), (0x0b, "\u{b}\n")] {
        assert_eq!(refused(text), (1, PolicyProblem::Byte(byte)));
    }
    assert_eq!(refused(&format!("{one}quorum a")), (2, PolicyProblem::Unfinished));
    assert_eq!(policy(""), Err(PolicyError::NoQuorum));
    assert_eq!(policy("log $log\n"), Err(PolicyError::NoQuorum));
    assert_eq!(refused("quorum none\nquorum none\n"), (2, PolicyProblem::SecondQuorum));
}

#[test]
fn names_are_defined_once_and_before() {
    let unknown = |name: &str| PolicyProblem::UnknownName(name.into());
    assert_eq!(refused("quorum a\nwitness a $1\n"), (1, unknown("a")));
    assert_eq!(refused("witness a $1\nquorum A\n"), (2, unknown("A")));
    assert_eq!(refused("group g any a\nwitness a $1\nquorum g\n"), (1, unknown("a")));
    assert_eq!(refused("witness a $1\ngroup g any g\nquorum g\n"), (2, unknown("g")));
    assert_eq!(refused("witness a $1\ngroup g any a none\nquorum g\n"), (2, unknown("none")));
    assert_eq!(refused("witness a $1\nwitness a $2\nquorum a\n"), (2, PolicyProblem::NameTaken));
    assert_eq!(refused("witness a $1\ngroup a any a\nquorum a\n"), (2, PolicyProblem::NameTaken));
    assert_eq!(refused("witness none $1\nquorum none\n"), (1, PolicyProblem::NameTaken));
    assert_eq!(refused("witness a $1\ngroup none any a\nquorum none\n"), (2, PolicyProblem::NameTaken));
    let twice = PolicyProblem::MemberTwice("a".into());
    assert_eq!(refused("witness a $1\ngroup g any a a\nquorum g\n"), (2, twice.clone()));
    assert_eq!(refused("witness a $1\ngroup g any a\ngroup h any g a\nquorum h\n"), (3, twice));
}

#[test]
fn a_threshold_can_be_reached_and_is_not_nothing() {
    let group = |k: &str| format!("witness a $1\nwitness b $2\ngroup g {k} a b\nquorum g\n");
    for k in ["0", "3", "-1", "+1", "01", "1.0", "most", "ALL", "18446744073709551617"] {
        assert_eq!(refused(&group(k)), (3, PolicyProblem::Threshold), "{k}");
    }
    for (k, one, two) in [("1", true, true), ("2", false, true), ("any", true, true), ("all", false, true)] {
        let policy = policy(&group(k)).unwrap();
        assert_eq!((holds(&policy, &[2]), holds(&policy, &[2, 1])), (one, two), "{k}");
        assert!(!holds(&policy, &[]));
    }
}

#[test]
fn a_key_is_listed_once() {
    let key = *witness_key(1).verifier().public_key();
    let renamed = VerifierKey::new("other", Algorithm::CosignatureV1, key).unwrap();
    let text = format!("witness a $1\nwitness b {renamed}\nquorum a\n");
    assert_eq!(refused(&text), (2, PolicyProblem::DuplicateKey));
    let renamed = VerifierKey::new("other", Algorithm::Ed25519, *log_key().verifier().public_key()).unwrap();
    assert_eq!(refused(&format!("log $log\nlog {renamed}\nquorum none\n")), (2, PolicyProblem::DuplicateKey));
    assert_eq!(refused("witness a $log\nquorum a\n"), (1, PolicyProblem::NotAWitnessKey));
    assert_eq!(refused("log vkey\nquorum none\n"), (1, PolicyProblem::Key(KeyError::Format)));
    // A log may sign with a cosignature key, even one that is a witness: it is known once.
    assert_eq!(policy("log $1\nwitness a $1\nquorum a\n").unwrap().keys().len(), 1);
}

#[test]
fn deep_and_wide_policies_are_no_burden() {
    let groups: Vec<String> = (1..20_000).map(|number| format!("group a{number} all a{}\n", number - 1)).collect();
    let policy = policy(&format!("witness a0 $1\n{}quorum a19999\n", groups.concat())).unwrap();
    assert!(holds(&policy, &[1]) && !holds(&policy, &[]));
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange_for_a_policy(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Policy::parse(&bytes);
    }

    #[test]
    fn no_words_are_too_strange_for_a_policy(text in "((log|witness|group|quorum|none|any|all|a|b|1|#)[ \t\n]){0,40}") {
        let _ = policy(&text);
    }
}
