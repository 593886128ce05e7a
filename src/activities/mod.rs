//! An activity is what a unit did for the campaign (plan II): of which kind, on which day, with which help from whom,
//! for how many. It is drafted, submitted, then accepted or returned by somebody else; the rules read accepted ones.
//!
//! Given and mobilised help is one list, each line with its giver and its mobiliser, so that every đồng is counted once
//! for each. Names of givers who are no units are personal and stand beside the list, never in it. Pure.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Permission, Place, Transition};
use crate::campaigns::Definition;
use crate::error::{Code, Error, Fault};
use crate::evidence::{Evidence, MOST_EVIDENCE};
use crate::words;

pub mod http;
pub mod registers;
pub mod steps;
pub mod store;
pub mod view;

words! {
    /// How far an activity has come.
    pub enum ActivityState {
        /// Being written.
        Draft = "draft",
        /// Waiting for a decision.
        Submitted = "submitted",
        /// Sent back with a reason.
        Returned = "returned",
        /// Accepted; the rules read it.
        Accepted = "accepted",
        /// Taken back by those who reported it; the end.
        Withdrawn = "withdrawn",
    }
}

use ActivityState::{Accepted, Draft, Returned, Submitted, Withdrawn};

const fn by_reporters(
    verb: &'static str,
    from: &'static [ActivityState],
    to: ActivityState,
) -> Transition<ActivityState> {
    Transition { verb, from, to, permission: Permission::ReportActivities, four_eyes: false }
}

const fn by_others(verb: &'static str, to: ActivityState) -> Transition<ActivityState> {
    Transition { verb, from: &[Submitted], to, permission: Permission::AcceptActivities, four_eyes: true }
}

/// What may happen to an activity. A correction is a submission: it has to be accepted anew.
pub const TRANSITIONS: &[Transition<ActivityState>] = &[
    by_reporters("amend", &[Draft], Draft),
    by_reporters("amend", &[Returned], Returned),
    by_reporters("submit", &[Draft, Returned], Submitted),
    by_others("return", Returned),
    by_others("accept", Accepted),
    by_reporters("correct", &[Accepted], Submitted),
    by_reporters("withdraw", &[Draft, Submitted, Returned, Accepted], Withdrawn),
];

/// Đồng; the sum of an activity stays within it too, so that every JSON reader reads it exactly.
pub const MOST_VND: i64 = 9_000_000_000_000_000;
/// Days of labour in one line.
pub const MOST_DAYS: i64 = 10_000_000;
/// Households or pupils; more than this is a slip of the keyboard.
pub const MOST_HELPED: i64 = 1_000_000;
/// Lines of help in one activity.
pub const MOST_RESOURCES: usize = 50;

/// One line of help: what one giver gave through one mobiliser; something was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "giver_name": "Bà con bản Mẫu", "cash_vnd": 12000000, "labour_days": 30 }))]
pub struct ActivityResource {
    /// The unit that gave.
    #[serde(default)]
    #[garde(skip)]
    pub giver_unit: Option<Uuid>,
    /// Who gave, if no unit did; personal, stays outside the log. Null once erased.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(min_length = 1, max_length = 200)]
    pub giver_name: Option<String>,
    /// The unit that mobilised the help.
    #[serde(default)]
    #[garde(skip)]
    pub mobiliser_unit: Option<Uuid>,
    /// Money, đồng.
    #[serde(default)]
    #[garde(range(min = 0, max = MOST_VND))]
    #[schema(minimum = 0, maximum = 9000000000000000_i64, example = 12000000)]
    pub cash_vnd: i64,
    /// Value of goods, đồng.
    #[serde(default)]
    #[garde(range(min = 0, max = MOST_VND))]
    #[schema(minimum = 0, maximum = 9000000000000000_i64)]
    pub in_kind_vnd: i64,
    /// Days of labour (ngày công).
    #[serde(default)]
    #[garde(range(min = 0, max = MOST_DAYS))]
    #[schema(minimum = 0, maximum = 10000000)]
    pub labour_days: i64,
}

