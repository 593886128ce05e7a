//! Cases for verifiers of the log: files as the service gives them away, and what was done to them.
//!
//! Everything is made in memory from fixed keys. [`Case::write`] puts a case into a directory, with `expected.json`, so
//! that a verifier in any language can be run on it.

pub mod cases;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use thidua::canonical::{canonical, sha256};
use thidua::db::event::Disclosure;
use thidua::log::erased::fingerprint;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::key::{Algorithm, SigningKey};
use thidua::log::proof::manifest::{Manifest, join};
use thidua::log::proof::note;
use thidua::log::proof::plan::{NodeId, Plan};
use thidua::log::proof::tlog_proof::TlogProof;
use thidua::log::proof::tree::{Frontier, Hash, leaf_hash, root_of};

pub const ORIGIN: &str = "corpus.thidua.invalid/log";
/// Events of the whole log.
pub const SIZE: u64 = 40;
/// Records that take turns.
const RECORDS: u64 = 5;

/// One case: what a verifier is given, by the names of its flags, and what it must say.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    /// `proof`, `export`, `stream` or `diff`.
    pub what: &'static str,
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// The state is asked for and not there yet.
    pub first: bool,
    pub code: i32,
    /// The first bad position, where `thidua` names it.
    pub position: Option<u64>,
    /// Something that `thidua` says.
    pub says: &'static str,
    /// What the state is afterwards, if it moves.
    pub moves_to: Option<Vec<u8>>,
}

impl Case {
    pub fn new(name: &str, what: &'static str, files: &[(&'static str, Vec<u8>)]) -> Self {
        let files = files.iter().cloned().collect();
        let name = format!("{what}-{}", name.replace(' ', "-"));
        Self { name, what, files, first: false, code: 0, position: None, says: "verified: ", moves_to: None }
    }

    /// Must be refused with these words.
    pub fn refused(self, says: &'static str) -> Self {
        Self { code: 1, says, ..self }
    }

    /// And this position.
    pub fn at(self, position: u64) -> Self {
        Self { position: Some(position), ..self }
    }

    pub fn with(mut self, flag: &'static str, file: Vec<u8>) -> Self {
        self.files.insert(flag, file);
        self
    }

    pub fn without(mut self, flag: &'static str) -> Self {
        self.files.remove(flag);
        self
    }

    /// The command line, for a program that runs beside the files.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.what.to_owned()];
        for name in self.files.keys().copied() {
            match name {
                "old" | "new" => {}
                "policy" if self.files.contains_key("old") => words.extend(["--policy".to_owned(), name.to_owned()]),
                flag => words.extend([format!("--{flag}"), flag.to_owned()]),
            }
        }
        if self.first {
            words.extend(["--state".to_owned(), "state".to_owned()]);
        }
        if self.what == "diff" {
            words.extend(["old".to_owned(), "new".to_owned()]);
        }
        words
    }

    /// Puts the files into a directory, and beside them what is expected.
    pub fn write(&self, directory: &Path) {
        std::fs::create_dir_all(directory).unwrap();
        for (name, bytes) in &self.files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        let moves = self.moves_to.as_ref().map(|note| String::from_utf8_lossy(note).into_owned());
        let expected = json!({ "name": self.name, "words": self.words(), "code": self.code, "position": self.position,
            "says": self.says, "state": moves });
        std::fs::write(directory.join("expected.json"), serde_json::to_vec_pretty(&expected).unwrap()).unwrap();
    }
}

/// Puts every case into a directory of its own, named as the case is.
pub fn write(cases: &[Case], root: &Path) {
    cases.iter().for_each(|case| case.write(&root.join(&case.name)));
}

pub fn log_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[31; 32]).unwrap()
}

/// A key in the log's name that nobody knows.
pub fn stranger() -> SigningKey {
    SigningKey::from_seed(ORIGIN, Algorithm::Ed25519, &[32; 32]).unwrap()
}

pub fn witness(number: u8) -> SigningKey {
    let name = format!("witness{number}.thidua.invalid");
    SigningKey::from_seed(&name, Algorithm::CosignatureV1, &[40 + number; 32]).unwrap()
}

/// The log's word and what this quorum line says.
pub fn policy(quorum: &str) -> Vec<u8> {
    let (log, one, two) = (log_key(), witness(1), witness(2));
    // A witness counts in one group only.
    let group = if quorum == "both" { "group both 2 one two" } else { "group some any one two" };
    let lines = [
        "# The corpus".to_owned(),
        format!("log {} https://corpus.thidua.invalid", log.verifier()),
        format!("witness one {}", one.verifier()),
        format!("witness two {} https://two.thidua.invalid", two.verifier()),
        group.to_owned(),
        format!("quorum {quorum}"),
    ];
    (lines.join("\n") + "\n").into_bytes()
}

