//! Exports: one that is right is accepted from wherever one held on; whatever is done to it, it is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::checkpoint::Checkpoint;
use super::super::export::{Export, ExportError, Problem, Verified};
use super::super::manifest::{Manifest, join};
use super::super::note;
use super::super::policy::Policy;
use super::super::state::StateError;
use super::super::tree::{Frontier, Hash, leaf_hash, root_of};
use super::{Numbers, log_key};
use crate::canonical::sha256;

const ORIGIN: &str = "thidua.example.vn/log";
const SIZE: usize = 60;

/// Events of four records in turn.
fn leaves() -> Vec<Vec<u8>> {
    let mut leaves: Vec<Vec<u8>> = Vec::new();
    for place in 0..SIZE {
        let prev = match place.checked_sub(4) {
            Some(before) => format!("\"{}\"", URL_SAFE_NO_PAD.encode(leaf_hash(&leaves[before]))),
            None => "null".to_owned(),
        };
        let (record, version) = (place % 4, place / 4 + 1);
        let leaf = format!(
            r#"{{"changes":{{"a":[{place},{version}]}},"prev":{prev},"reason":null,"scope":null,"stream":"thing/{record}","type":"thing.made","unit":null,"v":1,"ver":{version}}}"#
        );
        leaves.push(leaf.into_bytes());
    }
    leaves
}

fn lines(leaves: &[Vec<u8>]) -> Vec<Vec<u8>> {
    leaves.iter().map(|leaf| [leaf.as_slice(), b"\n"].concat()).collect()
}

fn hashes(leaves: &[Vec<u8>]) -> Vec<Hash> {
    leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
}

fn checkpoint(leaves: &[Vec<u8>]) -> Checkpoint {
    Checkpoint::new(ORIGIN, leaves.len() as u64, root_of(&hashes(leaves))).unwrap()
}

fn signed(text: &str) -> String {
    note::write(text, &[log_key().sign(text).unwrap()]).unwrap()
}

fn export(leaves: &[Vec<u8>], from: usize, held: Option<Checkpoint>) -> Export {
    let content = lines(&leaves[from..]).concat();
    let mut before = Frontier::new();
    hashes(&leaves[..from]).into_iter().for_each(|hash| before.push(hash).unwrap());
    let manifest = Manifest {
        log: ORIGIN.to_owned(),
        export: "01900000-0000-7000-8000-000000000001".to_owned(),
        from: from as u64,
        to: leaves.len() as u64,
        events: (leaves.len() - from) as u64,
        bytes: content.len() as u64,
        sha256: sha256(&content),
        left: before.to_bytes().as_chunks().0.to_vec(),
    };
    let file = join(&signed(&manifest.to_string()), &signed(&checkpoint(leaves).to_string()));
    let policy = format!("log {}\nquorum none\n", log_key().verifier());
    Export::open(&file, &Policy::parse(policy.as_bytes()).unwrap(), held).unwrap()
}

fn verified(export: &Export, lines: &[Vec<u8>], tiles: Option<&[Hash]>) -> Result<Verified, ExportError> {
    let (mut tree, mut content) = (export.tree().unwrap(), export.content());
    let mut tiles = tiles.map(|tiles| tiles.iter().copied());
    for line in lines {
        let hash = tree.append(line.strip_suffix(b"\n").unwrap_or(line));
        if let Some(listed) = tiles.as_mut().and_then(Iterator::next) {
            tree.compare(listed, Some(hash));
        }
        content.bytes(line);
        content.line(line, &hash);
    }
    tiles.into_iter().flatten().for_each(|listed| tree.compare(listed, None));
    export.verdict(&tree, content, None)
}

#[test]
fn every_range_is_accepted_from_whatever_was_held_in_it() {
    let leaves = leaves();
    for from in [0, 1, 7, 32, 59, 60] {
        let records = (SIZE - from).min(4);
        let good = Ok(Verified { events: (SIZE - from) as u64, records });
        assert_eq!(verified(&export(&leaves, from, None), &lines(&leaves[from..]), None), good);
        for held in from..=SIZE {
            let export = export(&leaves, from, Some(checkpoint(&leaves[..held])));
            assert_eq!(verified(&export, &lines(&leaves[from..]), None), good, "{from} {held}");
        }
        for held in (1..from).step_by(5) {
            let export = export(&leaves, from, Some(checkpoint(&leaves[..held])));
            let needs = Err(ExportError::State(StateError::NeedsProof { old: held as u64, new: SIZE as u64 }));
            assert_eq!(verified(&export, &lines(&leaves[from..]), None), needs, "{from} {held}");
        }
    }
}

#[test]
fn whatever_is_done_to_it_is_found_and_by_tiles_where() {
    let (leaves, mut numbers) = (leaves(), Numbers(4));
    let (good, tiles) = (lines(&leaves), hashes(&leaves));
    let export = export(&leaves, 0, None);
    for round in 0..3_000 {
        let mut spoilt = good.clone();
        let mut place = || numbers.below(SIZE as u64) as usize;
        let (one, two) = (place(), place());
        let newlines = round % 7 == 6;
        match round % 7 {
            0 => drop(spoilt.remove(one)),
            1 => spoilt.swap(one, two),
            2 => spoilt.insert(one, good[two].clone()),
            3 => spoilt.truncate(one),
            4 => spoilt[one] = good[two].clone(),
            5 => drop(spoilt.drain(one.min(two)..one.max(two))),
            _ => {
                let (length, bit) = (spoilt[one].len() as u64, numbers.below(8));
                spoilt[one][numbers.below(length) as usize] ^= 1 << bit;
            }
        }
        if spoilt == good {
            continue;
        }
        let first = (0..).find(|place| spoilt.get(*place) != good.get(*place)).unwrap();
        assert!(verified(&export, &spoilt, None).is_err(), "{round}");
        match verified(&export, &spoilt, Some(&tiles)).unwrap_err() {
            // A lost newline does not change the hash of its leaf: only the content is another one.
            ExportError::Bad { position, .. } => {
                assert!(position == first as u64 || newlines, "{round}: {position}, {first}")
            }
            other => panic!("{round}: {other}"),
        }
    }
}

#[test]
fn hashes_of_another_tree_say_nothing() {
    let leaves = leaves();
    let export = export(&leaves, 0, None);
    let mut spoilt = lines(&leaves);
    spoilt[20][12] ^= 1;
    let mut tiles = hashes(&leaves);
    tiles[3] = [0; 32];
    let refused = verified(&export, &spoilt, Some(&tiles)).unwrap_err();
    assert!(matches!(
        refused,
        ExportError::Bad { position: 20 | 24, problem: Problem::Chain { in_the_log: false, .. } }
    ));
    // And what is right is not refused for their sake.
    assert!(verified(&export, &lines(&leaves), Some(&tiles)).is_ok());
}
