//! A range of the log as NDJSON, checked against its manifest, its checkpoint and what was accepted before.
//!
//! Two parts that need nothing of each other but the leaf hashes, so that a caller can run them side by side: the
//! [`Tree`] of the leaves, and the [`Content`] that they stand in.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use super::accept::{self, AcceptError, Accepted};
use super::checkpoint::Checkpoint;
use super::history::{Broken, Chains};
use super::manifest::{self, Manifest, ManifestError};
use super::policy::Policy;
use super::state::{self, Consistency, StateError};
use super::tree::{Frontier, Hash};
use crate::canonical::sha256;

/// Why an export is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The served file is not what it should be.
    #[error(transparent)]
    File(#[from] ManifestError),
    /// The manifest is not the log's.
    #[error("the manifest: {0}")]
    Manifest(AcceptError),
    /// The policy does not accept the checkpoint.
    #[error("the checkpoint: {0}")]
    Checkpoint(AcceptError),
    /// An export ends at its checkpoint.
    #[error("the manifest ends at {to} of {log}, the checkpoint is of {size} events of {origin}")]
    OtherCheckpoint {
        /// The manifest's log.
        log: String,
        /// Where the manifest ends.
        to: u64,
        /// The checkpoint's log.
        origin: String,
        /// The checkpoint's size.
        size: u64,
    },
    /// The first bad position is known.
    #[error("position {position}: {problem}")]
    Bad {
        /// Where.
        position: u64,
        /// What.
        problem: Problem,
    },
    /// Only where it can be is known.
    #[error("the events are not those of the checkpoint; the first bad position lies from {from} to {to}")]
    Somewhere {
        /// The first that may be bad.
        from: u64,
        /// The last that may be.
        to: u64,
    },
    /// The events are the log's, but the manifest says something else of the file.
    #[error("the manifest's {0} is not that of the content")]
    Content(&'static str),
    /// The checkpoint does not continue what was accepted before.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What is wrong at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// By the tile hashes.
    NotTheLeaf,
    /// The content is too short.
    Ends {
        /// Events found.
        found: u64,
        /// Events of the manifest.
        events: u64,
    },
    /// The content is too long.
    GoesOn,
    /// The record does not go on like that. Where the root differs, a position before may be bad as well.
    Chain {
        /// Why.
        broken: Broken,
        /// True if the tree is that of the checkpoint all the same: the log itself is at fault.
        in_the_log: bool,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTheLeaf => write!(f, "the event is not the one in the log"),
            Self::Ends { found, events } => write!(f, "the content ends after {found} of {events} events"),
            Self::GoesOn => write!(f, "the content goes on after its last event"),
            Self::Chain { broken, in_the_log: true } => write!(f, "{broken}, in the log itself"),
            Self::Chain { broken, in_the_log: false } => write!(f, "{broken}, and the root is not the checkpoint's"),
        }
    }
}

/// What an export is checked against; all of it signed.
#[derive(Debug, Clone)]
pub struct Export {
    manifest: Manifest,
    accepted: Accepted,
    held: Option<Checkpoint>,
}

impl Export {
    /// The served manifest file, and the checkpoint accepted before if there is one.
    pub fn open(file: &str, policy: &Policy, held: Option<Checkpoint>) -> Result<Self, ExportError> {
        let (manifest, checkpoint) = manifest::split(file)?;
        let manifest = accept::manifest(manifest, policy).map_err(ExportError::Manifest)?;
        let accepted = accept::checkpoint(checkpoint, policy).map_err(ExportError::Checkpoint)?;
        let (origin, size) = (accepted.checkpoint.origin(), accepted.checkpoint.size());
        if origin != manifest.log || size != manifest.to {
            let (log, to, origin) = (manifest.log, manifest.to, origin.to_owned());
            return Err(ExportError::OtherCheckpoint { log, to, origin, size });
        }
        Ok(Self { manifest, accepted, held })
    }

