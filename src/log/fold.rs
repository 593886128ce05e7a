//! Folding: any record at any position is what its leaves say, and nothing else. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::{Micros, parse_rfc3339};
use crate::db::Row;
use crate::db::event::leaf_hash;

/// A record as its leaves describe it. Personal fields are not here: only their digests are, in
/// `row.commitments`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// Version, tip, digests, times.
    pub row: Row,
    /// Public and internal fields that are not null.
    pub state: Map<String, Value>,
    /// Field to the position and event that gave it its present value: the evidence.
    pub origin: Map<String, Value>,
    /// Position of the newest leaf.
    pub position: i64,
    /// Id of the newest event.
    pub event: Uuid,
}

/// A leaf that does not continue its record.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{stream} version {version}: {what}")]
pub struct FoldError {
    /// `type/id`.
    pub stream: String,
    /// The leaf's version.
    pub version: i64,
    /// What is wrong.
    pub what: String,
}

/// The record's type and id as a leaf names them.
pub fn stream(leaf: &Value) -> Option<(&str, Uuid)> {
    let (kind, id) = leaf["stream"].as_str()?.split_once('/')?;
    Some((kind, id.parse().ok()?))
}

impl Folded {
    /// Applies the next leaf of this record.
    pub fn apply(&mut self, position: i64, text: &str) -> Result<(), FoldError> {
        let leaf: Value = serde_json::from_str(text).map_err(|error| FoldError {
            stream: "?".into(),
            version: 0,
            what: error.to_string(),
        })?;
        let fail = |what: String| FoldError {
            stream: leaf["stream"].as_str().unwrap_or("?").to_owned(),
            version: leaf["ver"].as_i64().unwrap_or(0),
            what,
        };
        if leaf["ver"].as_i64() != Some(self.row.version + 1) {
            return Err(fail(format!("follows version {}", self.row.version)));
        }
        let tip = (!self.row.tip.is_empty()).then(|| URL_SAFE_NO_PAD.encode(&self.row.tip));
        if leaf["prev"].as_str() != tip.as_deref() {
            return Err(fail("prev is not the hash of the leaf before".into()));
        }
        let Some(changes) = leaf["changes"].as_object() else { return Err(fail("has no changes".into())) };
        for (field, change) in changes {
            self.change(field, change).map_err(&fail)?;
            self.origin.insert(field.clone(), position.into());
        }
        let at = leaf["at"].as_str().and_then(parse_rfc3339).ok_or_else(|| fail("has no time".into()))?;
        let Some((_, id)) = stream(&leaf) else { return Err(fail("names no record".into())) };
        self.advance(id, at, text);
        self.position = position;
        self.event = leaf["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
        Ok(())
    }

    fn change(&mut self, field: &str, change: &Value) -> Result<(), String> {
        if let Some(pair) = change.get("$c") {
            return exchange(&mut self.row.commitments, field, pair);
        }
        exchange(&mut self.state, field, change)
    }

    fn advance(&mut self, id: Uuid, at: Micros, text: &str) {
        if self.row.version == 0 {
            self.row.created_at = at;
        }
        self.row.id = id;
        self.row.version += 1;
        self.row.tip = leaf_hash(text).to_vec();
        self.row.updated_at = at;
    }
}

/// Replaces the old value by the new one, if the old one is what stands there.
fn exchange(map: &mut Map<String, Value>, field: &str, pair: &Value) -> Result<(), String> {
    let (Some(old), Some(new)) = (pair.get(0), pair.get(1)) else {
        return Err(format!("{field} has no [old, new]"));
    };
    if map.get(field).unwrap_or(&Value::Null) != old {
        return Err(format!("{field} was not what the leaf says it was"));
    }
    if new.is_null() {
        map.remove(field);
    } else {
        map.insert(field.to_owned(), new.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(version: i64, prev: Option<&str>, changes: &str) -> String {
        let prev = prev.map_or("null".to_owned(), |text| format!("{:?}", URL_SAFE_NO_PAD.encode(leaf_hash(text))));
        format!(
            r#"{{"at":"2023-11-14T22:13:20.000000Z","changes":{changes},"id":"{id}","prev":{prev},"stream":"thing/{id}","ver":{version}}}"#,
            id = Uuid::nil()
        )
    }

    #[test]
    fn leaves_fold_in_order_and_only_onto_what_they_say_they_change() {
        let first = leaf(1, None, r#"{"a":[null,1],"b":{"$c":[null,"d1"]}}"#);
        let second = leaf(2, Some(&first), r#"{"a":[1,null],"b":{"$c":["d1","d2"]}}"#);
        let mut thing = Folded::default();
        thing.apply(0, &first).unwrap();
        assert_eq!(thing.state["a"], 1);
        let mut wrong = thing.clone();
        assert!(wrong.apply(1, &leaf(2, Some(&first), r#"{"a":[7,8]}"#)).is_err(), "old value differs");
        assert!(wrong.apply(1, &leaf(2, None, r#"{"a":[1,8]}"#)).is_err(), "prev differs");
        assert!(wrong.apply(1, &leaf(3, Some(&first), r#"{"a":[1,8]}"#)).is_err(), "version differs");
        thing.apply(1, &second).unwrap();
        assert!(thing.state.is_empty());
        assert_eq!(thing.row.commitments["b"], "d2");
        assert_eq!(thing.row.version, 2);
    }
}
