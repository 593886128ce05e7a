//! Rotations of keys: followed, and refused when forged, swapped, or of another log.

use serde_json::json;

use super::super::checkpoint::Checkpoint;
use super::super::key::{Algorithm, SigningKey, VerifierKey};
use super::super::note;
use super::super::rotation::{EVENT, Kin, Rotation, RotationError, follow, kin, verify};

const ORIGIN: &str = "thidua.example.vn/log";

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, Algorithm::Ed25519, &[seed; 32]).unwrap()
}

fn rotation(old: &SigningKey, new: &SigningKey) -> Rotation {
    let at = Checkpoint::new(old.verifier().name(), 42, [3; 32]).unwrap();
    Rotation::new(old.verifier(), new.verifier(), &at).unwrap()
}

fn signed(text: &str, keys: &[&SigningKey]) -> String {
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(text).unwrap()).collect();
    note::write(text, &signatures).unwrap()
}

#[test]
fn whoever_trusts_the_old_key_can_follow_to_the_new_one_and_on() {
    let [a, b, c] = [1, 2, 3].map(|seed| key(ORIGIN, seed));
    let (first, second) = (rotation(&a, &b).sign(&a, &b).unwrap(), rotation(&b, &c).sign(&b, &c).unwrap());
    let trusted = verify(&first, a.verifier()).unwrap().new;
    let trusted = verify(&second, &trusted).unwrap().new;
    assert_eq!(trusted, *c.verifier());
    assert_eq!(verify(&second, a.verifier()), Err(RotationError::NotTrusted), "a step is left out");
    assert_eq!(verify(&first, b.verifier()), Err(RotationError::NotTrusted), "backwards");
}

#[test]
fn the_statement_is_what_the_documentation_says() {
    let [a, b] = [1, 2].map(|seed| key(ORIGIN, seed));
    let text = rotation(&a, &b).to_string();
    let (old, new) = (a.verifier(), b.verifier());
    let root = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
    assert_eq!(text, format!("thidua.key-rotation/1\n{ORIGIN}\n{old}\n{new}\n42\n{root}\n"));
    assert_eq!(text.parse::<Rotation>().unwrap(), rotation(&a, &b));
    assert!(text.parse::<Checkpoint>().is_err(), "no checkpoint");
    for other in
        [text.replace("/1\n", "/2\n"), text.replace("\n42\n", "\n042\n"), format!("{text}x\n"), text[1..].into()]
    {
        assert!(other.parse::<Rotation>().is_err(), "{other}");
    }
}

#[test]
fn a_forged_rotation_is_refused() {
    let [a, b, evil] = [1, 2, 9].map(|seed| key(ORIGIN, seed));
    let text = rotation(&a, &b).to_string();
    let unsigned = |key: &SigningKey| Err(RotationError::Unsigned(key.verifier().to_string()));
    assert_eq!(verify(&signed(&text, &[&a]), a.verifier()), unsigned(&b), "the new key did not agree");
    assert_eq!(verify(&signed(&text, &[&b]), a.verifier()), unsigned(&a), "the old key did not agree");
    let to_evil = rotation(&a, &evil).to_string();
    assert_eq!(verify(&signed(&to_evil, &[&evil]), a.verifier()), unsigned(&a));
    // A good statement's signature under another one.
    let mut other = signed(&to_evil, &[&evil]);
    other.push_str(&a.sign(&text).unwrap().to_string());
    assert!(matches!(verify(&other, a.verifier()), Err(RotationError::Note(_))));
    // A signature over a checkpoint is none over a rotation.
    let checkpoint = Checkpoint::new(ORIGIN, 42, [3; 32]).unwrap().to_string();
    assert!(verify(&signed(&checkpoint, &[&a, &b]), a.verifier()).is_err());
}

#[test]
fn swapped_keys_and_other_logs_are_refused() {
    let [a, b] = [1, 2].map(|seed| key(ORIGIN, seed));
    let swapped = rotation(&b, &a).sign(&b, &a).unwrap();
    assert_eq!(verify(&swapped, a.verifier()), Err(RotationError::NotTrusted));
    assert!(rotation(&a, &b).sign(&b, &a).is_err());
    let at = Checkpoint::new(ORIGIN, 42, [3; 32]).unwrap();
    let foreign = key("elsewhere.example/log", 2);
    let refused = Err(RotationError::Origin(ORIGIN.into()));
    assert_eq!(Rotation::new(a.verifier(), foreign.verifier(), &at), refused);
    assert_eq!(Rotation::new(a.verifier(), a.verifier(), &at), Err(RotationError::SameKey));
    let witness = SigningKey::from_seed(ORIGIN, Algorithm::CosignatureV1, &[2; 32]).unwrap();
    assert_eq!(Rotation::new(a.verifier(), witness.verifier(), &at), refused, "a witness's key");
    // The name in the text is that of another log.
    let text = rotation(&a, &b).to_string().replacen(ORIGIN, "elsewhere.example/log", 1);
    assert!(matches!(verify(&signed(&text, &[&a, &b]), a.verifier()), Err(RotationError::Origin(_))));
}

#[test]
fn the_event_is_followed_by_its_leaf() {
    let [a, b, c] = [1, 2, 3].map(|seed| key(ORIGIN, seed));
    let statement = rotation(&a, &b).sign(&a, &b).unwrap();
    let leaf = |kind: &str, new: &VerifierKey| {
        let changes = json!({ "old_key": [null, a.verifier().to_string()], "new_key": [null, new.to_string()],
            "statement": [null, statement] });
        json!({ "type": kind, "changes": changes }).to_string().into_bytes()
    };
    assert_eq!(follow(&leaf(EVENT, b.verifier()), a.verifier()).unwrap().new, *b.verifier());
    assert_eq!(follow(&leaf("unit.registered", b.verifier()), a.verifier()), Err(RotationError::Event));
    assert_eq!(follow(&leaf(EVENT, c.verifier()), a.verifier()), Err(RotationError::Event), "says two things");
    assert_eq!(follow(b"{}", a.verifier()), Err(RotationError::Event));
}

#[test]
fn a_retired_key_makes_nobody_trusted() {
    let [a, b, c, evil, stranger] = [1, 2, 3, 4, 5].map(|seed| key(ORIGIN, seed));
    let handed = |old: &SigningKey, new: &SigningKey| rotation(old, new).sign(old, new).unwrap();
    let half = rotation(&stranger, &b).to_string();
    let statements = [
        handed(&a, &b),
        handed(&b, &c),
        // Whoever has the old key by now hands it on once more, and somebody says that he was before.
        handed(&a, &evil),
        signed(&half, &[&stranger]),
        "x".to_owned(),
    ];
    let of = |trusted: &SigningKey| kin(statements.iter().map(String::as_str), &[trusted.verifier().clone()]);
    let keys = |keys: &[&SigningKey]| keys.iter().map(|key| key.verifier().clone()).collect::<Vec<_>>();
    assert_eq!(of(&b), Kin { trusted: keys(&[&b, &c]), retired: keys(&[&a]) });
    assert_eq!(of(&c), Kin { trusted: keys(&[&c]), retired: keys(&[&b, &a]) });
    assert_eq!(of(&stranger), Kin { trusted: keys(&[&stranger]), retired: Vec::new() });
    // Whoever trusts the old key alone follows it wherever it leads.
    assert_eq!(of(&a).retired, Vec::new());
}
