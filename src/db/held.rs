//! What a closure writes is held back until something else is asked of the database: a record's event, its row and all
//! that follows from it then travel together, in one statement instead of six.
//!
//! One record's write at a time, so that events keep the order in which they were said.

use std::sync::{Mutex, PoisonError};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value as SqlValue,
};

/// An INSERT, UPDATE or DELETE and the number of rows that it must change.
pub(super) struct Write {
    sql: String,
    values: Vec<SqlValue>,
    rows: u64,
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

/// The connection of a write transaction.
pub struct WriteConn<'a> {
    conn: &'a DatabaseTransaction,
    held: Mutex<Vec<Write>>,
}

impl<'a> WriteConn<'a> {
    pub(super) fn new(conn: &'a DatabaseTransaction) -> Self {
        Self { conn, held: Mutex::default() }
    }

    /// Holds back one record's write, after what was held back before it was sent.
    pub(super) async fn hold(&self, writes: Vec<Write>) -> Result<(), DbErr> {
        self.send().await?;
        self.along(writes);
        Ok(())
    }

    /// Holds back what may go along: it touches no row that anything held back touches, and reads none.
    pub(super) fn along(&self, writes: impl IntoIterator<Item = Write>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).extend(writes);
    }

    /// Sends what is held back.
    pub(super) async fn send(&self) -> Result<(), DbErr> {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        if held.is_empty() {
            return Ok(());
        }
        let expected: u64 = held.iter().map(|write| write.rows).sum();
        let backend = self.conn.get_database_backend();
        let changed = if backend == DbBackend::Postgres {
            let row = self.conn.query_one_raw(one_statement(held)).await?;
            row.map_or(Ok(0), |row| row.try_get::<i64>("", "changed"))?.unsigned_abs()
        } else {
            self.conn.execute_raw(one_script(held)).await?.rows_affected()
        };
        if changed == expected { Ok(()) } else { Err(DbErr::RecordNotUpdated) }
    }
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
fn renumbered(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = piece[..digits].parse().unwrap_or_default();
        text.push_str(&format!("${}{}", number + by, &piece[digits..]));
    }
    text
}

#[async_trait]
impl ConnectionTrait for WriteConn<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.conn.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.send().await?;
        self.conn.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.send().await?;
        self.conn.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.send().await?;
        self.conn.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.send().await?;
        self.conn.query_all_raw(statement).await
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
