//! From the text of a rule file to a checked JSON document, with the line of every value.
//!
//! Lives here: reading YAML, the published JSON Schema, and findings. Never here: what a rule means; names that point
//! nowhere are found in `references`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::canonical::{canonical, push_pointer};

/// The schema of `award-rules/1`, as published beside the campaigns.
pub const SCHEMA: &str = include_str!("../../../campaigns/award-rules.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the embedded schema is JSON");
    jsonschema::validator_for(&schema).expect("the embedded schema is a JSON Schema")
});

/// One thing wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Line in the YAML text, counted from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// JSON pointer to the value at fault; empty for the whole file.
    pub path: String,
    /// What is wrong, in a sentence.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

/// A document and where each of its values stands in the text.
#[derive(Debug)]
pub struct Document {
    /// The whole file as JSON.
    pub value: Value,
    /// The whole file in canonical form, which is what is hashed.
    pub canonical: String,
    lines: BTreeMap<String, u64>,
}

impl Document {
    /// Reads and checks a rule file against the schema.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Finding>> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let located: Spanned<Node> =
            serde_saphyr::from_str_with_options(yaml, options).map_err(|error| vec![unreadable(&error)])?;
        let mut lines = BTreeMap::new();
        let value = flatten(located, &mut String::new(), &mut lines);
        let canonical = match canonical(&value) {
            Ok(text) => text,
            Err(error) => {
                let path = error.path().to_owned();
                return Err(vec![Finding { line: line_of(&lines, &path), path, reason: error.to_string() }]);
            }
        };
        let document = Self { value, canonical, lines };
        let findings = document.against_schema();
        if findings.is_empty() { Ok(document) } else { Err(findings) }
    }

    /// A finding about the value at `path`.
    pub fn finding(&self, path: &str, reason: impl Into<String>) -> Finding {
        Finding { line: line_of(&self.lines, path), path: path.to_owned(), reason: reason.into() }
    }

    fn against_schema(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = VALIDATOR
            .iter_errors(&self.value)
            .map(|error| {
                let (path, reason) = deepest(&error);
                self.finding(&path, reason)
            })
            .collect();
        findings.sort();
        findings.dedup();
        findings
    }
}

/// The JSON pointer through these names.
pub(super) fn pointer(parts: &[&str]) -> String {
    let mut path = String::new();
    for part in parts {
        push_pointer(&mut path, part);
    }
    path
}

/// The line of the value at `path`, or of the nearest value around it.
fn line_of(lines: &BTreeMap<String, u64>, path: &str) -> Option<u64> {
    let mut path = path;
    loop {
        if let Some(line) = lines.get(path) {
            return Some(*line);
        }
        path = &path[..path.rfind('/')?];
    }
}

/// A failed `oneOf` says only that no branch fits; the deepest failure below it is the one the author can act on.
fn deepest(error: &ValidationError<'_>) -> (String, String) {
    let own = (error.instance_path().to_string(), error.to_string());
    let branches = match error.kind() {
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => context,
        _ => return own,
    };
    branches.iter().flatten().filter(|inner| !wrong_type(inner)).map(deepest).fold(own, |best, next| {
        let deeper = next.0.matches('/').count() >= best.0.matches('/').count();
        if deeper { next } else { best }
    })
}

/// Branches for another type of value ("is not a string") explain nothing.
fn wrong_type(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { .. })
}

fn unreadable(error: &serde_saphyr::Error) -> Finding {
    Finding {
        line: error.location().map(|location| location.line()),
        path: String::new(),
        reason: format!("not readable as YAML: {}", error.without_snippet()),
    }
}

/// A YAML node; the `Spanned` around it carries the line.
#[derive(Debug)]
enum Node {
    Scalar(Value),
    Sequence(Vec<Spanned<Node>>),
    Mapping(Vec<(String, Spanned<Node>)>),
}

fn flatten(node: Spanned<Node>, path: &mut String, lines: &mut BTreeMap<String, u64>) -> Value {
    lines.insert(path.clone(), node.referenced.line());
    let length = path.len();
    match node.value {
        Node::Scalar(value) => value,
        Node::Sequence(items) => {
            let mut out = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                push_pointer(path, &index.to_string());
                out.push(flatten(item, path, lines));
                path.truncate(length);
            }
            Value::Array(out)
        }
        Node::Mapping(members) => {
            let mut out = Map::new();
            for (key, member) in members {
                push_pointer(path, &key);
                out.insert(key, flatten(member, path, lines));
                path.truncate(length);
            }
            Value::Object(out)
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    // A float is let in only so that the canonical form can refuse it with its path and line.
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Node::Mapping(members))
    }
}
