//! Each system call that SQLite makes on its files fails once, under load: nothing that was acknowledged is lost, nothing is
//! done twice, and the service goes on without being restarted.
//!
//! So with the file beside the database in which is remembered what was signed last: what cannot be remembered is not handed
//! out, and is signed when it can be.
//!
//! `strace` makes the call fail in the running service: the first that a thread makes, then the second, and so on, more of
//! each kind than a commit has. `THIDUA_FAILED_CALLS=60` tries as many of each instead of the few that fit into every run.
//! The log is signed meanwhile: a disk that fails is not taken for somebody who changed the log.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_web::rt::task::spawn_blocking;
use futures_util::future::{join_all, join3};
use sea_orm::{ConnectionTrait, Database as Sea, DbBackend, Statement};
use serde_json::json;

use super::load::Ledger;
use crate::support::program::Program;
use crate::support::watch::{LONGEST, ended, signal, watch};
use crate::support::{Database, Engine, not_tested, required, said};

/// Calls of a kind that fail if nobody says how many.
const EACH: u32 = 6;

/// What becomes of a call of this name, in strace's words: its error, or the signal that ends the process there.
pub type Fault = (&'static str, &'static str);

/// What the calls of SQLite answer when a disk is broken or full. Files are not opened or mapped anew while it runs. Locks
/// are left out: one that cannot be released stays in SQLite's own books until every connection of the process is closed,
/// and only a restart does that.
const FAULTS: &[Fault] =
    &[("pwrite64", "error=EIO"), ("pwrite64", "error=ENOSPC"), ("fsync", "error=EIO"), ("pread64", "error=EIO")];

/// With this call the WAL is cut off after an erasure, by a thread of its own each time.
const CUT: Fault = ("ftruncate", "error=EIO");

/// What the calls answer with which is remembered what was signed last.
const ANCHOR_FAULTS: &[Fault] = &[
    ("openat", "error=ENOSPC"),
    ("flock", "error=EIO"),
    ("read", "error=EIO"),
    ("/^unlink", "error=EIO"),
    ("write", "error=ENOSPC"),
    ("/^rename", "error=EIO"),
    ("fsync", "error=EIO"),
];

/// What is made to fail: calls on these files, that come within this time.
#[derive(Clone)]
pub struct Target {
    pub files: Vec<PathBuf>,
    pub patience: Duration,
}

impl Target {
    pub fn database(file: &Path) -> Self {
        let files = ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", file.display())));
        Self { files: files.into(), patience: Duration::from_secs(1) }
    }

    /// Written once a second at most.
    fn anchor(file: &Path) -> Self {
        let mut files = vec![file.to_owned(), file.parent().unwrap().to_owned()];
        files.extend(["draft", "lock"].map(|end| file.with_added_extension(end)));
        Self { files, patience: Duration::from_secs(4) }
    }
}

/// How many calls of a kind fail.
pub fn each() -> u32 {
    std::env::var("THIDUA_FAILED_CALLS").map_or(EACH, |each| each.parse().unwrap())
}

pub fn strace_is_there() -> bool {
    let runs = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = runs.is_ok_and(|status| status.success());
    assert!(there || !required("REQUIRE_FAULT_TOOLS"), "REQUIRE_FAULT_TOOLS=1, but strace is not found");
    if !there {
        not_tested("a failing system call", "strace is not found");
    }
    there
}

/// Makes the so many-th call of this kind on these files fail; false if there was none for that time.
pub fn fails(service: u32, target: &Target, (call, fault): Fault, which: u32) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-p", &service.to_string()]);
    for file in &target.files {
        strace.arg("-P").arg(file);
    }
    strace.args(["-e", &format!("inject={call}:{fault}:when={which}"), "-e", &format!("trace={call}")]);
    let mut strace = strace.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(strace.stderr.take().unwrap()).lines();
    let (told, hear) = std::sync::mpsc::channel();
    let listening = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("(INJECTED)") || line.contains("killed by SIGKILL") {
                let _ = told.send(());
            }
        }
    });
    let failed = hear.recv_timeout(target.patience).is_ok();
    // One that holds on to a process which is gone may wait for it for ever.
    signal(&strace, if failed && fault.starts_with("signal") { "KILL" } else { "INT" });
    ended(&mut strace);
    listening.join().unwrap();
    failed
}

