//! Findings over HTTP.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::questions::{self, figure_changed_after_confirmation};
use super::{Finding, outcome};
use crate::auth::policy::permit::ReadFindings;
use crate::auth::{Permission, Permit};
use crate::canonical::MAX_SAFE;
use crate::error::{Code, Error, Fault};
use crate::http::page::{Found, Place};
use crate::http::{App, Call, Listing, Operation, Query, Registry};
use crate::log::seal;

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] =
    &[Operation { id: "list_findings", permission: Permission::ReadFindings, call: Call::Read, events: &[] }];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config.service(list_findings);
}

/// A page of findings.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingPage {
    /// The findings, in the order of the last event that shows each.
    #[schema(max_items = 200)]
    pub items: Vec<Finding>,
    /// Continue after the last item, at the same position of the log; null at the end.
    #[schema(max_length = 1000)]
    pub next_cursor: Option<String>,
    /// Go back before the first item; null at the beginning.
    #[schema(max_length = 1000)]
    pub prev_cursor: Option<String>,
    /// The last event that was taken into account: asked again there, the answer is the same.
    #[schema(minimum = 0)]
    pub log_position: i64,
}

/// What is asked.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindingQuery {
    /// Of this question; all of them if absent.
    #[garde(length(min = 1, max = 60), pattern("^[a-z_]+$"))]
    question: Option<String>,
    /// Concerning this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// The last event to be taken into account; the newest if absent.
    #[garde(range(min = 0, max = MAX_SAFE))]
    #[param(minimum = 0)]
    log_position: Option<i64>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    cursor: Option<String>,
}

/// Answers the standing questions of the self-audit; nothing is stored.
#[utoipa::path(tag = "events", params(FindingQuery), responses((status = 200, body = FindingPage)))]
#[get("/findings")]
pub async fn list_findings(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadFindings>,
    query: Query<FindingQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let question = query.question.as_deref();
    if question.is_some_and(|id| questions::find(id).is_none()) {
        return Err(bad("query/question", "không có câu hỏi này", "there is no such question"));
    }
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let newest = seal::size(reader.conn()).await? - 1;
    let place = Cursor::of(&listing.slice.place);
    let position = place.as_ref().map(|cursor| cursor.position).or(query.log_position).unwrap_or(newest);
    if position > newest {
        let (vi, en) = ("nhật ký chưa tới vị trí này", "the log has not come to this position");
        return Err(bad("query/log_position", vi, en));
    }
    let all = app.kept_pass.at(reader.conn(), position).await?;
    let asked = |finding: &&Finding| {
        question.is_none_or(|id| finding.question == id) && query.unit.is_none_or(|unit| finding.unit == Some(unit))
    };
    let findings = all.findings.iter().filter(asked).cloned().collect();
    let mut found = cut(findings, &listing.slice.place, listing.slice.limit)?;
    if question == Some(figure_changed_after_confirmation::QUESTION.id) {
        outcome::evaluate(reader.conn(), &all.campaigns, &mut found.findings).await?;
    } else {
        found.findings.iter_mut().for_each(outcome::leave);
    }
    let items = (found.first..).zip(found.findings).collect();
    let found = Found { items, more: found.more, ends: None };
    let page = listing.page(found, |(index, _)| Cursor { position, index: *index }.id(), |(_, finding)| Ok(finding))?;
    let mut response = HttpResponse::Ok();
    if let Some(link) = listing.link(page.next_cursor.as_deref(), page.prev_cursor.as_deref()) {
        response.insert_header((header::LINK, link));
    }
    let (next_cursor, prev_cursor) = (page.next_cursor, page.prev_cursor);
    Ok(response.json(FindingPage { items: page.items, next_cursor, prev_cursor, log_position: position }))
}

fn bad(pointer: &'static str, vi: &'static str, en: &'static str) -> Error {
    Error::at(Code::InvalidQuery, Fault::new(pointer, vi, en))
}

/// A place among the findings at a position of the log. Cursors name a place by UUID; two numbers are one as well.
struct Cursor {
    position: i64,
    index: u64,
}

impl Cursor {
    fn of(place: &Place) -> Option<Self> {
        let (Place::After(key) | Place::Before(key)) = place else { return None };
        let (position, index) = key.id.as_u64_pair();
        Some(Self { position: i64::try_from(position).ok()?, index })
    }

    fn id(&self) -> Uuid {
        Uuid::from_u64_pair(u64::try_from(self.position).unwrap_or_default(), self.index)
    }
}

/// The findings of a page, where the first of them stands, and whether more lie beyond in the direction of travel.
struct Cut {
    first: u64,
    findings: Vec<Finding>,
    more: bool,
}

fn cut(mut findings: Vec<Finding>, place: &Place, limit: u64) -> Result<Cut, Error> {
    let count = findings.len();
    let at = |cursor: Option<Cursor>| {
        let index = cursor.map_or(0, |cursor| cursor.index);
        usize::try_from(index).map(|index| index.min(count)).map_err(Error::internal)
    };
    let limit = usize::try_from(limit).map_err(Error::internal)?;
    let (first, end) = match place {
        Place::Start => (0, limit.min(count)),
        Place::After(_) => {
            let first = at(Cursor::of(place))?.saturating_add(1).min(count);
            (first, first.saturating_add(limit).min(count))
        }
        Place::Before(_) => {
            let end = at(Cursor::of(place))?;
            (end.saturating_sub(limit), end)
        }
    };
    let more = if matches!(place, Place::Before(_)) { first > 0 } else { end < count };
    findings.truncate(end);
    Ok(Cut { first: u64::try_from(first).map_err(Error::internal)?, findings: findings.split_off(first), more })
}
