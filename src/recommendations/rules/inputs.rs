//! What the caller brings: one subject and the facts known about it, each with its evidence.
//!
//! Lives here: plain types. Never here: where facts come from, or what they lead to. A fact that is not brought is
//! unknown; it is never zero and never "no".

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::number::Scalar;
use super::status::Reason;

/// Whom the rules are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The unit, household or person.
    pub id: Uuid,
    /// Its type, one of the rule set's `subject_type` values, for example `village`.
    pub kind: String,
    /// `collective`, `family` or `individual`; needed only for a kind that no category lists.
    pub form: Option<String>,
}

/// The event a fact stands on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = EventEvidence)]
pub struct Evidence {
    /// Position of the event in the log.
    pub position: i64,
    /// The event.
    pub event: Uuid,
    /// The record it changed, for example `figure/0198…`.
    pub record: String,
    /// The unit that recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Uuid>,
    /// A reference to the document behind it, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// A confirmed figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The value; an unknown one says why, for example [`Reason::Disputed`].
    pub value: Result<i64, Reason>,
    /// The poverty standard it was counted under, where the indicator has one.
    pub poverty_standard: Option<String>,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}

/// A known attribute of the subject. An unknown one is left out, or carries its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The value, or why it is unknown.
    pub value: Result<Scalar, Reason>,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}

/// What is known of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateValue {
    /// It happened on this day.
    On(NaiveDate),
    /// It is known not to have happened.
    Never,
    /// Nothing is known.
    Unknown(Reason),
}

/// A date of the subject's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFact {
    /// The day, if there is one.
    pub value: DateValue,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}

/// The entries of one kind of record. Only a closed register can prove that something is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Register {
    /// Its owner closed it for this unit and round: there are no other entries.
    pub closed: bool,
    /// Why it is open, if for another reason than that nobody closed it.
    pub open_because: Option<Reason>,
    /// The accepted entries.
    pub entries: Vec<Entry>,
    /// What the closing stands on.
    pub evidence: Vec<Evidence>,
}

/// One record. A field that is left out is unknown; `Scalar::Null` is known to be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its fields by name; dates are text, `2025-12-31`.
    pub fields: BTreeMap<String, Scalar>,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}

/// The answer to a question only a person can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Confirmed.
    Yes,
    /// Denied.
    No,
    /// Valid answers differ.
    Disputed,
    /// Nobody could say.
    Unknown,
}

/// An attestation of the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// What was answered.
    pub answer: Answer,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}

/// An award decided earlier and not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAward {
    /// Whether the subject holds it; `None` is unknown.
    pub held: Option<bool>,
    /// The round of this campaign it was given in; `None` outside this campaign.
    pub round: Option<String>,
    /// What it stands on.
    pub evidence: Vec<Evidence>,
}

/// Everything known about one subject at one log position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// Figures by indicator, then by period. `per: year` is keyed `2021`; `per: period` by the year of the cut-off.
    pub indicators: BTreeMap<String, BTreeMap<String, Figure>>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
    /// Dates by name.
    pub dates: BTreeMap<String, DateFact>,
    /// Registers by kind of record.
    pub records: BTreeMap<String, Register>,
    /// Attestations by id.
    pub attestations: BTreeMap<String, Attestation>,
    /// Awards the subject was validly nominated for, with the nomination.
    pub nominations: BTreeMap<String, Vec<Evidence>>,
    /// Awards decided earlier, by award.
    pub held_awards: BTreeMap<String, HeldAward>,
}
