//! An event as the questions see it, read from its leaf alone. Pure.
//!
//! Reading is lenient where folding is strict: whether a leaf continues its record is for the checks of the log to say.
//! A question asks what a leaf tells, also one that somebody wrote by hand.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{EventRef, RecordRef};
use crate::clock::{Micros, civil_date, parse_rfc3339};
use crate::log::fold::stream;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place in the log.
    pub position: i64,
    /// Its id.
    pub id: Uuid,
    /// `record.verb_in_past_tense`.
    pub kind: String,
    /// When it happened.
    pub at: Micros,
    /// Who acted; nobody for the console.
    pub actor: Option<Uuid>,
    /// The unit concerned.
    pub unit: Option<Uuid>,
    /// The campaign concerned.
    pub campaign: Option<Uuid>,
    /// The record's type.
    pub stream: String,
    /// The record.
    pub record: Uuid,
    changes: Map<String, Value>,
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(|text| Uuid::parse_str(text).ok())
}

impl Event {
    /// The event that a leaf tells of; nothing if it is no leaf.
    pub fn read(position: i64, leaf: &[u8]) -> Option<Self> {
        let mut leaf: Value = serde_json::from_slice(leaf).ok()?;
        let (stream, record) = stream(&leaf).map(|(kind, record)| (kind.to_owned(), record))?;
        let Value::Object(changes) = leaf["changes"].take() else { return None };
        Some(Self {
            position,
            id: id(&leaf["id"])?,
            kind: leaf["type"].as_str()?.to_owned(),
            at: leaf["at"].as_str().and_then(parse_rfc3339)?,
            actor: id(&leaf["actor"]["id"]),
            unit: id(&leaf["unit"]),
            campaign: id(&leaf["scope"]),
            stream,
            record,
            changes,
        })
    }

    /// The civil day on which it happened.
    pub fn day(&self) -> NaiveDate {
        civil_date(self.at)
    }

    /// True if the event changed this field.
    pub fn changed(&self, field: &str) -> bool {
        self.changes.contains_key(field)
    }

    /// What a field was before; null if it was not there or did not change.
    pub fn old(&self, field: &str) -> &Value {
        self.changes.get(field).and_then(|change| change.get(0)).unwrap_or(&Value::Null)
    }

    /// What a field is now; null if it is not there or did not change.
    pub fn became(&self, field: &str) -> &Value {
        self.changes.get(field).and_then(|change| change.get(1)).unwrap_or(&Value::Null)
    }

    /// A text that the event set.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.became(field).as_str()
    }

    /// An id that the event set.
    pub fn new_id(&self, field: &str) -> Option<Uuid> {
        id(self.became(field))
    }

    /// A civil date that the event set.
    pub fn date(&self, field: &str) -> Option<NaiveDate> {
        self.text(field).and_then(|day| day.parse().ok())
    }

    /// Whose hands were at work: the actor, and whom the record names in this field since.
    pub fn hands(&self, field: &str) -> BTreeSet<Uuid> {
        self.actor.into_iter().chain(self.new_id(field)).collect()
    }

    /// The event as a finding names it.
    pub fn named(&self) -> EventRef {
        EventRef { position: self.position, id: self.id, kind: self.kind.clone() }
    }

    /// Its record as a finding names it.
    pub fn about(&self) -> RecordRef {
        RecordRef { kind: self.stream.clone(), id: self.record }
    }
}
