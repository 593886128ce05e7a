//! Attacks on access tokens: one line and one test for each attack, with the refusal it must meet.
//!
//! Every attack is preceded by its control: the same token without the one change is accepted by the
//! same verifier at the same second, so a verifier that refuses everything fails here too. Unless
//! a row says otherwise the changed token is signed anew with the issuer's real key, so only the
//! rule under test can refuse it. Every row runs with an Ed25519, a P-256 and an RSA key. Attacks
//! on the request's headers stand in `bearer`, attacks on key sets in `sign`.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::keys::Keys;
use super::token::TokenRefusal::*;
use super::token::*;

const NOW: i64 = 1_800_000_000;

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// An issuer with one key, and the verifier that trusts it.
struct Bench {
    jwk: Value,
    sign: Sign,
    verifier: Verifier,
}

impl Bench {
    fn new(mut jwk: Value, sign: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        (jwk["kid"], jwk["use"]) = (json!("k1"), json!("sig"));
        let verifier = Verifier {
            keys: Keys::from_jwks(&json!({"keys": [jwk]}).to_string()).unwrap().into(),
            issuer: "https://issuer.example".into(),
            audience: "thidua".into(),
            max_lifetime: Duration::from_secs(900),
        };
        let sign = Box::new(sign);
        Self { jwk, sign, verifier }
    }

    fn ed() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = b64(pair.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x});
        Self::new(jwk, move |message| pair.sign(message).as_ref().to_vec())
    }

    fn ec() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": b64(x), "y": b64(y)});
        let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap();
        Self::new(jwk, move |message| sign(message).as_ref().to_vec())
    }

    fn rsa() -> Self {
        let public = rsa_pair().public_key();
        let n = b64(public.modulus().big_endian_without_leading_zero());
        let jwk = json!({"kty": "RSA", "alg": "PS256", "n": n, "e": "AQAB"});
        Self::new(jwk, |message| rsa_sign(&RSA_PSS_SHA256, message))
    }

    fn all() -> &'static [Self; 3] {
        static ALL: OnceLock<[Bench; 3]> = OnceLock::new();
        ALL.get_or_init(|| [Self::ed(), Self::ec(), Self::rsa()])
    }

    fn header(&self) -> Value {
        json!({"alg": self.jwk["alg"], "typ": "at+jwt", "kid": "k1"})
    }

    fn signed(&self, message: String) -> String {
        let signature = (self.sign)(message.as_bytes());
        format!("{message}.{}", b64(signature))
    }

    fn good_token(&self) -> String {
        self.signed(message(&self.header(), &claims()))
    }

    fn resigned(&self, change: Change) -> String {
        let (mut header, mut claims) = (self.header(), claims());
        change(&mut header, &mut claims);
        self.signed(message(&header, &claims))
    }

    fn worded(&self, change: fn(&str, &str) -> [Vec<u8>; 2]) -> String {
        let [header, claims] = change(&self.header().to_string(), &claims().to_string());
        self.signed(format!("{}.{}", b64(header), b64(claims)))
    }

    fn mangled(&self, change: fn(&str, &str, &str) -> String) -> String {
        let token = self.good_token();
        let parts: Vec<&str> = token.split('.').collect();
        change(parts[0], parts[1], parts[2])
    }

    fn missigned(&self, change: fn(&mut Vec<u8>)) -> String {
        let message = message(&self.header(), &claims());
        let mut signature = (self.sign)(message.as_bytes());
        change(&mut signature);
        format!("{message}.{}", b64(signature))
    }

    /// The control, then the attack.
    fn refuses(&self, name: &str, token: &str, refusal: TokenRefusal) {
        let name = format!("{name} ({})", self.jwk["alg"]);
        let control = self.verifier.verify(&self.good_token(), NOW).unwrap();
        assert_eq!(control.subject, "lò-thị-b", "{name}");
        assert_eq!(self.verifier.verify(token, NOW), Err(refusal), "{name}");
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example", "aud": "thidua", "sub": "lò-thị-b",
        "iat": NOW, "exp": NOW + 900, "jti": "t-1", "sid": "s-1",
    })
}

