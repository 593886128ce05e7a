//! Signing access tokens with a local Ed25519 key, for the demonstration and for installations
//! that have no identity provider.
//!
//! Never here: the check of a token, roles, files and clocks. Private key material leaves this
//! module in one way, [`PrivatePem::expose`], and appears in no `Debug` output and no error.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::keys::DEMO_KID_PREFIX;

/// A private key that signs access tokens under one `kid`.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    public: Vec<u8>,
    private: EncodingKey,
}

/// What a locally signed token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The issuer, as configured at the verifier.
    pub iss: String,
    /// The audience, as configured at the verifier.
    pub aud: String,
    /// The caller.
    pub sub: String,
    /// When it was issued, in Unix seconds.
    pub iat: i64,
    /// When it ends, in Unix seconds.
    pub exp: i64,
    /// Its own id, by which it can be revoked.
    pub jti: String,
    /// The session, by which all its tokens can be revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

/// A fresh key pair as text: the private half to keep, the public half to give to verifiers.
#[derive(Debug)]
pub struct NewKey {
    /// The name of the key in headers and key sets.
    pub kid: String,
    /// PKCS#8 PEM.
    pub private_pem: PrivatePem,
    /// A JSON Web Key Set with the public key.
    pub jwks: String,
}

/// A private key as PEM text, which `Debug` does not show.
pub struct PrivatePem(String);

impl PrivatePem {
    /// The text itself, for the file in which it is kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivatePem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivatePem(redacted)")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("private", &"redacted")
            .finish_non_exhaustive()
    }
}

