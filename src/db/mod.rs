//! The one door. Nobody else holds a connection, and nothing leaves here that changes a row
//! without an event beside it.
//!
//! [`Db::record`] runs a closure in a write transaction; the closure answers with an [`Outcome`].
//! On SQLite one writer lends its open transaction to waiting requests in turn and commits once for
//! the group; on PostgreSQL each request has its own transaction and a sealer gives positions after
//! the commit. Requests that need no transaction of their own leave what they write with others ([`ahead`]). Both stand
//! behind the same calls.

use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use uuid::Uuid;

use crate::clock::Micros;
use crate::error::{Code, Error};

mod ahead;
pub mod constraint;
pub mod document;
pub mod event;
mod fate;
mod held;
pub mod idempotency;
pub mod list;
mod postgres;
pub mod record;
pub mod search;
mod sqlite;

pub use document::DocumentRef;
pub use event::Event;
pub use held::WriteConn;
pub use record::{Class, Field, Record, Row};

/// The embedded or the production database.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    in_flight: idempotency::InFlight,
    needs: idempotency::Needs,
}

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
pub struct Reader(DatabaseConnection);

impl Reader {
    /// The connection to hand to a `store` function.
    pub fn conn(&self) -> &DatabaseConnection {
        &self.0
    }
}

/// A consistent view of the database for several reads.
pub struct Snapshot(DatabaseTransaction);

impl Snapshot {
    /// The connection to hand to a `store` function.
    pub fn conn(&self) -> &DatabaseTransaction {
        &self.0
    }
}

/// A write transaction, to be had from [`Db::record`] only.
pub struct WriteTx<'a> {
    conn: WriteConn<'a>,
    context: &'a Context,
    /// The first event: stands in the log if and only if the transaction is committed.
    event: OnceLock<Uuid>,
}

impl<'a> WriteTx<'a> {
    fn new(conn: &'a DatabaseTransaction, context: &'a Context) -> Self {
        Self { conn: WriteConn::new(conn), context, event: OnceLock::new() }
    }

    /// Runs a closure before there is a transaction.
    fn ahead(reader: &'a DatabaseConnection, context: &'a Context) -> Self {
        Self { conn: WriteConn::ahead(reader), context, event: OnceLock::new() }
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
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let engine = if Self::is_embedded(url) {
            Engine::Sqlite(sqlite::Sqlite::connect(url, sqlite::GROUP).await?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Engine::Postgres(postgres::Postgres::connect(url).await?)
        } else {
            return Err(Error::internal("THIDUA_DATABASE_URL must start with sqlite:// or postgres://"));
        };
        Ok(Self::of(engine))
    }

    fn of(engine: Engine) -> Self {
        Self { engine, in_flight: idempotency::InFlight::default(), needs: idempotency::Needs::default() }
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
        let engine = Engine::Sqlite(sqlite::Sqlite::connect(url, 1).await?);
        Ok(Self::of(engine))
    }

    /// Runs `f` in a write transaction; it may run again when PostgreSQL asks for a retry, so it
    /// must have no effect but through the transaction.
    pub async fn record<T, F>(&self, context: &Context, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Outcome<T>, Error>,
    {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.record(context, f).await,
            Engine::Postgres(postgres) => postgres.record(context, f).await,
        }
    }

    /// A connection for reads.
    pub fn reader(&self) -> Reader {
        Reader(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.readers(),
            Engine::Postgres(postgres) => postgres.pool(),
        })
    }

    /// A consistent view for several reads.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.snapshot().await?,
            Engine::Postgres(postgres) => postgres.snapshot().await?,
        }))
    }

    /// Waits until everything that was committed before this call has its position in the log.
    pub async fn settle(&self) -> Result<(), Error> {
        match &self.engine {
            // Sealed in the transaction that wrote it.
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => postgres.settle().await,
        }
    }

    /// Starts the sealer where positions are given after the commit. Runs until the process ends.
    pub fn start_sealer(&self) {
        if let Engine::Postgres(postgres) = &self.engine {
            postgres.start_sealer();
        }
    }

    /// Brings the schema up to date; several processes may call this at once.
    pub async fn migrate(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.migrate().await,
            Engine::Postgres(postgres) => postgres.migrate().await,
        }
    }

    /// The names of migrations that have not run, `search` if what is derived for it is of another version; reading them needs no rights to change the schema.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        use migration::MigratorTrait;
        let pending = migration::Migrator::get_pending_migrations_read_only(self.reader().conn()).await;
        let pending = pending.map_err(constraint::translate)?;
        let mut names: Vec<String> = pending.iter().map(|migration| migration.name().to_owned()).collect();
        if names.is_empty() && search::is_stale(self.reader().conn()).await? {
            names.push("search".to_owned());
        }
        Ok(names)
    }

    /// A change to a table that is not audited.
    async fn housekeeping(&self, sql: &str) -> Result<(), Error> {
        let conn = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer(),
            Engine::Postgres(postgres) => postgres.pool(),
        };
        conn.execute_unprepared(sql).await.map(drop).map_err(constraint::translate)
    }

    /// Writes events and rows as a log says them, for the comparison of a log with its tables. The
    /// guards hold here as well. Only ever called on a fresh database.
    pub async fn replay<F>(&self, f: F) -> Result<(), Error>
    where
        F: AsyncFnOnce(&DatabaseTransaction) -> Result<(), Error>,
    {
        let conn = match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer(),
            Engine::Postgres(postgres) => postgres.pool(),
        };
        let tx = conn.begin().await.map_err(constraint::translate)?;
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

    /// `sqlite` or `postgres`, for the log line at the start.
    pub fn engine_name(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// Finishes what is in flight and closes the connections.
    pub async fn close(self) {
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
