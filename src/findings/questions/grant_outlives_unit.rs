//! A grant for a unit that has ended, and the grant has not.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{Question, Watch};
use crate::findings::{Event, EventRef, Finding, Known, RecordRef, Said, Severity};

/// The question.
pub const QUESTION: Question = Question {
    id: "grant_outlives_unit",
    title: ["Phân quyền còn hiệu lực sau khi đơn vị kết thúc", "A grant outlives its unit"],
    explanation: || {
        Said::new(
            "Phân quyền tại một đơn vị còn hiệu lực sau ngày cuối của đơn vị đó (sáp nhập, giải thể hoặc ngày kết thúc đã \
             ghi). Nếu việc kết thúc được ghi muộn, phân quyền phải kết thúc ngay trong ngày ghi. Hôm nay là ngày của sự \
             kiện mới nhất.",
            "A grant for a unit is valid beyond the unit's last day (merged, abolished, or a recorded end). Where the end \
             was recorded later, the grant is to end on the day of recording. Today is the day of the newest event.",
        )
    },
    watch: || Box::new(Outliving::default()),
};

struct Grant {
    unit: Uuid,
    account: Option<Uuid>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    given: EventRef,
    ended: Option<EventRef>,
}

/// The end of a unit.
struct End {
    day: NaiveDate,
    /// When the log learned of it.
    told: NaiveDate,
    event: EventRef,
}

#[derive(Default)]
struct Outliving {
    grants: BTreeMap<Uuid, Grant>,
    ends: BTreeMap<Uuid, End>,
}

impl Outliving {
    fn grant(&mut self, event: &Event) {
        if let Some(grant) = self.grants.get_mut(&event.record) {
            if event.changed("valid_to") {
                grant.to = event.date("valid_to");
                grant.ended = Some(event.named());
            }
        } else if let Some(unit) = event.new_id("unit_id") {
            let (account, from, to) = (event.new_id("account_id"), event.date("valid_from"), event.date("valid_to"));
            self.grants.insert(event.record, Grant { unit, account, from, to, given: event.named(), ended: None });
        }
    }

    fn unit(&mut self, event: &Event) {
        match event.date("exists_to") {
            Some(day) => {
                self.ends.insert(event.record, End { day, told: event.day(), event: event.named() });
            }
            None if event.changed("exists_to") => drop(self.ends.remove(&event.record)),
            None => {}
        }
    }
}

impl Grant {
    /// True if it is valid beyond what the unit's end allows.
    fn outlives(&self, end: &End, today: NaiveDate) -> bool {
        let never_valid = self.to.is_some_and(|to| self.from.is_some_and(|from| to < from));
        let beyond = self.to.is_none_or(|to| to > end.day.max(end.told));
        today > end.day && beyond && !never_valid
    }
}

impl Watch for Outliving {
    fn see(&mut self, event: &Event, _: &Known) {
        match event.stream.as_str() {
            "role_grant" => self.grant(event),
            "unit" => self.unit(event),
            _ => {}
        }
    }

    fn answer(&self, known: &Known) -> Vec<Finding> {
        let found = |(id, grant): (&Uuid, &Grant)| {
            let end = self.ends.get(&grant.unit).filter(|end| grant.outlives(end, known.today))?;
            let (unit, day) = (grant.unit, end.day);
            let (vi, en) = match grant.to {
                Some(to) => (format!("đến {to}"), format!("until {to}")),
                None => ("không có ngày cuối".to_owned(), "without a last day".to_owned()),
            };
            let text = Said::new(
                format!("Phân quyền {id} có hiệu lực {vi}, dù đơn vị {unit} kết thúc ngày {day}."),
                format!("Grant {id} is valid {en}, although unit {unit} ended on {day}."),
            );
            let records = [("role_grant", *id), ("unit", unit)];
            let records = records.map(|(kind, id)| RecordRef { kind: kind.to_owned(), id });
            let events = [grant.given.clone(), end.event.clone()].into_iter().chain(grant.ended.clone());
            let finding = Finding::new(QUESTION.id, Severity::Notice, Some(unit), text);
            Some(finding.about(records).by(grant.account).shown_by(events))
        };
        self.grants.iter().filter_map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{Log, UNIT, X};
    use super::*;

    const UNIT_RECORD: u128 = 0xb1;

    /// A grant for the unit, the unit's end as told on a day, the grant's end if any; then a day passes.
    fn log(told_on: &str, exists_to: Value, ends: Option<(&str, &str)>) -> Log {
        let given = json!({ "account_id": [null, X], "unit_id": [null, UNIT], "valid_from": [null, "2023-01-01"] });
        let mut log = Log::default().at("2023-01-01T03:00:00.000000Z", "grant.given", 1, X, given);
        log = log.at(told_on, "unit.ended", UNIT_RECORD, X, json!({ "exists_to": [null, exists_to] }));
        if let Some((on, to)) = ends {
            log = log.at(on, "grant.ended", 1, X, json!({ "valid_to": [null, to] }));
        }
        log.at("2025-08-01T03:00:00.000000Z", "figure.reported", 9, X, json!({}))
    }

    #[test]
    fn a_grant_ends_with_its_unit() {
        let (early, late) = ("2025-06-01T03:00:00.000000Z", "2025-07-10T03:00:00.000000Z");
        let last = json!("2025-06-30");
        assert_eq!(log(early, last.clone(), None).shown(&QUESTION), [[0, 1]]);
        let after = Some((late, "2025-07-09"));
        assert_eq!(log(early, last.clone(), after).shown(&QUESTION), [[0, 1, 2]], "nine days too long");
        let none = Vec::<Vec<i64>>::new();
        assert_eq!(log(early, last.clone(), Some((early, "2025-06-30"))).shown(&QUESTION), none);
        assert_eq!(log(late, last, after).shown(&QUESTION), none, "ended when the end was told");
        assert_eq!(log(early, json!("2026-06-30"), None).shown(&QUESTION), none, "it has not ended yet");
        assert_eq!(log(early, Value::Null, None).shown(&QUESTION), none, "it does not end");
    }

    #[test]
    fn a_unit_that_is_restored_did_not_end() {
        let restored = log("2025-06-01T03:00:00.000000Z", json!("2025-06-30"), None);
        let restored = restored.then("unit.restored", UNIT_RECORD, X, json!({ "exists_to": ["2025-06-30", null] }));
        assert_eq!(restored.shown(&QUESTION), Vec::<Vec<i64>>::new());
    }
}
