//! The computation: a pure function of the rule set, what is known at a position, and the request.
//!
//! No clock, no chance, nothing stored. Subjects come in the order of their UUID bytes; the answer is
//! canonical JSON, so that the same question at the same position gives the same bytes on any engine.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::gather::{Frame, gather};
use super::knowledge::Knowledge;
use super::rules::{
    ENGINE_SEMANTICS, Labels, Mode, ParameterValue, Request, RequestError, RuleSet, Run, Subject, SubjectResult,
};
use crate::canonical::{canonical, hex, sha256};
use crate::error::{Code, Error, Fault};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    pub round: String,
    /// Whose results.
    pub scope: Asked,
    /// Whether the answer may lead to a decision.
    pub mode: Mode,
    /// The day of a special case (III.3.4) instead of the round's categories.
    pub special_on: Option<NaiveDate>,
}

/// Whose results are asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Every subject of the round in this unit's subtree at the cut-off.
    Subtree(Uuid),
    /// These units.
    Subjects(Vec<Uuid>),
}

/// The campaign's days, both inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// First day.
    pub first: NaiveDate,
    /// Last day.
    pub last: NaiveDate,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recommendations {
    /// What the results depend on; nothing else.
    pub run: RunView,
    /// One result a subject, in the order of the UUID bytes.
    #[schema(max_items = 100_000)]
    pub subjects: Vec<SubjectView>,
}

/// What a computation depends on, so that it can be repeated byte for byte.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunView {
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    #[schema(max_length = 60, example = "final")]
    pub round: String,
    /// `simulation` may use what was only proposed and is never a decision's basis.
    pub mode: Mode,
    /// The mark of a simulation, to be shown with every result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub mark: Option<&'static str>,
    /// The cut-off: facts dated later do not count.
    pub as_of: NaiveDate,
    /// True on the special path (III.3.4).
    pub special: bool,
    /// The last event that was taken into account.
    #[schema(minimum = 0)]
    pub log_position: i64,
    /// The rule set.
    pub rule_set: RuleSetRef,
    /// SHA-256 of the parameters as this mode sees them, hexadecimal.
    #[schema(max_length = 64)]
    pub parameters: String,
    /// Version of the meaning of the rules.
    pub engine_semantics: u32,
    /// SHA-256 of the canonical JSON of this answer without this member, hexadecimal.
    #[schema(max_length = 64)]
    pub result_hash: String,
}

/// A rule set by name, version and content.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RuleSetRef {
    /// Its id.
    #[schema(max_length = 200)]
    pub id: String,
    /// Its version.
    #[schema(max_length = 60, example = "0.1.0")]
    pub version: String,
    /// SHA-256 of the canonical JSON of the whole file, hexadecimal.
    #[schema(max_length = 64)]
    pub hash: String,
}

/// One subject's result.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectView {
    /// Its name at the cut-off.
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// The result, with reasons.
    #[serde(flatten)]
    pub result: SubjectResult,
}

const MARK: &str =
    "MÔ PHỎNG: dùng tham số mới đề xuất, không phải căn cứ quyết định (simulation, no basis of a decision)";

/// Prepares the run; a request that the rule set does not know is refused with a pointer.
pub fn prepare<'r>(rules: &'r RuleSet, question: &Question) -> Result<Run<'r>, Error> {
    let request = Request {
        round: question.round.clone(),
        mode: question.mode,
        special: question.special_on,
        overrides: BTreeMap::new(),
    };
    rules.prepare(&request).map_err(|error| {
        let pointer = match error {
            RequestError::UnknownRound(_) => "/round",
            RequestError::NoSpecialPath => "/special_on",
            _ => "",
        };
        let fault = Fault::new(pointer, "bộ tiêu chí không trả lời được yêu cầu này", error.to_string());
        Error::at(Code::InvalidValue, fault)
    })
}

/// The subjects of a question: units that exist at the cut-off.
pub fn subjects(rules: &RuleSet, knowledge: &Knowledge, asked: &Asked, as_of: NaiveDate) -> Vec<Uuid> {
    let judged = |unit: &Uuid| {
        let kind = knowledge.lineage.kind(*unit, as_of);
        kind.is_some_and(|kind| rules.model().judges(kind.as_str()))
    };
    let mut units: Vec<Uuid> = match asked {
        Asked::Subtree(unit) => {
            let below = knowledge.lineage.subtree(*unit, as_of);
            below.into_iter().filter(|unit| knowledge.lineage.exists(*unit, as_of) && judged(unit)).collect()
        }
        Asked::Subjects(units) => units.clone(),
    };
    units.sort_unstable();
    units.dedup();
    units
}

/// Refuses units that a round does not have: its subjects are those that exist at its cut-off. Asked once the caller may
/// see them all, for it says which ones are not there.
pub fn check_scope(knowledge: &Knowledge, asked: &Asked, as_of: NaiveDate) -> Result<(), Error> {
    let fault = |unit: &Uuid, pointer: String| match knowledge.lineage.lives.contains_key(unit) {
        false => Some(Fault::new(pointer, "không có đơn vị này", "there is no such unit")),
        true if knowledge.lineage.exists(*unit, as_of) => None,
        true => {
            let vi = format!("đơn vị không tồn tại vào ngày {as_of}");
            Some(Fault::new(pointer, vi, format!("does not exist on {as_of}")))
        }
    };
    let faults: Vec<Fault> = match asked {
        Asked::Subtree(unit) => fault(unit, "/scope/unit".to_owned()).into_iter().collect(),
        Asked::Subjects(units) => {
            let each = units.iter().enumerate();
            each.filter_map(|(at, unit)| fault(unit, format!("/scope/subjects/{at}"))).collect()
        }
    };
    if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
}