fn rsa_pair() -> &'static RsaKeyPair {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn rsa_sign(padding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; 256];
    let random = SystemRandom::new();
    rsa_pair().sign(padding, &random, message, &mut signature).unwrap();
    signature
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", b64(header.to_string()), b64(claims.to_string()))
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn without(value: &mut Value, member: &str) {
    value.as_object_mut().unwrap().remove(member).unwrap();
}

fn lives(claims: &mut Value, from: i64, to: i64) {
    (claims["iat"], claims["exp"]) = (json!(NOW + from), json!(NOW + to));
}

/// Changes a header and claims before they are signed.
type Change = fn(&mut Value, &mut Value);

macro_rules! honest {
    ($($name:ident: $change:expr,)*) => {$(
        #[test]
        fn $name() {
            let mut claims = claims();
            let change: Change = $change;
            change(&mut json!({"alg": "", "typ": ""}), &mut claims);
            for bench in Bench::all() {
                let caller = bench.verifier.verify(&bench.resigned($change), NOW).unwrap();
                assert_eq!(caller.issuer, "https://issuer.example");
                assert_eq!(caller.subject, claims["sub"]);
                assert_eq!(caller.expires_at, claims["exp"]);
                assert_eq!(caller.sid.as_deref(), claims["sid"].as_str());
                assert_eq!(caller.jti.as_deref(), claims["jti"].as_str());
            }
        }
    )*};
}

macro_rules! attacks {
    ($how:ident: $($name:ident: $change:expr => $refusal:expr,)*) => {$(
        #[test]
        fn $name() {
            for bench in Bench::all() {
                bench.refuses(stringify!($name), &bench.$how($change), $refusal);
            }
        }
    )*};
}

honest! {
    unchanged: |_, _| (),
    typ_in_capitals: |h, _| h["typ"] = json!("AT+JWT"),
    typ_as_media_type: |h, _| h["typ"] = json!("application/at+jwt"),
    aud_as_list_of_ours_alone: |_, c| c["aud"] = json!(["thidua"]),
    expired_3_s_ago: |_, c| lives(c, -60, -3),
    expired_4_s_ago: |_, c| lives(c, -60, -4),
    nbf_now: |_, c| c["nbf"] = json!(NOW),
    nbf_5_s_ahead: |_, c| c["nbf"] = json!(NOW + 5),
    iat_5_s_ahead: |_, c| c["iat"] = json!(NOW + 5),
    sub_of_255_characters: |_, c| c["sub"] = json!("ệ".repeat(255)),
    unknown_header: |h, _| h["zzz"] = json!({"a": [1]}),
    unknown_claim: |_, c| c["roles"] = json!(["administrator"]),
    jku_ignored: |h, _| h["jku"] = json!("https://evil.example/jwks"),
    x5u_ignored: |h, _| h["x5u"] = json!("file:///etc/passwd"),
    x5c_ignored: |h, _| h["x5c"] = json!(["AAAA"]),
    jwk_of_any_shape_ignored: |h, _| h["jwk"] = json!(7),
    sid_absent: |_, c| without(c, "sid"),
    jti_absent: |_, c| without(c, "jti"),
}

