//! The issuer's public keys: reading a JSON Web Key Set, and the check of one signature.
//!
//! Never here: claims, where a key set comes from, and any clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::Value;

use super::token::TokenRefusal;
use crate::canonical::sha256;

/// The largest key set that is read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 256 * 1024;

/// The most keys that a key set may have. Issuers publish a handful.
pub const MAX_KEYS: usize = 64;

/// Key ids of demonstration keys begin so; a real installation refuses them.
pub const DEMO_KID_PREFIX: &str = "demo-";

/// The public keys of the issuer that this service can use, by exact `kid`.
#[derive(Debug, Clone)]
pub struct Keys {
    by_kid: BTreeMap<String, Key>,
    dropped: Vec<DroppedKey>,
    digest: [u8; 32],
    /// Digests of signed tokens whose signature held under these keys. It goes with the keys, so that a key which is
    /// gone vouches for nothing; and nothing else about a token is remembered, so that its claims are judged each time.
    proven: Arc<Cache<[u8; 32], ()>>,
}

/// How many tokens are remembered as rightly signed: a caller sends one again and again for its few minutes of life.
const PROVEN: usize = 10_000;

/// A key and the only algorithm it may verify.
#[derive(Debug, Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    public: DecodingKey,
}

impl Key {
    /// The only `alg` that a header naming this key may have.
    pub(super) fn algorithm(&self) -> &'static str {
        algorithm_name(self.algorithm)
    }

    /// Checks a signature, base64url without padding, over a message.
    pub(super) fn verify(&self, message: &[u8], signature: &str) -> Result<(), TokenRefusal> {
        match crypto::verify(signature, message, &self.public, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TokenRefusal::BadSignature),
            // The key was proven at loading, so what fails here is the signature's base64.
            Err(_) => Err(TokenRefusal::Malformed),
        }
    }
}

/// A member of a key set that is not used, for the log of an operator who wonders why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedKey {
    /// Its `kid`, if it had one.
    pub kid: Option<String>,
    /// A stable name of the reason.
    pub reason: &'static str,
}

/// Why a key set was refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Larger than [`MAX_KEY_SET_BYTES`].
    #[error("the key set is larger than {MAX_KEY_SET_BYTES} bytes")]
    TooLarge,
    /// Not a JSON object with a list `keys`.
    #[error("the key set is not a JSON Web Key Set")]
    NotAKeySet(#[source] serde_json::Error),
    /// More than [`MAX_KEYS`].
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
    /// No key is left with which a token could be verified.
    #[error("the key set has no usable key; dropped: {0:?}")]
    NothingUsable(Vec<DroppedKey>),
}

impl Keys {
    /// Reads a JSON Web Key Set. A key that is symmetric, private, weak, of an unknown kind or
    /// meant for something else is dropped; the others stay usable, since an issuer may publish
    /// keys for other readers beside ours.
    pub fn from_jwks(text: &str) -> Result<Self, KeysError> {
        if text.len() > MAX_KEY_SET_BYTES {
            return Err(KeysError::TooLarge);
        }
        let set: RawKeySet = serde_json::from_str(text).map_err(KeysError::NotAKeySet)?;
        if set.keys.len() > MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        let mut by_kid = BTreeMap::new();
        let mut dropped = Vec::new();
        let mut ambiguous = BTreeSet::new();
        for member in set.keys {
            let kid = member.get("kid").and_then(Value::as_str).map(str::to_owned);
            let reason = match (read_key(&member), &kid) {
                (Ok(key), Some(kid)) if !kid.is_empty() => match by_kid.insert(kid.clone(), key) {
                    None => continue,
                    // A token could not say which of them signed it.
                    Some(_) => {
                        ambiguous.insert(kid.clone());
                        "duplicate_kid"
                    }
                },
                (Ok(_), _) => "no_kid",
                (Err(reason), _) => reason,
            };
            dropped.push(DroppedKey { kid, reason });
        }
        for kid in ambiguous {
            by_kid.remove(&kid);
            dropped.push(DroppedKey { kid: Some(kid), reason: "duplicate_kid" });
        }
        if by_kid.is_empty() {
            return Err(KeysError::NothingUsable(dropped));
        }
        Ok(Self { by_kid, dropped, digest: sha256(text.as_bytes()), proven: Arc::new(Cache::new(PROVEN)) })
    }

    /// The key with exactly this name.
    pub(super) fn named(&self, kid: &str) -> Option<&Key> {
        self.by_kid.get(kid)
    }

