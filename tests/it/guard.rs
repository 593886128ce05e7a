//! The guard: hand-written SQL cannot change a row without its event, nor touch the log.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use serde_json::json;
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Event, Outcome, WriteTx};
use thidua::units::{UnitKind, store};

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::forge::{self, Forged, in_one_transaction, refused_at_last};
use crate::support::{Engine, World, unit};

async fn refused(conn: &DatabaseConnection, sql: &str) {
    let result = conn.execute_unprepared(sql).await;
    let text = result.err().unwrap_or_else(|| panic!("went through: {sql}")).to_string();
    let known = ["audit guard", "UNIQUE constraint", "CHECK constraint", "check constraint", "duplicate key"];
    assert!(known.iter().any(|word| text.contains(word)), "{sql}: {text}");
}

async fn count(conn: &DatabaseConnection, table: &str) -> i64 {
    let statement = Statement::from_string(conn.get_database_backend(), format!("SELECT count(*) AS n FROM {table}"));
    conn.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// The service writes something: on SQLite that seals what lies in the inbox, on PostgreSQL the sealer is asked.
async fn goes_on(world: &World) {
    let auditor = world.person(Role::Auditor, None).await;
    let console = console();
    let written = world.db.record(&console, async |tx: &WriteTx<'_>| {
        store::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
        store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(()))
    });
    written.await.unwrap();
    let events = auditor.get("/v1/events?order=desc&limit=2").await.is(200).json();
    assert_eq!(events["items"][0]["type"], "unit.registered", "the log goes on");
}

/// The types of a unit's sealed events.
async fn history(world: &World, unit: uuid::Uuid) -> Vec<String> {
    let auditor = world.person(Role::Auditor, None).await;
    let page = auditor.get(&format!("/v1/units/{unit}/events?limit=200")).await.is(200).json();
    page["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// Leaves that are not those of the columns beside them, or no leaves at all.
fn false_leaves(good: &Forged) -> Vec<Forged> {
    let other = uuid::Uuid::nil();
    vec![
        good.clone().with("{}"),
        good.clone().with("not json"),
        good.clone().with(""),
        good.clone().with("[]"),
        good.clone().with("[".repeat(60_000)),
        good.clone().with(format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))),
        good.clone().with(format!("[{}]", good.text())),
        good.clone().with(format!("{} ", good.text())),
        good.rewritten("\"v\":1", "\"v\": 1"),
        good.rewritten("\"v\":1", "\"v\":1.0"),
        good.rewritten("{\"actor\"", "{\"a\":0,\"actor\""),
        good.rewritten("\"ver\"", "\"ver\":1,\"ver\""),
        good.rewritten("\"ver\"", "\"id\":\"x\",\"ver\""),
        good.rewritten("\"id\":null,", ""),
        good.rewritten("\"reason\":null,", ""),
        good.saying("ver", json!(good.version + 1)),
        good.saying("ver", json!(good.version.to_string())),
        good.saying("v", json!(2)),
        good.saying("type", json!("unit.registered")),
        good.saying("stream", json!(format!("unit/{other}"))),
        good.saying("id", json!(other)),
        good.saying("id", json!(good.event.simple().to_string())),
        good.saying("unit", json!(other)),
        good.saying("scope", json!(other)),
        good.saying("actor", json!({ "id": other, "kind": "account" })),
        good.saying("actor", json!({ "id": null, "kind": "account" })),
    ]
}

