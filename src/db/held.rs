//! What a closure writes is held back until something else is asked of the database: a record's event, its row and all
//! that follows from it then travel together, in one statement instead of six.
//!
//! One record's write at a time, so that events keep the order in which they were said. A closure may also be run ahead of
//! a transaction, with a connection that only reads (see [`ahead`](super::ahead)); it then ends with its writes in hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult,
    QuerySelect, Select, Statement, TransactionTrait, Value as SqlValue,
};
use tokio::sync::OnceCell;

use super::conn::{self, Conn, Keyed};
use super::keys::SubjectKeys;
use super::record::Record;

/// An INSERT, UPDATE or DELETE and the number of rows that it must change.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) sql: String,
    pub(super) values: Vec<SqlValue>,
    pub(super) rows: u64,
}

impl Write {
    pub(super) fn new(sql: String, values: impl IntoIterator<Item = SqlValue>, rows: u64) -> Self {
        Self { sql, values: values.into_iter().collect(), rows }
    }

    /// A statement that changes one row.
    pub(super) fn row(statement: Statement) -> Self {
        Self { sql: statement.sql, values: statement.values.map(|values| values.0).unwrap_or_default(), rows: 1 }
    }
}

/// The connection of a write transaction, or one that runs ahead of it.
pub struct WriteConn<'a> {
    over: Over<'a>,
    keys: Option<SubjectKeys>,
    held: Mutex<Vec<Write>>,
}

enum Over<'a> {
    Transaction(&'a DatabaseTransaction),
    /// Reads alone; whoever asks for more is refused, and that it was asked is kept.
    Ahead(Ahead<'a>),
}

struct Ahead<'a> {
    pool: &'a DatabaseConnection,
    /// Begun by the first read, so that all reads use one connection; a closure that only writes uses none.
    reading: OnceCell<DatabaseTransaction>,
    asked: AtomicBool,
}

impl<'a> WriteConn<'a> {
    pub(super) fn new(conn: &'a DatabaseTransaction, keys: Option<SubjectKeys>) -> Self {
        Self { over: Over::Transaction(conn), keys, held: Mutex::default() }
    }

    pub(super) fn ahead(pool: &'a Keyed<DatabaseConnection>) -> Self {
        let ahead = Ahead { pool, reading: OnceCell::new(), asked: AtomicBool::new(false) };
        Self { over: Over::Ahead(ahead), keys: pool.keys().cloned(), held: Mutex::default() }
    }

