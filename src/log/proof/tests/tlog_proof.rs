//! Proof files: what they prove, what they refuse, how large they are.

use proptest::prelude::*;

use super::super::accept::AcceptError;
use super::super::checkpoint::{Checkpoint, CheckpointError};
use super::super::key::{Algorithm, SigningKey, VerifierKey};
use super::super::note::{self, NoteError};
use super::super::plan::Plan;
use super::super::policy::Policy;
use super::super::tlog_proof::{ProofError, Proven, TlogProof, verify};
use super::super::tree::{Hash, VerifyError};
use super::{log_key, uniform, witness_key};

const TIME: u64 = 1_763_950_000;

fn policy(quorum: &str) -> Policy {
    let (log, one, two) = (log_key(), witness_key(1), witness_key(2));
    let (log, one, two) = (log.verifier(), one.verifier(), two.verifier());
    let text = format!("log {log}\nwitness one {one}\nwitness two {two}\ngroup both all one two\nquorum {quorum}\n");
    Policy::parse(text.as_bytes()).unwrap()
}

/// A checkpoint of a tree of leaves `leaf`, signed by the log and some witnesses.
fn signed(origin: &str, size: u64, witnesses: &[u8]) -> String {
    let root = Plan::root(size).hashes(uniform(b"leaf")).unwrap()[0];
    let text = Checkpoint::new(origin, size, root).unwrap().to_string();
    let cosigned = witnesses.iter().map(|number| witness_key(*number).cosign(&text, TIME).unwrap());
    let signatures: Vec<_> = [log_key().sign(&text).unwrap()].into_iter().chain(cosigned).collect();
    note::write(&text, &signatures).unwrap()
}

fn proof(index: u64, size: u64, witnesses: &[u8]) -> TlogProof {
    let hashes = Plan::inclusion(index, size).unwrap().hashes(uniform(b"leaf")).unwrap();
    TlogProof::new(index, hashes, &signed("thidua.example.vn/log", size, witnesses)).unwrap()
}

#[test]
fn a_proof_among_a_hundred_million_stays_small() {
    let proof = proof(12_345_678, 100_000_000, &[1]);
    assert_eq!(proof.hashes().len(), 27);
    let text = proof.to_string();
    assert!(text.len() < 1600, "{}", text.len());
    let proven = verify(&text, b"leaf", &policy("one")).unwrap();
    let Proven { checkpoint, index, log, cosigned } = proven;
    assert_eq!((checkpoint.size(), index), (100_000_000, 12_345_678));
    assert_eq!(&log, log_key().verifier());
    assert_eq!(cosigned, [(witness_key(1).verifier().clone(), TIME)]);
    // No other place in it has a longer one.
    for index in [0, 1, 255, 256, 49_999_999, 50_000_000, 67_108_863, 67_108_864, 99_999_998, 99_999_999] {
        let other = self::proof(index, 100_000_000, &[1]).to_string();
        assert!(other.len() <= 1600, "{index}: {}", other.len());
        verify(&other, b"leaf", &policy("one")).unwrap();
    }
}

#[test]
fn the_text_is_that_of_the_specification() {
    let note = signed("thidua.example.vn/log", 1, &[]);
    let alone = TlogProof::new(0, Vec::new(), &note).unwrap();
    assert_eq!(alone.to_string(), format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"));
    let hashes = vec![[0; 32], [255; 32]];
    let proof = TlogProof::new(10, hashes, &note).unwrap().with_extra(b"extra information".to_vec());
    let lines = "c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n\
                 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n//////////////////////////////////////////8=\n\n";
    assert_eq!(proof.to_string(), format!("{lines}{note}"));
    assert_eq!(proof.to_string().parse(), Ok(proof));
}

#[test]
fn what_is_no_proof_is_refused() {
    let text = proof(2, 5, &[1]).with_extra(vec![1]).to_string();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        changed.parse::<TlogProof>().expect_err(&changed)
    };
    assert_eq!(refused("@v1", "@v2"), ProofError::Header);
    assert_eq!(refused("@v1\n", "@v1\r\n"), ProofError::Header);
    assert_eq!(refused("c2sp", "\nc2sp"), ProofError::Header);
    assert_eq!(refused("extra AQ==", "extra AQ"), ProofError::Extra);
    assert_eq!(refused("extra AQ==", "extra AR=="), ProofError::Extra);
    assert_eq!(refused("extra AQ==", "extra "), ProofError::Extra);
    assert_eq!(refused("extra AQ==\n", "extra AQ==\nextra AQ==\n"), ProofError::Index);
    assert_eq!(refused("extra AQ==", "extra\tAQ=="), ProofError::Index);
    assert_eq!(refused("index 2\n", ""), ProofError::Index);
    for index in ["02", "+2", "-2", "", " 2", "2 ", "18446744073709551616"] {
        assert_eq!(refused("index 2\n", &format!("index {index}\n")), ProofError::Index, "{index}");
    }
    assert_eq!(refused("index 2\n", "index 2\nAQ==\n"), ProofError::Hashes);
    assert_eq!(refused("index 2\n", "index 2\n \n"), ProofError::Hashes);
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    assert_eq!(refused("index 2\n", &format!("index 2\n{}", hash.repeat(62))), ProofError::Hashes);
    assert_eq!(refused("\n\nthidua", "\nthidua"), ProofError::Hashes);
    assert_eq!(refused("\n\nthidua", "\n\n\nthidua"), ProofError::Checkpoint(CheckpointError::Size));
    assert!(matches!(refused("example.vn/log\n5\n", "example.vn/log\n05\n"), ProofError::Checkpoint(_)));
    let note = text.find("thidua").unwrap();
    for end in 0..text.len() {
        // Whole signature lines may be missing; half of anything may not.
        let Some(part) = text.get(..end) else { continue };
        let whole = end > note + text[note..].find("— ").unwrap() && part.ends_with('\n');
        assert_eq!(part.parse::<TlogProof>().is_ok(), whole, "{end}");
    }
}

