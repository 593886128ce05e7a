//! The file that proves one leaf offline, as in <https://c2sp.org/tlog-proof>.

use std::fmt;
use std::str::FromStr;

use super::accept::{self, AcceptError, Accepted};
use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::VerifierKey;
use super::note::{Note, NoteError};
use super::policy::Policy;
use super::tree::{Hash, VerifyError, leaf_hash, verify_inclusion};
use super::{decimal, decode_base64, encode_base64, hash_lines};

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

/// An inclusion proof in a tree of 2^64 leaves.
const MAX_HASHES: usize = 64;

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof of this version.
    #[error("not a {}", HEADER.trim_end())]
    Header,
    /// The `extra` line is not base64 of something.
    #[error("the extra line is malformed")]
    Extra,
    /// The `index` line is missing or is no plain decimal.
    #[error("the index line is malformed")]
    Index,
    /// A hash line is none, there are too many, or the empty line after them is missing.
    #[error("the hashes are malformed")]
    Hashes,
    /// The signed note is wrong.
    #[error("the checkpoint's note: {0}")]
    Note(#[from] NoteError),
    /// The text of the signed note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The policy does not accept the checkpoint.
    #[error("the checkpoint: {0}")]
    Accept(AcceptError),
    /// The leaf is not where the proof says.
    #[error(transparent)]
    Inclusion(#[from] VerifyError),
}

/// What is wrong with the note itself is said as it is when the proof is read.
impl From<AcceptError> for ProofError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Note(error) => Self::Note(error),
            AcceptError::Checkpoint(error) => Self::Checkpoint(error),
            other => Self::Accept(other),
        }
    }
}

/// A well-formed proof. Nothing in it is to be believed before [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    index: u64,
    hashes: Vec<Hash>,
    checkpoint: String,
    extra: Vec<u8>,
}

impl TlogProof {
    /// `note` is the signed checkpoint; it is kept as it is.
    pub fn new(index: u64, hashes: Vec<Hash>, note: &str) -> Result<Self, ProofError> {
        if hashes.len() > MAX_HASHES {
            return Err(ProofError::Hashes);
        }
        Note::parse(note)?.text.parse::<Checkpoint>()?;
        Ok(Self { index, hashes, checkpoint: note.to_owned(), extra: Vec::new() })
    }

    /// Adds data that nothing vouches for; empty for none.
    #[must_use]
    pub fn with_extra(self, extra: Vec<u8>) -> Self {
        Self { extra, ..self }
    }

    /// Leaf index.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The signed checkpoint.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Data that nothing vouches for.
    pub fn extra(&self) -> &[u8] {
        &self.extra
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", encode_base64(&self.extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", encode_base64(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        let text = text.strip_prefix(HEADER).ok_or(ProofError::Header)?;
        let (extra, text) = match text.strip_prefix("extra ") {
            Some(text) => parse_extra(text).ok_or(ProofError::Extra)?,
            None => (Vec::new(), text),
        };
        let (index, text) = parse_index(text).ok_or(ProofError::Index)?;
        let (hashes, note) = hash_lines(text, MAX_HASHES).ok_or(ProofError::Hashes)?;
        Ok(Self::new(index, hashes, note)?.with_extra(extra))
    }
}

fn parse_extra(text: &str) -> Option<(Vec<u8>, &str)> {
    let (extra, rest) = text.split_once('\n')?;
    let extra = decode_base64(extra).filter(|extra| !extra.is_empty())?;
    Some((extra, rest))
}

fn parse_index(text: &str) -> Option<(u64, &str)> {
    let (index, rest) = text.strip_prefix("index ")?.split_once('\n')?;
    Some((decimal(index)?, rest))
}

/// What a proof proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The checkpoint that the leaf is under.
    pub checkpoint: Checkpoint,
    /// Where in the log the leaf is.
    pub index: u64,
    /// The log's key.
    pub log: VerifierKey,
    /// Known witnesses that cosigned, each with its time in seconds since 1970. Whether that is recent enough is the
    /// caller's question.
    pub cosigned: Vec<(VerifierKey, u64)>,
}

/// Verifies that the leaf is in a log that the policy trusts. `extra` stays unverified.
pub fn verify(proof: &str, leaf: &[u8], policy: &Policy) -> Result<Proven, ProofError> {
    let TlogProof { index, hashes, checkpoint: note, .. } = proof.parse()?;
    let Accepted { checkpoint, log, cosigned, .. } = accept::checkpoint(&note, policy)?;
    verify_inclusion(&leaf_hash(leaf), index, checkpoint.size(), &hashes, checkpoint.root())?;
    Ok(Proven { checkpoint, index, log, cosigned })
}
