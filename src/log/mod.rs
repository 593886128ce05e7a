//! The event log: dense positions from 0 in commit order, leaves that never change.
//!
//! Requests put events into the inbox, inside their own transaction. Sealing moves them, in the
//! order in which they were inserted, behind the head: on SQLite in the same transaction, on
//! PostgreSQL right after the commit. Readers know only sealed events.

pub mod again;
pub mod anchor;
pub mod check;
pub mod checkpoints;
pub mod counts;
pub mod erased;
pub mod fold;
pub mod http;
pub mod keys;
pub mod news;
pub mod past;
pub mod proof;
pub mod proofs;
pub mod prove;
pub mod reads;
pub mod rebuild;
pub mod record;
pub mod replayed;
pub mod row;
pub mod sampler;
pub mod seal;
pub mod signer;
pub mod spans;
pub mod store;
pub mod stream;
pub mod tiles;
pub mod witnesses;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::{Code, Error};

/// The first position that is kept here. Nothing was ever let go, so that it is the first of all.
pub const FIRST_POSITION: i64 = 0;

/// 410 for whoever would go on after a position whose next one is not kept any more: something would be missed.
fn kept(after: i64, first: i64) -> Result<(), Error> {
    if after + 1 >= first { Ok(()) } else { Err(Error::new(Code::Gone).member("first_position", first)) }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_miss_something_is_told() {
        let code =
            |after, first| kept(after, first).map_err(|error| (error.code, error.extra["first_position"].clone()));
        assert_eq!(code(-1, FIRST_POSITION), Ok(()));
        assert_eq!(code(99, 100), Ok(()));
        assert_eq!(code(98, 100), Err((Code::Gone, 100.into())));
        assert_eq!(code(-1, 1), Err((Code::Gone, 1.into())));
    }
}
