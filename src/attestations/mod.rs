//! An attestation is the answer of a body to a question that no figure can settle: yes, no or cannot say, with evidence.
//! The body is named by the rule set, its holder by the campaign and the day; the subject itself never answers.
//! Contradicting valid answers make the question disputed. Answers are revoked with a reason, never changed.

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::error::Error;
use crate::evidence::{Evidence, MOST_EVIDENCE};
use crate::words;

pub mod ask;
pub mod holder;
pub mod http;
pub mod store;
pub mod view;

words! {
    /// Whether an attestation counts.
    pub enum AttestationState {
        /// It counts; the rules read it.
        Valid = "valid",
        /// It was taken back.
        Revoked = "revoked",
    }
}

words! {
    /// What a body answers.
    pub enum AttestationAnswer {
        /// Confirmed.
        Yes = "yes",
        /// Denied.
        No = "no",
        /// The body has looked and cannot tell; that settles nothing.
        CannotSay = "cannot_say",
    }
}

words! {
    /// What all valid answers to one question amount to.
    pub enum Verdict {
        /// Confirmed.
        Yes = "yes",
        /// Denied.
        No = "no",
        /// Valid answers contradict each other.
        Disputed = "disputed",
        /// Nobody has confirmed or denied it.
        Unknown = "unknown",
    }
}

impl Verdict {
    /// The verdict of these valid answers, in whatever order.
    pub fn of(answers: impl IntoIterator<Item = AttestationAnswer>) -> Self {
        let (mut yes, mut no) = (false, false);
        for answer in answers {
            yes |= answer == AttestationAnswer::Yes;
            no |= answer == AttestationAnswer::No;
        }
        match (yes, no) {
            (true, true) => Self::Disputed,
            (true, false) => Self::Yes,
            (false, true) => Self::No,
            (false, false) => Self::Unknown,
        }
    }
}

/// What may happen to an attestation. In the place of a submitter stands whoever heads the subject.
pub const TRANSITIONS: &[Transition<AttestationState>] = &[Transition {
    verb: "revoke",
    from: &[AttestationState::Valid],
    to: AttestationState::Revoked,
    permission: Permission::Attest,
    four_eyes: true,
}];

/// An answer to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "round": "mid",
    "unit": "01900000-0000-7000-8000-000000000006", "statement": "A231stable", "answer": "yes",
    "attested_on": "2023-12-20", "evidence": [{ "kind": "list", "number": "03/DS-UBND" }]
}))]
pub struct AttestationDraft {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The round.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "mid")]
    pub round: String,
    /// The subject: about whom the question is.
    #[garde(skip)]
    pub unit: Uuid,
    /// The question, by its id in the round's rule set.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "A231stable")]
    pub statement: String,
    /// The answer.
    #[garde(skip)]
    pub answer: AttestationAnswer,
    /// The civil date of the answer, not after the round's cut-off: who held the body on that day may give it.
    #[garde(skip)]
    pub attested_on: NaiveDate,
    /// The papers that it rests on.
    #[garde(length(min = 1, max = MOST_EVIDENCE), dive)]
    #[schema(min_items = 1, max_items = 20)]
    pub evidence: Vec<Evidence>,
    /// The grounds in own words; personal, stays outside the log.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 5000)))]
    #[schema(min_length = 1, max_length = 5000)]
    pub basis: Option<String>,
    /// Where the receiving unit answers (III.3.4): which unit received the subject's help.
    #[serde(default)]
    #[garde(skip)]
    pub receiving_unit: Option<Uuid>,
}

impl AttestationDraft {
    /// Refuses what cannot be, whatever the campaign says.
    pub fn check(&self, today: NaiveDate) -> Result<(), Error> {
        if self.attested_on > today {
            return Err(Error::invalid("/attested_on", "trong tương lai", "is in the future"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradicting_answers_are_a_dispute_and_cannot_say_settles_nothing() {
        use AttestationAnswer::{CannotSay, No, Yes};
        for (answers, verdict) in [
            (vec![], Verdict::Unknown),
            (vec![CannotSay, CannotSay], Verdict::Unknown),
            (vec![Yes], Verdict::Yes),
            (vec![CannotSay, Yes, Yes], Verdict::Yes),
            (vec![No, CannotSay], Verdict::No),
            (vec![Yes, No], Verdict::Disputed),
            (vec![No, CannotSay, Yes], Verdict::Disputed),
        ] {
            assert_eq!(Verdict::of(answers.clone()), verdict, "{answers:?}");
        }
    }

    #[test]
    fn nobody_attests_tomorrow() {
        let draft = |attested_on: &str| AttestationDraft {
            campaign: Uuid::nil(),
            round: "mid".into(),
            unit: Uuid::nil(),
            statement: "A231stable".into(),
            answer: AttestationAnswer::Yes,
            attested_on: attested_on.parse().unwrap(),
            evidence: vec![],
            basis: None,
            receiving_unit: None,
        };
        let today = "2023-12-20".parse().unwrap();
        assert!(draft("2023-12-20").check(today).is_ok());
        assert!(draft("2023-12-21").check(today).is_err());
    }
}
