//! Notes and checkpoints: published ones, strictness, and which signatures count.

use proptest::prelude::*;

use super::super::checkpoint::{Checkpoint, CheckpointError};
use super::super::key::{Algorithm, SigningKey, VerifierKey};
use super::super::note::{self, MAX_NOTE, Note, NoteError, Signature};
use super::super::tree::EMPTY_ROOT;
use super::key::{ENOCH_VKEY, PETER_SKEY, PETER_VKEY, REMORA_VKEY};
use super::{hash, log_key, witness_key};

/// golang.org/x/mod, `sumdb/note/note_test.go`.
const PETER_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

/// A checkpoint of a log of Certificate Transparency as it was served, with one signature of a type not known here, an
/// Ed25519 signature of the log and cosignatures of four witnesses.
const ARCHE: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";
const ARCHE_VKEYS: [&str; 4] = [
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    REMORA_VKEY,
];

fn keys(vkeys: &[&str]) -> Vec<VerifierKey> {
    vkeys.iter().map(|vkey| vkey.parse().unwrap()).collect()
}

fn peter_note(lines: &str) -> String {
    format!("{PETER_TEXT}\n{lines}")
}

fn names(note: &str, vkeys: &[&str]) -> Result<Vec<String>, NoteError> {
    let keys = keys(vkeys);
    let opened = note::open(note, &keys)?;
    Ok(opened.verified.iter().map(|verified| verified.key.name().to_owned()).collect())
}

#[test]
fn the_note_of_go_is_made_and_opened() {
    let peter = SigningKey::from_skey(PETER_SKEY).unwrap();
    let written = note::write(PETER_TEXT, &[peter.sign(PETER_TEXT).unwrap()]).unwrap();
    assert_eq!(written, peter_note(PETER_LINE));
    let both = peter_note(&[PETER_LINE, ENOCH_LINE].concat());
    assert_eq!(names(&both, &[PETER_VKEY]), Ok(vec!["PeterNeumann".into()]));
    assert_eq!(names(&both, &[ENOCH_VKEY, PETER_VKEY]), Ok(vec!["PeterNeumann".into(), "EnochRoot".into()]));
    assert_eq!(names(&both, &[]), Err(NoteError::Unverified));
    let known = keys(&[PETER_VKEY]);
    assert_eq!(note::open(&both, &known).unwrap().text, PETER_TEXT);
}

#[test]
fn the_example_of_the_specification_opens() {
    let note = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    assert_eq!(names(note, &[vkey]), Ok(vec!["example.com/foo".into()]));
}

/// `FiloSottile/torchwood`, `cmd/litewitness/testdata/sumdb.txt`: a checkpoint of Go's checksum database.
#[test]
fn the_checksum_database_of_go_opens() {
    let note = "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\n— sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n";
    let known = keys(&["sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"]);
    let checkpoint: Checkpoint = note::open(note, &known).unwrap().text.parse().unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("go.sum database tree", 35_225_469));
}

#[test]
fn a_witnessed_checkpoint_from_the_wild_opens() {
    let keys = keys(&ARCHE_VKEYS);
    let opened = note::open(ARCHE, &keys).unwrap();
    let times: Vec<Option<u64>> = opened.verified.iter().map(|verified| verified.time).collect();
    let time = Some(0x6a12_2120);
    assert_eq!(times, [None, time, time, time]);
    let checkpoint: Checkpoint = opened.text.parse().unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("arche2025h1.staging.ct.transparency.dev", 1_432_088_532));
    assert_eq!(checkpoint.to_string(), opened.text);
    let other = ARCHE.replace("1432088532", "1432088533");
    for key in &keys {
        let bad = Err(NoteError::BadSignature(key.to_string()));
        assert_eq!(note::open(&other, std::slice::from_ref(key)), bad);
    }
    // Also the time is signed.
    let later = ARCHE.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh");
    assert_eq!(names(&later, &[REMORA_VKEY]), Err(NoteError::BadSignature(REMORA_VKEY.into())));
    let beyond = ARCHE.replace("2net5wAAAABqEiEg", "2net54AAAABqEiEg");
    assert_eq!(names(&beyond, &[REMORA_VKEY]), Err(NoteError::BadSignature(REMORA_VKEY.into())));
}

