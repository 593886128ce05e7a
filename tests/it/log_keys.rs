//! A new key of the log takes over: an event that both keys signed, both signatures for a while, then the new one alone.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::log::anchor::Anchor;
use thidua::log::keys::rotate::rotate;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::key::{Algorithm, SigningKey, VerifierKey};
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tree::EMPTY_ROOT;
use thidua::log::proof::{note, rotation, tlog_proof};
use thidua::log::signer::{Keys, Signer, Trouble};

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::{ORIGIN, World, log_key};

fn new_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[8; 32]).unwrap()
}

/// Of the same name, and of no rotation.
fn stranger() -> SigningKey {
    SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[6; 32]).unwrap()
}

fn anchor(world: &World) -> Anchor {
    Anchor::at(&world.anchor.path().join("anchor"))
}

/// A service that starts with these keys.
async fn started(world: &World, keys: Vec<SigningKey>) -> Arc<Signer> {
    let keys = Keys::new(keys, anchor(world), None).unwrap();
    let signer = Arc::new(Signer::new(world.db.clone(), keys));
    signer.start().await.unwrap();
    assert_eq!(signer.trouble(), None);
    signer
}

fn signed_by(signed: &str, key: &SigningKey) -> bool {
    let keys = [key.verifier().clone()];
    note::open(signed, &keys).is_ok()
}

fn leaf(event: &Value) -> Vec<u8> {
    let leaf = event["leaf"].as_str().unwrap();
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, leaf).unwrap()
}

