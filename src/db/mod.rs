//! The one door. Nobody else holds a connection, and nothing leaves here that changes a row
//! without an event beside it.
//!
//! [`Db::record`] runs a closure in a write transaction; the closure answers with an [`Outcome`].
//! On SQLite one writer lends its open transaction to waiting requests in turn and commits once for
//! the group; on PostgreSQL each request has its own transaction and a sealer gives positions after
//! the commit. Requests that need no transaction of their own leave what they write with others ([`ahead`]). Both stand
//! behind the same calls.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use tokio::sync::{OwnedMutexGuard, watch};
use uuid::Uuid;

use keys::SubjectKeys;

use crate::clock::Micros;
use crate::error::{Code, Error};

mod ahead;
mod cleaning;
pub mod conn;
pub mod constraint;
pub mod document;
pub mod erase;
pub mod event;
mod fate;
pub mod field;
mod held;
pub mod idempotency;
pub mod keys;
pub mod list;
mod migrate;
mod postgres;
pub mod record;
pub mod roles;
pub mod sealed;
pub mod search;
mod sqlite;
mod unlogged;

pub use conn::{Conn, Keyed, Personal, all, one};
pub use document::DocumentRef;
pub use erase::Erased;
pub use event::Event;
pub use field::{Class, Field};
pub use held::WriteConn;
pub use record::{Record, Row};
pub use roles::{Roles, Urls};

/// The embedded or the production database.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    in_flight: idempotency::InFlight,
    needs: idempotency::Needs,
    /// What personal values are sealed with, if they are.
    keys: Option<SubjectKeys>,
    /// True once the log turned out not to be the one that was signed.
    stopped: Arc<AtomicBool>,
    sealed: Sealed,
}

/// Counts the seals of this process, for whoever follows the log.
type Sealed = Arc<watch::Sender<u64>>;

#[derive(Clone)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Engine {
    /// Leaves a job with those who write.
    async fn post(&self, job: ahead::Job) {
        match self {
            Self::Sqlite(sqlite) => sqlite.post(job).await,
            Self::Postgres(postgres) => postgres.post(job).await,
        }
    }
}

/// What a write transaction did.
pub enum Outcome<T> {
    /// At least one event was written: commit.
    Changed(T),
    /// Nothing needs to change: roll back.
    Unchanged(T),
}

/// Who asks, when, and under which request: goes into every event.
#[derive(Clone, Debug)]
pub struct Context {
    /// The account that acts.
    pub actor: Actor,
    /// When the request arrived.
    pub at: Micros,
    /// The request's trace id, 32 hex digits.
    pub request_id: String,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person or program with a token.
    Account(Uuid),
    /// The operator at the console.
    Console,
}

/// A read connection. Reads that must agree with each other use [`Db::snapshot`].
#[derive(Clone)]
pub struct Reader(Keyed<DatabaseConnection>);

impl Reader {
    /// The connection to hand to a `store` function.
    pub fn conn(&self) -> &Keyed<DatabaseConnection> {
        &self.0
    }
}

/// A consistent view of the database for several reads.
pub struct Snapshot(Keyed<DatabaseTransaction>);

impl Snapshot {
    /// The connection to hand to a `store` function.
    pub fn conn(&self) -> &Keyed<DatabaseTransaction> {
        &self.0
    }
}

/// A write transaction, to be had from [`Db::record`] only.
pub struct WriteTx<'a> {
    conn: WriteConn<'a>,
    context: &'a Context,
    /// The first event: stands in the log if and only if the transaction is committed.
    event: OnceLock<Uuid>,
    /// Records of which something was sealed with a key.
    sealed: Mutex<BTreeSet<Uuid>>,
}

impl<'a> WriteTx<'a> {
    fn new(conn: &'a DatabaseTransaction, keys: Option<&SubjectKeys>, context: &'a Context) -> Self {
        Self { conn: WriteConn::new(conn, keys.cloned()), context, event: OnceLock::new(), sealed: Mutex::default() }
    }

