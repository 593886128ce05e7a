//! A record at a moment, folded from its leaves. Pure.

use serde_json::{Map, Value, json};

use super::RecordView;
use super::fold::{FoldError, Folded, stream};
use super::record::PatchOperation;
use crate::clock::Micros;

/// What a record's leaves say up to a moment.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The fold.
    pub folded: Folded,
    kind: String,
    /// Personal fields whose value was erased.
    erased: Map<String, Value>,
}

impl Past {
    /// With the next leaf.
    pub fn with(mut self, position: i64, text: &str) -> Result<Self, FoldError> {
        self.folded.apply(position, text)?;
        // It was applied, so it can be read.
        let leaf: Value = serde_json::from_str(text).unwrap_or_default();
        self.kind = stream(&leaf).map(|(kind, _)| kind.to_owned()).unwrap_or_default();
        let erases = leaf["type"].as_str().is_some_and(|kind| kind.ends_with(".erased"));
        for (field, change) in leaf["changes"].as_object().into_iter().flatten() {
            if erases && change["$c"][1].is_null() {
                self.erased.insert(field.clone(), json!({ "$erased": true }));
            } else {
                self.erased.remove(field);
            }
        }
        Ok(self)
    }

    /// Its version; 0 before its first event.
    pub fn version(&self) -> i64 {
        self.folded.row.version
    }

    /// When its newest event happened.
    pub fn at(&self) -> Micros {
        self.folded.row.updated_at
    }

    /// Which record it is.
    pub fn record(&self) -> RecordView {
        RecordView { kind: self.kind.clone(), id: self.folded.row.id, version: self.version() }
    }

    /// Field to value; of personal fields no more than the leaves say.
    pub fn state(&self) -> Map<String, Value> {
        let commitments = self.folded.row.commitments.iter();
        let committed = commitments.map(|(field, digest)| (field.clone(), json!({ "$c": digest })));
        let mut fields: Vec<(String, Value)> = self.folded.state.clone().into_iter().collect();
        fields.extend(committed.chain(self.erased.clone()));
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        fields.into_iter().collect()
    }

    /// Field to the position of the event that gave it its value.
    pub fn origin(&self) -> Map<String, Value> {
        let state = self.state();
        let origin = self.folded.origin.iter().filter(|(field, _)| state.contains_key(*field));
        origin.map(|(field, position)| (field.clone(), position.clone())).collect()
    }
}

/// What differs, field by field, as `[old, new]`.
pub fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<(String, [Value; 2])> {
    let mut fields: Vec<&String> = old.keys().chain(new.keys()).collect();
    fields.sort();
    fields.dedup();
    let value = |map: &Map<String, Value>, field: &str| map.get(field).cloned().unwrap_or_default();
    let pairs = fields.into_iter().map(|field| (field.clone(), [value(old, field), value(new, field)]));
    pairs.filter(|(_, [old, new])| old != new).collect()
}

/// The same as a JSON Patch (RFC 6902).
pub fn patch(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<PatchOperation> {
    let operation = |(field, [old, new]): (String, [Value; 2])| PatchOperation {
        op: match (old.is_null(), new.is_null()) {
            (true, _) => "add",
            (false, true) => "remove",
            (false, false) => "replace",
        },
        path: format!("/{}", field.replace('~', "~0").replace('/', "~1")),
        value: Some(new).filter(|new| !new.is_null()),
    };
    changes(old, new).into_iter().map(operation).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use uuid::Uuid;

    use super::*;
    use crate::db::event::leaf_hash;

    fn leaf(version: i64, prev: Option<&str>, kind: &str, changes: &str) -> String {
        let prev = prev.map_or("null".to_owned(), |text| format!("{:?}", URL_SAFE_NO_PAD.encode(leaf_hash(text))));
        format!(
            r#"{{"at":"2023-11-14T22:13:2{version}.000000Z","changes":{changes},"id":"{id}","prev":{prev},"stream":"thing/{id}","type":"thing.{kind}","ver":{version}}}"#,
            id = Uuid::nil()
        )
    }

    #[test]
    fn what_was_erased_is_told_apart_from_what_was_taken_back() {
        let first = leaf(1, None, "made", r#"{"a":[null,1],"b":{"$c":[null,"d1"]},"c":{"$c":[null,"d2"]}}"#);
        let second = leaf(2, Some(&first), "amended", r#"{"a":[1,2],"c":{"$c":["d2",null]}}"#);
        let third = leaf(3, Some(&second), "erased", r#"{"b":{"$c":["d1",null]}}"#);
        let one = Past::default().with(4, &first).unwrap();
        assert_eq!(json!(one.state()), json!({ "a": 1, "b": { "$c": "d1" }, "c": { "$c": "d2" } }));
        let two = one.clone().with(7, &second).unwrap();
        let three = two.clone().with(9, &third).unwrap();
        assert_eq!(json!(three.state()), json!({ "a": 2, "b": { "$erased": true } }));
        assert_eq!(json!(three.origin()), json!({ "a": 7, "b": 9 }));
        assert_eq!((three.version(), three.record().kind.as_str()), (3, "thing"));
        let told = json!(patch(&one.state(), &three.state()));
        assert_eq!(
            told,
            json!([
                { "op": "replace", "path": "/a", "value": 2 },
                { "op": "replace", "path": "/b", "value": { "$erased": true } },
                { "op": "remove", "path": "/c" },
            ])
        );
        let from_nothing = json!(patch(&Map::new(), &one.state()));
        assert_eq!(from_nothing[0], json!({ "op": "add", "path": "/a", "value": 1 }));
        assert!(changes(&two.state(), &two.state()).is_empty());
    }
}
