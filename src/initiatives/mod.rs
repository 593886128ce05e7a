//! An initiative (sáng kiến, giải pháp) is something new that a unit proposed against poverty. It is submitted and then
//! recognised, by a decision of the unit that has the power, or not. The rules count recognised ones only; one
//! initiative may stand behind several nominations. Pure.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::campaigns::Definition;
use crate::error::{Code, Error, Fault};
use crate::evidence::{Evidence, MOST_EVIDENCE, PaperNumber};
use crate::units::lineage::Lineage;
use crate::words;

pub mod http;
pub mod steps;
pub mod store;
pub mod view;

words! {
    /// How far an initiative has come.
    pub enum InitiativeState {
        /// Being written.
        Draft = "draft",
        /// Waiting for a decision.
        Submitted = "submitted",
        /// Recognised by decision; the rules count it.
        Recognised = "recognised",
        /// Refused, or its recognition was revoked; the end.
        NotRecognised = "not_recognised",
        /// Taken back by those who proposed it; the end.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// What an initiative is about.
    pub enum InitiativeKind {
        /// Cơ chế, chính sách.
        MechanismPolicy = "mechanism_policy",
        /// Hướng dẫn.
        Guidance = "guidance",
        /// Tháo gỡ khó khăn cho cơ sở.
        ObstacleRemoval = "obstacle_removal",
        /// Sản xuất, ngành nghề.
        Production = "production",
        /// Học tập, giáo dục.
        Education = "education",
        /// Việc khác.
        Other = "other",
    }
}

words! {
    /// Whom an initiative helps.
    pub enum InitiativeBeneficiary {
        /// Học sinh có hoàn cảnh khó khăn.
        PoorStudent = "poor_student",
        /// Hộ nghèo.
        PoorHousehold = "poor_household",
        /// Hộ cận nghèo.
        NearPoorHousehold = "near_poor_household",
        /// Cơ sở.
        Grassroots = "grassroots",
        /// Cộng đồng.
        Community = "community",
        /// Đối tượng khác.
        Other = "other",
    }
}

use InitiativeState::{Draft, NotRecognised, Recognised, Submitted, Withdrawn};

const fn by_proposers(
    verb: &'static str,
    from: &'static [InitiativeState],
    to: InitiativeState,
) -> Transition<InitiativeState> {
    Transition { verb, from, to, permission: Permission::ReportActivities, four_eyes: false }
}

const fn by_others(
    verb: &'static str,
    from: &'static [InitiativeState],
    to: InitiativeState,
) -> Transition<InitiativeState> {
    Transition { verb, from, to, permission: Permission::RecogniseInitiatives, four_eyes: true }
}

/// What may happen to an initiative.
pub const TRANSITIONS: &[Transition<InitiativeState>] = &[
    by_proposers("amend", &[Draft], Draft),
    by_proposers("submit", &[Draft], Submitted),
    by_others("recognise", &[Submitted], Recognised),
    by_others("refuse", &[Submitted], NotRecognised),
    by_others("revoke", &[Recognised], NotRecognised),
    by_proposers("withdraw", &[Draft, Submitted], Withdrawn),
];

/// Everything that is said of an initiative by those who propose it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "obstacle_removal", "beneficiary": "poor_household", "title": "Họp bản lưu động để xét vay vốn",
    "proposed_on": "2023-05-20", "evidence": [{ "kind": "document", "number": "12/ĐN" }]
}))]
pub struct InitiativeContent {
    /// What it is about.
    #[garde(skip)]
    pub kind: InitiativeKind,
    /// Whom it helps.
    #[garde(skip)]
    pub beneficiary: InitiativeBeneficiary,
    /// Its title; personal, stays outside the log. Null once erased, never in a request.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(required = true, min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What it is; personal, stays outside the log.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 5000)))]
    #[schema(min_length = 1, max_length = 5000)]
    pub description: Option<String>,
    /// The day on which it was proposed; decides who may see and recognise it.
    #[garde(skip)]
    pub proposed_on: NaiveDate,
    /// What proves it.
    #[serde(default)]
    #[garde(length(max = MOST_EVIDENCE), dive)]
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
}

/// An initiative to be proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "unit": "01900000-0000-7000-8000-000000000006",
    "content": { "kind": "obstacle_removal", "beneficiary": "poor_household",
        "title": "Họp bản lưu động để xét vay vốn", "proposed_on": "2023-05-20",
        "evidence": [{ "kind": "document", "number": "12/ĐN" }] }
}))]
pub struct InitiativeDraft {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The unit that proposes it.
    #[garde(skip)]
    pub unit: Uuid,
    /// What it proposes.
    #[garde(dive)]
    pub content: InitiativeContent,
}

