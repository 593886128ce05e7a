//! What leaves say of one another: the quick way to read it says what the slow one says, and breaks are found where they are.

use proptest::prelude::*;

use super::super::history::{Broken, Chains, History, Link};
use super::super::tree::{Hash, leaf_hash};
use crate::canonical::canonical;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn leaf(stream: &str, version: u64, previous: Option<&str>) -> String {
    let prev = previous.map(|leaf| URL_SAFE_NO_PAD.encode(leaf_hash(leaf.as_bytes())));
    let leaf = json!({ "changes": {}, "prev": prev, "reason": null, "scope": null, "stream": stream, "type": "thing.made",
        "unit": null, "v": 1, "ver": version });
    canonical(&leaf).unwrap()
}

fn follow(chains: &mut Chains, leaf: &str) -> Result<(), Broken> {
    chains.follow(leaf.as_bytes(), &leaf_hash(leaf.as_bytes()))
}

#[test]
fn records_go_on_from_their_last_leaf() {
    let (a1, b1) = (leaf("thing/a", 1, None), leaf("thing/b", 1, None));
    let (a2, b2) = (leaf("thing/a", 2, Some(&a1)), leaf("thing/b", 2, Some(&b1)));
    let mut chains = Chains::from(0);
    for leaf in [&a1, &b1, &b2, &a2] {
        assert_eq!(follow(&mut chains, leaf), Ok(()));
    }
    assert_eq!(chains.records(), 2);
    let (stream, version) = ("thing/a".to_owned(), 3);
    let broken = |leaf: &str| follow(&mut chains.clone(), leaf).unwrap_err();
    assert_eq!(broken(&leaf("thing/a", 3, Some(&a1))), Broken::Previous { stream: stream.clone(), version });
    assert_eq!(broken(&leaf("thing/a", 3, None)), Broken::Previous { stream: stream.clone(), version });
    assert_eq!(broken(&a2), Broken::Version { stream: stream.clone(), version: 2, after: 2 });
    assert_eq!(broken(&leaf("thing/a", 4, Some(&a2))), Broken::Version { stream, version: 4, after: 2 });
    assert_eq!(broken("{}"), Broken::NotALeaf);
    let c2 = leaf("thing/c", 2, Some(&a1));
    assert!(matches!(broken(&c2), Broken::Beginning { version: 2, .. }));
    // Later on, a record's first leaf may stand before the range; but a first version has none before it.
    let mut later = Chains::from(1);
    assert_eq!(follow(&mut later, &c2), Ok(()));
    for leaf in [leaf("thing/d", 1, Some(&a1)), leaf("thing/d", 2, None), leaf("thing/d", 0, None)] {
        assert!(matches!(follow(&mut later, &leaf), Err(Broken::Beginning { .. })), "{leaf}");
    }
}

#[test]
fn a_history_is_of_one_record_from_its_first_version() {
    let a1 = leaf("thing/a", 1, None);
    let a2 = leaf("thing/a", 2, Some(&a1));
    let hash = |leaf: &str| leaf_hash(leaf.as_bytes());
    let mut history = History::default();
    assert_eq!((history.version(), history.tip()), (0, None));
    assert!(matches!(history.clone().follow(a2.as_bytes(), &hash(&a2)), Err(Broken::Beginning { .. })));
    history.follow(a1.as_bytes(), &hash(&a1)).unwrap();
    let other = leaf("thing/b", 1, None);
    let refused = history.clone().follow(other.as_bytes(), &hash(&other));
    assert_eq!(refused, Err(Broken::OtherRecord { stream: "thing/a".into(), other: "thing/b".into() }));
    history.follow(a2.as_bytes(), &hash(&a2)).unwrap();
    assert_eq!((history.stream(), history.version(), history.tip()), ("thing/a", 2, Some(hash(&a2))));
}

/// All of the JSON read.
fn slowly(leaf: &[u8]) -> Option<(String, u64, Option<String>)> {
    let leaf: Value = serde_json::from_slice(leaf).ok()?;
    let prev = leaf.get("prev").filter(|prev| !prev.is_null());
    let prev = prev.map(|prev| prev.as_str().map(str::to_owned).ok_or(())).transpose().ok()?;
    Some((leaf.get("stream")?.as_str()?.to_owned(), leaf.get("ver")?.as_u64()?, prev))
}

fn quickly(leaf: &[u8]) -> Option<(String, u64, Option<String>)> {
    let link = Link::of(leaf).ok()?;
    Some((link.stream.to_owned(), link.version, link.previous.map(str::to_owned)))
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        "[a-z/\"\\\\ế{},:]{0,12}".prop_map(Value::from),
        "[a-z]{3}/[0-9]{3}".prop_map(Value::from)
    ]
}

#[test]
fn what_only_ends_like_a_leaf_is_none() {
    let end = b",\"prev\":null,\"reason\":null,\"scope\":null,\"stream\":\"thing/a\",\"type\":\"t\",\"unit\":null,\"v\":1,\"ver\":1}";
    let link = |start: &[u8]| Link::of(&[start, end].concat()).map(|link| link.version);
    assert_eq!(link(b"{\"actor\":\"x\""), Ok(1));
    for start in [&b"not json"[..], b"{", b"", b"{\"actor\":{\"id\":1", b"{\"actor\":\"\xff\"", b"{\"actor\":\"\n\""] {
        assert_eq!(link(start), Err(Broken::NotALeaf), "{}", start.escape_ascii());
    }
}

proptest! {
    #[test]
    fn the_quick_way_says_what_the_slow_one_says(
        words in prop::collection::vec(text(), 7), version in prop_oneof![0..300_u64, any::<u64>()], v in 0..3,
        reason in any::<bool>(),
    ) {
        let reason = if reason { json!({ "$c": words[0] }) } else { words[0].clone() };
        let leaf = json!({ "actor": words[5], "corr": words[6], "prev": words[1], "reason": reason, "scope": words[2],
            "stream": words[3], "type": words[4], "unit": words[2], "v": v, "ver": version });
        let Ok(leaf) = canonical(&leaf) else { return Ok(()) };
        let escaped = leaf.contains('\\');
        prop_assert!(escaped || quickly(leaf.as_bytes()) == slowly(leaf.as_bytes()), "{}", leaf);
    }

    #[test]
    fn no_bytes_are_too_strange_for_a_leaf(bytes in prop::collection::vec(any::<u8>(), 0..200), hash in any::<Hash>()) {
        let _ = Chains::from(0).follow(&bytes, &hash);
        let _ = History::default().follow(&bytes, &hash);
    }
}