/// `thidua log verify keys` for somebody who trusts this key: its exit code, and what it says.
fn followed(keys: &str, trusted: &SigningKey) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let policy = file("policy", &format!("log {}\nquorum none\n", trusted.verifier()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(["log", "verify", "keys", "--keys"]).arg(file("keys", keys)).arg("--policy").arg(policy);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// `thidua log check` for somebody who trusts this key: whether it is content, and what it found.
fn checked(world: &World, trusted: &SigningKey) -> (bool, String) {
    let policy = world.anchor.path().join("policy");
    std::fs::write(&policy, format!("log {}\nquorum none\n", trusted.verifier())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
    command.args(["log", "check", "--policy"]).arg(&policy).env("THIDUA_DATABASE_URL", &world.database.url);
    command.envs(world.database.urls().keys.map(|keys| ("THIDUA_SUBJECT_KEYS", keys)));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (findings, _) = said.trim_end().rsplit_once('\n').unwrap_or_default();
    (output.status.success(), findings.to_owned())
}

/// Signed by both, whatever the log has.
fn statement(old: &SigningKey, new: &SigningKey, size: u64) -> String {
    let at = Checkpoint::new(ORIGIN, size, EMPTY_ROOT).unwrap();
    rotation::Rotation::new(old.verifier(), new.verifier(), &at).unwrap().sign(old, new).unwrap()
}

fn half_signed(statement: &str) -> String {
    let (rest, _) = statement.trim_end().rsplit_once('\n').unwrap();
    format!("{rest}\n")
}

both_engines! {
    async fn whoever_trusts_the_old_key_follows_to_the_new_one(world: World) {
        let (old, new) = (log_key(), new_key());
        let recorded = rotate(&world.db, &console(), log_key(), &new, anchor(world)).await.unwrap();
        let auditor = world.person(Role::Auditor, None).await;
        let events = auditor.get("/v1/events?type=log.key_rotated").await.is(200).json();
        let event = &events["items"][0];
        assert_eq!((event["actor"]["kind"].as_str(), event["record"]["type"].as_str()), (Some("console"), Some("log_key")));
        let followed = rotation::follow(&leaf(event), old.verifier()).unwrap();
        assert_eq!((&followed, &followed.new), (&recorded, new.verifier()));
        assert!(rotation::follow(&leaf(event), new.verifier()).is_err());
        assert_eq!(followed.size, event["position"].as_u64().unwrap(), "it stands right behind the tree that it names");
        // Without a token, and out of the log.
        let told = world.nobody().get("/v1/log/keys").await.is(200).json();
        let statement = told["rotations"][0]["statement"].as_str().unwrap();
        assert_eq!(rotation::verify(statement, old.verifier()).unwrap(), followed);
        // The old key signed the log with its own end in it.
        let proof = auditor.get(&format!("/v1/events/{}/proof", event["id"].as_str().unwrap())).await.is(200).text;
        let by = |key: &VerifierKey| Policy::parse(format!("log {key}\nquorum none\n").as_bytes()).unwrap();
        tlog_proof::verify(&proof, &leaf(event), &by(old.verifier())).unwrap();
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn for_a_while_both_sign_and_then_the_new_one_alone(world: World) {
        rotate(&world.db, &console(), log_key(), &new_key(), anchor(world)).await.unwrap();
        world.db.settle().await.unwrap();
        let before = world.shared.signer.as_ref().unwrap().covering(1).await.unwrap();
        assert!(signed_by(&before.note, &log_key()) && !signed_by(&before.note, &new_key()));
        let both = started(world, vec![new_key(), log_key()]).await;
        assert!(both.policy().contains(&new_key().verifier().to_string()));
        // Nothing was written since: the new key signs what the old one signed.
        let signed = both.enough(1).await.unwrap();
        assert!(signed.checkpoint.size() >= before.checkpoint.size());
        assert!(signed_by(&signed.note, &log_key()) && signed_by(&signed.note, &new_key()));
        // A replica that knows the old key alone signs on meanwhile.
        let auditor = world.person(Role::Auditor, None).await;
        world.db.settle().await.unwrap();
        let size = u64::try_from(thidua::log::seal::size(world.db.reader().conn()).await.unwrap()).unwrap();
        let old = world.shared.signer.as_ref().unwrap().covering(size).await.unwrap();
        assert!(!signed_by(&old.note, &new_key()));
        let signed = both.covering(size).await.unwrap();
        assert_eq!(signed.checkpoint, old.checkpoint);
        assert!(signed_by(&signed.note, &log_key()) && signed_by(&signed.note, &new_key()));
        let shown = auditor.get("/v1/log/checkpoint").await.is(200).text;
        assert!(signed_by(&shown, &log_key()));
        let alone = started(world, vec![new_key()]).await;
        assert_eq!(alone.enough(size).await.unwrap().checkpoint, signed.checkpoint);
    }

    async fn what_the_old_key_signed_is_provable_with_the_new_one(world: World) {
        world.db.settle().await.unwrap();
        // What an export of that moment ends at.
        let before = world.shared.signer.as_ref().unwrap().covering(1).await.unwrap();
        rotate(&world.db, &console(), log_key(), &new_key(), anchor(world)).await.unwrap();
        let both = started(world, vec![new_key(), log_key()]).await;
        let size = before.checkpoint.size();
        let again = both.of_size(size).await.unwrap().unwrap();
        assert_eq!(again.checkpoint, before.checkpoint);
        assert!(signed_by(&again.note, &log_key()) && signed_by(&again.note, &new_key()));
        let alone = started(world, vec![new_key()]).await;
        let again = alone.of_size(size).await.unwrap().unwrap();
        assert_eq!(again.checkpoint, before.checkpoint);
        assert!(signed_by(&again.note, &log_key()) && signed_by(&again.note, &new_key()));
        assert_eq!(alone.of_size(size + 1000).await.unwrap(), None);
        // Nor is a check alarmed, whichever of the two its policy names.
        assert_eq!(checked(world, &new_key()), (true, String::new()));
        assert_eq!(checked(world, &log_key()), (true, String::new()));
        let (content, said) = checked(world, &stranger());
        assert!(!content && said.contains("no known key signed it"), "{said}");
        // Behind what the new key signed the old one's word is not enough.
        world.person(Role::Auditor, None).await;
        world.db.settle().await.unwrap();
        let last = u64::try_from(thidua::log::seal::size(world.db.reader().conn()).await.unwrap()).unwrap();
        world.shared.signer.as_ref().unwrap().covering(last).await.unwrap();
        let (content, said) = checked(world, &new_key());
        assert!(!content && said.contains(&format!("{last} to {last} events (1): a key that was rotated away")), "{said}");
        assert_eq!(checked(world, &log_key()), (true, String::new()));
        both.covering(last).await.unwrap();
        assert_eq!(checked(world, &new_key()), (true, String::new()));
        // What another key signed, or what is no part of this log, is not signed again.
        for (size, key) in [(size - 1, stranger()), (size - 2, log_key())] {
            let at = Checkpoint::new(ORIGIN, size, [7; 32]).unwrap().to_string();
            let forged = note::write(&at, &[key.sign(&at).unwrap()]).unwrap();
            assert!(world.db.keep_checkpoint(i64::try_from(size).unwrap(), &forged, 0).await.unwrap());
        }
        alone.of_size(size - 1).await.unwrap_err();
        assert_eq!(alone.trouble(), None);
        alone.of_size(size - 2).await.unwrap_err();
        assert_eq!(alone.trouble(), Some(&Trouble::Differs { signed: size - 2 }));
    }

    async fn the_command_follows_every_key_that_took_over(world: World) {
        let third = SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[9; 32]).unwrap();
        let keys = async || world.nobody().get("/v1/log/keys").await.is(200);
        let untouched = keys().await.text;
        let (code, said) = followed(&untouched, &log_key());
        assert_eq!((code, said), (Some(0), format!("nothing to verify: in this list no key took over from {}\n", log_key().verifier())));
        rotate(&world.db, &console(), log_key(), &new_key(), anchor(world)).await.unwrap();
        drop(started(world, vec![new_key(), log_key()]).await);
        drop(started(world, vec![new_key()]).await);
        rotate(&world.db, &console(), new_key(), &third, anchor(world)).await.unwrap();
        let told = keys().await;
        for trusted in [log_key(), new_key()] {
            let (code, said) = followed(&told.text, &trusted);
            let line = format!("policy: instead of log {} write log {}", trusted.verifier(), third.verifier());
            assert_eq!((code, said.lines().last()), (Some(0), Some(line.as_str())), "{said}");
        }
        // Somebody leaves one out, turns them round, or signs in another's name.
        let answer = told.json();
        let rotations = answer["rotations"].as_array().unwrap();
        let (first, second) = (&rotations[0], &rotations[1]);
        let forged = first["statement"].as_str().unwrap().replacen(&new_key().verifier().to_string(), &third.verifier().to_string(), 1);
        for (what, wrong) in [
            ("of a smaller log", json!([first, { "statement": statement(&new_key(), &third, 0) }])),
            ("not from the last key", json!([first, { "statement": statement(&log_key(), &third, 1000) }])),
            ("forged", json!([{ "statement": forged }])),
            ("half signed", json!([{ "statement": half_signed(first["statement"].as_str().unwrap()) }])),
            ("no note", json!([{ "statement": "x" }])),
            ("twice", json!([first, first])),
        ] {
            let (code, said) = followed(&json!({ "rotations": wrong }).to_string(), &log_key());
            assert_eq!((code, said.starts_with("not verified: ")), (Some(1), true), "{what}: {said}");
        }
        let (code, said) = followed(&json!({ "rotations": [second] }).to_string(), &log_key());
        assert_eq!((code, said), (Some(0), format!("nothing to verify: in this list no key took over from {}\n", log_key().verifier())));
        assert_eq!(followed("[]", &log_key()).0, Some(1));
    }

    async fn what_is_no_rotation_of_this_log_is_refused(world: World) {
        let foreign = SigningKey::from_seed("elsewhere.test/log", Algorithm::Ed25519, &[8; 32]).unwrap();
        for (old, new) in [(log_key(), foreign), (log_key(), log_key()), (new_key(), log_key())] {
            // As the command does, with a connection of its own: whoever meets another history writes no more with it.
            let db = world.database.connect().await;
            assert!(rotate(&db, &console(), old, &new, anchor(world)).await.is_err());
            db.close().await;
        }
        rotate(&world.db, &console(), log_key(), &new_key(), anchor(world)).await.unwrap();
        rotate(&world.db, &console(), log_key(), &new_key(), anchor(world)).await.unwrap_err();
        let told = world.nobody().get("/v1/log/keys").await.is(200).json();
        assert_eq!(told["rotations"].as_array().unwrap().len(), 1);
    }
}