#[test]
fn a_known_key_signs_once_and_rightly() {
    let duplicate = peter_note(&[PETER_LINE, ENOCH_LINE, PETER_LINE].concat());
    assert_eq!(names(&duplicate, &[PETER_VKEY]), Err(NoteError::Duplicate(PETER_VKEY.into())));
    // Signatures of unknown keys are none of our business, however many.
    assert_eq!(names(&duplicate, &[ENOCH_VKEY]), Ok(vec!["EnochRoot".into()]));
    let twice = names(&peter_note(PETER_LINE), &[PETER_VKEY, PETER_VKEY]);
    assert_eq!(twice, Err(NoteError::AmbiguousKey(PETER_VKEY.into())));
    // Byte for byte a wrong signature of Peter, beside a right one of Enoch.
    let wrong = PETER_LINE.replace("SffcvIAQ", "SffcvIAR");
    let spoilt = peter_note(&[ENOCH_LINE, &wrong].concat());
    assert_eq!(names(&spoilt, &[PETER_VKEY, ENOCH_VKEY]), Err(NoteError::BadSignature(PETER_VKEY.into())));
    assert_eq!(names(&spoilt, &[ENOCH_VKEY]), Ok(vec!["EnochRoot".into()]));
    // Another length, from Go's tests.
    let long = format!("{}ABCD{}", &PETER_LINE[..60], &PETER_LINE[60..]);
    assert_eq!(names(&peter_note(&long), &[PETER_VKEY]), Err(NoteError::BadSignature(PETER_VKEY.into())));
    // The same name with another id, or the id with another name, is another key.
    for line in [PETER_LINE.replace("x08go", "x08gp"), PETER_LINE.replace("PeterNeumann", "CarmenSandiego")] {
        assert_eq!(names(&peter_note(&line), &[PETER_VKEY]), Err(NoteError::Unverified));
    }
}

#[test]
fn what_is_no_note_is_refused() {
    let refused = |note: &str| names(note, &[PETER_VKEY]).expect_err(note);
    assert_eq!(refused(PETER_TEXT), NoteError::NoSignatures);
    assert_eq!(refused(&peter_note("")), NoteError::NoSignatures);
    assert_eq!(refused(&peter_note(PETER_LINE.trim_end())), NoteError::NoSignatures);
    assert_eq!(refused(""), NoteError::NoSignatures);
    assert_eq!(refused("\n\n"), NoteError::NoSignatures);
    assert_eq!(refused(&format!("\u{1}{}", peter_note(PETER_LINE))), NoteError::ControlCharacter);
    assert_eq!(refused(&peter_note(PETER_LINE).replace('\n', "\r\n")), NoteError::ControlCharacter);
    assert_eq!(refused(&peter_note(&format!("{PETER_LINE}Unexpected line.\n"))), NoteError::SignatureLine(2));
    for line in [
        "- PeterNeumann x08go/ZJkuBS",
        "—PeterNeumann x08go/ZJkuBS",
        "— Bad Name x08go/ZJkuBS",
        "— Bad+Name x08go/ZJkuBS",
        "—  x08go/ZJkuBS",
        "— PeterNeumann",
        "— PeterNeumann ",
        "— PeterNeumann  x08go/ZJkuBS",
        "— PeterNeumann x08go/ZJkuBS ",
        "— PeterNeumann x08goA==",
        "— PeterNeumann x08=",
        "— PeterNeumann x08go_ZJkuBS",
        "— PeterNeumann x08go/ZJkuA",
        "— PeterNeumann x08go/ZJkuB=",
    ] {
        assert_eq!(refused(&peter_note(&format!("{line}\n"))), NoteError::SignatureLine(1), "{line}");
    }
}

