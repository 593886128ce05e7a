//! Audited and provable writes at the level of the database, in process: no HTTP, no token. A write is a row and its event,
//! in a transaction of its own; or, *together*, as creating requests are written: with their stored answer, and whatever
//! waits travels in one statement.
//!
//! On PostgreSQL against pgbench doing the two INSERTs of row and event in a transaction, also with a commit that waits for
//! others (`commit_delay`); the time until everything written has its position in the tree counts. On SQLite both against one
//! commit per write, also with a slower disk. And sealing while a transaction stays open for long.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use thidua::clock::Stopwatch;
use thidua::commands::grant::console;
use thidua::db::idempotency::{Answer, Once};
use thidua::db::{Db, Event, Outcome, WriteTx};
use thidua::revocations::store::revocation;
use tokio::runtime::Handle;

use crate::bed::{self, Bed};
use crate::{Rounds, commits, middle, writes};

const TEMPLATE: &str = "thidua_door_template";
const COPY: &str = "thidua_door";
/// A commit waits this long for others, µs: a lone transaction takes some 3 ms then.
const SLOW: &str = "2000";

/// One contender: writes for a time, then says how many writes a second.
#[derive(Args)]
pub struct WriterArgs {
    #[arg(long)]
    database_url: String,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    seconds: u64,
    #[arg(long, value_enum)]
    way: Way,
}

/// How a write is written.
#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// In a transaction of its own.
    Alone,
    /// With its stored answer, together with whatever else waits.
    Together,
    /// SQLite: committed by itself, not in a group.
    Each,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Together => "together",
            Self::Each => "each",
        }
    }
}

pub async fn run(rounds: Rounds) {
    let bed = Bed::new();
    bed.prepare(&bed::create(TEMPLATE, None).await).await;
    for (clients, delay) in [(16, "0"), (16, SLOW), (32, "0"), (32, SLOW)] {
        against_pgbench(clients, delay, rounds).await;
    }
    while_a_transaction_is_open(rounds).await;
    bed::drop_database(COPY).await;
    bed::drop_database(TEMPLATE).await;
    let template = bed.path("template.db");
    bed.prepare(&bed.sqlite("template.db")).await;
    for (disk, environment) in commits::disks(&bed) {
        against_each(&bed, &template, &disk, &environment, rounds);
    }
}

/// Writes with many clients at once.
pub async fn write(args: WriterArgs) {
    let db = match args.way {
        Way::Each => Db::connect_committing_each(&args.database_url).await.unwrap(),
        Way::Alone | Way::Together => Db::connect(&args.database_url).await.unwrap(),
    };
    db.start_sealer();
    load(&db, args.way, args.clients, Duration::from_secs(1)).await;
    db.settle().await.unwrap();
    let began = Stopwatch::start();
    let written = load(&db, args.way, args.clients, Duration::from_secs(args.seconds)).await;
    // Provable: it counts when it is in the tree.
    db.settle().await.unwrap();
    println!("{}", written as f64 / began.elapsed().as_secs_f64());
    db.close().await;
}

/// On two threads, as the service serves requests.
async fn load(db: &Db, way: Way, clients: usize, time: Duration) -> u64 {
    const THREADS: usize = 2;
    let threads = (0..THREADS).map(|thread| {
        let (db, runtime) = (db.clone(), Handle::current());
        tokio::task::spawn_blocking(move || {
            let clients = (thread..clients).step_by(THREADS).map(|_| client(&db, way, time));
            runtime.block_on(futures_util::future::join_all(clients)).into_iter().sum::<u64>()
        })
    });
    let mut written = 0;
    for thread in threads.collect::<Vec<_>>() {
        written += thread.await.unwrap();
    }
    written
}

async fn client(db: &Db, way: Way, time: Duration) -> u64 {
    let (began, mut written) = (Stopwatch::start(), 0);
    while began.elapsed() < time {
        match way {
            Way::Together => one_of_many(db).await,
            Way::Alone | Way::Each => one(db).await,
        }
        written += 1;
    }
    written
}

