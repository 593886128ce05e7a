//! Obligations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::store::{self, Filter, obligation};
use super::{Fulfilment, ObligationDraft, ObligationKind, ObligationState, REGISTER, TRANSITIONS, Terms, on_time};
use crate::auth::policy::permit::{KeepObligations, ReadRecords};
use crate::auth::{Caller, Permission, Permit, Place, Standing, scope, transition};
use crate::campaigns;
use crate::clock::rfc3339;
use crate::db::{Outcome, WriteTx};
use crate::error::Error;
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, answer, changed, created, found,
};
use crate::log::http::{EventPage, History, history};
use crate::registers::store::require_open;

const fn operation(id: &'static str, call: Call, events: &'static [&'static str]) -> Operation {
    let permission = if matches!(call, Call::Read) { Permission::ReadRecords } else { Permission::KeepObligations };
    Operation { id, permission, call, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    operation("list_obligations", Call::Read, &[]),
    operation("get_obligation", Call::Read, &[]),
    operation("list_obligation_events", Call::Read, &[]),
    operation("impose_obligation", Call::Create, &["obligation.imposed"]),
    operation("amend_obligation", Call::Change, &["obligation.amended"]),
    operation("fulfil_obligation", Call::Change, &["obligation.fulfilled"]),
    operation("correct_obligation", Call::Change, &["obligation.corrected"]),
    operation("cancel_obligation", Call::Change, &["obligation.cancelled"]),
];

/// The routes of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_obligations)
        .service(get_obligation)
        .service(list_obligation_events)
        .service(impose_obligation)
        .service(amend_obligation)
        .service(fulfil_obligation)
        .service(correct_obligation)
        .service(cancel_obligation);
}

/// An obligation as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObligationView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// Who owes it.
    pub unit: Uuid,
    /// What is owed.
    pub terms: Terms,
    /// How it was fulfilled; null while it is not.
    pub fulfilment: Option<Fulfilment>,
    /// True if the fulfilment was entered on a later day than its own.
    pub entered_later: bool,
    /// Done by the last day; false once that has passed without fulfilment; null while it may still be done.
    pub on_time: Option<bool>,
    /// How far it has come.
    pub state: ObligationState,
    /// Who imposed or last amended it.
    pub kept_by: Option<Uuid>,
    /// Who entered or last corrected the fulfilment.
    pub fulfilment_by: Option<Uuid>,
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

impl ObligationView {
    fn new(row: &obligation::Model, place: &Place, caller: &Caller) -> Result<Self, Error> {
        let state = row.state()?;
        Ok(Self {
            id: row.id,
            campaign: row.campaign_id,
            unit: row.unit_id,
            terms: row.terms()?,
            fulfilment: row.fulfilment()?,
            entered_later: row.entered_later,
            on_time: on_time(state, row.due_on, row.fulfilled_on, caller.today),
            state,
            kept_by: row.kept_by,
            fulfilment_by: row.fulfilment_by,
            allowed_actions: transition::allowed(TRANSITIONS, caller, standing(row, place)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

fn standing<'a>(row: &obligation::Model, place: &'a Place) -> Result<Standing<'a, ObligationState>, Error> {
    Ok(Standing { state: row.state()?, place, submitter: row.kept_by, writer: None })
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ObligationQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Dated up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Owed by this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this kind.
    #[garde(skip)]
    kind: Option<ObligationKind>,
    /// In this state.
    #[garde(skip)]
    state: Option<ObligationState>,
    /// Due in this year.
    #[garde(range(min = 2015, max = 2100))]
    #[param(minimum = 2015, maximum = 2100)]
    year: Option<i32>,
    /// With an event at this log position or later.
    #[garde(range(min = 0))]
    #[param(minimum = 0)]
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

/// Lists obligations inside the caller's subtrees.
#[utoipa::path(tag = "obligations", params(ObligationQuery), responses((status = 200, body = Page<ObligationView>)))]
#[get("/obligations")]
pub async fn list_obligations(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<ObligationQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day);
    let reader = app.db.reader();
    let filter = Filter {
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref()).await?,
        scope: permit.scope(),
        campaign: query.campaign,
        unit: query.unit,
        kind: query.kind,
        state: query.state,
        due: query.year.and_then(|year| Some((day(year, 1, 1)?, day(year, 12, 31)?))),
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, listing.slice).await?;
    let records: Vec<(Uuid, NaiveDate)> = found.items.iter().map(|row| (row.unit_id, row.due_on)).collect();
    let places = scope::places(reader.conn(), &records, permit.caller.today).await?;
    let mut places = places.iter();
    listing.answer(
        found,
        |row| row.id,
        |row| {
            let place = places.next().ok_or_else(|| Error::internal("a row without a place"))?;
            ObligationView::new(&row, place, &permit.caller)
        },
    )
}

/// Reads an obligation.
#[utoipa::path(tag = "obligations", params(("id" = Uuid, Path)), responses((status = 200, body = ObligationView)))]
#[get("/obligations/{id}")]
pub async fn get_obligation(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    let place = permit.caller.see(reader.conn(), row.unit_id, row.due_on).await?;
    found(&request, row.version, &ObligationView::new(&row, &place, &permit.caller)?)
}

/// Reads an obligation's history.
#[utoipa::path(tag = "obligations", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/obligations/{id}/events")]
pub async fn list_obligation_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    permit.caller.see(reader.conn(), row.unit_id, row.due_on).await?;
    history(&request, &app, id.0, query.0).await
}

/// Imposes an obligation.
#[utoipa::path(tag = "obligations", request_body = ObligationDraft, responses((status = 201, body = ObligationView)))]
#[post("/obligations")]
pub async fn impose_obligation(
    app: App,
    permit: Permit<KeepObligations>,
    key: IdempotencyKey,
    body: Body<ObligationDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let once = key.once("impose_obligation", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let place = scope::place(tx.conn(), draft.unit, draft.terms.due_on, permit.caller.today).await?;
        permit.require(&place)?;
        draft.terms.check(starts_on(tx, draft.campaign).await?, "/terms")?;
        require_open(tx, draft.campaign, draft.unit, REGISTER, draft.terms.due_on).await?;
        let row = store::impose(tx, draft).await?;
        let view = ObligationView::new(&row, &place, &permit.caller)?;
        created(format!("/v1/obligations/{}", row.id), row.version, &view)
    });
    Ok(answer(stored.await?))
}

/// What is owed, as it is to stand.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "terms": { "kind": "periodic_report", "title": "Báo cáo giảm nghèo năm 2023", "due_on": "2023-12-20" }
}))]
pub struct ObligationAmendment {
    /// All terms.
    #[garde(dive)]
    pub terms: Terms,
}

