//! Nothing of what was erased is left in the files of an embedded database: one task for each database, which goes on until
//! that is so, whoever asked for it and left meanwhile.
//!
//! `secure_delete` overwrites what is deleted, but not the copies that stay behind in unused space when SQLite moves rows
//! from a page to its neighbour: those go only when the pages are written anew (VACUUM), and what was written before stands
//! in the WAL until that is cut off. A large database would keep its writers waiting; there the operator chooses the hour.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use tokio::sync::{Mutex, mpsc, oneshot};

/// How long a checkpoint waits for readers, and writers for it, while somebody waits for the cleaning.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same while nobody does, or it failed before.
const BRIEF: Duration = Duration::from_millis(100);
/// Between two attempts that nobody waits for: doubled with each that fails, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// The largest database that is written anew after an erasure, in bytes: a second or two.
const SMALL: i64 = 256 << 20;

/// What is cleaned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cleaning {
    /// The WAL alone.
    Wal,
    /// The database's pages as well.
    File,
}

/// Somebody who waits for the first attempt.
struct Asked {
    what: Cleaning,
    tried: oneshot::Sender<bool>,
}

/// Cleans the files of one database, in turns with whoever writes.
#[derive(Clone)]
pub(super) struct Cleaner {
    asked: mpsc::UnboundedSender<Asked>,
    alone: Arc<Mutex<()>>,
}

impl Cleaner {
    /// Of the database at `url`, for as long as this pool is open.
    pub(super) fn of(url: &str, pool: DatabaseConnection) -> Self {
        let (asked, asking) = mpsc::unbounded_channel();
        let alone = Arc::new(Mutex::new(()));
        tokio::spawn(keep_clean(url.to_owned(), pool, alone.clone(), asking));
        Self { asked, alone }
    }

    /// Held by whoever writes, for as long as that takes, and for an attempt to clean. SQLite would let the cleaning starve
    /// beside a busy writer, and fail at once beside its checkpoint; here they take turns.
    pub(super) fn alone(&self) -> Arc<Mutex<()>> {
        self.alone.clone()
    }

    /// Returns after one attempt; where somebody still reads from the WAL, further ones follow behind the caller's back.
    pub(super) async fn clean(&self, what: Cleaning) {
        let (tried, outcome) = oneshot::channel();
        // Without the task the database is closed.
        let _ = self.asked.send(Asked { what, tried });
        if let Ok(false) = outcome.await {
            tracing::info!("what was erased stays in the files until those who use them are done");
        }
    }
}

async fn keep_clean(
    url: String,
    pool: DatabaseConnection,
    alone: Arc<Mutex<()>>,
    mut asking: mpsc::UnboundedReceiver<Asked>,
) {
    let [first, longest] = PAUSES;
    let (mut left, mut pause) = (None, first);
    loop {
        let next = match left {
            None => Ok(asking.recv().await),
            Some(_) => tokio::time::timeout(pause, asking.recv()).await,
        };
        let next = match next {
            // Nobody has the database any more.
            Ok(None) => return,
            Ok(asked) => asked,
            Err(_) => None,
        };
        let mut waiting: Vec<Asked> = next.into_iter().collect();
        let turn = alone.lock().await;
        // Everything that was asked for up to now is done by one attempt.
        waiting.extend(std::iter::from_fn(|| asking.try_recv().ok()));
        if pool.get_sqlite_connection_pool().is_closed() {
            return;
        }
        let what = waiting.iter().map(|asked| asked.what).chain(left).max().unwrap_or(Cleaning::Wal);
        // Whoever was in the way a moment ago is hardly gone.
        let patience = if waiting.is_empty() || left.is_some() { BRIEF } else { PATIENCE };
        left = clean(&url, what, patience).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the files are not clean yet");
            Some(what)
        });
        drop(turn);
        pause = if waiting.is_empty() { longest.min(pause * 2) } else { first };
        for asked in waiting {
            // Whoever left needs no answer.
            let _ = asked.tried.send(left.is_none());
        }
    }
}

/// One attempt: what is left to do. A connection of its own, so that whoever wants to write waits no longer than this takes.
async fn clean(url: &str, what: Cleaning, patience: Duration) -> Result<Option<Cleaning>, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite.create_if_missing(false).busy_timeout(patience).pragma("secure_delete", "ON")
    });
    let conn = Database::connect(options).await?;
    let cleaned = match what {
        // Nobody waits for that one: every later checkpoint does the same.
        Cleaning::Wal => cut(&conn).await.map(|_| None),
        Cleaning::File => clean_all(&conn).await,
    };
    conn.close().await?;
    cleaned
}

async fn clean_all(conn: &DatabaseConnection) -> Result<Option<Cleaning>, DbErr> {
    // While somebody needs the WAL, everything written anew would be added to it and stay there.
    if !cut(conn).await? {
        return Ok(Some(Cleaning::File));
    }
    // Before the pages are written: one that is committed later is not among them.
    let erasures = erasures(conn).await?;
    let size = number(conn, "SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()").await?;
    if size > SMALL {
        tracing::warn!(size, "too large to be written anew at once: back up and restore to clear its unused space");
    } else if let Err(error) = conn.execute_unprepared("VACUUM").await {
        tracing::warn!(%error, "the database was not written anew");
        cut(conn).await?;
        return Ok(Some(Cleaning::File));
    }
    if !cut(conn).await? {
        return Ok(Some(Cleaning::File));
    }
    if let Some(erasures) = erasures {
        conn.execute_unprepared(&format!(
            "INSERT INTO derived (name, version) VALUES ('{CLEAN}', {erasures}) \
             ON CONFLICT (name) DO UPDATE SET version = excluded.version"
        ))
        .await?;
    }
    Ok(None)
}

/// Cuts the WAL off; false if somebody still reads from it.
async fn cut(conn: &DatabaseConnection) -> Result<bool, DbErr> {
    let row = conn.query_one_raw(statement("PRAGMA wal_checkpoint(TRUNCATE)")).await?;
    row.map_or(Ok(false), |row| Ok(row.try_get::<i64>("", "busy")? == 0))
}

/// The row of `derived` that says after how many erasures the files were clean.
const CLEAN: &str = "clean_files";

/// How many erasures there were, if this database has any to remember.
async fn erasures(conn: &impl ConnectionTrait) -> Result<Option<i64>, DbErr> {
    let tables = "SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name IN ('erasure', 'derived')";
    if number(conn, tables).await? < 2 {
        return Ok(None);
    }
    number(conn, "SELECT count(*) AS n FROM erasure").await.map(Some)
}

/// What is to be cleaned when a process begins to serve: another may have been killed right after an erasure, and before
/// the files were clean.
pub(super) async fn due(conn: &impl ConnectionTrait) -> Result<Cleaning, DbErr> {
    let Some(erasures) = erasures(conn).await? else { return Ok(Cleaning::Wal) };
    let clean = format!("SELECT coalesce(max(version), 0) AS n FROM derived WHERE name = '{CLEAN}'");
    let is_clean = number(conn, &clean).await? == erasures;
    Ok(if is_clean { Cleaning::Wal } else { Cleaning::File })
}

async fn number(conn: &impl ConnectionTrait, sql: &str) -> Result<i64, DbErr> {
    conn.query_one_raw(statement(sql)).await?.map_or(Ok(0), |row| row.try_get("", "n"))
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Sqlite, sql)
}
