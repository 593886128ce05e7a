//! A request resolved against its rule set.
//!
//! Lives here: the cut-off, the parameters with what is tried out, and what an official run holds back. Never here:
//! facts, or an answer.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::labels::{self, Labels, Words};
use super::model::{Decision, Model, ParameterValue, Round};

/// Whether a run may lead to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only what was adopted counts.
    Official,
    /// What was proposed may be used; the result is a simulation.
    Simulation,
}

/// What is asked of a rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The round.
    pub round: String,
    /// Whether the run may lead to a decision.
    pub mode: Mode,
    /// The day of a special case; it asks for the special path instead of the round's categories.
    pub special: Option<NaiveDate>,
    /// Parameter values to try out; they count as proposed, so an official run never uses them.
    pub overrides: BTreeMap<String, ParameterValue>,
}

/// Why a request cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The rule set has no such round.
    #[error("the rule set has no round {0}")]
    UnknownRound(String),
    /// The round's cut-off parameter has no value, so nothing can be dated.
    #[error("the cut-off {0} has no value")]
    CutOffUnset(String),
    /// The rule set has no special path.
    #[error("the rule set has no special path")]
    NoSpecialPath,
    /// The rule set has no such parameter.
    #[error("the rule set has no parameter {0}")]
    UnknownParameter(String),
    /// The value does not suit the rules that use the parameter.
    #[error("parameter {parameter}: {reason}")]
    BadValue {
        /// The parameter.
        parameter: String,
        /// What is wrong with the value.
        reason: String,
    },
}

/// A parameter as one run sees it.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub value: Option<ParameterValue>,
    pub status: Decision,
}

/// A request resolved against its rule set; evaluates any number of subjects.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    pub(super) model: &'a Model,
    pub(super) mode: Mode,
    pub(super) round_id: &'a str,
    pub(super) round: &'a Round,
    pub(super) special: bool,
    pub(super) as_of: NaiveDate,
    /// The year of the cut-off, which is the period of `per: period` figures.
    pub(super) period: String,
    /// The parameter the cut-off came from; a special case brings its own day.
    pub(super) cut_off: Option<&'a str>,
    pub(super) params: BTreeMap<&'a str, Chosen>,
    labels: &'a Labels,
}

impl<'a> Run<'a> {
    pub(super) fn prepare(model: &'a Model, request: &Request) -> Result<Self, RequestError> {
        let (round_id, round) = model
            .rounds
            .iter()
            .find(|(id, _)| *id == request.round)
            .ok_or_else(|| RequestError::UnknownRound(request.round.clone()))?;
        let params = chosen(model, &request.overrides)?;
        if request.special.is_some() && model.special_path.is_none() {
            return Err(RequestError::NoSpecialPath);
        }
        let parameter = round.as_of.param.as_str();
        let round_day = params.get(parameter).and_then(|chosen| chosen.value.as_ref()?.date());
        let as_of = request.special.or(round_day).ok_or_else(|| RequestError::CutOffUnset(parameter.to_owned()))?;
        Ok(Self {
            model,
            mode: request.mode,
            round_id,
            round,
            special: request.special.is_some(),
            as_of,
            period: as_of.year().to_string(),
            cut_off: request.special.is_none().then_some(parameter),
            params,
            labels: &labels::NONE,
        })
    }

    /// Says names as `labels` have them.
    pub fn labelled(self, labels: &'a Labels) -> Self {
        Self { labels, ..self }
    }

    pub(super) fn words(&self) -> Words<'a> {
        Words { model: self.model, labels: self.labels }
    }

    /// The cut-off: the day every fact is read at.
    pub fn as_of(&self) -> NaiveDate {
        self.as_of
    }

    /// Whether a parameter must be held back in this run.
    pub(super) fn holds_back(&self, parameter: &str) -> bool {
        self.mode == Mode::Official
            && self.params.get(parameter).is_none_or(|chosen| chosen.status != Decision::Adopted)
    }
}

/// The parameters with their overrides.
pub(super) fn chosen<'a>(
    model: &'a Model,
    overrides: &BTreeMap<String, ParameterValue>,
) -> Result<BTreeMap<&'a str, Chosen>, RequestError> {
    let mut params: BTreeMap<&str, Chosen> = BTreeMap::new();
    for (name, parameter) in model.parameters.iter() {
        let chosen = Chosen {
            value: parameter.value.clone(),
            status: match parameter.value {
                None => Decision::Unset,
                Some(_) => parameter.status,
            },
        };
        params.insert(name, chosen);
    }
    for (name, value) in overrides {
        let Some(chosen) = params.get_mut(name.as_str()) else {
            return Err(RequestError::UnknownParameter(name.clone()));
        };
        super::values::suits(model, name, value)
            .map_err(|reason| RequestError::BadValue { parameter: name.clone(), reason })?;
        *chosen = Chosen { value: Some(value.clone()), status: Decision::Proposed };
    }
    Ok(params)
}