attacks! { resigned:
    alg_none: |h, _| h["alg"] = json!("none") => WrongAlgorithm,
    alg_none_in_odd_case: |h, _| h["alg"] = json!("NoNe") => WrongAlgorithm,
    alg_unknown: |h, _| h["alg"] = json!("XS999") => WrongAlgorithm,
    alg_hs256: |h, _| h["alg"] = json!("HS256") => WrongAlgorithm,
    alg_in_lower_case: |h, _| h["alg"] = json!(h["alg"].as_str().unwrap().to_lowercase()) => WrongAlgorithm,
    alg_of_another_allowed_key: |h, _| h["alg"] = json!(if h["alg"] == "ES256" { "EdDSA" } else { "ES256" }) => WrongAlgorithm,
    alg_absent: |h, _| without(h, "alg") => Malformed,
    alg_a_list: |h, _| h["alg"] = json!(["EdDSA"]) => Malformed,
    crit_unknown: |h, _| h["crit"] = json!(["x-policy"]) => CriticalHeader,
    crit_b64: |h, _| (h["crit"], h["b64"]) = (json!(["b64"]), json!(false)) => CriticalHeader,
    crit_exp: |h, _| (h["crit"], h["exp"]) = (json!(["exp"]), json!(1)) => CriticalHeader,
    crit_empty: |h, _| h["crit"] = json!([]) => CriticalHeader,
    crit_null: |h, _| h["crit"] = Value::Null => CriticalHeader,
    typ_of_an_id_token: |h, _| h["typ"] = json!("JWT") => WrongType,
    typ_of_a_logout_token: |h, _| h["typ"] = json!("logout+jwt") => WrongType,
    typ_of_another_media_type: |h, _| h["typ"] = json!("text/at+jwt") => WrongType,
    typ_absent: |h, _| without(h, "typ") => WrongType,
    typ_null: |h, _| h["typ"] = Value::Null => WrongType,
    kid_absent: |h, _| without(h, "kid") => NoKeyId,
    kid_null: |h, _| h["kid"] = Value::Null => NoKeyId,
    kid_unknown: |h, _| h["kid"] = json!("k2") => UnknownKeyId,
    kid_with_a_nul: |h, _| h["kid"] = json!("k1\0") => UnknownKeyId,
    kid_as_path: |h, _| h["kid"] = json!("../../dev/null") => UnknownKeyId,
    kid_as_sql: |h, _| h["kid"] = json!("k1' OR '1'='1") => UnknownKeyId,
    kid_a_list: |h, _| h["kid"] = json!(["k1"]) => Malformed,
}

attacks! { resigned:
    iss_absent: |_, c| without(c, "iss") => ClaimMissing("iss"),
    iss_wrong: |_, c| c["iss"] = json!("https://evil.example") => WrongIssuer,
    iss_with_slash: |_, c| c["iss"] = json!("https://issuer.example/") => WrongIssuer,
    iss_a_list: |_, c| c["iss"] = json!([c["iss"]]) => ClaimMalformed("iss"),
    aud_absent: |_, c| without(c, "aud") => ClaimMissing("aud"),
    aud_wrong: |_, c| c["aud"] = json!("other") => WrongAudience,
    aud_empty: |_, c| c["aud"] = json!("") => WrongAudience,
    aud_with_our_prefix: |_, c| c["aud"] = json!("thidua-staging") => WrongAudience,
    aud_list_empty: |_, c| c["aud"] = json!([]) => WrongAudience,
    aud_list_of_others: |_, c| c["aud"] = json!(["other"]) => WrongAudience,
    aud_list_with_others: |_, c| c["aud"] = json!(["thidua", "other"]) => WrongAudience,
    aud_list_nested: |_, c| c["aud"] = json!([["thidua"]]) => WrongAudience,
    sub_absent: |_, c| without(c, "sub") => ClaimMissing("sub"),
    sub_empty: |_, c| c["sub"] = json!("") => ClaimMalformed("sub"),
    sub_a_number: |_, c| c["sub"] = json!(1) => ClaimMalformed("sub"),
    sub_too_long: |_, c| c["sub"] = json!("a".repeat(256)) => ClaimMalformed("sub"),
    sub_with_newline: |_, c| c["sub"] = json!("a\nb") => ClaimMalformed("sub"),
    sub_with_c1_control: |_, c| c["sub"] = json!("a\u{9b}") => ClaimMalformed("sub"),
    sid_a_number: |_, c| c["sid"] = json!(1) => ClaimMalformed("sid"),
    jti_null: |_, c| c["jti"] = Value::Null => ClaimMalformed("jti"),
    jti_with_escape: |_, c| c["jti"] = json!("\u{1b}[2J") => ClaimMalformed("jti"),
    exp_absent: |_, c| without(c, "exp") => ClaimMissing("exp"),
    exp_null: |_, c| c["exp"] = Value::Null => ClaimMalformed("exp"),
    exp_a_string: |_, c| c["exp"] = json!(c["exp"].to_string()) => ClaimMalformed("exp"),
    exp_1e300: |_, c| c["exp"] = json!(1e300) => ClaimMalformed("exp"),
    exp_a_float: |_, c| c["exp"] = json!(1_800_000_900.0) => ClaimMalformed("exp"),
    exp_negative: |_, c| c["exp"] = json!(-1) => ClaimMalformed("exp"),
    exp_2_to_the_63: |_, c| c["exp"] = json!(1_u64 << 63) => ClaimMalformed("exp"),
    exp_the_last_second: |_, c| c["exp"] = json!(i64::MAX) => LifetimeOutOfBounds,
    exp_zero: |_, c| c["exp"] = json!(0) => Expired,
    expired_5_s: |_, c| lives(c, -60, -5) => Expired,
    expired_30_s: |_, c| lives(c, -60, -30) => Expired,
    iat_absent: |_, c| without(c, "iat") => ClaimMissing("iat"),
    iat_a_string: |_, c| c["iat"] = json!(c["iat"].to_string()) => ClaimMalformed("iat"),
    iat_a_float: |_, c| c["iat"] = json!(1.8e9) => ClaimMalformed("iat"),
    iat_negative: |_, c| c["iat"] = json!(-5) => ClaimMalformed("iat"),
    iat_6_s_ahead: |_, c| c["iat"] = json!(NOW + 6) => IssuedInFuture,
    nbf_a_string: |_, c| c["nbf"] = json!("0") => ClaimMalformed("nbf"),
    nbf_1e300: |_, c| c["nbf"] = json!(1e300) => ClaimMalformed("nbf"),
    nbf_6_s_ahead: |_, c| c["nbf"] = json!(NOW + 6) => NotYetValid,
    lifetime_901_s: |_, c| c["exp"] = json!(NOW + 901) => LifetimeOutOfBounds,
    lifetime_30_days: |_, c| c["exp"] = json!(NOW + 2_592_000) => LifetimeOutOfBounds,
    lifetime_by_old_iat: |_, c| c["iat"] = json!(NOW - 1) => LifetimeOutOfBounds,
    ends_before_issue: |_, c| lives(c, 2, 1) => LifetimeOutOfBounds,
}

