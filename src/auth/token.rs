//! Who is calling: the issuer's public keys, and the check of one access token (RFC 9068).
//!
//! Here live the reading of a key set ([`Keys`]) and the judgement of a token ([`Verifier`]).
//! Never here: roles and permissions (the database says what a caller may do), HTTP, the fetching
//! of a key set, and any clock: the caller says what time it is.
//!
//! `jsonwebtoken` checks signatures and nothing else. Its claim validation reads its own clock
//! and lets pass a token without `aud`, with an unknown `crit` or of any `typ`, so every rule
//! about headers and claims is written out below.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

/// The longest token that is looked at. Longer ones are refused before any parsing, because the
/// work of parsing must not be in the hands of a stranger.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The largest key set that is read.
pub const MAX_KEY_SET_BYTES: usize = 64 * 1024;

/// How far the issuer's clock and ours may differ.
pub const LEEWAY_SECONDS: i64 = 5;

/// The longest subject, session id and token id, in characters.
pub const MAX_ID_CHARS: usize = 255;

/// Key ids of demonstration keys begin so; a real installation refuses them.
pub const DEMO_KID_PREFIX: &str = "demo-";

/// Judges access tokens of one issuer for one audience.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// The issuer's usable public keys.
    pub keys: Keys,
    /// The only accepted `iss`.
    pub issuer: String,
    /// The only accepted `aud`.
    pub audience: String,
    /// The longest accepted distance from `iat` to `exp`.
    pub max_lifetime: Duration,
}

/// Who a valid token speaks for. What they may do is not in the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `iss`: who vouches for the caller.
    pub issuer: String,
    /// `sub`: the caller's name at that issuer.
    pub subject: String,
    /// `exp`, in Unix seconds.
    pub expires_at: i64,
    /// `sid`: the session, by which a deny-list can end all its tokens.
    pub sid: Option<String>,
    /// `jti`: the token, by which a deny-list can end this one.
    pub jti: Option<String>,
}

impl Verifier {
    /// Judges a token at `now` (Unix seconds). No header or claim is believed before the
    /// signature holds, except `kid`, `alg`, `typ` and `crit`, which can only cause a refusal.
    pub fn verify(&self, token: &str, now: i64) -> Result<Caller, TokenRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::TooLarge);
        }
        let parts: Vec<&str> = token.splitn(4, '.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(TokenRefusal::Malformed);
        };
        let message = &token[..header.len() + 1 + payload.len()];
        let key = self.key_for(&decode(header)?)?;
        match crypto::verify(signature, message.as_bytes(), &key.public, key.algorithm) {
            Ok(true) => self.caller(decode(payload)?, now),
            Ok(false) => Err(TokenRefusal::BadSignature),
            // The key was proven at loading, so what fails here is the signature's base64.
            Err(_) => Err(TokenRefusal::Malformed),
        }
    }

    /// The key that `kid` names, if the header asks for nothing else. Headers that bring or point
    /// to keys (`jwk`, `jku`, `x5c`, `x5u`) are not even read.
    fn key_for(&self, header: &RawHeader) -> Result<&Key, TokenRefusal> {
        // An extension marked critical must be understood or refused (RFC 7515, 4.1.11); we
        // understand none.
        if header.crit.0.is_some() {
            return Err(TokenRefusal::CriticalHeader);
        }
        if !header.typ.as_deref().is_some_and(is_access_token_type) {
            return Err(TokenRefusal::WrongType);
        }
        let kid = header.kid.as_deref().ok_or(TokenRefusal::NoKeyId)?;
        let by_kid = &self.keys.by_kid;
        let key = by_kid.get(kid).ok_or(TokenRefusal::UnknownKeyId)?;
        // The key record chooses the algorithm. The header may only repeat it.
        if header.alg != algorithm_name(key.algorithm) {
            return Err(TokenRefusal::WrongAlgorithm);
        }
        Ok(key)
    }

    fn caller(&self, claims: RawClaims, now: i64) -> Result<Caller, TokenRefusal> {
        if required("iss", text("iss", claims.iss)?)? != self.issuer {
            return Err(TokenRefusal::WrongIssuer);
        }
        if !is_only_audience(&required("aud", claims.aud.0)?, &self.audience) {
            return Err(TokenRefusal::WrongAudience);
        }
        let exp = required("exp", seconds("exp", claims.exp)?)?;
        let iat = required("iat", seconds("iat", claims.iat)?)?;
        self.judge(exp, iat, seconds("nbf", claims.nbf)?, now)?;
        Ok(Caller {
            issuer: self.issuer.clone(),
            subject: required("sub", id("sub", claims.sub)?)?,
            expires_at: exp,
            sid: id("sid", claims.sid)?,
            jti: id("jti", claims.jti)?,
        })
    }

    fn judge(&self, exp: i64, iat: i64, nbf: Option<i64>, now: i64) -> Result<(), TokenRefusal> {
        let latest_start = now.saturating_add(LEEWAY_SECONDS);
        if iat > latest_start {
            return Err(TokenRefusal::IssuedInFuture);
        }
        if nbf.is_some_and(|nbf| nbf > latest_start) {
            return Err(TokenRefusal::NotYetValid);
        }
        // RFC 7519, 4.1.4: a token is dead *at* its expiry, so equality is too late.
        if now.saturating_sub(LEEWAY_SECONDS) >= exp {
            return Err(TokenRefusal::Expired);
        }
        // Both are non-negative, so the difference cannot overflow; negative means that the
        // token ended before it was issued, which no honest issuer writes.
        match u64::try_from(exp - iat) {
            Ok(lifetime) if Duration::from_secs(lifetime) <= self.max_lifetime => Ok(()),
            _ => Err(TokenRefusal::LifetimeOutOfBounds),
        }
    }
}

