//! The production engine: a transaction a request, carriers for what needs none of its own, and a sealer that gives
//! positions afterwards.
//!
//! Any replica may seal; the lock on the head row is the election. A transaction is tried again
//! on 40001 and 40P01, and after COMMIT only once it is certain that it did not happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, IsolationLevel,
    TransactionTrait,
};
use tokio::sync::{Mutex, Notify, mpsc};
use uuid::Uuid;

use migration::{Migrator, MigratorTrait};

use super::ahead::{self, Job, MOST};
use super::fate::{self, Fate};
use super::keys::SubjectKeys;
use super::{Context, Keyed, Outcome, Roles, Sealed, Urls, WriteTx, constraint, roles, search, timed_out};
use crate::error::{Code, Error};
use crate::log::{seal, tiles};

const CONNECTIONS: u32 = 16;
/// Of a role that does little.
const FEW: u32 = 2;
/// Who write what was left with them; while one waits for the database, more comes together for the other.
const CARRIERS: u32 = 2;
/// What one takes travels in a few statements, three beside one another: each waits for a commit of its own.
const LINES: u32 = 3 * CARRIERS;
/// Their statements are long, few and no cheaper for knowing the values: they are planned once. Their connections are
/// opened when there is something to carry.
const CARRYING: [(&str, &str); 1] = [("plan_cache_mode", "force_generic_plan")];
/// With the inbox mostly empty, default planning flips to plans that take seconds; and the cost of a plan that was talked
/// out of a scan looks high enough to be compiled, which takes longer still.
const SEALING: [(&str, &str); 3] =
    [("enable_seqscan", "off"), ("jit", "off"), ("plan_cache_mode", "force_custom_plan")];
const QUEUE: usize = 1024;
const ATTEMPTS: u32 = 5;
const LIMIT: Duration = Duration::from_secs(10);
/// How long somebody who reads waits for whoever seals.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two seals: what is committed meanwhile goes together, since a seal costs about as much for one event as for
/// fifty. Whoever reads does not wait for it ([`Postgres::settle`]).
const GATHER: Duration = Duration::from_millis(40);
/// How often a sealer looks without being woken: another replica may have died before sealing.
const UNASKED: Duration = Duration::from_millis(250);
/// How often a sealer looks at the whole inbox: behind us another server may have taken over whose transactions have
/// smaller numbers than those we have seen.
const EVERYTHING: Duration = Duration::from_secs(10);
/// The advisory lock under which migrations run; any fixed number does.
pub(super) const MIGRATION_LOCK: i64 = 0x7468_6964_7561;

/// A transaction that is still open, what it did, and its first event.
type Attempt<T> = (DatabaseTransaction, Outcome<T>, Option<Uuid>);

