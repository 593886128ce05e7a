//! Sealed events looked at again: by the sampler of a running service, which stops it, and by `thidua log check`, which
//! names each finding. Edits are made as whoever owns the database can make them.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::json;
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Db, Outcome, WriteTx};
use thidua::error::Code;
use thidua::log::check::Check;
use thidua::log::proof::rotation::kin;
use thidua::log::rebuild;
use thidua::log::sampler::Sampler;
use thidua::log::signer::{Signer, Trouble};
use thidua::units::{self, UnitKind};

use crate::both_engines;
use crate::support::program::village;
use crate::support::watch::{LONGEST, watch};
use crate::support::{Engine, World, log_key, signer, unit};

/// Writes so many events, and signs them.
async fn write(world: &World, events: usize) {
    let console = console();
    let mut left = events;
    while left > 0 {
        // A transaction has its time.
        let part = left.min(100);
        let written = world.db.record(&console, async |tx: &WriteTx<'_>| {
            for _ in 0..part {
                units::store::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
            }
            Ok(Outcome::Changed(()))
        });
        written.await.unwrap();
        left -= part;
    }
    world.db.settle().await.unwrap();
    let size = thidua::log::seal::size(world.db.reader().conn()).await.unwrap();
    world.shared.signer.as_ref().unwrap().covering(u64::try_from(size).unwrap()).await.unwrap();
}

/// As whoever owns the database can.
async fn without_guards(world: &World) -> DatabaseConnection {
    let raw = world.database.raw().await;
    let triggers = [
        ("audit_event", "audit_event_no_update"),
        ("audit_event", "audit_event_no_delete"),
        ("audit_tile", "audit_tile_no_update"),
        ("audit_tile", "audit_tile_no_delete"),
        ("audit_checkpoint", "audit_checkpoint_no_update"),
        ("audit_checkpoint", "audit_checkpoint_once"),
        ("audit_head", "audit_head_frontier"),
        ("audit_head", "audit_head_forward"),
        ("audit_span", "audit_span_no_update"),
        ("audit_span", "audit_span_no_delete"),
    ];
    for (table, trigger) in triggers {
        let sql = match world.database.engine {
            Engine::Sqlite => format!("DROP TRIGGER {trigger}"),
            Engine::Postgres => format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
        };
        raw.execute_unprepared(&sql).await.unwrap();
    }
    raw
}

/// Exchanges two expressions, there and back.
async fn run(raw: &DatabaseConnection, sql: &str) {
    assert!(raw.execute_unprepared(sql).await.unwrap().rows_affected() > 0, "{sql}");
}

const EDIT: &str = "SET leaf = replace(leaf, 'unit.registered', 'unit.registereD')";
const UNDO: &str = "SET leaf = replace(leaf, 'unit.registereD', 'unit.registered')";

/// What a sampler finds that looks at everything twice.
async fn sampled(db: &Db, anchor: &Path) -> Option<Trouble> {
    let signer: Arc<Signer> = signer(db, anchor).await;
    let mut sampler = Sampler::new(&signer);
    for _ in 0..40 {
        if sampler.look().await.is_err() {
            break;
        }
    }
    signer.trouble().cloned()
}

async fn found(world: &World) -> Vec<String> {
    let keys = kin([], &[log_key().verifier().clone()]);
    let mut check = Check::resume(&world.db, Some(&keys), None).await.unwrap();
    check.run(|_, _| Ok(())).await.unwrap();
    check.state().findings
}

