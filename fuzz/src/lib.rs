//! What is true of every input, for each parser that reads what strangers or operators send. The fuzzer searches for an
//! input that breaks it; `cargo test` replays what was found (`tests/it/fuzzing.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use thidua::auth::keys::Keys;
use thidua::auth::token::{LEEWAY_SECONDS, MAX_ID_CHARS, Verifier};
use thidua::campaigns::Folder;
use thidua::canonical::canonical;
use thidua::http::page::{Cursors, Found, Place, Slice};
use thidua::log::fold::Folded;
use thidua::recommendations::knowledge::Knowledge;
use thidua::recommendations::rules::RuleSet;
use uuid::Uuid;

/// A parser and what is true of it.
pub type Target = fn(&[u8]);

/// Every target by name: the name of its program and of its folder of seeds.
pub const TARGETS: [(&str, Target); 5] =
    [("cursor", cursor), ("leaf", leaf), ("rules", rules), ("token", token), ("campaign", campaign)];

/// A cursor that was made is read back; that cursor with any change, for other filters or made up is refused. Input: an
/// id, two bytes of a change, then the name in the cursor and the filters, divided by a zero byte.
pub fn cursor(data: &[u8]) {
    let cursors = Cursors::new(&[7; 32]);
    let Some((head, rest)) = data.split_at_checked(18) else { return };
    let id = Uuid::from_slice(&head[..16]).expect("16 bytes");
    let (name, filters) = rest.split_at(rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len()));
    let Ok(filters) = std::str::from_utf8(filters) else { return };
    let slice = Slice { place: Place::Before(key(name, id)), limit: 1, words: vec![] };
    let found = Found { items: vec![id], more: true, ends: Some([name.to_vec(), name.to_vec()]) };
    let page = cursors.page(&slice, filters, found, |id| *id, |id| id);
    let read = |text: &str, filters: &str| cursors.slice(Some(text), None, filters).ok().map(|slice| slice.place);
    let (next, prev) = (page.next_cursor.expect("more follow"), page.prev_cursor.expect("more come before"));
    assert_eq!(read(&next, filters), Some(Place::After(key(name, id))));
    assert_eq!(read(&prev, filters), Some(Place::Before(key(name, id))));
    assert_eq!(read(&next, &format!("{filters}&x")), None);
    assert_eq!(Cursors::new(&[8; 32]).slice(Some(&next), None, filters).ok().map(|slice| slice.place), None);
    if let Some(other) = changed(&next, head[16], head[17]) {
        assert_eq!(read(&other, filters), None, "{other} for {next}");
    }
    // With a secret that has signed nothing: a fuzzer that sees what is compared soon repeats a cursor from above.
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(Cursors::new(&[9; 32]).slice(Some(text), None, "").is_err(), "nobody signed {text}");
    }
}

fn key(name: &[u8], id: Uuid) -> thidua::http::page::Key {
    thidua::http::page::Key { name: name.to_vec(), id }
}

/// The text with one byte changed, if that is another text.
fn changed(text: &str, place: u8, byte: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let place = usize::from(place) % bytes.len();
    bytes[place] = byte;
    String::from_utf8(bytes).ok().filter(|other| other != text)
}

/// A leaf that has a canonical form has one; a leaf is folded as the next version of its record, or refused. Input: leaves, a line
/// each.
pub fn leaf(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut folded, mut knowledge) = (Folded::default(), Knowledge::default());
    for (position, line) in (0..).zip(text.lines()) {
        if let Ok(value) = serde_json::from_str::<Value>(line)
            && let Ok(written) = canonical(&value)
        {
            let again: Value = serde_json::from_str(&written).expect("canonical JSON is JSON");
            assert_eq!(again, value, "canonical JSON says the same");
            assert_eq!(canonical(&again).as_deref(), Ok(written.as_str()), "it is its own canonical form");
        }
        let version = folded.row.version;
        if folded.apply(position, line).is_ok() {
            assert_eq!((folded.row.version, folded.position), (version + 1, position));
        } else {
            folded = Folded::default();
        }
        let _ = knowledge.apply(position, line);
    }
    knowledge.index();
}

