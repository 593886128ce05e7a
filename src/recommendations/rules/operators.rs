//! The leaf conditions over one fact: threshold, duration, attestation, attribute, award held.
//!
//! Each answers `met` if every value still possible satisfies it, `not_met` if none does, and otherwise says what is
//! missing. Never here: registers and reductions, which have files of their own.

use chrono::{Datelike, NaiveDate};
use serde_json::json;

use super::evaluate::Scene;
use super::explain::{EvidenceRow, Gap, Missing, Say};
use super::inputs::{Answer, DateValue};
use super::leaf::{Draft, FigureSeen, Leaf, gap, show_number, shown};
use super::number::{Decimal, Interval, Scalar};
use super::say::{Distance, Seen};
use super::status::{Reason, Status};
use super::vocabulary::{AwardName, Comparison, Duration, HoldsAward, Threshold};

/// The whole numbers that pass a comparison; figures are whole, so `> 2.5` is `>= 3`.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(i128),
    AtMost(i128),
}

impl Bound {
    fn of(op: Comparison, number: Decimal) -> Self {
        let floor = i128::from(number.mantissa).div_euclid(number.unit());
        let exact = i128::from(number.mantissa).rem_euclid(number.unit()) == 0;
        let ceiling = if exact { floor } else { floor + 1 };
        match op {
            Comparison::AtLeast => Self::AtLeast(ceiling),
            Comparison::Above => Self::AtLeast(floor + 1),
            Comparison::AtMost => Self::AtMost(floor),
            Comparison::Below => Self::AtMost(ceiling - 1),
        }
    }

    fn over(self, value: Interval) -> Status {
        let (all, some) = match self {
            Self::AtLeast(least) => {
                (value.low.is_some_and(|low| low >= least), value.high.is_none_or(|high| high >= least))
            }
            Self::AtMost(most) => {
                (value.high.is_some_and(|high| high <= most), value.low.is_none_or(|low| low <= most))
            }
        };
        match (all, some) {
            (true, _) => Status::Met,
            (false, false) => Status::NotMet,
            (false, true) => Status::Insufficient,
        }
    }

    /// How far a figure is from passing, or the bound a missing one must keep.
    fn distance(self, figure: &FigureSeen<'_>) -> Gap {
        let (name, period) = (figure.name.clone(), figure.period.clone());
        match (self, figure.value) {
            (Self::AtLeast(least), Ok(value)) => {
                let amount = least - i128::from(value);
                counted(amount, figure.unit, Distance::More { amount, unit: figure.unit_words.clone() })
            }
            (Self::AtMost(most), Ok(value)) => {
                let amount = i128::from(value) - most;
                counted(amount, figure.unit, Distance::Fewer { amount, unit: figure.unit_words.clone() })
            }
            (Self::AtLeast(value), Err(_)) => Gap {
                need_min: shown(value),
                figure: Some(figure.indicator.clone()),
                period: Some(figure.period.clone()),
                ..gap(&Distance::AtLeast { name, period, value })
            },
            (Self::AtMost(value), Err(_)) => Gap {
                need_max: shown(value),
                figure: Some(figure.indicator.clone()),
                period: Some(figure.period.clone()),
                ..gap(&Distance::AtMost { name, period, value })
            },
        }
    }
}

/// A gap that is an amount.
pub(super) fn counted(amount: i128, unit: &str, words: Distance) -> Gap {
    Gap { amount: shown(amount), unit: Some(unit.to_owned()), ..gap(&words) }
}

