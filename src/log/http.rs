//! The event log over HTTP: filtered reads in either order, and each record's history.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{EventRow, Filter, Found, Range};
use super::stream::{self, Follower};
use super::{ActorView, EventView, FIRST_POSITION, RecordView, kept, seal};
use crate::auth::policy::permit::ReadEvents;
use crate::auth::tenure::Tenure;
use crate::auth::{Permission, Permit, Scope};
use crate::canonical::MAX_SAFE;
use crate::clock::{Stopwatch, parse_rfc3339};
use crate::error::{Code, Error, Fault};
use crate::http::page::{self, Key, Place};
use crate::http::{App, Call, Listing, Operation, Query, Registry};
use crate::{rooms, words};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[reading("list_events"), reading("stream_events")];

const fn reading(id: &'static str) -> Operation {
    Operation { id, permission: Permission::ReadEvents, call: Call::Read, events: &[] }
}

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config.service(list_events).service(stream_events);
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
    /// Continue after the last item; with `order=asc` it stays the place to come back to even when `caught_up`, so a loop ends at `caught_up`, not at null. Null at the end of a read that `upto` froze.
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
    /// Go back before the first item.
    #[schema(max_length = 200)]
    pub prev_cursor: Option<String>,
    /// True if nothing more was in the log when the page was read. A page without it may be short: looking for few events among many stops after a while, and goes on at `next_cursor`.
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
    /// Positions greater than this. One that the log does not have is answered with 410 `gone` and the log's `size`: an older copy was restored.
    #[garde(range(min = -1, max = MAX_SAFE))]
    #[param(minimum = -1)]
    after: Option<i64>,
    /// Positions smaller than this: pages of one `upto` never change. Cursors carry it.
    #[garde(range(min = 0, max = MAX_SAFE))]
    #[param(minimum = 0)]
    upto: Option<i64>,
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
    /// Of this campaign. Figures and units serve every campaign: their events belong to none.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Of the request with this trace id.
    #[garde(pattern("^[0-9a-f]{32}$"))]
    #[param(pattern = "^[0-9a-f]{32}$", max_length = 32)]
    request_id: Option<String>,
    /// That changed this field, as `changes` names it; together with `record`, `type` or `campaign` only.
    #[garde(length(min = 1, max = 100), pattern("^[a-z][a-z0-9_]*$"))]
    #[param(pattern = "^[a-z][a-z0-9_]*$", min_length = 1, max_length = 100)]
    field: Option<String>,
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
    /// Seconds to wait for an event where there is none yet; oldest first only, without `upto`.
    #[garde(range(min = 1, max = 25))]
    #[param(minimum = 1, maximum = 25)]
    wait: Option<u64>,
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
        there_is(kind, Code::InvalidQuery, "query/type")?;
    }
    let filter = Filter {
        event: None,
        record: query.record,
        kind: query.r#type,
        request: query.request_id,
        actor: query.actor,
        unit: query.unit,
        campaign: query.campaign,
        field: query.field,
        from: time(query.from.as_deref(), "query/from")?,
        until: time(query.until.as_deref(), "query/until")?,
    };
    narrow(&filter)?;
    let ask = Ask {
        after: query.after,
        upto: query.upto,
        descending: query.order == Some(EventOrder::Desc),
        limit: query.limit,
        cursor: query.cursor.as_deref(),
        wait: query.wait.map(Duration::from_secs),
    };
    page(&request, &app, &filter, &permit.scope(), ask).await
}

/// Which events to follow.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FollowQuery {
    /// Positions greater than this, unless `Last-Event-ID` says another one; from the first event if absent. 410 `gone` as in the list.
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
    /// Of the request with this trace id.
    #[garde(pattern("^[0-9a-f]{32}$"))]
    #[param(pattern = "^[0-9a-f]{32}$", max_length = 32)]
    request_id: Option<String>,
    /// That changed this field, as `changes` names it; together with `record`, `type` or `campaign` only.
    #[garde(length(min = 1, max = 100), pattern("^[a-z][a-z0-9_]*$"))]
    #[param(pattern = "^[a-z][a-z0-9_]*$", min_length = 1, max_length = 100)]
    field: Option<String>,
    /// End after so many events; never if absent.
    #[garde(range(min = 1, max = MAX_SAFE.unsigned_abs()))]
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// Follows the event log: server-sent events, from a position on, for as long as the token lives.
///
/// Each event has its position as `id`, its type as `event` and the same JSON as in a list as `data`; whoever comes back
/// with `Last-Event-ID` goes on behind it and misses nothing. Signed checkpoints come in between (`event: checkpoint`,
/// without an id), each after the events that it covers. Without events a comment is sent every 15 seconds. Whoever
/// takes nothing for 30 seconds is cut off.
#[utoipa::path(tag = "events", params(FollowQuery,
    ("Last-Event-ID" = Option<i64>, Header, description = "The last position that was received", minimum = 0),
), responses((status = 200, body = String, content_type = "text/event-stream")))]
#[get("/events/stream")]
pub async fn stream_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadEvents>,
    tenure: Tenure,
    query: Query<FollowQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    if let Some(kind) = &query.r#type {
        there_is(kind, Code::InvalidQuery, "query/type")?;
    }
    let after = last_event_id(&request)?.or(query.after).unwrap_or(FIRST_POSITION - 1);
    let filter = Filter {
        record: query.record,
        kind: query.r#type,
        request: query.request_id,
        actor: query.actor,
        unit: query.unit,
        campaign: query.campaign,
        field: query.field,
        ..Filter::default()
    };
    narrow(&filter)?;
    let left = query.limit.unwrap_or(u64::MAX);
    app.db.settle().await?;
    let size = seal::size(app.db.reader().conn()).await?;
    kept(after, [FIRST_POSITION, size])?;
    let follower = Follower::new(app, filter, permit.scope(), tenure, [after, size], left);
    let mut response = HttpResponse::Ok();
    response.content_type(stream::MEDIA_TYPE).insert_header((header::CACHE_CONTROL, "no-store"));
    // For proxies that would gather what is sent.
    response.insert_header(("X-Accel-Buffering", "no"));
    Ok(response.streaming(follower.stream()))
}