    /// Runs a closure before there is a transaction.
    fn ahead(reader: &'a Keyed<DatabaseConnection>, context: &'a Context) -> Self {
        Self { conn: WriteConn::ahead(reader), context, event: OnceLock::new(), sealed: Mutex::default() }
    }

    /// The connection to hand to a `store` function.
    pub fn conn(&self) -> &WriteConn<'a> {
        &self.conn
    }

    /// Who acts, when and why.
    pub fn context(&self) -> &Context {
        self.context
    }

    /// The request's time.
    pub fn at(&self) -> Micros {
        self.context.at
    }

    /// The acting account; the console has none.
    pub fn account(&self) -> Option<Uuid> {
        match self.context.actor {
            Actor::Account(id) => Some(id),
            Actor::Console => None,
        }
    }

    /// Serialises the closures that share a rule over several rows, until the transaction ends.
    /// SQLite has one writer anyway.
    pub async fn lock(&self, name: &str) -> Result<(), Error> {
        self.conn.transaction().map_err(constraint::translate)?;
        if self.conn.get_database_backend() == DbBackend::Postgres {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
            self.conn.execute_raw(statement).await.map_err(constraint::translate)?;
        }
        Ok(())
    }

    fn wrote(&self, event: Uuid) {
        self.event.get_or_init(|| event);
    }

    /// Runs the closure and sends the rest of what it wrote. A closure that says `Changed` must have written an event.
    async fn run<T>(&self, f: &impl AsyncFn(&Self) -> Result<Outcome<T>, Error>) -> Result<Outcome<T>, Error> {
        let outcome = f(self).await?;
        if let Outcome::Changed(_) = outcome {
            if self.event.get().is_none() {
                return Err(Error::internal("a change was recorded without an event"));
            }
            self.conn.send().await.map_err(constraint::translate)?;
        }
        Ok(outcome)
    }
}

impl Db {
    /// Connects to `sqlite://path` or `postgres://…` without migrating.
    pub async fn connect(urls: impl Into<Urls>) -> Result<Self, Error> {
        let (urls, sealed) = (urls.into(), Sealed::default());
        let engine = if Self::is_embedded(&urls.app) {
            urls.refuse_roles()?;
            Engine::Sqlite(sqlite::Sqlite::connect(&urls.app, sqlite::GROUP, sealed.clone()).await?)
        } else if urls.app.starts_with("postgres:") || urls.app.starts_with("postgresql:") {
            Engine::Postgres(postgres::Postgres::connect(&urls, sealed.clone()).await?)
        } else {
            return Err(Error::internal("THIDUA_DATABASE_URL must start with sqlite:// or postgres://"));
        };
        let keys = match &urls.keys {
            Some(url) => Some(SubjectKeys::connect(url, &urls).await?),
            None => None,
        };
        Ok(Self { keys, ..Self::of(engine, sealed) })
    }

    fn of(engine: Engine, sealed: Sealed) -> Self {
        let (in_flight, needs) = (Default::default(), Default::default());
        Self { engine, in_flight, needs, keys: None, stopped: Arc::default(), sealed }
    }

    /// The same database with the rights to erase; where there are no roles, the same rights.
    pub fn as_eraser(&self) -> Self {
        let engine = match &self.engine {
            Engine::Sqlite(sqlite) => Engine::Sqlite(sqlite.clone()),
            Engine::Postgres(postgres) => Engine::Postgres(postgres.as_eraser()),
        };
        Self { engine, ..self.clone() }
    }

    /// True if the URL names an embedded database.
    pub fn is_embedded(url: &str) -> bool {
        url.starts_with("sqlite:")
    }

    /// Copies one moment of an embedded database, which may be in use, into an empty file.
    pub async fn back_up(url: &str, file: &std::path::Path) -> Result<(), Error> {
        sqlite::back_up(url, file).await
    }