/// A figure compared with a number.
pub(super) fn threshold(scene: &Scene<'_>, rule: &Threshold) -> Leaf {
    Leaf::of(|uses| {
        let number = uses.number(scene, &rule.value)?;
        let figure = FigureSeen::of(scene, &rule.indicator, &scene.run.period);
        let bound = Bound::of(rule.op, number);
        let status = bound.over(figure.interval);
        let seen = Seen::Threshold {
            name: figure.name.clone(),
            period: figure.period.clone(),
            value: figure.value.ok(),
            sign: rule.op.sign().to_owned(),
            required: number,
            unit: figure.unit_words.clone(),
        };
        let mut draft = Draft::new(status, seen);
        draft.computed = json!({ "value": figure.value.ok() });
        draft.required = show_number(scene, "value", &rule.value, number);
        draft.required["op"] = json!(rule.op.sign());
        draft.evidence.extend(figure.row());
        draft.missing.extend(figure.missing());
        if let Err(reason) = figure.value {
            draft.because(reason);
        }
        draft.gap = (status != Status::Met).then(|| bound.distance(&figure));
        Some(draft)
    })
}

/// Calendar years since a day, both days included.
pub(super) fn duration(scene: &Scene<'_>, rule: &Duration) -> Leaf {
    Leaf::of(|uses| {
        let years = uses.whole(scene, &rule.at_least_years)?;
        let kind = scene.run.model.dates.get(&rule.since);
        let kind = kind.expect("loading resolves every date");
        let fact = scene.inputs.dates.get(&rule.since);
        let since = fact.map_or(DateValue::Unknown(Reason::MissingValue), |f| f.value);
        let until = scene.run.as_of;
        let reached = match since {
            DateValue::On(day) => Some(years_after(day, years)),
            DateValue::Never | DateValue::Unknown(_) => None,
        };
        let status = match since {
            DateValue::Unknown(_) => Status::Insufficient,
            DateValue::On(_) | DateValue::Never => Status::decided(reached.is_some_and(|day| day <= until)),
        };
        let name = scene.run.words().date(&rule.since);
        let mut draft = Draft::new(status, Seen::Duration { name, since, years, until });
        draft.computed = json!({ "since": civil(since), "reached_on": reached.map(|day| day.to_string()) });
        draft.required = show_number(scene, "at_least_years", &rule.at_least_years, years.into());
        draft.required["until"] = json!(until.to_string());
        if let Some(fact) = fact {
            let value = json!(civil(since));
            draft.evidence.push(row("date", &rule.since, value, &fact.evidence));
        }
        if let DateValue::Unknown(reason) = since {
            draft.because(reason);
            draft.missing.push(missing("date", &rule.since, reason, kind.owner.as_deref()));
        }
        if let (Status::NotMet, Some(day)) = (status, reached) {
            draft.gap = Some(Gap { reached_on: Some(day.to_string()), ..gap(&Distance::ReachedOn(day)) });
        }
        Some(draft)
    })
}

/// The same day `years` later; 29 February falls back to the 28th.
fn years_after(day: NaiveDate, years: i64) -> NaiveDate {
    let year = i32::try_from(i64::from(day.year()) + years).unwrap_or(i32::MAX);
    day.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, day.month(), 28)).unwrap_or(NaiveDate::MAX)
}

fn civil(value: DateValue) -> Option<String> {
    match value {
        DateValue::On(day) => Some(day.to_string()),
        DateValue::Never => Some("never".to_owned()),
        DateValue::Unknown(_) => None,
    }
}

/// A person's answer.
pub(super) fn attested(scene: &Scene<'_>, id: &str) -> Leaf {
    let question = scene.run.model.attestations.get(id).expect("loading resolves every attestation");
    let words = scene.run.words();
    let who = words.role(&question.by);
    let fact = scene.inputs.attestations.get(id);
    let answer = fact.map_or(Answer::Unknown, |fact| fact.answer);
    let (status, reason, word) = match answer {
        Answer::Yes => (Status::Met, None, Some("yes")),
        Answer::No => (Status::NotMet, None, Some("no")),
        Answer::Disputed => (Status::Insufficient, Some(Reason::Disputed), Some("disputed")),
        Answer::Unknown => (Status::Insufficient, Some(Reason::MissingAttestation), None),
    };
    let seen = Seen::Attested { ask: words.question(id), by: who.clone(), answer };
    let mut draft = Draft::new(status, seen);
    draft.reason = reason;
    draft.computed = json!({ "answer": word });
    draft.required = json!({ "statement": id, "ask": question.ask, "by": question.by });
    if let Some(fact) = fact {
        draft.evidence.push(row("attestation", id, json!(word), &fact.evidence));
    }
    if let Some(reason) = reason {
        draft.missing.push(missing("attestation", id, reason, Some(&question.by)));
    }
    if status != Status::Met {
        draft.gap = Some(Gap { ask: Some(question.by.clone()), ..gap(&Distance::Ask { who }) });
    }
    Leaf::of(|_| Some(draft))
}

