//! Keys of signed notes: <https://c2sp.org/signed-note> for Ed25519, <https://c2sp.org/tlog-cosignature> for cosignatures.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::checkpoint::Checkpoint;
use super::note::Signature;
use super::{decode_base64, encode_base64, has_control};
use crate::canonical::sha256;

const PUBLIC_KEY_SIZE: usize = 32;
const SEED_SIZE: usize = 32;

/// Why something is no key, or cannot be signed with one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, or with a space, a plus or a control character.
    #[error("not a key name")]
    Name,
    /// Not of the form that the text of a key has.
    #[error("not the text of a key")]
    Format,
    /// A signature type that is not known here.
    #[error("unknown signature type {0:#04x}")]
    UnknownAlgorithm(u8),
    /// The id in the text belongs to another key.
    #[error("the key id does not belong to the key")]
    IdMismatch,
    /// Not a private key of Ed25519.
    #[error("not a private key of Ed25519")]
    Rejected,
    /// Log keys sign, witness keys cosign.
    #[error("a key of this signature type does not do that")]
    WrongAlgorithm,
    /// The text is no note text, or, for cosigning, no checkpoint.
    #[error("not a text that can be signed with this key")]
    Text,
    /// A time that cosignatures cannot tell.
    #[error("the time lies outside what a cosignature can tell")]
    Time,
    /// The cryptographic library failed.
    #[error("signing failed")]
    Sign,
}

/// Signature types of signed notes that are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `0x01`: Ed25519 over the note text.
    Ed25519,
    /// `0x04`: `cosignature/v1`, Ed25519 over a time and a checkpoint.
    CosignatureV1,
}

impl Algorithm {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, KeyError> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            other => Err(KeyError::UnknownAlgorithm(other)),
        }
    }
}

/// True for what may stand as a key name in a signature line.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+') && !has_control(name)
}

/// A public key with the name that it signs under. As text it is a vkey.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    id: u32,
    algorithm: Algorithm,
    public: [u8; PUBLIC_KEY_SIZE],
}

impl VerifierKey {
    /// Computes the key id.
    pub fn new(name: &str, algorithm: Algorithm, public: [u8; PUBLIC_KEY_SIZE]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name);
        }
        let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[algorithm.byte()], &public].concat());
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes([a, b, c, d]), algorithm, public })
    }

    /// The key name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The signature type.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The Ed25519 public key (RFC 8032).
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_SIZE] {
        &self.public
    }

    /// Checks a signature, without the key id before it, over a note text. The time is that of a cosignature.
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, BadSignature> {
        match self.algorithm {
            Algorithm::Ed25519 => self.check(text.as_bytes(), signature).map(|()| None),
            Algorithm::CosignatureV1 => {
                let (time, signature) = signature.split_first_chunk().ok_or(BadSignature)?;
                let time = u64::from_be_bytes(*time);
                let message = cosigned_message(text, time).ok_or(BadSignature)?;
                self.check(message.as_bytes(), signature).map(|()| Some(time))
            }
        }
    }

    fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).map_err(|_| BadSignature)
    }
}

/// The key did not sign this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not of this key over this text")]
pub struct BadSignature;

/// What a cosignature is over; nothing for a time above 2^63 - 1.
fn cosigned_message(text: &str, time: u64) -> Option<String> {
    i64::try_from(time).ok()?;
    Some(format!("cosignature/v1\ntime {time}\n{text}"))
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", KeyText { name: &self.name, id: self.id, algorithm: self.algorithm, material: &self.public })
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        let (name, id, algorithm, public) = split_key(vkey)?;
        let key = Self::new(name, algorithm, public)?;
        if key.id == id { Ok(key) } else { Err(KeyError::IdMismatch) }
    }
}

/// `name+id+base64(type || material)`, the common part of vkeys and skeys.
struct KeyText<'a> {
    name: &'a str,
    id: u32,
    algorithm: Algorithm,
    material: &'a [u8],
}

impl fmt::Display for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let material = [&[self.algorithm.byte()], self.material].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, encode_base64(&material))
    }
}

fn split_key(text: &str) -> Result<(&str, u32, Algorithm, [u8; 32]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Format);
    };
    if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(KeyError::Format);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Format)?;
    let bytes = decode_base64(material).ok_or(KeyError::Format)?;
    let (algorithm, material) = bytes.split_first().ok_or(KeyError::Format)?;
    let algorithm = Algorithm::from_byte(*algorithm)?;
    Ok((name, id, algorithm, material.try_into().map_err(|_| KeyError::Format)?))
}

/// A private key with the name that it signs under.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

/// Shows the public key only.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// From the seed of RFC 8032.
    pub fn from_seed(name: &str, algorithm: Algorithm, seed: &[u8; SEED_SIZE]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Rejected)?;
        Self::from_pair(name, algorithm, pair)
    }

    /// From PKCS#8, version 1 or 2, as DER.
    pub fn from_pkcs8(name: &str, algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Rejected)?;
        Self::from_pair(name, algorithm, pair)
    }

    /// From the form of Go's `note` package: `PRIVATE+KEY+name+id+base64(type || seed)`.
    pub fn from_skey(skey: &str) -> Result<Self, KeyError> {
        let (name, id, algorithm, seed) = split_key(skey.strip_prefix("PRIVATE+KEY+").ok_or(KeyError::Format)?)?;
        let key = Self::from_seed(name, algorithm, &seed)?;
        if key.verifier.id == id { Ok(key) } else { Err(KeyError::IdMismatch) }
    }

    fn from_pair(name: &str, algorithm: Algorithm, pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Rejected)?;
        let verifier = VerifierKey::new(name, algorithm, public)?;
        Ok(Self { pair, verifier })
    }

    /// The form of Go's `note` package. Secret.
    pub fn to_skey(&self) -> Result<String, KeyError> {
        let seed = self.pair.seed().map_err(|_| KeyError::Rejected)?;
        let seed = seed.as_be_bytes().map_err(|_| KeyError::Rejected)?;
        let VerifierKey { name, id, algorithm, .. } = &self.verifier;
        let text = KeyText { name, id: *id, algorithm: *algorithm, material: seed.as_ref() };
        Ok(format!("PRIVATE+KEY+{text}"))
    }

    /// The public key.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note text.
    pub fn sign(&self, text: &str) -> Result<Signature, KeyError> {
        if self.verifier.algorithm != Algorithm::Ed25519 {
            return Err(KeyError::WrongAlgorithm);
        }
        if !text.ends_with('\n') || has_control(text) {
            return Err(KeyError::Text);
        }
        self.signature(Vec::new(), text)
    }

    /// Cosigns the text of a checkpoint: as of `time` (seconds since 1970) it is the largest tree seen of this log.
    pub fn cosign(&self, text: &str, time: u64) -> Result<Signature, KeyError> {
        if self.verifier.algorithm != Algorithm::CosignatureV1 {
            return Err(KeyError::WrongAlgorithm);
        }
        text.parse::<Checkpoint>().map_err(|_| KeyError::Text)?;
        let message = cosigned_message(text, time).ok_or(KeyError::Time)?;
        self.signature(time.to_be_bytes().to_vec(), &message)
    }

    fn signature(&self, mut bytes: Vec<u8>, message: &str) -> Result<Signature, KeyError> {
        let signature = self.pair.try_sign(message.as_bytes()).map_err(|_| KeyError::Sign)?;
        bytes.extend_from_slice(signature.as_ref());
        Ok(Signature { name: self.verifier.name.clone(), key_id: self.verifier.id, bytes })
    }
}
