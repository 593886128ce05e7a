//! `thidua log verify export` over a large export that is made here, against raw SHA-256 of the same file.
//!
//! Every byte is hashed twice, once in its leaf and once in the file that the manifest names, and each record is followed;
//! the verifier does that with two threads. So there are two figures: the command as it is, on all cores, and the command
//! held to one core (`taskset`), which is what a core of it does. The rivals run on one core: `openssl dgst -sha256` of
//! the file (the same core), aws-lc in process over the same file, which is what the verifier hashes with, and
//! `openssl speed`, which reads no file.
//!
//! In blocks of 64 bytes a line of 592 is 9.3 in the file, 10 in its leaf, and 2 in the tree above: of the raw rate a core can
//! keep 0.44, if it did nothing but hash, and two of them 0.87.
//!
//! The file is in the page cache: it was read once before. Each contender's start counts as well.

use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use thidua::canonical::{canonical, sha256};
use thidua::clock::Stopwatch;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::key::SigningKey;
use thidua::log::proof::manifest::{Manifest, join};
use thidua::log::proof::note;
use thidua::log::proof::tree::{Frontier, Hash, leaf_hash};
use thidua::log::signer::new_key;
use uuid::Uuid;

use crate::middle;

/// Versions that each record has.
const VERSIONS: u64 = 5;
/// Records whose events stand between two events of one record.
const TURN: u64 = 1000;

#[derive(Args)]
pub struct VerifyArgs {
    /// Events of the export.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub fn run(args: &VerifyArgs) {
    let directory = tempfile::tempdir().unwrap();
    let export = Export::make(directory.path(), args.events);
    println!(
        "{} events, {:.0} MB, {} bytes a line",
        args.events,
        export.bytes / 1e6,
        export.bytes / args.events as f64
    );
    let rate = |seconds: f64| export.bytes / 1e6 / seconds;
    let contenders: [(&str, &dyn Fn() -> f64); 5] = [
        ("openssl dgst, one core", &|| rate(time(export.openssl()))),
        ("aws-lc in process", &|| rate(export.aws_lc())),
        ("openssl speed, 16 KiB", &openssl_speed),
        ("verified, all cores", &|| rate(time(export.verifier(&[])))),
        ("verified, one core", &|| rate(time(export.verifier(&["taskset", "-c", "0"])))),
    ];
    let mut rates = vec![Vec::new(); contenders.len()];
    for _ in 0..args.rounds {
        for (rates, (_, contender)) in rates.iter_mut().zip(&contenders) {
            rates.push(contender());
        }
    }
    for ((name, _), rates) in contenders.iter().zip(&rates) {
        println!("{name}: {} MB/s", middle(rates.clone()));
    }
    for own in 3..5 {
        for rival in 0..3 {
            let ratios = rates[own].iter().zip(&rates[rival]).map(|(own, rival)| own / rival).collect();
            println!("  {} against {}: {}", contenders[own].0, contenders[rival].0, middle(ratios));
        }
    }
}

/// The files that the command is given.
struct Export {
    content: PathBuf,
    manifest: PathBuf,
    policy: PathBuf,
    bytes: f64,
}

impl Export {
    fn make(directory: &Path, events: u64) -> Self {
        let key = new_key("figures.thidua.invalid/log").unwrap();
        let [content, manifest, policy] =
            ["content", "manifest", "policy"].map(|name| directory.join(format!("export.{name}")));
        let (bytes, hash, tree) = write_content(&content, events);
        let log = key.verifier().name().to_owned();
        let said = Manifest {
            log: log.clone(),
            export: Uuid::from_u128(1).to_string(),
            from: 0,
            to: events,
            events,
            bytes,
            sha256: hash,
            left: Vec::new(),
        };
        let checkpoint = Checkpoint::new(&log, events, tree.root()).unwrap();
        let file = join(&signed(&key, &said.to_string()), &signed(&key, &checkpoint.to_string()));
        std::fs::write(&manifest, file).unwrap();
        std::fs::write(&policy, format!("log {}\nquorum none\n", key.verifier())).unwrap();
        Self { content, manifest, policy, bytes: bytes as f64 }
    }

