//! An obligation is a paper or report that a unit owes by a day (plan III.2.1.a, III.2.2.b): imposed, then fulfilled or
//! cancelled. Fulfilment counts on its civil date. An earlier paper is entered by the office that received it, with the
//! day of receipt and evidence, and is marked so.
//!
//! Never here: what a paper says, and how good it is.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::error::{Code, Error, Fault};
use crate::evidence::{Evidence, MOST_EVIDENCE, PaperNumber};
use crate::words;

pub mod http;
pub mod store;
pub mod view;

/// The register in which obligations stand.
pub const REGISTER: &str = "obligation";

words! {
    /// What is owed.
    pub enum ObligationKind {
        /// A directive or guidance asked for by a competent level (plan III.2.1.a.1).
        GuidanceDocument = "guidance_document",
        /// Settlement of funds (plan III.2.2.b.1).
        Settlement = "settlement",
        /// A periodic report (plan III.2.2.b.2).
        PeriodicReport = "periodic_report",
        /// A report asked for once (plan III.2.2.b.2).
        AdHocReport = "ad_hoc_report",
    }
}

words! {
    /// How far an obligation has come.
    pub enum ObligationState {
        /// Owed; may still be amended.
        Open = "open",
        /// Done on the day that it names.
        Fulfilled = "fulfilled",
        /// No longer owed.
        Cancelled = "cancelled",
    }
}

const fn step(
    verb: &'static str,
    from: &'static [ObligationState],
    to: ObligationState,
) -> Transition<ObligationState> {
    Transition { verb, from, to, permission: Permission::KeepObligations, four_eyes: false }
}

/// What may happen to an obligation.
pub const TRANSITIONS: &[Transition<ObligationState>] = &[
    step("amend", &[ObligationState::Open], ObligationState::Open),
    step("fulfil", &[ObligationState::Open], ObligationState::Fulfilled),
    step("correct", &[ObligationState::Fulfilled], ObligationState::Fulfilled),
    step("cancel", &[ObligationState::Open], ObligationState::Cancelled),
];

/// What is owed, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What is owed.
    #[garde(skip)]
    pub kind: ObligationKind,
    /// What it is about; personal, stays outside the log. Null once it was erased.
    #[garde(required, inner(length(chars, min = 1, max = 500)))]
    #[schema(min_length = 1, max_length = 500, example = "Báo cáo giảm nghèo năm 2023")]
    pub title: Option<String>,
    /// Number of the paper that asks for it.
    #[serde(default)]
    #[garde(dive)]
    #[schema(inline, example = "120/UBND-NV")]
    pub document_number: Option<PaperNumber>,
    /// Last day on which it is in time.
    #[garde(skip)]
    #[schema(example = "2023-12-15")]
    pub due_on: NaiveDate,
}

/// An obligation to be imposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "unit": "01900000-0000-7000-8000-000000000003",
    "terms": { "kind": "periodic_report", "title": "Báo cáo giảm nghèo năm 2023", "due_on": "2023-12-15" }
}))]
pub struct ObligationDraft {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// Who owes it.
    #[garde(skip)]
    pub unit: Uuid,
    /// What is owed.
    #[garde(dive)]
    pub terms: Terms,
}

/// How an obligation was fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Fulfilment {
    /// The civil date on which it was done; this day counts.
    #[garde(skip)]
    #[schema(example = "2023-12-14")]
    pub fulfilled_on: NaiveDate,
    /// The civil date on which the office received the paper; needed if it is entered on a later day.
    #[serde(default)]
    #[garde(skip)]
    #[schema(example = "2023-12-14")]
    pub received_on: Option<NaiveDate>,
    /// The papers; needed if it is entered on a later day.
    #[serde(default)]
    #[garde(length(max = MOST_EVIDENCE), dive)]
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
}

impl Terms {
    /// Refuses a day that no campaign of this kind has.
    pub fn check(&self, starts_on: NaiveDate, pointer: &str) -> Result<(), Error> {
        let latest = NaiveDate::from_ymd_opt(2100, 12, 31);
        if self.due_on >= starts_on && latest.is_some_and(|latest| self.due_on <= latest) {
            return Ok(());
        }
        let (vi, en) =
            ("trước ngày bắt đầu phong trào hoặc quá xa", "is before the campaign's first day or too far off");
        Err(Error::invalid(format!("{pointer}/due_on"), vi, en))
    }
}

impl Fulfilment {
    /// True if it is entered on a later day than the one on which it was done. A day that stands since it was entered
    /// on time stays so when other things are corrected.
    pub fn entered_later(&self, today: NaiveDate, entered_on_time: Option<NaiveDate>) -> bool {
        self.fulfilled_on < today && entered_on_time != Some(self.fulfilled_on)
    }