/// An attribute has one of the values.
pub(super) fn attribute_in(scene: &Scene<'_>, attribute: &str, values: &[Scalar]) -> Leaf {
    let kind = scene.run.model.attributes.get(attribute);
    let owner = kind.and_then(|kind| kind.owner.as_deref());
    let fact = scene.inputs.attributes.get(attribute);
    let value = fact.map_or(Err(Reason::MissingValue), |fact| fact.value.clone());
    let status = match &value {
        Ok(value) => Status::decided(values.contains(value)),
        // Whatever it turns out to be, it is among them.
        Err(_) if kind.is_some_and(|kind| kind.values.iter().all(|v| values.contains(v))) => Status::Met,
        Err(_) => Status::Insufficient,
    };
    let words = scene.run.words();
    let word = |value: &Scalar| words.value(attribute, &value.to_string());
    let seen = Seen::AttributeIn {
        name: words.attribute(attribute),
        value: value.as_ref().ok().map(word),
        values: values.iter().map(word).collect(),
    };
    let mut draft = Draft::new(status, seen);
    draft.computed = json!({ "value": value.as_ref().ok() });
    draft.required = json!({ "attribute": attribute, "values": values });
    if let Some(fact) = fact {
        draft.evidence.push(row("attribute", attribute, json!(value.as_ref().ok()), &fact.evidence));
    }
    if let Err(reason) = value {
        draft.because(reason);
        if status == Status::Insufficient {
            draft.missing.push(missing("attribute", attribute, reason, owner));
            draft.gap = Some(supply(words.attribute(attribute), owner.map(|owner| words.role(owner))));
        }
    }
    Leaf::of(|_| Some(draft))
}

/// An award was given before and not revoked.
pub(super) fn holds_award(scene: &Scene<'_>, rule: &HoldsAward) -> Leaf {
    Leaf::of(|uses| {
        let award = match &rule.award {
            AwardName::Id(id) => id.clone(),
            AwardName::Param(reference) => uses.text(scene, reference)?,
        };
        let name = scene.run.words().award(&award);
        let fact = scene.inputs.held_awards.get(&award);
        let held = fact.and_then(|fact| fact.held);
        let status = held.map_or(Status::Insufficient, Status::decided);
        let mut draft = Draft::new(status, Seen::HoldsAward { name: name.clone(), held });
        draft.computed = json!({ "held": held });
        draft.required = json!({ "award": award });
        if let Some(fact) = fact {
            draft.evidence.push(row("award", &award, json!(held), &fact.evidence));
        }
        if held.is_none() {
            draft.because(Reason::MissingRecords);
            draft.missing.push(missing("award", &award, Reason::MissingRecords, None));
            draft.gap = Some(supply(name, None));
        }
        Some(draft)
    })
}

fn supply(what: Say, who: Option<Say>) -> Gap {
    gap(&Distance::Supply { what, who })
}

/// A fact as evidence.
pub(super) fn row(
    kind: &'static str,
    name: &str,
    value: serde_json::Value,
    basis: &[super::inputs::Evidence],
) -> EvidenceRow {
    EvidenceRow { kind, name: name.to_owned(), period: None, value, poverty_standard: None, basis: basis.to_vec() }
}

/// A fact as something missing.
pub(super) fn missing(kind: &'static str, name: &str, reason: Reason, owner: Option<&str>) -> Missing {
    Missing { kind, name: name.to_owned(), period: None, reason, owner: owner.map(str::to_owned) }
}
