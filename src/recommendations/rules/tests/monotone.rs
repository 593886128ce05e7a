//! Adding evidence may settle what is open; it never turns met into not met, or back.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// One fact that may be added. Facts are added once each, so nothing here corrects anything.
#[derive(Debug, Clone)]
enum Added {
    Figure(usize, &'static str, i64),
    Date(Option<u32>),
    Attestation(usize, bool),
    Attribute(usize, usize),
    /// A record; each of its fields may be left unknown.
    Entry(usize, [Option<usize>; 5]),
    Field(usize, usize, usize),
    Closed(usize),
}

/// How many of each thing the generator may pick from; picks wrap around.
const MANY: usize = 64;

fn picks() -> impl Strategy<Value = [Option<usize>; 5]> {
    proptest::array::uniform5(proptest::option::weighted(0.8, 0..MANY))
}

fn added() -> impl Strategy<Value = Added> {
    let year = prop_oneof![Just("2021"), Just("2025")];
    prop_oneof![
        3 => (0..MANY, year, 0_i64..60).prop_map(|(i, y, v)| Added::Figure(i, y, v)),
        1 => proptest::option::of(0_u32..2000).prop_map(Added::Date),
        3 => (0..MANY, any::<bool>()).prop_map(|(i, yes)| Added::Attestation(i, yes)),
        2 => (0..MANY, 0..MANY).prop_map(|(i, v)| Added::Attribute(i, v)),
        4 => (0..MANY, picks()).prop_map(|(i, f)| Added::Entry(i, f)),
        3 => (0..MANY, 0..MANY, 0..MANY).prop_map(|(i, e, f)| Added::Field(i, e, f)),
        2 => (0..MANY).prop_map(Added::Closed),
    ]
}

/// A value that suits the field, so that conditions are hit.
fn word(field: &str, pick: usize) -> Scalar {
    let days = ["2024-01-01", "2023-01-01", "2025-01-01"];
    let words = ["guidance", "guidance_document", "settlement", "capital", "poor_student", "model"];
    let text = |words: &[&str]| Scalar::Text(words[pick % words.len()].to_owned());
    match field {
        "recognised" | "purpose_ok" | "principal_on_time" | "interest_on_time" => Scalar::Bool(!pick.is_multiple_of(4)),
        "completed_on" if pick.is_multiple_of(4) => Scalar::Null,
        field if field.ends_with("_on") => text(&days),
        _ => text(&words),
    }
}

fn nth<'a, T>(mut names: impl Iterator<Item = (&'a str, T)> + Clone, index: usize) -> (&'a str, T) {
    let size = names.clone().count();
    names.nth(index % size).unwrap()
}

fn add(model: &Model, inputs: &mut Inputs, fact: &Added) {
    match *fact {
        Added::Figure(index, year, value) => {
            let (name, _) = nth(model.indicators.iter(), index);
            let periods = inputs.indicators.entry(name.to_owned()).or_default();
            periods.entry(year.to_owned()).or_insert(Figure {
                value: Ok(value),
                poverty_standard: None,
                evidence: Vec::new(),
            });
        }
        Added::Date(days) => {
            let day = chrono::NaiveDate::from_ymd_opt(2020, 2, 29).unwrap();
            let days = days.map(|days| day + chrono::Days::new(u64::from(days)));
            let value = days.map_or(DateValue::Never, DateValue::On);
            let fact = DateFact { value, evidence: Vec::new() };
            inputs.dates.entry("poverty_exit_on".to_owned()).or_insert(fact);
        }
        Added::Attestation(index, yes) => {
            let (name, _) = nth(model.attestations.iter(), index);
            let answer = if yes { Answer::Yes } else { Answer::No };
            let fact = inputs.attestations.entry(name.to_owned());
            let fact = fact.or_insert(Attestation { answer, evidence: Vec::new() });
            // A second, differing answer is evidence too: it makes a dispute.
            if fact.answer != answer {
                fact.answer = Answer::Disputed;
            }
        }
        Added::Attribute(index, value) => {
            let (name, kind) = nth(model.attributes.iter(), index);
            let value = Ok(kind.values[value % kind.values.len()].clone());
            let fact = Attribute { value, evidence: Vec::new() };
            inputs.attributes.entry(name.to_owned()).or_insert(fact);
        }
        Added::Entry(index, picks) => add_entry(model, inputs, index, picks),
        Added::Field(index, entry, pick) => {
            let (name, kind) = nth(model.records.iter(), index);
            let entries = inputs.records.get_mut(name).map(|register| &mut register.entries);
            if let Some(entries) = entries.filter(|entries| !entries.is_empty()) {
                let place = entry % entries.len();
                let field = &kind.fields[pick % kind.fields.len()];
                set(kind, &mut entries[place], field, pick / 7);
            }
        }
        Added::Closed(index) => {
            let (name, _) = nth(model.records.iter(), index);
            inputs.records.entry(name.to_owned()).or_default().closed = true;
        }
    }
}

