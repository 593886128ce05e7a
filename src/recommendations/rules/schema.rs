//! The published JSON Schema of rule files.
//!
//! Lives here: reading a rule file against the schema. Never here: what a rule means; names that point nowhere are found
//! in `references`.

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

pub use crate::yaml::Finding;
pub(super) use crate::yaml::{Document, pointer};

/// The schema of `award-rules/1`, as published beside the campaigns.
pub const SCHEMA: &str = include_str!("../../../campaigns/award-rules.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the embedded schema is JSON");
    jsonschema::validator_for(&schema).expect("the embedded schema is a JSON Schema")
});

/// Reads a rule file and checks it against the schema.
pub(super) fn parse(yaml: &str) -> Result<Document, Vec<Finding>> {
    let document = Document::parse(yaml)?;
    let mut findings: Vec<Finding> = VALIDATOR
        .iter_errors(&document.value)
        .map(|error| {
            let (path, reason) = deepest(&error);
            document.finding(&path, reason)
        })
        .collect();
    findings.sort();
    findings.dedup();
    if findings.is_empty() { Ok(document) } else { Err(findings) }
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
