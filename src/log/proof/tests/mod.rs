//! Tests of the proofs: published vectors, an independent oracle, the text of the RFC, mutations.

mod export;
mod history;
mod key;
mod manifest;
mod note;
mod policy;
mod rotation;
mod tile;
mod tlog_proof;
mod tree;
mod verify;
mod witness;

use super::key::{Algorithm, SigningKey};
use super::plan::NodeId;
use super::tree::{Hash, leaf_hash, node_hash};

/// The roots of all perfect subtrees above some leaf hashes.
struct Roots(Vec<Vec<Hash>>);

impl Roots {
    fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while levels[levels.len() - 1].len() > 1 {
            let below = &levels[levels.len() - 1];
            levels.push(below.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        Self(levels)
    }

    fn get(&self, node: NodeId) -> Option<Hash> {
        self.0.get(usize::from(node.level))?.get(usize::try_from(node.index).unwrap()).copied()
    }
}

/// The root of any perfect subtree of a tree, of any size, whose leaves are all alike.
fn uniform(leaf: &[u8]) -> impl Fn(NodeId) -> Option<Hash> {
    let mut roots = vec![leaf_hash(leaf)];
    for level in 0..63 {
        roots.push(node_hash(&roots[level], &roots[level]));
    }
    move |node| roots.get(usize::from(node.level)).copied()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |place| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn hash(text: &str) -> Hash {
    unhex(text).try_into().unwrap()
}

fn log_key() -> SigningKey {
    SigningKey::from_seed("thidua.example.vn/log", Algorithm::Ed25519, &[1; 32]).unwrap()
}

fn witness_key(number: u8) -> SigningKey {
    let name = format!("witness{number}.example.vn");
    SigningKey::from_seed(&name, Algorithm::CosignatureV1, &[10 + number; 32]).unwrap()
}

/// Numbers without a pattern (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
