//! What every leaf condition shares: the parameters it uses, the figures it reads, and the draft it fills in.
//!
//! Never here: a comparison, or whether something was adopted.

use serde_json::{Value, json};

use super::evaluate::Scene;
use super::explain::{EvidenceRow, Gap, Missing, Say};
use super::inputs::Figure;
use super::number::{Decimal, Interval};
use super::run::Run;
use super::say::{Distance, Seen, distance};
use super::status::{Reason, Status};
use super::vocabulary::{Number, ParamRef};

/// A leaf before what was not adopted is held back.
pub(super) struct Leaf {
    /// `None` when a parameter has no value.
    pub draft: Option<Draft>,
    pub uses: Uses,
}

impl Leaf {
    /// Runs an operator, which may stop at a parameter without a value.
    pub(super) fn of(operator: impl FnOnce(&mut Uses) -> Option<Draft>) -> Self {
        let mut uses = Uses::default();
        let draft = operator(&mut uses);
        Self { draft, uses }
    }
}

/// The parameters a leaf used.
#[derive(Default)]
pub(super) struct Uses {
    pub names: Vec<String>,
    pub unset: Option<String>,
}

impl Uses {
    /// The number, or `None` when its parameter has no value.
    pub(super) fn number(&mut self, scene: &Scene<'_>, number: &Number) -> Option<Decimal> {
        let fits = "loading and preparing check every number";
        match number {
            Number::Integer(value) => Some(Decimal::from(*value)),
            Number::Text(text) => Some(Decimal::parse(text).expect(fits)),
            Number::Param(reference) => {
                let value = self.value(scene, reference)?;
                Some(value.decimal().expect(fits))
            }
        }
    }

    /// The same for a number that must be whole.
    pub(super) fn whole(&mut self, scene: &Scene<'_>, number: &Number) -> Option<i64> {
        let decimal = self.number(scene, number)?;
        Some(decimal.whole().expect("loading and preparing check that it is whole"))
    }

    /// The word or year a parameter holds.
    pub(super) fn text(&mut self, scene: &Scene<'_>, reference: &ParamRef) -> Option<String> {
        Some(self.value(scene, reference)?.to_string())
    }

    /// Marks that the condition depends on the cut-off.
    pub(super) fn cut_off(&mut self, run: &Run<'_>) {
        if let Some(parameter) = run.cut_off {
            self.add(parameter);
        }
    }

    fn value<'a>(&mut self, scene: &Scene<'a>, reference: &ParamRef) -> Option<&'a super::model::ParameterValue> {
        self.add(&reference.param);
        let run: &'a super::run::Run<'a> = scene.run;
        let chosen = run.params.get(reference.param.as_str());
        let value = chosen.and_then(|chosen| chosen.value.as_ref());
        if value.is_none() && self.unset.is_none() {
            self.unset = Some(reference.param.clone());
        }
        value
    }

    fn add(&mut self, parameter: &str) {
        if !self.names.iter().any(|name| name == parameter) {
            self.names.push(parameter.to_owned());
        }
    }
}

/// The parts of a step an operator fills in.
pub(super) struct Draft {
    pub status: Status,
    pub reason: Option<Reason>,
    pub computed: Value,
    pub required: Value,
    pub evidence: Vec<EvidenceRow>,
    pub missing: Vec<Missing>,
    pub gap: Option<Gap>,
    pub seen: Seen,
}

impl Draft {
    pub(super) fn new(status: Status, seen: Seen) -> Self {
        Self {
            status,
            reason: None,
            computed: json!({}),
            required: json!({}),
            evidence: Vec::new(),
            missing: Vec::new(),
            gap: None,
            seen,
        }
    }

    /// A leaf whose parameter has no value decides nothing, whatever the facts are.
    pub(super) fn unset(scene: &Scene<'_>, uses: &Uses) -> Self {
        let parameter = uses.unset.clone().expect("only a parameter without a value leaves no draft");
        let seen = Seen::Unset { parameter: scene.run.words().parameter(&parameter) };
        let mut draft = Self::new(Status::Insufficient, seen);
        draft.reason = Some(Reason::ParameterUnset);
        draft.required = json!({ "parameter": parameter });
        draft.missing = vec![missing_parameter(&parameter, Reason::ParameterUnset)];
        draft
    }