/// Why a token was refused. The code is for our log; a caller is told only that the token was
/// not accepted, because the difference between two refusals helps an attacker alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token was refused: {}", self.code())]
pub enum TokenRefusal {
    /// Longer than [`MAX_TOKEN_BYTES`].
    TooLarge,
    /// Not three parts of unpadded base64url, of which two are JSON objects.
    Malformed,
    /// The header has `crit`.
    CriticalHeader,
    /// `typ` is absent or does not say access token.
    WrongType,
    /// The header has no `kid`.
    NoKeyId,
    /// No usable key has this `kid`.
    UnknownKeyId,
    /// `alg` is not the algorithm of the named key.
    WrongAlgorithm,
    /// The signature does not hold.
    BadSignature,
    /// A required claim is absent.
    ClaimMissing(&'static str),
    /// A claim has the wrong type or an impossible value.
    ClaimMalformed(&'static str),
    /// `iss` is somebody else.
    WrongIssuer,
    /// `aud` is not us, or not only us.
    WrongAudience,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` has not come.
    IssuedInFuture,
    /// `exp` is before `iat`, or too long after it.
    LifetimeOutOfBounds,
}

impl TokenRefusal {
    /// A stable name for the log.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "token_too_large",
            Self::Malformed => "token_malformed",
            Self::CriticalHeader => "token_critical_header",
            Self::WrongType => "token_wrong_type",
            Self::NoKeyId => "token_no_key_id",
            Self::UnknownKeyId => "token_unknown_key_id",
            Self::WrongAlgorithm => "token_wrong_algorithm",
            Self::BadSignature => "token_bad_signature",
            Self::ClaimMissing(_) => "token_claim_missing",
            Self::ClaimMalformed(_) => "token_claim_malformed",
            Self::WrongIssuer => "token_wrong_issuer",
            Self::WrongAudience => "token_wrong_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::IssuedInFuture => "token_issued_in_future",
            Self::LifetimeOutOfBounds => "token_lifetime_out_of_bounds",
        }
    }

    /// The claim at fault, where the code alone does not say it.
    pub fn claim(self) -> Option<&'static str> {
        match self {
            Self::ClaimMissing(claim) | Self::ClaimMalformed(claim) => Some(claim),
            _ => None,
        }
    }
}

/// The public keys of the issuer that this service can use, by exact `kid`.
#[derive(Debug, Clone)]
pub struct Keys {
    by_kid: BTreeMap<String, Key>,
    dropped: Vec<DroppedKey>,
}

/// A key and the only algorithm it may verify.
#[derive(Debug, Clone)]
struct Key {
    algorithm: Algorithm,
    public: DecodingKey,
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
    /// Two usable keys have one name, so a token would not say which one signed it.
    #[error("the key set has two keys named {0:?}")]
    DuplicateKid(String),
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
        let mut by_kid = BTreeMap::new();
        let mut dropped = Vec::new();
        for member in set.keys {
            let kid = member.get("kid").and_then(Value::as_str).map(str::to_owned);
            let reason = match (read_key(&member), kid.clone()) {
                (Ok(key), Some(kid)) if !kid.is_empty() => {
                    if by_kid.insert(kid.clone(), key).is_some() {
                        return Err(KeysError::DuplicateKid(kid));
                    }
                    continue;
                }
                (Ok(_), _) => "no_kid",
                (Err(reason), _) => reason,
            };
            dropped.push(DroppedKey { kid, reason });
        }
        if by_kid.is_empty() {
            return Err(KeysError::NothingUsable(dropped));
        }
        Ok(Self { by_kid, dropped })
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

// A member that occurs twice is an error in both structs, so no two readers of one token can
// take different values from it.
#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    #[serde(default)]
    crit: Member,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawClaims {
    iss: Member,
    aud: Member,
    sub: Member,
    exp: Member,
    iat: Member,
    nbf: Member,
    sid: Member,
    jti: Member,
}

/// Keeps `null` apart from absence: a null claim is malformed, and a null `crit` is a `crit`.
#[derive(Default)]
struct Member(Option<Value>);

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

/// Reads one part of a token: unpadded base64url of a JSON object.
fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenRefusal> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRefusal::Malformed)?;
    // Serde would also read a struct from an array of its fields.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(TokenRefusal::Malformed);
    }
    serde_json::from_slice(&json).map_err(|_| TokenRefusal::Malformed)
}

fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// A token for us and somebody else could be passed on by that somebody, so a list must hold our
/// name alone.
fn is_only_audience(claim: &Value, ours: &str) -> bool {
    match claim {
        Value::String(one) => one == ours,
        Value::Array(many) => matches!(many.as_slice(), [Value::String(one)] if one == ours),
        _ => false,
    }
}

fn required<T>(claim: &'static str, value: Option<T>) -> Result<T, TokenRefusal> {
    value.ok_or(TokenRefusal::ClaimMissing(claim))
}

fn text(claim: &'static str, value: Member) -> Result<Option<String>, TokenRefusal> {
    match value.0 {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenRefusal::ClaimMalformed(claim)),
    }
}

/// A name that reaches the database and the log, so it is bounded and printable.
fn id(claim: &'static str, value: Member) -> Result<Option<String>, TokenRefusal> {
    let id = text(claim, value)?;
    match &id {
        Some(id) if id.is_empty() || id.chars().count() > MAX_ID_CHARS || id.chars().any(char::is_control) => {
            Err(TokenRefusal::ClaimMalformed(claim))
        }
        _ => Ok(id),
    }
}

/// Whole, non-negative Unix seconds. RFC 7519 permits fractions; no issuer needs them, and a
/// float invites values such as 1e300 that no clock ever reaches.
fn seconds(claim: &'static str, value: Member) -> Result<Option<i64>, TokenRefusal> {
    let Some(value) = value.0 else {
        return Ok(None);
    };
    let seconds = value.as_u64().and_then(|seconds| i64::try_from(seconds).ok());
    seconds.map(Some).ok_or(TokenRefusal::ClaimMalformed(claim))
}
