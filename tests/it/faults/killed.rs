//! The process is killed under load, again and again.
//!
//! Four cycles here; `THIDUA_CRASH_CYCLES=1000` for a long run.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::load::Ledger;
use super::sealing;
use crate::support::program::Program;
use crate::support::watch::{LONGEST, ended, watch};
use crate::support::{Database, Engine, log_key, signer};

const WRITERS: u32 = 8;
/// Cycles of one database: each village costs more the more there are, since what is derived of units is derived of all.
const TOGETHER: u32 = 100;

async fn killed(engine: Engine) {
    let cycles = std::env::var("THIDUA_CRASH_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_u32);
    watch(LONGEST + cycles * Duration::from_secs(20));
    let mut first = 0;
    while first < cycles {
        let next = cycles.min(first + TOGETHER);
        killed_in(engine, first..next).await;
        println!("{engine:?}: {next} of {cycles} cycles, nothing lost, nothing doubled");
        first = next;
    }
}

async fn killed_in(engine: Engine, cycles: Range<u32>) {
    let Some(database) = Database::create(engine).await else { return };
    let mut program = Program::new(&database.url).await;
    // The log is signed all the while, and what was signed is remembered.
    let directory = tempfile::tempdir().unwrap();
    let [key, anchor] = ["key", "anchor"].map(|name| directory.path().join(name));
    std::fs::write(&key, log_key().to_skey().unwrap()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    for (name, file) in [("THIDUA_LOG_KEY_FILE", &key), ("THIDUA_LOG_ANCHOR_FILE", &anchor)] {
        program.environment.push((name.into(), file.to_str().unwrap().into()));
    }
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
            // Under load: only once writes are being acknowledged, and then at an odd moment. A machine that is too
            // slow for that is seen below, and not waited for.
            for _ in 0..4000 {
                if ledger.acknowledged() >= enough {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_micros(u64::from(cycle * 977 % 5_000))).await;
            service.0.kill().unwrap();
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
