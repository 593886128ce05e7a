//! Which registers an activity stands in: once it is accepted it is one of somebody's support activities, and its
//! resources count for who mobilised and who gave them. Pure.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use uuid::Uuid;

use super::store::Contribution;

/// An entry of a register: unit, register, day. Ordered, so that two transactions lock alike.
pub type Standing = BTreeSet<(Uuid, &'static str, NaiveDate)>;

/// The entries that an accepted activity makes.
pub fn entries(unit: Uuid, day: NaiveDate, resources: &[Contribution]) -> Standing {
    let mut entries = Standing::from([(unit, "support_activity", day)]);
    for resource in resources {
        if let Some(giver) = resource.giver_unit {
            entries.extend([(giver, "contribution_vnd", day), (giver, "support_activity", day)]);
        }
        if let Some(mobiliser) = resource.mobiliser_unit {
            entries.insert((mobiliser, "mobilised_vnd", day));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_stands_with_its_unit_its_givers_and_its_mobilisers() {
        let [village, giver, front] = [1, 2, 3].map(Uuid::from_u128);
        let day = NaiveDate::MIN;
        let resource = Contribution {
            giver_unit: Some(giver),
            mobiliser_unit: Some(front),
            cash_vnd: 1,
            in_kind_vnd: 0,
            labour_days: 0,
        };
        let expected = [
            (village, "support_activity", day),
            (giver, "contribution_vnd", day),
            (giver, "support_activity", day),
            (front, "mobilised_vnd", day),
        ];
        assert_eq!(entries(village, day, &[resource]), Standing::from(expected));
    }
}
