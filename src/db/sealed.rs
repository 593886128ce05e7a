//! What a sealed value looks like. Pure: keys, randomness and the database stay outside.
//!
//! AES-256-GCM under a key of its subject. Where the value stands is authenticated along, so that no sealed value can be
//! put in another's place.
//!
//! A sealed text begins with a character that no value may have (the door refuses it, with keys and without), so a value
//! that was written before there were keys is never taken for a sealed one, whatever it says.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::error::Error;

/// What a sealed text begins with, and no other.
const MARK: char = '\u{1}';

/// The form of what follows: version, key and bytes, with a colon between two.
const VERSION: &str = "s1";

/// Bytes of a key.
pub const KEY: usize = 32;

/// Bytes of what makes each sealing differ; new for each.
pub const NONCE: usize = NONCE_LEN;

/// True for a text that only a key makes readable, and for one that pretends to be.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Where a sealed value stands.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Salt and value behind a commitment.
    Disclosure {
        /// The record.
        subject: Uuid,
        /// The event.
        event: Uuid,
        /// The field, or `reason`.
        path: &'a str,
    },
    /// A personal column of a record.
    Column {
        /// The record.
        subject: Uuid,
        /// The column.
        name: &'a str,
    },
    /// The stored answer of a request.
    Answer {
        /// Who asked.
        actor: Uuid,
        /// For what.
        operation: &'a str,
        /// The caller's Idempotency-Key.
        key: &'a str,
    },
}

impl Place<'_> {
    /// No two places have the same bytes: ids are of one length, and words that end somewhere have no zero in them.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Disclosure { subject, event, path } => {
                [b"disclosure\0", &subject.as_bytes()[..], event.as_bytes(), path.as_bytes()].concat()
            }
            Self::Column { subject, name } => [b"column\0", &subject.as_bytes()[..], name.as_bytes()].concat(),
            Self::Answer { actor, operation, key } => {
                [b"answer\0", &actor.as_bytes()[..], operation.as_bytes(), b"\0", key.as_bytes()].concat()
            }
        }
    }
}

/// The key of one subject.
pub struct SubjectKey {
    /// Names the key in what it seals.
    pub id: Uuid,
    key: LessSafeKey,
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({})", self.id)
    }
}

impl SubjectKey {
    /// The key of these bytes, 32 of them.
    pub fn new(id: Uuid, bytes: &[u8]) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Error::internal("a subject's key has 32 bytes"))?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: Place<'_>, value: &[u8], nonce: [u8; NONCE]) -> Result<String, Error> {
        let mut sealed = value.to_vec();
        let aad = Aad::from(place.bytes());
        let done = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        done.map_err(|_| Error::internal("a value cannot be sealed"))?;
        let bytes = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        Ok(format!("{MARK}{VERSION}:{}:{bytes}", self.id.simple()))
    }

    /// What was sealed here for this place, unchanged since.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Option<Vec<u8>> {
        let (nonce, bytes) = sealed.bytes.split_first_chunk::<NONCE>()?;
        let mut bytes = bytes.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(place.bytes()), &mut bytes).ok()?.len();
        bytes.truncate(opened);
        Some(bytes)
    }
}

/// A sealed value, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Which key opens it.
    pub key: Uuid,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Takes a text apart. `None` if it is not of this form.
    pub fn parse(text: &str) -> Option<Self> {
        let (key, bytes) = text.strip_prefix(MARK)?.strip_prefix(VERSION)?.strip_prefix(':')?.split_once(':')?;
        let key = Uuid::try_parse(key).ok()?;
        Some(Self { key, bytes: URL_SAFE_NO_PAD.decode(bytes).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SubjectKey {
        SubjectKey::new(Uuid::from_u128(u128::from(byte)), &[byte; KEY]).unwrap()
    }

    fn column(subject: u128, name: &str) -> Place<'_> {
        Place::Column { subject: Uuid::from_u128(subject), name }
    }

    #[test]
    fn only_its_key_opens_a_value_and_only_in_its_place() {
        let text = key(1).seal(column(7, "note"), "Bà Ở".as_bytes(), [9; NONCE]).unwrap();
        assert!(is_sealed(&text) && !text.contains("Bà"));
        let sealed = Sealed::parse(&text).unwrap();
        assert_eq!(sealed.key, key(1).id);
        assert_eq!(key(1).open(column(7, "note"), &sealed), Some("Bà Ở".as_bytes().to_vec()));
        let event = Uuid::from_u128(7);
        for (key, place) in [
            (key(2), column(7, "note")),
            (key(1), column(8, "note")),
            (key(1), column(7, "title")),
            (key(1), Place::Disclosure { subject: event, event, path: "note" }),
        ] {
            assert_eq!(key.open(place, &sealed), None, "{place:?}");
        }
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert_eq!(key(1).open(column(7, "note"), &changed), None, "byte {at}");
        }
    }

    #[test]
    fn the_same_value_is_sealed_differently_each_time() {
        let seal = |nonce| key(1).seal(column(7, "note"), b"x", nonce).unwrap();
        assert_ne!(seal([1; NONCE]), seal([2; NONCE]));
    }

    #[test]
    fn what_stands_where_is_said_in_one_way_only() {
        let answer = |operation, key| Place::Answer { actor: Uuid::nil(), operation, key };
        assert_ne!(answer("a", "bc").bytes(), answer("ab", "c").bytes());
        let there = |subject, event| Place::Disclosure { subject, event, path: "note" };
        let [one, other] = [1, 2].map(Uuid::from_u128);
        assert_ne!(there(one, other).bytes(), there(other, one).bytes());
    }

    #[test]
    fn other_texts_are_not_taken_for_sealed_ones() {
        let text = key(1).seal(column(7, "note"), b"x", [0; NONCE]).unwrap();
        for other in [&text[1..], "s1:x", "", " \u{1}s1"] {
            assert!(!is_sealed(other), "{other:?}");
        }
        for broken in [&text[..36], "\u{1}", "\u{1}s1:", "\u{1}s2:x:y", &text.replace("s1", "s2"), "\u{1}s1:nokey:AAAA"]
        {
            assert!(is_sealed(broken) && Sealed::parse(broken).is_none(), "{broken:?}");
        }
        let short = format!("{MARK}{VERSION}:{}:AAAA", Uuid::nil().simple());
        assert_eq!(key(1).open(column(7, "note"), &Sealed::parse(&short).unwrap()), None);
    }

    #[test]
    fn a_key_is_never_printed() {
        let shown = format!("{:?}", SubjectKey::new(Uuid::nil(), &[0xab; KEY]).unwrap());
        assert_eq!(shown, format!("SubjectKey({})", Uuid::nil()));
        assert!(SubjectKey::new(Uuid::nil(), &[0; 16]).is_err());
    }
}
