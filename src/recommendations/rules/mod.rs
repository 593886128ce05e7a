//! The rules engine: a rule set is data of format `award-rules/1`, and a result is a pure function of it, a request, a
//! subject and the facts known about the subject.
//!
//! Lives here: loading and checking rule sets, evaluating them, explaining every answer. Never here: a clock, chance,
//! the environment, HTTP, SQL, floats, or an expression language.

mod check;
mod evaluate;
mod explain;
mod facts;
mod inputs;
mod judge;
mod labels;
mod leaf;
mod model;
mod near_miss;
mod number;
mod operators;
mod outcome;
mod reduction;
mod references;
mod registers;
mod run;
mod say;
mod schema;
mod status;
mod tree;
mod values;
mod vocabulary;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::canonical::{canonical, hex, sha256};

pub use check::CheckResult;
pub use explain::{
    AwardOutcome, AwardResult, CriterionResult, EvidenceRow, Gap, Missing, NearMiss, NextStep, ReadingUsed, Say, Step,
    SubjectRef, SubjectResult, Unlock,
};
pub use facts::Facts;
pub use inputs::{
    Answer, Attestation, Attribute, DateFact, DateValue, Entry, Evidence, Figure, HeldAward, Inputs, Register, Subject,
};
pub use labels::{Label, Labels, Of};
pub use model::{
    AttributeKind, Award, Category, Criterion, DateKind, Decision, Header, Indicator, Model, Parameter, ParameterValue,
    Per, Question, RecordKind, Round, Table,
};
pub use number::Scalar;
pub use run::{Mode, Request, RequestError, Run};
pub use schema::{Finding, SCHEMA};
pub use status::{Reason, Status};

/// Raised only when the same rule set and facts could give another answer than before.
pub const ENGINE_SEMANTICS: u32 = 2;

/// A rule set that was read, checked and hashed.
#[derive(Debug, Clone)]
pub struct RuleSet {
    model: Model,
    document: Value,
    hash: String,
}

impl RuleSet {
    /// Reads a rule file; nothing that is wrong with it passes, and every finding is told.
    pub fn load(yaml: &str) -> Result<Self, Vec<Finding>> {
        let document = schema::parse(yaml)?;
        let model =
            Model::deserialize(&document.value).map_err(|error| vec![document.finding("", error.to_string())])?;
        let findings = references::check(&document, &model);
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Self { model, hash: hex(&sha256(document.canonical.as_bytes())), document: document.value })
    }

    /// What the published schema alone finds in a rule file.
    pub fn check_schema(yaml: &str) -> Result<(), Vec<Finding>> {
        schema::parse(yaml).map(drop)
    }

    /// What the rule set says, typed.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The whole file as JSON.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// SHA-256, in hexadecimal, of the canonical JSON of the whole file.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// SHA-256, in hexadecimal, of the parameters as a run in this mode sees them.
    pub fn parameter_hash(
        &self,
        mode: Mode,
        overrides: &BTreeMap<String, ParameterValue>,
    ) -> Result<String, RequestError> {
        let mut parameters = serde_json::Map::new();
        for (name, chosen) in run::chosen(&self.model, overrides)? {
            let value = json!({ "status": chosen.status, "value": chosen.value });
            parameters.insert(name.to_owned(), value);
        }
        let set = json!({ "mode": mode, "parameters": parameters });
        let text = canonical(&set).map_err(|error| RequestError::BadValue {
            parameter: error.path().to_owned(),
            reason: error.to_string(),
        })?;
        Ok(hex(&sha256(text.as_bytes())))
    }

    /// Resolves a request; the run then evaluates any number of subjects.
    pub fn prepare(&self, request: &Request) -> Result<Run<'_>, RequestError> {
        Run::prepare(&self.model, request)
    }

    /// Evaluates one subject.
    pub fn evaluate(
        &self,
        request: &Request,
        subject: &Subject,
        inputs: &Inputs,
    ) -> Result<SubjectResult, RequestError> {
        Ok(self.prepare(request)?.evaluate(subject, inputs))
    }

    /// Runs the examples the rule set carries.
    pub fn check(&self) -> Vec<CheckResult> {
        check::run(&self.model)
    }
}
