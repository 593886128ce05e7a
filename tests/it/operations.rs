//! docs/operations.md is run as it stands, while somebody writes: on an embedded database, and its PostgreSQL blocks
//! against a server of their own.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::page::{Bound, Example, compare, examples, run, tools_are_there};
use crate::support::program::{Program, village};
use crate::support::watch::{LONGEST, watch};
use crate::support::{AUDIENCE, ISSUER, free_address};

fn blocks(kind: &str) -> Vec<Example> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let all = examples(&std::fs::read_to_string(page).unwrap());
    all.into_iter().filter(|example| example.kind == kind).collect()
}

/// Runs the blocks in a shell that finds `thidua`, with the page's paths and ports as they are here.
fn follow(shell: &mut Command, blocks: &[Example], here: &[(&str, String)]) {
    let put = |text: &str| here.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here));
    let commands: Vec<String> = blocks.iter().map(|block| put(&block.command)).collect();
    let mut bound = Bound::new();
    for (block, printed) in blocks.iter().zip(run(shell, &commands)) {
        let shown = Example { output: put(&block.output), command: put(&block.command), kind: String::new() };
        compare(&shown, &printed, &mut bound);
    }
}

fn path(first: &Path) -> String {
    format!("{}:{}", first.display(), std::env::var("PATH").unwrap())
}

/// Registers villages with whatever key signs at the moment until told to stop; how many were acknowledged.
fn write(directory: &Path, address: &str, over: &AtomicUsize, written: &AtomicUsize) {
    let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let mut token = String::new();
    for n in 0.. {
        if over.load(Ordering::SeqCst) > 0 {
            return;
        }
        if token.is_empty() {
            token = signed(directory);
        }
        let request = client.post(format!("http://{address}/v1/units")).bearer_auth(&token);
        let request = request.header("Idempotency-Key", format!("load-{n}")).json(&village(&format!("Bản {n}")));
        match request.send().map(|answer| answer.status().as_u16()) {
            Ok(201) => _ = written.fetch_add(1, Ordering::SeqCst),
            // The service is not there yet, or was stopped to be restored; nor is the key, at first.
            _ => {
                token.clear();
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A token of the page's administrator; nothing while there is no key.
fn signed(directory: &Path) -> String {
    let mut sign = Command::new(env!("CARGO_BIN_EXE_thidua"));
    sign.args(["token", "sign", "--subject", "an", "--issuer", "https://issuer.example", "--audience", "thidua"]);
    let token = sign.arg("--private").arg(directory.join("lib/signing.pem")).output().unwrap().stdout;
    String::from_utf8(token).unwrap().trim().to_owned()
}

#[test]
fn every_procedure_for_an_embedded_database_is_what_happens() {
    if !tools_are_there("docs/operations.md") {
        return;
    }
    watch(LONGEST);
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path();
    for name in ["lib", "backups"] {
        std::fs::create_dir(directory.join(name)).unwrap();
    }
    let (listen, metrics) = (free_address(), free_address());
    let here = [
        ("/var/lib/thidua", directory.join("lib").display().to_string()),
        ("/var/backups", directory.join("backups").display().to_string()),
        ("127.0.0.1:8080", listen.clone()),
        ("127.0.0.1:9090", metrics),
    ];
    let mut blocks = blocks("console");
    assert!(blocks.len() > 20, "the page has its blocks");
    let stop = Example { kind: String::new(), command: "kill $server; wait $server".into(), output: String::new() };
    blocks.push(stop);
    let (over, written) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (at_backup, after_backup) = (AtomicUsize::new(usize::MAX), AtomicUsize::new(0));
    let backup = blocks.iter().position(|block| block.command.starts_with("thidua backup")).unwrap();
    // The copy is made while writes are being acknowledged.
    let (mark, copied) = (directory.join("written"), directory.join("copied"));
    blocks[backup].command = format!(
        "until [ -e {} ]; do sleep 0.05; done; {}; touch {}",
        mark.display(),
        blocks[backup].command,
        copied.display()
    );
    std::thread::scope(|scope| {
        scope.spawn(|| write(directory, &listen, &over, &written));
        scope.spawn(|| {
            while over.load(Ordering::SeqCst) == 0 && written.load(Ordering::SeqCst) < 10 {
                std::thread::sleep(Duration::from_millis(10));
            }
            at_backup.store(written.load(Ordering::SeqCst), Ordering::SeqCst);
            std::fs::write(&mark, "").unwrap();
            while over.load(Ordering::SeqCst) == 0 && !copied.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            after_backup.store(written.load(Ordering::SeqCst), Ordering::SeqCst);
        });
        let mut shell = Command::new("bash");
        shell.current_dir(env!("CARGO_MANIFEST_DIR"));
        shell.env("PATH", path(Path::new(env!("CARGO_BIN_EXE_thidua")).parent().unwrap())).env("RUST_LOG", "error");
        let followed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| follow(&mut shell, &blocks, &here)));
        over.store(1, Ordering::SeqCst);
        if let Err(panic) = followed {
            std::panic::resume_unwind(panic);
        }
    });
    let [before, after] = [&at_backup, &after_backup].map(|written| written.load(Ordering::SeqCst));
    assert!(after > before, "there was a load during the backup: {before}, then {after}");
}

#[actix_web::test]
async fn every_procedure_for_postgresql_is_what_happens() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_owned();
    let Some(mut cluster) = Cluster::create(&directory, &[]) else { return };
    cluster.start().await;
    let program = Program::new(&cluster.database().await).await;
    let running = program.serve().await;
    let backups = cluster.directory(&directory.join("backups"));
    let thidua = cluster.directory(&directory.join("bin")).join("thidua");
    std::fs::copy(env!("CARGO_BIN_EXE_thidua"), &thidua).unwrap();
    let port = free_address().rsplit(':').next().unwrap().to_owned();
    let mut shell = cluster.shell();
    shell.env("PATH", format!("{}:{}", thidua.parent().unwrap().display(), path(cluster.programs())));
    shell.env("ADMIN_URL", cluster.url("postgres")).env("OWNER_URL", cluster.url("thidua"));
    shell.env("RESTORED_PORT", port).env("RESTORED_LISTEN", free_address()).env("RUST_LOG", "error");
    let jwks = backups.join("jwks.json");
    std::fs::write(&jwks, thidua::auth::sign::SigningKey::generate().unwrap().jwks).unwrap();
    shell.env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE).env("THIDUA_JWKS_FILE", jwks);
    let here = [("/var/backups", backups.display().to_string())];
    let over = AtomicUsize::new(0);
    let load = async {
        let mut written = 0;
        while over.load(Ordering::SeqCst) == 0 {
            program.register(&format!("k{written}"), "Bản").await.unwrap().is(201);
            written += 1;
        }
        written
    };
    let followed = async {
        let blocks = blocks("postgres");
        assert!(blocks.len() > 4, "the page has its blocks");
        let run = tokio::task::spawn_blocking(move || follow(&mut shell, &blocks, &here)).await;
        over.store(1, Ordering::SeqCst);
        run
    };
    let (written, followed) = futures_util::future::join(load, followed).await;
    followed.unwrap();
    assert!(written > 10, "there was a load during the backup: {written}");
    drop(running);
}
