//! What is sent to a witness, as in <https://c2sp.org/tlog-witness>: the body of `add-checkpoint`.
//!
//! The witness answers signature lines; appended to the checkpoint's note they are read by [`super::note::open`].

use std::fmt;
use std::str::FromStr;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::{Note, NoteError};
use super::tree::Hash;
use super::{decimal, encode_base64, hash_lines};

/// The most hashes that a request may have.
pub const MAX_HASHES: usize = 63;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// The `old` line is missing or is no plain decimal.
    #[error("the old size is malformed")]
    OldSize,
    /// A hash line is none, there are too many, or the empty line after them is missing.
    #[error("the consistency proof is malformed")]
    Proof,
    /// The signed note is malformed.
    #[error("the checkpoint's note: {0}")]
    Note(#[from] NoteError),
    /// The text of the signed note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A log does not shrink.
    #[error("the old size {old} is above the checkpoint's {size}")]
    OldSizeAbove {
        /// The old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
}

/// The body of a request to cosign a checkpoint. Well-formed, nothing verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old_size: u64,
    proof: Vec<Hash>,
    checkpoint: String,
}

impl AddCheckpoint {
    /// `proof` leads from the size that the witness knows to that of `note`, the signed checkpoint.
    pub fn new(old_size: u64, proof: Vec<Hash>, note: &str) -> Result<Self, AddCheckpointError> {
        if proof.len() > MAX_HASHES {
            return Err(AddCheckpointError::Proof);
        }
        let size = Note::parse(note)?.text.parse::<Checkpoint>()?.size();
        if old_size > size {
            return Err(AddCheckpointError::OldSizeAbove { old: old_size, size });
        }
        Ok(Self { old_size, proof, checkpoint: note.to_owned() })
    }

    /// Size of the last checkpoint that the witness cosigned; 0 for none.
    pub fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The consistency proof.
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// The signed checkpoint.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(f, "{}", encode_base64(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for AddCheckpoint {
    type Err = AddCheckpointError;

    fn from_str(body: &str) -> Result<Self, AddCheckpointError> {
        let (old, rest) =
            body.strip_prefix("old ").and_then(|body| body.split_once('\n')).ok_or(AddCheckpointError::OldSize)?;
        let old = decimal(old).ok_or(AddCheckpointError::OldSize)?;
        let (proof, note) = hash_lines(rest, MAX_HASHES).ok_or(AddCheckpointError::Proof)?;
        Self::new(old, proof, note)
    }
}
