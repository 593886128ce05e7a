//! The guard: hand-written SQL cannot change a row without its event, nor touch the log.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use thidua::auth::Role;

use crate::both_engines;
use crate::support::Engine;

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

both_engines! {
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
                "INSERT OR REPLACE INTO audit_head VALUES (1, 0)",
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
