//! Somebody accepted what they submitted, or confirmed what they reported. The service refuses it, by whoever submitted
//! a record and whoever wrote it last.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Question, Watch};
use crate::findings::{Event, EventRef, Finding, Known, Said, Severity};

/// The question.
pub const QUESTION: Question = Question {
    id: "own_work_accepted",
    title: ["Tự chấp nhận, tự xác nhận việc của mình", "Accepted or confirmed one's own work"],
    explanation: || {
        Said::new(
            "Người chấp nhận hoạt động, ghi công nhận sáng kiến, xác nhận hoặc đính chính số liệu và thông tin chính là \
             người đã nộp hoặc viết nội dung gần nhất. Phần mềm từ chối việc này.",
            "Whoever accepted an activity, recorded the recognition of an initiative, or confirmed or corrected a figure or \
             an observation had submitted it or written it last. The service refuses this.",
        )
    },
    watch: || Box::new(OwnWork::default()),
};

/// A step by which work becomes somebody's, or is judged; `field` is where the record names who took it.
struct Step {
    event: &'static str,
    field: &'static str,
}

const fn step(event: &'static str, field: &'static str) -> Step {
    Step { event, field }
}

/// Whose words they are now.
const WRITTEN: &[Step] = &[
    step("activity.reported", "written_by"),
    step("activity.amended", "written_by"),
    step("activity.corrected", "written_by"),
    step("initiative.proposed", "written_by"),
    step("initiative.amended", "written_by"),
    step("figure.reported", "reported_by"),
    step("figure.amended", "reported_by"),
    step("observation.reported", "reported_by"),
    step("observation.amended", "reported_by"),
];

/// Who asks for a decision.
const SUBMITTED: &[Step] = &[
    step("activity.submitted", "submitted_by"),
    step("activity.corrected", "submitted_by"),
    step("initiative.submitted", "submitted_by"),
];

/// Who decides.
const JUDGED: &[Step] = &[
    step("activity.accepted", "decided_by"),
    step("initiative.recognised", "decided_by"),
    step("figure.confirmed", "confirmed_by"),
    step("figure.corrected", "confirmed_by"),
    step("observation.confirmed", "confirmed_by"),
    step("observation.corrected", "confirmed_by"),
];

/// Who had a hand in a step, and the event.
type Hand = (BTreeSet<Uuid>, EventRef);

#[derive(Default)]
struct Work {
    written: Option<Hand>,
    submitted: Option<Hand>,
}

#[derive(Default)]
struct OwnWork {
    /// By record.
    open: BTreeMap<(String, Uuid), Work>,
    found: Vec<Finding>,
}

fn hand(steps: &[Step], event: &Event) -> Option<Hand> {
    let step = steps.iter().find(|step| step.event == event.kind)?;
    Some((event.hands(step.field), event.named()))
}

impl OwnWork {
    fn judge(&mut self, event: &Event, judges: &BTreeSet<Uuid>) {
        let Some(work) = self.open.get(&(event.stream.clone(), event.record)) else { return };
        let hands = work.written.iter().chain(&work.submitted);
        let own: Vec<&Hand> = hands.filter(|(hands, _)| !hands.is_disjoint(judges)).collect();
        if own.is_empty() {
            return;
        }
        let accounts: BTreeSet<Uuid> =
            own.iter().flat_map(|(hands, _)| hands.intersection(judges).copied()).collect();
        let (stream, record, kind) = (&event.stream, event.record, &event.kind);
        let who = accounts.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", ");
        let text = Said::new(
            format!("Tài khoản {who} đã quyết định ({kind}) về {stream} {record} do chính mình nộp hoặc viết."),
            format!("Account {who} decided ({kind}) on {stream} {record}, which it had submitted or written itself."),
        );
        let events = own.iter().map(|(_, event)| event.clone()).chain([event.named()]);
        let finding = Finding::new(QUESTION.id, Severity::Serious, event.unit, text).about([event.about()]);
        self.found.push(finding.shown_by(events).by(accounts));
    }
}

impl Watch for OwnWork {
    fn see(&mut self, event: &Event, _: &Known) {
        let key = || (event.stream.clone(), event.record);
        if let Some(hand) = hand(WRITTEN, event) {
            self.open.entry(key()).or_default().written = Some(hand);
        }
        if let Some(hand) = hand(SUBMITTED, event) {
            self.open.entry(key()).or_default().submitted = Some(hand);
        }
        if let Some((judges, _)) = hand(JUDGED, event) {
            self.judge(event, &judges);
        }
        // What is withdrawn waits for nobody any more.
        if event.text("state") == Some("withdrawn") {
            self.open.remove(&key());
        }
    }

    fn answer(&self, _: &Known) -> Vec<Finding> {
        self.found.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Log, X, Y};
    use super::*;

    fn shown(log: Log) -> Vec<Vec<i64>> {
        log.shown(&QUESTION)
    }

    #[test]
    fn whoever_submitted_or_wrote_last_decides_not() {
        let log = |submitter, judge| {
            Log::default()
                .then("activity.reported", 1, Y, json!({}))
                .then("activity.submitted", 1, submitter, json!({}))
                .then("activity.accepted", 1, judge, json!({}))
        };
        assert_eq!(shown(log(X, X)), [[1, 2]]);
        assert_eq!(shown(log(X, Y)), [[0, 2]], "wrote it, although another submitted it");
        assert_eq!(shown(log(Y, X)), Vec::<Vec<i64>>::new());
    }

    #[test]
    fn whoever_amended_a_figure_does_not_confirm_it() {
        let log = |amends, confirms| {
            Log::default()
                .then("figure.reported", 1, X, json!({ "reported_by": [null, X] }))
                .then("figure.amended", 1, amends, json!({ "poor_households": [1, 2] }))
                .then("figure.confirmed", 1, confirms, json!({ "confirmed_by": [null, confirms] }))
        };
        assert_eq!(shown(log(Y, Y)), [[1, 2]]);
        assert_eq!(shown(log(Y, X)), Vec::<Vec<i64>>::new(), "the words are another's now");
        assert_eq!(shown(log(X, X)), [[1, 2]]);
    }

    #[test]
    fn the_console_s_hand_is_not_everybody_s() {
        let by_field = |who: Uuid| {
            Log::default()
                .then("observation.reported", 1, X, json!({ "reported_by": [null, X] }))
                .then("observation.confirmed", 1, Y, json!({ "confirmed_by": [null, who] }))
        };
        assert_eq!(shown(by_field(X)), [[0, 1]], "the record names who confirmed it");
        assert_eq!(shown(by_field(Y)), Vec::<Vec<i64>>::new());
    }

    #[test]
    fn an_initiative_and_a_correction_are_judged_by_others_too() {
        let recognised = |by| {
            Log::default()
                .then("initiative.proposed", 1, X, json!({}))
                .then("initiative.submitted", 1, X, json!({}))
                .then("initiative.recognised", 1, by, json!({}))
        };
        assert_eq!(shown(recognised(X)), [[0, 1, 2]]);
        assert_eq!(shown(recognised(Y)), Vec::<Vec<i64>>::new());
        let accepted = |by| {
            Log::default()
                .then("activity.submitted", 1, Y, json!({}))
                .then("activity.accepted", 1, Uuid::from_u128(3), json!({}))
                .then("activity.corrected", 1, X, json!({}))
                .then("activity.accepted", 1, by, json!({}))
        };
        assert_eq!(shown(accepted(X)), [[2, 3]]);
        assert_eq!(shown(accepted(Y)), Vec::<Vec<i64>>::new(), "submitted by another since");
    }
}