/// Refuses a special case on a day on which none can have been: outside the campaign, or still to come.
pub fn check_special(question: &Question, days: Days, today: NaiveDate) -> Result<(), Error> {
    let pointer = "/special_on";
    match question.special_on {
        Some(day) if day < days.first || day > days.last => {
            Err(Error::invalid(pointer, "ngoài thời gian của phong trào", "lies outside the campaign"))
        }
        Some(day) if day > today => Err(Error::invalid(pointer, "trong tương lai", "is in the future")),
        _ => Ok(()),
    }
}

/// Computes the answer at `position` as canonical JSON.
pub fn answer(
    rules: &RuleSet,
    labels: &Labels,
    knowledge: &Knowledge,
    question: &Question,
    first_day: NaiveDate,
    position: i64,
) -> Result<String, Error> {
    let run = prepare(rules, question)?.labelled(labels);
    let facts = run.facts();
    let frame = Frame {
        knowledge,
        campaign: question.campaign,
        round: &question.round,
        special: question.special_on.is_some(),
        first_day,
        as_of: run.as_of(),
        poverty_standard: poverty_standard(rules),
    };
    let units = subjects(rules, knowledge, &question.scope, run.as_of());
    let result = |unit: Uuid| {
        let kind = knowledge.lineage.kind(unit, run.as_of()).map_or("", |kind| kind.as_str());
        let subject = Subject { id: unit, kind: kind.to_owned(), form: Some("collective".to_owned()) };
        let result = run.evaluate(&subject, &gather(&frame, &facts, unit));
        SubjectView { name: knowledge.name(unit, run.as_of()), result }
    };
    let subjects = units.into_iter().map(result).collect();
    let header = header(rules, question, &run, position)?;
    seal(Recommendations { run: header, subjects })
}

fn header(rules: &RuleSet, question: &Question, run: &Run<'_>, position: i64) -> Result<RunView, Error> {
    let model = rules.model();
    Ok(RunView {
        campaign: question.campaign,
        round: question.round.clone(),
        mode: question.mode,
        mark: (question.mode == Mode::Simulation).then_some(MARK),
        as_of: run.as_of(),
        special: question.special_on.is_some(),
        log_position: position,
        rule_set: RuleSetRef {
            id: model.rule_set.id.clone(),
            version: model.rule_set.version.clone(),
            hash: rules.hash().to_owned(),
        },
        parameters: rules.parameter_hash(question.mode, &BTreeMap::new()).map_err(Error::internal)?,
        engine_semantics: ENGINE_SEMANTICS,
        result_hash: String::new(),
    })
}

/// The hash is over everything but itself.
fn seal(answer: Recommendations) -> Result<String, Error> {
    let mut document = serde_json::to_value(answer).map_err(Error::internal)?;
    if let Some(run) = document["run"].as_object_mut() {
        run.remove("result_hash");
    }
    let hash = hex(&sha256(canonical(&document).map_err(Error::internal)?.as_bytes()));
    document["run"]["result_hash"] = Value::String(hash);
    canonical(&document).map_err(Error::internal)
}

/// The standard under which the rule set compares counts; without one, none matches.
fn poverty_standard(rules: &RuleSet) -> &str {
    match rules.model().parameters.get("poverty_standard").and_then(|parameter| parameter.value.as_ref()) {
        Some(ParameterValue::Text(standard)) => standard,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::lineage::Life;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn pointers(answer: Result<(), Error>) -> Vec<String> {
        let faults = answer.err().map(|error| error.faults).unwrap_or_default();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_scope_names_units_that_exist_on_the_day() {
        let (ended, alive, unknown) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let mut knowledge = Knowledge::default();
        let life = |from: &str, to: Option<&str>| Life { from: day(from), to: to.map(day), ..Life::default() };
        knowledge.lineage.lives.insert(ended, life("2021-01-01", Some("2025-06-30")));
        knowledge.lineage.lives.insert(alive, life("2025-07-01", None));
        let told = |asked, on: &str| pointers(check_scope(&knowledge, &asked, day(on)));
        let all = Asked::Subjects(vec![ended, alive, unknown]);
        assert_eq!(told(all.clone(), "2025-06-30"), ["/scope/subjects/1", "/scope/subjects/2"]);
        assert_eq!(told(all, "2025-07-01"), ["/scope/subjects/0", "/scope/subjects/2"]);
        assert_eq!(told(Asked::Subtree(ended), "2025-06-30"), Vec::<String>::new());
        assert_eq!(told(Asked::Subtree(ended), "2025-07-01"), ["/scope/unit"]);
        assert_eq!(told(Asked::Subtree(unknown), "2025-07-01"), ["/scope/unit"]);
    }

    #[test]
    fn a_special_case_was_within_the_campaign_and_is_not_to_come() {
        let days = Days { first: day("2021-01-01"), last: day("2025-12-31") };
        for (special_on, today, good) in [
            (None, "2030-01-01", true),
            (Some("2021-01-01"), "2030-01-01", true),
            (Some("2025-12-31"), "2030-01-01", true),
            (Some("2020-12-31"), "2030-01-01", false),
            (Some("2026-01-01"), "2030-01-01", false),
            (Some("2024-05-01"), "2024-05-01", true),
            (Some("2024-05-02"), "2024-05-01", false),
        ] {
            let question = Question {
                campaign: Uuid::nil(),
                round: "final".to_owned(),
                scope: Asked::Subjects(Vec::new()),
                mode: Mode::Simulation,
                special_on: special_on.map(day),
            };
            let refused = pointers(check_special(&question, days, day(today)));
            assert_eq!(refused.is_empty(), good, "{special_on:?} on {today}: {refused:?}");
        }
    }
}
