//! The process is killed under load, again and again.
//!
//! Four cycles here; `THIDUA_CRASH_CYCLES=1000` for a long run.

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use actix_web::rt::task::spawn_blocking;
use futures_util::future::{join, join_all};

use super::load::Ledger;
use super::sealing;
use super::syscalls::{self, Target};
use crate::support::program::Program;
use crate::support::watch::{LONGEST, ended, watch};
use crate::support::{Database, Engine, Running, said, signer};

const WRITERS: u32 = 8;
/// Cycles of one database: each village costs more the more there are, since what is derived of units is derived of all.
const TOGETHER: u32 = 100;

/// Who kills the service in this cycle.
trait Killer: AsyncFn(u32, &mut Running, &Database) {}

impl<K: AsyncFn(u32, &mut Running, &Database)> Killer for K {}

async fn killed(engine: Engine) {
    let cycles = std::env::var("THIDUA_CRASH_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_u32);
    watch(LONGEST + cycles * Duration::from_secs(20));
    let mut first = 0;
    while first < cycles {
        let next = cycles.min(first + TOGETHER);
        let at_an_odd_moment = async |cycle: u32, service: &mut Running, _: &Database| {
            tokio::time::sleep(Duration::from_micros(u64::from(cycle * 977 % 5_000))).await;
            service.0.kill().unwrap();
        };
        killed_in(engine, first..next, at_an_odd_moment).await;
        println!("{engine:?}: {next} of {cycles} cycles, nothing lost, nothing doubled");
        first = next;
    }
}

async fn killed_in(engine: Engine, cycles: Range<u32>, killer: impl Killer) {
    let Some(database) = Database::create(engine).await else { return };
    let mut program = Program::new(&database.url).await;
    // The log is signed all the while, and what was signed is remembered.
    let anchor = program.signs();
    let program = program;
    let ledger = Ledger::default();
    for cycle in cycles {
        let mut service = program.serve().await;
        let enough = ledger.acknowledged() + i64::from(WRITERS);
        let writers = (0..WRITERS).map(|writer| {
            let ledger = &ledger;
            let program = &program;
            async move { ledger.write(program, &format!("c{cycle}w{writer}"), || false).await }
        });
        let kill = async {
            // Under load: only once writes are being acknowledged. A machine that is too slow for that is seen below, and
            // not waited for.
            for _ in 0..4000 {
                if ledger.acknowledged() >= enough {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            killer(cycle, &mut service, &database).await;
        };
        join(join_all(writers), kill).await;
        ended(&mut service.0);
        assert!(ledger.acknowledged() >= enough, "the load was a load: {}", ledger.acknowledged());
    }
    for refused in ledger.refused() {
        assert!([503, 409].contains(&refused.status), "{refused:?}");
    }
    let service = program.serve().await;
    ledger.holds(&program, &database.url, 0).await;
    drop(service);
    assert!(anchor.exists(), "the log was signed");
    let db = database.connect().await;
    sealing::is_sound(&db).await;
    assert_eq!(signer(&db, &anchor).await.trouble(), None);
    db.close().await;
    database.remove().await;
}

#[actix_web::test]
async fn killed_under_load_on_sqlite() {
    killed(Engine::Sqlite).await;
}

#[actix_web::test]
async fn killed_under_load_on_postgres() {
    killed(Engine::Postgres).await;
}

/// The calls with which SQLite writes a commit, one after another: the process dies in the first, then in the second, and so
/// on, more than a commit has. `THIDUA_FAILED_CALLS=60` goes through as many of each.
#[actix_web::test]
async fn killed_in_each_call_of_a_commit_on_sqlite() {
    if !syscalls::strace_is_there() {
        return;
    }
    let each = syscalls::each();
    watch(LONGEST + 2 * each * Duration::from_secs(20));
    let died = [Cell::new(0), Cell::new(0)];
    let in_a_call = async |cycle: u32, service: &mut Running, database: &Database| {
        let kind = (cycle % 2) as usize;
        let call = ["pwrite64", "fsync"][kind];
        let file = Path::new(database.url.trim_start_matches("sqlite://"));
        // The sixth commit under strace takes a while.
        let target = Target { patience: Duration::from_secs(4), ..Target::database(file) };
        let (id, which) = (service.0.id(), cycle / 2 + 1);
        let fails = move || syscalls::fails(id, &target, (call, "signal=SIGKILL"), which);
        let failed = spawn_blocking(fails).await.unwrap();
        died[kind].set(died[kind].get() + u32::from(failed));
        // It may be dead already.
        let _ = service.0.kill();
    };
    killed_in(Engine::Sqlite, 0..2 * each, in_a_call).await;
    let died = died.map(|died| died.get());
    said(&format!("killed in a call of SQLite: {died:?} of {each} pwrite64 and fsync each"));
    assert!(died.iter().all(|died| *died >= each / 2), "{died:?} of {each}");
}
