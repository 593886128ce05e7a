//! Self-audit: standing questions to the event log, whose answers are findings, each with the events that show it.
//!
//! A finding is computed on request from the leaves up to a position, in one ascending pass, and from the campaign
//! documents that those leaves name; never from tables of the present, and nothing is stored. Asked again at its position
//! the answer is the same. Memory is held by what is still open (who wrote what waits for a decision, which grants a unit
//! has, which register stands open), not by every leaf.
//!
//! A new question is one file in `questions/` and one line in its list. A finding is no verdict: the service refuses most
//! of what is asked for here, so that a finding tells of a way around it; what it permits (a correction, a register
//! reopened) is told so that somebody looks. No personal value: ids, codes and numbers only.
//!
//! Questions about councils and decisions join when those exist.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::words;

pub mod event;
pub mod http;
pub mod kept;
pub mod known;
pub mod outcome;
pub mod pass;
pub mod questions;

pub use event::Event;
pub use kept::KeptPass;
pub use known::Known;

words! {
    /// How pressing a finding is.
    pub enum Severity {
        /// Permitted; somebody should look at it.
        Notice = "notice",
        /// Refused by the service, or close to harm.
        Serious = "serious",
    }
}

/// A sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FindingText)]
pub struct Said {
    /// Vietnamese.
    #[schema(max_length = 4000)]
    pub vi: String,
    /// English.
    #[schema(max_length = 4000)]
    pub en: String,
}

impl Said {
    /// Both at once.
    pub fn new(vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self { vi: vi.into(), en: en.into() }
    }
}

/// An event that shows a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = FindingEvent)]
pub struct EventRef {
    /// Its place in the log.
    #[schema(minimum = 0, example = 42)]
    pub position: i64,
    /// Its id.
    pub id: Uuid,
    /// `record.verb_in_past_tense`.
    #[serde(rename = "type")]
    #[schema(max_length = 100, example = "figure.confirmed")]
    pub kind: String,
}

/// A record that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = FindingRecord)]
pub struct RecordRef {
    /// The record's type.
    #[serde(rename = "type")]
    #[schema(max_length = 100, example = "figure")]
    pub kind: String,
    /// The record's id.
    pub id: Uuid,
}

words! {
    /// What of an outcome is another one.
    pub enum OutcomePart {
        /// The answer over all criteria.
        Status = "status",
        /// A criterion's status.
        Criterion = "criterion",
        /// What the rules say of an award form.
        Award = "award",
    }
}

/// One outcome that is another one since a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct OutcomeChange {
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    #[schema(max_length = 100, example = "mid")]
    pub round: String,
    /// Whose outcome.
    pub unit: Uuid,
    /// What of it.
    pub part: OutcomePart,
    /// The criterion or the award form; empty for the answer over all criteria.
    #[schema(max_length = 100, example = "III.2.3.d")]
    pub name: String,
    /// Before the change.
    #[schema(max_length = 100, example = "met")]
    pub before: String,
    /// After it.
    #[schema(max_length = 100, example = "not_met")]
    pub after: String,
}

/// By how much a change moved outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutcomeMove {
    /// False if nobody computed it: the question was not asked by its name, or too many changes were found.
    pub evaluated: bool,
    /// What is different, by campaign, round, unit and name; nothing if no outcome changed.
    #[schema(max_items = 100_000)]
    pub changes: Vec<OutcomeChange>,
}

/// A correction of which outcomes may have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Where it stands in the log.
    pub position: i64,
    /// The unit whose figure it is.
    pub unit: Uuid,
    /// The figure's year.
    pub year: i32,
}

/// One answer to a standing question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// The question.
    #[schema(max_length = 60, example = "own_work_accepted")]
    pub question: &'static str,
    /// How pressing it is.
    pub severity: Severity,
    /// The unit concerned.
    pub unit: Option<Uuid>,
    /// The records that it is about.
    #[schema(max_items = 200)]
    pub records: Vec<RecordRef>,
    /// The accounts whose doing it is.
    #[schema(max_items = 200)]
    pub accounts: Vec<Uuid>,
    /// What was found, without a personal value.
    pub text: Said,
    /// Of a corrected figure: by how much it moved outcomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeMove>,
    /// The events that show it, in the order of the log.
    #[schema(max_items = 200)]
    pub events: Vec<EventRef>,
    /// What `outcome` is computed for.
    #[serde(skip)]
    pub correction: Option<Correction>,
}

impl Finding {
    /// A finding that these events show; sorted, each once.
    pub fn new(question: &'static str, severity: Severity, unit: Option<Uuid>, text: Said) -> Self {
        Self {
            question,
            severity,
            unit,
            records: Vec::new(),
            accounts: Vec::new(),
            text,
            outcome: None,
            events: Vec::new(),
            correction: None,
        }
    }

    /// About these records.
    pub fn about(mut self, records: impl IntoIterator<Item = RecordRef>) -> Self {
        self.records = sorted(records);
        self
    }

    /// By these accounts.
    pub fn by(mut self, accounts: impl IntoIterator<Item = Uuid>) -> Self {
        self.accounts = sorted(accounts);
        self
    }

    /// Shown by these events.
    pub fn shown_by(mut self, events: impl IntoIterator<Item = EventRef>) -> Self {
        self.events = sorted(events);
        self
    }

    /// Where it stands among others: by its last event, its first, then its record.
    fn place(&self) -> (Option<i64>, Option<i64>, Option<&RecordRef>) {
        let position = |event: Option<&EventRef>| event.map(|event| event.position);
        (position(self.events.last()), position(self.events.first()), self.records.first())
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Puts findings in their order: that of the log, by the last event that shows each; then that of the questions.
pub fn order(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (a.place(), a.question, &a.accounts).cmp(&(b.place(), b.question, &b.accounts)));
}