    /// Checks the signature of a whole token with the key that it names, once for the same bytes.
    pub(super) fn check(&self, key: &Key, token: &str, message: &str, signature: &str) -> Result<(), TokenRefusal> {
        let digest = sha256(token.as_bytes());
        if self.proven.get(&digest).is_none() {
            key.verify(message.as_bytes(), signature)?;
            self.proven.insert(digest, ());
        }
        Ok(())
    }

    /// The names of the usable keys.
    pub fn kids(&self) -> Vec<&str> {
        self.by_kid.keys().map(String::as_str).collect()
    }

    /// Whether both were read from the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Whether any key was made for demonstrations. Its private half lies in a file that nobody
    /// guards, so `serve` must not start with it.
    pub fn is_demo(&self) -> bool {
        self.by_kid.keys().any(|kid| kid.starts_with(DEMO_KID_PREFIX))
    }

    /// What the key set held beside the usable keys.
    pub fn dropped(&self) -> &[DroppedKey] {
        &self.dropped
    }
}

#[derive(Deserialize)]
struct RawKeySet {
    keys: Vec<Value>,
}

/// One member of a key set, or the name of the reason to drop it. A property of the wrong type is
/// never taken for an absent one.
fn read_key(member: &Value) -> Result<Key, &'static str> {
    let text = |name: &str| member.get(name).and_then(Value::as_str);
    let algorithm = match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => Algorithm::ES256,
        (Some("OKP"), Some("Ed25519")) => Algorithm::EdDSA,
        (Some("RSA"), _) => Algorithm::PS256,
        // Whoever can read the key set could sign with a symmetric key.
        (Some("oct"), _) => return Err("symmetric"),
        (Some("EC" | "OKP"), _) => return Err("unknown_curve"),
        _ => return Err("unknown_type"),
    };
    // A private half that was published is a lost key.
    if member.get("d").is_some() {
        return Err("private");
    }
    let verifies = |ops: &Vec<Value>| ops.iter().any(|op| op == "verify");
    let for_signatures = member.get("use").is_none_or(|purpose| purpose == "sig")
        && member.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(verifies));
    if !for_signatures {
        return Err("not_for_signatures");
    }
    let name = algorithm_name(algorithm);
    if member.get("alg").is_some_and(|alg| alg != name) {
        return Err("algorithm_not_allowed");
    }
    let bytes = |name: &str| {
        let decoded = text(name).map(|text| URL_SAFE_NO_PAD.decode(text));
        decoded.and_then(Result::ok).ok_or("incomplete")
    };
    let public = match algorithm {
        Algorithm::PS256 => rsa_key(&bytes("n")?, &bytes("e")?)?,
        Algorithm::ES256 => ec_key(&bytes("x")?, &bytes("y")?)?,
        _ => ed_key(&bytes("x")?)?,
    };
    Ok(Key { algorithm, public })
}

fn rsa_key(n: &[u8], e: &[u8]) -> Result<DecodingKey, &'static str> {
    // Some issuers write the sign byte of DER; it counts neither for the size nor for the key.
    let n = without_leading_zeros(n);
    let e = without_leading_zeros(e);
    let unused_bits = n.first().map_or(0, |top| top.leading_zeros() as usize);
    let bits = n.len() * 8 - unused_bits;
    // With a small exponent, or an even one, signatures can be made up from the public key.
    let exponent_is_sound = e.len() >= 3 && e.last().is_some_and(|low| low % 2 == 1);
    if bits < 2048 || !exponent_is_sound {
        return Err("weak_rsa");
    }
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256).map_err(|_| "impossible_key")?;
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn ec_key(x: &[u8], y: &[u8]) -> Result<DecodingKey, &'static str> {
    if x.len() != 32 || y.len() != 32 {
        return Err("impossible_key");
    }
    let point = [&[4_u8], x, y].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).parse().map_err(|_| "impossible_key")?;
    Ok(DecodingKey::from_ec_der(&point))
}

fn ed_key(x: &[u8]) -> Result<DecodingKey, &'static str> {
    UnparsedPublicKey::new(&ED25519, x).parse().map_err(|_| "impossible_key")?;
    Ok(DecodingKey::from_ed_der(x))
}

/// The name by which headers and key sets call an algorithm of the allow-list.
fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::ES256 => "ES256",
        Algorithm::PS256 => "PS256",
        _ => "EdDSA",
    }
}
