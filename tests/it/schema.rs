//! Every table is guarded, or named here with the reason why not; a stale exception fails.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::both_engines;
use crate::support::Engine;

/// Tables without the guard of audited tables.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("audit_disclosure", "the one deletable table: erasing deletes salt and value"),
    ("audit_event", "the log itself: refuses every change but an insert from the inbox"),
    ("audit_checkpoint", "what was signed: insert only"),
    ("audit_head", "the log's size and tree: only moves forward"),
    ("audit_inbox", "events on their way into the log"),
    ("audit_signature", "signatures under checkpoints that came later: insert only"),
    ("audit_quarantine", "what never enters the log; never changes"),
    ("audit_span", "derived from audit_event by the sealer, where times lie: insert only"),
    ("audit_tile", "hashes of the log's tree: insert only"),
    ("derived", "by which version of the program derived tables were computed"),
    ("document", "insert only, named by its hash, referred to from events"),
    ("idempotency", "stored answers, forgotten after 72 hours"),
    ("instance", "the secret of this instance's cursors"),
    ("seaql_migrations", "which migrations have run"),
    ("search_entry", "derived from searched fields by the door; compared by rebuild"),
    ("search_word", "derived from searched fields by the door; compared by rebuild"),
    ("unit_attribute", "derived from unit; recomputed and compared by rebuild"),
    ("unit_closure", "derived from unit and succession; recomputed and compared by rebuild"),
];

async fn names(conn: &DatabaseConnection, sql: &str) -> BTreeSet<String> {
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let rows = conn.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

both_engines! {
    async fn every_table_is_guarded_or_excepted_with_a_reason(world: World) {
        let raw = world.database.raw().await;
        let (tables, guards) = match world.database.engine {
            Engine::Sqlite => (
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
                "SELECT tbl_name || '' AS name FROM sqlite_schema WHERE type = 'trigger' AND name = tbl_name || '_update_guard' \
                 AND tbl_name IN (SELECT tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name = tbl_name || '_insert_guard') \
                 AND tbl_name IN (SELECT tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name = tbl_name || '_delete_guard')",
            ),
            Engine::Postgres => (
                "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'",
                "SELECT c.relname::text AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
                 WHERE t.tgname = c.relname || '_guard' AND t.tgenabled = 'O' AND EXISTS \
                 (SELECT 1 FROM pg_trigger u WHERE u.tgrelid = c.oid AND u.tgname = c.relname || '_truncate_guard' AND u.tgenabled = 'O')",
            ),
        };
        let tables = names(&raw, tables).await;
        let guarded = names(&raw, guards).await;
        let excepted: BTreeSet<String> = EXCEPTIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let open: Vec<&String> = tables.iter().filter(|name| !guarded.contains(*name) && !excepted.contains(*name)).collect();
        assert!(open.is_empty(), "no guard, no exception (audited::create attaches the guard): {open:?}");
        let stale: Vec<&String> = excepted.iter().filter(|name| !tables.contains(*name) || guarded.contains(*name)).collect();
        assert!(stale.is_empty(), "exceptions without a table, or with a guard: {stale:?}");
        let kinds: BTreeSet<String> = thidua::rooms::kinds().map(|kind| kind.stream.to_owned()).collect();
        assert_eq!(kinds, guarded, "every audited table is a kind of record that rebuild knows");
    }
}
