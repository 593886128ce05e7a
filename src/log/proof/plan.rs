//! Which hashes a proof consists of, and out of which stored ones each is made.
//!
//! Planning comes first and needs no hash, so that a caller can fetch everything at once and answer afterwards.

use super::tree::{Hash, fold};

/// A perfect subtree: the leaves from `index` × 2^`level` up to (`index` + 1) × 2^`level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Height above the leaves.
    pub level: u8,
    /// Place within the level.
    pub index: u64,
}

/// Why there is no such proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
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
    /// The caller could not give a hash that the plan names.
    #[error("the hash of {0:?} is missing")]
    Missing(NodeId),
}

/// A proof without its hashes: for each, the perfect subtrees that it is made of, largest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(Vec<Vec<NodeId>>);

impl Plan {
    /// PATH of RFC 9162, section 2.1.3.1: from the leaf's sibling up to the root's child.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, PlanError> {
        if index >= size {
            return Err(PlanError::IndexOutside { index, size });
        }
        let (mut start, mut end, mut path) = (0, size, Vec::new());
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(subtrees(middle, end));
                end = middle;
            } else {
                path.push(subtrees(start, middle));
                start = middle;
            }
        }
        path.reverse();
        Ok(Self(path))
    }

    /// PROOF of RFC 9162, section 2.1.4.1. Empty from the empty tree and between trees of one size.
    pub fn consistency(size1: u64, size2: u64) -> Result<Self, PlanError> {
        if size1 > size2 {
            return Err(PlanError::SizesReversed { size1, size2 });
        }
        let (mut start, mut end, mut path) = (0, size2, Vec::new());
        while size1 > 0 && size1 < end {
            let middle = start + split(end - start);
            if size1 <= middle {
                path.push(subtrees(middle, end));
                end = middle;
            } else {
                path.push(subtrees(start, middle));
                start = middle;
            }
        }
        // What the verifier knows as the older root is left out; that is so if no step went to the right.
        if start > 0 {
            path.push(subtrees(start, end));
        }
        path.reverse();
        Ok(Self(path))
    }

    /// The root of a tree, as a proof of one hash; of none for the empty tree.
    pub fn root(size: u64) -> Self {
        Self(if size == 0 { Vec::new() } else { vec![subtrees(0, size)] })
    }

    /// The perfect subtrees of a tree, each as a hash of its own: what is needed to append to it.
    pub fn frontier(size: u64) -> Self {
        Self(subtrees(0, size).into_iter().map(|node| vec![node]).collect())
    }

    /// Every perfect subtree whose root is needed.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().flatten().copied()
    }

    /// Makes the proof out of the roots that `lookup` gives.
    pub fn hashes(&self, lookup: impl Fn(NodeId) -> Option<Hash>) -> Result<Vec<Hash>, PlanError> {
        let mut proof = Vec::with_capacity(self.0.len());
        for nodes in &self.0 {
            let found = nodes.iter().map(|node| lookup(*node).ok_or(PlanError::Missing(*node)));
            let roots = found.collect::<Result<Vec<Hash>, PlanError>>()?;
            proof.extend(fold(&roots));
        }
        Ok(proof)
    }
}

/// The largest power of two smaller than `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// The leaves from `start` up to `end` as perfect subtrees, largest first. What RFC 9162 splits off is perfect itself or
/// ends where the tree ends.
fn subtrees(mut start: u64, end: u64) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    while start < end {
        let level = start.trailing_zeros().min((end - start).ilog2());
        // A level is at most 63.
        nodes.push(NodeId { level: level as u8, index: start >> level });
        start += 1 << level;
    }
    nodes
}
