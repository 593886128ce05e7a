//! Signed checkpoints in SQL: each as it was signed first, and the signatures that came later beside it.

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use crate::db::constraint::{placeholders, translate};
use crate::error::Error;

/// A checkpoint as it was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The note that was kept first.
    pub note: String,
    /// Signature lines that came later, in the order of their arrival. Nobody verified them since.
    pub lines: Vec<String>,
}

#[derive(FromQueryResult)]
struct Line {
    note: String,
    line: Option<String>,
}

async fn read(conn: &impl ConnectionTrait, size: &str) -> Result<Option<Kept>, Error> {
    let sql = format!(
        "SELECT c.note, s.line FROM audit_checkpoint c LEFT JOIN audit_signature s ON s.size = c.size \
         WHERE c.size = {size} ORDER BY s.received_at, s.signer"
    );
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let rows = Line::find_by_statement(statement).all(conn).await.map_err(translate)?;
    let Some(note) = rows.first().map(|row| row.note.clone()) else { return Ok(None) };
    Ok(Some(Kept { note, lines: rows.into_iter().filter_map(|row| row.line).collect() }))
}

/// The newest checkpoint of all replicas.
pub async fn newest(conn: &impl ConnectionTrait) -> Result<Option<Kept>, Error> {
    read(conn, "(SELECT max(size) FROM audit_checkpoint)").await
}

/// The checkpoint of this size.
pub async fn of_size(conn: &impl ConnectionTrait, size: u64) -> Result<Option<Kept>, Error> {
    read(conn, &size.to_string()).await
}

/// The sizes of at least `from` under which somebody else's signature stands, newest first, at most so many.
pub async fn signed_later(conn: &impl ConnectionTrait, from: u64, most: u64) -> Result<Vec<u64>, Error> {
    let sql = format!("SELECT DISTINCT size FROM audit_signature WHERE size >= {from} ORDER BY size DESC LIMIT {most}");
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.map_err(translate)?;
    rows.iter().map(size).collect()
}

/// The largest size under which this signer's signature stands.
pub async fn last_signed_by(conn: &impl ConnectionTrait, signer: &str) -> Result<Option<u64>, Error> {
    let backend = conn.get_database_backend();
    let place = placeholders(backend, 1, 1);
    let sql = format!("SELECT size FROM audit_signature WHERE signer = {place} ORDER BY size DESC LIMIT 1");
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [signer.into()])).await;
    row.map_err(translate)?.as_ref().map(size).transpose()
}

fn size(row: &sea_orm::QueryResult) -> Result<u64, Error> {
    let size: i64 = row.try_get("", "size").map_err(translate)?;
    u64::try_from(size).map_err(Error::internal)
}

/// A checkpoint that was signed, as it stands there.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Promise {
    /// The size beside the note.
    pub size: i64,
    /// The note.
    pub note: String,
}

/// Checkpoints of more than `after` events, smallest first.
pub async fn promises(conn: &impl ConnectionTrait, after: i64, most: u64) -> Result<Vec<Promise>, Error> {
    let sql = format!("SELECT size, note FROM audit_checkpoint WHERE size > {after} ORDER BY size LIMIT {most}");
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    Promise::find_by_statement(statement).all(conn).await.map_err(translate)
}