/// The decision by which an initiative was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "recognised_by": "01900000-0000-7000-8000-000000000002", "decision_number": "31/QĐ-UBND", "decided_on": "2023-11-02"
}))]
pub struct Recognition {
    /// The unit whose head decided.
    #[garde(skip)]
    pub recognised_by: Uuid,
    /// Number of the decision.
    #[garde(dive)]
    pub decision_number: PaperNumber,
    /// Date of the decision.
    #[garde(skip)]
    pub decided_on: NaiveDate,
}

/// What the unit that recognises is to the unit that proposed, on the day of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// It did not exist.
    Nobody,
    /// The proposer itself, whoever follows it, or a unit below: no third party.
    Proposer,
    /// Another unit.
    Third,
}

impl InitiativeContent {
    /// Every rule that the content breaks by itself or against the campaign; `alive` says whether the proposing unit
    /// existed on that day.
    pub fn check(&self, campaign: &Definition, alive: bool, today: NaiveDate) -> Result<(), Error> {
        let mut faults = Vec::new();
        if self.title.as_deref().is_none_or(|title| title.trim().is_empty()) {
            faults.push(Fault::new("/content/title", "cần có tiêu đề", "a title is needed"));
        }
        for (broken, vi, en) in [
            (self.proposed_on > today, "trong tương lai", "is in the future"),
            (self.proposed_on < campaign.starts_on, "trước ngày bắt đầu phong trào", "is before the campaign began"),
            (self.proposed_on > campaign.ends_on, "sau ngày kết thúc phong trào", "is after the campaign ended"),
            (!alive, "đơn vị không tồn tại vào ngày đó", "the unit did not exist on that day"),
        ] {
            if broken {
                faults.push(Fault::new("/content/proposed_on", vi, en));
            }
        }
        refuse(faults)
    }
}

impl Recognition {
    /// What the deciding unit was to the proposer on that day.
    pub fn by(&self, lineage: &Lineage, proposer: Uuid) -> Decider {
        let (unit, day) = (self.recognised_by, self.decided_on);
        if !lineage.exists(unit, day) {
            Decider::Nobody
        } else if lineage.is_of(unit, proposer, day) {
            Decider::Proposer
        } else {
            Decider::Third
        }
    }

    /// Every rule that the decision breaks; `by` is what the deciding unit was on that day.
    pub fn check(&self, proposed_on: NaiveDate, by: Decider, today: NaiveDate) -> Result<(), Error> {
        let mut faults = Vec::new();
        let wrong = match by {
            Decider::Third => None,
            Decider::Nobody => {
                Some(("không có đơn vị này vào ngày quyết định", "there was no such unit on the day of the decision"))
            }
            Decider::Proposer => Some((
                "đơn vị đề xuất và đơn vị cấp dưới không tự công nhận",
                "neither the proposing unit nor one below it recognises the initiative",
            )),
        };
        faults.extend(wrong.map(|(vi, en)| Fault::new("/recognised_by", vi, en)));
        if self.decided_on > today {
            faults.push(Fault::new("/decided_on", "trong tương lai", "is in the future"));
        }
        if self.decided_on < proposed_on {
            faults.push(Fault::new("/decided_on", "trước ngày đề xuất", "is before the initiative was proposed"));
        }
        refuse(faults)
    }
}

fn refuse(faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_follows_the_proposal_and_is_no_promise() {
        let day = |text: &str| -> NaiveDate { text.parse().unwrap() };
        let (proposed, today) = (day("2023-05-20"), day("2024-01-01"));
        for (decided_on, by, good) in [
            ("2023-05-20", Decider::Third, true),
            ("2024-01-01", Decider::Third, true),
            ("2023-05-19", Decider::Third, false),
            ("2024-01-02", Decider::Third, false),
            ("2023-06-01", Decider::Nobody, false),
            ("2023-06-01", Decider::Proposer, false),
        ] {
            let decision = Recognition {
                recognised_by: Uuid::nil(),
                decision_number: PaperNumber("1".into()),
                decided_on: day(decided_on),
            };
            assert_eq!(decision.check(proposed, by, today).is_ok(), good, "{decided_on}");
        }
    }
}
