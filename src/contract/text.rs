//! What the strict readers ask of every text: `http::body` refuses characters that are not seen, `http::query` refuses
//! NUL. Said beside each text of a request that has no pattern of its own, so that a client can check
//! it before it asks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Neither control characters (but line ends and tabs) nor invisible ones that steer or join text. That blank text is
/// refused as well is no pattern: those who generate text from one would have to find a letter in it first.
const READABLE: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*$";

/// Text of a query string.
const NO_NUL: &str = r"^[^\u0000]*$";

/// Completes the texts of every request.
pub fn complete(document: &mut Value) {
    let mut named = BTreeSet::new();
    for operation in operations(document) {
        references(&operation["requestBody"], &document["components"]["schemas"], &mut named);
    }
    for name in named {
        said(&mut document["components"]["schemas"][&name], READABLE);
    }
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for operation in paths.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten()).map(|(_, one)| one) {
        if let Some(body) = operation.get_mut("requestBody") {
            said(body, READABLE);
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            if parameter["in"] == "query" {
                said(&mut parameter["schema"], NO_NUL);
            }
        }
    }
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, item)| item.as_object().into_iter().flatten().map(|(_, one)| one))
}

/// The schemas that `value` refers to, and those they refer to.
fn references(value: &Value, schemas: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let name = members
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|place| place.strip_prefix("#/components/schemas/"));
            if let Some(name) = name
                && found.insert(name.to_owned())
            {
                references(&schemas[name], schemas, found);
            }
            members.values().for_each(|member| references(member, schemas, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, schemas, found)),
        _ => {}
    }
}

/// Gives every text below `value` that says nothing of its form this pattern.
fn said(value: &mut Value, pattern: &str) {
    match value {
        Value::Object(members) => {
            let kind = members.get("type");
            let is_text = kind.is_some_and(|kind| {
                kind == "string" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == "string"))
            });
            if is_text && ["enum", "const", "format", "pattern"].iter().all(|word| !members.contains_key(*word)) {
                members.insert("pattern".to_owned(), json!(pattern));
            }
            // What an example says is no schema.
            let inner = members.iter_mut().filter(|(name, _)| !name.starts_with("example"));
            inner.for_each(|(_, member)| said(member, pattern));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| said(item, pattern)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body;

    #[derive(serde::Deserialize, garde::Validate)]
    struct Form {
        #[garde(length(min = 1))]
        text: String,
    }

    #[test]
    fn the_pattern_takes_the_characters_that_a_body_may_have() {
        let validator = jsonschema::validator_for(&json!({ "type": "string", "pattern": READABLE })).unwrap();
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|c| u32::from(*c) < 0x11000) {
            let text = format!("a{c}");
            let read = body::read::<Form>(json!({ "text": text }).to_string().as_bytes());
            assert_eq!(validator.is_valid(&json!(text)), read.is_ok(), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn texts_of_requests_are_completed_and_those_of_answers_are_not() {
        let text = || json!({ "type": ["string", "null"] });
        let mut document = json!({
            "components": { "schemas": {
                "Draft": { "properties": { "a": text(), "b": { "$ref": "#/components/schemas/Deep" } } },
                "Deep": { "properties": { "day": { "type": "string", "format": "date" }, "c": text() } },
                "View": { "properties": { "d": text() } },
            } },
            "paths": { "/x": { "post": {
                "parameters": [{ "in": "query", "schema": text() }, { "in": "header", "schema": text() }],
                "requestBody": { "schema": { "$ref": "#/components/schemas/Draft" } },
                "responses": { "200": { "schema": { "$ref": "#/components/schemas/View" } } },
            } } },
        });
        complete(&mut document);
        let pattern = |pointer: &str| document.pointer(pointer).unwrap()["pattern"].clone();
        assert_eq!(pattern("/components/schemas/Draft/properties/a"), READABLE);
        assert_eq!(pattern("/components/schemas/Deep/properties/c"), READABLE);
        assert_eq!(pattern("/components/schemas/Deep/properties/day"), Value::Null);
        assert_eq!(pattern("/components/schemas/View/properties/d"), Value::Null);
        assert_eq!(pattern("/paths/~1x/post/parameters/0/schema"), NO_NUL);
        assert_eq!(pattern("/paths/~1x/post/parameters/1/schema"), Value::Null);
    }
}