/// Replaces the terms of an open obligation.
#[utoipa::path(tag = "obligations", params(("id" = Uuid, Path)), request_body = ObligationAmendment, responses((status = 200, body = ObligationView)))]
#[post("/obligations/{id}:amend")]
pub async fn amend_obligation(
    app: App,
    permit: Permit<KeepObligations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObligationAmendment>,
) -> Result<HttpResponse, Error> {
    let terms = &body.value.terms;
    step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        terms_fit(tx, &permit, old, terms).await?;
        store::amend(tx, old, terms).await
    })
    .await
}

/// How it was fulfilled.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "fulfilment": {
    "fulfilled_on": "2023-12-14", "received_on": "2023-12-14", "evidence": [{ "kind": "document", "number": "15/BC-UBND" }]
} }))]
pub struct ObligationFulfilment {
    /// Day, receipt and evidence.
    #[garde(dive)]
    pub fulfilment: Fulfilment,
}

/// Enters the fulfilment of an open obligation.
#[utoipa::path(tag = "obligations", params(("id" = Uuid, Path)), request_body = ObligationFulfilment, responses((status = 200, body = ObligationView)))]
#[post("/obligations/{id}:fulfil")]
pub async fn fulfil_obligation(
    app: App,
    permit: Permit<KeepObligations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObligationFulfilment>,
) -> Result<HttpResponse, Error> {
    let fulfilment = &body.value.fulfilment;
    let today = permit.caller.today;
    step(&app, &permit, id.0, &if_match, "fulfil", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        let later = fulfilment.entered_later(today, None);
        fulfilment.check(starts_on(tx, old.campaign_id).await?, today, later, "/fulfilment")?;
        store::fulfil(tx, old, fulfilment, later).await
    })
    .await
}