    fn verifier(&self, before: &[&str]) -> Command {
        let mut words = before.to_vec();
        words.push(env!("CARGO_BIN_EXE_thidua"));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["log", "verify", "export", "--content"]).arg(&self.content);
        command.arg("--manifest").arg(&self.manifest).arg("--policy").arg(&self.policy);
        command
    }

    fn openssl(&self) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "openssl", "dgst", "-sha256"]).arg(&self.content);
        command
    }

    /// Seconds for the file's SHA-256, read in blocks as the verifier reads it.
    fn aws_lc(&self) -> f64 {
        let began = Stopwatch::start();
        let (mut file, mut block) = (File::open(&self.content).unwrap(), vec![0; 1 << 20]);
        let mut hash = Context::new(&SHA256);
        loop {
            let read = file.read(&mut block).unwrap();
            if read == 0 {
                break;
            }
            hash.update(&block[..read]);
        }
        std::hint::black_box(hash.finish());
        began.elapsed().as_secs_f64()
    }
}

fn signed(key: &SigningKey, text: &str) -> String {
    note::write(text, &[key.sign(text).unwrap()]).unwrap()
}

/// Leaves as the service writes them, of many records that take turns.
fn write_content(path: &Path, events: u64) -> (u64, Hash, Frontier) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let (mut tree, mut hash, mut bytes) = (Frontier::new(), Context::new(&SHA256), 0);
    let mut tips = vec![[0; 32]; usize::try_from(TURN).unwrap()];
    for position in 0..events {
        let place = position % TURN;
        let version = position / TURN % VERSIONS + 1;
        let record = position / (TURN * VERSIONS) * TURN + place;
        let tip = &mut tips[usize::try_from(place).unwrap()];
        let mut leaf = leaf(position, record, version, tip);
        if position < TURN {
            let read = serde_json::from_str(&leaf).unwrap();
            assert_eq!(canonical(&read).unwrap(), leaf, "a leaf is canonical");
        }
        *tip = leaf_hash(leaf.as_bytes());
        tree.push(*tip).unwrap();
        leaf.push('\n');
        hash.update(leaf.as_bytes());
        bytes += leaf.len() as u64;
        file.write_all(leaf.as_bytes()).unwrap();
    }
    file.flush().unwrap();
    (bytes, hash.finish().as_ref().try_into().unwrap(), tree)
}

/// About 600 bytes, with digests of what is personal.
fn leaf(position: u64, record: u64, version: u64, before: &Hash) -> String {
    let digest = |n: u64| URL_SAFE_NO_PAD.encode(sha256(&n.to_be_bytes()));
    let id = |n: u64| Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n));
    let prev = if version == 1 { "null".to_owned() } else { format!("\"{}\"", URL_SAFE_NO_PAD.encode(before)) };
    let (new, old) = (digest(position), digest(position + 1));
    format!(
        "{{\"actor\":{{\"id\":\"{}\",\"kind\":\"account\"}},\"at\":\"2026-01-01T00:00:00.{:06}Z\",\"changes\":{{\"amount\":[\"{}\",\
         \"{position}\"],\"title\":{{\"$c\":[\"{old}\",\"{new}\"]}}}},\"corr\":\"{position:032x}\",\"id\":\"{}\",\"prev\":{prev},\
         \"reason\":null,\"scope\":\"{}\",\"stream\":\"activity/{}\",\"type\":\"activity.amended\",\"unit\":\"{}\",\"v\":1,\
         \"ver\":{version}}}",
        id(record % 97),
        position % 1_000_000,
        position + 7,
        id(position),
        id(3),
        id(1 << 40 | record),
        id(record % 11)
    )
}

/// Seconds that a program takes; it must say yes.
fn time(mut command: Command) -> f64 {
    let began = Stopwatch::start();
    let output = command.output().unwrap();
    let took = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
    took
}

/// MB a second, of blocks of 16 KiB.
fn openssl_speed() -> f64 {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", "openssl", "speed", "-mr", "-seconds", "1", "-bytes", "16384", "-evp", "sha256"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // +F:number:name:bytes a second
    let line = text.lines().find(|line| line.starts_with("+F:")).unwrap_or_else(|| panic!("no figure in {text}"));
    line.rsplit(':').next().unwrap().parse::<f64>().unwrap() / 1e6
}
