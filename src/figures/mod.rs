//! A figure is the annual count of poor and near-poor households of a village or commune, under one
//! poverty standard, as recognised by decision (QĐ 24/2021/QĐ-TTg). It is reported, then confirmed
//! by the labour office, which locks it; a correction is a new version with a reason.
//!
//! A count that is not there is unknown, never zero.

use chrono::{Datelike, NaiveDate};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::error::{Error, Fault};
use crate::units::UnitKind;
use crate::words;

pub mod http;
pub mod store;
pub mod total;

words! {
    /// How far a figure has come.
    pub enum FigureState {
        /// Reported, may still be amended.
        Reported = "reported",
        /// Confirmed by the labour office; the rules read it.
        Confirmed = "confirmed",
    }
}

/// What may happen to a figure.
pub const TRANSITIONS: &[Transition<FigureState>] = &[
    Transition {
        verb: "amend",
        from: &[FigureState::Reported],
        to: FigureState::Reported,
        permission: Permission::ReportFigures,
        four_eyes: false,
    },
    Transition {
        verb: "confirm",
        from: &[FigureState::Reported],
        to: FigureState::Confirmed,
        permission: Permission::ConfirmFigures,
        four_eyes: true,
    },
    Transition {
        verb: "correct",
        from: &[FigureState::Confirmed],
        to: FigureState::Confirmed,
        permission: Permission::ConfirmFigures,
        four_eyes: true,
    },
];

/// Households; more than this is a slip of the keyboard.
pub const MOST_HOUSEHOLDS: i64 = 1_000_000;

/// The counts and the decision that recognised them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Poor households (hộ nghèo đa chiều); absent if not known.
    #[serde(default)]
    #[garde(inner(range(min = 0, max = MOST_HOUSEHOLDS)))]
    #[schema(minimum = 0, maximum = 1000000, example = 40)]
    pub poor_households: Option<i64>,
    /// Near-poor households (hộ cận nghèo đa chiều); absent if not known.
    #[serde(default)]
    #[garde(inner(range(min = 0, max = MOST_HOUSEHOLDS)))]
    #[schema(minimum = 0, maximum = 1000000, example = 20)]
    pub near_poor_households: Option<i64>,
    /// The unit whose head recognised the review.
    #[serde(default)]
    #[garde(skip)]
    pub recognised_by: Option<Uuid>,
    /// Number of the decision.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 100)))]
    #[schema(min_length = 1, max_length = 100, example = "15/QĐ-UBND")]
    pub decision_number: Option<String>,
    /// Date of the decision.
    #[serde(default)]
    #[garde(skip)]
    pub decided_on: Option<NaiveDate>,
    /// A remark; personal, stays outside the log.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 2000)))]
    #[schema(min_length = 1, max_length = 2000)]
    pub note: Option<String>,
}

/// A figure to be reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "unit": "01900000-0000-7000-8000-000000000006", "year": 2023, "poverty_standard": "2022-2025",
    "counts": { "poor_households": 40, "near_poor_households": 20, "decision_number": "15/QĐ-UBND" }
}))]
pub struct FigureDraft {
    /// The village or commune.
    #[garde(skip)]
    pub unit: Uuid,
    /// Year of the review.
    #[garde(range(min = 2015, max = 2100))]
    #[schema(minimum = 2015, maximum = 2100, example = 2023)]
    pub year: i32,
    /// Poverty standard by its period.
    #[garde(pattern("^[0-9]{4}-[0-9]{4}$"))]
    #[schema(pattern = "^[0-9]{4}-[0-9]{4}$", max_length = 9, example = "2022-2025")]
    pub poverty_standard: String,
    /// The counts.
    #[garde(dive)]
    pub counts: Counts,
}

impl Counts {
    /// Every rule that the counts break; `pointer` is where they stand.
    pub fn check(&self, year: i32, today: NaiveDate, pointer: &str) -> Result<(), Error> {
        let mut faults = Vec::new();
        if self.poor_households.is_none() && self.near_poor_households.is_none() {
            let (vi, en) = ("cần ít nhất một trong hai số", "at least one of the two counts is needed");
            faults.push(Fault::new(pointer, vi, en));
        }
        let decided = format!("{pointer}/decided_on");
        if self.decided_on.is_some_and(|day| day > today) {
            faults.push(Fault::new(decided.clone(), "trong tương lai", "is in the future"));
        }
        if self.decided_on.is_some_and(|day| day.year() < year) {
            faults.push(Fault::new(decided, "trước năm rà soát", "is before the year of the review"));
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::new(crate::error::Code::InvalidValue).with(faults)) }
    }
}

/// The last day of the review's year: the day at which rights over the figure are judged.
pub fn day_of(year: i32) -> Result<NaiveDate, Error> {
    NaiveDate::from_ymd_opt(year, 12, 31).ok_or_else(|| Error::internal("a year without a last day"))
}

/// Poverty is counted in villages and communes.
pub fn counts_households(kind: Option<UnitKind>) -> bool {
    matches!(kind, Some(UnitKind::Village | UnitKind::Commune | UnitKind::Township))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(poor: Option<i64>, decided_on: Option<&str>) -> Counts {
        Counts {
            poor_households: poor,
            near_poor_households: None,
            recognised_by: None,
            decision_number: None,
            decided_on: decided_on.map(|day| day.parse().unwrap()),
            note: None,
        }
    }

    #[test]
    fn a_figure_counts_something_and_was_decided_in_time() {
        let today = "2024-06-01".parse().unwrap();
        for (counts, good) in [
            (counts(Some(0), None), true),
            (counts(None, None), false),
            (counts(Some(1), Some("2023-12-20")), true),
            (counts(Some(1), Some("2024-01-05")), true),
            (counts(Some(1), Some("2022-12-31")), false),
            (counts(Some(1), Some("2024-06-02")), false),
        ] {
            assert_eq!(counts.check(2023, today, "/counts").is_ok(), good, "{counts:?}");
        }
    }
}
