//! One record as the log has it: its leaves, what it was at any position or time, and what changed in between.
//!
//! All of a record or nothing: whoever may not see each of its events finds no such record here.

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::{Stream, stream};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::past::{Past, changes, patch};
use super::store::{self, EventRow, Filter, Range};
use super::{RecordView, seal};
use crate::auth::policy::permit::ReadEvents;
use crate::auth::{Permission, Permit, Scope};
use crate::clock::{Micros, parse_rfc3339, rfc3339};
use crate::error::{Code, Error, Fault};
use crate::exports::content::NDJSON;
use crate::http::accept::preferred;
use crate::http::{App, Call, Operation, PathId, Query, Registry};

const fn reading(id: &'static str) -> Operation {
    Operation { id, permission: Permission::ReadEvents, call: Call::Read, events: &[] }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] =
    &[reading("get_log_record"), reading("get_log_record_state"), reading("get_log_record_diff")];

/// The routes of this page.
pub fn routes(config: &mut Registry) {
    config.service(get_log_record_state).service(get_log_record_diff).service(get_log_record);
}

/// Leaves that are held at a time.
const CHUNK: u64 = 256;

/// The size of the log, of which the caller may see each event of this record.
async fn seen(app: &App, scope: &Scope, id: Uuid) -> Result<i64, Error> {
    app.db.settle().await?;
    let reader = app.db.reader();
    let size = seal::size(reader.conn()).await?;
    if store::sees_all_of(reader.conn(), id, scope).await? { Ok(size) } else { Err(Code::NotFound.into()) }
}

/// The next leaves of a record after `after` and before `end`.
async fn stretch(app: &App, record: Uuid, after: i64, end: i64) -> Result<Vec<EventRow>, Error> {
    let filter = Filter { record: Some(record), ..Filter::default() };
    let range = Range { after: Some(after), before: Some(end), descending: false, limit: CHUNK };
    Ok(store::read(app.db.reader().conn(), &filter, &Scope::Everything, range).await?.rows)
}

/// Reads a record's whole history as leaves, one a line, in their order.
///
/// Each leaf names the hash of the one before (`prev`) and its version (`ver`), so that nothing can be missing between
/// the first and the last; the proof of the last event shows where the log has it.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path)), responses((status = 200, body = String, content_type = "application/x-ndjson")))]
#[get("/log/records/{id}")]
pub async fn get_log_record(app: App, permit: Permit<ReadEvents>, id: PathId) -> Result<HttpResponse, Error> {
    let end = seen(&app, &permit.scope(), id.0).await?;
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(lines(app, id.0, end)))
}

fn lines(app: App, record: Uuid, end: i64) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(-1, move |after| {
        let app = app.clone();
        async move {
            let rows = stretch(&app, record, after, end).await?;
            let text: String = rows.iter().flat_map(|row| [row.leaf.as_str(), "\n"]).collect();
            Ok(rows.last().map(|last| (Bytes::from(text), last.seq)))
        }
    })
}

/// A moment of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// After the event at this position.
    Position(i64),
    /// After what had happened at this time.
    Time(Micros),
}

/// A position or an RFC 3339 time.
fn moment(name: &str, text: &str, end: i64) -> Result<Moment, Error> {
    let refused = |vi: &'static str, en: &'static str| {
        Err(Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en)))
    };
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(position) = text.parse()
    {
        if position >= end {
            return refused("nhật ký chưa tới vị trí này", "the log has not come to this position");
        }
        return Ok(Moment::Position(position));
    }
    let (vi, en) = ("cần một vị trí hoặc thời điểm RFC 3339", "takes a position or an RFC 3339 time");
    parse_rfc3339(text).map_or_else(|| refused(vi, en), |time| Ok(Moment::Time(time)))
}

/// The record as it was then, out of its leaves.
async fn past(app: &App, record: Uuid, moment: Moment, end: i64) -> Result<Past, Error> {
    let end = if let Moment::Position(position) = moment { position + 1 } else { end };
    let (mut past, mut after) = (Past::default(), -1);
    loop {
        let rows = stretch(app, record, after, end).await?;
        let Some(last) = rows.last().map(|row| row.seq) else { return Ok(past) };
        after = last;
        for row in rows {
            let next = past.clone().with(row.seq, &row.leaf).map_err(Error::internal)?;
            // Events of one record are in the order of its versions; the first one that came later ends it.
            if matches!(moment, Moment::Time(time) if next.at() > time) {
                return Ok(past);
            }
            past = next;
        }
    }
}