/// How an event differs from what it should be; the log signs it all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    None,
    /// Another value at this position: a history of its own from there on.
    Value(u64),
    /// The hash of the leaf before is not that.
    Prev(u64),
    /// A version is left out.
    Version(u64),
    /// No JSON at all.
    Junk(u64),
    /// Instead of the first text the leaf at this position has the second.
    Text(u64, &'static str, &'static str),
    /// The erasure took a value less than it should have.
    Erasure,
}

/// A log in memory.
#[derive(Clone)]
pub struct Log {
    pub leaves: Vec<Vec<u8>>,
    pub hashes: Vec<Hash>,
}

impl Log {
    /// The corpus's log, or one that differs from it.
    pub fn new(twist: Twist) -> Self {
        let mut tips: BTreeMap<u64, (u64, Hash)> = BTreeMap::new();
        let mut log = Self { leaves: Vec::new(), hashes: Vec::new() };
        for position in 0..SIZE {
            let record = record_of(position);
            let before = tips.get(&record).copied();
            let leaf = if twist == Twist::Junk(position) {
                b"not json".to_vec()
            } else {
                leaf(position, record, before, twist)
            };
            let hash = leaf_hash(&leaf);
            let version = before.map_or(0, |(version, _)| version) + 1 + u64::from(twist == Twist::Version(position));
            tips.insert(record, (version, hash));
            log.leaves.push(leaf);
            log.hashes.push(hash);
        }
        log
    }

    pub fn content(&self, from: u64, to: u64) -> Vec<u8> {
        lines(&self.leaves[place(from)..place(to)])
    }

    pub fn checkpoint(&self, size: u64) -> String {
        Checkpoint::new(ORIGIN, size, self.root(size)).unwrap().to_string()
    }

    /// Signed by the log and the first witness.
    pub fn signed(&self, size: u64) -> Vec<u8> {
        sign(&self.checkpoint(size), &[log_key()], &[witness(1)])
    }

    pub fn root(&self, size: u64) -> Hash {
        root_of(&self.hashes[..place(size)])
    }

    fn lookup(&self, node: NodeId) -> Option<Hash> {
        let first = place(node.index) << node.level;
        self.hashes.get(first..first + (1 << node.level)).map(root_of)
    }

    pub fn proof(&self, index: u64, size: u64) -> Vec<u8> {
        let hashes = Plan::inclusion(index, size).unwrap().hashes(|node| self.lookup(node)).unwrap();
        let note = String::from_utf8(self.signed(size)).unwrap();
        TlogProof::new(index, hashes, &note).unwrap().to_string().into_bytes()
    }

    pub fn consistency(&self, from: u64, to: u64) -> Vec<u8> {
        let hashes = Plan::consistency(from, to).unwrap().hashes(|node| self.lookup(node)).unwrap();
        let hashes: Vec<String> = hashes.iter().map(|hash| STANDARD.encode(hash)).collect();
        json!({ "from": from, "to": to, "hashes": hashes }).to_string().into_bytes()
    }

    pub fn manifest(&self, from: u64, to: u64) -> Manifest {
        let content = self.content(from, to);
        let mut before = Frontier::new();
        self.hashes[..place(from)].iter().for_each(|hash| before.push(*hash).unwrap());
        Manifest {
            log: ORIGIN.to_owned(),
            export: "01900000-0000-7000-8000-0000000000e1".to_owned(),
            from,
            to,
            events: to - from,
            bytes: content.len() as u64,
            sha256: sha256(&content),
            left: before.to_bytes().as_chunks().0.to_vec(),
        }
    }

    /// The served manifest file.
    pub fn served(&self, from: u64, to: u64) -> Vec<u8> {
        serve(&self.manifest(from, to).to_string(), &log_key(), &self.signed(to))
    }

