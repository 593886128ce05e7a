//! Acts of succession over HTTP: recorded once, annulled with a reason.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, End, SuccessionFilter, succession as recorded};
use super::{SuccessionDraft, SuccessionState, UnitDraft, check, succession};
use crate::auth::policy::permit::{ManageUnits, ReadUnits};
use crate::auth::{Caller, Permission, Permit};
use crate::clock::rfc3339;
use crate::db::{Event, Outcome, WriteTx};
use crate::error::{Code, Error};
use crate::http::page::Page;
use crate::http::{App, Body, IdempotencyKey, IfMatch, PathId, Query, answer, changed, created, found};
use crate::id;
use crate::log::http::{EventPage, History, history};

/// An act of succession as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuccessionView {
    /// Identity.
    pub id: Uuid,
    /// The act.
    #[serde(flatten)]
    pub act: SuccessionDraft,
    /// Whether it counts.
    pub state: SuccessionState,
    /// The civil date on which it was annulled; null while it stands.
    pub annulled_on: Option<NaiveDate>,
    /// Why it was annulled; personal. Null if it was not, if that was before reasons were kept, and once erased.
    #[schema(max_length = 1000)]
    pub change_reason: Option<String>,
    /// What the caller may do now.
    #[schema(max_items = 10)]
    pub allowed_actions: Vec<&'static str>,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time of the newest event, UTC.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl SuccessionView {
    fn new(row: &recorded::Model, caller: &Caller) -> Result<Self, Error> {
        let state = row.state();
        let annullable = state == SuccessionState::Standing && caller.holds(Permission::ManageUnits);
        Ok(Self {
            id: row.id,
            act: row.draft()?,
            state,
            annulled_on: row.annulled_on,
            change_reason: row.change_reason.clone(),
            allowed_actions: if annullable { vec!["annul"] } else { vec![] },
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SuccessionQuery {
    /// With this unit among the predecessors or the successors.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<SuccessionState>,
    /// With an event at this log position or later.
    #[garde(range(min = 0, max = 9_007_199_254_740_991))]
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    changed_since: Option<i64>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// Lists the acts by which units follow one another.
#[utoipa::path(tag = "units", params(SuccessionQuery), responses((status = 200, body = Page<SuccessionView>)))]
#[get("/successions")]
pub async fn list_successions(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    query: Query<SuccessionQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = crate::http::Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let filter = SuccessionFilter { unit: query.unit, state: query.state, changed_since: query.changed_since };
    let found = store::succession_page(app.db.reader().conn(), &filter, &listing.slice).await?;
    listing.answer(found, |row| row.id, |row| SuccessionView::new(&row, &permit.caller))
}

/// Reads an act of succession.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path)), responses((status = 200, body = SuccessionView)))]
#[get("/successions/{id}")]
pub async fn get_succession(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = store::find_succession(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &SuccessionView::new(&row, &permit.caller)?)
}

/// Reads the history of an act of succession.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/successions/{id}/events")]
pub async fn list_succession_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadUnits>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find_succession(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// Records that units merge, split, are renamed or abolished; the predecessors end the day before.
#[utoipa::path(tag = "units", request_body = SuccessionDraft, responses((status = 201, body = SuccessionView)))]
#[post("/successions")]
pub async fn record_succession(
    app: App,
    permit: Permit<ManageUnits>,
    key: IdempotencyKey,
    body: Body<SuccessionDraft>,
) -> Result<HttpResponse, Error> {
    let act = &body.value;
    act.check()?;
    let once = key.once("record_succession", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        let standing = store::standing(tx.conn()).await?;
        succession::check(act, &store::lineage(tx.conn()).await?, &standing)?;
        let ends = end_predecessors(tx, act).await?;
        let row = store::record_succession(tx, id::new_id(), act, &ends).await?;
        store::derive(tx.conn()).await?;
        let view = SuccessionView::new(&row, &permit.caller)?;
        created(format!("/v1/successions/{}", row.id), row.version, &view)
    });
    Ok(answer(stored.await?))
}

/// The predecessors' last day is the day before the act takes effect. Answers whose last day that changed, and what it
/// was before.
async fn end_predecessors(tx: &WriteTx<'_>, act: &SuccessionDraft) -> Result<Vec<End>, Error> {
    let last = act.effective_on.pred_opt().ok_or(Code::InvalidValue)?;
    let mut ends = Vec::new();
    for predecessor in &act.predecessors {
        let old = store::locked(tx, *predecessor).await?;
        let mut draft = old.draft()?;
        if draft.exists_to == Some(last) {
            continue;
        }
        ends.push(End { unit: old.id, before: draft.exists_to });
        draft.exists_to = Some(last);
        store::amend(tx, &old, &draft, Event::new("unit.ended")).await?;
    }
    Ok(ends)
}

/// Why it is annulled.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Ghi nhầm đơn vị kế tục" }))]
pub struct SuccessionAnnulment {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Annuls an act that was recorded by mistake: nobody follows by it any more, and whom it ended has the last day that
/// stood there before.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path)), request_body = SuccessionAnnulment, responses((status = 200, body = SuccessionView)))]
#[post("/successions/{id}:annul")]
pub async fn annul_succession(
    app: App,
    permit: Permit<ManageUnits>,
    id: PathId,
    if_match: IfMatch,
    body: Body<SuccessionAnnulment>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let row = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        let old = store::locked_succession(tx, id.0).await?;
        if_match.check(old.version, || SuccessionView::new(&old, &permit.caller))?;
        if old.annulled_on.is_some() {
            return Err(Error::new(Code::InvalidTransition).member("allowed_actions", json!([])));
        }
        for end in old.ends()? {
            restore(tx, &end, reason).await?;
        }
        let row = store::annul(tx, &old, reason).await?;
        store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(row))
    });
    let row = row.await?;
    changed(row.version, &SuccessionView::new(&row, &permit.caller)?)
}

/// Gives a unit the last day that it had before the act; somebody else may bear its code by now.
async fn restore(tx: &WriteTx<'_>, end: &End, reason: &str) -> Result<(), Error> {
    let old = store::locked(tx, end.unit).await?;
    let draft = UnitDraft { exists_to: end.before, ..old.draft()? };
    check::no_code_twice(tx, Some(old.id), &draft).await?;
    store::amend(tx, &old, &draft, Event::because("unit.restored", reason)).await?;
    Ok(())
}
