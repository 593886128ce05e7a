//! Facts in, status with reason and distance out: one table per operator.

use super::*;

/// A rule set with one criterion, `X.1`, which is the rule given.
pub(super) fn with(rule: &str) -> RuleSet {
    load(&with_text(rule))
}

/// The same as it is written.
pub(super) fn with_text(rule: &str) -> String {
    format!(
        r"
format: award-rules/1
rule_set: {{ id: t, version: 1.0.0, status: adopted, title: t, legal_basis: [] }}
parameters:
  cut: {{ value: '2025-12-31', status: adopted }}
  start: {{ value: '2021', status: adopted }}
  each: {{ value: each, status: adopted }}
  none: {{ value: null, status: unset }}
  two: {{ value: 2, status: proposed }}
roles: {{ r: {{ name: R }} }}
indicators:
  n: {{ name: N, type: integer, unit: u, min: 0, grain: subject, rollup: sum, per: period, owner: r }}
  p: {{ name: P, type: integer, unit: u, min: 0, grain: subject, rollup: sum, per: year, dims: [poverty_standard], owner: r }}
  q: {{ name: Q, type: integer, unit: u, min: 0, grain: subject, rollup: sum, per: year, dims: [poverty_standard], owner: r }}
attributes: {{ a: {{ values: [x, y, z] }} }}
dates: {{ d: {{ name: D }} }}
records:
  o: {{ name: O, fields: [kind, due, done, ok, seen], owner: r, counts_only_if: {{ seen: true }}, derived: {{ ok: 'done <= due' }} }}
attestations: {{ s: {{ ask: 'S?', by: r, evidence: [] }} }}
criteria: {{ X.1: {{ title: 'One condition', kind: mixed, rule: {rule} }} }}
categories: {{ c: {{ clause: X, name: c, subjects: [thing], subject_form: collective, combine: {{ status: adopted, rule: {{ all: [X.1] }} }} }} }}
awards: {{ w: {{ rank: 1, name: W, clause: Y, decided_by: R }} }}
rounds: {{ final: {{ name: f, clause: F, as_of: {{ param: cut }}, awards: [w], subject_forms: [collective] }} }}
allocation: {{ quotas: [] }}
tests: [ {{ name: t, criterion: X.1, data: {{}}, expect: insufficient }} ]
"
    )
}

/// The first leaf of the criterion, and the criterion's status.
pub(super) fn leaf_in(rules: &RuleSet, mode: Mode, inputs: &Inputs) -> (Status, Step) {
    let result = rules.evaluate(&ask("final", mode), &subject("thing"), inputs).unwrap();
    let criterion = result.criteria.into_iter().next().unwrap();
    let step = criterion.steps.into_iter().next().unwrap();
    (criterion.status, step)
}

fn leaf(rule: &str, inputs: &Inputs) -> Step {
    leaf_in(&with(rule), Mode::Official, inputs).1
}

fn given(fill: impl FnOnce(&mut Inputs)) -> Inputs {
    let mut inputs = Inputs::default();
    fill(&mut inputs);
    inputs
}

#[test]
fn threshold() {
    use Status::{Insufficient, Met, NotMet};
    for (op, number, value, status, amount) in [
        (">=", "5", Some(5), Met, None),
        (">=", "5", Some(4), NotMet, Some(1)),
        (">", "5", Some(5), NotMet, Some(1)),
        (">", "'2.5'", Some(3), Met, None),
        (">=", "'2.5'", Some(2), NotMet, Some(1)),
        ("<=", "0", Some(0), Met, None),
        ("<=", "0", Some(3), NotMet, Some(3)),
        ("<", "'2.5'", Some(2), Met, None),
        ("<", "2", Some(2), NotMet, Some(1)),
        (">=", "5", None, Insufficient, None),
        // A missing figure is at least 0, and that alone can decide.
        (">=", "0", None, Met, None),
        ("<", "0", None, NotMet, None),
        ("<=", "3", None, Insufficient, None),
    ] {
        let rule = format!("{{ threshold: {{ indicator: n, op: '{op}', value: {number} }} }}");
        let inputs = given(|i| value.into_iter().for_each(|v| figure(i, "n", "2025", v)));
        let step = leaf(&rule, &inputs);
        assert_eq!(step.status, status, "{value:?} {op} {number}");
        assert_eq!(step.gap.and_then(|gap| gap.amount), amount, "{value:?} {op} {number}");
        let reason = (status == Insufficient).then_some(Reason::MissingValue);
        assert_eq!(step.reason, reason);
    }
}

