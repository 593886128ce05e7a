//! A confirmed figure was changed. By how much that moved outcomes is computed beside ([`crate::findings::outcome`]).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Question, Watch};
use crate::findings::outcome::MOST_EVALUATED;
use crate::findings::{Correction, Event, EventRef, Finding, Known, OutcomeMove, Said, Severity};

/// The question.
pub const QUESTION: Question = Question {
    id: "figure_changed_after_confirmation",
    title: ["Số liệu thay đổi sau khi xác nhận", "A figure changed after its confirmation"],
    explanation: || {
        Said::new(
            format!(
                "Mỗi lần đính chính số liệu đã xác nhận, với số cũ và số mới. Khi hỏi đích danh câu này, kèm theo kết quả \
                 gợi ý khen thưởng (mô phỏng) của đơn vị và xã của nó thay đổi ra sao, tại vị trí ngay trước và đúng lúc \
                 đính chính, ở mọi đợt có tính năm đó; tối đa {MOST_EVALUATED} lần đính chính mỗi câu trả lời."
            ),
            format!(
                "Each correction of a confirmed figure, with the old and the new counts. Where this question is asked by its \
                 id: also which recommendations (simulated) of the unit and its commune are others at the correction than \
                 right before it, in every round whose time has that year; at most {MOST_EVALUATED} corrections an answer."
            ),
        )
    },
    watch: || Box::new(Figures::default()),
};

const COUNTS: [&str; 2] = ["poor_households", "near_poor_households"];
/// What else a confirmation stands on.
const BASIS: [&str; 3] = ["recognised_by", "decision_number", "decided_on"];

#[derive(Default)]
struct Figure {
    year: Option<i32>,
    /// The counts as they stand.
    counts: [Option<i64>; 2],
    confirmed: Option<EventRef>,
}

#[derive(Default)]
struct Figures {
    figures: BTreeMap<Uuid, Figure>,
    found: Vec<Finding>,
}

fn count(count: Option<i64>) -> String {
    count.map_or_else(|| "?".to_owned(), |count| count.to_string())
}

impl Figure {
    /// Takes in an event; the counts before it.
    fn take(&mut self, event: &Event) -> [Option<i64>; 2] {
        let before = self.counts;
        let year = event.became("year").as_i64().and_then(|year| i32::try_from(year).ok());
        self.year = year.or(self.year);
        for (at, field) in COUNTS.iter().enumerate() {
            if event.changed(field) {
                self.counts[at] = event.became(field).as_i64();
            }
        }
        before
    }
}

impl Figures {
    fn tell(event: &Event, figure: &Figure, before: [Option<i64>; 2], confirmed: EventRef) -> Finding {
        let ([poor, near], [poor_now, near_now]) = (before.map(count), figure.counts.map(count));
        let (record, year) = (event.record, figure.year.map_or_else(|| "?".to_owned(), |year| year.to_string()));
        let text = Said::new(
            format!(
                "Số liệu {record} năm {year} đã xác nhận rồi thay đổi: hộ nghèo {poor} → {poor_now}, hộ cận nghèo \
                 {near} → {near_now}."
            ),
            format!(
                "Figure {record} of {year} was confirmed and then changed: poor households {poor} → {poor_now}, near-poor \
                 households {near} → {near_now}."
            ),
        );
        let mut finding = Finding::new(QUESTION.id, Severity::Notice, event.unit, text)
            .about([event.about()])
            .by(event.hands("confirmed_by"))
            .shown_by([confirmed, event.named()]);
        let correction = |(unit, year)| Correction { position: event.position, unit, year };
        finding.correction = event.unit.zip(figure.year).map(correction);
        finding.outcome = Some(OutcomeMove::default());
        finding
    }
}

impl Watch for Figures {
    fn see(&mut self, event: &Event, _: &Known) {
        if event.stream != "figure" {
            return;
        }
        let figure = self.figures.entry(event.record).or_default();
        let before = figure.take(event);
        let changed = COUNTS.iter().chain(&BASIS).any(|field| event.changed(field));
        let told = changed || event.kind == "figure.corrected";
        if let Some(confirmed) = figure.confirmed.clone().filter(|_| told) {
            self.found.push(Self::tell(event, figure, before, confirmed));
        }
        match event.text("state") {
            Some("confirmed") => figure.confirmed = Some(event.named()),
            Some("withdrawn") => drop(self.figures.remove(&event.record)),
            _ => {}
        }
    }

    fn answer(&self, _: &Known) -> Vec<Finding> {
        self.found.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Log, UNIT, X, Y};
    use super::*;

    fn reported() -> Log {
        let said = json!({ "year": [null, 2023], "poor_households": [null, 40], "near_poor_households": [null, 20] });
        Log::default().then("figure.reported", 1, X, said)
    }

    #[test]
    fn a_confirmed_figure_that_changes_is_told_with_both_counts() {
        let log = reported()
            .then("figure.confirmed", 1, Y, json!({ "state": ["reported", "confirmed"] }))
            .then("figure.corrected", 1, Y, json!({ "poor_households": [40, 30] }))
            .then("figure.corrected", 1, Y, json!({ "near_poor_households": [20, null] }));
        let found = log.asked(&QUESTION, Known::default());
        assert_eq!(log.shown(&QUESTION), [[1, 2], [1, 3]]);
        assert!(found[0].text.en.contains("poor households 40 → 30, near-poor households 20 → 20"), "{found:?}");
        assert!(found[1].text.en.contains("poor households 30 → 30, near-poor households 20 → ?"), "{found:?}");
        assert_eq!(found[0].correction, Some(Correction { position: 2, unit: UNIT, year: 2023 }));
    }

    #[test]
    fn a_figure_that_nobody_confirmed_may_change() {
        let amended = || reported().then("figure.amended", 1, X, json!({ "poor_households": [40, 30] }));
        let confirmed = amended().then("figure.confirmed", 1, Y, json!({ "state": ["reported", "confirmed"] }));
        for log in [amended(), confirmed] {
            assert_eq!(log.shown(&QUESTION), Vec::<Vec<i64>>::new());
        }
    }
}
