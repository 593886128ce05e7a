//! An NDJSON export downloaded from the service, against a program that is made for reading the table.
//!
//! The log is real: a million writes in process, each sealed; the service signs it. Before each download a service is
//! started anew, so that its peak of memory is that download's. What is downloaded goes through the same few lines as
//! what the rival prints: newlines are counted and SHA-256 is computed on the way, by one thread on the same cores. A time
//! counts only if count, length and hash are those of the manifest (which is asked for afterwards: making it reads the
//! export once more), and those of what the rival printed. The export begins behind the campaign's own events: some of their
//! leaves have a backslash, which COPY would double.
//!
//! Rivals: on PostgreSQL psql with `COPY (SELECT leaf …) TO STDOUT` over the same kind of connection; on SQLite the
//! `sqlite3` program, or Python's module where there is none, selecting the leaves in their order. Neither speaks HTTP.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use thidua::clock::Stopwatch;
use thidua::db::Db;
use thidua::log::proof::manifest::{Manifest, split};
use thidua::log::proof::note::Note;
use thidua::log::seal;

use crate::bed::{self, Bed};
use crate::download::{Tally, download};
use crate::load::{self, Client};
use crate::{door, middle};

#[derive(Args)]
pub struct ExportArgs {
    /// Events in the log.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub async fn run(args: ExportArgs) {
    let bed = Bed::new();
    for engine in bed::ENGINES {
        let url = bed.database(engine, "exports").await;
        bed.prepare(&url).await;
        let first = fill(engine, &url, args.events).await;
        compare(&bed, engine, &url, first, args.rounds).await;
        bed.discard(engine, "exports").await;
    }
}

/// Writes so many events; the position of the first.
async fn fill(engine: &str, url: &str, events: u64) -> u64 {
    let db = Db::connect(url).await.unwrap();
    db.start_sealer();
    // The campaign's own events have their positions then.
    db.settle().await.unwrap();
    let first = u64::try_from(seal::size(db.reader().conn()).await.unwrap()).unwrap();
    let (began, mut written) = (Stopwatch::start(), 0);
    while written < events {
        let number = (events - written).min(100_000);
        door::some(&db, 64, number).await;
        db.settle().await.unwrap();
        written += number;
        println!("  {engine}: {written} of {events} events after {} s", began.elapsed().as_secs());
    }
    db.close().await;
    first
}

async fn compare(bed: &Bed, engine: &str, url: &str, first: u64, rounds: usize) {
    let key = bed.log_key(engine);
    let (mut rates, mut megabytes, mut ratios, mut peaks) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (own, peak, events) = service(bed, url, first, &key).await;
        let theirs = tokio::task::block_in_place(|| rival(engine, url, [first, first + events]));
        assert_eq!((theirs.tally.lines, theirs.tally.hash()), (events, own.tally.hash()), "what the rival printed");
        let seconds = own.time.as_secs_f64();
        rates.push(events as f64 / seconds);
        megabytes.push(own.tally.bytes as f64 / 1e6 / seconds);
        ratios.push(theirs.time.as_secs_f64() / seconds);
        peaks.push(peak);
    }
    println!("{engine}, NDJSON export: {} events a second, {} MB/s", middle(rates), middle(megabytes));
    println!("  against {}: {}; peak {} MB", name(engine), middle(ratios), middle(peaks));
}

/// What came and how long it took.
struct Taken {
    tally: Tally,
    time: Duration,
}

/// A fresh service, one export, one download that is what the manifest says; also the peak of memory and how many events.
async fn service(bed: &Bed, url: &str, first: u64, key: &[(&str, String)]) -> (Taken, f64, u64) {
    let (running, address) = bed.serve_signed(url, key).await;
    let mut client = Client::connect(&address).await.unwrap();
    let draft = json!({ "format": "ndjson", "purpose": "audit", "from": first }).to_string();
    let (status, body) = client.ask(&load::post("/v1/exports", &bed.administrator, &draft)).await.unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
    let export: Value = serde_json::from_slice(body).unwrap();
    let path = format!("/v1/exports/{}", export["id"].as_str().unwrap());
    let began = Stopwatch::start();
    let tally = download(&address, &load::get(&format!("{path}/content"), &bed.administrator)).await;
    let taken = Taken { tally, time: began.elapsed() };
    let peak = running.memory("VmHWM");
    let said = manifest(&mut client, &load::get(&format!("{path}/manifest"), &bed.administrator)).await;
    let Tally { lines, bytes, .. } = taken.tally;
    assert_eq!((lines, bytes, taken.tally.hash()), (said.events, said.bytes, said.sha256), "the download");
    (taken, peak, said.events)
}

/// One that takes long to make is asked for again.
async fn manifest(client: &mut Client, request: &[u8]) -> Manifest {
    loop {
        let (status, body) = client.ask(request).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        match status {
            200 => return Manifest::parse(Note::parse(split(&text).unwrap().0).unwrap().text).unwrap(),
            503 => tokio::time::sleep(Duration::from_secs(1)).await,
            _ => panic!("{status}: {text}"),
        }
    }
}

fn name(engine: &str) -> &'static str {
    match (engine, sqlite3_is_there()) {
        ("SQLite", true) => "the sqlite3 program",
        ("SQLite", false) => "Python's sqlite3",
        _ => "psql, COPY TO STDOUT",
    }
}

fn sqlite3_is_there() -> bool {
    Command::new("sqlite3").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Reads the leaves from one position to another with a program.
fn rival(engine: &str, url: &str, [from, to]: [u64; 2]) -> Taken {
    let select = format!("SELECT leaf FROM audit_event WHERE seq >= {from} AND seq < {to} ORDER BY seq");
    let mut command = if engine != "SQLite" {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-c", &format!("COPY ({select}) TO STDOUT"), url]);
        command
    } else if sqlite3_is_there() {
        let mut command = Command::new("sqlite3");
        command.args(["-batch", "-noheader", url.trim_start_matches("sqlite://"), &select]);
        command
    } else {
        let script = "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]):\n    \
                      sys.stdout.buffer.write(row[0].encode() + b'\\n')";
        let mut command = Command::new("python3");
        command.args(["-c", script, url.trim_start_matches("sqlite://"), &select]);
        command
    };
    let began = Stopwatch::start();
    let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
    let (mut printed, mut buffer, mut tally) = (running.stdout.take().unwrap(), vec![0; 256 * 1024], Tally::default());
    loop {
        let read = printed.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        tally.add(&buffer[..read]);
    }
    let time = began.elapsed();
    assert!(running.wait().unwrap().success(), "{command:?}");
    Taken { tally, time }
}