#[test]
fn a_missing_figure_says_who_owns_it_and_what_would_pass() {
    let step = leaf("{ threshold: { indicator: n, op: '<=', value: 3 } }", &Inputs::default());
    let gap = step.gap.unwrap();
    assert_eq!((gap.need_max, gap.figure.as_deref()), (Some(3), Some("n")));
    assert_eq!(step.missing[0].owner.as_deref(), Some("r"));
    assert!(step.say.vi.contains("chưa có số liệu") && step.say.vi.contains("chưa đủ căn cứ"));
    assert!(step.say.en.contains("not known"));
}

#[test]
fn a_disputed_figure_is_unknown_for_that_reason() {
    let inputs = given(|i| {
        figure(i, "n", "2025", 9);
        let figure = i.indicators.get_mut("n").unwrap().get_mut("2025").unwrap();
        figure.value = Err(Reason::Disputed);
    });
    let step = leaf("{ threshold: { indicator: n, op: '>=', value: 3 } }", &inputs);
    assert_eq!((step.status, step.reason), (Status::Insufficient, Some(Reason::Disputed)));
}

#[test]
fn parameters_that_are_not_settled_hold_the_answer_back() {
    let inputs = given(|i| figure(i, "n", "2025", 9));
    let rule = |name| format!("{{ threshold: {{ indicator: n, op: '>=', value: {{ param: {name} }} }} }}");
    let unset = leaf(&rule("none"), &inputs);
    assert_eq!(unset.reason, Some(Reason::ParameterUnset));
    assert_eq!(unset.would_be, None);
    let rules = with(&rule("two"));
    let (status, step) = leaf_in(&rules, Mode::Official, &inputs);
    assert_eq!(status, Status::Insufficient);
    assert_eq!(step.reason, Some(Reason::ParameterNotAdopted));
    assert_eq!(step.would_be, Some(Status::Met));
    let (status, step) = leaf_in(&rules, Mode::Simulation, &inputs);
    assert_eq!((status, step.would_be), (Status::Met, None));
    let some = "{ at_least: { n: { param: two }, of: [ { attested: s }, { attribute_in: { attribute: a, values: [x] } }, { attribute_in: { attribute: a, values: [x, y, z] } } ] } }";
    let (_, step) = leaf_in(&with(some), Mode::Official, &inputs);
    assert_eq!((step.op, step.would_be), ("at_least", Some(Status::Insufficient)));
}

#[test]
fn reduction() {
    use Status::{Insufficient, Met, NotApplicable, NotMet};
    // Start of p and q, end of p and q; the status; the amount short; the bound on the missing end.
    for (figures, zero, status, short, bound) in [
        ([Some(40), Some(20), Some(20), Some(9)], "not_applicable", Met, None, None),
        ([Some(40), Some(20), Some(20), Some(10)], "not_applicable", NotMet, Some(1), None),
        ([Some(40), Some(20), Some(20), None], "not_applicable", Insufficient, None, Some(9)),
        ([Some(40), Some(20), Some(35), None], "not_applicable", NotMet, Some(6), None),
        ([Some(0), Some(0), Some(0), Some(0)], "not_applicable", NotApplicable, None, None),
        ([Some(0), Some(0), Some(5), Some(0)], "met", Met, None, None),
        ([Some(0), Some(0), Some(0), Some(0)], "not_met", NotMet, None, None),
        ([None, None, Some(0), Some(0)], "not_applicable", Insufficient, None, None),
        // Whatever the start was, nothing is left: it fell, or it was nothing, which counts as met here.
        ([None, None, Some(0), Some(0)], "met", Met, None, None),
    ] {
        let rule = format!(
            "{{ reduction: {{ indicators: [p, q], from: {{ param: start }}, to: round, more_than_percent: '50', same_dim: poverty_standard, zero_base: {zero} }} }}"
        );
        let inputs = given(|i| ends(i, figures));
        let step = leaf(&rule, &inputs);
        assert_eq!(step.status, status, "{figures:?}");
        let gap = step.gap.as_ref();
        assert_eq!(gap.and_then(|gap| gap.amount), short, "{figures:?}");
        assert_eq!(gap.and_then(|gap| gap.need_max), bound, "{figures:?}");
    }
}

