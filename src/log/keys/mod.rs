//! The log's keys and whose word is enough beside them. A key can take over from another ([`rotate`]): for a while both
//! sign, so that whoever trusts either can verify.

pub mod http;
pub mod rotate;
pub mod store;

use super::anchor::Anchor;
use super::checkpoints::Kept;
use super::proof::checkpoint::Checkpoint;
use super::proof::key::{Algorithm, KeyError, SigningKey, VerifierKey};
use super::proof::note;
use super::proof::policy::Policy;
use super::proof::tree::Frontier;
use super::signer::Trouble;
use super::witnesses::{Witness, WitnessError};
use crate::error::Error;
use crate::id;

/// What is needed to sign.
pub struct Keys {
    /// The log's keys under its one name; while they are rotated, the new one and the old.
    keys: Vec<SigningKey>,
    anchor: Anchor,
    /// Whose word is enough, for those who verify.
    policy: String,
    known: Policy,
    /// The witnesses of the policy that can be reached.
    witnesses: Vec<Witness>,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note, with its signatures.
    pub note: String,
}

impl Signed {
    /// True if the note has a signature line of this key. Lines are verified before they come here.
    pub fn signed_by(&self, key: &VerifierKey) -> bool {
        let lines = note::Note::parse(&self.note).map(|note| note.signatures).unwrap_or_default();
        lines.iter().any(|line| line.key_id == key.id() && line.name == key.name())
    }
}

/// A new key for the log of this name.
pub fn new_key(origin: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_seed(origin, Algorithm::Ed25519, &id::random::<32>())
}

/// Why there are no keys to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Of one log.
    #[error("the log needs a key, and all its keys have one name, its origin")]
    Names,
    /// Nobody could verify anything.
    #[error("the policy does not name the log's key")]
    Policy,
    /// A witness cannot be asked.
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

impl Keys {
    /// The keys, all of one name; without a policy of one's own the log's word is enough.
    pub fn new(keys: Vec<SigningKey>, anchor: Anchor, policy: Option<String>) -> Result<Self, KeysError> {
        let first = keys.first().ok_or(KeysError::Names)?.verifier();
        if keys.iter().any(|key| key.verifier().name() != first.name()) {
            return Err(KeysError::Names);
        }
        let policy = policy.unwrap_or_else(|| format!("log {first}\nquorum none\n"));
        let known = Policy::parse(policy.as_bytes()).map_err(|_| KeysError::Policy)?;
        if !known.logs().iter().any(|log| log.key == *first) {
            return Err(KeysError::Policy);
        }
        let witnesses = known.witnesses().filter_map(Witness::of).collect::<Result<_, _>>()?;
        Ok(Self { keys, anchor, policy, known, witnesses })
    }

    /// Where the last signed checkpoint is remembered.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Whose word is enough, for those who verify.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The witnesses of the policy that can be reached.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.keys.first().map_or("", |key| key.verifier().name())
    }

    pub(super) fn verifiers(&self) -> Vec<VerifierKey> {
        self.keys.iter().map(|key| key.verifier().clone()).collect()
    }

    /// Everybody whose signature may stand under a checkpoint.
    pub(super) fn signers(&self) -> Vec<VerifierKey> {
        let mut signers = self.verifiers();
        signers.extend(self.known.keys().into_iter().filter(|key| !signers.contains(key)).collect::<Vec<_>>());
        signers
    }

    /// A checkpoint with the signatures that came later.
    pub(super) fn restore(&self, kept: &Kept) -> Result<Signed, Trouble> {
        self.restore_of(kept, &self.verifiers())
    }

    /// The same, of one that these keys of the log signed.
    pub(super) fn restore_of(&self, kept: &Kept, keys: &[VerifierKey]) -> Result<Signed, Trouble> {
        let lines = kept.lines.iter().map(String::as_str);
        let note = note::extend(&kept.note, lines, &self.signers()).map_err(|_| Trouble::Foreign)?;
        self.open_of(&note, keys)
    }

    /// The same checkpoint with the signatures of all our keys: one that takes over signs what the one before it signed.
    pub(super) fn complete(&self, signed: &Signed) -> Result<Signed, Error> {
        let text = signed.checkpoint.to_string();
        let lines: Result<Vec<_>, _> = self.keys.iter().map(|key| key.sign(&text)).collect();
        let lines: Vec<String> = lines.map_err(Error::internal)?.iter().map(ToString::to_string).collect();
        let lines = lines.iter().map(String::as_str);
        let note = note::extend(&signed.note, lines, &self.verifiers()).map_err(Error::internal)?;
        Ok(Signed { checkpoint: signed.checkpoint.clone(), note })
    }

    /// Signatures of our keys that the checkpoint was kept without, each with its signer.
    pub(super) fn later(&self, signed: &Signed, kept: &Kept) -> Vec<(String, String)> {
        let there = self.restore(kept).ok();
        let lines = note::Note::parse(&signed.note).map(|note| note.signatures).unwrap_or_default();
        let missing =
            self.verifiers().into_iter().filter(|key| !there.as_ref().is_some_and(|there| there.signed_by(key)));
        let line = |key: VerifierKey| {
            let line = lines.iter().find(|line| line.key_id == key.id() && line.name == key.name())?;
            Some((key.to_string(), line.to_string()))
        };
        missing.filter_map(line).collect()
    }

    /// True if all our keys signed it.
    pub(super) fn is_complete(&self, signed: &Signed) -> bool {
        self.verifiers().iter().all(|key| signed.signed_by(key))
    }

    /// True if whoever verifies by the policy is content.
    pub(super) fn is_enough(&self, signed: &Signed) -> bool {
        let keys = self.known.keys();
        let Ok(opened) = note::open(&signed.note, &keys) else { return false };
        let verified: Vec<&VerifierKey> = opened.verified.iter().map(|verified| verified.key).collect();
        let by_the_log = self.known.logs().iter().any(|log| verified.contains(&&log.key));
        by_the_log && self.known.quorum_holds(&verified)
    }

    /// True if whoever verifies by the policy needs no other signatures than ours.
    pub(super) fn suffice(&self) -> bool {
        let keys = self.verifiers();
        self.known.quorum_holds(&keys.iter().collect::<Vec<_>>())
    }

    pub(super) fn sign(&self, tree: &Frontier) -> Result<Signed, Error> {
        let checkpoint = Checkpoint::new(self.origin(), tree.size(), tree.root()).map_err(Error::internal)?;
        let note = self.note(&checkpoint.to_string())?;
        Ok(Signed { checkpoint, note })
    }

    /// A text under the signatures of all our keys.
    pub(super) fn note(&self, text: &str) -> Result<String, Error> {
        let signatures: Result<Vec<_>, _> = self.keys.iter().map(|key| key.sign(text)).collect();
        note::write(text, &signatures.map_err(Error::internal)?).map_err(Error::internal)
    }

    /// A note that one of these keys signed, for this log.
    pub(super) fn open(&self, text: &str) -> Result<Signed, Trouble> {
        self.open_of(text, &self.verifiers())
    }

    fn open_of(&self, text: &str, keys: &[VerifierKey]) -> Result<Signed, Trouble> {
        let opened = note::open(text, keys).map_err(|_| Trouble::Foreign)?;
        let checkpoint: Checkpoint = opened.text.parse().map_err(|_| Trouble::Foreign)?;
        if checkpoint.origin() != self.origin() {
            return Err(Trouble::Foreign);
        }
        Ok(Signed { checkpoint, note: text.to_owned() })
    }
}
