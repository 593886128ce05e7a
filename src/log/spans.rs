//! Between which times the events of each block of positions lie. An event of an earlier time may be sealed later, so that
//! no order of times is one of positions; with this a filter of times still reads only where its events can be.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value as SqlValue};

use super::store::{self, Filter, Found, Range};
use crate::auth::Scope;
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

/// What one process knows of the full blocks, oldest first. None of them ever changes, so each is read once: to look through
/// them all for every page would take longer the longer the log is.
#[derive(Default)]
pub struct Spans(Mutex<Arc<Vec<Span>>>);

#[derive(Clone, Copy, PartialEq, Eq, FromQueryResult)]
struct Span {
    block: i64,
    min_at: Micros,
    max_at: Micros,
}

impl Spans {
    /// What [`store::read`] finds, looked for only where events of these times can be.
    pub async fn read(
        &self,
        conn: &impl ConnectionTrait,
        filter: &Filter,
        scope: &Scope,
        range: Range,
    ) -> Result<Found, Error> {
        match self.within(conn, filter.from, filter.until, range).await? {
            Some(range) => store::read(conn, filter, scope, range).await,
            None => Ok(Found::default()),
        }
    }

    /// The part of `range` in which events of these times can be; `None` if nowhere.
    async fn within(
        &self,
        conn: &impl ConnectionTrait,
        from: Option<Micros>,
        until: Option<Micros>,
        range: Range,
    ) -> Result<Option<Range>, Error> {
        if from.is_none() && until.is_none() {
            return Ok(Some(range));
        }
        let (from, until) = (from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
        let size = i64::try_from(BLOCK).map_err(Error::internal)?;
        let touches = |span: &&Span| span.max_at >= from && span.min_at < until;
        let known = self.renewed(conn).await?;
        let (first, last) = (known.iter().find(touches), known.iter().rfind(touches));
        let rest = i64::try_from(known.len()).map_err(Error::internal)? * size;
        let in_rest = in_rest(conn, rest, [from, until]).await?;
        let first = first.map(|span| span.block * size).or(in_rest.then_some(rest));
        let Some(first) = first else { return Ok(None) };
        let end = if in_rest { None } else { last.map(|span| (span.block + 1) * size) };
        Ok(Some(Range {
            after: Some(range.after.unwrap_or(-1).max(first - 1)),
            before: range.before.into_iter().chain(end).min(),
            ..range
        }))
    }

    /// With what became full since. The block that was the last is read again: where it is not the same, as on a server that
    /// had not heard of it when it took over, all of them are.
    async fn renewed(&self, conn: &impl ConnectionTrait) -> Result<Arc<Vec<Span>>, Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (last, before) = known.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
        let mut read = from_block(conn, before.len()).await?;
        if last.is_some() && read.first() == last && read.len() == 1 {
            return Ok(known);
        }
        let mut all = before.to_vec();
        if read.first() != last {
            all.clear();
            read = from_block(conn, 0).await?;
        }
        for span in read {
            if usize::try_from(span.block) != Ok(all.len()) {
                let block = all.len();
                return Err(Error::internal(format!("nobody knows between which times block {block} of the log lies")));
            }
            all.push(span);
        }
        let all = Arc::new(all);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all.clone();
        Ok(all)
    }
}

async fn from_block(conn: &impl ConnectionTrait, from: usize) -> Result<Vec<Span>, Error> {
    let from = SqlValue::from(i64::try_from(from).map_err(Error::internal)?);
    let backend = conn.get_database_backend();
    let place = placeholders(backend, 1, 1);
    let sql = format!("SELECT block, min_at, max_at FROM audit_span WHERE block >= {place} ORDER BY block");
    Span::find_by_statement(Statement::from_sql_and_values(backend, sql, [from])).all(conn).await.map_err(translate)
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
