//! Giving positions: moves a batch from the inbox behind the head, in insertion order.
//!
//! Why nothing is missed or reordered: a position is given only to a row that is already
//! committed, under the head's row lock, in the transaction that stores it; and an event is
//! inserted only after its record's row lock, so of two events of one record the earlier has the
//! smaller `inbox_id`, and any snapshot that shows the later shows the earlier. Ordering comes
//! before the limit. A rollback burns no position.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Statement, Value as SqlValue};
use serde_json::Value;
use uuid::Uuid;

use crate::clock;
use crate::db::constraint::{placeholders, translate};
use crate::db::event::leaf_hash;
use crate::error::Error;

/// Rows moved at a time.
const BATCH: usize = 500;

/// What to do while another sealer holds the head.
#[derive(Clone, Copy)]
pub enum Lock {
    /// Let it do the work.
    Skip,
    /// Wait for it, then look again.
    Wait,
}

#[derive(FromQueryResult)]
struct InboxRow {
    inbox_id: i64,
    event_id: Uuid,
    stream_type: String,
    stream_id: Uuid,
    stream_ver: i64,
    event_type: String,
    actor_id: Option<Uuid>,
    unit_id: Option<Uuid>,
    scope_id: Option<Uuid>,
    corr_id: Option<String>,
    at: i64,
    day: chrono::NaiveDate,
    leaf: String,
    leaf_hash: Vec<u8>,
    stale: bool,
}

impl InboxRow {
    /// The columns repeat what the leaf says; the leaf is what counts.
    fn is_true_to_its_leaf(&self) -> bool {
        let Ok(leaf) = serde_json::from_str::<Value>(&self.leaf) else { return false };
        let is = |key: &str, value: &str| leaf[key].as_str() == Some(value);
        leaf_hash(&self.leaf)[..] == self.leaf_hash[..]
            && is("id", &self.event_id.to_string())
            && is("type", &self.event_type)
            && is("stream", &format!("{}/{}", self.stream_type, self.stream_id))
            && leaf["ver"].as_i64() == Some(self.stream_ver)
            && leaf["unit"].as_str() == self.unit_id.map(|id| id.to_string()).as_deref()
            && leaf["scope"].as_str() == self.scope_id.map(|id| id.to_string()).as_deref()
            && leaf["actor"]["id"].as_str() == self.actor_id.map(|id| id.to_string()).as_deref()
    }
}

/// True if no committed event waits for its position.
pub async fn inbox_is_empty(conn: &impl ConnectionTrait) -> Result<bool, Error> {
    let sql = "SELECT 1 AS one FROM audit_inbox LIMIT 1";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    Ok(row.map_err(translate)?.is_none())
}

/// Takes the head's row lock (PostgreSQL). False: another sealer has it.
pub async fn take_head(conn: &DatabaseTransaction, lock: Lock) -> Result<bool, Error> {
    let sql = match lock {
        Lock::Skip => "SELECT size FROM audit_head WHERE log_id = 1 FOR UPDATE SKIP LOCKED",
        Lock::Wait => "SELECT size FROM audit_head WHERE log_id = 1 FOR UPDATE",
    };
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    Ok(row.map_err(translate)?.is_some())
}

/// Seals everything visible, in batches, in the caller's transaction. Never ends inside a writer's
/// transaction: the last, short batch took all that was visible.
pub async fn seal_all(conn: &DatabaseTransaction) -> Result<(), Error> {
    while seal_batch(conn).await? == BATCH {}
    Ok(())
}

async fn seal_batch(conn: &DatabaseTransaction) -> Result<usize, Error> {
    let rows = read_inbox(conn).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let count = rows.len();
    let ids: Vec<SqlValue> = rows.iter().map(|row| row.inbox_id.into()).collect();
    let mut seen = HashSet::new();
    let (good, bad): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| !row.stale && row.is_true_to_its_leaf() && seen.insert((row.stream_id, row.stream_ver)));
    quarantine(conn, bad).await?;
    append(conn, good).await?;
    let backend = conn.get_database_backend();
    let sql = format!("DELETE FROM audit_inbox WHERE inbox_id IN ({})", placeholders(backend, 1, ids.len()));
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, ids)).await.map_err(translate)?;
    Ok(count)
}