    /// For measurements: an embedded database whose writes are committed one by one, not in groups.
    pub async fn connect_committing_each(url: &str) -> Result<Self, Error> {
        let sealed = Sealed::default();
        let engine = Engine::Sqlite(sqlite::Sqlite::connect(url, 1, sealed.clone()).await?);
        Ok(Self::of(engine, sealed))
    }

    /// Runs `f` in a write transaction; it may run again when PostgreSQL asks for a retry, so it
    /// must have no effect but through the transaction.
    pub async fn record<T, F>(&self, context: &Context, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Outcome<T>, Error>,
    {
        self.may_write()?;
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.record(context, self.keys.as_ref(), f).await,
            Engine::Postgres(postgres) => postgres.record(context, self.keys.as_ref(), f).await,
        }
    }

    /// From now on this process only reads: what it wrote would stand in a history that nobody can prove.
    pub fn stop_writing(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn may_write(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Relaxed) { Err(Code::ReadOnly.into()) } else { Ok(()) }
    }

    /// Keeps a signed checkpoint. False if one of that size is kept already, since others sign as well.
    pub async fn keep_checkpoint(&self, size: i64, note: &str, at: Micros) -> Result<bool, Error> {
        let conn = self.keeper();
        let backend = conn.get_database_backend();
        let [a, b, c, d] = [1, 2, 3, 4].map(|n| constraint::placeholders(backend, n, 1));
        let sql = format!(
            "INSERT INTO audit_checkpoint (size, note, signed_at) SELECT {a}, {b}, {c} \
             WHERE NOT EXISTS (SELECT 1 FROM audit_checkpoint WHERE size = {d}) ON CONFLICT DO NOTHING"
        );
        let values: [sea_orm::Value; 4] = [size.into(), note.into(), at.into(), size.into()];
        let _alone = self.alone().await;
        let kept = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await;
        kept.map(|kept| kept.rows_affected() == 1).map_err(constraint::translate)
    }

    /// Keeps a signature under a checkpoint that came after the checkpoint was kept; the signer's first one stays.
    pub async fn keep_signature(&self, size: i64, signer: &str, line: &str, at: Micros) -> Result<(), Error> {
        let conn = self.keeper();
        let backend = conn.get_database_backend();
        let p = [1, 2, 3, 4, 5, 6].map(|n| constraint::placeholders(backend, n, 1));
        let sql = format!(
            "INSERT INTO audit_signature (size, signer, line, received_at) SELECT {}, {}, {}, {} WHERE NOT EXISTS \
             (SELECT 1 FROM audit_signature WHERE size = {} AND signer = {}) ON CONFLICT DO NOTHING",
            p[0], p[1], p[2], p[3], p[4], p[5]
        );
        let values: [sea_orm::Value; 6] =
            [size.into(), signer.into(), line.into(), at.into(), size.into(), signer.into()];
        let _alone = self.alone().await;
        let kept = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await;
        kept.map(drop).map_err(constraint::translate)
    }

