//! YAML files that people write: the whole document as JSON, and the line of every value, so that whatever is wrong
//! can be shown where it stands.
//!
//! Lives here: reading, lines, findings. Never here: what any file means.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use serde_saphyr::Spanned;

use crate::canonical::{canonical, push_pointer};

/// One thing wrong with a file.
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
    /// The whole file in canonical form.
    pub canonical: String,
    lines: BTreeMap<String, u64>,
}

impl Document {
    /// Reads a file; booleans are `true` and `false` only, and a decimal has no canonical form.
    pub fn parse(yaml: &str) -> Result<Self, Vec<Finding>> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let located: Spanned<Node> =
            serde_saphyr::from_str_with_options(yaml, options).map_err(|error| vec![unreadable(&error)])?;
        let mut lines = BTreeMap::new();
        let value = flatten(located, &mut String::new(), &mut lines);
        match canonical(&value) {
            Ok(canonical) => Ok(Self { value, canonical, lines }),
            Err(error) => {
                let path = error.path().to_owned();
                Err(vec![Finding { line: line_of(&lines, &path), path, reason: error.to_string() }])
            }
        }
    }

    /// What the file says, typed; the first value that does not fit is the finding.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, Finding> {
        self.typed_as(&self.value)
    }

    /// Likewise for `value`: this document with some scalars replaced.
    pub fn typed_as<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Finding> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = path(error.path());
            let reason = match self.value.pointer(&path) {
                Some(Value::String(text)) => format!("{text:?}: {}", error.inner()),
                _ => error.inner().to_string(),
            };
            self.finding(&path, reason)
        })
    }

    /// A finding about the value at `path`.
    pub fn finding(&self, path: &str, reason: impl Into<String>) -> Finding {
        Finding { line: line_of(&self.lines, path), path: path.to_owned(), reason: reason.into() }
    }
}

fn path(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_pointer(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_pointer(&mut pointer, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The JSON pointer through these names.
pub fn pointer(parts: &[&str]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        #[serde(rename = "day")]
        _day: Option<chrono::NaiveDate>,
        #[serde(default, rename = "parts")]
        _parts: Vec<Page>,
    }

    fn finding(yaml: &str) -> (Option<u64>, String, String) {
        let finding = Document::parse(yaml).unwrap().typed::<Page>().unwrap_err();
        (finding.line, finding.path, finding.reason)
    }

    #[test]
    fn a_misfit_is_told_with_its_line() {
        let (line, path, reason) = finding("day: 2021-01-01\nparts:\n  - day: 2021-02-30\n");
        assert_eq!((line, path.as_str()), (Some(3), "/parts/0/day"));
        assert!(reason.starts_with("\"2021-02-30\""), "{reason}");
        let (line, path, reason) = finding("day: null\nparts:\n  - day: null\n    colour: red\n");
        assert_eq!((line, path.as_str()), (Some(4), "/parts/0/colour"));
        assert!(reason.contains("unknown field `colour`"), "{reason}");
    }

    #[test]
    fn a_member_given_twice_is_refused() {
        let findings = Document::parse("day: null\nday: null\n").unwrap_err();
        assert_eq!(findings[0].line, Some(2), "{findings:?}");
    }
}
