//! The contract as tests read it: its operations, and whether a value obeys a schema of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub struct Contract {
    pub document: Value,
    pub operations: Vec<Documented>,
}

/// One operation.
pub struct Documented {
    pub id: String,
    pub method: String,
    pub document: Value,
}

impl Contract {
    pub fn served() -> Self {
        let document = thidua::app::openapi();
        let mut operations = Vec::new();
        for item in document["paths"].as_object().unwrap().values() {
            for (method, operation) in item.as_object().unwrap() {
                operations.push(Documented {
                    id: operation["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase(),
                    document: operation.clone(),
                });
            }
        }
        Self { document, operations }
    }

    /// What a reference leads to, or the value itself.
    pub fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// The example of the operation's JSON body, beside its schema or in it; of an operation without a body nothing.
    pub fn request_example<'a>(&'a self, operation: &'a Documented) -> Option<&'a Value> {
        let content = operation.document["requestBody"]["content"].get("application/json")?;
        let examples = [&content["example"], &self.resolved(&content["schema"])["example"]];
        let example = examples.into_iter().find(|example| !example.is_null());
        Some(example.unwrap_or_else(|| panic!("{}: its request body has no example", operation.id)))
    }

    /// The types that a schema allows.
    pub fn kinds(schema: &Value) -> impl Iterator<Item = &str> {
        let list = schema["type"].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().chain(std::iter::once(&schema["type"])).filter_map(Value::as_str)
    }

    /// Where the operation's body may carry a value whose schema is `wanted`, as pointers; `*` is any member of a map.
    pub fn places_in_body(&self, operation: &Documented, wanted: &impl Fn(&Value) -> bool) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let schema = &operation.document["requestBody"]["content"]["application/json"]["schema"];
        self.places(schema, "", wanted, &mut found);
        found
    }

    fn places(&self, schema: &Value, path: &str, wanted: &impl Fn(&Value) -> bool, found: &mut BTreeSet<String>) {
        let schema = self.resolved(schema);
        if wanted(schema) {
            found.insert(path.to_owned());
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            self.places(member, &format!("{path}/{name}"), wanted, found);
        }
        for (members, part) in [("items", "0"), ("additionalProperties", "*")] {
            if schema[members].is_object() {
                self.places(&schema[members], &format!("{path}/{part}"), wanted, found);
            }
        }
        for branch in ["oneOf", "anyOf", "allOf"].iter().filter_map(|one| schema[*one].as_array()).flatten() {
            self.places(branch, path, wanted, found);
        }
    }

    /// Why `value` is not what the schema says; a member that the schema does not name is a reason, too.
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut root = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema] });
        if schema.to_string().contains("$ref") {
            root["components"] = json!({ "schemas": self.document["components"]["schemas"] });
        }
        let validator = jsonschema::options().should_validate_formats(true).build(&root).unwrap();
        let errors = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path()));
        let mut faults: Vec<String> = errors.collect();
        self.strangers(schema, value, "", &mut faults);
        faults
    }

    /// Members of `value` that no part of the schema names.
    fn strangers(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let parts = self.parts(schema);
        match value {
            Value::Array(items) => {
                let each = one_of(parts.iter().filter_map(|part| part.get("items")));
                for (index, item) in items.iter().enumerate() {
                    self.strangers(&each, item, &format!("{at}/{index}"), found);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let named: Vec<&Value> = parts.iter().filter_map(|part| part["properties"].get(name)).collect();
                    if !named.is_empty() {
                        self.strangers(&one_of(named.into_iter()), member, &format!("{at}/{name}"), found);
                    } else if !parts.iter().any(|part| is_open(part)) {
                        found.push(format!("{at}/{name}: is not in the contract"));
                    }
                }
            }
            _ => {}
        }
    }

    /// The schema, and those that it refers to for the same value.
    fn parts<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let inner = ["allOf", "oneOf", "anyOf"].iter().filter_map(|word| schema[*word].as_array()).flatten();
        let referred = schema.get("$ref").map(|_| self.resolved(schema));
        let further: Vec<&Value> = inner.chain(referred).flat_map(|part| self.parts(part)).collect();
        std::iter::once(schema).chain(further).collect()
    }
}

/// The body with this value at that place, and the place itself; what is on the way there is made.
pub fn put(mut body: Value, pointer: &str, value: &Value) -> (Value, String) {
    let (mut here, mut place) = (&mut body, String::new());
    for part in pointer.trim_start_matches('/').split('/') {
        if part == "0" && !here.is_array() {
            *here = json!([{}]);
        } else if part != "0" && !here.is_object() {
            *here = json!({});
        }
        let part = match here.as_object() {
            Some(members) if part == "*" => members.keys().next().cloned().unwrap_or_else(|| "kind".to_owned()),
            _ => part.to_owned(),
        };
        place.push_str(&format!("/{part}"));
        here = match here {
            Value::Array(items) => {
                if items.is_empty() {
                    items.push(json!({}));
                }
                &mut items[0]
            }
            other => &mut other[part.as_str()],
        };
    }
    *here = value.clone();
    (body, place)
}

fn one_of<'a>(schemas: impl Iterator<Item = &'a Value>) -> Value {
    let schemas: Vec<Value> = schemas.cloned().collect();
    if schemas.is_empty() { Value::Object(Map::new()) } else { json!({ "anyOf": schemas }) }
}

/// Whether the schema leaves the members free: a map, or an object of which nothing more is said.
fn is_open(schema: &Value) -> bool {
    let constrains = ["$ref", "allOf", "oneOf", "anyOf", "properties", "type"];
    let untold = !constrains.iter().any(|word| schema.get(word).is_some());
    let is_object =
        schema["type"] == "object" || schema["type"].as_array().is_some_and(|t| t.contains(&json!("object")));
    let map = schema.get("additionalProperties").is_some_and(|rest| *rest != json!(false));
    untold || map || (is_object && schema.get("properties").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_what_the_schema_says_is_found() {
        let contract = Contract::served();
        let schema = json!({ "$ref": "#/components/schemas/Health" });
        let faults = |value| contract.faults(&schema, &value);
        assert!(faults(json!({ "status": "ok", "pending_migrations": [] })).is_empty());
        assert_eq!(faults(json!({ "status": 1, "pending_migrations": [] })).len(), 1, "a wrong type");
        assert_eq!(faults(json!({ "status": "ok" })).len(), 1, "a missing member");
        assert_eq!(faults(json!({ "status": "ok", "pending_migrations": [], "more": 1 })).len(), 1, "a stranger");
        let id = json!({ "type": "string", "format": "uuid" });
        assert_eq!(contract.faults(&id, &json!("01900000")).len(), 1, "a wrong format");
    }
}
