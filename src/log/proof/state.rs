//! What a verifier holds on to: the checkpoint that it accepted last. Whatever it accepts next must continue that one.

use serde::Deserialize;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::decode_hash;
use super::note::{Note, NoteError};
use super::tree::{Hash, VerifyError, verify_consistency};

/// Why a checkpoint does not continue another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The remembered checkpoint cannot be read.
    #[error("the remembered checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The remembered note is no checkpoint.
    #[error("the remembered checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Two logs.
    #[error("the older checkpoint is of {old}, the newer of {new}")]
    OtherLog {
        /// Origin of the older.
        old: String,
        /// Origin of the newer.
        new: String,
    },
    /// A log does not shrink.
    #[error("the checkpoint has {new} events, fewer than the {old} that were accepted before")]
    Behind {
        /// Events accepted before.
        old: u64,
        /// Events now.
        new: u64,
    },
    /// The log told two stories.
    #[error("the log forked: its first {size} events are not those that were accepted before")]
    Forked {
        /// Events of the older checkpoint.
        size: u64,
    },
    /// Nothing shows how one became the other.
    #[error("a consistency proof from {old} to {new} events is needed")]
    NeedsProof {
        /// Events of the older checkpoint.
        old: u64,
        /// Events of the newer.
        new: u64,
    },
    /// The file is none.
    #[error("the consistency proof cannot be read")]
    Format,
    /// A proof between other trees.
    #[error("the consistency proof is from {from} to {to} events, not from {old} to {new}")]
    Sizes {
        /// What it is from.
        from: u64,
        /// What it leads to.
        to: u64,
        /// Events of the older checkpoint.
        old: u64,
        /// Events of the newer.
        new: u64,
    },
    /// The proof proves nothing.
    #[error("the consistency proof from {old} to {new} events: {error}")]
    Proof {
        /// Events of the older checkpoint.
        old: u64,
        /// Events of the newer.
        new: u64,
        /// What is wrong.
        error: VerifyError,
    },
}

/// The checkpoint of a remembered note. It was verified when it was accepted, perhaps by keys that have gone since.
pub fn remembered(note: &str) -> Result<Checkpoint, StateError> {
    Ok(Note::parse(note)?.text.parse()?)
}

/// The answer of `GET /v1/log/consistency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    from: u64,
    to: u64,
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct ConsistencyText {
    from: u64,
    to: u64,
    hashes: Vec<String>,
}

impl Consistency {
    /// Reads the JSON.
    pub fn parse(json: &str) -> Result<Self, StateError> {
        let ConsistencyText { from, to, hashes } = serde_json::from_str(json).map_err(|_| StateError::Format)?;
        let hashes = hashes.iter().map(|hash| decode_hash(hash)).collect::<Option<Vec<Hash>>>();
        Ok(Self { from, to, hashes: hashes.ok_or(StateError::Format)? })
    }

    fn check(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), StateError> {
        let Self { from, to, hashes } = self;
        let sizes = (old.size(), new.size());
        if (*from, *to) != sizes {
            return Err(StateError::Sizes { from: *from, to: *to, old: sizes.0, new: sizes.1 });
        }
        let verified = verify_consistency(*from, old.root(), *to, new.root(), hashes);
        verified.map_err(|error| StateError::Proof { old: sizes.0, new: sizes.1, error })
    }
}

/// `new` continues `old`: by a proof, or by `computed`, the root that the first events of `new` have at the size of
/// `old`, or because nothing came since or before.
pub fn continues(
    old: &Checkpoint,
    new: &Checkpoint,
    proof: Option<&Consistency>,
    computed: Option<Hash>,
) -> Result<(), StateError> {
    if old.origin() != new.origin() {
        return Err(StateError::OtherLog { old: old.origin().to_owned(), new: new.origin().to_owned() });
    }
    let sizes = (old.size(), new.size());
    if sizes.1 < sizes.0 {
        return Err(StateError::Behind { old: sizes.0, new: sizes.1 });
    }
    let same_size = (sizes.0 == sizes.1).then_some(*new.root());
    let known = same_size.or(computed);
    if known.is_some_and(|root| root != *old.root()) {
        return Err(StateError::Forked { size: sizes.0 });
    }
    match proof {
        _ if sizes.0 == 0 || same_size.is_some() => Ok(()),
        Some(proof) => proof.check(old, new),
        None if computed.is_some() => Ok(()),
        None => Err(StateError::NeedsProof { old: sizes.0, new: sizes.1 }),
    }
}