    fn writer(&self) -> DatabaseConnection {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer(),
            Engine::Postgres(postgres) => postgres.pool(),
        }
    }

    /// What is signed is kept by whoever seals.
    fn keeper(&self) -> DatabaseConnection {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer(),
            Engine::Postgres(postgres) => postgres.keeper(),
        }
    }

    /// A connection for reads.
    pub fn reader(&self) -> Reader {
        let conn = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.readers(),
            Engine::Postgres(postgres) => postgres.pool(),
        };
        Reader(Keyed::new(conn, self.keys.clone()))
    }

    /// A consistent view for several reads.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let conn = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.snapshot().await?,
            Engine::Postgres(postgres) => postgres.snapshot().await?,
        };
        Ok(Snapshot(Keyed::new(conn, self.keys.clone())))
    }

    /// Leaves nothing of what was erased in the files of an embedded database; on PostgreSQL old rows and the WAL are the
    /// server's, which clears them in its own time.
    pub async fn scrub(&self) {
        if let Engine::Sqlite(sqlite) = &self.engine {
            sqlite.scrub().await;
        }
    }

    /// Whoever served before may have been killed right after an erasure.
    pub async fn start_clean(&self) {
        self.make_up_for_scrubs().await;
        if let Some(keys) = &self.keys {
            keys.scrub().await;
        }
    }

    /// Whoever asked for an erasure may have left before anything was cleaned.
    pub async fn make_up_for_scrubs(&self) {
        if let Engine::Sqlite(sqlite) = &self.engine {
            sqlite.make_up().await;
        }
    }

    /// Where one process writes at a time: its turn.
    async fn alone(&self) -> Option<OwnedMutexGuard<()>> {
        match &self.engine {
            Engine::Sqlite(sqlite) => Some(sqlite.alone().await),
            Engine::Postgres(_) => None,
        }
    }

    /// Waits until everything that was committed before this call has its position in the log.
    pub async fn settle(&self) -> Result<(), Error> {
        match &self.engine {
            // Sealed in the transaction that wrote it.
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => postgres.settle().await,
        }
    }

    /// Changes with each seal of this process; other replicas seal as well.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.subscribe()
    }

    /// Starts the sealer where positions are given after the commit. Runs until the process ends.
    pub fn start_sealer(&self) {
        if let Engine::Postgres(postgres) = &self.engine {
            postgres.start_sealer();
        }
    }

    /// A change to a table that is not audited.
    async fn housekeeping(&self, sql: &str) -> Result<(), Error> {
        let _alone = self.alone().await;
        self.writer().execute_unprepared(sql).await.map(drop).map_err(constraint::translate)
    }

    /// Writes events and rows as a log says them, for the comparison of a log with its tables. The
    /// guards hold here as well. Only ever called on a fresh database.
    pub async fn replay<F>(&self, f: F) -> Result<(), Error>
    where
        F: AsyncFnOnce(&DatabaseTransaction) -> Result<(), Error>,
    {
        let _alone = self.alone().await;
        let tx = self.writer().begin().await.map_err(constraint::translate)?;
        f(&tx).await?;
        tx.commit().await.map_err(constraint::translate)
    }

    /// The secret that signs cursors; the same for every replica, made by whoever asks first.
    pub async fn cursor_secret(&self) -> Result<[u8; 32], Error> {
        let hex = crate::canonical::hex(&crate::id::random::<32>());
        let bytes = match &self.engine {
            Engine::Sqlite(_) => format!("x'{hex}'"),
            Engine::Postgres(_) => format!("'\\x{hex}'"),
        };
        let sql = format!("INSERT INTO instance (id, cursor_secret) VALUES (1, {bytes}) ON CONFLICT DO NOTHING");
        self.housekeeping(&sql).await?;
        let reader = self.reader();
        let backend = reader.conn().get_database_backend();
        let row =
            reader.conn().query_one_raw(Statement::from_string(backend, "SELECT cursor_secret FROM instance")).await;
        let row = row.map_err(constraint::translate)?.ok_or_else(|| Error::internal("no instance row"))?;
        let secret: Vec<u8> = row.try_get("", "cursor_secret").map_err(constraint::translate)?;
        secret.try_into().map_err(|_| Error::internal("the cursor secret has another length"))
    }

    /// Answers when the database does.
    pub async fn ping(&self) -> Result<(), Error> {
        self.reader().conn().ping().await.map_err(constraint::translate)
    }

    /// True if personal values stand in it only sealed.
    pub fn seals_personal_values(&self) -> bool {
        self.keys.is_some()
    }

    /// `sqlite` or `postgres`, for the log line at the start.
    pub fn engine_name(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// Finishes what is in flight and closes the connections.
    pub async fn close(self) {
        if let Some(keys) = self.keys {
            keys.close().await;
        }
        match self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// A wait that lasted too long is `busy`, never a hung request.
fn timed_out() -> Error {
    Error::new(Code::Busy)
}
