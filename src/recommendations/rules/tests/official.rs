//! An official run decides nothing at a cut-off that nobody adopted, whatever the operator.

use std::collections::BTreeSet;

use serde_json::Value;

use super::leaves::{leaf_in, with, with_text};
use super::*;
use crate::recommendations::rules::vocabulary::{Operator, Rule};

/// A condition that the facts below settle, by operator. Combinations have a settled leaf inside.
const SETTLED: &[(&str, &str)] = &[
    ("all", "{ all: [ { attested: s } ] }"),
    ("any", "{ any: [ { attested: s } ] }"),
    ("at_least", "{ at_least: { n: 1, of: [ { attested: s } ] } }"),
    ("when", "{ when: { if: { attested: s }, then: { attested: s } } }"),
    ("threshold", "{ threshold: { indicator: n, op: '>=', value: 1 } }"),
    (
        "reduction",
        "{ reduction: { indicators: [p], from: { param: start }, to: round, more_than_percent: 50, zero_base: met } }",
    ),
    ("duration", "{ duration: { since: d, until: round, at_least_years: 3 } }"),
    ("count", "{ count: { records: o, at_least: 1 } }"),
    ("every", "{ every: { records: o, all_true: [ok], none_is: met } }"),
    ("attested", "{ attested: s }"),
    ("attribute_in", "{ attribute_in: { attribute: a, values: [x] } }"),
    ("holds_award", "{ holds_award: { award: w } }"),
];

/// The cut-off of the rule set that these stand in, before and after somebody takes its adoption back.
const ADOPTED: &str = "cut: { value: '2025-12-31', status: adopted }";
const PROPOSED: &str = "cut: { value: '2025-12-31', status: proposed }";

/// Refused when a rule set is loaded, so no run ever meets it.
const REFUSED: [&str; 1] = ["expr"];

fn facts() -> Inputs {
    let mut inputs = Inputs::default();
    figure(&mut inputs, "n", "2025", 5);
    figure(&mut inputs, "p", "2021", 40);
    figure(&mut inputs, "p", "2025", 10);
    let value = DateValue::On("2020-05-01".parse().unwrap());
    inputs.dates.insert("d".to_owned(), DateFact { value, evidence: evidence(4) });
    let done = [("seen", "true"), ("due", "2025-06-30"), ("done", "2025-06-30")];
    register(&mut inputs, "o", true, &[&done]);
    attest(&mut inputs, "s", Answer::Yes);
    let value = Ok(Scalar::Text("x".to_owned()));
    inputs.attributes.insert("a".to_owned(), Attribute { value, evidence: evidence(2) });
    let held = HeldAward { held: Some(true), round: None, evidence: evidence(8) };
    inputs.held_awards.insert("w".to_owned(), held);
    inputs
}

/// The name of the operator at the top of criterion `X.1`. A new operator does not compile until it is named here.
fn operator(rules: &RuleSet) -> &'static str {
    let Rule::Operator(operator) = &rules.model().criteria.get("X.1").unwrap().rule else { panic!("no operator") };
    match operator.as_ref() {
        Operator::All(_) => "all",
        Operator::Any(_) => "any",
        Operator::AtLeast { .. } => "at_least",
        Operator::When { .. } => "when",
        Operator::Threshold(_) => "threshold",
        Operator::Reduction(_) => "reduction",
        Operator::Duration(_) => "duration",
        Operator::Count(_) => "count",
        Operator::Every(_) => "every",
        Operator::Attested(_) => "attested",
        Operator::AttributeIn { .. } => "attribute_in",
        Operator::HoldsAward(_) => "holds_award",
        Operator::Expr(_) => "expr",
    }
}

/// Every operator that the published schema names.
fn vocabulary() -> BTreeSet<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let branches = schema["$defs"]["rule"]["oneOf"].as_array().unwrap();
    let operators = branches.iter().find_map(|branch| branch["properties"].as_object()).unwrap();
    operators.keys().cloned().collect()
}

#[test]
fn every_operator_holds_its_answer_back_until_the_cut_off_is_adopted() {
    let tried: BTreeSet<String> = SETTLED.iter().map(|(name, _)| *name).chain(REFUSED).map(str::to_owned).collect();
    assert_eq!(tried, vocabulary(), "an operator that is not tried here");
    let inputs = facts();
    for (name, rule) in SETTLED {
        let adopted = with(rule);
        assert_eq!(operator(&adopted), *name);
        assert_eq!(leaf_in(&adopted, Mode::Official, &inputs).0, Status::Met, "{name}: the facts settle it");
        let proposed = load(&with_text(rule).replace(ADOPTED, PROPOSED));
        let (status, step) = leaf_in(&proposed, Mode::Official, &inputs);
        assert_eq!(status, Status::Insufficient, "{name}");
        assert_eq!((step.reason, step.would_be), (Some(Reason::ParameterNotAdopted), Some(Status::Met)), "{name}");
        assert!(step.missing.iter().any(|missing| missing.name == "cut"), "{name}: {:?}", step.missing);
        assert_eq!(leaf_in(&proposed, Mode::Simulation, &inputs).0, Status::Met, "{name}: tried out");
    }
}

#[test]
fn a_reserved_operator_is_refused() {
    for name in REFUSED {
        let rule = format!("{{ {name}: {{ cel: 'true', reads: [n], explain: n }} }}");
        assert!(RuleSet::load(&with_text(&rule)).is_err(), "{name}");
    }
}

#[test]
fn nothing_of_the_shipped_rule_set_is_settled_in_an_official_final_round() {
    let rules = rules();
    let request = ask("final", Mode::Official);
    for kind in ["agency", "commune", "village", "enterprise"] {
        let result = rules.evaluate(&request, &subject(kind), &good_village()).unwrap();
        assert_eq!(result.status, Status::Insufficient, "{kind}");
        for criterion in &result.criteria {
            assert_eq!(criterion.status, Status::Insufficient, "{kind} {}", criterion.id);
        }
        for award in result.awards.iter().filter(|award| award.outcome != AwardOutcome::NotInRound) {
            assert_eq!(award.outcome, AwardOutcome::InsufficientEvidence, "{kind} {}", award.award);
        }
    }
}