/// So many writes, by many clients at once.
pub async fn some(db: &Db, clients: u64, number: u64) {
    let workers = (0..clients).map(|worker| {
        let db = db.clone();
        tokio::spawn(async move {
            for _ in (worker..number).step_by(usize::try_from(clients).unwrap()) {
                one(&db).await;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

/// A row and its event, nothing personal in them.
async fn one(db: &Db) {
    let console = console();
    let written = db.record(&console, async |tx: &WriteTx<'_>| {
        tx.insert(row(), Event::new("token.revoked")).await.map(Outcome::Changed)
    });
    written.await.unwrap();
}

/// The same with its stored answer, as a creating request.
async fn one_of_many(db: &Db) {
    let (console, key) = (console(), thidua::id::new_id().to_string());
    let once = Once { operation: "create_revocation", key, payload: [7; 32] };
    let written = db.record_once(&console, &once, async |tx: &WriteTx<'_>| {
        let row = tx.insert(row(), Event::new("token.revoked")).await?;
        let location = Some(format!("/v1/revocations/{}", row.id));
        let (etag, body) = (Some("\"1\"".into()), "{}".into());
        Ok(Answer { status: 201, location, etag, body, subject: None, replayed: false })
    });
    written.await.unwrap();
}

fn row() -> revocation::Model {
    revocation::Model {
        id: thidua::id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
        sid: None,
        jti: Some("c0ffee00-0000-4000-8000-000000000000".into()),
        account_id: None,
        issued_before: None,
        expires_at: Some(7_258_118_400_000_000),
        revoke_reason: None,
    }
}

async fn against_pgbench(clients: usize, delay: &str, rounds: Rounds) {
    let ways = [Way::Alone, Way::Together];
    let (mut own, mut ratios) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..rounds.rounds {
        for (n, way) in ways.into_iter().enumerate() {
            own[n].push(writer(&fresh(delay).await, clients, rounds.seconds, way, &[]));
        }
        let url = fresh(delay).await;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/figures/door_apart.sql");
        let rival = writes::transactions(&url, script, clients, rounds.seconds, &[]);
        for (own, ratios) in own.iter().zip(&mut ratios) {
            ratios.extend(own.last().map(|written| written / rival));
        }
    }
    let commit = if delay == "0" { "this disk" } else { "a slow commit" };
    for ((way, own), ratios) in ways.into_iter().zip(own).zip(ratios) {
        println!("PostgreSQL, {clients} clients, {commit}, {}: {} a second, provable", way.word(), middle(own));
        println!("  against pgbench, the same two INSERTs: {}", middle(ratios));
    }
}

/// A copy of the database whose commits wait for others so long.
async fn fresh(delay: &str) -> String {
    let url = bed::create(COPY, Some(TEMPLATE)).await;
    bed::execute(&bed::server(), &format!("ALTER DATABASE {COPY} SET commit_delay = {delay}")).await;
    bed::execute(&bed::server(), &format!("ALTER DATABASE {COPY} SET commit_siblings = 0")).await;
    url
}

/// Sealing some events at a time, before and while a transaction is open that keeps what was deleted from being vacuumed.
async fn while_a_transaction_is_open(rounds: Rounds) {
    let url = fresh("0").await;
    let db = Db::connect(&url).await.unwrap();
    let quiet = seals(&db, rounds.seconds).await;
    let reader = Database::connect(&url).await.unwrap();
    let open = reader.begin().await.unwrap();
    open.execute_unprepared("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM audit_inbox")
        .await
        .unwrap();
    // Everything that is sealed from here on stays in the inbox's pages.
    seals(&db, rounds.seconds * u64::try_from(rounds.rounds).unwrap()).await;
    let held = seals(&db, rounds.seconds).await;
    let dead = dead_rows(&reader).await;
    open.rollback().await.unwrap();
    db.close().await;
    println!(
        "sealing 50 events with {dead} dead rows behind a transaction that stays open: {:.2} of without",
        held / quiet
    );
}

async fn dead_rows(conn: &DatabaseConnection) -> String {
    let sql = "SELECT n_dead_tup::text FROM pg_stat_user_tables WHERE relname = 'audit_inbox'";
    bed::scalar(conn, conn.get_database_backend(), sql).await
}

/// The middle time of a seal of 50 events, in milliseconds.
async fn seals(db: &Db, seconds: u64) -> f64 {
    let began = Stopwatch::start();
    let mut times = Vec::new();
    while began.elapsed() < Duration::from_secs(seconds) {
        futures_util::future::join_all((0..50).map(|_| one(db))).await;
        let sealing = Stopwatch::start();
        db.settle().await.unwrap();
        times.push(sealing.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn against_each(bed: &Bed, template: &Path, disk: &str, environment: &[(&str, String)], rounds: Rounds) {
    const CLIENTS: usize = 64;
    let ways = [Way::Alone, Way::Together];
    let (mut own, mut ratios) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let write = |way| writer(&commits::copy(bed, template), CLIENTS, rounds.seconds, way, environment);
    for _ in 0..rounds.rounds {
        let written = ways.map(write);
        let each = write(Way::Each);
        for (n, written) in written.into_iter().enumerate() {
            own[n].push(written);
            ratios[n].push(written / each);
        }
    }
    for ((way, own), ratios) in ways.into_iter().zip(own).zip(ratios) {
        println!("SQLite in process, {CLIENTS} clients, {disk}, {}: {} a second, provable", way.word(), middle(own));
        println!("  against one commit per write: {}", middle(ratios));
    }
}

/// A contender in a process of its own.
fn writer(url: &str, clients: usize, seconds: u64, way: Way, environment: &[(&str, String)]) -> f64 {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["writer", "--database-url", url, "--clients", &clients, "--seconds", &seconds]);
    command.args(["--way", way.word()]);
    let output = tokio::task::block_in_place(|| command.envs(environment.iter().cloned()).output().unwrap());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
