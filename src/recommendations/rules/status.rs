//! The four answers of a rule, the reasons of "not enough evidence", and how answers combine.
//!
//! There is deliberately no negation and no "is missing" test: with them, new evidence could overturn a settled answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a rule answers for one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Whatever is still unknown, the rule holds.
    Met,
    /// Whatever is still unknown, the rule does not hold.
    NotMet,
    /// The facts known so far decide nothing.
    Insufficient,
    /// The rule does not concern this subject.
    NotApplicable,
}

/// Why a rule could not be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A figure, date or attribute was not confirmed.
    MissingValue,
    /// A register is not closed.
    MissingRecords,
    /// Nobody answered the question.
    MissingAttestation,
    /// Two valid statements differ.
    Disputed,
    /// Figures under different standards cannot be compared.
    StandardMismatch,
    /// A parameter has no value.
    ParameterUnset,
    /// A parameter or reading was not adopted, and the run is official.
    ParameterNotAdopted,
    /// A predecessor unit's figures could not be assigned.
    UnitLineageUnmapped,
    /// The figure is too old to count.
    Stale,
}

impl Status {
    /// `met` or `not_met` for a condition that is decided.
    pub fn decided(holds: bool) -> Self {
        if holds { Self::Met } else { Self::NotMet }
    }

    /// The answer, when all answers still possible agree.
    pub fn agreed(possible: impl IntoIterator<Item = Self>) -> Self {
        let mut possible = possible.into_iter();
        let first = possible.next().unwrap_or(Self::Insufficient);
        if possible.all(|status| status == first) { first } else { Self::Insufficient }
    }

    /// Every member must hold; members that do not apply are left out.
    pub fn all(members: impl IntoIterator<Item = Self>) -> Self {
        strongest(members, [Self::NotMet, Self::Insufficient, Self::Met, Self::NotApplicable])
    }

    /// One member must hold.
    pub fn any(members: impl IntoIterator<Item = Self>) -> Self {
        strongest(members, [Self::Met, Self::Insufficient, Self::NotMet, Self::NotApplicable])
    }

    /// At least `n` members must hold.
    pub fn at_least(n: i64, members: impl IntoIterator<Item = Self>) -> Self {
        let (mut met, mut open) = (0, 0);
        for member in members {
            match member {
                Self::Met => met += 1,
                Self::Insufficient => open += 1,
                Self::NotMet | Self::NotApplicable => {}
            }
        }
        if met >= n {
            Self::Met
        } else if met + open < n {
            Self::NotMet
        } else {
            Self::Insufficient
        }
    }

    /// `then` counts only where the condition holds.
    pub fn when(condition: Self, then: Self) -> Self {
        match condition {
            Self::NotMet | Self::NotApplicable => Self::NotApplicable,
            Self::Met => then,
            Self::Insufficient if then == Self::NotApplicable => then,
            Self::Insufficient => Self::Insufficient,
        }
    }
}

fn strongest(members: impl IntoIterator<Item = Status>, order: [Status; 4]) -> Status {
    let rank = |status: &Status| order.iter().position(|other| other == status);
    members.into_iter().min_by_key(rank).unwrap_or(Status::NotApplicable)
}

#[cfg(test)]
mod tests {
    use super::Status::{self, *};

    #[test]
    fn combinations_follow_the_table() {
        assert_eq!(Status::all([Met, Insufficient, NotMet]), NotMet);
        assert_eq!(Status::all([Met, Insufficient, NotApplicable]), Insufficient);
        assert_eq!(Status::all([Met, NotApplicable]), Met);
        assert_eq!(Status::all([NotApplicable, NotApplicable]), NotApplicable);
        assert_eq!(Status::any([NotMet, Insufficient, Met]), Met);
        assert_eq!(Status::any([NotMet, Insufficient, NotApplicable]), Insufficient);
        assert_eq!(Status::any([NotMet, NotApplicable]), NotMet);
        assert_eq!(Status::at_least(2, [Met, Met, NotMet]), Met);
        assert_eq!(Status::at_least(2, [Met, Insufficient, NotMet]), Insufficient);
        assert_eq!(Status::at_least(2, [Met, NotApplicable, NotMet]), NotMet);
        assert_eq!(Status::when(NotMet, Met), NotApplicable);
        assert_eq!(Status::when(Insufficient, Met), Insufficient);
        assert_eq!(Status::when(Insufficient, NotApplicable), NotApplicable);
        assert_eq!(Status::when(Met, NotMet), NotMet);
    }
}
