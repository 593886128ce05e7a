//! The event log over HTTP: filtered reads in either order, and each record's history.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::store::{self, EventRow, Filter, Range};
use super::{ActorView, EventView, RecordView, seal};
use crate::auth::policy::permit::ReadEvents;
use crate::auth::{Permission, Permit, Scope};
use crate::canonical::MAX_SAFE;
use crate::clock::parse_rfc3339;
use crate::error::{Code, Error, Fault};
use crate::http::page::{Found, Place};
use crate::http::{App, Call, Listing, Operation, Query};
use crate::{rooms, words};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] =
    &[Operation { id: "list_events", permission: Permission::ReadEvents, call: Call::Read, events: &[] }];

/// The routes of this room.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_events);
}

words! {
    /// The direction of a read.
    pub enum EventOrder {
        /// Oldest first.
        Asc = "asc",
        /// Newest first.
        Desc = "desc",
    }
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventPage {
    /// The events, in the order asked for.
    #[schema(max_items = 200)]
    pub items: Vec<EventView>,
    /// Continue after the last item; with `order=asc` it stays the place to come back to even when `caught_up`, so a loop ends at `caught_up`, not at null.
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
    /// Go back before the first item.
    #[schema(max_length = 200)]
    pub prev_cursor: Option<String>,
    /// True if nothing more was in the log when the page was read.
    pub caught_up: bool,
    /// Events in the whole log at that moment: the next position.
    #[schema(minimum = 0)]
    pub size: i64,
}

/// Filters of the log.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Positions greater than this.
    #[garde(range(min = -1, max = MAX_SAFE))]
    #[param(minimum = -1)]
    after: Option<i64>,
    /// Of this record.
    #[garde(skip)]
    record: Option<Uuid>,
    /// Of this type; `figure.*` is every type of the record.
    #[garde(length(min = 1, max = 100), pattern("^[a-z_]+\\.([a-z_]+|\\*)$"))]
    r#type: Option<String>,
    /// By this account.
    #[garde(skip)]
    actor: Option<Uuid>,
    /// Concerning this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Happened at this time or later (RFC 3339).
    #[garde(length(max = 40))]
    #[param(max_length = 40, format = DateTime)]
    from: Option<String>,
    /// Happened before this time (RFC 3339).
    #[garde(length(max = 40))]
    #[param(max_length = 40, format = DateTime)]
    until: Option<String>,
    /// Oldest first unless `desc`.
    #[garde(skip)]
    order: Option<EventOrder>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// Reads the event log, up to everything committed before the request.
#[utoipa::path(tag = "events", params(EventQuery), responses((status = 200, body = EventPage)))]
#[get("/events")]
pub async fn list_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadEvents>,
    query: Query<EventQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    if let Some(kind) = &query.r#type {
        there_is(kind)?;
    }
    let filter = Filter {
        record: query.record,
        kind: query.r#type,
        actor: query.actor,
        unit: query.unit,
        campaign: query.campaign,
        from: time(query.from.as_deref(), "query/from")?,
        until: time(query.until.as_deref(), "query/until")?,
    };
    let ask = Ask {
        after: query.after,
        descending: query.order == Some(EventOrder::Desc),
        limit: query.limit,
        cursor: query.cursor.as_deref(),
    };
    page(&request, &app, &filter, &permit.scope(), ask).await
}

/// Refuses a type that no event has: an empty list would say that nothing happened.
fn there_is(kind: &str) -> Result<(), Error> {
    let known = rooms::event_types().iter().any(|known| known == kind);
    if known {
        return Ok(());
    }
    let (vi, en) = ("không có loại sự kiện này; xem /docs/events.md", "no event has this type; see /docs/events.md");
    Err(Error::at(Code::InvalidQuery, Fault::new("query/type", vi, en)))
}

fn time(text: Option<&str>, pointer: &str) -> Result<Option<i64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let time = parse_rfc3339(text).ok_or_else(|| {
        let fault = Fault::new(pointer, "không phải thời điểm RFC 3339", "is no RFC 3339 time");
        Error::at(Code::InvalidQuery, fault)
    })?;
    Ok(Some(time))
}

/// How a record's history is read.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct History {
    /// Oldest first unless `desc`.
    #[garde(skip)]
    order: Option<EventOrder>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// A record's events. The caller has made sure that the record may be seen.
