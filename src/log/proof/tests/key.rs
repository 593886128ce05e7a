//! Keys: the published ones, every change to them, and what a private key shows.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, Pkcs8V2Der};
use aws_lc_rs::signature::Ed25519KeyPair;
use proptest::prelude::*;

use super::super::key::{Algorithm, KeyError, SigningKey, VerifierKey, is_key_name};
use super::{log_key, witness_key};

/// golang.org/x/mod, `sumdb/note/note_test.go`.
pub const PETER_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
pub const PETER_SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
pub const ENOCH_VKEY: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
/// transparency-dev/formats, `note/note_cosigv1_test.go`; of type 0x01 with a plus in its base64, and of type 0x04.
const PLUS_VKEY: &str = "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6";
pub const REMORA_VKEY: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

fn refused(vkey: &str) -> KeyError {
    vkey.parse::<VerifierKey>().expect_err(vkey)
}

#[test]
fn published_vkeys_are_read_and_written() {
    let keys = [
        (PETER_VKEY, "PeterNeumann", 0xc74f_20a3, Algorithm::Ed25519),
        (ENOCH_VKEY, "EnochRoot", 0xaf0c_fe78, Algorithm::Ed25519),
        (PLUS_VKEY, "TEST", 0x7997_405c, Algorithm::Ed25519),
        (REMORA_VKEY, "remora.n621.de", 0xda77_ade7, Algorithm::CosignatureV1),
    ];
    for (vkey, name, id, algorithm) in keys {
        let key: VerifierKey = vkey.parse().unwrap();
        assert_eq!((key.name(), key.id(), key.algorithm()), (name, id, algorithm));
        assert_eq!(key.to_string(), vkey);
    }
}

/// As Go's tests do: every part, and every byte plus one.
#[test]
fn no_vkey_or_skey_can_be_changed() {
    for key in [PETER_VKEY, PETER_SKEY] {
        let accepted = |key: &str| key.parse::<VerifierKey>().is_ok() || SigningKey::from_skey(key).is_ok();
        assert!(accepted(key));
        for start in 0..=key.len() {
            for end in start..=key.len() {
                let part = &key[start..end];
                assert!(part == key || part == PETER_VKEY || !accepted(part), "{part}");
            }
            let mut bytes = key.as_bytes().to_vec();
            if let Some(byte) = bytes.get_mut(start) {
                *byte += 1;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(!accepted(&changed), "{changed}");
            }
        }
    }
}

#[test]
fn what_is_wrong_with_a_vkey_is_said() {
    // The first two are from Go's tests: another length and another type, with the id that goes with them.
    let long = "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==";
    assert_eq!(refused(long), KeyError::Format);
    let unknown = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(refused(unknown), KeyError::UnknownAlgorithm(0x65));
    assert_eq!(refused(&PETER_VKEY.replace("c74f20a3", "c74f20a4")), KeyError::IdMismatch);
    assert_eq!(refused(&PETER_VKEY.replace("c74f20a3", "C74F20A3")), KeyError::Format);
    assert_eq!(refused(&PETER_VKEY.replace("c74f20a3", "+74f20a3")), KeyError::Format);
    assert_eq!(refused(&PETER_VKEY.replace("PeterNeumann", "")), KeyError::Name);
    assert_eq!(refused(&PETER_VKEY.replace("PeterNeumann", "Peter Neumann")), KeyError::Name);
    assert_eq!(refused("PeterNeumann+c74f20a3+"), KeyError::Format);
    assert_eq!(refused(&format!("{PETER_VKEY}\n")), KeyError::Format);
}

#[test]
fn names_have_no_space_plus_or_control_character() {
    for name in ["a", "example.com/log", "Việt", "oid/1.3.6", "—"] {
        assert!(is_key_name(name), "{name}");
    }
    for name in ["", " ", "a b", "a+b", "a\tb", "a\n", "a\u{a0}b", "a\u{2003}b", "a\u{3000}", "a\u{1}"] {
        assert!(!is_key_name(name), "{name:?}");
        assert!(SigningKey::from_seed(name, Algorithm::Ed25519, &[1; 32]).is_err());
    }
}

