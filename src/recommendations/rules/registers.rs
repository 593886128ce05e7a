//! The leaf conditions over a register: how many entries there are, and whether all are in order.
//!
//! Only a closed register can prove that something is not there. An open one still proves what is in it: enough
//! entries are enough, and one entry out of order is out of order. Never here: which entries reach the rules.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde_json::json;

use super::evaluate::Scene;
use super::explain::{EvidenceRow, Gap, Missing};
use super::inputs::{Entry, Register};
use super::leaf::{Draft, Leaf, gap, show_number, shown};
use super::model::RecordKind;
use super::number::Scalar;
use super::operators::{missing, row};
use super::say::{Distance, Seen};
use super::status::{Reason, Status};
use super::vocabulary::{Count, Every, OneOrMany};

/// A truth that may still be open.
type Truth = Option<bool>;

fn and(a: Truth, b: Truth) -> Truth {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// The entries of a register that count for a condition.
struct Filed<'a> {
    id: &'a str,
    kind: &'a RecordKind,
    register: Option<&'a Register>,
    /// Entries that certainly count.
    sure: Vec<&'a Entry>,
    /// Entries that count if a field that is still unknown turns out so.
    maybe: Vec<&'a Entry>,
    as_of: NaiveDate,
}

impl<'a> Filed<'a> {
    fn of(scene: &Scene<'a>, records: &'a str, wanted: &BTreeMap<String, OneOrMany>) -> Self {
        let kind = scene.run.model.records.get(records);
        let kind = kind.expect("loading resolves every kind of record");
        let register = scene.inputs.records.get(records);
        let mut filed =
            Self { id: records, kind, register, sure: Vec::new(), maybe: Vec::new(), as_of: scene.run.as_of };
        for entry in register.map_or(&[][..], |register| &register.entries) {
            let own = wanted.iter().map(|(name, any)| filed.has(entry, name, any));
            let general = kind.counts_only_if.iter();
            let general = general.map(|(name, any)| filed.has(entry, name, any));
            match own.chain(general).fold(Some(true), and) {
                Some(true) => filed.sure.push(entry),
                None => filed.maybe.push(entry),
                Some(false) => {}
            }
        }
        filed
    }

    fn has(&self, entry: &Entry, field: &str, any: &OneOrMany) -> Truth {
        self.field(entry, field).map(|value| any.contains(&value))
    }

    fn field(&self, entry: &Entry, field: &str) -> Option<Scalar> {
        if let Some(value) = entry.fields.get(field) {
            return Some(value.clone());
        }
        let (done, due) = self.kind.derived.get(field)?.split_once(" <= ")?;
        self.in_time(entry, done, due).map(Scalar::Bool)
    }

    /// What is known not to be done is late once its day has passed; before that, nothing is settled.
    fn in_time(&self, entry: &Entry, done: &str, due: &str) -> Truth {
        let due = day(entry.fields.get(due)?)?;
        match entry.fields.get(done)? {
            Scalar::Null => (due <= self.as_of).then_some(false),
            done => Some(day(done)? <= due),
        }
    }

    fn in_order(&self, entry: &Entry, fields: &[String]) -> Truth {
        let holds = |field: &String| self.field(entry, field).map(|value| value == Scalar::Bool(true));
        fields.iter().map(holds).fold(Some(true), and)
    }

    fn closed(&self) -> bool {
        self.register.is_some_and(|register| register.closed)
    }

    /// Why the register decides nothing: it is open, or a field of an entry is not known.
    fn open_because(&self) -> Reason {
        match self.register {
            Some(register) if register.closed => Reason::MissingValue,
            Some(register) => register.open_because.unwrap_or(Reason::MissingRecords),
            None => Reason::MissingRecords,
        }
    }

    fn evidence(&self) -> Vec<EvidenceRow> {
        let mut rows = Vec::new();
        if let Some(register) = self.register {
            let state = if register.closed { "closed" } else { "open" };
            rows.push(row("register", self.id, json!(state), &register.evidence));
        }
        let mut entries: Vec<EvidenceRow> = Vec::new();
        for (counted, list) in [("yes", &self.sure), ("unclear", &self.maybe)] {
            for entry in list {
                entries.push(row("record", self.id, json!({ "counts": counted }), &entry.evidence));
            }
        }
        // The caller's order of entries must not show in the output.
        entries.sort_by(|a, b| (&a.basis, a.value.to_string()).cmp(&(&b.basis, b.value.to_string())));
        rows.extend(entries);
        rows
    }

