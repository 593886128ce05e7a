//! The event log: dense positions from 0 in commit order, leaves that never change.
//!
//! Requests put events into the inbox, inside their own transaction. Sealing moves them, in the
//! order in which they were inserted, behind the head: on SQLite in the same transaction, on
//! PostgreSQL right after the commit. Readers know only sealed events.

pub mod fold;
pub mod http;
pub mod rebuild;
pub mod seal;
pub mod store;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// One sealed event as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventView {
    /// Place in the log: dense, from 0, in commit order.
    #[schema(minimum = 0, example = 42)]
    pub position: i64,
    /// The event's id; the same event never appears under another.
    pub id: Uuid,
    /// `record.verb_in_past_tense`; the catalogue is `docs/events.md`.
    #[serde(rename = "type")]
    #[schema(example = "figure.confirmed")]
    pub kind: String,
    /// When it happened, UTC.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who acted.
    pub actor: ActorView,
    /// The unit concerned.
    pub unit: Option<Uuid>,
    /// The record concerned.
    pub record: RecordView,
    /// Field to `[old, new]`; a personal field or free text shows `{"$c": [old digest, new digest]}`.
    #[schema(value_type = Object)]
    pub changes: Map<String, Value>,
    /// `{"$c": digest}` when the actor gave a reason.
    #[schema(value_type = Option<Object>)]
    pub reason: Option<Value>,
    /// Trace id of the request that caused it.
    pub request_id: Option<String>,
    /// The canonical bytes, base64url: their SHA-256 after a zero byte is the leaf hash.
    pub leaf: String,
}

/// Who acted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ActorView {
    /// The account; absent for the console.
    pub id: Option<Uuid>,
    /// `account` or `console`.
    pub kind: String,
}

/// The record that an event belongs to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecordView {
    /// The record's type, e.g. `figure`.
    #[serde(rename = "type")]
    #[schema(example = "figure")]
    pub kind: String,
    /// The record's id.
    pub id: Uuid,
    /// The record's version after the event, from 1.
    pub version: i64,
}