/// `stale`: the log already holds this version of the record, so the row is a forgery.
async fn read_inbox(conn: &DatabaseTransaction) -> Result<Vec<InboxRow>, Error> {
    let sql = format!(
        "SELECT i.inbox_id, i.event_id, i.stream_type, i.stream_id, i.stream_ver, i.event_type, i.actor_id, i.unit_id, \
         i.scope_id, i.corr_id, i.at, i.day, i.leaf, i.leaf_hash, \
         EXISTS (SELECT 1 FROM audit_event e WHERE e.stream_id = i.stream_id AND e.stream_ver >= i.stream_ver) AS stale \
         FROM audit_inbox i ORDER BY i.inbox_id LIMIT {BATCH}"
    );
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    InboxRow::find_by_statement(statement).all(conn).await.map_err(translate)
}

async fn append(conn: &DatabaseTransaction, rows: Vec<InboxRow>) -> Result<(), Error> {
    const COLUMNS: usize = 14;
    if rows.is_empty() {
        return Ok(());
    }
    let backend = conn.get_database_backend();
    let sealed_at = clock::now();
    let size = size(conn).await?;
    let mut groups = Vec::with_capacity(rows.len());
    let mut values: Vec<SqlValue> = Vec::with_capacity(rows.len() * COLUMNS);
    let next = size + i64::try_from(rows.len()).map_err(Error::internal)?;
    for (position, row) in (size..).zip(rows) {
        groups.push(format!("({})", placeholders(backend, values.len() + 1, COLUMNS)));
        values.extend::<[SqlValue; COLUMNS]>([
            position.into(),
            row.event_id.into(),
            row.stream_type.into(),
            row.stream_id.into(),
            row.stream_ver.into(),
            row.event_type.into(),
            row.actor_id.into(),
            row.unit_id.into(),
            row.scope_id.into(),
            row.corr_id.into(),
            row.at.into(),
            row.day.into(),
            sealed_at.into(),
            row.leaf.into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO audit_event (seq, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, \
         scope_id, corr_id, at, day, sealed_at, leaf) VALUES {}",
        groups.join(", ")
    );
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(translate)?;
    let sql = format!("UPDATE audit_head SET size = {next} WHERE log_id = 1 AND size = {size}");
    let moved = conn.execute_raw(Statement::from_string(backend, sql)).await.map_err(translate)?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(Error::internal("the head moved during a seal")) }
}

/// A leaf that does not match its hash never enters the log; it is kept and reported.
async fn quarantine(conn: &DatabaseTransaction, rows: Vec<InboxRow>) -> Result<(), Error> {
    let backend = conn.get_database_backend();
    for row in rows {
        tracing::error!(event_id = %row.event_id, stream_id = %row.stream_id, "an event was quarantined");
        let sql = format!(
            "INSERT INTO audit_quarantine (event_id, found_at, leaf, leaf_hash) VALUES ({}) ON CONFLICT DO NOTHING",
            placeholders(backend, 1, 4)
        );
        let values: [SqlValue; 4] = [row.event_id.into(), clock::now().into(), row.leaf.into(), row.leaf_hash.into()];
        conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(translate)?;
    }
    Ok(())
}

/// The number of sealed events: the next position.
pub async fn size(conn: &impl ConnectionTrait) -> Result<i64, Error> {
    let backend: DbBackend = conn.get_database_backend();
    let row = conn.query_one_raw(Statement::from_string(backend, "SELECT size FROM audit_head WHERE log_id = 1")).await;
    let row = row.map_err(translate)?.ok_or_else(|| Error::internal("the log has no head"))?;
    row.try_get("", "size").map_err(translate)
}