#[test]
fn notes_have_limits() {
    let enoch = |times| peter_note(&[&ENOCH_LINE.repeat(times), PETER_LINE].concat());
    assert_eq!(names(&enoch(99), &[PETER_VKEY]), Ok(vec!["PeterNeumann".into()]));
    assert_eq!(names(&enoch(100), &[PETER_VKEY]), Err(NoteError::TooManySignatures));
    let text = |length: usize| format!("{}\n", "a".repeat(length - 1));
    let rest = note::write("a\n", &[log_key().sign("a\n").unwrap()]).unwrap().len() - 2;
    let text_of_limit = text(MAX_NOTE - rest);
    let note = note::write(&text_of_limit, &[log_key().sign(&text_of_limit).unwrap()]).unwrap();
    assert_eq!(note.len(), MAX_NOTE);
    assert!(note::open(&note, &[log_key().verifier().clone()]).is_ok());
    assert_eq!(Note::parse(&format!("a{note}")), Err(NoteError::TooLong));
}

#[test]
fn the_last_empty_line_separates() {
    let text = "\na\n\n\nb\n\n";
    let note = note::write(text, &[log_key().sign(text).unwrap()]).unwrap();
    assert_eq!(note::open(&note, &[log_key().verifier().clone()]).unwrap().text, text);
}

#[test]
fn only_notes_are_written() {
    let signature = log_key().sign("a\n").unwrap();
    assert_eq!(note::write("a", std::slice::from_ref(&signature)), Err(NoteError::Text));
    assert_eq!(note::write("", std::slice::from_ref(&signature)), Err(NoteError::Text));
    assert_eq!(note::write("a\n", &[]), Err(NoteError::NoSignatures));
    assert_eq!(note::write("a\t\n", std::slice::from_ref(&signature)), Err(NoteError::ControlCharacter));
    let named = |name: &str| Signature { name: name.into(), ..signature.clone() };
    assert_eq!(note::write("a\n", &[named("a b")]), Err(NoteError::SignatureLine(1)));
    let smuggled = named(&format!("x AAAAAAAA\n\n{}", signature.to_string().trim_end()));
    assert_eq!(note::write("a\n", &[smuggled]), Err(NoteError::SignatureLine(1)));
}

#[test]
fn a_witness_answers_lines_that_can_be_appended() {
    let text = Checkpoint::new("thidua.example.vn/log", 0, EMPTY_ROOT).unwrap().to_string();
    let mut note = note::write(&text, &[log_key().sign(&text).unwrap()]).unwrap();
    note += &witness_key(1).cosign(&text, 1_700_000_000).unwrap().to_string();
    let keys = [log_key().verifier().clone(), witness_key(1).verifier().clone()];
    let times: Vec<Option<u64>> = note::open(&note, &keys).unwrap().verified.iter().map(|one| one.time).collect();
    assert_eq!(times, [None, Some(1_700_000_000)]);
}

#[test]
fn a_cosignature_is_over_extension_lines_too() {
    let text = format!("{}extension\n", Checkpoint::new("log", 0, EMPTY_ROOT).unwrap());
    let note = note::write(&text, &[witness_key(1).cosign(&text, 5).unwrap()]).unwrap();
    let keys = [witness_key(1).verifier().clone()];
    assert!(note::open(&note, &keys).is_ok());
    assert!(note::open(&note.replace("extension", "Extension"), &keys).is_err());
}

