//! The text of a checkpoint, as in <https://c2sp.org/tlog-checkpoint>: whose tree, how many leaves, which root.

use std::fmt;
use std::str::FromStr;

use super::tree::Hash;
use super::{decimal, decode_hash, encode_base64, has_control};

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The first line is missing or empty, or has a control character.
    #[error("the checkpoint has no origin")]
    Origin,
    /// The second line is not a plain decimal.
    #[error("the checkpoint has no tree size")]
    Size,
    /// The third line is not the base64 of 32 bytes.
    #[error("the checkpoint has no root hash")]
    Root,
    /// An empty extension line, or no newline at the end.
    #[error("the checkpoint does not end as it should")]
    End,
}

/// A tree head: what a log signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// The origin is the log's name: one non-empty line.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains('\n') || has_control(origin) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Leaves of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> &Hash {
        &self.root
    }
}

/// The note text, without extension lines.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, encode_base64(&self.root))
    }
}

/// Reads a note text. Extension lines are tolerated and forgotten; a signature covers them all the same.
impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::End)?.split('\n');
        let origin = lines.next().ok_or(CheckpointError::Origin)?;
        let size = lines.next().and_then(decimal).ok_or(CheckpointError::Size)?;
        let root = lines.next().and_then(decode_hash).ok_or(CheckpointError::Root)?;
        if lines.any(|line| line.is_empty() || has_control(line)) {
            return Err(CheckpointError::End);
        }
        Self::new(origin, size, root)
    }
}
