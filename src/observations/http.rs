//! Observations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::fit::Claim;
use super::rights::{self, About};
use super::store::{self, Filter, observation};
use super::view::ObservationView;
use super::{Content, ObservationDraft, ObservationState, Sort};
use crate::auth::policy::permit::{ConfirmObservations, ReadRecords, ReportObservations};
use crate::auth::{Permission, Permit};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::Error;
use crate::http::page::Page;
use crate::http::problem::Problem;
use crate::http::resource::{self};
use crate::http::{App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, answer};
use crate::log::http::{EventPage, History};
use crate::registers::store::require_open;
use crate::units;

const fn read(id: &'static str) -> Operation {
    Operation { id, permission: Permission::ReadRecords, call: Call::Read, events: &[] }
}

const fn write(id: &'static str, permission: Permission, call: Call, events: &'static [&'static str]) -> Operation {
    Operation { id, permission, call, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    read("list_observations"),
    read("get_observation"),
    read("list_observation_events"),
    write("report_observation", Permission::ReportObservations, Call::Create, &["observation.reported"]),
    write("amend_observation", Permission::ReportObservations, Call::Change, &["observation.amended"]),
    write("confirm_observation", Permission::ConfirmObservations, Call::Change, &["observation.confirmed"]),
    write("correct_observation", Permission::ConfirmObservations, Call::Change, &["observation.corrected"]),
    write("withdraw_observation", Permission::ReportObservations, Call::Change, &["observation.withdrawn"]),
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_observations)
        .service(get_observation)
        .service(list_observation_events)
        .service(report_observation)
        .service(amend_observation)
        .service(confirm_observation)
        .service(correct_observation)
        .service(withdraw_observation);
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ObservationQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Dated up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Of this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// Under this name.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// In this state.
    #[garde(skip)]
    state: Option<ObservationState>,
    /// Observed in this year.
    #[garde(range(min = 2015, max = 2100))]
    #[param(minimum = 2015, maximum = 2100)]
    year: Option<i32>,
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

/// Lists observations inside the caller's subtrees, and those whose owning body the caller's unit holds.
#[utoipa::path(tag = "observations", params(ObservationQuery), responses((status = 200, body = Page<ObservationView>)))]
#[get("/observations")]
pub async fn list_observations(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<ObservationQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let scope = permit.scope();
    let filter = Filter {
        held: rights::held(reader.conn(), &store::campaigns(reader.conn()).await?, &scope).await?,
        scope,
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref()).await?,
        campaign: query.campaign,
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        name: query.name,
        state: query.state,
        year: query.year,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, &listing.slice).await?;
    resource::list(&listing, reader.conn(), found, &permit.caller).await
}

/// Reads an observation.
#[utoipa::path(tag = "observations", params(("id" = Uuid, Path)), responses((status = 200, body = ObservationView)))]
#[get("/observations/{id}")]
pub async fn get_observation(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    resource::read::<observation::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
}

/// Reads an observation's history.
#[utoipa::path(tag = "observations", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/observations/{id}/events")]
pub async fn list_observation_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    resource::events::<observation::Model>(&request, &app, &permit.caller, id.0, query.0).await
}

/// Reports an observation.
#[utoipa::path(tag = "observations", request_body = ObservationDraft, responses((status = 201, body = ObservationView)))]
#[post("/observations")]
pub async fn report_observation(
    app: App,
    permit: Permit<ReportObservations>,
    key: IdempotencyKey,
    body: Body<ObservationDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let about = About { campaign: draft.campaign, unit: draft.unit, name: &draft.name, day: draft.observed_on };
    let once = key.once("report_observation", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let declared = rights::declared(tx.conn(), draft.campaign).await?;
        let rights = rights::one(tx.conn(), &declared, &about, &permit.caller).await?;
        permit.require(&rights.place)?;
        // The holder of the owning body reaches any unit, were it none.
        if rights.place.kind.is_none() {
            return Err(Error::invalid("/unit", "không có đơn vị này", "there is no such unit"));
        }
        let ObservationDraft { name, period, observed_on, content, .. } = draft;
        let claim = Claim { name, period: period.as_deref(), observed_on: *observed_on, content };
        let sort = claim.check(&declared, permit.caller.today)?;
        if units::store::alive(tx.conn(), &[about.unit], about.day).await?.is_empty() {
            let (vi, en) = ("đơn vị không tồn tại vào ngày đó", "the unit did not exist on that day");
            return Err(Error::invalid("/observed_on", vi, en));
        }
        if sort == Sort::Record {
            require_open(tx, about.campaign, about.unit, about.name, about.day).await?;
        } else {
            store::only_one(tx, draft).await?;
        }
        let row = store::report(tx, draft, sort).await?;
        resource::made(tx, "observations", row, &permit.caller).await
    });
    Ok(answer(stored.await?))
}

