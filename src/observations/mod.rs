//! An observation is one fact that the rules read and no other room holds: an indicator's value, an attribute, a date, or
//! an entry of a register. The rule set declares each name, what may be said of it, and the body that owns it. A fact is
//! reported with evidence and confirmed by its owner; only then do rules read it.
//!
//! Never here: poverty figures, activities, obligations, initiatives; and no name of a person or household.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::evidence::{Evidence, MOST_EVIDENCE};
use crate::words;

pub mod declared;
pub mod fit;
pub mod http;
pub mod owner;
pub mod rights;
pub mod store;
pub mod view;

words! {
    /// What a rule set declares under a name.
    pub enum Sort {
        /// A number, mostly with a period.
        Indicator = "indicator",
        /// A property of the unit.
        Attribute = "attribute",
        /// A day of the unit's history.
        Date = "date",
        /// An entry of a register.
        Record = "record",
    }
}

words! {
    /// How far an observation has come.
    pub enum ObservationState {
        /// Reported, may still be amended.
        Reported = "reported",
        /// Confirmed by its owner; the rules read it.
        Confirmed = "confirmed",
        /// No longer in effect.
        Withdrawn = "withdrawn",
    }
}

use ObservationState::{Confirmed, Reported, Withdrawn};

const AMEND: Transition<ObservationState> = Transition {
    verb: "amend",
    from: &[Reported],
    to: Reported,
    permission: Permission::ReportObservations,
    four_eyes: false,
};

/// What may happen to an observation by the hands of whoever stands for its owner.
pub const TRANSITIONS: &[Transition<ObservationState>] = &[
    AMEND,
    Transition {
        verb: "confirm",
        from: &[Reported],
        to: Confirmed,
        permission: Permission::ConfirmObservations,
        four_eyes: true,
    },
    Transition {
        verb: "correct",
        from: &[Confirmed],
        to: Confirmed,
        permission: Permission::ConfirmObservations,
        four_eyes: true,
    },
    Transition {
        verb: "withdraw",
        from: &[Reported, Confirmed],
        to: Withdrawn,
        permission: Permission::ReportObservations,
        four_eyes: false,
    },
];

/// What may happen to it by the hands of anybody else.
pub const WITHOUT_OWNER: &[Transition<ObservationState>] = &[
    AMEND,
    Transition {
        verb: "withdraw",
        from: &[Reported],
        to: Withdrawn,
        permission: Permission::ReportObservations,
        four_eyes: false,
    },
];

/// The steps open to somebody who stands for the owner, or does not.
pub const fn steps(owns: bool) -> &'static [Transition<ObservationState>] {
    if owns { TRANSITIONS } else { WITHOUT_OWNER }
}

/// True if only the owner may take this step.
pub fn is_the_owner_s(verb: &str, state: ObservationState) -> bool {
    match verb {
        "confirm" | "correct" => true,
        "withdraw" => state == Confirmed,
        _ => false,
    }
}

/// The value of a register entry's field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum FieldValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number that the rule set's conditions ask for in this field.
    Integer(i64),
    /// A word that the rule set's conditions ask for in this field, `other`, or a civil date.
    #[schema(example = "revolving_capital")]
    Text(String),
}

/// What is said, on what grounds. Which members are filled depends on the name's sort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// An indicator's value, in the unit that the rule set declares; or an attribute's.
    #[serde(default)]
    #[garde(skip)]
    #[schema(minimum = 0, maximum = 9000000000000000_i64, example = 2)]
    pub value_integer: Option<i64>,
    /// An attribute's value.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 100)))]
    #[schema(min_length = 1, max_length = 100)]
    pub value_text: Option<String>,
    /// An attribute's value.
    #[serde(default)]
    #[garde(skip)]
    pub value_bool: Option<bool>,
    /// The day of a date.
    #[serde(default)]
    #[garde(skip)]
    pub value_date: Option<NaiveDate>,
    /// True if it is known that there is no such date.
    #[serde(default)]
    #[garde(skip)]
    pub known_none: bool,
    /// The fields of a register entry; one that is left out is unknown.
    #[serde(default)]
    #[garde(inner(length(max = 50)))]
    pub fields: Option<BTreeMap<String, FieldValue>>,
    /// The papers; at least one is needed to confirm.
    #[serde(default)]
    #[garde(length(max = MOST_EVIDENCE), dive)]
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
    /// A remark; personal, stays outside the log.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 2000)))]
    #[schema(min_length = 1, max_length = 2000)]
    pub note: Option<String>,
}

/// An observation to be reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "unit": "01900000-0000-7000-8000-000000000006",
    "name": "models_replicated", "period": "2023", "observed_on": "2023-12-31",
    "content": { "value_integer": 2, "evidence": [{ "kind": "minutes", "number": "07/BB" }] }
}))]
pub struct ObservationDraft {
    /// The campaign whose rule set declares the name.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The unit that it is said of.
    #[garde(skip)]
    pub unit: Uuid,
    /// An indicator, attribute, date or kind of record.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "models_replicated")]
    pub name: String,
    /// Of an indicator: the year, or the year of a round's cut-off; of anything else null.
    #[serde(default)]
    #[garde(inner(pattern("^[0-9]{4}$")))]
    #[schema(pattern = "^[0-9]{4}$", max_length = 4, example = "2023")]
    pub period: Option<String>,
    /// The civil date on which it was so.
    #[garde(skip)]
    #[schema(example = "2023-12-31")]
    pub observed_on: NaiveDate,
    /// What is said.
    #[garde(dive)]
    pub content: Content,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_owner_there_are_fewer_steps_and_none_of_the_owner_s() {
        for state in [Reported, Confirmed, Withdrawn] {
            let verbs = |owns| -> Vec<&str> {
                steps(owns).iter().filter(|step| step.from.contains(&state)).map(|step| step.verb).collect()
            };
            let rest: Vec<&str> = verbs(true).into_iter().filter(|verb| !is_the_owner_s(verb, state)).collect();
            assert_eq!(verbs(false), rest, "{state}");
        }
    }
}
