//! Signatures on which other verifiers have failed (Project Wycheproof), through the path that tokens take: the key is
//! read from a key set, the signature is base64url, the algorithm is the key's. `tests/vectors/README.md` says where
//! the vectors come from.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pss_verify as pss};

use super::keys::Keys;
use super::token::Parts;
use crate::canonical::{hex, sha256};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How many were accepted and refused.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
}

impl Tally {
    /// Checks one signature over any bytes.
    fn check(&mut self, jwk: &Value, message: &[u8], signature: &[u8], valid: bool, name: &str) {
        let keys =
            Keys::from_jwks(&json!({"keys": [jwk]}).to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let verdict = keys.named("k").unwrap().verify(message, &b64(signature));
        assert_eq!(verdict.is_ok(), valid, "{name}: {verdict:?}");
        self.count(valid);
    }

    fn count(&mut self, accepted: bool) {
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }
}

fn is_valid(result: TestResult, name: &str) -> bool {
    match result {
        TestResult::Valid => true,
        TestResult::Invalid => false,
        TestResult::Acceptable => panic!("{name}: nothing here is a matter of taste"),
    }
}

#[test]
fn ed25519_signatures() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": b64(&group.key.pk)});
        for test in group.tests {
            let name = format!("{} {}", test.tc_id, test.comment);
            tally.check(&jwk, test.msg.as_ref(), test.sig.as_ref(), is_valid(test.result, &name), &name);
        }
    }
    assert_eq!(tally, Tally { accepted: 88, refused: 63 });
}

#[test]
fn p256_signatures() {
    let mut tally = Tally::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        // The point uncompressed: a byte 4, then both coordinates in full width.
        let point: &[u8] = group.key.key.as_ref();
        let (x, y) = point[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": b64(x), "y": b64(y)});
        for test in group.tests {
            let name = format!("{} {}", test.tc_id, test.comment);
            tally.check(&jwk, test.msg.as_ref(), test.sig.as_ref(), is_valid(test.result, &name), &name);
        }
    }
    assert_eq!(tally, Tally { accepted: 173, refused: 89 });
}

/// Checks what `chosen` chooses of a set; PS256 accepts what is valid there, or nothing of it.
fn check_pss(tally: &mut Tally, set: pss::TestName, chosen: fn(bool) -> bool, is_ps256: bool) {
    for group in pss::TestSet::load(set).unwrap().test_groups {
        let jwk = json!({"kty": "RSA", "kid": "k", "n": b64(&*group.key.n), "e": b64(&*group.key.e)});
        for test in group.tests {
            let name = format!("{set:?} {} {}", test.tc_id, test.comment);
            let valid = is_valid(test.result, &name);
            if chosen(valid) {
                tally.check(&jwk, test.msg.as_ref(), test.sig.as_ref(), valid && is_ps256, &name);
            }
        }
    }
}

#[test]
fn rsa_pss_signatures() {
    use pss::TestName::*;
    let mut tally = Tally::default();
    for set in [RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32] {
        check_pss(&mut tally, set, |_| true, true);
    }
    assert_eq!(tally, Tally { accepted: 3 * 63, refused: 3 * 45 });
}

/// RFC 7518, 3.5: SHA-256 throughout, and a salt as long as its digest. A sound signature of another kind is none of
/// PS256.
#[test]
fn rsa_pss_signatures_of_another_kind() {
    use pss::TestName::*;
    let mut tally = Tally::default();
    for set in [RsaPss2048Sha256Mgf1SaltLen0, RsaPss2048Sha256Mgf1Sha1_20, RsaPss2048Sha384Mgf1SaltLen48] {
        check_pss(&mut tally, set, |valid| valid, false);
    }
    assert_eq!(tally, Tally { accepted: 0, refused: 61 + 63 + 95 });
}

/// The algorithms that tokens may have.
const ALLOWED: [&str; 3] = ["ES256", "PS256", "EdDSA"];

/// `alg` of a token's header, if it has one.
fn algorithm(jws: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(jws.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    Some(header["alg"].as_str()?.to_owned())
}

#[test]
#[ignore = "reads a file that is not kept here; see tests/vectors/README.md"]
fn json_web_signatures() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/json_web_signature_test.json");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let known = "8e687a06fe8359f4ec51480f1a9f73c8faebd6f4c01b818b843b44eee54fd5d9";
    assert_eq!(hex(&sha256(text.as_bytes())), known, "another version of the file");
    let file: Value = serde_json::from_str(&text).unwrap();
    let (mut tally, mut by_policy) = (Tally::default(), BTreeMap::<String, usize>::new());
    for group in file["testGroups"].as_array().unwrap() {
        // A symmetric key has no public half: what an issuer would have published is the key itself.
        let key = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        let keys = Keys::from_jwks(&json!({"keys": [key]}).to_string());
        for test in group["tests"].as_array().unwrap() {
            let (jws, name) = (test["jws"].as_str().unwrap(), format!("{} {}", test["tcId"], test["comment"]));
            let accepted =
                keys.as_ref().is_ok_and(|keys| Parts::split(jws).and_then(|jws| jws.signed_by(keys)).is_ok());
            let algorithm = algorithm(jws).unwrap_or_default();
            let allowed = ALLOWED.contains(&algorithm.as_str());
            assert_eq!(accepted, test["result"] == "valid" && allowed, "{name}");
            if test["result"] == "valid" && !allowed {
                *by_policy.entry(algorithm).or_default() += 1;
            }
            tally.count(accepted);
        }
    }
    println!("{tally:?}; sound, but of an algorithm that tokens may not have: {by_policy:?}");
    assert_eq!(tally, Tally { accepted: 8, refused: 393 });
}