/// Why a key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The system gave no key.
    #[error("no key pair could be generated")]
    Generate(#[source] Unspecified),
    /// Not the PEM text of a PKCS#8 private key.
    #[error("the private key is not a PKCS#8 PEM text of an Ed25519 key")]
    NotAnEd25519Pem(#[source] jsonwebtoken::errors::Error),
    /// PEM, but not a sound Ed25519 key.
    #[error("the private key is not a sound Ed25519 key")]
    Rejected(#[source] KeyRejected),
    /// The verifier would drop a key without a name.
    #[error("the key id is empty")]
    EmptyKid,
    /// The claims could not be signed.
    #[error("the token could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

impl SigningKey {
    /// Makes a key pair named by its RFC 7638 thumbprint.
    pub fn generate() -> Result<NewKey, SignError> {
        Self::generate_named("")
    }

    /// Makes a key pair whose name says that it is for demonstrations, so that
    /// [`Keys::is_demo`](super::keys::Keys::is_demo) can tell it from a real one.
    pub fn generate_demo() -> Result<NewKey, SignError> {
        Self::generate_named(DEMO_KID_PREFIX)
    }

    fn generate_named(prefix: &str) -> Result<NewKey, SignError> {
        let pair = Ed25519KeyPair::generate().map_err(SignError::Generate)?;
        // Version 1 of PKCS#8, since common tools do not read version 2.
        let document = pair.to_pkcs8v1().map_err(SignError::Generate)?;
        let public = pair.public_key().as_ref();
        let kid = format!("{prefix}{}", thumbprint_of(public));
        Ok(NewKey { jwks: jwks_of(&kid, public), private_pem: PrivatePem(pem_of(document.as_ref())), kid })
    }

    /// Reads a PKCS#8 PEM text, to sign under the name that the verifier's key set has for it.
    pub fn from_pem(pem: &str, kid: &str) -> Result<Self, SignError> {
        if kid.is_empty() {
            return Err(SignError::EmptyKid);
        }
        let (private, public) = read_pem(pem)?;
        Ok(Self { kid: kid.to_owned(), public, private })
    }

    /// Signs the claims as an access token (`typ` at+jwt).
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.private).map_err(SignError::Sign)
    }

    /// The key set that lets a verifier accept what this key signs.
    pub fn jwks(&self) -> String {
        jwks_of(&self.kid, &self.public)
    }

    /// The name under which this key signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// The RFC 7638 thumbprint of a private key's public half: the `kid` that
/// [`SigningKey::generate`] gave it.
pub fn thumbprint(pem: &str) -> Result<String, SignError> {
    read_pem(pem).map(|(_, public)| thumbprint_of(&public))
}

fn read_pem(pem: &str) -> Result<(EncodingKey, Vec<u8>), SignError> {
    let private = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(SignError::NotAnEd25519Pem)?;
    let pair = Ed25519KeyPair::from_pkcs8(private.as_bytes()).map_err(SignError::Rejected)?;
    let public = pair.public_key().as_ref().to_vec();
    Ok((private, public))
}

/// RFC 7638: the digest of the required members alone, sorted and without spaces. Base64url needs
/// no escaping in JSON.
fn thumbprint_of(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

fn jwks_of(kid: &str, public: &[u8]) -> String {
    let key = serde_json::json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": URL_SAFE_NO_PAD.encode(public),
        "use": "sig",
        "alg": "EdDSA",
        "kid": kid,
    });
    serde_json::json!({ "keys": [key] }).to_string()
}

/// RFC 7468: base64 in lines of 64 characters.
fn pem_of(document: &[u8]) -> String {
    const LABEL: &str = "PRIVATE KEY";
    let mut pem = format!("-----BEGIN {LABEL}-----\n");
    for (index, character) in STANDARD.encode(document).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {LABEL}-----\n"));
    pem
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use serde_json::{Value, json};

    use super::super::keys::{Keys, KeysError, MAX_KEY_SET_BYTES, MAX_KEYS};
    use super::super::token::{TokenRefusal, Verifier};
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims {
            iss: "https://issuer.example".into(),
            aud: "thidua".into(),
            sub: "lò-văn-a".into(),
            iat: NOW,
            exp: NOW + 900,
            jti: "token-1".into(),
            sid: None,
        }
    }

    fn verifier(jwks: &str) -> Verifier {
        Verifier {
            keys: Keys::from_jwks(jwks).unwrap().into(),
            issuer: claims().iss,
            audience: claims().aud,
            max_lifetime: Duration::from_secs(900),
        }
    }

    #[test]
    fn a_generated_key_signs_what_its_key_set_verifies_and_no_other_does() {
        let ours = SigningKey::generate().unwrap();
        let other = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(ours.private_pem.expose(), &ours.kid).unwrap();
        let token = key.sign(&claims()).unwrap();
        let caller = verifier(&ours.jwks).verify(&token, NOW).unwrap();
        assert_eq!(caller.subject, "lò-văn-a");
        assert_eq!(caller.issuer, "https://issuer.example");
        assert_eq!(caller.expires_at, NOW + 900);
        assert_eq!(caller.jti.as_deref(), Some("token-1"));
        assert_eq!(caller.sid, None);
        assert_eq!(verifier(&other.jwks).verify(&token, NOW), Err(TokenRefusal::UnknownKeyId));
        let imposter = SigningKey::from_pem(other.private_pem.expose(), &ours.kid).unwrap();
        assert_eq!(
            verifier(&ours.jwks).verify(&imposter.sign(&claims()).unwrap(), NOW),
            Err(TokenRefusal::BadSignature)
        );
    }

    #[test]
    fn a_key_read_again_publishes_the_same_key_set_and_name() {
        let new = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        assert_eq!(key.jwks(), new.jwks);
        assert_eq!(key.kid(), new.kid);
        assert_eq!(thumbprint(new.private_pem.expose()).unwrap(), new.kid);
    }

    #[test]
    fn demo_keys_are_told_from_real_ones() {
        let demo = SigningKey::generate_demo().unwrap();
        let real = SigningKey::generate().unwrap();
        assert!(demo.kid.starts_with("demo-"));
        assert!(demo.jwks.contains(r#""use":"sig""#));
        assert!(Keys::from_jwks(&demo.jwks).unwrap().is_demo());
        assert!(!Keys::from_jwks(&real.jwks).unwrap().is_demo());
        let key = SigningKey::from_pem(demo.private_pem.expose(), &demo.kid).unwrap();
        let token = key.sign(&claims()).unwrap();
        assert!(verifier(&demo.jwks).verify(&token, NOW).is_ok());
    }

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(thumbprint_of(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn debug_output_never_shows_the_private_key() {
        let new = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        let body = new.private_pem.expose().lines().nth(1).unwrap();
        assert!(body.len() > 40, "the control would find nothing in an empty line");
        let (private, _) = read_pem(new.private_pem.expose()).unwrap();
        let bytes = format!("{:?}", private.as_bytes());
        for shown in [format!("{new:?}"), format!("{new:#?}"), format!("{key:?}")] {
            assert!(shown.contains("redacted"), "{shown}");
            assert!(!shown.contains(body), "{shown}");
            assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
        }
    }

    #[test]
    fn only_sound_ed25519_keys_with_a_name_are_read() {
        let new = SigningKey::generate().unwrap();
        let pem = new.private_pem.expose();
        assert!(SigningKey::from_pem(pem, "k").is_ok());
        assert!(matches!(SigningKey::from_pem(pem, ""), Err(SignError::EmptyKid)));
        for broken in ["", "no pem", &pem[..pem.len() / 2], &pem.replace("PRIVATE", "PUBLIC")] {
            assert!(SigningKey::from_pem(broken, "k").is_err(), "{} bytes", broken.len());
        }
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let ec = pem_of(ec.to_pkcs8v1().unwrap().as_ref());
        assert!(SigningKey::from_pem(&ec, "k").is_err());
    }

    #[test]
    fn no_single_changed_character_of_a_token_survives() {
        let new = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        let verifier = verifier(&new.jwks);
        let token = key.sign(&claims()).unwrap();
        assert!(verifier.verify(&token, NOW).is_ok());
        for (index, character) in token.char_indices() {
            let mut changed = token.clone();
            let replacement = if character == 'A' { "B" } else { "A" };
            changed.replace_range(index..=index, replacement);
            assert!(verifier.verify(&changed, NOW).is_err(), "at {index}: {changed}");
        }
    }

    #[test]
    fn time_is_what_the_caller_says_and_never_overflows() {
        let new = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        let verifier = verifier(&new.jwks);
        for then in [0, 1_000_000_000, NOW, 9_000_000_000] {
            let (iat, exp) = (then, then + 900);
            let token = key.sign(&Claims { iat, exp, ..claims() }).unwrap();
            let at = |now| verifier.verify(&token, now).map(|caller| caller.expires_at);
            for now in [then - 5, then, exp, exp + 4] {
                assert_eq!(at(now), Ok(exp), "{now}");
            }
            for (now, refusal) in [
                (exp + 5, TokenRefusal::Expired),
                (i64::MAX, TokenRefusal::Expired),
                (then - 6, TokenRefusal::IssuedInFuture),
                (i64::MIN, TokenRefusal::IssuedInFuture),
            ] {
                assert_eq!(at(now), Err(refusal), "{now}");
            }
        }
    }

    fn ed() -> Value {
        let new = SigningKey::generate().unwrap();
        serde_json::from_str::<Value>(&new.jwks).unwrap()["keys"][0].take()
    }

    fn ec() -> Value {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "ec"})
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "n": modulus(256, 0x80), "e": "AQAB", "kid": "rsa"})
    }

    /// Looks like a modulus of so many bytes; nothing is signed with it.
    fn modulus(bytes: usize, top: u8) -> String {
        let mut modulus = vec![0xa5; bytes];
        modulus[..128].fill(top);
        URL_SAFE_NO_PAD.encode(modulus)
    }

    /// The reasons for dropping a member that stands beside a good key, which must stay usable.
    fn beside_a_good_key(member: Value) -> Vec<&'static str> {
        let good = SigningKey::generate().unwrap();
        let mut set: Value = serde_json::from_str(&good.jwks).unwrap();
        set["keys"].as_array_mut().unwrap().insert(0, member);
        let keys = Keys::from_jwks(&set.to_string()).unwrap();
        let key = SigningKey::from_pem(good.private_pem.expose(), &good.kid).unwrap();
        let dropped = keys.dropped().iter().map(|dropped| dropped.reason).collect();
        let verifier = Verifier { keys: keys.into(), ..verifier(&good.jwks) };
        assert!(verifier.verify(&key.sign(&claims()).unwrap(), NOW).is_ok());
        dropped
    }

    macro_rules! key_sets {
        ($($name:ident: $base:ident $changes:tt => $($reason:literal)?,)*) => {$(
            #[test]
            fn $name() {
                let mut member = $base();
                for (name, value) in json!($changes).as_object().unwrap() {
                    member[name] = value.clone();
                }
                let expected: &[&str] = &[$($reason)?];
                assert_eq!(beside_a_good_key(member.clone()), expected);
                let alone = Keys::from_jwks(&json!({"keys": [member]}).to_string());
                assert_eq!(alone.is_ok(), expected.is_empty(), "{alone:?}");
            }
        )*};
    }

    key_sets! {
        ed_key_is_read: ed {} => ,
        ec_key_is_read: ec {} => ,
        rsa_key_of_2048_bits_is_read: rsa {} => ,
        key_for_verifying_is_read: ed {"key_ops": ["sign", "verify"]} => ,
        symmetric_key: ed {"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"} => "symmetric",
        symmetric_key_that_lies: ed {"kty": "oct"} => "symmetric",
        unknown_type: ed {"kty": "AKP"} => "unknown_type",
        curve_p_384: ec {"crv": "P-384"} => "unknown_curve",
        curve_secp256k1: ec {"crv": "secp256k1"} => "unknown_curve",
        curve_for_key_agreement: ed {"crv": "X25519"} => "unknown_curve",
        for_encryption: ed {"use": "enc"} => "not_for_signatures",
        for_nothing_known: ed {"use": null} => "not_for_signatures",
        for_signing_alone: ed {"key_ops": ["sign"]} => "not_for_signatures",
        algorithm_rs256: rsa {"alg": "RS256"} => "algorithm_not_allowed",
        algorithm_hs256: ec {"alg": "HS256"} => "algorithm_not_allowed",
        private_half_published: ed {"d": "AAAA"} => "private",
        no_kid: ed {"kid": null} => "no_kid",
        empty_kid: ed {"kid": ""} => "no_kid",
        rsa_of_2047_bits: rsa {"n": (modulus(256, 0x7f))} => "weak_rsa",
        rsa_of_1024_bits: rsa {"n": (modulus(128, 0xff))} => "weak_rsa",
        rsa_of_1024_bits_with_zeros: rsa {"n": (modulus(256, 0))} => "weak_rsa",
        rsa_exponent_one: rsa {"e": "AQ"} => "weak_rsa",
        rsa_exponent_three: rsa {"e": "Aw"} => "weak_rsa",
        rsa_exponent_even: rsa {"e": "AQAA"} => "weak_rsa",
        point_not_on_curve: ec {"x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"} => "impossible_key",
        point_short: ec {"x": "AAAA"} => "impossible_key",
        ed_key_short: ed {"x": "AAAA"} => "impossible_key",
        bytes_padded: rsa {"e": "AQAB="} => "incomplete",
        bytes_absent: ec {"y": null} => "incomplete",
    }

    #[test]
    fn keys_of_one_name_are_all_dropped_and_the_others_stay() {
        let (one, mut two, mut three, other) = (ed(), ec(), ed(), ed());
        let read = |members: &[&Value]| Keys::from_jwks(&json!({"keys": members}).to_string());
        assert_eq!(read(&[&one, &two, &three, &other]).unwrap().kids().len(), 4);
        two["kid"] = one["kid"].clone();
        three["kid"] = one["kid"].clone();
        for members in [[&one, &two, &other], [&one, &other, &one], [&other, &one, &two]] {
            let keys = read(&members).unwrap();
            assert_eq!(keys.kids(), [other["kid"].as_str().unwrap()]);
            assert!(keys.dropped().iter().all(|dropped| dropped.reason == "duplicate_kid"));
            assert_eq!(keys.dropped().len(), 2);
        }
        assert_eq!(read(&[&one, &two, &three, &other]).unwrap().kids().len(), 1);
        assert!(matches!(read(&[&one, &two]), Err(KeysError::NothingUsable(_))));
        // A namesake that could verify nothing anyway takes nothing away.
        two["use"] = json!("enc");
        assert_eq!(read(&[&one, &two]).unwrap().kids().len(), 1);
    }

    #[test]
    fn a_key_set_has_no_more_keys_than_an_issuer_needs() {
        let member = |n: usize| json!({"kty": "oct", "k": "AAAA", "kid": n.to_string()});
        let with = |more: usize| {
            let members: Vec<Value> = (0..more).map(member).chain([ed()]).collect();
            Keys::from_jwks(&json!({"keys": members}).to_string())
        };
        assert!(with(MAX_KEYS - 1).is_ok());
        assert!(matches!(with(MAX_KEYS), Err(KeysError::TooMany)));
    }

    #[test]
    fn key_sets_that_are_none_are_refused_as_a_whole() {
        let one = ed();
        let read = |members: &[&Value]| Keys::from_jwks(&json!({"keys": members}).to_string());
        assert!(matches!(read(&[]), Err(KeysError::NothingUsable(_))));
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert!(matches!(Keys::from_jwks(text), Err(KeysError::NotAKeySet(_))), "{text}");
        }
        let huge = json!({"keys": [one], "more": " ".repeat(MAX_KEY_SET_BYTES)}).to_string();
        assert!(matches!(Keys::from_jwks(&huge), Err(KeysError::TooLarge)));
    }
}
