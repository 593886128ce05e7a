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

/// 410 for whoever would miss something: the position after theirs is not kept any more, or theirs is none of this log's,
/// which was replaced by an older copy and will give their positions to other events.
fn kept(after: i64, [first, size]: [i64; 2]) -> Result<(), Error> {
    if after + 1 < first {
        Err(Error::new(Code::Gone).member("first_position", first))
    } else if after >= size && after >= 0 {
        Err(Error::new(Code::Gone).member("size", size))
    } else {
        Ok(())
    }
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
        let code = |after, ends| kept(after, ends).map_err(|error| (error.code, error.extra));
        let gone =
            |name: &str, position: i64| Err((Code::Gone, [(name.to_owned(), position.into())].into_iter().collect()));
        assert_eq!(code(-1, [FIRST_POSITION, 0]), Ok(()));
        assert_eq!(code(99, [100, 200]), Ok(()));
        assert_eq!(code(98, [100, 200]), gone("first_position", 100));
        assert_eq!(code(-1, [1, 200]), gone("first_position", 1));
        assert_eq!(code(199, [0, 200]), Ok(()));
        assert_eq!(code(200, [0, 200]), gone("size", 200));
        assert_eq!(code(0, [0, 0]), gone("size", 0));
    }
}
