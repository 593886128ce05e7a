//! The engine against the rule set of the campaign, operator by operator.

mod awards;
mod leaves;
mod monotone;
mod official;
mod refusals;

use super::*;

use uuid::Uuid;

pub(super) const RULES: &str = include_str!("../../../../campaigns/quynh-nhai-2021-2025/rules.yaml");

/// All 27 clauses of section III.2 of the plan.
const CLAUSES: [&str; 27] = [
    "III.2.1.a.1",
    "III.2.1.a.2",
    "III.2.1.b.1",
    "III.2.1.b.2",
    "III.2.1.c.1",
    "III.2.1.c.2",
    "III.2.1.c.3",
    "III.2.2.a",
    "III.2.2.b.1",
    "III.2.2.b.2",
    "III.2.2.c",
    "III.2.2.d",
    "III.2.3.a",
    "III.2.3.b",
    "III.2.3.c",
    "III.2.3.d",
    "III.2.4.a.1",
    "III.2.4.a.2",
    "III.2.4.b",
    "III.2.4.c.1",
    "III.2.4.c.2",
    "III.2.4.d",
    "III.2.5.a",
    "III.2.6.a",
    "III.2.6.b.1",
    "III.2.6.b.2",
    "III.2.6.c",
];

pub(super) fn load(yaml: &str) -> RuleSet {
    RuleSet::load(yaml).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

pub(super) fn rules() -> RuleSet {
    load(RULES)
}

/// The rule set with everything proposed adopted, so that an official run can decide.
pub(super) fn adopted() -> RuleSet {
    load(&RULES.replace("status: proposed", "status: adopted"))
}

pub(super) fn ask(round: &str, mode: Mode) -> Request {
    Request { round: round.to_owned(), mode, special: None, overrides: BTreeMap::new() }
}

pub(super) fn subject(kind: &str) -> Subject {
    Subject { id: Uuid::from_u128(7), kind: kind.to_owned(), form: None }
}

pub(super) fn evidence(position: i64) -> Vec<Evidence> {
    vec![Evidence {
        position,
        event: Uuid::from_u128(u128::from(position.unsigned_abs())),
        record: format!("figure/{position}"),
        unit: None,
        document: None,
    }]
}

pub(super) fn figure(inputs: &mut Inputs, indicator: &str, period: &str, value: i64) {
    let figure =
        Figure { value: Ok(value), poverty_standard: Some("2022-2025".to_owned()), evidence: evidence(value + 1) };
    let periods = inputs.indicators.entry(indicator.to_owned()).or_default();
    periods.insert(period.to_owned(), figure);
}

pub(super) fn attest(inputs: &mut Inputs, id: &str, answer: Answer) {
    let evidence = evidence(90);
    let attestation = Attestation { answer, evidence };
    inputs.attestations.insert(id.to_owned(), attestation);
}

pub(super) fn register(inputs: &mut Inputs, kind: &str, closed: bool, entries: &[&[(&str, &str)]]) {
    let read = |word: &str| match word {
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        "null" => Scalar::Null,
        other => Scalar::Text(other.to_owned()),
    };
    let entries = entries.iter().enumerate().map(|(index, fields)| Entry {
        fields: fields.iter().map(|(field, value)| ((*field).to_owned(), read(value))).collect(),
        evidence: evidence(i64::try_from(index).unwrap() + 50),
    });
    let register = Register { closed, entries: entries.collect(), ..Register::default() };
    inputs.records.insert(kind.to_owned(), register);
}

/// A village that meets all four criteria.
pub(super) fn good_village() -> Inputs {
    let mut inputs = Inputs::default();
    register(&mut inputs, "support_activity", true, &[&[("kind", "capital")]]);
    attest(&mut inputs, "A231stable", Answer::Yes);
    let attribute = Attribute { value: Ok(Scalar::Bool(false)), evidence: evidence(3) };
    let name = "received_state_project_capital";
    inputs.attributes.insert(name.to_owned(), attribute);
    figure(&mut inputs, "mobilised_vnd", "2025", 10_000_000);
    attest(&mut inputs, "A233eff", Answer::Yes);
    figure(&mut inputs, "poor_households", "2021", 40);
    figure(&mut inputs, "near_poor_households", "2021", 20);
    figure(&mut inputs, "poor_households", "2025", 20);
    figure(&mut inputs, "near_poor_households", "2025", 9);
    inputs
}

#[test]
fn the_examples_of_the_rule_set_pass() {
    let results = rules().check();
    let failed: Vec<String> = results.iter().filter(|result| !result.passed()).map(ToString::to_string).collect();
    assert_eq!((results.len(), failed), (22, Vec::new()));
}

#[test]
fn an_example_that_comes_out_otherwise_is_told() {
    let yaml = RULES.replace("expect: not_met, short: 1", "expect: not_met, short: 2");
    let results = load(&yaml).check();
    let lines: Vec<String> = results.iter().map(ToString::to_string).collect();
    let failed: Vec<&String> = lines.iter().filter(|l| l.starts_with("FAIL")).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].ends_with("no condition is short by 2"));
}

