//! What proves the log: checkpoints, tiles, consistency, proofs of single events; and a database that is not the one that
//! was signed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::auth::keys::Keys;
use thidua::clock::Stopwatch;
use thidua::http::Shared;
use thidua::http::limits::Limits;
use thidua::log::anchor::Anchor;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::note;
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tile::{decode_entries, decode_tile};
use thidua::log::proof::tlog_proof;
use thidua::log::proof::tree::{Hash, leaf_hash, root_of, verify_consistency};
use thidua::log::signer::{Keys as LogKeys, Signer, Trouble};

use crate::both_engines;
use crate::support::{Person, World, log_key, since};
use thidua::units::{UnitDraft, UnitKind};

/// Writes an event through the API.
async fn write(administrator: &Person<'_>, name: &str) -> crate::support::Answer {
    let body = json!({ "names": [{ "value": name, "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
    administrator.create("/v1/units", &body).await
}

async fn checkpoint(world: &World) -> Checkpoint {
    let note = world.nobody().get("/v1/log/checkpoint").await.is(200);
    assert_eq!(note.header("content-type"), Some("text/plain; charset=utf-8"));
    let keys = [log_key().verifier().clone()];
    note::open(&note.text, &keys).unwrap().text.parse().unwrap()
}

/// Signs everything that is committed.
async fn signed(world: &World) -> Checkpoint {
    world.db.settle().await.unwrap();
    let size = thidua::log::seal::size(world.db.reader().conn()).await.unwrap();
    world.shared.signer.as_ref().unwrap().covering(u64::try_from(size).unwrap()).await.unwrap();
    checkpoint(world).await
}

async fn bytes(person: &Person<'_>, path: &str) -> Vec<u8> {
    let answer = person.request("GET", path).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    answer.bytes().await.unwrap().to_vec()
}

/// The leaf hashes of the log, out of its public tiles.
async fn hashes(world: &World, size: u64) -> Vec<Hash> {
    let mut all = Vec::new();
    for index in 0..=size / 256 {
        let width = u16::try_from((size - index * 256).min(256)).unwrap();
        let path = match width {
            0 => break,
            256 => format!("/v1/log/tile/0/{index:03}"),
            _ => format!("/v1/log/tile/0/{index:03}.p/{width}"),
        };
        all.extend(decode_tile(&bytes(&world.nobody(), &path).await, width).unwrap());
    }
    all
}

async fn consistent(world: &World, old: &Checkpoint, new: &Checkpoint) {
    let path = format!("/v1/log/consistency?from={}&to={}", old.size(), new.size());
    let told = world.nobody().get(&path).await.is(200).json();
    let hash = |text: &Value| {
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text.as_str().unwrap()).unwrap();
        Hash::try_from(bytes).unwrap()
    };
    let proof: Vec<Hash> = told["hashes"].as_array().unwrap().iter().map(hash).collect();
    verify_consistency(old.size(), old.root(), new.size(), new.root(), &proof).unwrap();
}

/// Registers so many villages in one transaction.
async fn many(world: &World, events: usize) {
    let console = thidua::commands::grant::console();
    let written = world.db.record(&console, async |tx: &thidua::db::WriteTx<'_>| {
        for _ in 0..events {
            let village = UnitDraft {
                names: since("Bản".to_owned()),
                ..crate::support::unit("Bản", UnitKind::Village, None)
            };
            thidua::units::store::register(tx, thidua::id::new_id(), &village).await?;
        }
        thidua::units::store::derive(tx.conn()).await?;
        Ok(thidua::db::Outcome::Changed(()))
    });
    written.await.unwrap();
}

both_engines! {
    async fn anybody_can_check_the_tree_and_who_reads_the_log_its_events(world: World) {
        let first = checkpoint(world).await;
        let auditor = world.person(Role::Auditor, None).await;
        let mut checkpoints = vec![first];
        for events in [1, 40, 250] {
            many(world, events).await;
            checkpoints.push(signed(world).await);
        }
        let newest = checkpoints.last().unwrap().clone();
        let hashes = hashes(world, newest.size()).await;
        assert_eq!(hashes.len() as u64, newest.size());
        assert_eq!(root_of(&hashes), *newest.root());
        for old in &checkpoints {
            consistent(world, old, &newest).await;
            let root = root_of(&hashes[..usize::try_from(old.size()).unwrap()]);
            assert_eq!(root, *old.root());
        }
        // Level 1 has the root of the first full tile.
        let level_1 = bytes(&world.nobody(), "/v1/log/tile/1/000.p/1").await;
        assert_eq!(level_1, root_of(&hashes[..256]));
        let bundle = bytes(&auditor, "/v1/log/tile/entries/000").await;
        let leaves = decode_entries(&bundle, 256).unwrap();
        assert_eq!(leaves.iter().map(|leaf| leaf_hash(leaf)).collect::<Vec<_>>(), hashes[..256]);
    }

    async fn an_event_has_a_proof_at_once(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let policy = world.nobody().get("/v1/log/policy").await.is(200).text;
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        write(&administrator, "Bản Một").await.is(201);
        let page = auditor.get("/v1/events?limit=200").await.is(200).json();
        for event in page["items"].as_array().unwrap() {
            let answer = auditor.get(&format!("/v1/events/{}/proof", event["id"].as_str().unwrap())).await.is(200);
            assert!(answer.header("content-disposition").unwrap().contains(".tlog-proof"));
            let leaf = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, event["leaf"].as_str().unwrap()).unwrap();
            let proven = tlog_proof::verify(&answer.text, &leaf, &policy).unwrap();
            assert_eq!(proven.index, event["position"].as_u64().unwrap());
            assert!(tlog_proof::verify(&answer.text, &leaf[1..], &policy).is_err());
        }
    }

    async fn with_nobody_waiting_the_log_is_signed_once_a_second(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let kept = async || {
            let raw = world.database.raw().await;
            let kept = crate::subject_keys::number(&raw, "SELECT count(*) AS n FROM audit_checkpoint").await;
            raw.close().await.unwrap();
            kept
        };
        let signer = world.shared.signer.clone().unwrap();
        let (before, began) = (kept().await, Stopwatch::start());
        let signing = tokio::spawn(async move { signer.keep_signing().await });
        let mut written = 0;
        while began.elapsed() < Duration::from_millis(3500) {
            write(&administrator, &format!("Bản {written}")).await.is(201);
            written += 1;
        }
        let (signed, seconds) = (kept().await - before, began.elapsed().as_secs());
        signing.abort();
        // A write in transit may be slow; a checkpoint more than seconds have passed is one that nobody asked for.
        assert!((1..=i64::try_from(seconds).unwrap() + 1).contains(&signed), "{signed} in {seconds} s, of {written} events");
        assert!(written > signed + 2, "events came between two checkpoints: {written}");
    }

    async fn a_write_waits_for_its_proof_if_asked_to(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let body = json!({ "names": [{ "value": "Bản Chờ", "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        let create = async |prefer: &str, key: &str| {
            let request = administrator.request("POST", "/v1/units").header("Idempotency-Key", key).json(&body);
            crate::support::http::send(request.header("Prefer", prefer)).await.is(201)
        };
        let proven = |answer: &crate::support::Answer| {
            let names = ["preference-applied", "event-id", "event-proof"];
            names.map(|name| answer.header(name).is_some()) == [true; 3]
        };
        let first = create("wait=2", "a").await;
        assert!(proven(&first));
        // The stored answer is proven as well, by a later checkpoint perhaps; it is the same event.
        write(&administrator, "Bản Giữa").await.is(201);
        let again = create("wait=10", "a").await;
        assert_eq!((again.header("idempotency-replayed"), again.header("event-id")), (Some("true"), first.header("event-id")));
        assert!(proven(&again) && again.text == first.text);
        for other in ["wait=0", "wait=99", "respond-async", "wait", ""] {
            let answer = create(other, &format!("k{other}")).await;
            assert!(["preference-applied", "event-id", "event-proof"].iter().all(|name| answer.header(name).is_none()), "{other}");
        }
        // A refusal has no event, and a read none of its own.
        let refused = administrator.request("POST", "/v1/units").header("Prefer", "wait=2").json(&body);
        assert!(crate::support::http::send(refused).await.is(400).header("event-id").is_none());
        let read = administrator.request("GET", first.header("location").unwrap()).header("Prefer", "wait=2");
        assert!(crate::support::http::send(read).await.is(200).header("event-id").is_none());
    }

    async fn what_is_not_there_or_not_for_one_is_refused(world: World) {
        let nobody = world.nobody();
        signed(world).await;
        for path in [
            "/v1/log/tile/0/000", "/v1/log/tile/0/001.p/1", "/v1/log/tile/0/000.p/255", "/v1/log/tile/6/000.p/1",
            "/v1/log/tile/0/0", "/v1/log/tile/0/000.p/0", "/v1/log/tile/0/000.p/256", "/v1/log/tile/x/000.p/1",
            "/v1/log/tile/0/x000/000.p/1",
        ] {
            nobody.get(path).await.is(404);
        }
        for (query, code) in [
            ("from=1", 400), ("from=2&to=1", 400), ("from=0&to=100000", 400), ("from=-1&to=1", 400), ("from=x&to=1", 400),
            ("from=1&to=1&zzz=1", 400), ("from=0&to=1", 200), ("from=1&to=1", 200), ("from=0&to=0", 200),
        ] {
            nobody.get(&format!("/v1/log/consistency?{query}")).await.is(code);
        }
        nobody.get("/v1/log/tile/entries/000.p/1").await.problem(401, "unauthenticated");
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        reporter.get("/v1/log/tile/entries/000.p/1").await.problem(403, "forbidden");
        // Somebody's role is no business of a reporter.
        let auditor = world.person(Role::Auditor, None).await;
        let page = auditor.get("/v1/events?type=grant.given&limit=1").await.is(200).json();
        let path = format!("/v1/events/{}/proof", page["items"][0]["id"].as_str().unwrap());
        reporter.get(&path).await.problem(404, "not_found");
        auditor.get(&path).await.is(200);
        auditor.get("/v1/events/01900000-0000-7000-8000-000000000000/proof").await.problem(404, "not_found");
    }

    async fn a_database_that_is_not_the_signed_one_is_only_read(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        write(&administrator, "Bản Một").await.is(201);
        let elsewhere = signed(world).await;
        let anchor = || Anchor::at(&world.anchor.path().join("anchor"));
        let keys = |anchor| LogKeys::new(vec![log_key()], anchor, None).unwrap();
        // Further on in another history, as before an old copy was restored.
        let before = anchor().read().unwrap();
        let ahead = Checkpoint::new(elsewhere.origin(), elsewhere.size() + 5, *elsewhere.root()).unwrap();
        let other = Checkpoint::new(elsewhere.origin(), elsewhere.size() - 1, *elsewhere.root()).unwrap();
        let (has, signed) = (elsewhere.size(), ahead.size());
        for (there, trouble) in [
            (ahead, Trouble::Behind { has, signed }),
            (other.clone(), Trouble::Differs { signed: other.size() }),
        ] {
            let note = note::write(&there.to_string(), &[log_key().sign(&there.to_string()).unwrap()]).unwrap();
            assert!(anchor().swap(anchor().read().unwrap().as_deref(), &note).unwrap());
            // A service that starts finds out before it serves.
            let starting = world.database.connect().await;
            let signer = Arc::new(Signer::new(starting.clone(), keys(anchor())));
            signer.start().await.unwrap();
            assert_eq!(signer.trouble(), Some(&trouble));
            assert_eq!(anchor().read().unwrap().as_deref(), Some(&*note), "nothing was signed");
            starting.close().await;
        }
        // One that runs finds out when it signs next.
        world.shared.signer.as_ref().unwrap().covering(elsewhere.size() + 1).await.unwrap_err();
        write(&administrator, "Bản Hai").await.problem(503, "read_only");
        world.nobody().get("/v1/log/checkpoint").await.problem(503, "read_only");
        administrator.get("/v1/units").await.is(200);
        let ready = world.nobody().get("/readyz").await.is(200).json();
        assert_eq!(ready["status"], "read only: the log is not the one that was signed");
        drop(before);
    }

    async fn without_a_key_the_log_is_not_signed(world: World) {
        let verifier = crate::support::verifier(Keys::from_jwks(&world.jwks).unwrap());
        let shared = Shared::new(world.db.clone(), verifier, Limits::default(), None).await.unwrap();
        let (base, server) = crate::support::serve(&actix_web::web::Data::new(shared));
        let answer = world.client.get(format!("{base}/v1/log/checkpoint")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 503);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "not_signed");
        server.stop(false).await;
    }
}
