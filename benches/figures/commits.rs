//! Audited writes over HTTP on SQLite, 64 clients: the service, which commits once for a group of requests, against
//! itself committing each request by itself, with the same durability (WAL, synchronous FULL).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::bed::{self, Bed, Prepared};
use crate::{Rounds, load, middle};

const CLIENTS: usize = 64;

pub async fn run(rounds: Rounds) {
    let bed = Bed::new();
    let template = bed.path("template.db");
    let prepared = bed.prepare(&bed.sqlite("template.db")).await;
    for (disk, environment) in disks(&bed) {
        for kind in ["revocation", "activity"] {
            compare(&bed, &prepared, &template, kind, &disk, &environment, rounds).await;
        }
    }
}

async fn compare(
    bed: &Bed,
    prepared: &Prepared,
    template: &Path,
    kind: &str,
    disk: &str,
    environment: &[(&str, String)],
    rounds: Rounds,
) {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (mut own, mut tails, mut each) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds.rounds {
        let time = Duration::from_secs(rounds.seconds);
        let url = copy(bed, template);
        let (running, address, _) = bed.serve(&url, &environment).await;
        let load = measure(bed, prepared, kind, &address, time).await;
        drop(running);
        own.push(load.per_second);
        tails.push(load.quantile(0.99).as_secs_f64() * 1000.0);
        let url = copy(bed, template);
        let (_running, address) = bed.rival("commit-each", &url, &environment).await;
        each.push(measure(bed, prepared, kind, &address, time).await.per_second);
    }
    let ratios = own.iter().zip(&each).map(|(own, each)| own / each).collect();
    println!("{kind}, {CLIENTS} clients, {disk}: {} a second, p99 {} ms", middle(own), middle(tails));
    println!("  against one commit per request: {}", middle(ratios));
}

/// The disk as it is, and one whose every commit takes 3 ms longer.
pub fn disks(bed: &Bed) -> [(String, Vec<(&'static str, String)>); 2] {
    let slow = bed.path("slow_sync.so");
    let slow = slow.to_str().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/figures/slow_sync.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O2", "-o", slow, source, "-ldl"]);
    assert!(compiler.status().expect("cc is there").success());
    let slowed = vec![("LD_PRELOAD", slow.to_owned()), ("SLOW_SYNC_US", "3000".to_owned())];
    [("this disk".to_owned(), vec![]), ("a commit slowed to 3 ms".to_owned(), slowed)]
}

/// A fresh copy of a database that nobody uses.
pub fn copy(bed: &Bed, template: &Path) -> String {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(bed.path(&format!("copy.db{end}")));
    }
    std::fs::copy(template, bed.path("copy.db")).unwrap();
    bed.sqlite("copy.db")
}

async fn measure(bed: &Bed, prepared: &Prepared, kind: &str, address: &str, time: Duration) -> load::Load {
    let (path, token, body) = if kind == "activity" {
        ("/v1/activities", bed.reporter.clone(), prepared.activity().to_string())
    } else {
        ("/v1/revocations", bed.administrator.clone(), bed::revocation().to_string())
    };
    let request = move || load::post(path, &token, &body);
    load::run(address, CLIENTS, Duration::from_secs(1), 201, request.clone()).await;
    load::run(address, CLIENTS, time, 201, request).await
}