/// When a record is looked at.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// A log position, the event there included, or an RFC 3339 time; now if absent.
    #[garde(length(min = 1, max = 40))]
    #[param(min_length = 1, max_length = 40, example = 42)]
    as_of: Option<String>,
}

/// A record as its events say it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordState {
    /// The record, with its version then.
    pub record: RecordView,
    /// Position of its newest event then.
    #[schema(minimum = 0)]
    pub position: i64,
    /// Id of that event.
    pub event: Uuid,
    /// When that was, UTC.
    #[schema(format = DateTime)]
    pub at: String,
    /// Field to value. A personal field shows its commitment, `{"$c": digest}`, or `{"$erased": true}`.
    #[schema(value_type = Object)]
    pub state: Map<String, Value>,
    /// Field to the position of the event that gave it its value.
    #[schema(value_type = Object)]
    pub origin: Map<String, Value>,
}

/// Reads what a record was at a position or a time, from its events alone.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path), StateQuery), responses((status = 200, body = RecordState)))]
#[get("/log/records/{id}/state")]
pub async fn get_log_record_state(
    app: App,
    permit: Permit<ReadEvents>,
    id: PathId,
    query: Query<StateQuery>,
) -> Result<HttpResponse, Error> {
    let end = seen(&app, &permit.scope(), id.0).await?;
    let moment = match &query.0.as_of {
        Some(text) => moment("as_of", text, end)?,
        None => Moment::Position(end - 1),
    };
    let past = past(&app, id.0, moment, end).await?;
    if past.version() == 0 {
        return Err(Code::NotFound.into());
    }
    Ok(HttpResponse::Ok().json(RecordState {
        record: past.record(),
        position: past.folded.position,
        event: past.folded.event,
        at: rfc3339(past.at()),
        state: past.state(),
        origin: past.origin(),
    }))
}

/// Two moments.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// The earlier one: a log position, the event there included, or an RFC 3339 time.
    #[garde(length(min = 1, max = 40))]
    #[param(min_length = 1, max_length = 40, example = 42)]
    from: String,
    /// The later one; now if absent.
    #[garde(length(min = 1, max = 40))]
    #[param(min_length = 1, max_length = 40, example = "2026-01-01T00:00:00Z")]
    to: Option<String>,
}

/// What changed in a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordDiff {
    /// The record, with its later version.
    pub record: RecordView,
    /// Its earlier version; 0 if it was not there yet.
    #[schema(minimum = 0)]
    pub from_version: i64,
    /// Its later version.
    #[schema(minimum = 0)]
    pub to_version: i64,
    /// Field to `[old, new]`, null where there was or is none.
    #[schema(value_type = Object)]
    pub changes: Map<String, Value>,
}

/// An operation of a JSON Patch (RFC 6902) on the record's `state`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PatchOperation {
    /// `add`, `replace` or `remove`.
    #[schema(max_length = 7)]
    pub op: &'static str,
    /// The field, as a JSON Pointer.
    #[schema(max_length = 200)]
    pub path: String,
    /// The new value, unless it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";

/// Reads what changed in a record between two positions or times, as old and new values or as a JSON Patch.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path), DiffQuery), responses((status = 200, content(
    (RecordDiff = "application/json"),
    (Vec<PatchOperation> = "application/json-patch+json"),
))))]
#[get("/log/records/{id}/diff")]
pub async fn get_log_record_diff(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadEvents>,
    id: PathId,
    query: Query<DiffQuery>,
) -> Result<HttpResponse, Error> {
    let end = seen(&app, &permit.scope(), id.0).await?;
    let from = past(&app, id.0, moment("from", &query.0.from, end)?, end).await?;
    let later = match &query.0.to {
        Some(text) => moment("to", text, end)?,
        None => Moment::Position(end - 1),
    };
    let to = past(&app, id.0, later, end).await?;
    if from.version() > to.version() {
        let fault = Fault::new("query/from", "muộn hơn `to`", "is later than `to`");
        return Err(Error::at(Code::InvalidQuery, fault));
    }
    if to.version() == 0 {
        return Err(Code::NotFound.into());
    }
    let (old, new) = (from.state(), to.state());
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "Accept"));
    if preferred(&request, &[JSON, JSON_PATCH]) == JSON_PATCH {
        let body = serde_json::to_string(&patch(&old, &new)).map_err(Error::internal)?;
        return Ok(response.content_type(JSON_PATCH).body(body));
    }
    Ok(response.json(RecordDiff {
        record: to.record(),
        from_version: from.version(),
        to_version: to.version(),
        changes: changes(&old, &new).into_iter().map(|(field, pair)| (field, json!(pair))).collect(),
    }))
}
