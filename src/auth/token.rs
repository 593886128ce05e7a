//! Who is calling: the check of one access token (RFC 9068) by the issuer's public keys.
//!
//! Never here: roles and permissions (the database says what a caller may do), HTTP, where the
//! keys come from ([`Keyring`]), and any clock: the caller says what time it is.
//!
//! `jsonwebtoken` checks signatures and nothing else. Its claim validation reads its own clock
//! and lets pass a token without `aud`, with an unknown `crit` or of any `typ`, so every rule
//! about headers and claims is written out below.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use super::keyring::Keyring;
use super::keys::Keys;

/// The longest token that is looked at. Longer ones are refused before any parsing, because the
/// work of parsing must not be in the hands of a stranger.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far the issuer's clock and ours may differ.
pub const LEEWAY_SECONDS: i64 = 5;

/// The longest subject, session id and token id, in characters.
pub const MAX_ID_CHARS: usize = 255;

/// Judges access tokens of one issuer for one audience.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// The issuer's usable public keys, as they are now.
    pub keys: Keyring,
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
    /// `iat`, in Unix seconds.
    pub issued_at: i64,
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
        let parts = Parts::split(token)?;
        if !parts.header.typ.as_deref().is_some_and(is_access_token_type) {
            return Err(TokenRefusal::WrongType);
        }
        let keys = self.keys.current().ok_or(TokenRefusal::NoKeys)?;
        let payload = parts.signed_by(&keys)?;
        self.caller(decode(payload)?, now)
    }

    /// The longest time, from now on, for which a token that was issued by now can be accepted, in seconds.
    pub fn longest_life(&self) -> i64 {
        let lifetime = i64::try_from(self.max_lifetime.as_secs()).unwrap_or(i64::MAX);
        // The issuer's clock may be ahead of ours, and ours ahead of the token's end.
        lifetime.saturating_add(2 * LEEWAY_SECONDS)
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
            issued_at: iat,
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

/// A JSON Web Signature in its compact form, of which nothing is believed yet.
pub(super) struct Parts<'t> {
    whole: &'t str,
    header: RawHeader,
    payload: &'t str,
    message: &'t str,
    signature: &'t str,
}

impl<'t> Parts<'t> {
    /// Takes it apart, and refuses what no key could make acceptable.
    pub(super) fn split(token: &'t str) -> Result<Self, TokenRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::TooLarge);
        }
        let parts: Vec<&str> = token.splitn(4, '.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(TokenRefusal::Malformed);
        };
        let message = &token[..header.len() + 1 + payload.len()];
        let header: RawHeader = decode(header)?;
        // An extension marked critical must be understood or refused (RFC 7515, 4.1.11); we
        // understand none.
        if header.crit.0.is_some() {
            return Err(TokenRefusal::CriticalHeader);
        }
        Ok(Self { whole: token, header, payload, message, signature })
    }

    /// The payload, if the key that `kid` names signed it. Headers that bring or point to keys
    /// (`jwk`, `jku`, `x5c`, `x5u`) are not even read.
    pub(super) fn signed_by(&self, keys: &Keys) -> Result<&'t str, TokenRefusal> {
        let kid = self.header.kid.as_deref().ok_or(TokenRefusal::NoKeyId)?;
        let key = keys.named(kid).ok_or(TokenRefusal::UnknownKeyId)?;
        // The key record chooses the algorithm. The header may only repeat it.
        if self.header.alg != key.algorithm() {
            return Err(TokenRefusal::WrongAlgorithm);
        }
        keys.check(key, self.whole, self.message, self.signature)?;
        Ok(self.payload)
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
    /// There are no keys by which to judge it, or they are too old.
    NoKeys,
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
    /// An administrator revoked it.
    Revoked,
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
            Self::NoKeys => "token_no_keys",
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
            Self::Revoked => "token_revoked",
        }
    }

    /// Whether a newer key set could change the verdict.
    pub fn asks_for_news(self) -> bool {
        matches!(self, Self::NoKeys | Self::UnknownKeyId)
    }

    /// The claim at fault, where the code alone does not say it.
    pub fn claim(self) -> Option<&'static str> {
        match self {
            Self::ClaimMissing(claim) | Self::ClaimMalformed(claim) => Some(claim),
            _ => None,
        }
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