    fn missing(&self) -> Missing {
        missing("record", self.id, self.open_because(), Some(&self.kind.owner))
    }
}

fn day(value: &Scalar) -> Option<NaiveDate> {
    match value {
        Scalar::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// How many records there are.
pub(super) fn count(scene: &Scene<'_>, rule: &Count) -> Leaf {
    Leaf::of(|uses| {
        let needed = uses.whole(scene, &rule.at_least)?;
        let filed = Filed::of(scene, &rule.records, &rule.r#where);
        let sure = i128::try_from(filed.sure.len()).expect("a count fits 128 bits");
        let maybe = i128::try_from(filed.maybe.len()).expect("a count fits 128 bits");
        let short = i128::from(needed) - sure;
        let status = match filed.closed() {
            _ if short <= 0 => Status::Met,
            true if maybe < short => Status::NotMet,
            _ => Status::Insufficient,
        };
        let seen = Seen::Count {
            name: scene.run.words().records(&rule.records, &rule.r#where),
            sure: filed.sure.len(),
            maybe: filed.maybe.len(),
            closed: filed.closed(),
            needed,
        };
        let mut draft = Draft::new(status, seen);
        draft.computed = json!({
            "count": filed.sure.len(), "unclear": filed.maybe.len(), "closed": filed.closed(),
        });
        draft.required = show_number(scene, "at_least", &rule.at_least, needed.into());
        draft.evidence = filed.evidence();
        if status == Status::Insufficient {
            draft.because(filed.open_because());
            draft.missing.push(filed.missing());
        }
        if status != Status::Met {
            let unit = Some(filed.kind.name.clone());
            let words = Distance::More { amount: short, unit: scene.run.words().records(&rule.records, &rule.r#where) };
            draft.gap = Some(Gap { amount: shown(short), unit, ..gap(&words) });
        }
        Some(draft)
    })
}

/// All records are in order.
pub(super) fn every(scene: &Scene<'_>, rule: &Every) -> Leaf {
    let filed = Filed::of(scene, &rule.records, &rule.r#where);
    let failing: Vec<&Entry> =
        filed.sure.iter().filter(|entry| filed.in_order(entry, &rule.all_true) == Some(false)).copied().collect();
    let status = every_status(&filed, rule, !failing.is_empty());
    let seen = Seen::Every {
        name: scene.run.words().records(&rule.records, &rule.r#where),
        entries: filed.sure.len(),
        failing: failing.len(),
        closed: filed.closed(),
    };
    let mut draft = Draft::new(status, seen);
    draft.computed = json!({
        "entries": filed.sure.len(), "unclear": filed.maybe.len(),
        "failing": failing.len(), "closed": filed.closed(),
    });
    draft.required = json!({ "all_true": rule.all_true, "none_is": rule.none_is });
    draft.evidence = filed.evidence();
    if status == Status::Insufficient {
        let none = filed.closed() && filed.sure.is_empty() && filed.maybe.is_empty();
        let reason = if none { Reason::MissingRecords } else { filed.open_because() };
        draft.because(reason);
        draft.missing.push(Missing { reason, ..filed.missing() });
    }
    if !failing.is_empty() {
        let mut names: Vec<String> = failing.iter().filter_map(|entry| record(entry)).collect();
        names.sort();
        names.dedup();
        draft.gap = Some(Gap { failing: names, ..gap(&Distance::Failing(failing.len())) });
    }
    Leaf::of(|_| Some(draft))
}

fn every_status(filed: &Filed<'_>, rule: &Every, failing: bool) -> Status {
    if failing {
        return Status::NotMet;
    }
    if !filed.closed() {
        return Status::Insufficient;
    }
    if filed.sure.is_empty() && filed.maybe.is_empty() {
        return rule.none_is;
    }
    let mut possible = Vec::new();
    let all = filed.sure.iter().chain(&filed.maybe);
    let orders: Vec<Truth> = all.map(|e| filed.in_order(e, &rule.all_true)).collect();
    if orders.iter().any(|order| *order != Some(true)) {
        possible.push(Status::NotMet);
    }
    if filed.sure.is_empty() {
        // None of the unclear entries may count after all.
        possible.push(rule.none_is);
    }
    if orders.iter().any(|order| *order != Some(false)) || !filed.sure.is_empty() {
        possible.push(Status::Met);
    }
    Status::agreed(possible)
}

fn record(entry: &Entry) -> Option<String> {
    entry.evidence.first().map(|evidence| evidence.record.clone())
}