    /// Every rule that the fulfilment breaks; `later` is [`Self::entered_later`].
    pub fn check(&self, starts_on: NaiveDate, today: NaiveDate, later: bool, pointer: &str) -> Result<(), Error> {
        let mut faults = Vec::new();
        let mut unless = |fine: bool, member: &str, vi: &'static str, en: &'static str| {
            if !fine {
                faults.push(Fault::new(format!("{pointer}/{member}"), vi, en));
            }
        };
        unless(self.fulfilled_on <= today, "fulfilled_on", "trong tương lai", "is in the future");
        let (vi, en) = ("trước ngày bắt đầu phong trào", "is before the campaign's first day");
        unless(self.fulfilled_on >= starts_on, "fulfilled_on", vi, en);
        unless(self.received_on.is_none_or(|day| day <= today), "received_on", "trong tương lai", "is in the future");
        let (vi, en) = ("trước ngày hoàn thành", "is before the day of fulfilment");
        unless(self.received_on.is_none_or(|day| day >= self.fulfilled_on), "received_on", vi, en);
        let (vi, en) =
            ("ghi sau ngày hoàn thành thì phải có ngày nhận", "is needed for what is entered on a later day");
        unless(!later || self.received_on.is_some(), "received_on", vi, en);
        let (vi, en) =
            ("ghi sau ngày hoàn thành thì phải có minh chứng", "is needed for what is entered on a later day");
        unless(!later || !self.evidence.is_empty(), "evidence", vi, en);
        if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
    }
}

/// Whether it was done in time; `None` if that is still open or no longer asked.
pub fn on_time(
    state: ObligationState,
    due_on: NaiveDate,
    fulfilled_on: Option<NaiveDate>,
    today: NaiveDate,
) -> Option<bool> {
    match state {
        ObligationState::Fulfilled => fulfilled_on.map(|day| day <= due_on),
        ObligationState::Open => (due_on < today).then_some(false),
        ObligationState::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::EvidenceKind;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_entered_later_needs_the_day_of_receipt_and_evidence() {
        let (start, today) = (day("2021-01-01"), day("2024-02-01"));
        let paper =
            || vec![Evidence { kind: EvidenceKind::Document, number: Some(PaperNumber("1/BC".into())), sha256: None }];
        for (fulfilled, received, evidence, faults) in [
            ("2024-02-01", None, vec![], vec![]),
            ("2024-01-31", None, vec![], vec!["/f/received_on", "/f/evidence"]),
            ("2024-01-31", Some("2024-02-01"), vec![], vec!["/f/evidence"]),
            ("2024-01-31", Some("2024-01-31"), paper(), vec![]),
            ("2024-01-31", Some("2024-01-30"), paper(), vec!["/f/received_on"]),
            ("2024-01-31", Some("2024-02-02"), paper(), vec!["/f/received_on"]),
            ("2024-02-02", None, vec![], vec!["/f/fulfilled_on"]),
            ("2020-12-31", Some("2021-01-04"), paper(), vec!["/f/fulfilled_on"]),
        ] {
            let fulfilment = Fulfilment { fulfilled_on: day(fulfilled), received_on: received.map(day), evidence };
            let later = fulfilment.entered_later(today, None);
            let found = fulfilment.check(start, today, later, "/f").err().map(|error| error.faults).unwrap_or_default();
            let found: Vec<&str> = found.iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(found, faults, "{fulfilment:?}");
        }
        let stands = Fulfilment { fulfilled_on: day("2024-01-31"), received_on: None, evidence: vec![] };
        assert!(!stands.entered_later(today, Some(day("2024-01-31"))), "it was entered on its day");
        assert!(stands.entered_later(today, Some(day("2024-01-30"))));
    }

    #[test]
    fn in_time_is_up_to_and_with_the_last_day() {
        let (due, done) = (day("2023-12-15"), |text| Some(day(text)));
        for (state, fulfilled, today, expected) in [
            (ObligationState::Fulfilled, done("2023-12-15"), "2024-01-01", Some(true)),
            (ObligationState::Fulfilled, done("2023-12-16"), "2024-01-01", Some(false)),
            (ObligationState::Open, None, "2023-12-15", None),
            (ObligationState::Open, None, "2023-12-16", Some(false)),
            (ObligationState::Cancelled, None, "2024-01-01", None),
        ] {
            assert_eq!(on_time(state, due, fulfilled, day(today)), expected, "{state} {fulfilled:?} {today}");
        }
    }
}
