//! Observations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::fit::Claim;
use super::rights::{self, About, Rights};
use super::store::{self, Filter, observation};
use super::{Content, ObservationDraft, ObservationState, Sort, is_the_owner_s, steps};
use crate::auth::policy::permit::{ConfirmObservations, ReadRecords, ReportObservations};
use crate::auth::{Caller, Needed, Permission, Permit, Standing, transition};
use crate::campaigns;
use crate::clock::rfc3339;
use crate::db::{Outcome, WriteTx};
use crate::error::Error;
use crate::http::page::Page;
use crate::http::problem::Problem;
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, answer, changed, created, found,
};
use crate::log::http::{EventPage, History, history};
use crate::registers::store::require_open;

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
pub fn routes(config: &mut ServiceConfig) {
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

/// An observation as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObservationView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit that it is said of.
    pub unit: Uuid,
    /// The name that the rule set declares.
    #[schema(max_length = 100)]
    pub name: String,
    /// What is declared under the name.
    pub sort: Sort,
    /// The period of an indicator.
    #[schema(max_length = 4)]
    pub period: Option<String>,
    /// The civil date on which it was so.
    pub observed_on: NaiveDate,
    /// What is said.
    pub content: Content,
    /// The body that confirms it; null if the rule set names none.
    #[schema(max_length = 100, example = "phong_ldtbxh")]
    pub owner: Option<String>,
    /// How far it has come.
    pub state: ObservationState,
    /// Who reported or last amended it.
    pub reported_by: Option<Uuid>,
    /// Who confirmed or last corrected it.
    pub confirmed_by: Option<Uuid>,
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

impl ObservationView {
    fn new(row: &observation::Model, rights: &Rights, caller: &Caller) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            campaign: row.campaign_id,
            unit: row.unit_id,
            name: row.name.clone(),
            sort: row.sort()?,
            period: row.period.clone(),
            observed_on: row.observed_on,
            content: row.content()?,
            owner: rights.owner.clone(),
            state: row.state()?,
            reported_by: row.reported_by,
            confirmed_by: row.confirmed_by,
            allowed_actions: transition::allowed(steps(rights.owns), caller, standing(row, rights)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

fn standing<'a>(row: &observation::Model, rights: &'a Rights) -> Result<Standing<'a, ObservationState>, Error> {
    Ok(Standing { state: row.state()?, place: &rights.place, submitter: row.reported_by, writer: None })
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
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day);
    let filter = Filter {
        held: rights::held(reader.conn(), &store::campaigns(reader.conn()).await?, &scope).await?,
        scope,
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref()).await?,
        campaign: query.campaign,
        unit: query.unit,
        name: query.name,
        state: query.state,
        observed: query.year.and_then(|year| Some((day(year, 1, 1)?, day(year, 12, 31)?))),
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, listing.slice).await?;
    let about: Vec<About<'_>> = found.items.iter().map(observation::Model::about).collect();
    let rights = rights::many(reader.conn(), &about, &permit.caller).await?;
    let mut rights = rights.iter();
    listing.answer(
        found,
        |row| row.id,
        |row| {
            let rights = rights.next().ok_or_else(|| Error::internal("a row without rights"))?;
            ObservationView::new(&row, rights, &permit.caller)
        },
    )
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
    let (row, rights) = seen(&app, &permit.caller, id.0).await?;
    found(&request, row.version, &ObservationView::new(&row, &rights, &permit.caller)?)
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
    seen(&app, &permit.caller, id.0).await?;
    history(&request, &app, id.0, query.0).await
}

async fn seen(app: &App, caller: &Caller, id: Uuid) -> Result<(observation::Model, Rights), Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id).await?;
    let declared = rights::declared(reader.conn(), row.campaign_id).await?;
    let rights = rights::one(reader.conn(), &declared, &row.about(), caller).await?;
    rights.see(caller)?;
    Ok((row, rights))
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
        if sort == Sort::Record {
            require_open(tx, about.campaign, about.unit, about.name, about.day).await?;
        } else {
            store::only_one(tx, draft).await?;
        }
        let row = store::report(tx, draft, sort).await?;
        let view = ObservationView::new(&row, &rights, &permit.caller)?;
        created(format!("/v1/observations/{}", row.id), row.version, &view)
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
    step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &observation::Model| {
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
    step(&app, &permit, id.0, &if_match, "confirm", async |tx: &WriteTx<'_>, old: &observation::Model| {
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
    step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &observation::Model| {
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
    step(&app, &permit, id.0, &if_match, "withdraw", async |tx: &WriteTx<'_>, old: &observation::Model| {
        store::withdraw(tx, old, reason).await
    })
    .await
}

/// One step of an observation's life: seen, allowed, the owner's where it is, unchanged since it was read, not in a
/// closed register, then taken.
async fn step<P: Needed>(
    app: &App,
    permit: &Permit<P>,
    id: Uuid,
    if_match: &IfMatch,
    verb: &str,
    take: impl AsyncFn(&WriteTx<'_>, &observation::Model) -> Result<observation::Model, Error>,
) -> Result<HttpResponse, Error> {
    let caller = &permit.caller;
    let taken = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        let old = store::locked(tx, id).await?;
        let declared = rights::declared(tx.conn(), old.campaign_id).await?;
        let about = old.about();
        let rights = rights::one(tx.conn(), &declared, &about, caller).await?;
        permit.require(&rights.place)?;
        if is_the_owner_s(verb, old.state()?) {
            rights.require_owner()?;
        }
        if_match.check(old.version)?;
        transition::take(steps(rights.owns), verb, caller, standing(&old, &rights)?)?;
        if old.sort()? == Sort::Record {
            require_open(tx, about.campaign, about.unit, about.name, about.day).await?;
        }
        Ok(Outcome::Changed((take(tx, &old).await?, rights)))
    });
    let (row, rights) = taken.await?;
    changed(row.version, &ObservationView::new(&row, &rights, caller)?)
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
