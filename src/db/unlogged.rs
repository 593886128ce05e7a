//! Where subjects have keys, the words by which records are found may be in no backup: they say in clear what is sealed
//! elsewhere, and would outlive its key. On PostgreSQL their tables are unlogged then, so that neither WAL nor base backup
//! has them, and the server keeps no statistics of them, which it would log.
//!
//! In return a server that crashed, was promoted or restored has them empty. Whoever serves fills them again, a stretch at a
//! time; until then a search is answered `busy`, never with less than there is. How far they are filled stands in the tables
//! themselves, so that it goes when they do.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, QueryResult, Statement, TransactionTrait,
};
use uuid::Uuid;

use super::conn::{Conn, Keyed};
use super::constraint::translate;
use super::search;
use crate::error::{Code, Error};
use crate::id;
use crate::log::rebuild::Kind;
use crate::rooms;

/// The entry that says how far they are filled: up to which record of which kind. Of no kind: everything is there, and its
/// key is that of this filling, with the kinds that are.
const HERE: Uuid = Uuid::nil();

/// What the server would keep statistics of: the columns that say what a name says.
const TELLING: [(&str, &str, &str); 2] =
    [("search_entry", "sort_key", "bytea"), ("search_word", "word", "text COLLATE \"C\"")];

/// Whoever fills waits so long for those who write; they would all wait behind. Longer than the server's `deadlock_timeout`:
/// only then it sends an autovacuum away that is in the way.
const PATIENCE: &str = "SET LOCAL lock_timeout = '1500ms'";

/// True where the tables are to be unlogged.
pub(super) fn applies(conn: &impl Conn) -> bool {
    conn.get_database_backend() == DbBackend::Postgres && conn.keys().is_some()
}

async fn one(conn: &impl ConnectionTrait, sql: &str) -> Result<Option<QueryResult>, Error> {
    conn.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.map_err(translate)
}

async fn run(conn: &impl ConnectionTrait, sql: &str) -> Result<(), Error> {
    conn.execute_unprepared(sql).await.map(drop).map_err(translate)
}

/// True if they are logged and must not be, or the other way round: only the schema's owner can change that.
pub(super) async fn are_otherwise(conn: &impl Conn) -> Result<bool, Error> {
    if conn.get_database_backend() != DbBackend::Postgres {
        return Ok(false);
    }
    let sql = format!(
        "SELECT 1 AS one FROM pg_class WHERE oid IN ('search_entry'::regclass, 'search_word'::regclass) AND \
         (relpersistence = 'u') <> {}",
        applies(conn)
    );
    Ok(one(conn, &sql).await?.is_some())
}

/// Empties them and takes them out of the WAL, with what is known of their values.
pub(super) async fn take_out(conn: &DatabaseTransaction) -> Result<(), Error> {
    run(conn, "TRUNCATE search_entry, search_word").await?;
    for (table, column, of_type) in TELLING {
        run(conn, &format!("ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")).await?;
        // Forgets the statistics that are there: the type is the one it has.
        run(conn, &format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {of_type}")).await?;
        run(conn, &format!("ALTER TABLE {table} SET UNLOGGED")).await?;
    }
    Ok(())
}

/// Empties them and takes them back: the first `migrate` with keys ended before there were any, and now there are to be none.
pub(super) async fn take_back(conn: &DatabaseTransaction) -> Result<(), Error> {
    run(conn, "TRUNCATE search_entry, search_word").await?;
    for (table, column, _) in TELLING {
        run(conn, &format!("ALTER TABLE {table} SET LOGGED")).await?;
        run(conn, &format!("ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1")).await?;
    }
    Ok(())
}

/// How far they are filled.
#[derive(Clone, PartialEq, Eq)]
struct Progress {
    kind: String,
    key: Vec<u8>,
}

impl Progress {
    /// Nothing if nothing is there.
    async fn read(conn: &impl ConnectionTrait) -> Result<Option<Self>, Error> {
        let sql = format!("SELECT stream_type, sort_key FROM search_entry WHERE record_id = '{HERE}'");
        let Some(row) = one(conn, &sql).await? else { return Ok(None) };
        let kind = row.try_get("", "stream_type").map_err(translate)?;
        Ok(Some(Self { kind, key: row.try_get("", "sort_key").map_err(translate)? }))
    }

    async fn write(self, conn: &impl ConnectionTrait) -> Result<(), Error> {
        // Who serves may not update here.
        run(conn, &format!("DELETE FROM search_entry WHERE record_id = '{HERE}'")).await?;
        let sql = format!("INSERT INTO search_entry VALUES ('{HERE}', $1, $2)");
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [self.kind.into(), self.key.into()]);
        conn.execute_raw(statement).await.map(drop).map_err(translate)
    }

    /// Everything of the kinds that this program knows. An older one beside it may know fewer.
    fn is_all(&self) -> bool {
        let filled: Vec<&[u8]> = self.key.get(ID..).unwrap_or_default().split(|byte| *byte == b' ').collect();
        self.kind.is_empty() && kinds().all(|kind| filled.contains(&kind.stream.as_bytes()))
    }

    fn all() -> Self {
        let mut key = id::new_id().as_bytes().to_vec();
        key.extend(kinds().map(|kind| kind.stream).collect::<Vec<_>>().join(" ").bytes());
        Self { kind: String::new(), key }
    }
}

/// The bytes of an id.
const ID: usize = 16;

fn kinds() -> impl Iterator<Item = &'static Kind> {
    rooms::kinds().filter(|kind| search::is_searched(kind.fields))
}