/// Says something personal and has it erased; true if both were done.
async fn erases(program: &Program, n: u32) -> bool {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let said = json!({ "sid": format!("phien-{n}"), "reason": "Máy bị mất" });
    let Some(said) = program.create("/v1/revocations", &format!("r{n}"), &said).await else { return false };
    if said.status != 201 {
        return false;
    }
    let erasure = json!({ "subject": { "type": "revocation", "id": said.id() }, "legal_basis": "purpose_ended" });
    program.create("/v1/erasures", &format!("e{n}"), &erasure).await.is_some_and(|erased| erased.status == 201)
}

#[actix_web::test]
async fn each_system_call_fails_once_on_sqlite() {
    if !strace_is_there() {
        return;
    }
    watch(LONGEST);
    let each = each();
    let database = Database::create(Engine::Sqlite).await.unwrap();
    let file = Path::new(database.url.trim_start_matches("sqlite://")).to_owned();
    let mut program = Program::new(&database.url).await;
    let anchor = program.signs();
    let service = program.serve().await;
    let (ledger, over) = (Ledger::default(), Cell::new(false));
    let writers = (0..4).map(|writer| {
        let (ledger, over) = (&ledger, &over);
        let program = &program;
        async move { ledger.write(program, &format!("w{writer}"), || over.get()).await }
    });
    let (calls, anchor) = (Target::database(&file), Target::anchor(&anchor));
    let cuts = Target { patience: anchor.patience, ..calls.clone() };
    let faults = async {
        let mut failed = Vec::new();
        let of_calls = FAULTS.iter().map(|fault| (&calls, fault, (1..=each).collect()));
        let of_cuts = (&cuts, &CUT, vec![1; 2]);
        let of_anchor = ANCHOR_FAULTS.iter().map(|fault| (&anchor, fault, vec![1, 2]));
        let all: Vec<(_, _, Vec<u32>)> = of_calls.chain([of_cuts]).chain(of_anchor).collect();
        for (target, fault, calls) in all {
            let (mut times, each) = (0, calls.len());
            for which in calls {
                ledger.grows(4).await;
                let (service, target) = (service.0.id(), target.clone());
                times += usize::from(spawn_blocking(move || fails(service, &target, *fault, which)).await.unwrap());
            }
            failed.push((fault, times, each));
        }
        ledger.grows(20).await;
        over.set(true);
        failed
    };
    let erasing = async {
        let mut erased = 0;
        for n in 0.. {
            if over.get() {
                break;
            }
            erased += u32::from(erases(&program, n).await);
        }
        erased
    };
    let (_, failed, erased) = join3(join_all(writers), faults, erasing).await;
    assert!(erased > 0, "each of them cuts the WAL off");
    let refused = ledger.refused();
    said(&format!("system calls failed: {failed:?}, {} requests with them", refused.len()));
    assert!(failed.iter().all(|(_, times, each)| *times >= each / 2), "{failed:?}");
    for answer in refused {
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(["internal", "busy", "storage_full", "outcome_unknown"].contains(&code.as_str()), "{}", answer.text);
    }
    let ready = program.get("/readyz").await.unwrap().is(200);
    assert_eq!(ready.json()["status"], "ok", "nobody changed the log");
    program.get("/v1/log/checkpoint").await.unwrap().is(200);
    drop(service);
    let service = program.serve().await;
    let raw = Sea::connect(&program.url).await.unwrap();
    let beside = "SELECT count(*) AS n FROM audit_event WHERE stream_type IN ('revocation', 'erasure')";
    let beside = crate::subject_keys::number(&raw, beside).await;
    ledger.holds(&program, &program.url, beside).await;
    for words in [["log", "rebuild", "--check"].as_slice(), &["log", "check"]] {
        program.does(words);
    }
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let found: String = raw.query_one_raw(check).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(found, "ok");
    raw.close().await.unwrap();
    drop(service);
    database.remove().await;
}