/// Where a follower was when its connection ended.
fn last_event_id(request: &HttpRequest) -> Result<Option<i64>, Error> {
    let mut values = request.headers().get_all("Last-Event-ID");
    let (Some(value), more) = (values.next(), values.next()) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| more.is_none() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let position = text.and_then(|text| text.parse().ok()).filter(|position| *position <= MAX_SAFE);
    let (vi, en) = ("không phải vị trí trong nhật ký", "is no log position");
    let fault = || Error::at(Code::InvalidHeader, Fault::new("header/Last-Event-ID", vi, en));
    position.map(Some).ok_or_else(fault)
}

/// Refuses a type that no event has: an empty list would say that nothing happened.
pub fn there_is(kind: &str, code: Code, pointer: &str) -> Result<(), Error> {
    let known = rooms::event_types().iter().any(|known| known == kind);
    if known {
        return Ok(());
    }
    let (vi, en) = ("không có loại sự kiện này; xem /docs/events.md", "no event has this type; see /docs/events.md");
    Err(Error::at(code, Fault::new(pointer, vi, en)))
}

/// Refuses to look for a field through events of all kinds: no index leads there.
fn narrow(filter: &Filter) -> Result<(), Error> {
    if filter.field.is_none() || filter.record.is_some() || filter.kind.is_some() || filter.campaign.is_some() {
        return Ok(());
    }
    let (vi, en) = ("chỉ dùng cùng `record`, `type` hoặc `campaign`", "goes with `record`, `type` or `campaign` only");
    Err(Error::at(Code::InvalidQuery, Fault::new("query/field", vi, en)))
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
        upto: None,
        descending: query.order == Some(EventOrder::Desc),
        limit: query.limit,
        cursor: query.cursor.as_deref(),
        wait: None,
    };
    page(request, app, &filter, &Scope::Everything, ask).await
}

struct Ask<'a> {
    after: Option<i64>,
    upto: Option<i64>,
    descending: bool,
    limit: Option<u64>,
    cursor: Option<&'a str>,
    wait: Option<Duration>,
}

/// What one look at the log found.
struct Seen {
    rows: Vec<EventRow>,
    /// More that fits follows in the direction of the read.
    more: bool,
    /// The last position looked at, if there was more to look at.
    stopped: Option<i64>,
    size: i64,
    /// The position after which was looked.
    after: Option<i64>,
}

async fn page(
    request: &HttpRequest,
    app: &App,
    filter: &Filter,
    scope: &Scope,
    ask: Ask<'_>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(request, app, ask.cursor, ask.limit)?;
    let upto = frozen(&listing, &ask)?;
    let back = matches!(listing.slice.place, Place::Before(_));
    if ask.wait.is_some() && (ask.descending || back || upto.is_some()) {
        let (vi, en) = ("chỉ chờ được khi đọc tiếp từ cũ đến mới", "goes with reading on, oldest first, only");
        return Err(Error::at(Code::InvalidQuery, Fault::new("query/wait", vi, en)));
    }
    // Whoever waits ends before the edge would end it.
    let patience = ask.wait.unwrap_or_default().min(app.limits.request * 4 / 5);
    let (waited, mut news) = (Stopwatch::start(), app.news.follow());
    app.db.settle().await?;
    let seen = loop {
        news.mark_unchanged();
        let seen = look(app, &listing, filter, scope, &ask, upto).await?;
        let rest = patience.saturating_sub(waited.elapsed());
        if rest.is_zero() || !seen.rows.is_empty() || seen.stopped.is_some() || news.borrow().stopping {
            break seen;
        }
        app.news.keep(&app.db, app.signer.as_ref());
        // Now and then without news: who asks for all may have ended.
        let _ = tokio::time::timeout(rest.min(Duration::from_secs(2)), news.changed()).await;
    };
    answer(&listing, &ask, upto, back, seen)
}

