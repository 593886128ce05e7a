//! The embedded engine: one writer that lends its transaction in turns and commits for the group.
//!
//! A turn is a savepoint inside one `BEGIN IMMEDIATE`. Whoever holds it runs its closure and sends
//! the transaction home with a verdict; a dropped request sends it home as well (`Drop`), and its
//! savepoint is rolled back. RELEASE happens only after the verdict: releasing earlier would let a
//! later rollback undo an acknowledged write. The group is sealed and committed once, then all are
//! answered.

use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use migration::{Migrator, MigratorTrait, SchemaManager};

use super::ahead::{self, Job, Load, MOST};
use super::cleaning::{self, Cleaner, Cleaning};
use super::keys::SubjectKeys;
use super::{Context, Keyed, Outcome, Sealed, WriteTx, constraint, search, timed_out};
use crate::error::{Code, Error};
use crate::log::{seal, tiles};

/// More turns than this in one group would make the first of them wait too long.
pub(super) const GROUP: usize = 256;
const READERS: u32 = 8;
const QUEUE: usize = 1024;
/// The longest that one closure may hold the writer.
const TURN: Duration = Duration::from_secs(10);
/// The longest that a request waits for its turn.
const WAIT: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(super) struct Sqlite {
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    queue: mpsc::Sender<Waiting>,
    cleaner: Cleaner,
}

/// Who waits for the writer.
enum Waiting {
    /// A closure that wants the transaction itself.
    Turn(oneshot::Sender<Turn>),
    /// What a closure wrote ahead.
    Job(Job),
}

/// The lent transaction; goes home when dropped.
struct Turn {
    conn: Option<DatabaseTransaction>,
    home: Option<oneshot::Sender<Returned>>,
}

struct Returned {
    conn: DatabaseTransaction,
    /// Where to say that the group was committed; `None` rolls the turn back.
    keep: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Turn {
    fn send_home(&mut self, keep: Option<oneshot::Sender<Result<(), Error>>>) {
        if let (Some(conn), Some(home)) = (self.conn.take(), self.home.take()) {
            // The writer waits for nothing else; if it is gone, so is the process.
            let _ = home.send(Returned { conn, keep });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.send_home(None);
    }
}

impl Sqlite {
    pub(super) async fn connect(url: &str, group: usize, sealed: Sealed) -> Result<Self, Error> {
        let writer = pool(url, 1, false).await?;
        let readers = pool(url, READERS, true).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let cleaner = Cleaner::of(url, readers.clone());
        tokio::spawn(write(writer.clone(), waiting, group, sealed, cleaner.clone()));
        Ok(Self { writer, readers, queue, cleaner })
    }

    pub(super) fn readers(&self) -> DatabaseConnection {
        self.readers.clone()
    }

    pub(super) fn writer(&self) -> DatabaseConnection {
        self.writer.clone()
    }

    pub(super) async fn snapshot(&self) -> Result<DatabaseTransaction, Error> {
        self.readers.begin().await.map_err(constraint::translate)
    }

    pub(super) async fn record<T, F>(&self, context: &Context, keys: Option<&SubjectKeys>, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Outcome<T>, Error>,
    {
        let (lend, lent) = oneshot::channel();
        self.queue.send(Waiting::Turn(lend)).await.map_err(|_| Error::new(Code::Busy))?;
        let waited = tokio::time::timeout(WAIT, lent).await.map_err(|_| timed_out())?;
        let mut turn = waited.map_err(|_| Error::new(Code::Busy))?;
        let outcome = {
            let conn = turn.conn.as_ref().expect("a turn that was not sent home holds the transaction");
            let tx = WriteTx::new(conn, keys, context);
            tokio::time::timeout(TURN, tx.run(&f)).await.map_err(|_| timed_out())??
        };
        match outcome {
            Outcome::Unchanged(value) => Ok(value),
            Outcome::Changed(value) => {
                let (keep, committed) = oneshot::channel();
                turn.send_home(Some(keep));
                committed.await.map_err(|_| Error::new(Code::Busy))??;
                Ok(value)
            }
        }
    }

    pub(super) async fn post(&self, job: Job) {
        // Without a writer the job is dropped, and so waits for a turn, which is refused.
        let _ = self.queue.send(Waiting::Job(job)).await;
    }

    /// `BEGIN IMMEDIATE` is the lock that makes several `migrate` at once safe.
    pub(super) async fn migrate(&self, keys: Option<&SubjectKeys>) -> Result<usize, Error> {
        // An index over a large table is sorted in a file, not in memory.
        self.keep_temporary("FILE").await?;
        let migrated = self.migrate_in_one(keys).await;
        self.keep_temporary("MEMORY").await?;
        migrated
    }

    async fn keep_temporary(&self, place: &str) -> Result<(), Error> {
        let set = self.writer.execute_unprepared(&format!("PRAGMA temp_store = {place}")).await;
        set.map(drop).map_err(constraint::translate)
    }

    async fn migrate_in_one(&self, keys: Option<&SubjectKeys>) -> Result<usize, Error> {
        let tx = begin(&self.writer).await.map_err(constraint::translate)?;
        let waiting = Migrator::get_pending_migrations(&tx).await.map_err(constraint::translate)?.len();
        Migrator::up(&tx, None).await.map_err(constraint::translate)?;
        let tx = Keyed::new(tx, keys.cloned());
        search::renew(&tx).await?;
        let tx = tx.into_inner();
        tiles::renew(&tx).await?;
        tx.commit().await.map_err(constraint::translate)?;
        Ok(waiting)
    }

    /// For a write that is no turn of a group: nothing else writes, and nothing is cleaned, while this is held.
    pub(super) async fn alone(&self) -> OwnedMutexGuard<()> {
        self.cleaner.alone().lock_owned().await
    }

    /// Leaves nothing of what was erased in the file and in the WAL beside it. A reader that still needs the WAL is waited
    /// for a moment, and then behind the caller's back.
    pub(super) async fn scrub(&self) {
        self.cleaner.clean(Cleaning::File).await;
    }

    /// Makes up for a cleaning that was cut short; otherwise the WAL that an earlier process has left is cut off.
    pub(super) async fn make_up(&self) {
        match cleaning::due(&self.readers).await {
            Ok(what) => self.cleaner.clean(what).await,
            Err(error) => tracing::warn!(%error, "whether the files are clean could not be told"),
        }
    }

    pub(super) async fn close(self) {
        let Self { writer, readers, queue, .. } = self;
        drop(queue);
        let _ = readers.close().await;
        let _ = writer.close().await;
    }
}

pub(super) async fn pool(url: &str, connections: u32, read_only: bool) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") });
    options.max_connections(connections).min_connections(1).sqlx_logging(false).record_stmt_in_spans(false);
    options.acquire_timeout(Duration::from_secs(2)).test_before_acquire(false);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(15))
            .pragma("trusted_schema", "OFF");
        if read_only {
            return sqlite.pragma("query_only", "ON");
        }
        // What is deleted or replaced is overwritten with zeros. What a savepoint would give back is kept in memory: as a
        // file, made and deleted for each large statement, it was half of all that was written.
        sqlite.pragma("secure_delete", "ON").pragma("temp_store", "MEMORY")
    });
    Database::connect(options).await.map_err(constraint::translate)
}