/// What an activity's lines come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ActivityTotals {
    /// Money, đồng.
    #[schema(minimum = 0)]
    pub cash_vnd: i64,
    /// Value of goods, đồng.
    #[schema(minimum = 0)]
    pub in_kind_vnd: i64,
    /// Days of labour.
    #[schema(minimum = 0)]
    pub labour_days: i64,
}

/// Everything that is said of an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "clause_kind": "II.d", "support_kind": "technique", "held_on": "2023-03-15",
    "title": "Giúp năm hộ trồng ngô giống mới", "households_helped": 5, "pupils_helped": 0,
    "beneficiary_area": "poor_person",
    "resources": [{ "giver_name": "Bà con bản Mẫu", "cash_vnd": 12000000, "labour_days": 30 }],
    "evidence": [{ "kind": "minutes", "number": "07/BB" }]
}))]
pub struct ActivityContent {
    /// The campaign's kind of activity, by the clause that asks for it.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "II.d")]
    pub clause_kind: String,
    /// The campaign's kind of support.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "technique")]
    pub support_kind: String,
    /// The day on which it was held; decides who may see and accept it.
    #[garde(skip)]
    pub held_on: NaiveDate,
    /// Its title; personal, stays outside the log. Null once erased, never in a request.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(required = true, min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What was done; personal, stays outside the log.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 5000)))]
    #[schema(min_length = 1, max_length = 5000)]
    pub description: Option<String>,
    /// Help given, line by line.
    #[serde(default)]
    #[garde(length(max = MOST_RESOURCES), dive)]
    #[schema(max_items = 50)]
    pub resources: Vec<ActivityResource>,
    /// Households helped.
    #[garde(range(min = 0, max = MOST_HELPED))]
    #[schema(minimum = 0, maximum = 1000000, example = 5)]
    pub households_helped: i64,
    /// Pupils helped.
    #[garde(range(min = 0, max = MOST_HELPED))]
    #[schema(minimum = 0, maximum = 1000000, example = 0)]
    pub pupils_helped: i64,
    /// Where or who the beneficiaries are, by the campaign's list.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "poor_person")]
    pub beneficiary_area: String,
    /// The unit that received the help, if another one did (plan III.3.4).
    #[serde(default)]
    #[garde(skip)]
    pub receiving_unit: Option<Uuid>,
    /// What proves it.
    #[serde(default)]
    #[garde(length(max = MOST_EVIDENCE), dive)]
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
}

/// An activity to be reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "campaign": "01a205b3-d001-7306-a710-04bdc8a0a609", "unit": "01900000-0000-7000-8000-000000000006",
    "content": { "clause_kind": "II.d", "support_kind": "technique", "held_on": "2023-03-15",
        "title": "Giúp năm hộ trồng ngô giống mới", "households_helped": 5, "pupils_helped": 0,
        "beneficiary_area": "poor_person",
        "resources": [{ "giver_name": "Bà con bản Mẫu", "cash_vnd": 12000000, "labour_days": 30 }],
        "evidence": [{ "kind": "minutes", "number": "07/BB" }] }
}))]
pub struct ActivityDraft {
    /// The campaign.
    #[garde(skip)]
    pub campaign: Uuid,
    /// The unit that did it.
    #[garde(skip)]
    pub unit: Uuid,
    /// What it did.
    #[garde(dive)]
    pub content: ActivityContent,
}

impl ActivityContent {
    /// What the lines come to.
    pub fn totals(&self) -> ActivityTotals {
        self.resources.iter().fold(ActivityTotals::default(), |sum, line| ActivityTotals {
            cash_vnd: sum.cash_vnd.saturating_add(line.cash_vnd),
            in_kind_vnd: sum.in_kind_vnd.saturating_add(line.in_kind_vnd),
            labour_days: sum.labour_days.saturating_add(line.labour_days),
        })
    }

