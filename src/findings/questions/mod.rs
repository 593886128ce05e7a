//! The standing questions, a file each: what is asked, and a small machine that sees every event in the order of the log
//! and answers at the end. Pure.

use std::fmt;

use super::{Event, Finding, Known, Said, order};

/// A machine that looks for the answer to one question.
pub trait Watch: Send {
    /// Sees the next event; `known` has taken it in already.
    fn see(&mut self, event: &Event, known: &Known);

    /// What it found, in any order, as things stand behind the last event that it saw. It may see more afterwards.
    fn answer(&self, known: &Known) -> Vec<Finding>;
}

/// A question that stands.
pub struct Question {
    /// A word for it, for ever.
    pub id: &'static str,
    /// Title, Vietnamese and English.
    pub title: [&'static str; 2],
    /// What is looked for and by which thresholds, Vietnamese and English.
    pub explanation: fn() -> Said,
    /// A machine that has seen nothing yet.
    pub watch: fn() -> Box<dyn Watch>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([vi, en], said) = (self.title, (self.explanation)());
        write!(f, "{}\n  {vi}\n    {}\n  {en}\n    {}", self.id, said.vi, said.en)
    }
}

macro_rules! questions {
    ($($name:ident),+ $(,)?) => {
        $(pub mod $name;)+

        /// Every question, in the order in which they are told. A new one is a file, and a line here.
        pub const QUESTIONS: &[Question] = &[$($name::QUESTION),+];
    };
}

questions! {
    own_work_accepted,
    attested_wrongly,
    figure_changed_after_confirmation,
    accepted_returned_to_draft,
    grant_to_oneself,
    grant_outlives_unit,
    unmasks_much,
    register_reopened_at_cut_off,
}

/// The question of this id.
pub fn find(id: &str) -> Option<&'static Question> {
    QUESTIONS.iter().find(|question| question.id == id)
}

/// The machines of all questions, or of one.
pub struct Watches(Vec<Box<dyn Watch>>);

impl Watches {
    /// Of the question with this id, or of all.
    pub fn of(question: Option<&str>) -> Self {
        let asked = QUESTIONS.iter().filter(|known| question.is_none_or(|id| id == known.id));
        Self(asked.map(|question| (question.watch)()).collect())
    }

    /// Shows them all the next event.
    pub fn see(&mut self, event: &Event, known: &Known) {
        self.0.iter_mut().for_each(|watch| watch.see(event, known));
    }

    /// What they found, in order.
    pub fn answer(&self, known: &Known) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.0.iter().flat_map(|watch| watch.answer(known)).collect();
        order(&mut findings);
        findings
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::findings::EventRef;

    /// Two people.
    pub const X: Uuid = Uuid::from_u128(0xa1);
    pub const Y: Uuid = Uuid::from_u128(0xa2);
    /// A unit.
    pub const UNIT: Uuid = Uuid::from_u128(0xb1);

    /// A hand-made log: leaves by position, each of a type, on a record, by somebody, at a time, with its changes.
    #[derive(Default)]
    pub struct Log(Vec<Value>);

    impl Log {
        /// One event more, on 15 March 2023.
        pub fn then(self, kind: &str, record: u128, by: Uuid, changes: Value) -> Self {
            self.at("2023-03-15T03:00:00.000000Z", kind, record, by, changes)
        }

        /// One event more.
        pub fn at(mut self, at: &str, kind: &str, record: u128, by: Uuid, changes: Value) -> Self {
            let stream = match kind.split_once('.').unwrap().0 {
                "grant" => "role_grant",
                record => record,
            };
            self.0.push(json!({
                "actor": { "id": by, "kind": "account" }, "at": at, "changes": changes, "corr": "00",
                "id": Uuid::from_u128(0xe000 + self.0.len() as u128), "prev": null, "reason": null, "scope": null,
                "stream": format!("{stream}/{}", Uuid::from_u128(record)), "type": kind, "unit": UNIT, "v": 1, "ver": 1,
            }));
            self
        }

        /// What the question finds, knowing this beside.
        pub fn asked(&self, question: &Question, mut known: Known) -> Vec<Finding> {
            let mut watches = Watches::of(Some(question.id));
            for (position, leaf) in (0..).zip(&self.0) {
                let text = leaf.to_string();
                let event = Event::read(position, text.as_bytes()).unwrap();
                known.take(&event, &text);
                watches.see(&event, &known);
            }
            watches.answer(&known)
        }

        /// The positions of the events of each finding.
        pub fn shown(&self, question: &Question) -> Vec<Vec<i64>> {
            let position = |event: &EventRef| event.position;
            let findings = self.asked(question, Known::default());
            findings.iter().map(|finding| finding.events.iter().map(position).collect()).collect()
        }
    }

    #[test]
    fn every_question_is_a_word_and_says_in_both_languages_what_it_asks() {
        for question in QUESTIONS {
            assert!(question.id.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", question.id);
            let Said { vi, en } = (question.explanation)();
            for text in question.title.map(str::to_owned).into_iter().chain([vi, en]) {
                assert!(text.len() > 10, "{}: {text}", question.id);
            }
            assert_eq!(find(question.id).unwrap().id, question.id);
        }
        let ids: std::collections::BTreeSet<_> = QUESTIONS.iter().map(|question| question.id).collect();
        assert_eq!(ids.len(), QUESTIONS.len());
    }

    #[test]
    fn what_is_no_leaf_is_passed_over() {
        for bytes in [&b"\xff"[..], b"{}", b"[]", br#"{"stream":"x","changes":{}}"#] {
            assert!(Event::read(0, bytes).is_none());
        }
    }

    #[test]
    fn findings_stand_in_the_order_of_their_last_events() {
        let log = Log::default()
            .then("grant.given", 1, X, json!({ "account_id": [null, X] }))
            .then("figure.reported", 2, X, json!({ "year": [null, 2023] }))
            .then("activity.submitted", 3, X, json!({}))
            .then("activity.accepted", 3, X, json!({ "state": ["submitted", "accepted"] }))
            .then("figure.confirmed", 2, X, json!({ "state": ["reported", "confirmed"] }))
            .then("activity.corrected", 3, X, json!({ "state": ["accepted", "submitted"] }));
        let mut watches = Watches::of(None);
        let mut known = Known::default();
        for (position, leaf) in (0..).zip(&log.0) {
            let event = Event::read(position, leaf.to_string().as_bytes()).unwrap();
            known.take(&event, &leaf.to_string());
            watches.see(&event, &known);
        }
        let told: Vec<_> =
            watches.answer(&known).iter().map(|f| (f.question, f.events.last().unwrap().position)).collect();
        let expected = [
            ("grant_to_oneself", 0),
            ("own_work_accepted", 3),
            ("own_work_accepted", 4),
            ("accepted_returned_to_draft", 5),
        ];
        assert_eq!(told, expected);
    }
}