fn ends(inputs: &mut Inputs, figures: [Option<i64>; 4]) {
    let places = [("p", "2021"), ("q", "2021"), ("p", "2025"), ("q", "2025")];
    for ((name, period), value) in places.into_iter().zip(figures) {
        if let Some(value) = value {
            figure(inputs, name, period, value);
        }
    }
}

#[test]
fn reduction_of_each_and_across_standards() {
    let rule = |scope: &str| {
        format!(
            "{{ reduction: {{ indicators: [p, q], from: {{ param: start }}, to: round, more_than_percent: 50, {scope} same_dim: poverty_standard, zero_base: not_applicable }} }}"
        )
    };
    // Together 60 -> 20, but q alone only 20 -> 15.
    let mut inputs = given(|i| ends(i, [Some(40), Some(20), Some(5), Some(15)]));
    assert_eq!(leaf(&rule(""), &inputs).status, Status::Met);
    let each = leaf(&rule("scope: { param: each },"), &inputs);
    assert_eq!(each.status, Status::NotMet);
    assert_eq!(each.gap.unwrap().amount, Some(6));
    let figure = inputs.indicators.get_mut("q").unwrap().get_mut("2025").unwrap();
    figure.poverty_standard = Some("2026-2030".to_owned());
    let mixed = leaf(&rule(""), &inputs);
    assert_eq!(mixed.reason, Some(Reason::StandardMismatch));
}

#[test]
fn duration() {
    use Status::{Insufficient, Met, NotMet};
    for (since, years, status, reached) in [
        (Some("2022-12-31"), 3, Met, None),
        (Some("2023-01-01"), 3, NotMet, Some("2026-01-01")),
        (Some("2024-02-29"), 1, Met, None),
        (Some("2024-02-29"), 2, NotMet, Some("2026-02-28")),
        (Some("never"), 3, NotMet, None),
        (None, 3, Insufficient, None),
    ] {
        let rule = format!("{{ duration: {{ since: d, until: round, at_least_years: {years} }} }}");
        let value = since.map(|day| day.parse().map_or(DateValue::Never, DateValue::On));
        let inputs = given(|i| {
            value.into_iter().for_each(|value| {
                let evidence = evidence(4);
                i.dates.insert("d".to_owned(), DateFact { value, evidence });
            });
        });
        let step = leaf(&rule, &inputs);
        assert_eq!(step.status, status, "{since:?}");
        let day = step.gap.and_then(|gap| gap.reached_on);
        assert_eq!(day.as_deref(), reached, "{since:?}");
    }
}

#[test]
fn count() {
    use Reason::{MissingRecords, MissingValue};
    use Status::{Insufficient, Met, NotMet};
    let yes: &[(&str, &str)] = &[("kind", "k"), ("seen", "true")];
    let unseen: &[(&str, &str)] = &[("kind", "k"), ("seen", "false")];
    let other: &[(&str, &str)] = &[("kind", "m"), ("seen", "true")];
    let unclear: &[(&str, &str)] = &[("kind", "k")];
    for (closed, entries, status, reason) in [
        (true, vec![yes, yes], Met, None),
        (false, vec![yes, yes], Met, None),
        (true, vec![yes, unseen, other], NotMet, None),
        (false, vec![yes], Insufficient, Some(MissingRecords)),
        (true, vec![yes, unclear], Insufficient, Some(MissingValue)),
        (true, vec![unclear], NotMet, None),
        (true, vec![], NotMet, None),
        (false, vec![], Insufficient, Some(MissingRecords)),
    ] {
        let inputs = given(|i| register(i, "o", closed, &entries));
        let step = leaf("{ count: { records: o, where: { kind: k }, at_least: 2 } }", &inputs);
        assert_eq!((step.status, step.reason), (status, reason), "{closed} {entries:?}");
    }
}