#[test]
fn skeys_are_those_of_go() {
    let key = SigningKey::from_skey(PETER_SKEY).unwrap();
    assert_eq!(key.verifier().to_string(), PETER_VKEY);
    assert_eq!(key.to_skey().as_deref(), Ok(PETER_SKEY));
    for key in [log_key(), witness_key(1)] {
        let again = SigningKey::from_skey(&key.to_skey().unwrap()).unwrap();
        assert_eq!(again.verifier(), key.verifier());
    }
    let other = PETER_SKEY.replace("c74f20a3", "c74f20a4");
    assert_eq!(SigningKey::from_skey(&other).err(), Some(KeyError::IdMismatch));
}

#[test]
fn a_key_is_the_same_from_seed_and_from_pkcs8() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let (v1, v2): (Pkcs8V1Der<'_>, Pkcs8V2Der<'_>) = (pair.as_der().unwrap(), pair.as_der().unwrap());
    for der in [v1.as_ref(), v2.as_ref()] {
        let key = SigningKey::from_pkcs8("thidua.example.vn/log", Algorithm::Ed25519, der).unwrap();
        assert_eq!(key.verifier(), log_key().verifier());
        assert_eq!(key.sign("text\n"), log_key().sign("text\n"));
    }
    assert_eq!(SigningKey::from_pkcs8("log", Algorithm::Ed25519, b"no key").err(), Some(KeyError::Rejected));
}

/// RFC 8032, section 7.1, test 2.
#[test]
fn the_public_key_is_that_of_rfc_8032() {
    let seed = super::hash("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let key = SigningKey::from_seed("log", Algorithm::Ed25519, &seed).unwrap();
    let public = super::hash("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_eq!(key.verifier().public_key(), &public);
}

#[test]
fn a_private_key_is_not_shown() {
    let key = SigningKey::from_skey(PETER_SKEY).unwrap();
    let shown = [format!("{key:?}"), format!("{key:#?}")].concat();
    assert!(shown.contains("PeterNeumann"));
    assert!(!shown.contains("AYEKFALV") && !shown.contains("810a1402"), "{shown}");
    assert!(!shown.replace(['\n', ' '], "").contains("129,10,20,2,213"), "{shown}");
}

#[test]
fn each_type_does_its_own() {
    let text = "thidua.example.vn/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    assert_eq!(witness_key(1).sign(text), Err(KeyError::WrongAlgorithm));
    assert_eq!(log_key().cosign(text, 1), Err(KeyError::WrongAlgorithm));
    assert_eq!(witness_key(1).cosign("no checkpoint\n", 1), Err(KeyError::Text));
    assert_eq!(witness_key(1).cosign(text, 1 << 63), Err(KeyError::Time));
    assert_eq!(log_key().sign("no newline"), Err(KeyError::Text));
    assert_eq!(log_key().sign("a tab\t\n"), Err(KeyError::Text));
    let time = (1 << 63) - 1;
    let signature = witness_key(1).cosign(text, time).unwrap();
    assert_eq!(witness_key(1).verifier().verify(text, &signature.bytes), Ok(Some(time)));
}

proptest! {
    #[test]
    fn keys_survive(seed in any::<[u8; 32]>(), name in "[a-zđêộ./0-9-]{1,20}", cosigns in any::<bool>()) {
        let algorithm = if cosigns { Algorithm::CosignatureV1 } else { Algorithm::Ed25519 };
        let key = SigningKey::from_seed(&name, algorithm, &seed).unwrap();
        prop_assert_eq!(&key.verifier().to_string().parse::<VerifierKey>().unwrap(), key.verifier());
        let skey = key.to_skey().unwrap();
        prop_assert_eq!(SigningKey::from_skey(&skey).unwrap().to_skey().unwrap(), skey);
    }

    #[test]
    fn no_text_is_too_strange_for_a_key(text in "\\PC{0,60}") {
        let _ = text.parse::<VerifierKey>();
        let _ = SigningKey::from_skey(&format!("PRIVATE+KEY+{text}"));
    }
}