    /// What the export says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The checkpoint that it ends at.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.accepted.checkpoint
    }

    /// The tree before the first event.
    pub fn tree(&self) -> Result<Tree, ExportError> {
        let frontier = self.manifest.before()?;
        let mut tree = Tree {
            listed: frontier.clone(),
            frontier,
            events: self.manifest.events,
            found: 0,
            differs: None,
            mark: self.held.as_ref().map(Checkpoint::size),
            marked: None,
            leaf: Vec::new(),
        };
        tree.look();
        Ok(tree)
    }

    /// The content before its first line.
    pub fn content(&self) -> Content {
        let from = self.manifest.from;
        Content { digest: Context::new(&SHA256), bytes: 0, position: from, chains: Chains::from(from), broken: None }
    }

    /// What comes out in the end. `proof` leads from the checkpoint that was accepted before.
    pub fn verdict(&self, tree: &Tree, content: Content, proof: Option<&Consistency>) -> Result<Verified, ExportError> {
        let Content { digest, bytes, chains, broken, .. } = content;
        let is_the_tree = tree.found == self.manifest.events && tree.frontier.root() == *self.checkpoint().root();
        if !is_the_tree {
            return Err(self.first_bad(tree, broken));
        }
        if let Some((position, broken)) = broken {
            return Err(ExportError::Bad { position, problem: Problem::Chain { broken, in_the_log: true } });
        }
        if bytes != self.manifest.bytes {
            return Err(ExportError::Content("bytes"));
        }
        if digest.finish().as_ref() != self.manifest.sha256 {
            return Err(ExportError::Content("sha256"));
        }
        if let Some(held) = &self.held {
            state::continues(held, self.checkpoint(), proof, tree.marked)?;
        }
        Ok(Verified { events: tree.found, records: chains.records() })
    }

    /// True if the hashes given beside the events make the checkpoint's tree: only then do they say anything.
    pub fn lists_the_tree(&self, tree: &Tree) -> bool {
        tree.listed.size() == self.manifest.to && tree.listed.root() == *self.checkpoint().root()
    }

    /// The tree is not the checkpoint's: where it begins not to be, as far as can be told.
    fn first_bad(&self, tree: &Tree, broken: Option<(u64, Broken)>) -> ExportError {
        let Manifest { from, to, events, .. } = self.manifest;
        let found = tree.found;
        let ends = match found.cmp(&events) {
            std::cmp::Ordering::Less => Some((from + found, Problem::Ends { found, events })),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some((to, Problem::GoesOn)),
        };
        let bad = |(position, problem)| ExportError::Bad { position, problem };
        if self.lists_the_tree(tree)
            && let Some(exact) = tree.differs.map(|position| (position, Problem::NotTheLeaf)).or(ends.clone())
        {
            return bad(exact);
        }
        if let Some((position, broken)) = broken.filter(|(position, _)| *position < to) {
            return bad((position, Problem::Chain { broken, in_the_log: false }));
        }
        if let Some(ends) = ends {
            return bad(ends);
        }
        match (&self.held, tree.marked) {
            (Some(held), Some(root)) if root == *held.root() => {
                ExportError::Somewhere { from: held.size(), to: to.saturating_sub(1) }
            }
            (Some(held), Some(_)) => ExportError::Somewhere { from, to: held.size().saturating_sub(1) },
            _ => ExportError::Somewhere { from, to: to.saturating_sub(1) },
        }
    }
}

/// What an export was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Events.
    pub events: u64,
    /// Records that they are of.
    pub records: usize,
}

/// The tree that the leaves make.
#[derive(Debug, Clone)]
pub struct Tree {
    frontier: Frontier,
    events: u64,
    found: u64,
    /// The same tree out of hashes that somebody else gave.
    listed: Frontier,
    /// The first position where the two are not the same.
    differs: Option<u64>,
    /// The size at which the root is of interest, and the root there.
    mark: Option<u64>,
    marked: Option<Hash>,
    leaf: Vec<u8>,
}

impl Tree {
    /// The position of the next leaf.
    pub fn position(&self) -> u64 {
        self.frontier.size()
    }

    /// The next leaf. Its hash; beyond the last event it is only counted.
    pub fn append(&mut self, leaf: &[u8]) -> Hash {
        // Always of the bytes that are there.
        self.leaf.clear();
        self.leaf.push(0);
        self.leaf.extend_from_slice(leaf);
        let hash = sha256(&self.leaf);
        if self.found < self.events && self.frontier.push(hash).is_ok() {
            self.look();
        }
        self.found = self.found.saturating_add(1);
        hash
    }

    /// The hash that tiles have for the next position after those compared so far, and what was found there, if anything.
    pub fn compare(&mut self, listed: Hash, found: Option<Hash>) {
        let position = self.listed.size();
        if self.listed.push(listed).is_ok() && found.is_some_and(|found| found != listed) {
            self.differs.get_or_insert(position);
        }
    }

    fn look(&mut self) {
        if self.mark == Some(self.frontier.size()) {
            self.marked = Some(self.frontier.root());
        }
    }
}

/// The bytes, and what the leaves say of one another.
pub struct Content {
    digest: Context,
    bytes: u64,
    position: u64,
    chains: Chains,
    broken: Option<(u64, Broken)>,
}

impl Content {
    /// More bytes, whole lines or not.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }

    /// The next line, with its newline, and the hash of its leaf.
    pub fn line(&mut self, line: &[u8], hash: &Hash) {
        // Behind the first break every further one may be its consequence.
        if self.broken.is_none() {
            let followed = match line.strip_suffix(b"\n") {
                Some(leaf) => self.chains.follow(leaf, hash),
                None => Err(Broken::Unfinished),
            };
            self.broken = followed.err().map(|broken| (self.position, broken));
        }
        self.position = self.position.saturating_add(1);
    }
}