/// A connection of its own: the copy is read like any other snapshot and keeps nobody waiting.
pub(super) async fn back_up(url: &str, file: &Path) -> Result<(), Error> {
    let file = file.to_str().ok_or_else(|| Error::internal("the copy's name is no text"))?;
    let existing = if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rw") };
    let conn = Database::connect(existing).await.map_err(constraint::translate)?;
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [file.into()]);
    let copied = conn.execute_raw(statement).await.map(drop).map_err(constraint::translate);
    conn.close().await.map_err(constraint::translate)?;
    copied?;
    let left_out = leave_words_out(file).await.map_err(constraint::translate);
    if left_out.is_err() {
        // A copy with those words is none that may be kept.
        let _ = std::fs::remove_file(file);
    }
    left_out
}

/// Where values are sealed, the copy must not say them in the words by which records are found: those outlive every key.
/// `migrate` computes them anew for whoever restores it.
async fn leave_words_out(file: &str) -> Result<(), DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{file}?mode=rw"));
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.pragma("secure_delete", "ON"));
    let conn = Database::connect(options).await?;
    let sealed = "SELECT 1 AS sealed FROM derived WHERE name = 'subject_keys'";
    // A database that waits for migrations may have neither.
    if SchemaManager::new(&conn).has_table("derived").await?
        && conn.query_one_raw(Statement::from_string(DbBackend::Sqlite, sealed)).await?.is_some()
    {
        conn.execute_unprepared(
            "DELETE FROM search_word; DELETE FROM search_entry; UPDATE derived SET version = 0 WHERE name = 'search'",
        )
        .await?;
        conn.execute_unprepared("VACUUM").await?;
    }
    conn.close().await
}

async fn begin(conn: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    conn.begin_with_options(TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    })
    .await
}

/// The writer: takes a waiting request, opens a group, serves whoever else waits, commits.
async fn write(
    conn: DatabaseConnection,
    mut waiting: mpsc::Receiver<Waiting>,
    most: usize,
    sealed: Sealed,
    cleaner: Cleaner,
) {
    let alone = cleaner.alone();
    let mut next = None;
    loop {
        // Whoever was next when a group failed is the first of another.
        if next.is_none() {
            next = waiting.recv().await;
        }
        if next.is_none() {
            return;
        }
        let _alone = alone.lock().await;
        let tx = match begin(&conn).await {
            Ok(tx) => tx,
            Err(error) => {
                tracing::error!(%error, "the writer could not begin");
                // The waiting request sees its sender dropped and answers 503.
                next = None;
                continue;
            }
        };
        let mut group = Group { served: 0, most, keepers: Vec::new(), loads: Vec::new() };
        let served = group.serve(tx, &mut next, &mut waiting).await;
        let result = match served {
            Ok(tx) if group.keepers.is_empty() && group.loads.is_empty() => {
                tx.rollback().await.map_err(constraint::translate)
            }
            Ok(tx) => commit(tx).await.inspect(|()| sealed.send_modify(|seals| *seals += 1)),
            // SQLite has rolled everything back by itself, for a fault of the last turn: the others may come again.
            Err(error) => Err(Error { source: Some(Box::new(error)), ..Error::new(Code::Busy) }),
        };
        if let Err(error) = &result {
            tracing::error!(%error, "a group of writes was not committed");
            renew(&conn).await;
        }
        group.answer(result.map_err(|error| error.code));
    }
}