#[test]
fn every() {
    use Status::{Insufficient, Met, NotApplicable, NotMet};
    let due = |done: &'static str| [("seen", "true"), ("due", "2025-06-30"), ("done", done)];
    let (early, late, never) = (due("2025-06-30"), due("2025-07-01"), due("null"));
    let (early, late, never): (&[_], &[_], &[_]) = (&early, &late, &never);
    let open: &[(&str, &str)] = &[("seen", "true"), ("due", "2025-06-30")];
    let later: &[(&str, &str)] = &[("seen", "true"), ("due", "2026-06-30"), ("done", "null")];
    for (closed, entries, none, status) in [
        (true, vec![early], "not_applicable", Met),
        (true, vec![early, late], "not_applicable", NotMet),
        (false, vec![early], "not_applicable", Insufficient),
        (false, vec![late], "not_applicable", NotMet),
        (true, vec![never], "not_applicable", NotMet),
        (true, vec![early, open], "not_applicable", Insufficient),
        (true, vec![later], "not_applicable", Insufficient),
        (true, vec![], "not_applicable", NotApplicable),
        (true, vec![], "insufficient", Insufficient),
        (true, vec![], "met", Met),
        (false, vec![], "met", Insufficient),
    ] {
        let inputs = given(|i| register(i, "o", closed, &entries));
        let rule = format!("{{ every: {{ records: o, all_true: [ok], none_is: {none} }} }}");
        let step = leaf(&rule, &inputs);
        assert_eq!(step.status, status, "{closed} {entries:?} {none}");
        assert_eq!(step.reason.is_some(), status == Insufficient);
    }
    let inputs = given(|i| register(i, "o", true, &[early, late]));
    let step = leaf("{ every: { records: o, all_true: [ok], none_is: met } }", &inputs);
    assert_eq!(step.gap.unwrap().failing, ["figure/51"]);
}

#[test]
fn attested() {
    use Status::{Insufficient, Met, NotMet};
    for (answer, status, reason) in [
        (Some(Answer::Yes), Met, None),
        (Some(Answer::No), NotMet, None),
        (Some(Answer::Disputed), Insufficient, Some(Reason::Disputed)),
        (Some(Answer::Unknown), Insufficient, Some(Reason::MissingAttestation)),
        (None, Insufficient, Some(Reason::MissingAttestation)),
    ] {
        let inputs = given(|i| answer.into_iter().for_each(|a| attest(i, "s", a)));
        let step = leaf("{ attested: s }", &inputs);
        assert_eq!((step.status, step.reason), (status, reason), "{answer:?}");
        let ask = step.gap.and_then(|gap| gap.ask);
        assert_eq!(ask.is_some(), status != Met);
    }
}

#[test]
fn attribute_in() {
    use Status::{Insufficient, Met, NotMet};
    for (value, values, status) in [
        (Some("x"), "x, y", Met),
        (Some("z"), "x, y", NotMet),
        (None, "x, y", Insufficient),
        // Whatever it is, it is one of these.
        (None, "x, y, z", Met),
    ] {
        let inputs = given(|i| {
            value.into_iter().for_each(|value| {
                let value = Ok(Scalar::Text(value.to_owned()));
                let evidence = evidence(2);
                i.attributes.insert("a".to_owned(), Attribute { value, evidence });
            });
        });
        let rule = format!("{{ attribute_in: {{ attribute: a, values: [{values}] }} }}");
        assert_eq!(leaf(&rule, &inputs).status, status, "{value:?} in {values}");
    }
}

#[test]
fn holds_award() {
    for (held, status) in [
        (Some(Some(true)), Status::Met),
        (Some(Some(false)), Status::NotMet),
        (Some(None), Status::Insufficient),
        (None, Status::Insufficient),
    ] {
        let inputs = given(|i| {
            held.into_iter().for_each(|held| {
                let (round, evidence) = (None, evidence(8));
                let held = HeldAward { held, round, evidence };
                i.held_awards.insert("w".to_owned(), held);
            });
        });
        assert_eq!(leaf("{ holds_award: { award: w } }", &inputs).status, status);
    }
}

#[test]
fn a_near_miss_takes_the_cheapest_branch() {
    let rule = "{ any: [ { all: [ { attested: s }, { threshold: { indicator: n, op: '>=', value: 5 } } ] }, { count: { records: o, at_least: 1 } } ] }";
    let inputs = given(|i| {
        attest(i, "s", Answer::No);
        figure(i, "n", "2025", 3);
        register(i, "o", true, &[]);
    });
    let rules = with(rule);
    let result = rules.evaluate(&ask("final", Mode::Official), &subject("thing"), &inputs).unwrap();
    let near = result.near_miss.unwrap();
    assert_eq!((near.blocking, near.unknown, near.unlock.len()), (1, 0, 2));
    assert_eq!(near.unlock[0][0].path, "X.1/any/1/count");
    assert_eq!(near.unlock[1][1].say.vi, "cần thêm 2 u");
}