pub async fn history(request: &HttpRequest, app: &App, record: Uuid, query: History) -> Result<HttpResponse, Error> {
    let filter = Filter { record: Some(record), ..Filter::default() };
    let ask = Ask {
        after: None,
        descending: query.order == Some(EventOrder::Desc),
        limit: query.limit,
        cursor: query.cursor.as_deref(),
    };
    page(request, app, &filter, &Scope::Everything, ask).await
}

struct Ask<'a> {
    after: Option<i64>,
    descending: bool,
    limit: Option<u64>,
    cursor: Option<&'a str>,
}

async fn page(
    request: &HttpRequest,
    app: &App,
    filter: &Filter,
    scope: &Scope,
    ask: Ask<'_>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(request, app, ask.cursor, ask.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    // The size first: a page that reaches it is caught up with at least what was committed before.
    let size = seal::size(reader.conn()).await?;
    let back = matches!(listing.slice.place, Place::Before(_));
    let mut range = Range {
        after: ask.after,
        before: Some(size),
        // Going back runs against the order asked for, and is turned round afterwards.
        descending: ask.descending != back,
        limit: listing.slice.limit + 1,
    };
    if let Place::After(key) | Place::Before(key) = &listing.slice.place {
        let position = position(key.id)?;
        if range.descending {
            range.before = Some(position.min(size));
        } else {
            range.after = Some(position.max(ask.after.unwrap_or(-1)));
        }
    }
    let mut rows = store::read(reader.conn(), filter, scope, range).await?;
    let limit = usize::try_from(listing.slice.limit).map_err(Error::internal)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    if back {
        rows.reverse();
    }
    let last = rows.last().map(|row| row.seq);
    let page = listing.page(Found { items: rows, more, ends: None }, |row| place(row.seq), |row| view(&row))?;
    // A follower keeps its place even on a page without items.
    let resume = ask.cursor.map(str::to_owned).or(ask.after.map(|after| listing.cursor_after(place(after))));
    let follow = last.map(|seq| listing.cursor_after(place(seq))).or(resume);
    let next_cursor = page.next_cursor.or(if ask.descending { None } else { follow });
    let mut response = HttpResponse::Ok();
    // `Link` leads to pages that are there; `next_cursor` is a follower's place as well.
    let next_link = if more || back { next_cursor.as_deref() } else { None };
    if let Some(link) = listing.link(next_link, page.prev_cursor.as_deref()) {
        response.insert_header((header::LINK, link));
    }
    let caught_up = !more && !back;
    Ok(response.json(EventPage { items: page.items, next_cursor, prev_cursor: page.prev_cursor, caught_up, size }))
}

/// Cursors name a place by UUID; a position is one as well.
fn place(seq: i64) -> Uuid {
    Uuid::from_u128(u128::try_from(seq).unwrap_or_default())
}

fn position(id: Uuid) -> Result<i64, Error> {
    i64::try_from(id.as_u128()).map_err(|_| Code::InvalidCursor.into())
}

/// An event as clients see it, from its leaf alone.
fn view(row: &EventRow) -> Result<EventView, Error> {
    let leaf: Value = serde_json::from_str(&row.leaf).map_err(Error::internal)?;
    let text = |key: &str| leaf[key].as_str().map(str::to_owned);
    let id = |value: &Value| value.as_str().and_then(|id| Uuid::parse_str(id).ok());
    let (kind, record) = super::fold::stream(&leaf).ok_or_else(|| Error::internal("a leaf names no record"))?;
    Ok(EventView {
        position: row.seq,
        id: id(&leaf["id"]).ok_or_else(|| Error::internal("a leaf has no id"))?,
        kind: text("type").unwrap_or_default(),
        at: text("at").unwrap_or_default(),
        actor: ActorView {
            id: id(&leaf["actor"]["id"]),
            kind: leaf["actor"]["kind"].as_str().unwrap_or_default().to_owned(),
        },
        unit: id(&leaf["unit"]),
        record: RecordView { kind: kind.to_owned(), id: record, version: leaf["ver"].as_i64().unwrap_or(0) },
        changes: leaf["changes"].as_object().cloned().unwrap_or_default(),
        reason: Some(leaf["reason"].clone()).filter(|reason| !reason.is_null()),
        request_id: text("corr"),
        leaf: base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &row.leaf),
    })
}