/// The right terms and fulfilment of what is fulfilled, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "terms": { "kind": "periodic_report", "title": "Báo cáo giảm nghèo năm 2023", "due_on": "2023-12-15" },
    "fulfilment": { "fulfilled_on": "2023-12-15", "received_on": "2023-12-15", "evidence": [{ "kind": "document", "number": "15/BC-UBND" }] },
    "reason": "Ghi nhầm ngày"
}))]
pub struct ObligationCorrection {
    /// All terms.
    #[garde(dive)]
    pub terms: Terms,
    /// Day, receipt and evidence.
    #[garde(dive)]
    pub fulfilment: Fulfilment,
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Corrects a fulfilled obligation.
#[utoipa::path(tag = "obligations", params(("id" = Uuid, Path)), request_body = ObligationCorrection, responses((status = 200, body = ObligationView)))]
#[post("/obligations/{id}:correct")]
pub async fn correct_obligation(
    app: App,
    permit: Permit<KeepObligations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObligationCorrection>,
) -> Result<HttpResponse, Error> {
    let ObligationCorrection { terms, fulfilment, reason } = &body.value;
    let today = permit.caller.today;
    step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        terms_fit(tx, &permit, old, terms).await?;
        let later = fulfilment.entered_later(today, old.entered_on_time());
        fulfilment.check(starts_on(tx, old.campaign_id).await?, today, later, "/fulfilment")?;
        store::correct(tx, old, terms, (fulfilment, later), reason).await
    })
    .await
}

/// Why it is no longer owed.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Cấp trên không yêu cầu nữa" }))]
pub struct ObligationCancellation {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Ends an open obligation.
#[utoipa::path(tag = "obligations", params(("id" = Uuid, Path)), request_body = ObligationCancellation, responses((status = 200, body = ObligationView)))]
#[post("/obligations/{id}:cancel")]
pub async fn cancel_obligation(
    app: App,
    permit: Permit<KeepObligations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObligationCancellation>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    step(&app, &permit, id.0, &if_match, "cancel", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        store::cancel(tx, old, reason).await
    })
    .await
}

/// One step of an obligation's life: seen, allowed, unchanged since it was read, not in a closed register, then taken.
async fn step(
    app: &App,
    permit: &Permit<KeepObligations>,
    id: Uuid,
    if_match: &IfMatch,
    verb: &str,
    take: impl AsyncFn(&WriteTx<'_>, &obligation::Model) -> Result<obligation::Model, Error>,
) -> Result<HttpResponse, Error> {
    let caller = &permit.caller;
    let taken = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        let old = store::locked(tx, id).await?;
        let place = caller.see(tx.conn(), old.unit_id, old.due_on).await?;
        permit.require(&place)?;
        if_match.check(old.version)?;
        transition::take(TRANSITIONS, verb, caller, standing(&old, &place)?)?;
        require_open(tx, old.campaign_id, old.unit_id, REGISTER, old.due_on).await?;
        let new = take(tx, &old).await?;
        // The last day may have moved, and the record's place with it.
        let place = scope::place(tx.conn(), new.unit_id, new.due_on, caller.today).await?;
        Ok(Outcome::Changed((new, place)))
    });
    let (row, place) = taken.await?;
    changed(row.version, &ObligationView::new(&row, &place, caller)?)
}

/// Refuses terms that the campaign does not have room for, or whose last day lies beyond the caller's rights or in a
/// closed register.
async fn terms_fit(
    tx: &WriteTx<'_>,
    permit: &Permit<KeepObligations>,
    old: &obligation::Model,
    terms: &Terms,
) -> Result<(), Error> {
    terms.check(starts_on(tx, old.campaign_id).await?, "/terms")?;
    if terms.due_on != old.due_on {
        permit.require(&scope::place(tx.conn(), old.unit_id, terms.due_on, permit.caller.today).await?)?;
        require_open(tx, old.campaign_id, old.unit_id, REGISTER, terms.due_on).await?;
    }
    Ok(())
}

async fn starts_on(tx: &WriteTx<'_>, campaign: Uuid) -> Result<NaiveDate, Error> {
    Ok(campaigns::store::definition(tx.conn(), campaign).await?.starts_on)
}