/// Up to where the read was frozen, by the query or by the cursor, which say the same.
fn frozen(listing: &Listing<'_>, ask: &Ask<'_>) -> Result<Option<i64>, Error> {
    let (Place::After(key) | Place::Before(key)) = &listing.slice.place else { return Ok(ask.upto) };
    let carried = match key.name.as_slice() {
        [] => None,
        bytes => Some(i64::from_be_bytes(bytes.try_into().map_err(|_| Code::InvalidCursor)?)),
    };
    if ask.upto.is_some_and(|upto| Some(upto) != carried) {
        let (vi, en) = ("con trỏ thuộc về một `upto` khác", "is of another `upto`");
        return Err(Error::at(Code::InvalidCursor, Fault::new("query/cursor", vi, en)));
    }
    Ok(carried)
}

async fn look(
    app: &App,
    listing: &Listing<'_>,
    filter: &Filter,
    scope: &Scope,
    ask: &Ask<'_>,
    upto: Option<i64>,
) -> Result<Seen, Error> {
    let reader = app.db.reader();
    // The size first: a page that reaches it is caught up with at least what was committed before.
    let size = seal::size(reader.conn()).await?;
    let end = upto.map_or(size, |upto| upto.min(size));
    let back = matches!(listing.slice.place, Place::Before(_));
    let mut range = Range {
        after: ask.after,
        before: Some(end),
        // Going back runs against the order asked for, and is turned round afterwards.
        descending: ask.descending != back,
        limit: listing.slice.limit + 1,
    };
    if let Place::After(key) | Place::Before(key) = &listing.slice.place {
        let position = position(key.id)?;
        if range.descending {
            range.before = Some(position.min(end));
        } else {
            range.after = Some(position.max(ask.after.unwrap_or(-1)));
        }
    }
    kept(range.after.unwrap_or(-1), [FIRST_POSITION, size])?;
    let Found { mut rows, stopped } = app.spans.read(reader.conn(), filter, scope, range).await?;
    let limit = usize::try_from(listing.slice.limit).map_err(Error::internal)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    if back {
        rows.reverse();
    }
    Ok(Seen { rows, more, stopped, size, after: range.after })
}

fn answer(
    listing: &Listing<'_>,
    ask: &Ask<'_>,
    upto: Option<i64>,
    back: bool,
    seen: Seen,
) -> Result<HttpResponse, Error> {
    let Seen { rows, more, stopped, size, after } = seen;
    let name = upto.map(|upto| upto.to_be_bytes().to_vec());
    let at = |seq: i64| Key { name: name.clone().unwrap_or_default(), id: place(seq) };
    let last = rows.last().map(|row| row.seq);
    let ends = name.clone().map(|name| [name.clone(), name]);
    let found = page::Found { items: rows, more: more || stopped.is_some(), ends };
    let page = listing.page(found, |row| place(row.seq), |row| view(&row))?;
    let caught_up = !more && stopped.is_none() && !back;
    // A follower keeps its place even on a page without items: everything before it was looked at.
    let end = upto.map_or(size, |upto| upto.min(size));
    let follow = match (back, more, stopped) {
        (true, ..) => page.next_cursor.clone(),
        (false, true, _) => last.map(|seq| listing.cursor_after(&at(seq))),
        (false, false, Some(seq)) => Some(listing.cursor_after(&at(seq))),
        (false, false, None) if ask.descending || upto.is_some_and(|upto| upto <= size) => None,
        (false, false, None) => {
            let reached = after.unwrap_or(-1).max(end - 1);
            (reached >= 0).then(|| listing.cursor_after(&at(reached)))
        }
    };
    let prev_cursor = match (back, stopped) {
        // Going back, it is the way back that was not looked at to its end.
        (true, Some(seq)) if !more => Some(listing.cursor_before(&at(seq))),
        _ => page.prev_cursor,
    };
    let mut response = HttpResponse::Ok();
    // `Link` leads to pages that are there; `next_cursor` is a follower's place as well.
    let next_link = if caught_up { None } else { follow.as_deref() };
    if let Some(link) = listing.link(next_link, prev_cursor.as_deref()) {
        response.insert_header((header::LINK, link));
    }
    Ok(response.json(EventPage { items: page.items, next_cursor: follow, prev_cursor, caught_up, size }))
}

/// Cursors name a place by UUID; a position is one as well.
fn place(seq: i64) -> Uuid {
    Uuid::from_u128(u128::try_from(seq).unwrap_or_default())
}

fn position(id: Uuid) -> Result<i64, Error> {
    i64::try_from(id.as_u128()).map_err(|_| Code::InvalidCursor.into())
}

/// An event as clients see it, from its leaf alone.
pub fn view(row: &EventRow) -> Result<EventView, Error> {
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