    /// Every rule that the content breaks by itself or against the campaign.
    pub fn check(&self, campaign: &Definition, today: NaiveDate) -> Result<(), Error> {
        let mut faults = Vec::new();
        if self.title.as_deref().is_none_or(|title| title.trim().is_empty()) {
            faults.push(Fault::new("/content/title", "cần có tiêu đề", "a title is needed"));
        }
        for (known, at, vi, en) in [
            (campaign.activity_kind(&self.clause_kind).is_some(), "clause_kind", "loại hoạt động", "kind of activity"),
            (campaign.support_kind(&self.support_kind).is_some(), "support_kind", "loại hỗ trợ", "kind of support"),
            (
                campaign.beneficiary_area(&self.beneficiary_area).is_some(),
                "beneficiary_area",
                "đối tượng thụ hưởng",
                "beneficiary area",
            ),
        ] {
            if !known {
                let (vi, en) = (format!("phong trào không có {vi} này"), format!("the campaign has no such {en}"));
                faults.push(Fault::new(format!("/content/{at}"), vi, en));
            }
        }
        if self.held_on > today {
            faults.push(Fault::new("/content/held_on", "trong tương lai", "is in the future"));
        }
        if self.held_on < campaign.starts_on {
            let (vi, en) = ("trước ngày bắt đầu phong trào", "is before the campaign began");
            faults.push(Fault::new("/content/held_on", vi, en));
        }
        if self.held_on > campaign.ends_on {
            let (vi, en) = ("sau ngày kết thúc phong trào", "is after the campaign ended");
            faults.push(Fault::new("/content/held_on", vi, en));
        }
        self.check_lines(&mut faults);
        refuse(faults)
    }

    fn check_lines(&self, faults: &mut Vec<Fault>) {
        for (at, line) in self.resources.iter().enumerate() {
            if (line.cash_vnd, line.in_kind_vnd, line.labour_days) == (0, 0, 0) {
                let (vi, en) = ("dòng này không ghi gì được cho", "nothing is given in this line");
                faults.push(Fault::new(format!("/content/resources/{at}"), vi, en));
            }
            if line.giver_unit.is_some() && line.giver_name.is_some() {
                let (vi, en) =
                    ("người cho là đơn vị thì không ghi tên riêng", "a giver that is a unit has no other name");
                faults.push(Fault::new(format!("/content/resources/{at}/giver_name"), vi, en));
            }
        }
        let totals = self.totals();
        if totals.cash_vnd > MOST_VND || totals.in_kind_vnd > MOST_VND {
            faults.push(Fault::new("/content/resources", "tổng quá lớn", "the lines come to too much"));
        }
    }

    /// Every unit that the content names, with the place where it does.
    pub fn units(&self) -> Vec<(String, Uuid)> {
        let mut named = Vec::new();
        for (at, line) in self.resources.iter().enumerate() {
            named.extend(line.giver_unit.map(|unit| (format!("/content/resources/{at}/giver_unit"), unit)));
            named.extend(line.mobiliser_unit.map(|unit| (format!("/content/resources/{at}/mobiliser_unit"), unit)));
        }
        named.extend(self.receiving_unit.map(|unit| ("/content/receiving_unit".to_owned(), unit)));
        named
    }

    /// Every rule that the content breaks against the units: the unit at `place` did it, `alive` existed on that day.
    pub fn check_units(&self, campaign: &Definition, place: &Place, alive: &BTreeSet<Uuid>) -> Result<(), Error> {
        let mut faults = Vec::new();
        let open = campaign.activity_kind(&self.clause_kind).map(|known| known.open_to.as_slice()).unwrap_or_default();
        if !place.kind.is_some_and(|kind| open.contains(&kind)) {
            let (vi, en) =
                ("loại hoạt động này không dành cho loại đơn vị ấy", "this kind is not open to that kind of unit");
            faults.push(Fault::new("/content/clause_kind", vi, en));
        }
        if !alive.contains(&place.unit) {
            let (vi, en) = ("đơn vị không tồn tại vào ngày đó", "the unit did not exist on that day");
            faults.push(Fault::new("/content/held_on", vi, en));
        }
        if self.receiving_unit == Some(place.unit) {
            let (vi, en) = ("đơn vị không tự nhận hỗ trợ của mình", "a unit does not receive its own help");
            faults.push(Fault::new("/content/receiving_unit", vi, en));
        }
        for (pointer, named) in self.units() {
            if !alive.contains(&named) {
                let (vi, en) = ("không có đơn vị này vào ngày đó", "there was no such unit on that day");
                faults.push(Fault::new(pointer, vi, en));
            }
        }
        refuse(faults)
    }
}

fn refuse(faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::new(Code::InvalidValue).with(faults)) }
}
