//! A figure is the annual count of poor and near-poor households of a village or commune, under one
//! poverty standard, as recognised by decision (QĐ 24/2021/QĐ-TTg). It is reported, then confirmed
//! by the labour office, which locks it; a correction is a new version with a reason. What was
//! reported by mistake is withdrawn before it is confirmed.
//!
//! A count that is not there is unknown, never zero.

use chrono::{Datelike, NaiveDate};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Transition};
use crate::error::{Code, Error, Fault};
use crate::evidence::PaperNumber;
use crate::units::UnitKind;
use crate::words;

pub mod http;
pub mod store;
pub mod total;
pub mod view;

words! {
    /// How far a figure has come.
    pub enum FigureState {
        /// Reported, may still be amended.
        Reported = "reported",
        /// Confirmed by the labour office; the rules read it.
        Confirmed = "confirmed",
        /// Taken back before it was confirmed; another may take its place.
        Withdrawn = "withdrawn",
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
        verb: "withdraw",
        from: &[FigureState::Reported],
        to: FigureState::Withdrawn,
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
    /// The unit whose head recognised the review: the commune or township of the households, or one above it, on the day
    /// of the decision. Needed to confirm.
    #[serde(default)]
    #[garde(skip)]
    pub recognised_by: Option<Uuid>,
    /// Number of the decision. Needed to confirm.
    #[serde(default)]
    #[garde(dive)]
    #[schema(inline, example = "15/QĐ-UBND")]
    pub decision_number: Option<PaperNumber>,
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
    "counts": { "poor_households": 40, "near_poor_households": 20,
        "recognised_by": "01900000-0000-7000-8000-000000000003", "decision_number": "15/QĐ-UBND" }
}))]
pub struct FigureDraft {
    /// The village or commune.
    #[garde(skip)]
    pub unit: Uuid,
    /// Year of the review.
    #[garde(range(min = 2015, max = 2100))]
    #[schema(minimum = 2015, maximum = 2100, example = 2023)]
    pub year: i32,
    /// Poverty standard by its period, in which the year lies, or to which it is next.
    #[garde(pattern("^[0-9]{4}-[0-9]{4}$"))]
    #[schema(pattern = "^[0-9]{4}-[0-9]{4}$", max_length = 9, example = "2022-2025")]
    pub poverty_standard: String,
    /// The counts.
    #[garde(dive)]
    pub counts: Counts,
}

impl FigureDraft {
    /// Every rule that the figure breaks, whoever its unit is.
    pub fn check(&self, today: NaiveDate) -> Result<(), Error> {
        let mut faults = Vec::new();
        if self.year > today.year() {
            faults.push(Fault::new("/year", "trong tương lai", "is in the future"));
        }
        match period(&self.poverty_standard) {
            Some((from, to)) if from <= to => {
                if self.year < from - 1 || self.year > to + 1 {
                    let (vi, en) = ("chuẩn nghèo này không áp dụng cho năm đó", "does not apply to this year");
                    faults.push(Fault::new("/poverty_standard", vi, en));
                }
            }
            _ => {
                let (vi, en) = ("năm cuối trước năm đầu", "ends before it begins");
                faults.push(Fault::new("/poverty_standard", vi, en));
            }
        }
        faults.extend(self.counts.faults(self.year, today, "/counts"));
        refuse(faults)
    }
}

/// The first and last year of a poverty standard, for which lists of poor households are drawn up under it.
///
/// A review at a year's end draws up the next year's list. So the review before the period uses the standard already:
/// that of 2021 is the first under 2022-2025, from which the fall is counted (law.md 2.5, the plan's "đầu kỳ"). And the
/// review after it may still, where the next standard comes late: 2021 under 2016-2020, 2026 under 2022-2025.
fn period(poverty_standard: &str) -> Option<(i32, i32)> {
    let (from, to) = poverty_standard.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

impl Counts {
    /// Refuses counts that break a rule; `pointer` is where they stand.
    pub fn check(&self, year: i32, today: NaiveDate, pointer: &str) -> Result<(), Error> {
        refuse(self.faults(year, today, pointer))
    }

    /// Refuses counts that rest on no decision; `pointer` is where they stand. A review counts once it is recognised
    /// (QĐ 24/2021/QĐ-TTg): by whom and by which paper is known before anything is confirmed.
    pub fn recognised(&self, pointer: &str) -> Result<(), Error> {
        let (vi, en) = ("cần có trước khi xác nhận", "is needed before the figure is confirmed");
        let missing =
            [("recognised_by", self.recognised_by.is_none()), ("decision_number", self.decision_number.is_none())];
        let missing = missing.iter().filter(|(_, missing)| *missing);
        refuse(missing.map(|(member, _)| Fault::new(format!("{pointer}/{member}"), vi, en)).collect())
    }

    fn faults(&self, year: i32, today: NaiveDate, pointer: &str) -> Vec<Fault> {
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
        faults
    }
}

fn refuse(faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
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
    #[test]
    fn a_standard_applies_to_its_period_and_to_the_reviews_next_to_it() {
        let today = "2026-06-01".parse().unwrap();
        for (year, poverty_standard, pointer) in [
            (2021, "2022-2025", None),
            (2022, "2022-2025", None),
            (2025, "2022-2025", None),
            (2026, "2022-2025", None),
            (2021, "2016-2020", None),
            (2020, "2022-2025", Some("/poverty_standard")),
            (2016, "2022-2025", Some("/poverty_standard")),
            (2022, "2016-2020", Some("/poverty_standard")),
            (2022, "2025-2022", Some("/poverty_standard")),
            (2022, "9999-0000", Some("/poverty_standard")),
            (2027, "2026-2030", Some("/year")),
            (2099, "2099-2099", Some("/year")),
        ] {
            let draft = FigureDraft {
                unit: Uuid::nil(),
                year,
                poverty_standard: poverty_standard.to_owned(),
                counts: counts(Some(1), None),
            };
            let found = draft.check(today).err().map(|error| error.faults[0].pointer.clone());
            assert_eq!(found.as_deref(), pointer, "{year} under {poverty_standard}");
        }
    }
}
