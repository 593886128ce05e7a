//! A nomination proposes a unit for one award form in one round (plan III.3). It is filed by the unit itself or a unit above
//! it; on the special path (III.3.4) by the unit that received the subject's help. It is submitted, then considered or
//! returned with a reason; it may be withdrawn at any time before a decision.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::error::Error;
use crate::evidence::{Evidence, MOST_EVIDENCE};
use crate::words;

pub mod check;
pub mod http;
pub mod store;
pub mod view;

words! {
    /// How far a nomination has come.
    pub enum NominationState {
        /// Filed, may still be amended.
        Draft = "draft",
        /// Submitted; the rules read it.
        Submitted = "submitted",
        /// Sent back with a reason.
        Returned = "returned",
        /// Withdrawn for good.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// The way on which somebody is nominated.
    pub enum NominationPath {
        /// By the unit itself or a unit above it (III.3.1 to III.3.3).
        Normal = "normal",
        /// By the unit that received the subject's help (III.3.4).
        Special = "special",
    }
}

use NominationState::{Draft, Returned, Submitted, Withdrawn};

const fn nominator(
    verb: &'static str,
    from: &'static [NominationState],
    to: NominationState,
) -> Transition<NominationState> {
    Transition { verb, from, to, permission: Permission::Nominate, four_eyes: false }
}

/// What may happen to a nomination.
pub const TRANSITIONS: &[Transition<NominationState>] = &[
    nominator("amend", &[Draft], Draft),
    nominator("amend", &[Returned], Returned),
    nominator("submit", &[Draft, Returned], Submitted),
    Transition {
        verb: "return",
        from: &[Submitted],
        to: Returned,
        permission: Permission::ReviewNominations,
        four_eyes: true,
    },
    nominator("withdraw", &[Draft, Submitted, Returned], Withdrawn),
];

/// What a nomination rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "achievement": "Giảm hộ nghèo từ 60 xuống 28 hộ.", "evidence": [] }))]
pub struct NominationContent {
    /// What was achieved, in own words; personal, stays outside the log.
    #[garde(length(chars, min = 1, max = 20000))]
    #[schema(min_length = 1, max_length = 20000, example = "Giảm hộ nghèo từ 60 xuống 29 hộ.")]
    pub achievement: String,
    /// The papers that it rests on.
    #[serde(default)]
    #[garde(length(max = MOST_EVIDENCE), dive)]
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
}

/// A nomination to be filed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "round": "mid",
    "unit": "01900000-0000-7000-8000-000000000006", "award_form": "giay_khen_huyen", "path": "normal",
    "nominator_unit": "01900000-0000-7000-8000-000000000003", "filed_on": "2023-12-25",
    "achievement": "Giảm hộ nghèo từ 60 xuống 29 hộ.", "evidence": [{ "kind": "figures", "number": "15/BC-UBND" }]
}))]
pub struct NominationDraft {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The round.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "mid")]
    pub round: String,
    /// The subject: who is to be commended.
    #[garde(skip)]
    pub unit: Uuid,
    /// The award form, by its id in the campaign.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "giay_khen_huyen")]
    pub award_form: String,
    /// The way; `normal` if absent.
    #[serde(default = "normal")]
    #[garde(skip)]
    pub path: NominationPath,
    /// Who nominates.
    #[garde(skip)]
    pub nominator_unit: Uuid,
    /// The civil date of filing; today if absent.
    #[serde(default)]
    #[garde(skip)]
    pub filed_on: Option<NaiveDate>,
    /// What was achieved, in own words; personal, stays outside the log.
    #[garde(length(chars, min = 1, max = 20000))]
    #[schema(min_length = 1, max_length = 20000, example = "Giảm hộ nghèo từ 60 xuống 29 hộ.")]
    pub achievement: String,
    /// The papers that it rests on.
    #[serde(default)]
    #[garde(length(max = MOST_EVIDENCE), dive)]
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
}

const fn normal() -> NominationPath {
    NominationPath::Normal
}

impl NominationDraft {
    /// The civil date of filing, which is not in the future.
    pub fn filed_on(&self, today: NaiveDate) -> Result<NaiveDate, Error> {
        match self.filed_on {
            Some(day) if day > today => Err(Error::invalid("/filed_on", "trong tương lai", "is in the future")),
            day => Ok(day.unwrap_or(today)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nomination_is_filed_today_or_earlier() {
        let draft = |filed_on: Option<&str>| NominationDraft {
            campaign: Uuid::nil(),
            round: "mid".into(),
            unit: Uuid::nil(),
            award_form: "giay_khen_huyen".into(),
            path: NominationPath::Normal,
            nominator_unit: Uuid::nil(),
            filed_on: filed_on.map(|day| day.parse().unwrap()),
            achievement: "x".into(),
            evidence: vec![],
        };
        let today: NaiveDate = "2023-12-20".parse().unwrap();
        assert_eq!(draft(None).filed_on(today).unwrap(), today);
        assert_eq!(draft(Some("2023-12-01")).filed_on(today).unwrap().to_string(), "2023-12-01");
        assert!(draft(Some("2023-12-21")).filed_on(today).is_err());
    }

    #[test]
    fn a_withdrawn_nomination_goes_nowhere() {
        assert!(TRANSITIONS.iter().all(|step| !step.from.contains(&Withdrawn)));
    }
}
