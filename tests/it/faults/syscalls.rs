//! Each system call that SQLite makes on its files fails once, under load: nothing that was acknowledged is lost, nothing is
//! done twice, and the service goes on without being restarted.
//!
//! `strace` makes the call fail in the running service: the first that a thread makes, then the second, and so on, more of
//! each kind than a commit has. `THIDUA_FAILED_CALLS=60` tries as many of each instead of the few that fit into every run.
//! The log is signed meanwhile: a disk that fails is not taken for somebody who changed the log.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_web::rt::task::spawn_blocking;
use futures_util::future::{join, join_all};
use sea_orm::{ConnectionTrait, Database as Sea, DbBackend, Statement};

use super::load::Ledger;
use crate::support::program::Program;
use crate::support::watch::{LONGEST, ended, signal, watch};
use crate::support::{Database, Engine, log_key, not_tested, required, said};

/// Calls of a kind that fail if nobody says how many.
const EACH: u32 = 6;

/// What the calls of SQLite answer when a disk is broken or full. Files are not opened or mapped anew while it runs. Locks
/// are left out: one that cannot be released stays in SQLite's own books until every connection of the process is closed,
/// and only a restart does that.
const FAULTS: &[(&str, &str)] = &[("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fsync", "EIO"), ("pread64", "EIO")];

pub fn strace_is_there() -> bool {
    let runs = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = runs.is_ok_and(|status| status.success());
    assert!(there || !required("REQUIRE_FAULT_TOOLS"), "REQUIRE_FAULT_TOOLS=1, but strace is not found");
    if !there {
        not_tested("a failing system call", "strace is not found");
    }
    there
}

/// Makes the so many-th call of this kind on the database's files fail; false if there was none for a second.
fn fails(service: u32, file: &Path, (call, error): (&str, &str), which: u32) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-p", &service.to_string()]);
    for end in ["", "-wal", "-shm"] {
        strace.arg("-P").arg(format!("{}{end}", file.display()));
    }
    strace.args(["-e", &format!("inject={call}:error={error}:when={which}"), "-e", &format!("trace={call}")]);
    let mut strace = strace.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(strace.stderr.take().unwrap()).lines();
    let (told, hear) = std::sync::mpsc::channel();
    let listening = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("(INJECTED)") {
                let _ = told.send(());
            }
        }
    });
    let failed = hear.recv_timeout(Duration::from_secs(1)).is_ok();
    signal(&strace, "INT");
    ended(&mut strace);
    listening.join().unwrap();
    failed
}

#[actix_web::test]
async fn each_system_call_fails_once_on_sqlite() {
    if !strace_is_there() {
        return;
    }
    watch(LONGEST);
    let each = std::env::var("THIDUA_FAILED_CALLS").map_or(EACH, |each| each.parse().unwrap());
    let database = Database::create(Engine::Sqlite).await.unwrap();
    let file = Path::new(database.url.trim_start_matches("sqlite://")).to_owned();
    let mut program = Program::new(&database.url).await;
    let directory = tempfile::tempdir().unwrap();
    for (name, file, text) in [
        ("THIDUA_LOG_KEY_FILE", "log.key", log_key().to_skey().unwrap()),
        ("THIDUA_LOG_ANCHOR_FILE", "anchor", String::new()),
    ] {
        let path = directory.path().join(file);
        if !text.is_empty() {
            std::fs::write(&path, text).unwrap();
        }
        program.environment.push((name.to_owned(), path.display().to_string()));
    }
    let service = program.serve().await;
    let (ledger, over) = (Ledger::default(), Cell::new(false));
    let writers = (0..4).map(|writer| {
        let (ledger, over) = (&ledger, &over);
        let program = &program;
        async move { ledger.write(program, &format!("w{writer}"), || over.get()).await }
    });
    let faults = async {
        let mut failed = vec![0; FAULTS.len()];
        for (fault, failed) in FAULTS.iter().zip(&mut failed) {
            for which in 1..=each {
                ledger.grows(4).await;
                let (service, file) = (service.0.id(), file.clone());
                *failed += u32::from(spawn_blocking(move || fails(service, &file, *fault, which)).await.unwrap());
            }
        }
        ledger.grows(20).await;
        over.set(true);
        failed
    };
    let (_, failed) = join(join_all(writers), faults).await;
    let refused = ledger.refused();
    said(&format!("system calls of SQLite failed: {failed:?} of {FAULTS:?}, {} requests with them", refused.len()));
    assert!(failed.iter().all(|failed| *failed >= each / 2), "{failed:?} of {each}");
    for answer in refused {
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(["internal", "busy", "storage_full", "outcome_unknown"].contains(&code.as_str()), "{}", answer.text);
    }
    let ready = program.get("/readyz").await.unwrap().is(200);
    assert_eq!(ready.json()["status"], "ok", "nobody changed the log");
    program.get("/v1/log/checkpoint").await.unwrap().is(200);
    drop(service);
    let service = program.serve().await;
    ledger.holds(&program, &program.url, 0).await;
    for words in [["log", "rebuild", "--check"].as_slice(), &["log", "check"]] {
        program.does(words);
    }
    let raw = Sea::connect(&program.url).await.unwrap();
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let found: String = raw.query_one_raw(check).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(found, "ok");
    raw.close().await.unwrap();
    drop(service);
    database.remove().await;
}
