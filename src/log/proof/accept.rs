//! Signed notes that a policy accepts: checkpoints, and manifests of exports.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::VerifierKey;
use super::manifest::{Manifest, ManifestError};
use super::note::{self, NoteError, Opened};
use super::policy::Policy;

/// Why a signed note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The signed note is wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text of the signed note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The text of the signed note is no manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// No key that the policy has for this origin signed.
    #[error("no key of the log {0} signed it")]
    Log(String),
    /// The cosignatures are not enough.
    #[error("the witnesses that cosigned it are no quorum")]
    Quorum,
}

/// A checkpoint that its log signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The log's key.
    pub log: VerifierKey,
    /// Known witnesses that cosigned, each with its time in seconds since 1970. Whether that is recent enough is the
    /// caller's question.
    pub cosigned: Vec<(VerifierKey, u64)>,
    /// True if they are the policy's quorum.
    pub quorum: bool,
}

/// The checkpoint, if the log signed it; without a quorum that is no more than what the log itself said.
pub fn said(note: &str, policy: &Policy) -> Result<Accepted, AcceptError> {
    let keys = policy.keys();
    let opened = note::open(note, &keys)?;
    let checkpoint: Checkpoint = opened.text.parse()?;
    let log = signer(&opened, policy, checkpoint.origin())?;
    let signed: Vec<&VerifierKey> = opened.verified.iter().map(|verified| verified.key).collect();
    let witnesses: Vec<&VerifierKey> = policy.witnesses().map(|witness| &witness.key).collect();
    let cosigned = opened.verified.iter().filter(|verified| witnesses.contains(&verified.key));
    let cosigned = cosigned.filter_map(|verified| Some((verified.key.clone(), verified.time?))).collect();
    Ok(Accepted { checkpoint, log, cosigned, quorum: policy.quorum_holds(&signed) })
}

/// The checkpoint, if the policy asks for no more than what is on it.
pub fn checkpoint(note: &str, policy: &Policy) -> Result<Accepted, AcceptError> {
    let accepted = said(note, policy)?;
    if accepted.quorum { Ok(accepted) } else { Err(AcceptError::Quorum) }
}

/// The manifest of an export, if its log signed it. Witnesses do not see manifests.
pub fn manifest(note: &str, policy: &Policy) -> Result<Manifest, AcceptError> {
    let keys = policy.keys();
    let opened = note::open(note, &keys)?;
    let manifest = Manifest::parse(opened.text)?;
    signer(&opened, policy, &manifest.log)?;
    Ok(manifest)
}

/// The log of this name that signed.
fn signer(opened: &Opened, policy: &Policy, origin: &str) -> Result<VerifierKey, AcceptError> {
    let mut logs = policy.logs().iter().filter(|log| log.key.name() == origin);
    let log = logs.find(|log| opened.verified.iter().any(|verified| *verified.key == log.key));
    log.map(|log| log.key.clone()).ok_or_else(|| AcceptError::Log(origin.to_owned()))
}