    /// The transaction, for what only it can do: to lock, to write at once, or to read what it wrote.
    pub(super) fn transaction(&self) -> Result<&'a DatabaseTransaction, DbErr> {
        match &self.over {
            Over::Transaction(conn) => Ok(conn),
            Over::Ahead(ahead) => {
                ahead.asked.store(true, Ordering::Relaxed);
                Err(DbErr::Custom("only a transaction does this".to_owned()))
            }
        }
    }

    /// The row, locked until the transaction ends; SQLite has one writer anyway.
    pub async fn find_locked<E>(&self, row: Select<E>) -> Result<Option<E::Model>, DbErr>
    where
        E: EntityTrait<Model: Record>,
    {
        self.transaction()?;
        conn::one(self, row.lock_exclusive()).await
    }

    /// What was held back, unless the closure asked for what only a transaction does; gives back what it read with.
    pub(super) fn taken(self) -> Option<Vec<Write>> {
        let asked = matches!(&self.over, Over::Ahead(ahead) if ahead.asked.load(Ordering::Relaxed));
        (!asked).then(|| self.held.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Holds back one record's write, after what was held back before it was sent.
    pub(super) async fn hold(&self, writes: Vec<Write>) -> Result<(), DbErr> {
        self.send().await?;
        self.along(writes);
        Ok(())
    }

    fn holds_something(&self) -> bool {
        !self.held.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Where this query is asked: ahead of a transaction if it may be, else in it, after what was held back.
    async fn asked(&self, sql: &str) -> Result<&DatabaseTransaction, DbErr> {
        match &self.over {
            Over::Ahead(ahead) if reads(sql) && !self.holds_something() => {
                ahead.reading.get_or_try_init(|| ahead.pool.begin()).await
            }
            _ => {
                self.send().await?;
                self.transaction()
            }
        }
    }

    /// Holds back what may go along: it touches no row that anything held back touches, and reads none.
    pub(super) fn along(&self, writes: impl IntoIterator<Item = Write>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).extend(writes);
    }

    /// Sends what is held back.
    pub(super) async fn send(&self) -> Result<(), DbErr> {
        if !self.holds_something() {
            return Ok(());
        }
        let conn = self.transaction()?;
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        write_all(conn, held).await
    }
}

/// Writes everything in one trip.
pub(super) async fn write_all(conn: &impl ConnectionTrait, writes: Vec<Write>) -> Result<(), DbErr> {
    let expected: u64 = writes.iter().map(|write| write.rows).sum();
    let changed = if conn.get_database_backend() == DbBackend::Postgres {
        let row = conn.query_one_raw(one_statement(writes)).await?;
        row.map_or(Ok(0), |row| row.try_get::<i64>("", "changed"))?.unsigned_abs()
    } else {
        conn.execute_raw(one_script(writes)).await?.rows_affected()
    };
    if changed == expected { Ok(()) } else { Err(DbErr::RecordNotUpdated) }
}

/// True for a query that changes nothing and locks nothing.
fn reads(sql: &str) -> bool {
    sql.starts_with("SELECT ") && !sql.contains(" FOR ")
}

/// PostgreSQL: every write a part of one query, which counts the rows. Guards look at the end of it.
fn one_statement(writes: Vec<Write>) -> Statement {
    let (mut parts, mut counts, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (n, write) in writes.into_iter().enumerate() {
        parts.push(format!("w{n} AS ({} RETURNING 1)", renumbered(&write.sql, values.len())));
        counts.push(format!("(SELECT count(*) FROM w{n})"));
        values.extend(write.values);
    }
    let sql = format!("WITH {} SELECT {} AS changed", parts.join(", "), counts.join(" + "));
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// SQLite: one after the other; the driver binds a value to each `?` in their order.
fn one_script(writes: Vec<Write>) -> Statement {
    let script = writes.iter().map(|write| write.sql.as_str()).collect::<Vec<_>>().join("; ");
    let values = writes.into_iter().flat_map(|write| write.values);
    Statement::from_sql_and_values(DbBackend::Sqlite, script, values)
}

/// `$1` becomes `$4` after three other values. Values are always bound, so no `$` stands in a text.
pub(super) fn renumbered(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = piece[..digits].parse().unwrap_or_default();
        text.push_str(&format!("${}{}", number + by, &piece[digits..]));
    }
    text
}

impl Conn for WriteConn<'_> {
    fn keys(&self) -> Option<&SubjectKeys> {
        self.keys.as_ref()
    }
}

#[async_trait]
impl ConnectionTrait for WriteConn<'_> {
    fn get_database_backend(&self) -> DbBackend {
        match &self.over {
            Over::Transaction(conn) => conn.get_database_backend(),
            Over::Ahead(ahead) => ahead.pool.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.send().await?;
        self.transaction()?.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.send().await?;
        self.transaction()?.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.asked(&statement.sql).await?.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.asked(&statement.sql).await?.query_all_raw(statement).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes() -> Vec<Write> {
        let insert = Write::new("INSERT INTO a VALUES ($1, $2)".into(), [1.into(), 2.into()], 1);
        let update = Write::new("UPDATE b SET c = $1 WHERE d = $10".into(), (1..=10).map(SqlValue::from), 1);
        vec![insert, update]
    }

    #[test]
    fn numbers_of_values_go_on_through_all_parts() {
        let statement = one_statement(writes());
        assert_eq!(
            statement.sql,
            "WITH w0 AS (INSERT INTO a VALUES ($1, $2) RETURNING 1), \
             w1 AS (UPDATE b SET c = $3 WHERE d = $12 RETURNING 1) \
             SELECT (SELECT count(*) FROM w0) + (SELECT count(*) FROM w1) AS changed"
        );
        assert_eq!(statement.values.unwrap().0.len(), 12);
    }
}
