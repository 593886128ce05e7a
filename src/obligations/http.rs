//! Obligations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, obligation};
use super::view::ObligationView;
use super::{Fulfilment, ObligationDraft, ObligationKind, ObligationState, REGISTER, Terms};
use crate::auth::policy::permit::{KeepObligations, ReadRecords};
use crate::auth::{Permission, Permit, scope};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::Error;
use crate::http::page::Page;
use crate::http::resource::{self, Resource};
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, Search, answer, created,
};
use crate::log::http::{EventPage, History};
use crate::registers::store::Entered;
use crate::registers::store::require_open;
use crate::units;

const fn operation(id: &'static str, call: Call, events: &'static [&'static str]) -> Operation {
    let permission = if matches!(call, Call::Read) { Permission::ReadRecords } else { Permission::KeepObligations };
    Operation { id, permission, call, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    operation("list_obligations", Call::Read, &[]),
    operation("search_obligations", Call::Read, &[]),
    operation("get_obligation", Call::Read, &[]),
    operation("list_obligation_events", Call::Read, &[]),
    operation("impose_obligation", Call::Create, &["obligation.imposed"]),
    operation("amend_obligation", Call::Change, &["obligation.amended"]),
    operation("fulfil_obligation", Call::Change, &["obligation.fulfilled"]),
    operation("correct_obligation", Call::Change, &["obligation.corrected"]),
    operation("cancel_obligation", Call::Change, &["obligation.cancelled"]),
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_obligations)
        .service(search_obligations)
        .service(get_obligation)
        .service(list_obligation_events)
        .service(impose_obligation)
        .service(amend_obligation)
        .service(fulfil_obligation)
        .service(correct_obligation)
        .service(cancel_obligation);
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ObligationQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Dated up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    #[schema(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Owed by this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// Of this kind.
    #[garde(skip)]
    kind: Option<ObligationKind>,
    /// In this state.
    #[garde(skip)]
    state: Option<ObligationState>,
    /// Due in this year.
    #[garde(range(min = 2015, max = 2100))]
    #[param(minimum = 2015, maximum = 2100)]
    #[schema(minimum = 2015, maximum = 2100)]
    year: Option<i32>,
    /// With an event at this log position or later.
    #[garde(range(min = 0, max = 9_007_199_254_740_991))]
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    #[schema(minimum = 0, maximum = 9007199254740991_i64)]
    changed_since: Option<i64>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    #[schema(max_length = 1000)]
    cursor: Option<String>,
}

/// A search among them.
pub type ObligationSearch = Search<ObligationQuery>;

/// Lists obligations inside the caller's subtrees.
#[utoipa::path(tag = "obligations", params(ObligationQuery), responses((status = 200, body = Page<ObligationView>)))]
#[get("/obligations")]
pub async fn list_obligations(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<ObligationQuery>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(&request, &app, query.0.cursor.as_deref(), query.0.limit)?;
    list(&app, &permit, &listing, query.0).await
}

/// Finds obligations inside the caller's subtrees by words of titles, in Vietnamese order.
#[utoipa::path(tag = "obligations", request_body = ObligationSearch, responses((status = 200, body = Page<ObligationView>)))]
#[post("/obligations:search")]
pub async fn search_obligations(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    search: ObligationSearch,
) -> Result<HttpResponse, Error> {
    let listing = Listing::search(&request, &app, &search)?;
    list(&app, &permit, &listing, search.filter).await
}

async fn list(
    app: &App,
    permit: &Permit<ReadRecords>,
    listing: &Listing<'_>,
    query: ObligationQuery,
) -> Result<HttpResponse, Error> {
    app.db.settle().await?;
    let reader = app.db.reader();
    let filter = Filter {
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref())
            .await
            .map_err(|error| listing.told(error))?,
        scope: permit.scope(),
        campaign: query.campaign,
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        kind: query.kind,
        state: query.state,
        year: query.year,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, &listing.slice).await?;
    resource::list(listing, reader.conn(), found, &permit.caller).await
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
    resource::read::<obligation::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
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
    resource::events::<obligation::Model>(&request, &app, &permit.caller, id.0, query.0).await
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
        debtor_exists(tx, draft.unit, draft.terms.due_on).await?;
        require_open(tx, draft.campaign, draft.unit, REGISTER, draft.terms.due_on).await?;
        let row = store::impose(tx, draft).await?;
        // It is open: that was asked above.
        let view = row.view(&Entered { place, closed: false }, &permit.caller)?;
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
    resource::step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        resource::differs(&old.terms()?, terms, "/terms")?;
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
    resource::step(&app, &permit, id.0, &if_match, "fulfil", async |tx: &WriteTx<'_>, old: &obligation::Model| {
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
    resource::step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        resource::differs(&(old.terms()?, old.fulfilment()?), &(terms.clone(), Some(fulfilment.clone())), "")?;
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
    resource::step(&app, &permit, id.0, &if_match, "cancel", async |tx: &WriteTx<'_>, old: &obligation::Model| {
        store::cancel(tx, old, reason).await
    })
    .await
}

/// Refuses terms that the campaign does not have room for, or whose last day lies beyond the caller's rights.
async fn terms_fit(
    tx: &WriteTx<'_>,
    permit: &Permit<KeepObligations>,
    old: &obligation::Model,
    terms: &Terms,
) -> Result<(), Error> {
    terms.check(starts_on(tx, old.campaign_id).await?, "/terms")?;
    if terms.due_on != old.due_on {
        permit.require(&scope::place(tx.conn(), old.unit_id, terms.due_on, permit.caller.today).await?)?;
        debtor_exists(tx, old.unit_id, terms.due_on).await?;
    }
    Ok(())
}

/// What a unit owed when it ended is owed by whoever follows it.
async fn debtor_exists(tx: &WriteTx<'_>, unit: Uuid, due_on: NaiveDate) -> Result<(), Error> {
    if units::store::alive(tx.conn(), &[unit], due_on).await?.is_empty() {
        let (vi, en) = ("đơn vị không tồn tại vào ngày đó", "the unit does not exist on that day");
        return Err(Error::invalid("/terms/due_on", vi, en));
    }
    Ok(())
}

async fn starts_on(tx: &WriteTx<'_>, campaign: Uuid) -> Result<NaiveDate, Error> {
    Ok(campaigns::store::definition(tx.conn(), campaign).await?.starts_on)
}