/// What the server itself ends: a statement that nobody may be waiting for any more, and the session of a machine that
/// went away without a word, whose locks others wait for.
const LIMITS: [(&str, &str); 4] = [
    ("statement_timeout", "30s"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

#[derive(Clone)]
pub(super) struct Postgres {
    pool: DatabaseConnection,
    /// The sealer's own connection, so that it never waits behind requests.
    sealer: DatabaseConnection,
    /// What is signed is kept with these: the sealer's as well, but not the one that may be sealing.
    keeper: DatabaseConnection,
    /// What erases.
    eraser: DatabaseConnection,
    wake: Arc<Notify>,
    stop: Arc<Notify>,
    jobs: mpsc::Sender<Job>,
    /// What the carriers write with.
    carriers: DatabaseConnection,
    floor: Arc<seal::Floor>,
    turns: Arc<Turns>,
    sealed: Sealed,
}

/// Who seals in this process, one at a time. Whoever waits for what is committed already waits for a turn that began later;
/// one does for all who wait.
#[derive(Default)]
struct Turns {
    /// Turns taken by those who wait.
    begun: AtomicU64,
    /// The number of the last of them that ended, and how.
    last: Arc<Mutex<(u64, Option<Code>)>>,
}

impl Postgres {
    pub(super) async fn connect(urls: &Urls, sealed: Sealed) -> Result<Self, Error> {
        let connections = if cfg!(test) { 4 } else { CONNECTIONS };
        let as_sealer = urls.sealer.as_deref().unwrap_or(&urls.app);
        let pool = connect(&urls.app, connections, &[]).await?;
        let sealer = connect(as_sealer, 1, &SEALING).await?;
        let carriers = connect(&urls.app, LINES, &CARRYING).await?;
        let (keeper, eraser) = tokio::try_join!(
            role(&pool, urls.sealer.as_deref(), roles::SEALER_URL),
            role(&pool, urls.eraser.as_deref(), roles::ERASER_URL)
        )?;
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (wake, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let this = Self {
            pool,
            sealer,
            keeper,
            eraser,
            wake,
            stop,
            jobs,
            carriers,
            floor: Arc::default(),
            turns: Arc::default(),
            sealed,
        };
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..CARRIERS {
            tokio::spawn(carry(this.carriers.clone(), this.wake.clone(), waiting.clone()));
        }
        Ok(this)
    }

    pub(super) async fn post(&self, job: Job) {
        // Without carriers the job is dropped, and so runs in a transaction.
        let _ = self.jobs.send(job).await;
    }

    pub(super) fn pool(&self) -> DatabaseConnection {
        self.pool.clone()
    }

    pub(super) fn keeper(&self) -> DatabaseConnection {
        self.keeper.clone()
    }

    /// Transactions and reads with the eraser's rights.
    pub(super) fn as_eraser(&self) -> Self {
        Self { pool: self.eraser.clone(), ..self.clone() }
    }

    pub(super) async fn snapshot(&self) -> Result<DatabaseTransaction, Error> {
        let begun = self.pool.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await;
        begun.map_err(constraint::translate)
    }

    pub(super) async fn record<T, F>(&self, context: &Context, keys: Option<&SubjectKeys>, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Outcome<T>, Error>,
    {
        let mut attempt = 1;
        loop {
            match self.attempt(context, keys, &f).await {
                Err(error) if attempt < ATTEMPTS && constraint::wants_retry(&error) => {
                    // Full jitter: whoever collided should not meet again.
                    let [byte] = crate::id::random::<1>();
                    let pause = u64::from(byte) * u64::from(attempt) / 8;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok((conn, Outcome::Changed(value), event)) => {
                    // Outside the time limit: once COMMIT is sent, it may have happened.
                    match (self.commit(conn, event).await?, attempt < ATTEMPTS) {
                        (Fate::Committed, _) => return Ok(value),
                        (Fate::RolledBack, true) => attempt += 1,
                        (Fate::RolledBack, false) => return Err(timed_out()),
                    }
                }
                Ok((conn, Outcome::Unchanged(value), _)) => {
                    conn.rollback().await.map_err(constraint::translate)?;
                    return Ok(value);
                }
            }
        }
    }

    /// Sends COMMIT; without an answer, finds out what became of it.
    async fn commit(&self, conn: DatabaseTransaction, event: Option<Uuid>) -> Result<Fate, Error> {
        let fate = match (conn.commit().await, event) {
            (Ok(()), _) => Fate::Committed,
            (Err(error), Some(event)) if fate::is_open(&error) => {
                let fate = fate::learn(&self.pool, event).await;
                tracing::warn!(%error, %event, ?fate, "COMMIT was not answered");
                fate?
            }
            (Err(error), _) => return Err(constraint::translate(error)),
        };
        self.wake.notify_one();
        Ok(fate)
    }

    /// Runs the closure once; the transaction is still open afterwards, unless it failed.
    async fn attempt<T, F>(&self, context: &Context, keys: Option<&SubjectKeys>, f: &F) -> Result<Attempt<T>, Error>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Outcome<T>, Error>,
    {
        let conn = self.pool.begin().await.map_err(constraint::translate)?;
        let outcome = {
            let tx = WriteTx::new(&conn, keys, context);
            let outcome = tokio::time::timeout(LIMIT, tx.run(f)).await.unwrap_or_else(|_| Err(timed_out()));
            outcome.map(|outcome| (outcome, tx.event.get().copied()))
        };
        match outcome {
            Ok((outcome, event)) => Ok((conn, outcome, event)),
            Err(error) => {
                // The error that ended the closure matters more than a failing rollback.
                let _ = conn.rollback().await;
                Err(error)
            }
        }
    }

    pub(super) async fn migrate(&self, for_roles: Option<&Roles>, keys: Option<&SubjectKeys>) -> Result<usize, Error> {
        let tx = self.pool.begin().await.map_err(constraint::translate)?;
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        tx.execute_unprepared(&lock).await.map_err(constraint::translate)?;
        let waiting = Migrator::get_pending_migrations(&tx).await.map_err(constraint::translate)?.len();
        Migrator::up(&tx, None).await.map_err(constraint::translate)?;
        let tx = Keyed::new(tx, keys.cloned());
        search::renew(&tx).await?;
        let tx = tx.into_inner();
        tiles::renew(&tx).await?;
        if let Some(granted) = for_roles {
            roles::grant(&tx, granted).await?;
        }
        tx.commit().await.map_err(constraint::translate)?;
        Ok(waiting)
    }

    /// Everything that was committed before is sealed afterwards, by a turn of ours or of somebody's who asked later. What
    /// one turn meets, all meet who waited for it: where the server is gone, nobody waits for each in front of them. A turn
    /// ends also if nobody waits for it any more, and however long it takes: what it did would be lost.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        let asked = self.turns.begun.load(Ordering::SeqCst);
        let Ok(mut last) = tokio::time::timeout(PATIENCE, self.turns.last.clone().lock_owned()).await else {
            // Whoever seals is stuck, or has much to do. Another replica may have done it.
            let empty = seal::inbox_is_empty(&self.pool, &self.floor).await?;
            return if empty { Ok(()) } else { Err(Code::Busy.into()) };
        };
        if last.0 > asked {
            return last.1.map_or(Ok(()), |code| Err(code.into()));
        }
        let turn = self.turns.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let this = self.clone();
        let sealing = tokio::spawn(async move {
            let sealed = this.seal(seal::Lock::Wait).await;
            *last = (turn, sealed.as_ref().err().map(|error| error.code));
            sealed
        });
        sealing.await.map_err(Error::internal)?
    }

    pub(super) fn start_sealer(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            let mut everything = tokio::time::interval(EVERYTHING);
            loop {
                let mut all = false;
                tokio::select! {
                    () = this.wake.notified() => {}
                    () = tokio::time::sleep(UNASKED) => {}
                    _ = everything.tick() => all = true,
                    () = this.stop.notified() => return,
                }
                let turn = this.turns.last.lock().await;
                // In a turn: a seal that ends raises the floor.
                if all {
                    this.floor.forget();
                }
                if let Err(error) = this.seal(seal::Lock::Skip).await {
                    tracing::warn!(%error, "sealing failed; trying again");
                }
                drop(turn);
                tokio::time::sleep(GATHER).await;
            }
        });
    }

    /// One sealing transaction, if anything waits: an empty inbox means that all is sealed, since rows move atomically.
    /// Afterwards everything visible at its beginning has its position.
    async fn seal(&self, lock: seal::Lock) -> Result<(), Error> {
        if seal::inbox_is_empty(&self.sealer, &self.floor).await? {
            return Ok(());
        }
        let tx = self.sealer.begin().await.map_err(constraint::translate)?;
        let Some((horizon, head)) = seal::take_head(&tx, lock).await? else {
            // Another replica is sealing; it will take these rows as well.
            return tx.rollback().await.map_err(constraint::translate);
        };
        seal::seal_all(&tx, &self.floor, head).await?;
        tx.commit().await.map_err(constraint::translate)?;
        self.floor.raise(horizon);
        self.sealed.send_modify(|seals| *seals += 1);
        Ok(())
    }

    pub(super) async fn close(self) {
        self.stop.notify_one();
        let _ = self.carriers.close().await;
        for pool in [self.pool, self.sealer, self.keeper, self.eraser] {
            let _ = pool.close().await;
        }
    }
}

/// Takes what waits and writes it, a statement for all that are alike: each is committed with its answer.
async fn carry(conn: DatabaseConnection, wake: Arc<Notify>, waiting: Arc<Mutex<mpsc::Receiver<Job>>>) {
    loop {
        let mut jobs = Vec::new();
        if waiting.lock().await.recv_many(&mut jobs, MOST).await == 0 {
            return;
        }
        let at_once = (LINES / CARRIERS) as usize;
        let write = async |mut load: ahead::Load| match load.write(&conn).await {
            Ok(()) => {
                wake.notify_one();
                load.committed();
            }
            Err(error) => load.refused(&error),
        };
        stream::iter(ahead::loads(jobs)).for_each_concurrent(at_once, write).await;
    }
}

/// The connections of a role that has a URL of its own; without one, everybody's.
async fn role(pool: &DatabaseConnection, url: Option<&str>, name: &str) -> Result<DatabaseConnection, Error> {
    let Some(url) = url else { return Ok(pool.clone()) };
    let conn = connect(url, FEW, &[]).await?;
    roles::same_database(pool, &conn, name).await?;
    Ok(conn)
}

/// A pool whose sessions have these settings; with settings of its own it opens its connections when they are needed.
pub(super) async fn connect(
    url: &str,
    connections: u32,
    settings: &'static [(&str, &str)],
) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).sqlx_logging(false).record_stmt_in_spans(false);
    match settings {
        [] => options.min_connections(1),
        _ => options.min_connections(0).connect_lazy(true),
    };
    options.acquire_timeout(Duration::from_secs(2)).set_application_name("thidua");
    // A question to the server before each use would cost as much as half a query; what was used just now still works.
    options.test_before_acquire_if_idle_for(Duration::from_secs(1));
    options.map_sqlx_postgres_opts(move |postgres| {
        let told = postgres.get_options().unwrap_or_default().to_owned();
        // What the URL says counts.
        let own = LIMITS.iter().chain(settings).filter(|(name, _)| !told.contains(&format!("{name}=")));
        postgres.options(own.copied())
    });
    Database::connect(options).await.map_err(constraint::translate)
}