both_engines! {
    async fn the_sampler_meets_a_row_that_was_edited_and_the_service_goes_on(world: World) {
        write(world, 3).await;
        let administrator = world.person(Role::Administrator, None).await;
        let revocation = json!({ "sid": "phien-1", "reason": "Máy bị mất" });
        let revoked = administrator.create("/v1/revocations", &revocation).await.is(201);
        let erasure = json!({ "subject": { "type": "revocation", "id": revoked.id() }, "legal_basis": "purpose_ended" });
        administrator.create("/v1/erasures", &erasure).await.is(201);
        write(world, 3).await;
        let signer = world.shared.signer.as_ref().unwrap();
        let mut sampler = Sampler::new(signer);
        for _ in 0..200 {
            sampler.look().await.unwrap();
        }
        assert_eq!(signer.counts().differing(), 0, "every kind of record that the world begins with");
        let raw = world.database.raw().await;
        let guard = match world.database.engine {
            Engine::Sqlite => "DROP TRIGGER unit_update_guard",
            Engine::Postgres => "ALTER TABLE unit DISABLE TRIGGER unit_guard",
        };
        raw.execute_unprepared(guard).await.unwrap();
        raw.execute_unprepared("UPDATE unit SET fictitious = NOT fictitious").await.unwrap();
        let mut looks = 0;
        while signer.counts().differing() == 0 && looks < 400 {
            sampler.look().await.unwrap();
            looks += 1;
        }
        assert!(signer.counts().differing() > 0, "not met in {looks} looks");
        assert_eq!(signer.trouble(), None, "the log is as it was signed");
        raw.execute_unprepared("UPDATE unit SET fictitious = NOT fictitious").await.unwrap();
        raw.close().await.unwrap();
    }

    async fn the_sampler_meets_an_edit_and_the_service_goes_read_only(world: World) {
        write(world, 700).await;
        let raw = without_guards(world).await;
        let anchor = world.anchor.path().join("anchor");
        assert_eq!(sampled(&world.db, &anchor).await, None);
        let other = "'01900000-0000-7000-8000-000000000001'";
        let other = if world.database.engine == Engine::Sqlite { "x'01900000000070008000000000000001'" } else { other };
        for (position, edit, what) in [
            (100, EDIT.to_owned(), "the leaf has another hash"),
            (300, format!("SET unit_id = {other}"), "unit_id is not what the leaf says"),
            (705, "SET at = at + 1".to_owned(), "at is not what the leaf says"),
        ] {
            // A connection of its own: whoever meets trouble writes no more with it.
            let db = world.database.connect().await;
            let kept = format!("CREATE TABLE kept AS SELECT * FROM audit_event WHERE seq = {position}");
            raw.execute_unprepared(&kept).await.unwrap();
            run(&raw, &format!("UPDATE audit_event {edit} WHERE seq = {position}")).await;
            let trouble = Trouble::Changed { position, what };
            assert_eq!(sampled(&db, &anchor).await, Some(trouble), "{edit}");
            for column in ["leaf", "unit_id", "at"] {
                run(&raw, &format!("UPDATE audit_event SET {column} = (SELECT {column} FROM kept) WHERE seq = {position}")).await;
            }
            raw.execute_unprepared("DROP TABLE kept").await.unwrap();
            db.close().await;
        }
        assert_eq!(sampled(&world.db, &anchor).await, None);
        // In the service that runs: nothing is written any more, everything is read.
        let administrator = world.person(Role::Administrator, None).await;
        administrator.create("/v1/units", &village("Bản Trước")).await.is(201);
        run(&raw, &format!("UPDATE audit_event {EDIT} WHERE seq = 200")).await;
        let serving = world.shared.signer.as_ref().unwrap();
        let mut sampler = Sampler::new(serving);
        let mut looks = 0;
        while serving.trouble().is_none() && looks < 40 {
            let _ = sampler.look().await;
            looks += 1;
        }
        assert_eq!(serving.trouble(), Some(&Trouble::Changed { position: 200, what: "the leaf has another hash" }));
        administrator.create("/v1/units", &village("Bản Sau")).await.problem(503, "read_only");
        world.nobody().get("/v1/log/checkpoint").await.problem(503, "read_only");
        administrator.get("/v1/units").await.is(200);
        let ready = world.nobody().get("/readyz").await.is(200).json();
        assert_eq!(ready["status"], "read only: the log is not the one that was signed");
    }

    async fn a_check_names_what_was_changed(world: World) {
        for events in [250, 300, 40] {
            write(world, events).await;
        }
        assert_eq!(found(world).await, Vec::<String>::new());
        let raw = without_guards(world).await;
        let bytes = |hex: &str| if world.database.engine == Engine::Sqlite { format!("x'{hex}'") } else { format!("'\\x{hex}'::bytea") };
        for (edit, undo, findings) in [
            (format!("UPDATE audit_event {EDIT} WHERE seq = 20"), format!("UPDATE audit_event {UNDO} WHERE seq = 20"), vec![
                "position 20: event_type is not what the leaf says",
                "position 20: the hash of the leaf is not the one in tile 0/0",
                "tile 0/0: its root is not that of the events",
            ]),
            ("UPDATE audit_event SET stream_ver = stream_ver + 1 WHERE seq = 500".into(), "UPDATE audit_event SET stream_ver = stream_ver - 1 WHERE seq = 500".into(),
                vec!["position 500: stream_ver is not what the leaf says"]),
            (format!("UPDATE audit_tile SET root = {} WHERE idx = 1 AND level = 0", bytes(&"00".repeat(32))), String::new(),
                vec!["tile 0/1: its root is not that of the events"]),
        ] {
            run(&raw, &edit).await;
            let said = found(world).await;
            for finding in &findings {
                assert!(said.iter().any(|line| line == finding), "{finding} in {said:?}");
            }
            if !undo.is_empty() {
                run(&raw, &undo).await;
            }
        }
        run(&raw, "DELETE FROM audit_tile WHERE idx = 1 AND level = 0").await;
        assert_eq!(found(world).await, ["tile 0/1: missing"]);
        run(&raw, "DELETE FROM audit_event WHERE seq = 300").await;
        let said = found(world).await;
        assert_eq!(said.last().unwrap(), "position 300: missing; what stands behind it cannot be checked");
    }

    async fn a_comparison_of_log_and_tables_goes_on_where_it_was(world: World) {
        write(world, 700).await;
        let raw = without_guards(world).await;
        run(&raw, "UPDATE audit_event SET leaf = replace(leaf, '\"v\":1', '\"v\": 1') WHERE seq = 100").await;
        let directory = tempfile::tempdir().unwrap();
        let fresh = async || Db::connect(&format!("sqlite://{}", directory.path().join("fresh.db").display())).await.unwrap();
        let interrupted = async |at: usize| {
            let copy = fresh().await;
            let mut seen = Vec::new();
            let ended = rebuild::check(&world.db, &copy, |events| {
                seen.push(events);
                if events >= at { Err(Code::Busy.into()) } else { Ok(()) }
            });
            let ended = ended.await.map(|report| report.differences);
            copy.close().await;
            (seen, ended)
        };
        let (seen, ended) = interrupted(500).await;
        assert_eq!((seen.as_slice(), ended.map_err(|error| error.code)), ([500].as_slice(), Err(Code::Busy)));
        // What was replayed before is told still, and once.
        write(world, 400).await;
        let (seen, ended) = interrupted(1000).await;
        assert_eq!((seen.as_slice(), ended.map_err(|error| error.code)), ([1000].as_slice(), Err(Code::Busy)), "500 were passed");
        let (seen, ended) = interrupted(usize::MAX).await;
        assert!(seen.len() == 1 && seen[0] > 1100, "{seen:?}");
        let told = ended.unwrap();
        assert_eq!(told.iter().filter(|line| line.starts_with("position 100: ")).count(), 1, "{told:?}");
        assert!(!told.iter().any(|line| line.starts_with("position 1") && !line.starts_with("position 100: ")), "nothing else");
        assert!(told.iter().filter(|line| line.contains("in the table, not in the log")).count() == 1, "the record of that event");
        // Of another log, nothing is gone on with.
        run(&raw, &format!("UPDATE audit_event {EDIT} WHERE seq = (SELECT max(seq) FROM audit_event)")).await;
        let copy = fresh().await;
        let other = rebuild::check(&world.db, &copy, |_| Ok(())).await;
        assert_eq!(other.unwrap_err().code, Code::Internal);
        copy.close().await;
    }

    async fn a_check_compares_checkpoints_and_goes_on_where_it_was(world: World) {
        write(world, 1100).await;
        write(world, 200).await;
        let keys = kin([], &[log_key().verifier().clone()]);
        // Interrupted after the first stretch.
        let mut check = Check::resume(&world.db, Some(&keys), None).await.unwrap();
        let stopped = check.run(|_, _| Err(thidua::error::Code::Busy.into())).await;
        assert!(stopped.is_err());
        let state = check.state();
        assert_eq!(state.position, 1024);
        // What was checked already is not read again.
        let raw = without_guards(world).await;
        run(&raw, &format!("UPDATE audit_event {EDIT} WHERE seq = 100")).await;
        let text = serde_json::to_string(&state).unwrap();
        let mut resumed = Check::resume(&world.db, Some(&keys), Some(serde_json::from_str(&text).unwrap())).await.unwrap();
        resumed.run(|_, _| Ok(())).await.unwrap();
        assert_eq!(resumed.state().findings, Vec::<String>::new());
        assert!(resumed.state().position > 1300);
        let said = found(world).await;
        assert!(said.iter().any(|line| line.ends_with("its root is not that of the events") && line.starts_with("checkpoint of")), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("the head: its root at")), "{said:?}");
        run(&raw, &format!("UPDATE audit_event {UNDO} WHERE seq = 100")).await;
        assert_eq!(found(world).await, Vec::<String>::new());
        // The times by which events are found.
        for edit in ["min_at = min_at - 1", "max_at = 0", "block = 7"] {
            raw.execute_unprepared("CREATE TABLE kept AS SELECT * FROM audit_span").await.unwrap();
            run(&raw, &format!("UPDATE audit_span SET {edit}")).await;
            let said = found(world).await;
            assert!(said.iter().any(|line| line == "span 0: its times are not those of the events"), "{said:?}");
            assert_eq!(said.iter().any(|line| line == "span 7: there are not so many events"), edit == "block = 7");
            raw.execute_unprepared("DELETE FROM audit_span").await.unwrap();
            raw.execute_unprepared("INSERT INTO audit_span SELECT * FROM kept").await.unwrap();
            raw.execute_unprepared("DROP TABLE kept").await.unwrap();
        }
        assert_eq!(found(world).await, Vec::<String>::new());
        // A state of another log is not believed.
        let other = text.replace(&format!("\"tip\":\"{}", &text.split("\"tip\":\"").nth(1).unwrap()[..2]), "\"tip\":\"zz");
        let check = Check::resume(&world.db, Some(&keys), Some(serde_json::from_str(&other).unwrap())).await.unwrap();
        assert_eq!((check.state().position, check.state().findings.len()), (0, 1));
        // A checkpoint that nobody known signed, and one of more events than there are.
        run(&raw, "UPDATE audit_checkpoint SET note = replace(note, '— test', '— tost')").await;
        assert!(found(world).await.iter().all(|line| line.ends_with("no known key signed it")));
        run(&raw, "UPDATE audit_checkpoint SET size = 1000000 WHERE size = (SELECT max(size) FROM audit_checkpoint)").await;
        assert!(found(world).await.iter().any(|line| line.starts_with("checkpoint of 1000000 events: the log has ")));
    }

    async fn the_command_tells_its_findings_and_fails(world: World) {
        watch(LONGEST);
        write(world, 300).await;
        let console = console();
        let derived = world.db.record(&console, async |tx: &WriteTx<'_>| {
            units::store::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
            units::store::derive(tx.conn()).await?;
            Ok(Outcome::Changed(()))
        });
        derived.await.unwrap();
        let state = world.anchor.path().join("state");
        let check = || -> Output {
            let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
            command.args(["log", "check", "--state"]).arg(&state).env("THIDUA_DATABASE_URL", &world.database.url);
            command.envs(world.database.urls().keys.map(|keys| ("THIDUA_SUBJECT_KEYS", keys)));
            command.env("RUST_LOG", "error").output().unwrap()
        };
        let said = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
        let good = check();
        assert!(good.status.success() && said(&good).ends_with(" records, 0 findings\n"), "{good:?}");
        assert!(!state.exists());
        let raw = without_guards(world).await;
        run(&raw, "UPDATE audit_event SET at = at + 1 WHERE seq = 17").await;
        let bad = check();
        assert!(!bad.status.success() && said(&bad).contains("position 17: at is not what the leaf says\n"), "{bad:?}");
        run(&raw, "UPDATE audit_event SET at = at - 1, day = '2001-02-03' WHERE seq = 17").await;
        let bad = check();
        assert!(!bad.status.success() && said(&bad).contains("position 17: its day is not that of the log\n"), "{bad:?}");
    }
}