both_engines! {
    async fn no_row_changes_on_an_event_that_the_log_would_not_take(world: World) {
        let raw = world.database.raw().await;
        let good = forge::next(world, &raw, world.units.village_a).await;
        in_one_transaction(&raw, &[good.insert(), good.change()]).await.rollback().await.unwrap();
        for bad in false_leaves(&good) {
            refused_at_last(&raw, &[bad.insert(), bad.change()]).await;
        }
    }

    async fn what_is_no_leaf_goes_to_quarantine(world: World) {
        let raw = world.database.raw().await;
        let village = world.units.village_a;
        let kinds = false_leaves(&forge::next(world, &raw, village).await).len();
        for kind in 0..kinds {
            let bad = false_leaves(&forge::next(world, &raw, village).await).swap_remove(kind);
            raw.execute_unprepared(&bad.insert()).await.unwrap();
            goes_on(world).await;
        }
        assert_eq!(count(&raw, "audit_inbox").await, 0);
        assert_eq!(count(&raw, "audit_quarantine").await, i64::try_from(kinds).unwrap());
        assert_eq!(history(world, village).await, ["unit.registered"]);
        let report = rebuild_of(world).await;
        assert_eq!((report.differences.len(), report.remarks.len()), (0, kinds), "{report:?}");
    }

    async fn an_event_that_a_row_stands_on_is_taken_by_the_log_alone(world: World) {
        let (raw, other) = (world.database.raw().await, world.database.raw().await);
        let sqlite = world.database.engine == Engine::Sqlite;
        let village = world.units.village_a;
        let event = forge::next(world, &raw, village).await;
        let change = [event.insert(), event.change()];
        let then = |more: &[String]| [&change[..], more].concat();

        // In one transaction: used up and thrown away, in every order.
        refused_at_last(&raw, &then(&[event.throw_away()])).await;
        refused_at_last(&raw, &then(&[event.quarantine()])).await;
        let next = event.then();
        refused_at_last(&raw, &then(&[next.insert(), next.change(), event.quarantine()])).await;
        if sqlite {
            refused_at_last(&raw, &[event.insert(), event.quarantine(), event.change()]).await;
        } else {
            refused_at_last(&raw, &[event.insert(), event.quarantine()]).await;
        }
        // Into the log, but elsewhere, or as something else.
        refused_at_last(&raw, &then(&[event.seal(1, "unit_id")])).await;
        refused_at_last(&raw, &then(&[event.seal(-1, "unit_id")])).await;
        refused_at_last(&raw, &then(&[event.seal(0, "stream_id")])).await;
        let empty = event.clone().with("{}");
        refused_at_last(&raw, &[empty.insert(), empty.seal(0, "unit_id")]).await;

        // In two: committed, and taken away before the sealer comes, which on PostgreSQL waits for the head.
        let head = if sqlite { vec![] } else { vec!["SELECT size FROM audit_head FOR UPDATE".to_owned()] };
        let holder = in_one_transaction(&other, &head).await;
        if sqlite {
            holder.rollback().await.unwrap();
            in_one_transaction(&raw, &change).await.commit().await.unwrap();
            refused_at_last(&raw, &[event.quarantine()]).await;
            refused_at_last(&raw, &[event.throw_away()]).await;
        } else {
            in_one_transaction(&raw, &change).await.commit().await.unwrap();
            refused_at_last(&raw, &[event.quarantine()]).await;
            refused_at_last(&raw, &[event.throw_away()]).await;
            holder.rollback().await.unwrap();
        }
        goes_on(world).await;
        assert_eq!(history(world, village).await, ["unit.registered", "unit.amended"], "the change has its event");
        assert_eq!((count(&raw, "audit_inbox").await, count(&raw, "audit_quarantine").await), (0, 0));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn a_change_whose_leaf_nobody_can_read_keeps_its_event_and_is_named(world: World) {
        let raw = world.database.raw().await;
        let good = forge::next(world, &raw, world.units.village_a).await;
        let mut forged = vec![good.rewritten("[true,false]", "[true,1e999]")];
        let good = forge::next(world, &raw, world.units.village_b).await;
        let surrogate = good.rewritten("[true,false]", "[true,\"\\ud800\"]");
        if world.database.engine == Engine::Postgres {
            refused_at_last(&raw, &[surrogate.insert(), surrogate.change()]).await;
        } else {
            forged.push(surrogate);
            let good = forge::next(world, &raw, world.units.commune_a).await;
            let mut leaf = good.rewritten("[true,false]", "[true,\"?\"]").leaf;
            leaf.iter_mut().filter(|byte| **byte == b'?').for_each(|byte| *byte = 0xff);
            forged.push(good.with(leaf));
        }
        for event in &forged {
            in_one_transaction(&raw, &[event.insert(), event.change()]).await.commit().await.unwrap();
        }
        goes_on(world).await;
        goes_on(world).await;
        assert_eq!(count(&raw, "audit_quarantine").await, 0);
        for event in &forged {
            refused_at_last(&raw, &[event.quarantine()]).await;
            refused_at_last(&raw, &[event.throw_away()]).await;
        }
        let report = rebuild_of(world).await;
        let size = count(&raw, "audit_event").await;
        for (position, event) in (size..).zip(&forged) {
            let place = format!("position {position}, not sealed yet: the leaf is no ");
            assert!(report.differences.iter().any(|line| line.starts_with(&place)), "{place}: {report:?}");
            let row = format!("unit/{}: tip differs between table and log", event.stream);
            assert!(report.differences.contains(&row), "{row}: {report:?}");
        }
    }

    async fn a_leaf_that_nobody_can_read_is_named_in_the_log_as_well(world: World) {
        let raw = world.database.raw().await;
        let position = { world.db.settle().await.unwrap(); count(&raw, "audit_event").await };
        let good = forge::next(world, &raw, world.units.village_a).await;
        let event = good.rewritten("[true,false]", "[true,1e999]");
        // Sealed by hand as well: whoever can do that has read the migrations.
        let moved = "UPDATE audit_head SET size = size + 1".to_owned();
        let all = [event.insert(), event.change(), event.seal(0, "unit_id"), moved, event.throw_away()];
        in_one_transaction(&raw, &all).await.commit().await.unwrap();
        let report = rebuild_of(world).await;
        let place = format!("position {position}: the leaf is no JSON: ");
        assert!(report.differences[0].starts_with(&place), "{report:?}");
        assert!(report.differences.contains(&format!("unit/{}: version differs between table and log", event.stream)));
        assert_eq!(report.records, 11, "{report:?}");
    }

    async fn an_event_of_the_log_is_not_written_twice(world: World) {
        let raw = world.database.raw().await;
        world.db.settle().await.unwrap();
        let (good, other) = (forge::next(world, &raw, world.units.village_a).await, world.units.village_b);
        in_one_transaction(&raw, &[good.insert(), good.change()]).await.commit().await.unwrap();
        goes_on(world).await;
        let fresh = forge::next(world, &raw, other).await;
        let again = Forged { event: good.event, ..fresh.saying("id", json!(good.event)) };
        match world.database.engine {
            Engine::Sqlite => refused_at_last(&raw, &[again.insert()]).await,
            Engine::Postgres => {
                refused_at_last(&raw, &[again.insert(), again.change()]).await;
                raw.execute_unprepared(&again.insert()).await.unwrap();
            }
        }
        goes_on(world).await;
        assert_eq!((count(&raw, "audit_inbox").await, history(world, other).await.len()), (0, 1));
    }

    async fn a_change_whose_leaf_is_not_canonical_has_its_event_and_is_named(world: World) {
        let raw = world.database.raw().await;
        let good = forge::next(world, &raw, world.units.village_a).await;
        let odd = |event: Forged| event.rewritten("[true,false]", "[true,false,1.0]");
        let event = odd(good);
        in_one_transaction(&raw, &[event.insert(), event.change()]).await.commit().await.unwrap();
        let superfluous = odd(forge::next(world, &raw, world.units.village_b).await);
        raw.execute_unprepared(&superfluous.insert()).await.unwrap();
        goes_on(world).await;
        assert_eq!(history(world, event.stream).await, ["unit.registered", "unit.amended"]);
        assert_eq!(history(world, superfluous.stream).await, ["unit.registered"]);
        let report = rebuild_of(world).await;
        let [difference] = &report.differences[..] else { panic!("{report:?}") };
        assert!(difference.starts_with("position "), "{difference}");
        assert!(difference.ends_with(": the leaf is not canonical"), "{difference}");
        assert!(report.remarks[0].starts_with(&format!("event {}: set aside at ", superfluous.event)), "{report:?}");
    }

    async fn a_false_hash_cannot_hide_a_change(world: World) {
        let raw = world.database.raw().await;
        let village = world.units.village_a;
        let good = forge::next(world, &raw, village).await;
        let forged = Forged { hash: [9; 32], ..good };
        if world.database.engine == Engine::Postgres {
            let refused = raw.execute_unprepared(&forged.insert()).await.unwrap_err().to_string();
            assert!(refused.contains("check constraint"), "{refused}");
            return;
        }
        // SQLite cannot compute the hash. Where nothing stands on it, it is set aside …
        let elsewhere = Forged { hash: [9; 32], ..forge::next(world, &raw, world.units.village_b).await };
        raw.execute_unprepared(&elsewhere.insert()).await.unwrap();
        goes_on(world).await;
        assert_eq!(count(&raw, "audit_quarantine").await, 1);
        // … and where a row does, it waits like one whose bits fell over, and is named.
        in_one_transaction(&raw, &[forged.insert(), forged.change()]).await.commit().await.unwrap();
        goes_on(world).await;
        assert_eq!(history(world, village).await, ["unit.registered"]);
        let named = format!("event {}: not sealed, its leaf has another hash than it had", forged.event);
        assert_eq!(
            rebuild_of(world).await.differences,
            [named, format!("unit/{village}: tip differs between table and log")]
        );
    }

    async fn a_forged_next_event_loses_no_acknowledged_change(world: World) {
        let raw = world.database.raw().await;
        let village = world.units.village_a;
        raw.execute_unprepared(&forge::next(world, &raw, village).await.insert()).await.unwrap();
        let amended = unit("Bản Sửa", UnitKind::Village, Some(world.units.commune_a));
        let amend = async || world.db.record(&console(), async |tx: &WriteTx<'_>| {
            let old = store::locked(tx, village).await?;
            store::amend(tx, &old, &amended, Event::new("unit.amended")).await?;
            Ok(Outcome::Changed(()))
        }).await;
        assert!(amend().await.is_err(), "while the forged event waits");
        goes_on(world).await;
        assert_eq!(history(world, village).await.len(), 2, "it is well formed: the log has it");
        assert!(amend().await.is_err(), "once it is sealed");
        assert_eq!(count(&raw, "audit_quarantine").await, 0);
        let differences = rebuild_of(world).await.differences;
        let version = format!("unit/{village}: version differs between table and log");
        assert!(differences.contains(&version), "{differences:?}");
    }

    async fn an_event_that_could_stop_the_sealer_is_refused(world: World) {
        let raw = world.database.raw().await;
        let good = forge::next(world, &raw, world.units.village_a).await.insert();
        let bad = match world.database.engine {
            Engine::Sqlite => vec![
                good.replacen("VALUES (x'", "VALUES (x'00", 1),
                good.replace("'2026-01-01'", "'2026-02-30'"),
                good.replace("'2026-01-01'", "'today'"),
                good.replace("'unit.amended'", "CAST(x'ff' AS TEXT)"),
                good.replace("'00'", "CAST(x'ff' AS TEXT)"),
                good.replace("corr_id, at", "corr_id, unit_id, at").replace("'00', ", "'00', x'00', "),
            ],
            Engine::Postgres => vec![
                good.replace("'2026-01-01'", "'infinity'"),
                good.replace("'2026-01-01'", "'0044-03-15 BC'"),
            ],
        };
        for sql in bad {
            assert_ne!(sql, good);
            refused(&raw, &sql).await;
        }
        raw.execute_unprepared(&good).await.unwrap();
    }

    async fn hand_written_sql_is_refused(world: World) {
        world.person(Role::Administrator, None).await;
        world.db.settle().await.unwrap();
        let raw = world.database.raw().await;
        for sql in [
            "UPDATE unit SET fictitious = NOT fictitious",
            "UPDATE unit SET version = version + 1",
            "DELETE FROM unit",
            "INSERT INTO role_grant (id, version, tip, commitments, created_at, updated_at, account_id, role, valid_from) \
             SELECT account_id, 1, tip, '{}', 0, 0, account_id, 'administrator', '2021-01-01' FROM role_grant",
            "UPDATE audit_event SET leaf = 'x'",
            "DELETE FROM audit_event",
            "UPDATE audit_head SET size = size - 1",
            "UPDATE audit_head SET size = size + 1000000",
            "INSERT INTO audit_quarantine (event_id, found_at, leaf, leaf_hash) SELECT id, 0, 'x', tip FROM unit",
            "UPDATE audit_head SET frontier = (SELECT tip FROM unit LIMIT 1)",
            "DELETE FROM audit_head",
            "INSERT INTO audit_event SELECT seq + 1000, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, \
             unit_id, scope_id, corr_id, at, day, sealed_at, leaf FROM audit_event",
            "UPDATE audit_disclosure SET value = '1'",
        ] {
            refused(&raw, sql).await;
        }
        let engine_only: &[&str] = match world.database.engine {
            Engine::Sqlite => &[
                "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event WHERE seq = 0",
                "INSERT OR REPLACE INTO audit_head VALUES (1, 0, x'')",
                "INSERT OR REPLACE INTO unit SELECT * FROM unit LIMIT 1",
                "INSERT OR REPLACE INTO document SELECT 'x', 'y', 'z', 0 UNION ALL SELECT 'x', 'y', 'zz', 0",
            ],
            Engine::Postgres => &[
                "TRUNCATE unit CASCADE", "TRUNCATE audit_event", "TRUNCATE audit_inbox", "TRUNCATE account CASCADE",
                "TRUNCATE audit_disclosure", "TRUNCATE document",
            ],
        };
        for sql in engine_only {
            refused(&raw, sql).await;
        }
    }

    async fn an_event_cannot_be_used_up_and_thrown_away(world: World) {
        let raw = world.database.raw().await;
        world.db.settle().await.unwrap();
        let before = count(&raw, "audit_event").await;
        // An inbox row may be written by hand, but then it stays and is sealed or quarantined.
        let tx = raw.begin().await.unwrap();
        let uuid = |n: u128| match world.database.engine {
            Engine::Sqlite => format!("x'{}'", uuid::Uuid::from_u128(n).simple()),
            Engine::Postgres => format!("'{}'", uuid::Uuid::from_u128(n)),
        };
        let leaf = "{}";
        let hash = thidua::canonical::hex(&thidua::db::event::leaf_hash(leaf));
        let hash = match world.database.engine {
            Engine::Sqlite => format!("x'{hash}'"),
            Engine::Postgres => format!("'\\x{hash}'"),
        };
        tx.execute_unprepared(&format!(
            "INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, at, day, leaf, leaf_hash) \
             VALUES ({}, 'unit', {}, 99, 'unit.forged', 0, '2021-01-01', '{leaf}', {hash})",
            uuid(1), uuid(2)
        )).await.unwrap();
        let delete = tx.execute_unprepared("DELETE FROM audit_inbox").await;
        assert!(delete.is_err(), "an unsealed event is never deleted");
        tx.rollback().await.unwrap();
        assert_eq!(count(&raw, "audit_event").await, before);
    }

    async fn a_forged_inbox_row_goes_to_quarantine_and_the_log_goes_on(world: World) {
        let raw = world.database.raw().await;
        let (event, stream, hash) = match world.database.engine {
            Engine::Sqlite => ("x'00000000000000000000000000000001'", "x'00000000000000000000000000000002'", "x'0000000000000000000000000000000000000000000000000000000000000000'".to_owned()),
            Engine::Postgres => ("'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'",
                format!("'\\x{}'", thidua::canonical::hex(&thidua::db::event::leaf_hash("{}")))),
        };
        raw.execute_unprepared(&format!(
            "INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, at, day, leaf, leaf_hash) \
             VALUES ({event}, 'unit', {stream}, 1, 'unit.registered', 0, '2021-01-01', '{{}}', {hash})"
        )).await.unwrap();
        let administrator = world.person(Role::Administrator, None).await;
        let events = administrator.get("/v1/events?limit=200").await.is(200).json();
        assert_eq!(count(&raw, "audit_quarantine").await, 1);
        assert!(!events.to_string().contains("00000000-0000-0000-0000-000000000002"));
        assert_eq!(events["size"].as_i64().unwrap(), count(&raw, "audit_event").await);
    }
}