/// Which filling a search reads: whoever is told the same before and after it has read all that was there. Told `busy` if
/// they are lost, or not filled yet.
pub(super) async fn filling(conn: &impl Conn) -> Result<Option<Vec<u8>>, Error> {
    if !applies(conn) {
        return Ok(None);
    }
    match Progress::read(conn).await? {
        Some(progress) if progress.is_all() => Ok(Some(progress.key)),
        _ => Err(Code::Busy.into()),
    }
}

/// True if they say less than there is.
pub(super) async fn are_lost(conn: &impl Conn) -> Result<bool, Error> {
    Ok(applies(conn) && !Progress::read(conn).await?.is_some_and(|progress| progress.is_all()))
}

/// True if nobody can read them here.
pub(super) async fn are_elsewhere(conn: &impl Conn) -> Result<bool, Error> {
    Ok(applies(conn) && one(conn, "SELECT 1 AS one WHERE pg_is_in_recovery()").await?.is_some())
}

/// Fills them, if they were lost. Several replicas may do so at once: each does what is next.
pub(super) async fn find_again(conn: &Keyed<DatabaseConnection>) -> Result<(), Error> {
    if !are_lost(conn).await? || search::is_stale(conn).await? {
        return Ok(());
    }
    let kinds: Vec<&Kind> = kinds().collect();
    while stretch(conn, &kinds).await? {}
    Ok(())
}

/// Fills one stretch; false if everything is there, or for another version of the program to fill.
async fn stretch(conn: &Keyed<DatabaseConnection>, kinds: &[&'static Kind]) -> Result<bool, Error> {
    let tx = Keyed::new(conn.begin().await.map_err(translate)?, conn.keys().cloned());
    let before = Progress::read(&tx).await?;
    if before.as_ref().is_some_and(Progress::is_all) {
        return Ok(false);
    }
    let Some((place, after)) = next(kinds, before.as_ref()) else { return Ok(false) };
    let Some(kind) = kinds.get(place) else {
        return complete(tx, before).await;
    };
    // Asks for the keys while nobody waits for us.
    (kind.entries)(&tx, Some(after)).await?;
    if !alone(&tx, before.as_ref()).await? {
        return Ok(true);
    }
    if search::is_stale(&tx).await? {
        return Ok(false);
    }
    let entries = (kind.entries)(&tx, Some(after)).await?;
    let (kind, after) = match entries.last() {
        Some((last, _)) => {
            search::forget_stretch(&tx, kind.stream, after, *last).await?;
            search::write(&tx, kind.stream, &entries).await?;
            (kind.stream, *last)
        }
        None => (kinds.get(place + 1).map_or(END, |kind| kind.stream), HERE),
    };
    Progress { kind: kind.to_owned(), key: after.as_bytes().to_vec() }.write(&tx).await?;
    tx.into_inner().commit().await.map_err(translate)?;
    Ok(true)
}

/// The kind behind the last one.
const END: &str = "-";

/// Which kind is next, and after which of its records; nothing if that is for a newer program to fill.
fn next(kinds: &[&Kind], progress: Option<&Progress>) -> Option<(usize, Uuid)> {
    match progress {
        Some(progress) if progress.kind == END => Some((kinds.len(), HERE)),
        Some(progress) if !progress.kind.is_empty() => {
            let place = kinds.iter().position(|kind| kind.stream == progress.kind)?;
            Some((place, Uuid::from_slice(&progress.key).unwrap_or(HERE)))
        }
        // Complete, but without a kind that we know.
        _ => Some((0, HERE)),
    }
}

async fn complete(tx: Keyed<DatabaseTransaction>, before: Option<Progress>) -> Result<bool, Error> {
    if !alone(&tx, before.as_ref()).await? {
        return Ok(true);
    }
    if search::is_stale(&tx).await? {
        return Ok(false);
    }
    Progress::all().write(&tx).await?;
    tx.into_inner().commit().await.map_err(translate)?;
    tracing::info!("what records are found by was gone and is computed anew");
    Ok(false)
}

/// From here on nobody else writes words; false if somebody filled on meanwhile. Each writer touches `search_entry` first and
/// deletes what we have written; what it has written, we see.
async fn alone(tx: &DatabaseTransaction, before: Option<&Progress>) -> Result<bool, Error> {
    run(tx, PATIENCE).await?;
    run(tx, "LOCK TABLE search_entry, search_word IN SHARE ROW EXCLUSIVE MODE").await?;
    Ok(Progress::read(tx).await?.as_ref() == before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filling_is_complete_with_every_kind_that_is_known_and_goes_on_where_it_was() {
        let kinds: Vec<&Kind> = kinds().collect();
        let all = Progress::all();
        assert!(all.is_all());
        let more = Progress { key: [&all.key[..], b" invented"].concat(), ..all.clone() };
        assert!(more.is_all(), "that a newer program knows more is no loss");
        let last = kinds.last().unwrap().stream;
        let fewer = Progress { key: all.key[..all.key.len() - last.len()].to_vec(), ..all.clone() };
        assert!(!fewer.is_all());
        let at = |kind: &str, key: Vec<u8>| next(&kinds, Some(&Progress { kind: kind.to_owned(), key }));
        let id = id::new_id();
        assert_eq!(next(&kinds, None), Some((0, HERE)));
        assert_eq!(next(&kinds, Some(&fewer)), Some((0, HERE)));
        assert_eq!(at(last, id.as_bytes().to_vec()), Some((kinds.len() - 1, id)));
        assert_eq!(at(END, HERE.as_bytes().to_vec()), Some((kinds.len(), HERE)));
        assert_eq!(at("invented", id.as_bytes().to_vec()), None, "a newer program fills that");
    }
}
