//! Audited writes over HTTP on PostgreSQL.
//!
//! In every round each contender gets a fresh copy of one database. pgbench does what the service asks of PostgreSQL,
//! the query for rights included; it makes its leaves in SQL, so that the guards hold for it as well.

use std::process::Command;
use std::time::Duration;

use sea_orm::{Database, DbBackend};

use crate::bed::{self, AUDIENCE, Bed, ISSUER, Prepared};
use crate::{Rounds, load, middle};

const TEMPLATE: &str = "thidua_figures_template";
const COPY: &str = "thidua_figures";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/figures");

/// A kind of write.
struct Kind {
    name: &'static str,
    path: &'static str,
    body: String,
    token: String,
    account: String,
    table: &'static str,
}

pub async fn run(rounds: Rounds) {
    let bed = Bed::new();
    let prepared = bed.prepare(&bed::create(TEMPLATE, None).await).await;
    let kinds = kinds(&bed, &prepared).await;
    for clients in [16, 32] {
        for kind in &kinds {
            compare(&bed, &prepared, kind, clients, rounds).await;
        }
    }
    bed::drop_database(COPY).await;
    bed::drop_database(TEMPLATE).await;
}

async fn kinds(bed: &Bed, prepared: &Prepared) -> [Kind; 2] {
    let conn = Database::connect(&prepared.url).await.unwrap();
    let mut accounts = Vec::new();
    for subject in ["administrator", "reporter"] {
        let sql = format!("SELECT id::text FROM account WHERE subject = '{subject}'");
        accounts.push(bed::scalar(&conn, DbBackend::Postgres, &sql).await);
    }
    conn.close().await.unwrap();
    let [administrator, reporter] = [0, 1].map(|n| accounts[n].clone());
    [
        Kind {
            name: "revocation",
            path: "/v1/revocations",
            body: bed::revocation().to_string(),
            token: bed.administrator.clone(),
            account: administrator,
            table: "revocation",
        },
        Kind {
            name: "activity",
            path: "/v1/activities",
            body: prepared.activity().to_string(),
            token: bed.reporter.clone(),
            account: reporter,
            table: "activity",
        },
    ]
}

/// Writes per second of each contender, round by round.
#[derive(Default)]
struct Figures {
    service: Vec<f64>,
    tail: Vec<f64>,
    unsealed: Vec<f64>,
    unguarded: Vec<f64>,
    one_insert: Vec<f64>,
    sent: Vec<f64>,
    apart: Vec<f64>,
}

async fn compare(bed: &Bed, prepared: &Prepared, kind: &Kind, clients: usize, rounds: Rounds) {
    let time = Duration::from_secs(rounds.seconds);
    let mut figures = Figures::default();
    for _ in 0..rounds.rounds {
        let (load, unsealed) = service(bed, kind, clients, time, &[]).await;
        figures.service.push(load.per_second);
        figures.tail.push(load.quantile(0.99).as_secs_f64() * 1000.0);
        figures.unsealed.push(unsealed);
        figures.sent.push(pgbench(prepared, kind, "sent", clients, rounds.seconds).await);
        figures.one_insert.push(one_insert(bed, kind, clients, time).await);
        figures.apart.push(pgbench(prepared, kind, "apart", clients, rounds.seconds).await);
        let unguard = format!("DROP TRIGGER {0}_guard ON {0}", kind.table);
        figures.unguarded.push(service(bed, kind, clients, time, &[&unguard]).await.0.per_second);
    }
    report(kind, clients, &figures);
}

fn report(kind: &Kind, clients: usize, figures: &Figures) {
    let against = |rival: &[f64]| middle(figures.service.iter().zip(rival).map(|(own, rival)| own / rival).collect());
    println!("{}, {clients} clients: {} a second", kind.name, middle(figures.service.clone()));
    println!(
        "  p99 {} ms, {} events not yet sealed at the end",
        middle(figures.tail.clone()),
        middle(figures.unsealed.clone())
    );
    println!("  against pgbench, what is written at once:   {}", against(&figures.sent));
    println!("  against pgbench, a transaction of writes:   {}", against(&figures.apart));
    println!("  against the same checks and one INSERT:     {}", against(&figures.one_insert));
    println!("  against itself without the guard:           {}", against(&figures.unguarded));
}

async fn service(bed: &Bed, kind: &Kind, clients: usize, time: Duration, before: &[&str]) -> (load::Load, f64) {
    let url = bed::create(COPY, Some(TEMPLATE)).await;
    for sql in before {
        bed::execute(&url, sql).await;
    }
    let (running, address, _) = bed.serve(&url, &[]).await;
    let load = measure(kind, &address, clients, time).await;
    let conn = Database::connect(&url).await.unwrap();
    let waiting = bed::scalar(&conn, DbBackend::Postgres, "SELECT count(*)::text FROM audit_inbox").await;
    conn.close().await.unwrap();
    drop(running);
    (load, waiting.parse().unwrap())
}

async fn one_insert(bed: &Bed, kind: &Kind, clients: usize, time: Duration) -> f64 {
    let url = bed::create(COPY, Some(TEMPLATE)).await;
    let (_running, address) = bed.rival("one-insert", &url, &[]).await;
    measure(kind, &address, clients, time).await.per_second
}

/// A second to warm up, then the measurement.
async fn measure(kind: &Kind, address: &str, clients: usize, time: Duration) -> load::Load {
    let (path, token, body) = (kind.path, kind.token.clone(), kind.body.clone());
    let request = move || load::post(path, &token, &body);
    load::run(address, clients, Duration::from_secs(1), 201, request.clone()).await;
    load::run(address, clients, time, 201, request).await
}

async fn pgbench(prepared: &Prepared, kind: &Kind, how: &str, clients: usize, seconds: u64) -> f64 {
    let url = bed::create(COPY, Some(TEMPLATE)).await;
    let script = format!("{SCRIPTS}/{}_{how}.sql", kind.name);
    let values = [
        ("account", kind.account.as_str()),
        ("campaign", &prepared.campaign),
        ("unit", &prepared.commune),
        ("issuer", ISSUER),
        ("subject", if kind.name == "activity" { "reporter" } else { "administrator" }),
        ("sid", AUDIENCE),
        ("jti", "unknown"),
    ];
    transactions(&url, &script, clients, seconds, &values)
}

/// Transactions a second that pgbench gets through.
pub fn transactions(url: &str, script: &str, clients: usize, seconds: u64, values: &[(&str, &str)]) -> f64 {
    let mut command = Command::new("pgbench");
    command.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-f", script]);
    for (name, value) in values {
        command.args(["-D", &format!("{name}={value}")]);
    }
    command.args(["-T", &seconds.to_string(), url]);
    let output = tokio::task::block_in_place(|| command.output().expect("pgbench is there"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}