    /// Replaces the answer by "not enough evidence" until the parameter is adopted.
    pub(super) fn hold_back(&mut self, parameter: &str) {
        self.status = Status::Insufficient;
        self.reason = Some(Reason::ParameterNotAdopted);
        // A distance to a number nobody adopted would be read as a promise.
        self.gap = None;
        self.missing.push(missing_parameter(parameter, Reason::ParameterNotAdopted));
    }

    /// States why, when the answer is open; an answer that is settled needs no reason.
    pub(super) fn because(&mut self, reason: Reason) {
        if self.status == Status::Insufficient {
            self.reason = Some(reason);
        }
    }
}

pub(super) fn missing_parameter(parameter: &str, reason: Reason) -> Missing {
    Missing { kind: "parameter", name: parameter.to_owned(), period: None, reason, owner: None }
}

/// A gap that only says something.
pub(super) fn gap(words: &Distance) -> Gap {
    Gap {
        amount: None,
        unit: None,
        figure: None,
        period: None,
        need_max: None,
        need_min: None,
        reached_on: None,
        failing: Vec::new(),
        ask: None,
        say: distance(words),
    }
}

/// Shows a number a rule asks for, with the parameter it came from and who decided it.
pub(super) fn show_number(scene: &Scene<'_>, key: &str, number: &Number, value: Decimal) -> Value {
    let mut shown = json!({ key: value.to_string() });
    if let Number::Param(reference) = number {
        shown["parameter"] = json!(reference.param);
        let parameter = scene.run.model.parameters.get(&reference.param);
        if let Some(decided_by) = parameter.and_then(|p| p.decided_by.as_ref()) {
            shown["decided_by"] = json!(decided_by);
        }
    }
    shown
}

/// A figure as a leaf sees it.
pub(super) struct FigureSeen<'a> {
    pub interval: Interval,
    pub value: Result<i64, Reason>,
    pub figure: Option<&'a Figure>,
    pub indicator: String,
    pub period: String,
    pub name: Say,
    pub unit: &'a str,
    pub unit_words: Say,
    owner: &'a str,
}

impl<'a> FigureSeen<'a> {
    /// What is known of a figure; a missing one is anything from its smallest value upwards.
    pub(super) fn of(scene: &Scene<'a>, indicator: &str, period: &str) -> Self {
        let model = scene.run.model;
        let kind = model.indicators.get(indicator).expect("loading resolves every indicator");
        let periods = scene.inputs.indicators.get(indicator);
        let figure = periods.and_then(|periods| periods.get(period));
        let value = figure.map_or(Err(Reason::MissingValue), |figure| figure.value);
        Self {
            interval: value.map_or_else(|_| Interval::at_least(kind.min), Interval::known),
            value,
            figure,
            indicator: indicator.to_owned(),
            period: period.to_owned(),
            name: scene.run.words().indicator(indicator),
            unit: &kind.unit,
            unit_words: scene.run.words().unit(&kind.unit),
            owner: &kind.owner,
        }
    }

    /// The figure as evidence, if there is one.
    pub(super) fn row(&self) -> Option<EvidenceRow> {
        let figure = self.figure?;
        Some(EvidenceRow {
            kind: "indicator",
            name: self.indicator.clone(),
            period: Some(self.period.clone()),
            value: json!(figure.value.ok()),
            poverty_standard: figure.poverty_standard.clone(),
            basis: figure.evidence.clone(),
        })
    }

    /// The figure as something missing, if it has no value.
    pub(super) fn missing(&self) -> Option<Missing> {
        Some(Missing {
            kind: "indicator",
            name: self.indicator.clone(),
            period: Some(self.period.clone()),
            reason: self.value.err()?,
            owner: Some(self.owner.to_owned()),
        })
    }
}

/// A number of the explanation; what does not fit is left out rather than wrapped.
pub(super) fn shown(value: i128) -> Option<i64> {
    i64::try_from(value).ok()
}
