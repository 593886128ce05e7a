//! The shape of an answer: every status with what was computed, what was required and what it stands on.
//!
//! Lives here: types only, in the order they are written. Never here: a decision, or a sentence (`say`).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::inputs::Evidence;
use super::model::Decision;
use super::status::{Reason, Status};

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Say {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

/// A fact that was used.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EvidenceRow {
    /// `indicator`, `attribute`, `date`, `record`, `register`, `attestation`, `award` or `nomination`.
    pub kind: &'static str,
    /// Its name in the rule set.
    pub name: String,
    /// The period of a figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Its value.
    pub value: Value,
    /// The poverty standard of a figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poverty_standard: Option<String>,
    /// The events it stands on.
    pub basis: Vec<Evidence>,
}

/// A fact that was needed and is not known, and who owns it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Missing {
    /// `indicator`, `attribute`, `date`, `record`, `attestation`, `award` or `parameter`.
    pub kind: &'static str,
    /// Its name in the rule set.
    pub name: String,
    /// The period of a figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Why it is not known.
    pub reason: Reason,
    /// The role that can supply it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// How far a condition is from holding. Distances in different units are never added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Gap {
    /// How many too many or too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The unit of the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The one missing figure the two bounds below are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure: Option<String>,
    /// Its period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// The largest value of the missing figure that would still pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need_max: Option<i64>,
    /// The smallest value of the missing figure that would pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need_min: Option<i64>,
    /// The day it will hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_on: Option<String>,
    /// The records that are not in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
    /// The role to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// The same in words.
    pub say: Say,
}

/// One leaf condition and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Step {
    /// Where it stands, for example `III.2.3.a/all/1/attested`.
    pub path: String,
    /// Its operator.
    pub op: &'static str,
    /// Its answer.
    pub status: Status,
    /// Why it could not be decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The answer if what it uses were adopted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<Status>,
    /// What the facts give.
    #[schema(value_type = Object)]
    pub computed: Value,
    /// What the rule asks for.
    #[schema(value_type = Object)]
    pub required: Value,
    /// The facts used.
    pub evidence: Vec<EvidenceRow>,
    /// The facts that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// How far it is from holding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// All of it in a sentence.
    pub say: Say,
    /// The parameters it used.
    #[serde(skip)]
    pub(super) uses: Vec<String>,
}

/// One criterion and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CriterionResult {
    /// Its id.
    pub id: String,
    /// Its clause.
    pub clause: String,
    /// The clause in our own words.
    pub text: String,
    /// `computed`, `attested` or `mixed`.
    pub kind: String,
    /// Its answer.
    pub status: Status,
    /// The answer if everything it uses were adopted, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<Status>,
    /// Its leaf conditions, in document order.
    pub steps: Vec<Step>,
    /// What decided, in words.
    pub say: Say,
}

/// What the rules say about one award. It is a recommendation, never a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AwardOutcome {
    /// The highest award the subject qualifies for.
    Recommended,
    /// Qualified, but a higher award rewards the same achievement, or one was already given.
    WithheldSameAchievement,
    /// A condition is known not to hold.
    NotEligible,
    /// A condition is not decided.
    InsufficientEvidence,
    /// The round does not lead to this award.
    NotInRound,
}

/// One award and what the rules say about it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AwardResult {
    /// The award.
    pub award: String,
    /// Its name.
    pub name: String,
    /// Who decides it.
    pub decided_by: String,
    /// What the rules say.
    pub outcome: AwardOutcome,
    /// Criteria, attestations, or one of `subject_form`, `no_issuer`, `no_category`, `not_applicable`,
    /// `combination`, `cut_off`, `nomination`, `parameter:<name>`, `award:<id>`.
    pub because: Vec<String>,
    /// Higher awards that are still possible and would take this one's place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub superseded_if: Vec<String>,
    /// The conditions it adds to the category's criteria.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The nomination it stands on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nomination: Vec<Evidence>,
    /// All of it in a sentence.
    pub say: Say,
}

/// Something somebody can do so that more is decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct NextStep {
    /// `attest`, `resolve`, `report`, `close_register`, `decide` or `nominate`.
    pub r#do: &'static str,
    /// The kind of thing.
    pub kind: &'static str,
    /// Its name in the rule set.
    pub name: String,
    /// The period of a figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// The role that can do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why it is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// A parameter or a way of reading the plan that the answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadingUsed {
    /// `parameter`, `combination` or `reading`.
    pub kind: &'static str,
    /// The parameter, category or clause.
    pub name: String,
    /// Its value, or the reading in words.
    pub value: Option<String>,
    /// Whether it was decided.
    pub status: Decision,
}

/// One condition that stands between the subject and the category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unlock {
    /// The leaf condition.
    pub path: String,
    /// Whether it is known not to hold; otherwise it is unknown.
    pub blocking: bool,
    /// What is needed.
    pub say: Say,
}

/// How near the subject is to the category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NearMiss {
    /// Leaf conditions known not to hold, in the cheapest alternative.
    pub blocking: usize,
    /// Leaf conditions not known, in the cheapest alternative.
    pub unknown: usize,
    /// Up to three ways, cheapest first; all conditions of a way are needed.
    pub unlock: Vec<Vec<Unlock>>,
}

/// The subject of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubjectRef {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Everything the rules say about one subject in one round.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SubjectResult {
    /// Whom it is about.
    pub subject: SubjectRef,
    /// The category that judged it; none lists its type, or the special path was asked for.
    pub category: Option<String>,
    /// The round.
    pub round: String,
    /// Whether the special path was asked for.
    pub special: bool,
    /// The cut-off, or the day of the special case.
    pub as_of: String,
    /// The answer over all criteria.
    pub status: Status,
    /// Why the combination itself could not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The answer if everything used were adopted, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<Status>,
    /// Conditions of the combination itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The criteria, in document order.
    pub criteria: Vec<CriterionResult>,
    /// The awards, highest first.
    pub awards: Vec<AwardResult>,
    /// What would settle what is open.
    pub next: Vec<NextStep>,
    /// What the answer depends on.
    pub readings_used: Vec<ReadingUsed>,
    /// How near it is; absent when met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_miss: Option<NearMiss>,
}
