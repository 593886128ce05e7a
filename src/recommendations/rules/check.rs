//! The examples a rule set carries, run against its own rules.
//!
//! Lives here: turning an example's data into inputs, and one result line a check. Never here: printing.

use std::fmt;

use serde_json::{Map, Value};

use super::inputs::{Answer, Attestation, Attribute, DateFact, DateValue, Entry, Figure, Inputs, Register};
use super::model::{Example, Model, Per};
use super::number::Scalar;
use super::run::{Mode, Request, Run};
use super::status::Status;
use super::tree::Tree;

/// The standard of a figure's period, beside the figures.
const STANDARD: &str = "_standard";

/// The round every example is evaluated at.
const ROUND: &str = "final";

/// The outcome of one example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// What the example shows.
    pub name: String,
    /// What differs from the expectation; empty when it passed.
    pub failures: Vec<String>,
}

impl CheckResult {
    /// Whether the example came out as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passed() {
            write!(f, "ok    {}", self.name)
        } else {
            write!(f, "FAIL  {}: {}", self.name, self.failures.join("; "))
        }
    }
}

/// Runs every example.
pub(super) fn run(model: &Model) -> Vec<CheckResult> {
    model
        .tests
        .iter()
        .map(|example| CheckResult { name: example.name.clone(), failures: failures(model, example) })
        .collect()
}

fn failures(model: &Model, example: &Example) -> Vec<String> {
    let request = Request {
        round: ROUND.to_owned(),
        mode: if example.official { Mode::Official } else { Mode::Simulation },
        special: None,
        overrides: example.params.clone(),
    };
    let run = match Run::prepare(model, &request) {
        Ok(run) => run,
        Err(error) => return vec![error.to_string()],
    };
    let inputs = match inputs(model, &run.period, example) {
        Ok(inputs) => inputs,
        Err((key, reason)) => return vec![format!("{key}: {reason}")],
    };
    let (status, trees) = answer(model, &run, example, &inputs);
    compare(example, status, &trees)
}

/// The status of the example's criterion or category, and every tree that led to it.
fn answer(model: &Model, run: &Run<'_>, example: &Example, inputs: &Inputs) -> (Status, Vec<Tree>) {
    if let Some(id) = &example.category {
        let category = model.categories.get(id);
        let category = category.expect("loading resolves the category of every test");
        let (criteria, judged) = run.category(id, category, inputs);
        let trees = judged.tree.into_iter().chain(criteria.into_values());
        return (judged.status, trees.collect());
    }
    let id = example.criterion.as_deref().unwrap_or_default();
    let criterion = model.criteria.get(id);
    let criterion = criterion.expect("loading resolves the criterion of every test");
    let tree = run.criterion(id, &criterion.rule, inputs);
    (tree.status(), vec![tree])
}

fn compare(example: &Example, status: Status, trees: &[Tree]) -> Vec<String> {
    let mut failures = Vec::new();
    if status != example.expect {
        failures.push(format!("expected {:?}, got {status:?}", example.expect));
    }
    let steps = || trees.iter().flat_map(Tree::steps);
    let gaps = || steps().filter_map(|step| step.gap.as_ref());
    if let Some(short) = example.short
        && !gaps().any(|gap| gap.amount == Some(short))
    {
        failures.push(format!("no condition is short by {short}"));
    }
    if let Some(most) = example.need_max
        && !gaps().any(|gap| gap.need_max == Some(most))
    {
        failures.push(format!("no missing figure must be at most {most}"));
    }
    if let Some(reason) = example.reason
        && !steps().any(|step| step.reason == Some(reason))
    {
        failures.push(format!("no condition gives the reason {reason:?}"));
    }
    failures
}

/// The facts of an example. What is not named stays unknown; a list is a closed register.
pub(super) fn inputs(model: &Model, period: &str, example: &Example) -> Result<Inputs, (String, String)> {
    let mut inputs = Inputs::default();
    let standards = example.data.get(STANDARD).and_then(Value::as_object);
    for (key, value) in example.data.iter().filter(|(key, _)| *key != STANDARD) {
        let read = if let Some(indicator) = model.indicators.get(key) {
            figures(&mut inputs, key, value, indicator.per, period, standards)
        } else {
            fact(model, &mut inputs, key, value)
        };
        read.ok_or_else(|| (key.to_owned(), format!("{value} is not a fact the rules know")))?;
    }
    Ok(inputs)
}

fn figures(
    inputs: &mut Inputs,
    key: &str,
    value: &Value,
    per: Per,
    period: &str,
    standards: Option<&Map<String, Value>>,
) -> Option<()> {
    let periods = inputs.indicators.entry(key.to_owned()).or_default();
    let figure = |period: &str, value: &Value| {
        let standard = standards.and_then(|all| all.get(period));
        Some(Figure {
            value: Ok(value.as_i64()?),
            poverty_standard: standard.and_then(Value::as_str).map(str::to_owned),
            evidence: Vec::new(),
        })
    };
    match value {
        Value::Object(by_period) if per == Per::Year => {
            for (period, value) in by_period {
                periods.insert(period.clone(), figure(period, value)?);
            }
        }
        value if per == Per::Period => {
            periods.insert(period.to_owned(), figure(period, value)?);
        }
        _ => return None,
    }
    Some(())
}

fn fact(model: &Model, inputs: &mut Inputs, key: &str, value: &Value) -> Option<()> {
    let name = key.to_owned();
    let evidence = Vec::new();
    if let Some(kind) = model.attributes.get(key) {
        let value = scalar(value).filter(|value| kind.values.contains(value))?;
        let value = Ok(value);
        inputs.attributes.insert(name, Attribute { value, evidence });
    } else if model.dates.get(key).is_some() {
        let value = match value {
            Value::Null => DateValue::Never,
            value => DateValue::On(value.as_str()?.parse().ok()?),
        };
        inputs.dates.insert(name, DateFact { value, evidence });
    } else if let Some(kind) = model.records.get(key) {
        let entries = value.as_array()?.iter();
        let entries = entries.map(|value| entry(&kind.fields, value));
        let register = Register { closed: true, entries: entries.collect::<Option<_>>()?, ..Register::default() };
        inputs.records.insert(name, register);
    } else if model.attestations.get(key).is_some() {
        let answer = match value {
            Value::Bool(true) => Answer::Yes,
            Value::Bool(false) => Answer::No,
            Value::String(word) if word == "disputed" => Answer::Disputed,
            _ => return None,
        };
        inputs.attestations.insert(name, Attestation { answer, evidence });
    } else {
        return None;
    }
    Some(())
}

fn entry(fields: &[String], value: &Value) -> Option<Entry> {
    let mut entry = Entry::default();
    for (field, value) in value.as_object()? {
        if !fields.contains(field) {
            return None;
        }
        entry.fields.insert(field.clone(), scalar(value)?);
    }
    Some(entry)
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::Null => Some(Scalar::Null),
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Scalar::Integer),
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Array(_) | Value::Object(_) => None,
    }
}
