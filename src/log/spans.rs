//! Between which times the events of each block of positions lie. An event of an earlier time may be sealed later, so that
//! no order of times is one of positions; with this a filter of times still reads only where its events can be.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value as SqlValue};

use super::store::Range;
use crate::clock::Micros;
use crate::db::constraint::{placeholders, translate};
use crate::error::Error;

/// Positions in a block; the migration that made the table says the same.
pub const BLOCK: u64 = 1024;

/// Keeps the spans of the blocks that became full when the log grew from `old` events to `new`.
pub async fn keep(conn: &impl ConnectionTrait, old: u64, new: u64) -> Result<(), Error> {
    let (from, to) = (old / BLOCK * BLOCK, new / BLOCK * BLOCK);
    if from == to {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO audit_span (block, min_at, max_at) SELECT seq / {BLOCK}, min(at), max(at) FROM audit_event \
         WHERE seq >= {from} AND seq < {to} GROUP BY seq / {BLOCK}"
    );
    conn.execute_unprepared(&sql).await.map(drop).map_err(translate)
}

/// True if what is kept of a full block is what its events say.
pub async fn is_true(conn: &impl ConnectionTrait, block: u64) -> Result<bool, Error> {
    let (from, to) = (block * BLOCK, (block + 1) * BLOCK);
    let sql = format!(
        "SELECT 1 AS one FROM audit_span WHERE block = {block} \
         AND min_at = (SELECT min(at) FROM audit_event WHERE seq >= {from} AND seq < {to}) \
         AND max_at = (SELECT max(at) FROM audit_event WHERE seq >= {from} AND seq < {to})"
    );
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    row.map(|row| row.is_some()).map_err(translate)
}

#[derive(FromQueryResult)]
struct Hull {
    first: Option<i64>,
    last: Option<i64>,
    /// Where the block begins that is not full yet.
    rest: i64,
}

/// The part of `range` in which events of these times can be; `None` if nowhere.
pub async fn within(
    conn: &impl ConnectionTrait,
    from: Option<Micros>,
    until: Option<Micros>,
    range: Range,
) -> Result<Option<Range>, Error> {
    if from.is_none() && until.is_none() {
        return Ok(Some(range));
    }
    let (from, until) = (from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
    let block = i64::try_from(BLOCK).map_err(Error::internal)?;
    let hull = Hull::find_by_statement(question(conn.get_database_backend(), [from, until])).one(conn).await;
    let hull = hull.map_err(translate)?.ok_or_else(|| Error::internal("a question without an answer"))?;
    let rest = in_rest(conn, hull.rest * block, [from, until]).await?;
    let first = hull.first.map(|first| first * block).or(rest.then_some(hull.rest * block));
    let Some(first) = first else { return Ok(None) };
    let end = if rest { None } else { hull.last.map(|last| (last + 1) * block) };
    Ok(Some(Range {
        after: Some(range.after.unwrap_or(-1).max(first - 1)),
        before: range.before.into_iter().chain(end).min(),
        ..range
    }))
}

/// The question for the first and the last full block that events of these times can be in.
pub fn question(backend: DbBackend, times: [Micros; 2]) -> Statement {
    let place = |n| placeholders(backend, n, 1);
    let touches = |n| format!("max_at >= {} AND min_at < {}", place(n), place(n + 1));
    let sql = format!(
        "SELECT (SELECT block FROM audit_span WHERE {} ORDER BY block LIMIT 1) AS first, \
         (SELECT block FROM audit_span WHERE {} ORDER BY block DESC LIMIT 1) AS last, \
         coalesce((SELECT block + 1 FROM audit_span ORDER BY block DESC LIMIT 1), 0) AS rest",
        touches(1),
        touches(3)
    );
    let values = times.into_iter().chain(times).map(SqlValue::from);
    Statement::from_sql_and_values(backend, sql, values)
}

/// Whether an event of these times stands behind the full blocks.
async fn in_rest(conn: &impl ConnectionTrait, start: i64, [from, until]: [Micros; 2]) -> Result<bool, Error> {
    let backend = conn.get_database_backend();
    let [a, b, c] = [1, 2, 3].map(|n| placeholders(backend, n, 1));
    let sql = format!("SELECT seq FROM audit_event WHERE seq >= {a} AND at >= {b} AND at < {c} ORDER BY seq LIMIT 1");
    let values: [SqlValue; 3] = [start.into(), from.into(), until.into()];
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    Ok(row.map_err(translate)?.is_some())
}
