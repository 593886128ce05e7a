//! A sealed event looked at again: whether its leaf has the hash that was kept, and whether the columns, by which events
//! are found, repeat what the leaf says. Pure.

use serde_json::Value;
use uuid::Uuid;

use super::fold::stream;
use super::proof::tree::{Hash, leaf_hash};
use super::store::Sealed;
use crate::clock::parse_rfc3339;

/// An event that is not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its position.
    pub position: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// The first column that does not say what the leaf says.
pub fn lie(event: &Sealed) -> Option<&'static str> {
    let Ok(leaf) = serde_json::from_slice::<Value>(&event.leaf) else { return Some("the leaf is no JSON") };
    let id = |value: &Value| value.as_str().and_then(|id| Uuid::parse_str(id).ok());
    let at = leaf["at"].as_str().and_then(parse_rfc3339);
    let same = [
        (id(&leaf["id"]) == Some(event.event_id), "event_id is not what the leaf says"),
        (stream(&leaf) == Some((event.stream_type.as_str(), event.stream_id)), "the stream is not what the leaf says"),
        (leaf["ver"].as_i64() == Some(event.stream_ver), "stream_ver is not what the leaf says"),
        (leaf["type"].as_str() == Some(event.event_type.as_str()), "event_type is not what the leaf says"),
        (id(&leaf["actor"]["id"]) == event.actor_id, "actor_id is not what the leaf says"),
        (id(&leaf["unit"]) == event.unit_id, "unit_id is not what the leaf says"),
        (id(&leaf["scope"]) == event.scope_id, "scope_id is not what the leaf says"),
        (leaf["corr"].as_str() == event.corr_id.as_deref(), "corr_id is not what the leaf says"),
        (at == Some(event.at), "at is not what the leaf says"),
    ];
    same.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

/// Every event that differs from what was kept of it. `hashes` are those of the events from `first` on.
pub fn changed(first: u64, events: &[Sealed], hashes: &[Hash]) -> Vec<Changed> {
    let mut events = events.iter().peekable();
    let mut found = Vec::new();
    for (position, hash) in (first..).zip(hashes) {
        let what = match events.next_if(|event| u64::try_from(event.seq) == Ok(position)) {
            None => Some("it is missing"),
            Some(event) if leaf_hash(&event.leaf) != *hash => Some("the leaf has another hash"),
            Some(event) => lie(event),
        };
        found.extend(what.map(|what| Changed { position, what }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column and a change to it.
    type Edit = (&'static str, fn(&mut Sealed));

    fn event(seq: i64) -> Sealed {
        let (id, record) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let leaf = format!(
            r#"{{"actor":{{"id":null,"kind":"console"}},"at":"2023-11-14T22:13:20.123456Z","changes":{{}},"corr":"r","id":"{id}","prev":null,"reason":null,"scope":null,"stream":"unit/{record}","type":"unit.registered","unit":"{record}","v":1,"ver":{}}}"#,
            seq + 1
        );
        Sealed {
            seq,
            event_id: id,
            stream_type: "unit".into(),
            stream_id: record,
            stream_ver: seq + 1,
            event_type: "unit.registered".into(),
            actor_id: None,
            unit_id: Some(record),
            scope_id: None,
            corr_id: Some("r".into()),
            at: 1_700_000_000_123_456,
            leaf: leaf.into_bytes(),
        }
    }

    #[test]
    fn every_column_has_to_repeat_the_leaf() {
        assert_eq!(lie(&event(0)), None);
        let edits: [Edit; 9] = [
            ("event_id", |event| event.event_id = Uuid::nil()),
            ("stream", |event| event.stream_type = "figure".into()),
            ("stream", |event| event.stream_id = Uuid::nil()),
            ("stream_ver", |event| event.stream_ver += 1),
            ("event_type", |event| event.event_type = "unit.amended".into()),
            ("actor_id", |event| event.actor_id = Some(Uuid::nil())),
            ("unit_id", |event| event.unit_id = None),
            ("scope_id", |event| event.scope_id = Some(Uuid::nil())),
            ("at", |event| event.at += 1),
        ];
        for (name, edit) in edits {
            let mut event = event(0);
            edit(&mut event);
            assert!(lie(&event).unwrap().contains(name), "{name}");
        }
    }

    #[test]
    fn what_was_changed_is_named_by_its_position() {
        let mut events: Vec<Sealed> = (0..6).map(event).collect();
        let hashes: Vec<Hash> = events.iter().map(|event| leaf_hash(&event.leaf)).collect();
        assert_eq!(changed(0, &events, &hashes), []);
        events[1].leaf.push(b' ');
        events[4].corr_id = None;
        events.remove(2);
        let found: Vec<(u64, &str)> = changed(0, &events, &hashes).iter().map(|one| (one.position, one.what)).collect();
        let named = [(1, "the leaf has another hash"), (2, "it is missing"), (4, "corr_id is not what the leaf says")];
        assert_eq!(found, named);
    }
}