/// Closes the writer's connection; the pool opens another. SQLite may have ended the transaction itself (a full disk),
/// which sqlx does not see: it would make the next one a savepoint of a transaction that is not there, and an
/// acknowledged group might never be committed.
async fn renew(conn: &DatabaseConnection) {
    let pool = conn.get_sqlite_connection_pool();
    while !pool.is_closed() {
        match pool.acquire().await {
            Ok(connection) => {
                // Gone, however it went.
                let _ = connection.close().await;
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the writer's connection is not renewed yet");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn commit(tx: DatabaseTransaction) -> Result<(), Error> {
    let head = tiles::head(&tx).await?;
    seal::seal_all(&tx, &seal::Floor::default(), head).await?;
    tx.commit().await.map_err(constraint::translate)
}

/// Requests that share a transaction.
struct Group {
    served: usize,
    most: usize,
    /// Closures that had a turn and wrote.
    keepers: Vec<oneshot::Sender<Result<(), Error>>>,
    /// Jobs that were written.
    loads: Vec<Load>,
}

impl Group {
    /// A savepoint is open before each turn and each load of jobs.
    async fn serve(
        &mut self,
        mut tx: DatabaseTransaction,
        next: &mut Option<Waiting>,
        waiting: &mut mpsc::Receiver<Waiting>,
    ) -> Result<DatabaseTransaction, DbErr> {
        tx.execute_unprepared("SAVEPOINT turn").await?;
        while let Some(first) = next.take() {
            match first {
                Waiting::Turn(lend) => tx = self.lend(tx, lend, next, waiting).await?,
                Waiting::Job(job) => {
                    let jobs = self.gather(job, next, waiting);
                    self.write(&tx, jobs).await?;
                }
            }
        }
        Ok(tx)
    }

    fn take(&mut self, waiting: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
        if self.served < self.most { waiting.try_recv().ok() } else { None }
    }

    async fn lend(
        &mut self,
        tx: DatabaseTransaction,
        lend: oneshot::Sender<Turn>,
        next: &mut Option<Waiting>,
        waiting: &mut mpsc::Receiver<Waiting>,
    ) -> Result<DatabaseTransaction, DbErr> {
        let (home, returned) = oneshot::channel();
        // If the request is gone, the failed send drops the turn, which comes home at once.
        let _ = lend.send(Turn { conn: Some(tx), home: Some(home) });
        let returned = returned.await.map_err(|_| DbErr::Custom("a turn was lost".into()))?;
        let tx = returned.conn;
        self.served += 1;
        *next = self.take(waiting);
        // One trip to the database's thread, not two or three; a commit needs no release before it.
        match (&returned.keep, &*next) {
            (Some(_), None) => {}
            (Some(_), Some(_)) => next_turn(&tx).await?,
            (None, _) => undo(&tx).await?,
        }
        self.keepers.extend(returned.keep);
        Ok(tx)
    }

    /// The job and those right behind it.
    fn gather(&mut self, first: Job, next: &mut Option<Waiting>, waiting: &mut mpsc::Receiver<Waiting>) -> Vec<Job> {
        let mut jobs = vec![first];
        self.served += 1;
        while let Some(taken) = self.take(waiting) {
            match taken {
                Waiting::Job(job) if jobs.len() < MOST => {
                    jobs.push(job);
                    self.served += 1;
                }
                other => {
                    *next = Some(other);
                    break;
                }
            }
        }
        jobs
    }

    /// Jobs that cannot be written together are dropped, and come back for turns.
    async fn write(&mut self, tx: &DatabaseTransaction, jobs: Vec<Job>) -> Result<(), DbErr> {
        for mut load in ahead::loads(jobs) {
            match load.write(tx).await {
                Ok(()) => {
                    next_turn(tx).await?;
                    self.loads.push(load);
                }
                Err(error) => {
                    load.refused(&error);
                    undo(tx).await?;
                }
            }
        }
        Ok(())
    }

    fn answer(self, result: Result<(), Code>) {
        for keeper in self.keepers {
            let _ = keeper.send(result.map_err(Error::new));
        }
        if result.is_ok() {
            self.loads.into_iter().for_each(Load::committed);
        }
    }
}

async fn next_turn(tx: &DatabaseTransaction) -> Result<(), DbErr> {
    tx.execute_unprepared("RELEASE turn; SAVEPOINT turn").await.map(drop)
}

async fn undo(tx: &DatabaseTransaction) -> Result<(), DbErr> {
    tx.execute_unprepared("ROLLBACK TO turn").await.map(drop)
}
