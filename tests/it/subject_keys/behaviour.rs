//! With keys the service answers as without; only what stands in the database differs.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::db::event::Disclosure;

use super::{MARK, columns, disclosures, erase, figure, file, keys, literal, number, occurrences, sealed_worlds};
use crate::log::rebuild_of;
use crate::support::Engine;

sealed_worlds! {
    async fn values_are_shown_to_callers_and_stand_nowhere_in_the_database(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let made = figure(world, 2023).await;
        let path = made.header("location").unwrap();
        let read = auditor.get(path).await.is(200).json();
        assert_eq!((&read["counts"]["note"], &read["change_reason"]), (&json!("hoangyen hai"), &json!("hoangyen ba")));
        let listed = auditor.get("/v1/figures?limit=200").await.is(200).json();
        assert_eq!(listed["items"][0]["counts"]["note"], "hoangyen hai");
        let shown = disclosures(world, path).await;
        let one = &shown["disclosures"][0];
        assert_eq!((&one["value"], &shown["commitments"][0]["state"]), (&json!("hoangyen một"), &json!("disclosed")));
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        let disclosure = Disclosure { salt: text("salt"), path: text("path"), value: one["value"].clone() };
        assert_eq!(disclosure.digest().unwrap(), shown["commitments"][0]["digest"].as_str().unwrap());
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());

        let raw = world.database.raw().await;
        assert_eq!(columns(&raw, MARK).await, Vec::<String>::new());
        if world.database.engine == Engine::Sqlite {
            let file = file(&world.database);
            assert_eq!((occurrences(&file), occurrences(&format!("{file}-wal"))), (0, 0));
        }
        // The search does find it, so the test would see it.
        raw.execute_unprepared("UPDATE derived SET name = 'hoangyen' WHERE name = 'search'").await.unwrap();
        assert_eq!(columns(&raw, MARK).await, ["derived.name"]);
    }

    async fn what_was_written_before_there_were_keys_is_read_as_it_is(world: World) {
        // One that was there before, as the keyless service wrote it.
        let keyless = thidua::db::Db::connect(&world.database.url).await.unwrap();
        let grant = thidua::grants::GrantDraft { issuer: crate::support::ISSUER.into(), subject: "cu".into(),
            label: Some(format!("{MARK} cũ")), role: Role::Auditor, unit: None, valid_from: None, valid_to: None };
        let account = thidua::commands::grant::give(&keyless, &grant).await.unwrap();
        keyless.close().await;
        let raw = world.database.raw().await;
        assert!(columns(&raw, MARK).await.contains(&"account.label".to_owned()));
        let auditor = world.person(Role::Auditor, None).await;
        let read = auditor.get(&format!("/v1/accounts/{account}")).await.is(200).json();
        assert_eq!(read["label"], format!("{MARK} cũ"));
        let shown = disclosures(world, &format!("/v1/accounts/{account}")).await;
        assert_eq!(shown["disclosures"].as_array().unwrap().len(), 2);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
        let erased = format!("subject_id = {}", literal(world.database.engine, &account.to_string()));
        assert_eq!(keys(&world.database, &erased).await, 0);
    }

    async fn no_text_can_pretend_to_be_sealed(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let pretended = "\u{1}s1:00000000000000000000000000000000:AAAA";
        let body = json!({ "sid": "phien-1", "reason": pretended });
        administrator.create("/v1/revocations", &body).await.problem(422, "invalid_value");
        // What stands behind the door refuses it as well.
        let draft = thidua::grants::GrantDraft { issuer: crate::support::ISSUER.into(), subject: "ai".into(),
            label: Some(pretended.into()), role: Role::Auditor, unit: None, valid_from: None, valid_to: None };
        let refused = thidua::commands::grant::give(&world.db, &draft).await.unwrap_err();
        assert_eq!((refused.code.as_str(), refused.faults[0].pointer.as_str()), ("invalid_value", "/label"));
        // In the middle of a text it means nothing.
        let body = json!({ "sid": "phien-1", "reason": "s1:00000000000000000000000000000000:AAAA" });
        let made = administrator.create("/v1/revocations", &body).await.is(201);
        let read = administrator.get(made.header("location").unwrap()).await.is(200).json();
        assert_eq!(read["reason"], "s1:00000000000000000000000000000000:AAAA");
    }

    async fn an_erasure_ends_the_key_and_what_is_written_afterwards_has_another(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let counts = |note: &str| json!({ "poor_households": 1, "recognised_by": world.units.commune_a,
            "decision_number": "1/QĐ", "note": note });
        let body = json!({ "unit": world.units.village_a, "year": 2023, "poverty_standard": "2022-2025",
            "counts": counts("Bà Ở") });
        let made = reporter.create_as("/v1/figures", "once", &body).await.is(201);
        let again = reporter.create_as("/v1/figures", "once", &body).await.is(201);
        assert_eq!((again.header("idempotency-replayed"), again.json()), (Some("true"), made.json()));
        let path = made.header("location").unwrap();
        let of = format!("subject_id = {}", literal(world.database.engine, &made.id()));
        assert_eq!(keys(&world.database, &of).await, 1);
        let erased = erase(world, "figure", &made.id()).await;
        assert_eq!(erased.json()["digests"], 1);
        assert_eq!(keys(&world.database, &of).await, 0);
        reporter.create_as("/v1/figures", "once", &body).await.problem(410, "erased");

        let etag = officer.get(path).await.is(200).etag();
        let confirmed = officer.change(&format!("{path}:confirm"), &etag, &json!({})).await.is(200);
        let correction = json!({ "counts": counts("Bà Ở lại gọi"), "reason": "Rà soát lại" });
        officer.change(&format!("{path}:correct"), &confirmed.etag(), &correction).await.is(200);
        // The key database knows this one from its record's version, and so does the hourly sweep.
        let raw = world.database.keys.as_ref().unwrap().raw().await;
        let there = || number(&raw, "SELECT count(*) AS n FROM subject_key WHERE since > 1");
        assert_eq!(there().await, 1);
        world.db.bury_keys(None).await.unwrap();
        assert_eq!(there().await, 1);
        world.db.forget_keys();
        assert_eq!(officer.get(path).await.is(200).json()["counts"]["note"], "Bà Ở lại gọi");
        administrator.create("/v1/erasures", &json!({ "subject": { "type": "figure", "id": made.id() },
            "legal_basis": "law" })).await.is(201);
        assert_eq!(there().await, 0);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn a_key_that_outlived_its_erasure_goes_with_the_next_sweep(world: World) {
        let made = figure(world, 2023).await;
        let kept = figure(world, 2022).await;
        let raw = world.database.keys.as_ref().unwrap().raw().await;
        raw.execute_unprepared("CREATE TABLE kept AS SELECT * FROM subject_key").await.unwrap();
        erase(world, "figure", &made.id()).await;
        // As if deleting had failed, or an older copy of the key database had been restored.
        raw.execute_unprepared("DELETE FROM subject_key").await.unwrap();
        raw.execute_unprepared("INSERT INTO subject_key SELECT * FROM kept").await.unwrap();
        world.db.forget_keys();
        world.db.bury_keys(None).await.unwrap();
        for (record, left) in [(&made, 0), (&kept, 1)] {
            let of = format!("subject_id = {}", literal(world.database.engine, &record.id()));
            assert_eq!(keys(&world.database, &of).await, left);
        }
    }

    async fn an_erasure_that_is_not_committed_loses_nothing(world: World) {
        let made = figure(world, 2023).await;
        let record = made.id().parse().unwrap();
        let console = thidua::commands::grant::console();
        let kind = thidua::rooms::kinds().find(|kind| kind.stream == "figure").unwrap();
        let rolled_back = world.db.record(&console, async |tx: &thidua::db::WriteTx<'_>| {
            (kind.erase)(tx, record).await?.unwrap();
            Ok(thidua::db::Outcome::Unchanged(()))
        });
        rolled_back.await.unwrap();
        world.db.bury_keys(Some(record)).await.unwrap();
        world.db.forget_keys();
        let auditor = world.person(Role::Auditor, None).await;
        let read = auditor.get(made.header("location").unwrap()).await.is(200).json();
        assert_eq!(read["counts"]["note"], "hoangyen hai");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
        let erased = erase(world, "figure", &made.id()).await.json();
        assert_eq!(erased["digests"], 4);
        let of = format!("subject_id = {}", literal(world.database.engine, &made.id()));
        assert_eq!(keys(&world.database, &of).await, 0);
    }

    async fn without_the_key_database_nothing_is_shown_and_nothing_is_lost(world: World) {
        let made = figure(world, 2023).await;
        let path = made.header("location").unwrap().to_owned();
        let auditor = world.person(Role::Auditor, None).await;
        let administrator = world.person(Role::Administrator, None).await;
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let size = async || auditor.get("/v1/events?limit=1").await.is(200).json()["size"].clone();
        let before = size().await;
        let raw = world.database.keys.as_ref().unwrap().raw().await;
        raw.execute_unprepared("ALTER TABLE subject_key RENAME TO away").await.unwrap();
        world.db.forget_keys();
        let counts = json!({ "poor_households": 1, "recognised_by": world.units.commune_a, "decision_number": "1/QĐ",
            "note": "Bà Ở" });
        let body = json!({ "unit": world.units.village_a, "year": 2022, "poverty_standard": "2022-2025", "counts": counts });
        let erasure = json!({ "subject": { "type": "figure", "id": made.id() }, "legal_basis": "law" });
        for answer in [
            auditor.get(&path).await,
            auditor.get("/v1/figures").await,
            reporter.create_as("/v1/figures", "later", &body).await,
            administrator.create_as("/v1/erasures", "later", &erasure).await,
        ] {
            let answer = answer.problem(503, "busy");
            assert!(answer.header("retry-after").is_some());
            assert!(!answer.text.contains(MARK));
        }
        assert_eq!(world.nobody().get("/readyz").await.status, 503);
        // Records that have no personal value are served as ever.
        auditor.get("/v1/units").await.is(200);
        assert_eq!(size().await, before);
        raw.execute_unprepared("ALTER TABLE away RENAME TO subject_key").await.unwrap();
        assert_eq!(world.nobody().get("/readyz").await.status, 200);
        let read: Value = auditor.get(&path).await.is(200).json();
        assert_eq!(read["counts"]["note"], "hoangyen hai");
        reporter.create_as("/v1/figures", "later", &body).await.is(201);
        administrator.create_as("/v1/erasures", "later", &erasure).await.is(201);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
