//! The guard: a row of an audited table changes only together with its event of the same version.
//!
//! Every audited table has `id`, `version` and `tip` (the hash of the record's newest leaf). The
//! guard looks for the inbox row of this record, this version and this hash, whose leaf says what
//! its columns say: an event that the sealer will take. From then on quarantine refuses that event,
//! so that only the log can take it. Both hold for hand-written SQL as well; what a superuser can
//! still do, the log's proofs show.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// The columns that every audited table starts with.
pub const COLUMNS: &str = "id {uuid} NOT NULL PRIMARY KEY, version {bigint} NOT NULL, tip {bytes} NOT NULL, \
     commitments {json} NOT NULL, created_at {bigint} NOT NULL, updated_at {bigint} NOT NULL";

/// Creates an audited table: the common columns, then `columns`, then the unique keys and the guard.
///
/// A unique key is a name and its columns. On SQLite `INSERT OR REPLACE` deletes the row that is in
/// the way without firing a DELETE trigger, so each key gets a trigger that refuses first.
pub async fn create(
    manager: &SchemaManager<'_>,
    table: &str,
    columns: &str,
    keys: &[(&str, &[&str])],
) -> Result<(), DbErr> {
    let script = format!("CREATE TABLE {table} ({COLUMNS}, {columns}) {{rowless}}");
    dialect::run(manager, &script).await?;
    for (name, columns) in keys {
        unique(manager, table, name, columns).await?;
    }
    audited(manager, table).await
}

async fn unique(manager: &SchemaManager<'_>, table: &str, name: &str, columns: &[&str]) -> Result<(), DbErr> {
    let list = columns.join(", ");
    let same: Vec<String> = columns.iter().map(|column| format!("{column} = NEW.{column}")).collect();
    let same = same.join(" AND ");
    let script = format!(
        r#"CREATE UNIQUE INDEX {name} ON {table} ({list})
;;
sqlite:CREATE TRIGGER {name}_insert BEFORE INSERT ON {table} BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: {name}') WHERE EXISTS (SELECT 1 FROM {table} WHERE {same}); END
;;
sqlite:CREATE TRIGGER {name}_update BEFORE UPDATE ON {table} BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: {name}') WHERE EXISTS (SELECT 1 FROM {table} WHERE {same} AND id <> NEW.id); END"#
    );
    dialect::run(manager, &script).await
}

/// Attaches the guard to `table`; the stream's name is the table's name.
pub async fn audited(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    let script = format!(
        r#"sqlite:CREATE TRIGGER {table}_insert_guard BEFORE INSERT ON {table} BEGIN
  SELECT RAISE(ABORT, 'audit guard: {table} inserted without its event')
  WHERE NEW.version <> 1
     OR EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)
     OR NOT EXISTS (SELECT 1 FROM audit_inbox i WHERE stream_id = NEW.id AND stream_ver = 1
                    AND stream_type = '{table}' AND leaf_hash = NEW.tip AND true_to_leaf
                    AND NOT EXISTS (SELECT 1 FROM audit_quarantine q WHERE q.event_id = i.event_id));
END
;;
sqlite:CREATE TRIGGER {table}_update_guard BEFORE UPDATE ON {table} BEGIN
  SELECT RAISE(ABORT, 'audit guard: {table} updated without its event')
  WHERE NEW.id <> OLD.id OR NEW.version <> OLD.version + 1
     OR NOT EXISTS (SELECT 1 FROM audit_inbox i WHERE stream_id = NEW.id AND stream_ver = NEW.version
                    AND stream_type = '{table}' AND leaf_hash = NEW.tip AND true_to_leaf
                    AND NOT EXISTS (SELECT 1 FROM audit_quarantine q WHERE q.event_id = i.event_id));
END
;;
sqlite:CREATE TRIGGER {table}_delete_guard BEFORE DELETE ON {table} BEGIN
  SELECT RAISE(ABORT, 'audit guard: {table} is never deleted from');
END
;;
sqlite:CREATE TRIGGER {table}_quarantine_guard BEFORE INSERT ON audit_quarantine BEGIN
  SELECT RAISE(ABORT, 'audit guard: a row of {table} stands on this event')
  WHERE EXISTS (SELECT 1 FROM audit_inbox i JOIN {table} r ON r.id = i.stream_id
                WHERE i.event_id = NEW.event_id AND i.stream_type = '{table}' AND r.version >= i.stream_ver
                AND NOT EXISTS (SELECT 1 FROM audit_event e
                                WHERE e.stream_id = i.stream_id AND e.stream_ver = i.stream_ver));
END
;;
postgres:CREATE TRIGGER {table}_quarantine_guard BEFORE INSERT ON audit_quarantine
  FOR EACH ROW EXECUTE FUNCTION audit_quarantine_guard('{table}')
;;
postgres:CREATE TRIGGER {table}_guard AFTER INSERT OR UPDATE OR DELETE ON {table}
  FOR EACH ROW EXECUTE FUNCTION audit_guard()
;;
postgres:CREATE TRIGGER {table}_truncate_guard BEFORE TRUNCATE ON {table}
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"#
    );
    dialect::run(manager, &script).await
}