/// A rule file is refused with reasons, or every example that it carries is run; its hash is that of what it says, not of
/// how it is spelt.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match RuleSet::load(text) {
        Ok(set) => {
            assert_eq!(set.check().len(), set.model().tests.len());
            let json = serde_json::to_string(set.document()).expect("a document is JSON");
            assert_eq!(RuleSet::load(&json).map(|again| again.hash().to_owned()), Ok(set.hash().to_owned()));
        }
        Err(findings) => {
            assert!(!findings.is_empty());
            findings.iter().for_each(|finding| tells(finding, text));
        }
    }
}

/// A finding says why, and names a line that there is.
fn tells(finding: &thidua::yaml::Finding, text: &str) {
    assert!(!finding.reason.is_empty());
    // YAML ends a line at a carriage return as well.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u64;
    assert!(finding.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{finding:?} of {lines} lines");
}

/// The moment at which tokens are judged.
const NOW: i64 = 1_800_000_000;
/// The longest life of a token.
const LIFETIME: i64 = 900;
/// The private and the public key of RFC 8037, known to everybody.
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// A token counts only if the key signed these very bytes and every claim is as it must be. Input: two bytes of a change,
/// then header and payload, a line each; or a whole token.
pub fn token(data: &[u8]) {
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let keys =
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"k","x":"{PUBLIC}"}}]}}"#);
    let verifier = Verifier {
        keys: Keys::from_jwks(&keys).expect("a good key set").into(),
        issuer: "https://idp.test".into(),
        audience: "thidua-test".into(),
        max_lifetime: Duration::from_secs(LIFETIME as u64),
    };
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(verifier.verify(text, NOW).is_err() || text.contains('.') && is_signed(text), "{text}");
    }
    let Some((change, rest)) = data.split_at_checked(2) else { return };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return };
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(&rest[..end]), URL_SAFE_NO_PAD.encode(&rest[end + 1..]));
    let pair = Ed25519KeyPair::from_seed_unchecked(&decoded(PRIVATE)).expect("a good key");
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
    if let Ok(caller) = verifier.verify(&token, NOW) {
        let Ok(header) = serde_json::from_slice::<Value>(&rest[..end]) else { return };
        // A claim that nobody reads may say what is no text; then there is nothing to compare with.
        let Ok(payload) = serde_json::from_slice::<Value>(&rest[end + 1..]) else { return };
        assert_eq!((&header["alg"], &header["kid"]), (&"EdDSA".into(), &"k".into()));
        assert!(header.get("crit").is_none(), "{header}");
        assert_eq!(payload["iss"], "https://idp.test");
        assert_eq!(caller.subject, payload["sub"].as_str().expect("a subject"));
        assert!((1..=MAX_ID_CHARS).contains(&caller.subject.chars().count()));
        assert!(caller.expires_at > NOW - LEEWAY_SECONDS && caller.issued_at <= NOW + LEEWAY_SECONDS);
        assert!((0..=LIFETIME).contains(&(caller.expires_at - caller.issued_at)));
    }
    if let Some(other) = changed(&token, change[0], change[1]) {
        assert!(verifier.verify(&other, NOW).is_err(), "{other} was not signed");
    }
}

/// True if RFC 8037's key signed it: anybody may, and a fuzzer that is given such a token as a seed does.
fn is_signed(token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let public = URL_SAFE_NO_PAD.decode(PUBLIC).expect("base64url");
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
    URL_SAFE_NO_PAD.decode(signature).is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
}

/// A campaign's folder is read whole, or refused with a file, a reason and a line that there is. Input: files, each after a
/// line `=== NAME`.
pub fn campaign(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut files = BTreeMap::new();
    for section in text.split("=== ").skip(1) {
        let (name, content) = section.split_once('\n').unwrap_or((section, ""));
        files.insert(name.to_owned(), content.to_owned());
    }
    match Folder::read(&files) {
        Ok(folder) => assert!(folder.texts.iter().all(|(name, text)| files[name] == *text)),
        Err(findings) => {
            assert!(!findings.is_empty());
            for found in findings {
                assert!(!found.file.is_empty() || files.contains_key(""), "{found:?}");
                tells(&found.finding, files.get(&found.file).map_or("", String::as_str));
            }
        }
    }
}