#[test]
fn a_proof_needs_the_log_the_quorum_and_the_leaf() {
    let text = proof(2, 5, &[1]).to_string();
    assert!(verify(&text, b"leaf", &policy("one")).is_ok());
    assert!(verify(&text, b"leaf", &policy("none")).is_ok());
    let quorum = Err(ProofError::Accept(AcceptError::Quorum));
    assert_eq!(verify(&text, b"leaf", &policy("two")), quorum);
    assert_eq!(verify(&text, b"leaf", &policy("both")), quorum);
    let both = proof(2, 5, &[2, 1]).to_string();
    assert_eq!(verify(&both, b"leaf", &policy("both")).unwrap().cosigned.len(), 2);
    let mismatch = Err(ProofError::Inclusion(VerifyError::RootMismatch));
    assert_eq!(verify(&text, b"Leaf", &policy("one")), mismatch);
    assert_eq!(verify(&text, b"", &policy("one")), mismatch);
    let outside = VerifyError::IndexOutside { index: 5, size: 5 };
    let moved = text.replace("index 2\n", "index 5\n");
    assert_eq!(verify(&moved, b"leaf", &policy("one")), Err(ProofError::Inclusion(outside)));
    let first = text.find("index 2\n").unwrap() + 8;
    let shortened = format!("{}{}", &text[..first], &text[first + 45..]);
    assert!(matches!(verify(&shortened, b"leaf", &policy("one")), Err(ProofError::Inclusion(_))));
}

#[test]
fn another_log_proves_nothing() {
    let log = |origin: &str| Err(ProofError::Accept(AcceptError::Log(origin.into())));
    // Signed by the trusted key, but for another origin.
    let hashes = Plan::inclusion(2, 5).unwrap().hashes(uniform(b"leaf")).unwrap();
    let elsewhere = TlogProof::new(2, hashes, &signed("other.example/log", 5, &[1])).unwrap().to_string();
    assert_eq!(verify(&elsewhere, b"leaf", &policy("one")), log("other.example/log"));
    // Cosigned, but not signed by the log.
    let text = proof(2, 5, &[1]).to_string();
    let line = text.find("— ").unwrap();
    let end = line + text[line..].find('\n').unwrap() + 1;
    let unsigned = format!("{}{}", &text[..line], &text[end..]);
    let log = log("thidua.example.vn/log");
    assert_eq!(verify(&unsigned, b"leaf", &policy("one")), log);
    // Signed by a stranger in the log's name.
    let stranger = SigningKey::from_seed("thidua.example.vn/log", Algorithm::Ed25519, &[99; 32]).unwrap();
    let note_text = &unsigned[unsigned.find("thidua").unwrap()..unsigned.find("\n— ").unwrap()];
    let forged = format!("{unsigned}{}", stranger.sign(note_text).unwrap());
    assert_eq!(verify(&forged, b"leaf", &policy("one")), log);
    let unknown = Policy::parse(b"quorum none\n").unwrap();
    assert_eq!(verify(&text, b"leaf", &unknown), Err(ProofError::Note(NoteError::Unverified)));
}

#[test]
fn one_wrong_signature_of_a_known_witness_spoils_the_proof() {
    let text = proof(2, 5, &[1]).to_string();
    let wrong = signed("thidua.example.vn/log", 6, &[2]);
    let line = wrong.lines().last().unwrap();
    let key: VerifierKey = witness_key(2).verifier().clone();
    let spoilt = verify(&format!("{text}{line}\n"), b"leaf", &policy("one"));
    assert_eq!(spoilt, Err(ProofError::Note(NoteError::BadSignature(key.to_string()))));
}

proptest! {
    #[test]
    fn proofs_survive(
        index in any::<u64>(),
        hashes in prop::collection::vec(any::<Hash>(), 0..=64),
        extra in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let note = signed("thidua.example.vn/log", 5, &[1]);
        let proof = TlogProof::new(index, hashes, &note).unwrap().with_extra(extra);
        prop_assert_eq!(proof.to_string().parse(), Ok(proof));
    }

    #[test]
    fn no_byte_before_the_note_can_be_changed(place in 0..200_usize, byte in 32..127_u8) {
        // The last leaf: all leaves are alike, and a proof of one of the others would be one of its neighbours too.
        let mut bytes = proof(4, 5, &[1]).to_string().into_bytes();
        let note = String::from_utf8_lossy(&bytes).find("thidua").unwrap();
        let place = place % note;
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert!(verify(&String::from_utf8(bytes).unwrap(), b"leaf", &policy("one")).is_err());
    }

    #[test]
    fn no_text_is_too_strange_for_a_proof(text in "(extra |index |[0-9]|[A-Za-z+/=]|\n|\\PC){0,80}") {
        let _ = format!("c2sp.org/tlog-proof@v1\n{text}").parse::<TlogProof>();
    }
}
