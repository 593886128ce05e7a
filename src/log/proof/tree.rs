//! The Merkle tree of RFC 6962 and RFC 9162, section 2.1: hashes, the frontier that grows, and verification.
//!
//! A proof is accepted only in its one exact length. Planning and making proofs is [`super::plan`].

use crate::canonical::sha256;

/// A leaf hash or the root of a subtree.
pub type Hash = [u8; 32];

/// Bytes of a hash.
pub const HASH_SIZE: usize = 32;

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Why a frontier cannot be read or grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// There must be one hash for each bit set in the size.
    #[error("{length} bytes are no frontier of {size} leaves")]
    Length {
        /// Leaves claimed.
        size: u64,
        /// Bytes given.
        length: usize,
    },
    /// No further leaf can be counted.
    #[error("the tree is full")]
    Full,
}

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The tree has no such leaf.
    #[error("there is no leaf {index} among {size}")]
    IndexOutside {
        /// Leaf index.
        index: u64,
        /// Tree size.
        size: u64,
    },
    /// A tree does not shrink.
    #[error("a tree of {size1} leaves does not come before one of {size2}")]
    SizesReversed {
        /// Size of the older tree.
        size1: u64,
        /// Size of the newer tree.
        size2: u64,
    },
    /// The proof has too few or too many hashes.
    #[error("the proof has the wrong number of hashes: {length}")]
    ProofLength {
        /// Hashes given.
        length: usize,
    },
    /// The proof does not lead to the root of the (newer) tree.
    #[error("the proof does not lead to the root")]
    RootMismatch,
    /// The consistency proof does not lead to the root of the older tree.
    #[error("the proof does not lead to the older root")]
    OldRootMismatch,
}

/// MTH of one leaf: SHA-256 of a zero byte and the leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut bytes = Vec::with_capacity(leaf.len() + 1);
    bytes.push(0);
    bytes.extend_from_slice(leaf);
    sha256(&bytes)
}

/// The root above two subtrees.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * HASH_SIZE];
    let (first, second) = bytes[1..].split_at_mut(HASH_SIZE);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    sha256(&bytes)
}

/// MTH of leaves given by their hashes.
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.append(*leaf);
    }
    frontier.root()
}

/// All that is needed to append and to know the root: the roots of the perfect subtrees, largest first (a compact range
/// from 0).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Of the tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    pub fn from_parts(size: u64, bytes: &[u8]) -> Result<Self, FrontierError> {
        let (hashes, rest) = bytes.as_chunks::<HASH_SIZE>();
        let roots = hashes.to_vec();
        // At most 64 subtrees, so the cast loses nothing.
        if !rest.is_empty() || roots.len() != size.count_ones() as usize {
            return Err(FrontierError::Length { size, length: bytes.len() });
        }
        Ok(Self { size, roots })
    }

    /// The hashes one after another.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Hash) -> Result<(), FrontierError> {
        if self.size == u64::MAX {
            return Err(FrontierError::Full);
        }
        self.append(leaf);
        Ok(())
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold(&self.roots).unwrap_or(EMPTY_ROOT)
    }

    fn append(&mut self, leaf: Hash) {
        let mut root = leaf;
        // Each trailing one is a subtree as large as what has been merged: a carry.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                root = node_hash(&left, &root);
            }
        }
        self.roots.push(root);
        self.size += 1;
    }
}

/// The root above perfect subtrees, largest first; nothing above nothing.
pub(super) fn fold(roots: &[Hash]) -> Option<Hash> {
    let (last, larger) = roots.split_last()?;
    Some(larger.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// RFC 9162, section 2.1.3.2: leaf `index` is in the tree of `size` leaves with this root.
pub fn verify_inclusion(
    leaf_hash: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::IndexOutside { index, size });
    }
    let wrong_length = VerifyError::ProofLength { length: proof.len() };
    let mut place = Place { node: index, last: size - 1 };
    let mut computed = *leaf_hash;
    for sibling in proof {
        if place.last == 0 {
            return Err(wrong_length);
        }
        computed = if place.step_is_left() { node_hash(sibling, &computed) } else { node_hash(&computed, sibling) };
    }
    if place.last != 0 {
        return Err(wrong_length);
    }
    if computed == *root { Ok(()) } else { Err(VerifyError::RootMismatch) }
}

/// RFC 9162, section 2.1.4.2: the tree of `size2` leaves with `root2` begins with the tree of `size1` leaves.
///
/// The RFC speaks of 0 < `size1` < `size2` only. As tlog-witness asks, the proof is empty from the empty tree, which is
/// consistent with any tree, and between trees of one size, which must be the same.
pub fn verify_consistency(
    size1: u64,
    root1: &Hash,
    size2: u64,
    root2: &Hash,
    proof: &[Hash],
) -> Result<(), VerifyError> {
    if size1 > size2 {
        return Err(VerifyError::SizesReversed { size1, size2 });
    }
    if size1 == 0 || size1 == size2 {
        return verify_trivial(size1, root1, size2, root2, proof);
    }
    let wrong_length = VerifyError::ProofLength { length: proof.len() };
    let mut place = Place { node: size1 - 1, last: size2 - 1 };
    place.skip(place.node.trailing_ones());
    // If the older tree is a subtree of the newer one, its root is where the proof starts, and is left out.
    let (start, path) =
        if size1.is_power_of_two() { (root1, proof) } else { proof.split_first().ok_or(wrong_length.clone())? };
    let (mut older, mut newer) = (*start, *start);
    for sibling in path {
        if place.last == 0 {
            return Err(wrong_length);
        }
        if place.step_is_left() {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
        } else {
            newer = node_hash(&newer, sibling);
        }
    }
    if place.last != 0 {
        return Err(wrong_length);
    }
    if older != *root1 {
        return Err(VerifyError::OldRootMismatch);
    }
    if newer == *root2 { Ok(()) } else { Err(VerifyError::RootMismatch) }
}

fn verify_trivial(size1: u64, root1: &Hash, size2: u64, root2: &Hash, proof: &[Hash]) -> Result<(), VerifyError> {
    if !proof.is_empty() {
        return Err(VerifyError::ProofLength { length: proof.len() });
    }
    if size1 == 0 && *root1 != EMPTY_ROOT {
        return Err(VerifyError::OldRootMismatch);
    }
    if size1 == size2 && root1 != root2 { Err(VerifyError::RootMismatch) } else { Ok(()) }
}

/// A node and the last node of its level (`fn` and `sn` in the RFC).
struct Place {
    node: u64,
    last: u64,
}

impl Place {
    /// Goes up to the parent. True if the sibling that was met stands to the left.
    fn step_is_left(&mut self) -> bool {
        let is_left = self.node & 1 == 1 || self.node == self.last;
        // The last node of a level without a right sibling rises alone until it has a left one.
        if is_left && self.node & 1 == 0 {
            self.skip(self.node.trailing_zeros());
        }
        self.skip(1);
        is_left
    }

    /// Up by some levels; a node 0 has 64 zero bits, and nothing above the root.
    fn skip(&mut self, levels: u32) {
        self.node = self.node.checked_shr(levels).unwrap_or(0);
        self.last = self.last.checked_shr(levels).unwrap_or(0);
    }
}
