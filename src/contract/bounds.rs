//! Bounds that follow from a type and need not be said at each field: a client that generates validators, and a tester that
//! generates values, find none without limits.

use serde_json::{Value, json};

use crate::canonical::MAX_SAFE;

/// More characters or items than any one text or list of an answer has: a leaf has 64 KiB, and base64url makes a third
/// more of it. Whatever a request says has a limit of its own beside the field.
const ANSWER: u32 = 100_000;

/// Completes every schema below `value`.
pub fn complete(value: &mut Value) {
    if is(value, "string") && ["enum", "const", "maxLength"].iter().all(|name| value[*name].is_null()) {
        let longest = match value["format"].as_str() {
            Some("uuid") => 36,
            Some("date") => 10,
            Some("date-time") => 27,
            _ => ANSWER,
        };
        value["maxLength"] = json!(longest);
    }
    if is(value, "array") && value["maxItems"].is_null() {
        value["maxItems"] = json!(ANSWER);
    }
    if is(value, "integer") {
        // Unsigned types are ours alone; on the wire an integer has one of two widths.
        if !matches!(value["format"].as_str(), Some("int32" | "int64")) {
            value["format"] = json!("int64");
        }
        if value["minimum"].is_null() {
            value["minimum"] = json!(-MAX_SAFE);
        }
        if value["maximum"].is_null() {
            value["maximum"] = json!(MAX_SAFE);
        }
    }
    match value {
        Value::Object(members) => {
            // What an example says is no schema.
            members
                .iter_mut()
                .filter(|(name, _)| !name.starts_with("example"))
                .for_each(|(_, member)| complete(member));
        }
        Value::Array(items) => items.iter_mut().for_each(complete),
        _ => {}
    }
}

fn is(schema: &Value, wanted: &str) -> bool {
    let kind = schema.get("type");
    kind.is_some_and(|kind| {
        kind == wanted || kind.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_type_is_added_and_what_is_said_stays() {
        let mut schema = json!({ "properties": {
            "id": { "type": ["string", "null"], "format": "uuid" },
            "name": { "type": "string", "maxLength": 5 },
            "count": { "type": "integer", "format": "int32", "minimum": 0 },
            "size": { "type": "integer", "minimum": 0, "maximum": 9 },
        }, "example": { "type": "string", "format": "date" } });
        complete(&mut schema);
        assert_eq!(
            schema,
            json!({ "properties": {
            "id": { "type": ["string", "null"], "format": "uuid", "maxLength": 36 },
            "name": { "type": "string", "maxLength": 5 },
            "count": { "type": "integer", "format": "int32", "minimum": 0, "maximum": MAX_SAFE },
            "size": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9 },
        }, "example": { "type": "string", "format": "date" } })
        );
    }
}
