//! PostgreSQL is restarted under load, without and with a word to its sessions.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use thidua::clock::Stopwatch;

use super::load::Ledger;
use crate::support::cluster::Cluster;
use crate::support::program::Program;

/// How soon after PostgreSQL accepts connections again a write must succeed.
const RECOVERY: Duration = Duration::from_secs(5);

/// Immediately three times, with a crash recovery each; then with open sessions told to end.
async fn restart(cluster: &mut Cluster, program: &Program, ledger: &Ledger) {
    for (n, with) in ["QUIT", "QUIT", "QUIT", "INT"].into_iter().enumerate() {
        ledger.grows(30).await;
        cluster.stop(with);
        // Long enough that requests meet a server that is not there.
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.start().await;
        let since = Stopwatch::start();
        let key = format!("again{n}");
        while program.register(&key, &format!("Bản {key}")).await.unwrap().status != 201 {
            assert!(since.elapsed() < RECOVERY, "no write within {RECOVERY:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(since.elapsed() < RECOVERY, "{:?}", since.elapsed());
    }
}

#[actix_web::test]
async fn postgres_restarted_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut cluster) = Cluster::create(directory.path(), &["fsync=on", "shared_buffers=16MB"]) else { return };
    cluster.start().await;
    let url = cluster.database().await;
    let mut program = Program::new(&url).await;
    let anchor = program.signs();
    let program = program;
    let service = program.serve().await;
    let (ledger, over) = (Ledger::default(), Cell::new(false));
    let writers = (0..6).map(|writer| {
        let (ledger, program, over) = (&ledger, &program, &over);
        async move { ledger.write(program, &format!("w{writer}"), || over.get()).await }
    });
    let restarts = async {
        restart(&mut cluster, &program, &ledger).await;
        ledger.grows(30).await;
        over.set(true);
    };
    join(join_all(writers), restarts).await;
    let refused = ledger.refused();
    assert!(!refused.is_empty(), "the restarts were noticed");
    for answer in refused {
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(["busy", "outcome_unknown"].contains(&code.as_str()), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("2"));
        answer.problem(503, &code);
    }
    ledger.holds(&program, &url, 4).await;
    drop(service);
    assert!(anchor.exists(), "the log was signed");
}