/// A closed register has no further entries, so none is added to it.
fn add_entry(model: &Model, inputs: &mut Inputs, index: usize, picks: [Option<usize>; 5]) {
    let (name, kind) = nth(model.records.iter(), index);
    let register = inputs.records.entry(name.to_owned()).or_default();
    if register.closed {
        return;
    }
    let mut entry = Entry::default();
    for (field, pick) in kind.fields.iter().zip(picks) {
        if let Some(pick) = pick {
            set(kind, &mut entry, field, pick);
        }
    }
    register.entries.push(entry);
}

/// A derived field follows from others, so it is never given beside them.
fn set(kind: &RecordKind, entry: &mut Entry, field: &str, pick: usize) {
    if !kind.derived.contains_key(field) {
        let value = entry.fields.entry(field.to_owned());
        value.or_insert(word(field, pick));
    }
}

/// The status of every criterion and leaf, by path.
fn statuses(run: &Run<'_>, kind: &str, inputs: &Inputs) -> BTreeMap<String, Status> {
    let result = run.evaluate(&subject(kind), inputs);
    let mut all = BTreeMap::from([(kind.to_owned(), result.status)]);
    for criterion in result.criteria {
        all.insert(criterion.id, criterion.status);
        all.extend(criterion.steps.into_iter().map(|step| (step.path, step.status)));
    }
    all
}

const KINDS: [&str; 6] = ["agency", "commune", "village", "household", "official", "enterprise"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evidence_never_overturns_an_answer(facts in proptest::collection::vec(added(), 1..60)) {
        let rules = LOADED.with(Clone::clone);
        let run = rules.prepare(&ask("final", Mode::Simulation)).unwrap();
        let mut inputs = Inputs::default();
        let mut settled: BTreeMap<String, Status> = BTreeMap::new();
        for fact in &facts {
            add(rules.model(), &mut inputs, fact);
            for kind in KINDS {
                for (path, status) in statuses(&run, kind, &inputs) {
                    let overturned = match settled.get(&path) {
                        Some(Status::Met) => status == Status::NotMet,
                        Some(Status::NotMet) => status == Status::Met,
                        _ => false,
                    };
                    prop_assert!(!overturned, "{path} is now {status:?} after {fact:?}");
                    if matches!(status, Status::Met | Status::NotMet) {
                        settled.insert(path, status);
                    }
                }
            }
        }
    }
}

thread_local! {
    static LOADED: std::rc::Rc<RuleSet> = std::rc::Rc::new(rules());
}

#[test]
fn every_status_is_written_as_the_format_names_it() {
    let words = [Status::Met, Status::NotMet, Status::Insufficient, Status::NotApplicable]
        .map(|status| serde_json::to_value(status).unwrap());
    let names = ["met", "not_met", "insufficient", "not_applicable"];
    assert_eq!(words, names.map(Value::from));
}