    /// Tiles of level 0, one after another.
    pub fn tiles(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// The positions of one record.
    pub fn record(&self, of: u64) -> Vec<u64> {
        let stream = |leaf: &[u8]| serde_json::from_slice::<Value>(leaf).unwrap()["stream"].clone();
        let wanted = stream(&self.leaves[place(of)]);
        (0..SIZE).filter(|position| stream(&self.leaves[place(*position)]) == wanted).collect()
    }
}

pub fn place(position: u64) -> usize {
    usize::try_from(position).unwrap()
}

pub fn lines(leaves: &[Vec<u8>]) -> Vec<u8> {
    leaves.iter().flat_map(|leaf| leaf.iter().copied().chain([b'\n'])).collect()
}

/// Whose event stands at a position: two of one record in a row now and then.
fn record_of(position: u64) -> u64 {
    (position / 2 + position % 3) % RECORDS
}

/// The id of the event at a position.
pub fn event(position: u64) -> String {
    format!("01900000-0000-7000-8000-00000000{position:04}")
}

/// The personal value that stands behind the commitment of an event.
pub fn disclosure(position: u64, path: &str) -> Disclosure {
    let salt = format!("salt-{position}-{path}");
    Disclosure { salt, path: path.to_owned(), value: json!(format!("Đặng Thị Hường {position}")) }
}

fn leaf(position: u64, record: u64, before: Option<(u64, Hash)>, twist: Twist) -> Vec<u8> {
    let digest = |position: u64, path| disclosure(position, path).digest().unwrap();
    let mut prev = before.map(|(_, hash)| hash);
    if twist == Twist::Prev(position) {
        prev = Some([9; 32]);
    }
    let version = before.map_or(0, |(version, _)| version) + 1 + u64::from(twist == Twist::Version(position));
    let value = if twist == Twist::Value(position) { "khác" } else { "Bản Pá Uôn" };
    // Records 0 and 1 have personal values; of record 0 they are erased once, and another event says which they were.
    let (mut kind, mut name) = ("thing.amended", Value::Null);
    if record < 2 {
        name = json!({ "$c": [null, digest(position, "name")] });
    }
    if record == 0 && position == ERASED {
        (kind, name) = ("thing.erased", json!({ "$c": ["x", null] }));
    }
    let reason = (position % 7 == 3).then(|| json!({ "$c": digest(position, "reason") }));
    let mut changes = json!({ "count": [position, position + 1], "place": [null, value] });
    if !name.is_null() {
        changes["name"] = name;
    }
    if position == ERASURE {
        kind = "erasure.recorded";
        for (field, value) in erasure(twist) {
            changes[field] = json!([null, value]);
        }
    }
    let leaf = json!({
        "actor": { "id": null, "kind": "console" }, "at": "2026-11-22T03:10:15.123456Z", "changes": changes,
        "corr": "corpus", "id": event(position), "prev": prev.map(|hash| URL_SAFE_NO_PAD.encode(hash)),
        "reason": reason, "scope": null, "stream": format!("thing/01900000-0000-7000-8000-00000000a{record:03}"),
        "type": kind, "unit": null, "v": 1, "ver": version,
    });
    let leaf = canonical(&leaf).unwrap();
    match twist {
        Twist::Text(at, from, to) if at == position => exchanged(leaf.as_bytes(), from, to),
        _ => leaf.into_bytes(),
    }
}

/// Where the personal values of record 0 are erased, and where that is recorded.
pub const ERASED: u64 = 30;
pub const ERASURE: u64 = 32;

/// What the erasure says: the record, how many values, and which.
fn erasure(twist: Twist) -> [(&'static str, Value); 4] {
    let of_it = (0..ERASED).filter(|position| record_of(*position) == 0);
    let mut digests: Vec<String> = of_it
        .flat_map(|position| {
            let reason = (position % 7 == 3).then_some("reason");
            ["name"].into_iter().chain(reason).map(move |path| disclosure(position, path).digest().unwrap())
        })
        .collect();
    if twist == Twist::Erasure {
        digests.pop();
    }
    [
        ("subject_type", json!("thing")),
        ("subject_id", json!(format!("01900000-0000-7000-8000-00000000a{:03}", 0))),
        ("digests", json!(digests.len())),
        ("digests_sha256", json!(fingerprint(&digests))),
    ]
}

/// A note over a text.
pub fn sign(text: &str, keys: &[SigningKey], witnesses: &[SigningKey]) -> Vec<u8> {
    let mut signatures: Vec<_> = keys.iter().map(|key| key.sign(text).unwrap()).collect();
    signatures.extend(witnesses.iter().map(|witness| witness.cosign(text, 1_800_000_000).unwrap()));
    note::write(text, &signatures).unwrap().into_bytes()
}

/// A served manifest file of these parts.
pub fn serve(manifest: &str, key: &SigningKey, checkpoint: &[u8]) -> Vec<u8> {
    let manifest = String::from_utf8(sign(manifest, std::slice::from_ref(key), &[])).unwrap();
    join(&manifest, std::str::from_utf8(checkpoint).unwrap()).into_bytes()
}

/// The bytes with one exchanged for another text of the same length or not, once.
pub fn exchanged(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1).into_bytes()
}