#[test]
fn every_clause_of_the_plan_has_a_criterion() {
    let rules = rules();
    for clause in CLAUSES {
        let parent = clause.rsplit_once('.').map_or("", |(parent, _)| parent);
        let criteria = &rules.model().criteria;
        let found = criteria.get(clause).or_else(|| criteria.get(parent));
        assert!(found.is_some(), "{clause}");
    }
    for (id, _) in rules.model().criteria.iter() {
        let part = format!("{id}.");
        let planned = CLAUSES.iter().any(|c| *c == id || c.starts_with(&part));
        assert!(planned, "{id} is no clause of the plan");
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let write = || {
        let rules = adopted();
        let request = ask("final", Mode::Simulation);
        let mut inputs = good_village();
        let register = inputs.records.get_mut("support_activity").unwrap();
        register.entries.extend(register.entries.clone());
        let forth = rules.evaluate(&request, &subject("village"), &inputs).unwrap();
        let register = inputs.records.get_mut("support_activity").unwrap();
        register.entries.reverse();
        let back = rules.evaluate(&request, &subject("village"), &inputs).unwrap();
        assert_eq!(forth, back);
        canonical(&serde_json::to_value(forth).unwrap()).unwrap()
    };
    assert_eq!(write(), write());
}

#[test]
fn hashes_name_the_whole_file_and_what_a_run_sees_of_its_parameters() {
    let rules = rules();
    assert_eq!(rules.hash().len(), 64);
    assert_ne!(rules.hash(), adopted().hash());
    // A comment is no part of the document.
    let commented = load(&format!("# ghi chú\n{RULES}"));
    assert_eq!(rules.hash(), commented.hash());
    let none = BTreeMap::new();
    let tried = BTreeMap::from([("exit_years".to_owned(), ParameterValue::Integer(4))]);
    let hash = |mode, overrides| rules.parameter_hash(mode, overrides).unwrap();
    assert_eq!(hash(Mode::Official, &none), hash(Mode::Official, &none));
    assert_ne!(hash(Mode::Official, &none), hash(Mode::Simulation, &none));
    assert_ne!(hash(Mode::Simulation, &none), hash(Mode::Simulation, &tried));
}

#[test]
fn a_request_that_fits_nothing_is_refused() {
    let rules = rules();
    let unknown = rules.prepare(&ask("spring", Mode::Official));
    assert!(matches!(unknown, Err(RequestError::UnknownRound(_))));
    for (name, value, fits) in [
        ("reduction_percent", "101", false),
        ("reduction_percent", "33.3", true),
        ("reduction_scope", "some", false),
        ("baseline_period", "start", false),
        ("household_combination", "all_four", true),
        ("final_as_of", "2025-13-01", false),
        ("no_such", "1", false),
    ] {
        let mut request = ask("final", Mode::Simulation);
        let value = ParameterValue::Text(value.to_owned());
        request.overrides.insert(name.to_owned(), value);
        assert_eq!(rules.prepare(&request).is_ok(), fits, "{name}");
    }
}

#[test]
fn a_run_names_every_fact_it_reads() {
    let rules = rules();
    let facts = rules.prepare(&ask("final", Mode::Simulation)).unwrap().facts();
    let periods = &facts.indicators["poor_households"];
    assert_eq!(periods.iter().map(String::as_str).collect::<Vec<_>>(), ["2021", "2025"]);
    assert!(facts.indicators["mobilised_vnd"].contains("2025"));
    assert_eq!(facts.indicators.len(), 10);
    assert_eq!(facts.records.len(), 8);
    assert!(facts.attestations.contains("X_tw") && !facts.attestations.contains("S34out"));
    assert!(facts.attributes.contains("area_class"));
    assert!(facts.dates.contains("poverty_exit_on"));
    let mid = rules.prepare(&ask("mid", Mode::Simulation)).unwrap().facts();
    assert!(mid.indicators["mobilised_vnd"].contains("2023"));
}
