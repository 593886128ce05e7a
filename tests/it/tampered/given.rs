//! What is given away of the log as it stands there, and what somebody says of it who has an older checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sea_orm::ConnectionTrait;
use serde_json::json;
use thidua::auth::Scope;
use thidua::canonical::sha256;
use thidua::error::Error;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::export::{Export, ExportError, Problem};
use thidua::log::proof::history::History;
use thidua::log::proof::manifest::{Manifest, join};
use thidua::log::proof::note;
use thidua::log::proof::policy::Policy;
use thidua::log::proof::state::{Consistency, continues};
use thidua::log::proof::tlog_proof::{self, TlogProof};
use thidua::log::proof::tree::{Frontier, Hash, leaf_hash};
use thidua::log::{prove, store, tiles};
use uuid::Uuid;

use super::story::Story;
use crate::support::{ORIGIN, log_key};

/// Who gives it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Somebody who has what was signed before.
    Old,
    /// Somebody who has the log's key, and signs whatever the head says.
    Key,
}

pub fn signed(text: &str) -> String {
    note::write(text, &[log_key().sign(text).unwrap()]).unwrap()
}

/// What the head says, signed.
pub async fn sign_the_head(conn: &impl ConnectionTrait) -> Result<(Checkpoint, String), Error> {
    let head = tiles::head(conn).await?;
    let checkpoint = Checkpoint::new(ORIGIN, head.size(), head.root()).unwrap();
    let note = signed(&checkpoint.to_string());
    Ok((checkpoint, note))
}

/// An export as it is downloaded, and the consistency proof from what the auditor holds.
pub struct Given {
    pub lines: Vec<u8>,
    pub file: String,
    pub consistency: Option<Consistency>,
    pub note: String,
}

async fn consistency(conn: &impl ConnectionTrait, old: u64, new: u64) -> Option<Consistency> {
    let hashes = prove::consistency(conn, old, new).await.ok()?;
    let hashes: Vec<String> = hashes.iter().map(|hash| STANDARD.encode(hash)).collect();
    Some(Consistency::parse(&json!({ "from": old, "to": new, "hashes": hashes }).to_string()).unwrap())
}

fn joined<'a>(leaves: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut lines = Vec::new();
    for leaf in leaves {
        lines.extend_from_slice(leaf);
        lines.push(b'\n');
    }
    lines
}

/// The events from `from` on.
pub async fn export(story: &Story<'_>, conn: &impl ConnectionTrait, from: usize, hand: Hand) -> Result<Given, Error> {
    let leaves = store::leaves(conn, i64::try_from(from).unwrap() - 1, 1_000_000).await?;
    let lines = joined(leaves.iter().map(|leaf| &leaf.leaf));
    let (checkpoint, note, left, said) = match hand {
        Hand::Old => {
            let (checkpoint, note) = story.newest().clone();
            let mut before = Frontier::new();
            story.hashes[..from].iter().for_each(|hash| before.push(*hash).unwrap());
            let left = before.to_bytes().chunks(32).map(|hash| hash.try_into().unwrap()).collect();
            (checkpoint, note, left, joined(story.events[from..].iter().map(|event| &event.leaf)))
        }
        Hand::Key => {
            let (checkpoint, note) = sign_the_head(conn).await?;
            let left = prove::left(conn, from as u64, checkpoint.size()).await?;
            (checkpoint, note, left, lines.clone())
        }
    };
    let (from, to) = (from as u64, checkpoint.size());
    let manifest = Manifest {
        log: ORIGIN.to_owned(),
        export: Uuid::from_u128(1).to_string(),
        from,
        to,
        events: to - from,
        bytes: said.len() as u64,
        sha256: sha256(&said),
        left,
    };
    let consistency = consistency(conn, story.held.size(), to).await;
    Ok(Given { lines, file: join(&signed(&manifest.to_string()), &note), consistency, note })
}

/// What the auditor says of an export. `mirrored`: hashes that somebody kept of the public tiles.
pub fn judge(policy: &Policy, held: &Checkpoint, given: &Given, mirrored: Option<&[Hash]>) -> Result<u64, ExportError> {
    let export = Export::open(&given.file, policy, Some(held.clone()))?;
    let (mut tree, mut content) = (export.tree()?, export.content());
    let from = usize::try_from(export.manifest().from).unwrap();
    let mut listed = mirrored.map(|hashes| hashes.get(from..).unwrap_or_default()).unwrap_or_default().iter();
    content.bytes(&given.lines);
    for line in given.lines.split_inclusive(|byte| *byte == b'\n') {
        let hash = tree.append(line.strip_suffix(b"\n").unwrap_or(line));
        content.line(line, &hash);
        if let Some(listed) = listed.next() {
            tree.compare(*listed, Some(hash));
        }
    }
    listed.for_each(|listed| tree.compare(*listed, None));
    export.verdict(&tree, content, given.consistency.as_ref()).map(|verified| verified.events)
}

/// The position that a refusal names.
pub fn named(error: &ExportError) -> Option<usize> {
    match error {
        ExportError::Bad { position, problem: Problem::NotTheLeaf | Problem::Ends { .. } | Problem::GoesOn } => {
            usize::try_from(*position).ok()
        }
        _ => None,
    }
}

/// The history of a record, with the proof of its last event, as it is served and as the auditor judges it; the versions
/// that it has.
pub async fn history(story: &Story<'_>, conn: &impl ConnectionTrait, record: Uuid, hand: Hand) -> Result<u64, String> {
    let failed = |error: Error| format!("nothing is served: {error}");
    let filter = store::Filter { record: Some(record), ..Default::default() };
    let range = store::Range { after: None, before: None, descending: false, limit: 10_000 };
    let rows = store::read(conn, &filter, &Scope::Everything, range).await.map_err(failed)?.rows;
    let (checkpoint, note) = match hand {
        Hand::Old => story.newest().clone(),
        Hand::Key => sign_the_head(conn).await.map_err(failed)?,
    };
    let last = rows.last().ok_or("there is no event")?;
    let index = u64::try_from(last.seq).unwrap();
    let hashes = prove::inclusion(conn, index, checkpoint.size()).await.map_err(failed)?;
    let proof = TlogProof::new(index, hashes, &note).unwrap().to_string();
    let consistency = consistency(conn, story.held.size(), checkpoint.size()).await;

    // From here on offline.
    let mut history = History::default();
    let lines: String = rows.iter().map(|row| format!("{}\n", row.leaf)).collect();
    let mut leaf: &[u8] = &[];
    for line in lines.as_bytes().split_inclusive(|byte| *byte == b'\n') {
        leaf = line.strip_suffix(b"\n").ok_or("the newline is missing")?;
        history.follow(leaf, &leaf_hash(leaf)).map_err(|broken| broken.to_string())?;
    }
    let proven = tlog_proof::verify(&proof, leaf, &story.policy).map_err(|error| error.to_string())?;
    let state = continues(&story.held, &proven.checkpoint, consistency.as_ref(), None);
    state.map_err(|error| error.to_string())?;
    Ok(history.version())
}
