//! A key of the log takes over from another: a statement that both sign.
//!
//! The old key says whom it trusts from now on, so that whoever trusts it can follow; the new one says that it is there,
//! so that nobody's key is named without its owner. Both say from which tree on. The first line keeps the statement from
//! being taken for a checkpoint: the second line of a checkpoint is a number, and no vkey is a root hash.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::key::{Algorithm, KeyError, SigningKey, VerifierKey};
use super::note::{self, NoteError};
use super::tree::Hash;
use super::{decimal, decode_hash, encode_base64};

/// What the statement begins with.
const DOMAIN: &str = "thidua.key-rotation/1";

/// The event that carries a statement.
pub const EVENT: &str = "log.key_rotated";

/// Why a rotation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// Not the text of a rotation.
    #[error("not the statement of a rotation")]
    Statement,
    /// A log keeps its name, and its keys are Ed25519 keys of that name.
    #[error("both keys must be Ed25519 keys of the log {0}")]
    Origin(String),
    /// From a key to itself.
    #[error("the new key is the old one")]
    SameKey,
    /// Somebody else's rotation, or a key that is not trusted.
    #[error("the rotation is not from the trusted key")]
    NotTrusted,
    /// A log only grows.
    #[error("a rotation is of a smaller log than the one before")]
    Order,
    /// One of the two did not sign.
    #[error("{0} did not sign the rotation")]
    Unsigned(String),
    /// The leaf is no event of a rotation.
    #[error("not the event of a rotation")]
    Event,
    /// The signed note is wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A key cannot sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A rotation of the key of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The key that was trusted so far.
    pub old: VerifierKey,
    /// The key that is trusted from now on.
    pub new: VerifierKey,
    /// Events under the checkpoint at which the keys changed.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Rotation {
    /// From one key of a log to another, at a tree that was signed.
    pub fn new(old: &VerifierKey, new: &VerifierKey, at: &Checkpoint) -> Result<Self, RotationError> {
        let rotation = Self { old: old.clone(), new: new.clone(), size: at.size(), root: *at.root() };
        rotation.of_one_log(at.origin())?;
        Ok(rotation)
    }

    /// The log's name, which its keys have.
    pub fn origin(&self) -> &str {
        self.old.name()
    }

    fn of_one_log(&self, origin: &str) -> Result<(), RotationError> {
        let of_it = |key: &VerifierKey| key.name() == origin && key.algorithm() == Algorithm::Ed25519;
        if !of_it(&self.old) || !of_it(&self.new) {
            return Err(RotationError::Origin(origin.to_owned()));
        }
        if self.old.public_key() == self.new.public_key() { Err(RotationError::SameKey) } else { Ok(()) }
    }

    /// The signed note: what the event carries.
    pub fn sign(&self, old: &SigningKey, new: &SigningKey) -> Result<String, RotationError> {
        if (old.verifier(), new.verifier()) != (&self.old, &self.new) {
            return Err(RotationError::NotTrusted);
        }
        let text = self.to_string();
        Ok(note::write(&text, &[old.sign(&text)?, new.sign(&text)?])?)
    }
}

/// The note text.
impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { old, new, size, root } = self;
        writeln!(f, "{DOMAIN}\n{}\n{old}\n{new}\n{size}\n{}", self.origin(), encode_base64(root))
    }
}

/// Reads a note text, whoever signed it.
impl FromStr for Rotation {
    type Err = RotationError;

    fn from_str(text: &str) -> Result<Self, RotationError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [DOMAIN, origin, old, new, size, root, ""] = lines.as_slice() else {
            return Err(RotationError::Statement);
        };
        let size = decimal(size).ok_or(RotationError::Statement)?;
        let root = decode_hash(root).ok_or(RotationError::Statement)?;
        let rotation = Self { old: old.parse()?, new: new.parse()?, size, root };
        rotation.of_one_log(origin)?;
        Ok(rotation)
    }
}

