//! Exports: what is given out can be proven, goes on where it was cut, and is written down.

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::canonical::sha256;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::manifest::{Manifest, split};
use thidua::log::proof::note;
use thidua::log::proof::tree::leaf_hash;

use crate::both_engines;
use crate::support::{Answer, Person, log_key, many};

async fn export(person: &Person<'_>, draft: Value) -> Answer {
    person.create("/v1/exports", &draft).await.is(201)
}

async fn content(person: &Person<'_>, export: &Answer) -> Answer {
    person.get(&format!("/v1/exports/{}/content", export.id())).await.is(200)
}

both_engines! {
    async fn an_export_of_leaves_can_be_proven(world: World) {
        many(world, 700, 0).await;
        let auditor = world.person(Role::Auditor, None).await;
        for from in [0_u64, 1, 3, 256, 700] {
            let made = export(&auditor, json!({ "format": "ndjson", "purpose": "audit", "from": from })).await;
            let to = made.json()["to"].as_u64().unwrap();
            let answer = content(&auditor, &made).await;
            assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
            assert_eq!(answer.header("first-position"), Some(&*from.to_string()));
            let manifest = auditor.get(&format!("/v1/exports/{}/manifest", made.id())).await.is(200).text;
            let (manifest_note, checkpoint) = split(&manifest).unwrap();
            let keys = [log_key().verifier().clone()];
            let said = Manifest::parse(note::open(manifest_note, &keys).unwrap().text).unwrap();
            let checkpoint: Checkpoint = note::open(checkpoint, &keys).unwrap().text.parse().unwrap();
            assert_eq!((said.export.as_str(), said.from, said.to), (made.id().as_str(), from, to));
            assert_eq!((said.bytes, said.sha256), (answer.text.len() as u64, sha256(answer.text.as_bytes())));
            let mut tree = said.before().unwrap();
            let mut lines = 0;
            for line in answer.text.split_terminator('\n') {
                tree.push(leaf_hash(line.as_bytes())).unwrap();
                lines += 1;
            }
            assert_eq!((lines, checkpoint.size(), *checkpoint.root()), (said.events, to, tree.root()));
            // Whatever comes later, the bytes stay.
            many(world, 1, 0).await;
            assert_eq!(content(&auditor, &made).await.text, answer.text);
            let again = auditor.get(&format!("/v1/exports/{}/manifest", made.id())).await.is(200).text;
            assert_eq!(again, manifest);
        }
    }

    async fn a_download_that_was_cut_goes_on(world: World) {
        many(world, 1200, 0).await;
        let auditor = world.person(Role::Auditor, None).await;
        let made = export(&auditor, json!({ "format": "ndjson", "purpose": "archive", "from": 2 })).await;
        let path = format!("/v1/exports/{}/content", made.id());
        let whole = content(&auditor, &made).await.text;
        for taken in [1_usize, 511, 512, 513, 1100] {
            let first: String = whole.split_inclusive('\n').take(taken).collect();
            let rest = auditor.get(&format!("{path}?after={}", 2 + taken - 1)).await.is(200).text;
            assert!(first + &rest == whole, "after {taken} lines");
        }
        let to = made.json()["to"].as_i64().unwrap();
        assert_eq!(auditor.get(&format!("{path}?after={}", to - 1)).await.is(200).text, "");
        for outside in [0, to, to + 1] {
            auditor.get(&format!("{path}?after={outside}")).await.problem(400, "invalid_query");
        }

        let table = export(&auditor, json!({ "format": "csv", "purpose": "statistics", "type": "unit.*" })).await;
        let path = format!("/v1/exports/{}/content", table.id());
        let whole = content(&auditor, &table).await;
        assert!(whole.header("content-type").unwrap().starts_with("text/csv; charset=utf-8"));
        assert!(whole.text.starts_with("\u{feff}position,event,type,"), "{}", &whole.text[..40]);
        assert!(whole.text.lines().next().unwrap().contains("only an ndjson export"));
        let rows: Vec<&str> = whole.text.split_terminator("\r\n").skip(1).collect();
        assert!(rows.len() >= 1210, "{}", rows.len());
        assert!(rows.iter().all(|row| row.split(',').nth(2) == Some("unit.registered")));
        let after = rows[599].split(',').next().unwrap();
        let rest = auditor.get(&format!("{path}?after={after}")).await.is(200).text;
        assert_eq!(rest.split_terminator("\r\n").collect::<Vec<_>>(), rows[600..]);

        let events = export(&auditor, json!({ "format": "cloudevents", "purpose": "integration" })).await;
        let mut path = format!("/v1/exports/{}/content", events.id());
        let (mut sequences, mut batches) = (Vec::new(), 0);
        loop {
            let batch = auditor.get(&path).await.is(200);
            assert_eq!(batch.header("content-type"), Some("application/cloudevents-batch+json"));
            assert!(batch.text.len() <= 1_000_000);
            batches += 1;
            for event in batch.json().as_array().unwrap() {
                assert_eq!((&event["specversion"], &event["datacontenttype"]), (&json!("1.0"), &json!("application/json")));
                assert_eq!(event["source"], format!("https://{}", crate::support::ORIGIN));
                assert_eq!(event["type"], format!("vn.thidua.{}", event["data"]["type"].as_str().unwrap()));
                assert_eq!((&event["id"], &event["subject"]), (&event["data"]["id"], &event["data"]["stream"]));
                sequences.push(event["sequence"].as_str().unwrap().to_owned());
            }
            let Some(link) = batch.header("link") else { break };
            path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        let to = events.json()["to"].as_i64().unwrap();
        let expected: Vec<String> = (0..to).map(|position| format!("{position:020}")).collect();
        assert_eq!(sequences, expected, "each event once, in order");
        assert!(batches > 1);
    }

    async fn who_takes_what_is_known(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let draft = json!({ "format": "csv", "purpose": "inspection", "unit": world.units.village_a });
        reporter.create("/v1/exports", &draft).await.problem(403, "forbidden");
        let first = auditor.create_as("/v1/exports", "one", &draft).await.is(201);
        let second = auditor.create_as("/v1/exports", "one", &draft).await.is(201);
        assert_eq!((first.json(), second.header("idempotency-replayed")), (second.json(), Some("true")));
        let path = first.header("location").unwrap().to_owned();
        assert_eq!(auditor.get(&path).await.is(200).json(), first.json());
        reporter.get(&path).await.problem(403, "forbidden");
        reporter.get(&format!("{path}/content")).await.problem(403, "forbidden");
        let events = auditor.get(&format!("{path}/events")).await.is(200).json();
        assert_eq!((&events["items"][0]["type"], events["items"].as_array().unwrap().len()), (&json!("export.requested"), 1));
        assert_eq!(events["items"][0]["changes"]["purpose"], json!([null, "inspection"]));
        assert_eq!(events["items"][0]["actor"]["id"], json!(auditor.account));
        let by = |query: String| { let auditor = &auditor; async move {
            auditor.get(&format!("/v1/exports?{query}")).await.is(200).json()["items"].as_array().unwrap().len()
        } };
        assert_eq!(by("purpose=inspection&format=csv".into()).await, 1);
        assert_eq!(by(format!("requested_by={}", auditor.account)).await, 1);
        assert_eq!(by("purpose=archive".into()).await, 0);
        // What cannot be, is refused where it stands.
        for (draft, pointer) in [
            (json!({ "format": "ndjson", "purpose": "audit", "record": world.units.village_a }), "/record"),
            (json!({ "format": "ndjson", "purpose": "audit", "type": "unit.*" }), "/type"),
            (json!({ "format": "csv", "purpose": "audit", "type": "castle.built" }), "/type"),
            (json!({ "format": "csv", "purpose": "audit", "from": 1_000_000 }), "/from"),
        ] {
            let refused = auditor.create("/v1/exports", &draft).await.problem(422, "invalid_value").json();
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{draft}");
        }
        auditor.get(&format!("{path}/manifest")).await.problem(404, "not_found");
        auditor.get("/v1/exports/01900000-0000-7000-8000-000000000000/content").await.problem(404, "not_found");
    }
}
