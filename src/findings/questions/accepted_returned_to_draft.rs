//! A record that was accepted or confirmed, and is a draft again, or waits for a decision again.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Question, Watch};
use crate::findings::{Event, EventRef, Finding, Known, Said, Severity};

/// The question.
pub const QUESTION: Question = Question {
    id: "accepted_returned_to_draft",
    title: ["Bản ghi đã chấp nhận bị đưa về trước đó", "An accepted record was taken back to a draft"],
    explanation: || {
        Said::new(
            "Bản ghi đã được chấp nhận, công nhận hoặc xác nhận mà sau đó trở lại trạng thái dự thảo, chờ quyết định, bị \
             trả lại hoặc mới báo cáo. Đính chính hoạt động đã chấp nhận là trường hợp được phép.",
            "A record was accepted, recognised or confirmed, and its state went back to draft, submitted, returned or \
             reported. Correcting an accepted activity is permitted.",
        )
    },
    watch: || Box::new(Returned::default()),
};

/// States that rules read.
const DECIDED: &[&str] = &["accepted", "confirmed", "recognised"];
/// States before a decision.
const BEFORE: &[&str] = &["draft", "submitted", "returned", "reported"];

#[derive(Default)]
struct Returned {
    /// The event that decided, by record.
    decided: BTreeMap<(String, Uuid), EventRef>,
    found: Vec<Finding>,
}

impl Watch for Returned {
    fn see(&mut self, event: &Event, _: &Known) {
        let Some(state) = event.text("state") else { return };
        let key = (event.stream.clone(), event.record);
        if DECIDED.contains(&state) {
            self.decided.insert(key, event.named());
        } else if BEFORE.contains(&state)
            && let Some(decided) = self.decided.remove(&key)
        {
            let (stream, record) = (&event.stream, event.record);
            let was = event.old("state").as_str().unwrap_or("?");
            let text = Said::new(
                format!("{stream} {record} đã có quyết định ở vị trí {}, nay từ {was} trở lại {state}.", decided.position),
                format!("{stream} {record} was decided at position {} and went from {was} back to {state}.", decided.position),
            );
            let finding = Finding::new(QUESTION.id, Severity::Notice, event.unit, text).about([event.about()]);
            self.found.push(finding.by(event.actor).shown_by([decided, event.named()]));
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

    #[test]
    fn what_was_accepted_is_no_draft_again() {
        let log = |steps: &[(&str, &str)]| {
            let log = Log::default().then("activity.accepted", 1, X, json!({ "state": ["submitted", "accepted"] }));
            steps.iter().fold(log, |log, (from, to)| log.then("activity.amended", 1, Y, json!({ "state": [from, to] })))
        };
        assert_eq!(log(&[("accepted", "submitted")]).shown(&QUESTION), [[0, 1]]);
        assert_eq!(log(&[("accepted", "withdrawn"), ("withdrawn", "draft")]).shown(&QUESTION), [[0, 2]]);
        let twice = log(&[("accepted", "draft"), ("draft", "submitted")]);
        assert_eq!(twice.shown(&QUESTION), [[0, 1]], "told once");
        for fine in [&[("accepted", "withdrawn")][..], &[]] {
            assert_eq!(log(fine).shown(&QUESTION), Vec::<Vec<i64>>::new());
        }
        let fine = Log::default().then("activity.returned", 1, X, json!({ "state": ["submitted", "returned"] }));
        assert_eq!(fine.shown(&QUESTION), Vec::<Vec<i64>>::new(), "never accepted");
    }
}
