//! Signed notes, as in <https://c2sp.org/signed-note>: a text, an empty line, signature lines.

use std::fmt;

use super::key::{VerifierKey, is_key_name};
use super::{decode_base64, encode_base64, has_control};

/// The longest note that is read, in bytes.
pub const MAX_NOTE: usize = 1_000_000;

/// The most signature lines that are read.
pub const MAX_SIGNATURES: usize = 100;

/// Why a note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Over [`MAX_NOTE`] bytes.
    #[error("the note is too long")]
    TooLong,
    /// A control character other than newline.
    #[error("the note has a control character")]
    ControlCharacter,
    /// No empty line with signature lines after it, or no newline at the end.
    #[error("the note has no signatures")]
    NoSignatures,
    /// A line among the signatures is none.
    #[error("signature line {0} is malformed")]
    SignatureLine(usize),
    /// Over [`MAX_SIGNATURES`] lines.
    #[error("the note has too many signatures")]
    TooManySignatures,
    /// The text does not end in a newline.
    #[error("not a note text")]
    Text,
    /// Two known keys share a name and an id, so nobody can say whose signature it is.
    #[error("the key {0} is known twice")]
    AmbiguousKey(String),
    /// A known key signs twice.
    #[error("two signatures of {0}")]
    Duplicate(String),
    /// A known key did not sign this text.
    #[error("the signature of {0} is wrong")]
    BadSignature(String),
    /// No known key signed.
    #[error("no known key signed the note")]
    Unverified,
}

/// A signature line, not yet verified. As text it ends in a newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key name.
    pub name: String,
    /// The key id.
    pub key_id: u32,
    /// What the algorithm made.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes(), self.bytes.as_slice()].concat();
        writeln!(f, "— {} {}", self.name, encode_base64(&bytes))
    }
}

impl Signature {
    /// Reads a line without its newline.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = decode_base64(bytes)?;
        let (key_id, bytes) = bytes.split_first_chunk()?;
        let known = is_key_name(name) && !bytes.is_empty();
        known.then(|| Self { name: name.to_owned(), key_id: u32::from_be_bytes(*key_id), bytes: bytes.to_vec() })
    }
}

/// A well-formed note. Nothing in it is to be believed before [`open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// The text, with its final newline.
    pub text: &'a str,
    /// The signature lines.
    pub signatures: Vec<Signature>,
}

impl<'a> Note<'a> {
    /// Reads a note, strictly.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::TooLong);
        }
        if has_control(note) {
            return Err(NoteError::ControlCharacter);
        }
        // The text may have empty lines itself; the last one separates.
        let (text, lines) =
            note.rfind("\n\n").and_then(|end| note.split_at_checked(end + 1)).ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::NoSignatures)?.split('\n');
        if lines.clone().nth(MAX_SIGNATURES).is_some() {
            return Err(NoteError::TooManySignatures);
        }
        let parse = |(place, line)| Signature::parse(line).ok_or(NoteError::SignatureLine(place + 1));
        let signatures = lines.enumerate().map(parse).collect::<Result<Vec<Signature>, NoteError>>()?;
        Ok(Self { text, signatures })
    }
}

/// Writes a note.
pub fn write(text: &str, signatures: &[Signature]) -> Result<String, NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Text);
    }
    let lines: String = signatures.iter().map(Signature::to_string).collect();
    let note = format!("{text}\n{lines}");
    // Also names and texts made elsewhere are checked, as a reader will.
    if Note::parse(&note)?.text == text { Ok(note) } else { Err(NoteError::Text) }
}

/// The note with further signature lines: those of known keys that are right and that it does not have yet. Whatever
/// else stands among `lines` is left out, so that nobody can spoil a note by adding to it.
pub fn extend<'l>(
    note: &str,
    lines: impl IntoIterator<Item = &'l str>,
    known: &[VerifierKey],
) -> Result<String, NoteError> {
    let Note { text, mut signatures } = Note::parse(note)?;
    for line in lines {
        let Some(signature) = line.strip_suffix('\n').and_then(Signature::parse) else { continue };
        let stands = |one: &Signature| one.key_id == signature.key_id && one.name == signature.name;
        let right = find(known, &signature)?.is_some_and(|key| key.verify(text, &signature.bytes).is_ok());
        if right && signatures.len() < MAX_SIGNATURES && !signatures.iter().any(stands) {
            signatures.push(signature);
        }
    }
    write(text, &signatures)
}

/// A known key that signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'k> {
    /// The key, as the caller knows it.
    pub key: &'k VerifierKey,
    /// When, in seconds since 1970, if it cosigned.
    pub time: Option<u64>,
}

/// A note that at least one known key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'a, 'k> {
    /// The text, with its final newline.
    pub text: &'a str,
    /// Known keys that signed, in the note's order.
    pub verified: Vec<Verified<'k>>,
}

/// Verifies a note. Signatures of unknown keys are ignored, one wrong signature of a known key spoils the note.
pub fn open<'a, 'k>(note: &'a str, known: &'k [VerifierKey]) -> Result<Opened<'a, 'k>, NoteError> {
    let Note { text, signatures } = Note::parse(note)?;
    let mut verified: Vec<Verified<'k>> = Vec::new();
    for signature in &signatures {
        let Some(key) = find(known, signature)? else { continue };
        if verified.iter().any(|earlier| earlier.key == key) {
            return Err(NoteError::Duplicate(key.to_string()));
        }
        let time = key.verify(text, &signature.bytes).map_err(|_| NoteError::BadSignature(key.to_string()))?;
        verified.push(Verified { key, time });
    }
    if verified.is_empty() { Err(NoteError::Unverified) } else { Ok(Opened { text, verified }) }
}

fn find<'k>(known: &'k [VerifierKey], signature: &Signature) -> Result<Option<&'k VerifierKey>, NoteError> {
    let mut keys = known.iter().filter(|key| key.id() == signature.key_id && key.name() == signature.name);
    let found = keys.next();
    match keys.next() {
        Some(key) => Err(NoteError::AmbiguousKey(key.to_string())),
        None => Ok(found),
    }
}