/// What is to be said.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "content": { "fields": { "kind": "revolving_capital" }, "evidence": [{ "kind": "minutes", "number": "07/BB" }] } }))]
pub struct ObservationAmendment {
    /// All of it.
    #[garde(dive)]
    pub content: Content,
}

/// Replaces what an observation says that is not confirmed yet.
#[utoipa::path(tag = "observations", params(("id" = Uuid, Path)), request_body = ObservationAmendment, responses((status = 200, body = ObservationView)))]
#[post("/observations/{id}:amend")]
pub async fn amend_observation(
    app: App,
    permit: Permit<ReportObservations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObservationAmendment>,
) -> Result<HttpResponse, Error> {
    let content = &body.value.content;
    resource::step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &observation::Model| {
        resource::differs(&old.content()?, content, "/content")?;
        fits(tx, old, content, permit.caller.today).await?;
        store::amend(tx, old, content).await
    })
    .await
}

/// Confirms an observation with evidence; from then on the rules read it.
#[utoipa::path(tag = "observations", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ObservationView),
    (status = 422, description = "There is no evidence", body = Problem, content_type = "application/problem+json")
))]
#[post("/observations/{id}:confirm")]
pub async fn confirm_observation(
    app: App,
    permit: Permit<ConfirmObservations>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    resource::step(&app, &permit, id.0, &if_match, "confirm", async |tx: &WriteTx<'_>, old: &observation::Model| {
        proven(&old.content()?)?;
        store::confirm(tx, old).await
    })
    .await
}

/// What is right about a confirmed observation, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "content": { "fields": { "kind": "revolving_capital" }, "evidence": [{ "kind": "minutes", "number": "08/BB" }] },
    "reason": "Rà soát lại"
}))]
pub struct ObservationCorrection {
    /// All of it.
    #[garde(dive)]
    pub content: Content,
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Corrects a confirmed observation.
#[utoipa::path(tag = "observations", params(("id" = Uuid, Path)), request_body = ObservationCorrection, responses((status = 200, body = ObservationView)))]
#[post("/observations/{id}:correct")]
pub async fn correct_observation(
    app: App,
    permit: Permit<ConfirmObservations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObservationCorrection>,
) -> Result<HttpResponse, Error> {
    let ObservationCorrection { content, reason } = &body.value;
    resource::step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &observation::Model| {
        resource::differs(&old.content()?, content, "/content")?;
        fits(tx, old, content, permit.caller.today).await?;
        proven(content)?;
        store::correct(tx, old, content, reason).await
    })
    .await
}

/// Why it is withdrawn.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Báo cáo nhầm đơn vị" }))]
pub struct ObservationWithdrawal {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Withdraws an observation; a confirmed one only its owner withdraws.
#[utoipa::path(tag = "observations", params(("id" = Uuid, Path)), request_body = ObservationWithdrawal, responses((status = 200, body = ObservationView)))]
#[post("/observations/{id}:withdraw")]
pub async fn withdraw_observation(
    app: App,
    permit: Permit<ReportObservations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ObservationWithdrawal>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    resource::step(&app, &permit, id.0, &if_match, "withdraw", async |tx: &WriteTx<'_>, old: &observation::Model| {
        store::withdraw(tx, old, reason).await
    })
    .await
}

/// Refuses content that the rule set has no room for under this name.
async fn fits(tx: &WriteTx<'_>, old: &observation::Model, content: &Content, today: NaiveDate) -> Result<(), Error> {
    let declared = rights::declared(tx.conn(), old.campaign_id).await?;
    let claim = Claim { name: &old.name, period: old.period.as_deref(), observed_on: old.observed_on, content };
    claim.check(&declared, today).map(drop)
}

/// What has no evidence is not confirmed.
fn proven(content: &Content) -> Result<(), Error> {
    if content.evidence.is_empty() {
        let (vi, en) = ("cần ít nhất một minh chứng để xác nhận", "at least one is needed to confirm");
        return Err(Error::invalid("/content/evidence", vi, en));
    }
    Ok(())
}