/// Verifies a signed rotation away from a trusted key; what it answers names the key to trust from now on.
pub fn verify(signed: &str, trusted: &VerifierKey) -> Result<Rotation, RotationError> {
    let text = note::Note::parse(signed)?.text;
    let rotation: Rotation = text.parse()?;
    if rotation.old != *trusted {
        return Err(RotationError::NotTrusted);
    }
    let keys = [rotation.old.clone(), rotation.new.clone()];
    let opened = note::open(signed, &keys)?;
    match keys.iter().find(|key| !opened.verified.iter().any(|verified| verified.key == *key)) {
        Some(key) => Err(RotationError::Unsigned(key.to_string())),
        None => Ok(rotation),
    }
}

/// Follows the statements of a log, oldest first, away from a trusted key: the rotations after it. What lies before the
/// trusted key is passed over; from there on each has to continue the one before.
pub fn chain<'a>(
    statements: impl IntoIterator<Item = &'a str>,
    trusted: &VerifierKey,
) -> Result<Vec<Rotation>, RotationError> {
    let mut followed: Vec<Rotation> = Vec::new();
    for statement in statements {
        let rotation: Rotation = note::Note::parse(statement)?.text.parse()?;
        let last = followed.last();
        if last.is_none() && rotation.old != *trusted {
            continue;
        }
        let rotation = verify(statement, last.map_or(trusted, |last| &last.new))?;
        if last.is_some_and(|last| last.size > rotation.size) {
            return Err(RotationError::Order);
        }
        followed.push(rotation);
    }
    Ok(followed)
}

/// The keys of one log, as somebody sees them who trusts some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kin {
    /// Those keys, and every key that took over from one of them.
    pub trusted: Vec<VerifierKey>,
    /// Keys from which a trusted one took over. They may be in other hands since: what one of them signed counts only as far
    /// as a trusted key signed what came after it.
    pub retired: Vec<VerifierKey>,
}

/// Who these keys took over from and handed on to, by statements that both signed.
pub fn kin<'a>(statements: impl IntoIterator<Item = &'a str>, keys: &[VerifierKey]) -> Kin {
    let signed = |statement: &str| {
        let rotation: Rotation = note::Note::parse(statement).ok()?.text.parse().ok()?;
        verify(statement, &rotation.old).ok()
    };
    let rotations: Vec<Rotation> = statements.into_iter().filter_map(signed).collect();
    let mut kin = Kin { trusted: keys.to_vec(), retired: Vec::new() };
    let knows = |keys: &[VerifierKey], key: &VerifierKey| keys.contains(key);
    let successor = |kin: &Kin| {
        let next = rotations.iter().find(|r| knows(&kin.trusted, &r.old) && !knows(&kin.trusted, &r.new));
        next.map(|rotation| rotation.new.clone())
    };
    while let Some(key) = successor(&kin) {
        kin.trusted.push(key);
    }
    let known = |kin: &Kin, key: &VerifierKey| knows(&kin.trusted, key) || knows(&kin.retired, key);
    let predecessor = |kin: &Kin| {
        let next = rotations.iter().find(|r| known(kin, &r.new) && !known(kin, &r.old));
        next.map(|rotation| rotation.old.clone())
    };
    while let Some(key) = predecessor(&kin) {
        kin.retired.push(key);
    }
    kin
}

/// Follows the rotation that an event carries, given as its leaf. That the leaf stands in the log is another question,
/// which a proof answers.
pub fn follow(leaf: &[u8], trusted: &VerifierKey) -> Result<Rotation, RotationError> {
    let leaf: Value = serde_json::from_slice(leaf).map_err(|_| RotationError::Event)?;
    if leaf["type"] != EVENT {
        return Err(RotationError::Event);
    }
    let given = |field: &str| leaf["changes"][field][1].as_str().ok_or(RotationError::Event);
    let rotation = verify(given("statement")?, trusted)?;
    // What is shown beside the statement says the same.
    let same = given("old_key")? == rotation.old.to_string() && given("new_key")? == rotation.new.to_string();
    if same { Ok(rotation) } else { Err(RotationError::Event) }
}