attacks! { mangled:
    nothing: |_, _, _| String::new() => Malformed,
    one_part: |h, _, _| h.into() => Malformed,
    two_parts: |h, p, _| format!("{h}.{p}") => Malformed,
    four_parts: |h, p, s| format!("{h}.{p}.{s}.") => Malformed,
    five_parts_of_an_encrypted_token: |h, p, s| format!("{h}.{p}.{s}.AA.AA") => Malformed,
    two_tokens_joined_by_dot: |h, p, s| format!("{h}.{p}.{s}.{h}.{p}.{s}") => Malformed,
    two_tokens_joined_by_comma: |h, p, s| format!("{h}.{p}.{s},{h}.{p}.{s}") => Malformed,
    two_tokens_joined_by_space: |h, p, s| format!("{h}.{p}.{s} {h}.{p}.{s}") => Malformed,
    json_serialization: |h, p, s| json!({"protected": h, "payload": p, "signature": s}).to_string() => Malformed,
    space_before: |h, p, s| format!(" {h}.{p}.{s}") => Malformed,
    space_after: |h, p, s| format!("{h}.{p}.{s} ") => Malformed,
    newline_after: |h, p, s| format!("{h}.{p}.{s}\n") => Malformed,
    nul_after: |h, p, s| format!("{h}.{p}.{s}\0") => Malformed,
    newline_in_signature: |h, p, s| format!("{h}.{p}.{}\n{}", &s[..9], &s[9..]) => Malformed,
    signature_padded: |h, p, s| format!("{h}.{p}.{s}==") => Malformed,
    signature_with_one_character_more: |h, p, s| format!("{h}.{p}.{s}A") => BadSignature,
    signature_in_standard_alphabet: |h, p, _| format!("{h}.{p}.{}", "+/".repeat(43)) => Malformed,
    signature_with_spare_bits: |h, p, s| format!("{h}.{p}.{}", with_spare_bits(s)) => Malformed,
    signature_empty: |h, p, _| format!("{h}.{p}.") => BadSignature,
    header_padded: |h, p, s| format!("{h}=.{p}.{s}") => Malformed,
    payload_padded: |h, p, s| format!("{h}.{p}=.{s}") => BadSignature,
    payload_empty: |h, _, s| format!("{h}..{s}") => BadSignature,
    payload_of_another: |h, _, s| format!("{h}.{}.{s}", b64(claims().to_string().replace("-b", "-a"))) => BadSignature,
    alg_none_unsigned: |_, p, _| format!("{}.{p}.", b64(r#"{"alg":"none","typ":"at+jwt","kid":"k1"}"#)) => WrongAlgorithm,
}

// For P-256 the halves are r and s: zero and the order of the curve are the values with which
// verifiers were once fooled (CVE-2022-21449).
attacks! { missigned:
    signature_zero: |s| s.fill(0) => BadSignature,
    signature_first_half_zero: |s| s[..32].fill(0) => BadSignature,
    signature_second_half_zero: |s| s[32..].fill(0) => BadSignature,
    signature_first_half_the_order: |s| s[..32].copy_from_slice(&P256_ORDER) => BadSignature,
    signature_second_half_the_order: |s| s[32..64].copy_from_slice(&P256_ORDER) => BadSignature,
    signature_both_halves_the_order: |s| *s = [P256_ORDER, P256_ORDER].concat() => BadSignature,
    signature_truncated_by_one: |s| s.truncate(s.len() - 1) => BadSignature,
    signature_longer: |s| s.push(0) => BadSignature,
    signature_with_zero_before: |s| s.insert(0, 0) => BadSignature,
    signature_in_der: |s| *s = der(s) => BadSignature,
    signature_with_flipped_bit: |s| s[5] ^= 1 => BadSignature,
}

const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn der(s: &[u8]) -> Vec<u8> {
    let half = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    [&[0x30, 70], half(&s[..32]).as_slice(), &half(&s[32..64])].concat()
}

/// Sets a bit that the last character has too many: the bytes stay the same, the text does not.
fn with_spare_bits(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.find(&part[part.len() - 1..]).unwrap();
    format!("{}{}", &part[..part.len() - 1], &ALPHABET[last + 1..last + 2])
}

/// RFC 7518 asks for no low s, and honest issuers write either, so the twin of a signature is
/// accepted. It says the same of the same caller; therefore a deny-list must name `jti` or `sid`,
/// never the text of a token.
#[test]
fn the_high_s_twin_of_a_p256_signature_is_accepted_as_the_same_caller() {
    let bench = &Bench::all()[1];
    let twin = |s: &mut Vec<u8>| {
        let mut borrow = 0;
        for index in (0..32).rev() {
            let digit = i32::from(P256_ORDER[index]) - i32::from(s[32 + index]) - borrow;
            borrow = i32::from(digit < 0);
            s[32 + index] = digit.rem_euclid(256) as u8;
        }
    };
    let expected = bench.verifier.verify(&bench.good_token(), NOW);
    assert!(expected.is_ok());
    // Signatures are random: of eight, some twins have the high s and some the low one.
    for _ in 0..8 {
        assert_eq!(bench.verifier.verify(&bench.missigned(twin), NOW), expected);
    }
}

#[test]
fn an_rsa_key_verifies_no_older_padding() {
    let bench = &Bench::all()[2];
    for (alg, refusal) in [("PS256", BadSignature), ("RS256", WrongAlgorithm)] {
        let mut header = bench.header();
        header["alg"] = json!(alg);
        let message = message(&header, &claims());
        let signature = rsa_sign(&RSA_PKCS1_SHA256, message.as_bytes());
        bench.refuses(alg, &format!("{message}.{}", b64(signature)), refusal);
    }
}

// JSON that two readers could understand differently, under a good signature.
attacks! { worded:
    kid_twice: |h, c| [twice(h, r#""kid":"k1""#), c.into()] => Malformed,
    alg_twice: |h, c| [twice(h, r#""alg":"none""#), c.into()] => Malformed,
    header_a_list: |_, c| [br#"["EdDSA","at+jwt","k1"]"#.into(), c.into()] => Malformed,
    header_with_more: |h, c| [format!("{h}{{}}").into(), c.into()] => Malformed,
    header_not_json: |_, c| [b"at+jwt".into(), c.into()] => Malformed,
    sub_twice: |h, c| [h.into(), twice(c, r#""sub":"lò-thị-b""#)] => Malformed,
    exp_twice: |h, c| [h.into(), twice(c, r#""exp":1"#)] => Malformed,
    claims_a_list: |h, _| [h.into(), b"[1,2,3,4,5,6,7,8]".into()] => Malformed,
    claims_with_more: |h, c| [h.into(), format!("{c}x").into()] => Malformed,
    claims_after_byte_order_mark: |h, c| [h.into(), format!("\u{feff}{c}").into()] => Malformed,
    claims_too_deep: |h, _| [h.into(), format!(r#"{{"sub":{}"#, "[".repeat(3000)).into()] => Malformed,
    claims_not_utf_8: |h, _| [h.into(), b"{\"sub\":\"\xff\"}".into()] => Malformed,
}

fn twice(json: &str, member: &str) -> Vec<u8> {
    format!("{{{member},{}", &json[1..]).into()
}

#[test]
fn a_well_signed_but_padded_part_is_refused() {
    for bench in Bench::all() {
        // Spaces are valid JSON: the control differs by nothing but its trailing equals sign.
        let claims = claims().to_string();
        let claims = claims.clone() + &" ".repeat(3 - (claims.len() + 2) % 3);
        let padded = format!("{}.{}", b64(bench.header().to_string()), URL_SAFE.encode(claims));
        let bare = bench.signed(padded.trim_end_matches('=').to_owned());
        assert!(padded.ends_with('=') && bench.verifier.verify(&bare, NOW).is_ok());
        bench.refuses("padded", &bench.signed(padded), Malformed);
    }
}

#[test]
fn the_size_limit_comes_before_all_parsing() {
    let bench = &Bench::all()[0];
    let sized = |few: usize, many: usize| {
        let header = bench.header().to_string() + &" ".repeat(few);
        let claims = claims().to_string() + &" ".repeat(many);
        bench.signed(format!("{}.{}", b64(header), b64(claims)))
    };
    let mut lengths = BTreeSet::new();
    for token in (5800..6000).flat_map(|many| (0..3).map(move |few| sized(few, many))) {
        let verdict = bench.verifier.verify(&token, NOW).map(|_| ());
        let fits = token.len() <= MAX_TOKEN_BYTES;
        assert_eq!(verdict, if fits { Ok(()) } else { Err(TooLarge) });
        lengths.insert(token.len());
    }
    assert!(lengths.contains(&MAX_TOKEN_BYTES) && lengths.contains(&(MAX_TOKEN_BYTES + 1)));
    bench.refuses("8 MiB", &sized(0, 6 << 20), TooLarge);
    bench.refuses("8 MiB of nothing", &"A".repeat(8 << 20), TooLarge);
}

#[test]
fn an_attackers_key_is_not_taken_from_the_header() {
    for (bench, evil) in Bench::all().iter().zip([Bench::ed(), Bench::ec(), Bench::ed()]) {
        for (kid, refusal) in [("k1", BadSignature), ("evil", UnknownKeyId)] {
            let mut header = bench.header();
            header["kid"] = json!(kid);
            header["jwk"] = evil.jwk.clone();
            header["jku"] = json!("https://evil.example/jwks");
            let message = message(&header, &claims());
            let token = format!("{message}.{}", b64((evil.sign)(message.as_bytes())));
            bench.refuses(kid, &token, refusal);
        }
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    for bench in Bench::all() {
        let jwk = &bench.jwk;
        let member = jwk.get("n").or(jwk.get("x")).and_then(Value::as_str).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(member).unwrap();
        for secret in [raw.as_slice(), member.as_bytes(), jwk.to_string().as_bytes()] {
            for alg in ["HS256", jwk["alg"].as_str().unwrap()] {
                let mut header = bench.header();
                header["alg"] = json!(alg);
                let message = message(&header, &claims());
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
                let refusal = if alg == "HS256" { WrongAlgorithm } else { BadSignature };
                bench.refuses(alg, &format!("{message}.{}", b64(tag)), refusal);
            }
        }
    }
}