#[test]
fn checkpoints_are_those_of_the_specification() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let root = hash("0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62");
    let checkpoint = Checkpoint::new("example.com/behind-the-sofa", 20_852_163, root).unwrap();
    assert_eq!(checkpoint.to_string(), text);
    assert_eq!(text.parse(), Ok(checkpoint.clone()));
    assert_eq!(format!("{text}extension\n—\n").parse(), Ok(checkpoint));
    let refused = |text: String| text.parse::<Checkpoint>().expect_err(&text);
    for size in ["", "-1", "+1", "01", "00", "1 ", " 1", "0x1", "18446744073709551616", "1.0"] {
        assert_eq!(refused(text.replace("20852163", size)), CheckpointError::Size, "{size}");
    }
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let roots = ["", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J="];
    for other in roots.into_iter().chain([&root[4..], &root.replace('/', "_"), &format!("{root} ")]) {
        assert_eq!(refused(text.replace(root, other)), CheckpointError::Root, "{other}");
    }
    assert_eq!(refused(text.replace("example.com/behind-the-sofa", "")), CheckpointError::Origin);
    assert_eq!(refused(text.replace("example.com", "example\t")), CheckpointError::Origin);
    assert_eq!(refused(text.trim_end().into()), CheckpointError::End);
    assert_eq!(refused(format!("{text}\n")), CheckpointError::End);
    assert_eq!(refused(format!("{text}a\n\nb\n")), CheckpointError::End);
    for origin in ["", "a\nb", "a\u{0}"] {
        assert_eq!(Checkpoint::new(origin, 0, EMPTY_ROOT), Err(CheckpointError::Origin));
    }
}

proptest! {
    #[test]
    fn checkpoints_survive(origin in "\\PC{1,30}", size in any::<u64>(), root in any::<[u8; 32]>()) {
        let checkpoint = Checkpoint::new(&origin, size, root).unwrap();
        prop_assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
    }

    #[test]
    fn notes_survive(text in "(\\PC|\n){0,80}\n", seconds in 0_u64..1 << 63) {
        let note = note::write(&text, &[log_key().sign(&text).unwrap()]).unwrap();
        let keys = [log_key().verifier().clone()];
        prop_assert_eq!(note::open(&note, &keys).unwrap().text, text);
        let text = Checkpoint::new("log", seconds, [0; 32]).unwrap().to_string();
        let note = note::write(&text, &[witness_key(2).cosign(&text, seconds).unwrap()]).unwrap();
        let keys = [witness_key(2).verifier().clone()];
        prop_assert_eq!(note::open(&note, &keys).unwrap().verified[0].time, Some(seconds));
    }

    #[test]
    fn no_byte_of_a_signed_text_can_be_changed(place in 0..PETER_TEXT.len(), byte in 32..127_u8) {
        let mut bytes = peter_note(PETER_LINE).into_bytes();
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert!(names(&String::from_utf8(bytes).unwrap(), &[PETER_VKEY]).is_err());
    }

    #[test]
    fn no_text_is_too_strange_for_a_note(text in "(\\PC|\n|— | ){0,80}") {
        let _ = Note::parse(&text);
        let _ = text.parse::<Checkpoint>();
    }
}

#[test]
fn lines_that_came_later_are_added_once_and_only_if_they_are_right() {
    let text = Checkpoint::new("thidua.example.vn/log", 7, [3; 32]).unwrap().to_string();
    let log = log_key();
    let witness = |seed| SigningKey::from_seed("witness.example", Algorithm::CosignatureV1, &[seed; 32]).unwrap();
    let (known, stranger) = (witness(1), witness(2));
    let bare = note::write(&text, &[log.sign(&text).unwrap()]).unwrap();
    let right = known.cosign(&text, 1_700_000_000).unwrap();
    let mut wrong = known.cosign(&text, 1_700_000_000).unwrap();
    wrong.bytes[70] ^= 1;
    let again = known.cosign(&text, 1_700_000_001).unwrap();
    let lines = [wrong, stranger.cosign(&text, 1).unwrap(), right.clone(), again].map(|line| line.to_string());
    let lines = lines.iter().map(String::as_str).chain(["", "— x y\n", "garbage\n"]);
    let keys = [log.verifier().clone(), known.verifier().clone()];
    let extended = note::extend(&bare, lines, &keys).unwrap();
    assert_eq!(extended, format!("{bare}{right}"));
    assert_eq!(note::open(&extended, &keys).unwrap().verified.len(), 2);
}
