//! Initiatives over HTTP: the contract, reading and proposing. What happens to one later stands in [`steps`].

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::steps;
use super::store::{self, Filter, initiative};
use super::{InitiativeContent, InitiativeDraft, InitiativeState, Recognition, TRANSITIONS};
use crate::auth::policy::permit::{ReadRecords, ReportActivities};
use crate::auth::{Caller, Permission, Permit, Place, Standing, scope, transition};
use crate::campaigns;
use crate::clock::rfc3339;
use crate::db::WriteTx;
use crate::error::Error;
use crate::http::page::Page;
use crate::http::{App, Body, Call, IdempotencyKey, Listing, Operation, PathId, Query, answer, created, found};
use crate::log::http::{EventPage, History, history};
use crate::units;

const fn read(id: &'static str) -> Operation {
    Operation { id, permission: Permission::ReadRecords, call: Call::Read, events: &[] }
}

const fn change(id: &'static str, permission: Permission, events: &'static [&'static str]) -> Operation {
    Operation { id, permission, call: Call::Change, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    read("list_initiatives"),
    read("get_initiative"),
    read("list_initiative_events"),
    Operation {
        id: "propose_initiative",
        permission: Permission::ReportActivities,
        call: Call::Create,
        events: &["initiative.proposed"],
    },
    change("amend_initiative", Permission::ReportActivities, &["initiative.amended"]),
    change("submit_initiative", Permission::ReportActivities, &["initiative.submitted"]),
    change("recognise_initiative", Permission::RecogniseInitiatives, &["initiative.recognised"]),
    change("refuse_initiative", Permission::RecogniseInitiatives, &["initiative.refused"]),
    change("revoke_initiative", Permission::RecogniseInitiatives, &["initiative.revoked"]),
    change("withdraw_initiative", Permission::ReportActivities, &["initiative.withdrawn"]),
];

/// The routes of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_initiatives)
        .service(get_initiative)
        .service(list_initiative_events)
        .service(propose_initiative)
        .service(steps::amend_initiative)
        .service(steps::submit_initiative)
        .service(steps::recognise_initiative)
        .service(steps::refuse_initiative)
        .service(steps::revoke_initiative)
        .service(steps::withdraw_initiative);
}

/// An initiative as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InitiativeView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit that proposed it.
    pub unit: Uuid,
    /// What it proposed.
    pub content: InitiativeContent,
    /// The decision that recognised it; null unless it is recognised.
    pub recognition: Option<Recognition>,
    /// How far the initiative has come.
    pub state: InitiativeState,
    /// Who submitted it.
    pub submitted_by: Option<Uuid>,
    /// Who entered the decision; null while it waits.
    pub decided_by: Option<Uuid>,
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

impl InitiativeView {
    pub(super) fn new(row: &initiative::Model, place: &Place, caller: &Caller) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            campaign: row.campaign_id,
            unit: row.unit_id,
            content: row.content()?,
            recognition: row.recognition(),
            state: row.state()?,
            submitted_by: row.submitted_by,
            decided_by: row.decided_by,
            allowed_actions: transition::allowed(TRANSITIONS, caller, standing(row, place)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

pub(super) fn standing<'a>(row: &initiative::Model, place: &'a Place) -> Result<Standing<'a, InitiativeState>, Error> {
    Ok(Standing { state: row.state()?, place, submitter: row.submitted_by, writer: row.written_by })
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InitiativeQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Proposed up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Proposed by this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<InitiativeState>,
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

/// Lists initiatives inside the caller's subtrees.
#[utoipa::path(tag = "initiatives", params(InitiativeQuery), responses((status = 200, body = Page<InitiativeView>)))]
#[get("/initiatives")]
pub async fn list_initiatives(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<InitiativeQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let filter = Filter {
        scope: permit.scope(),
        campaign: query.campaign,
        unit: query.unit,
        state: query.state,
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref()).await?,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, listing.slice).await?;
    let records: Vec<(Uuid, NaiveDate)> = found.items.iter().map(|row| (row.unit_id, row.proposed_on)).collect();
    let places = scope::places(reader.conn(), &records, permit.caller.today).await?;
    let mut places = places.iter();
    listing.answer(
        found,
        |row| row.id,
        |row| {
            let place = places.next().ok_or_else(|| Error::internal("a row without a place"))?;
            InitiativeView::new(&row, place, &permit.caller)
        },
    )
}

/// Reads an initiative.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), responses((status = 200, body = InitiativeView)))]
#[get("/initiatives/{id}")]
pub async fn get_initiative(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    let place = permit.caller.see(reader.conn(), row.unit_id, row.proposed_on).await?;
    found(&request, row.version, &InitiativeView::new(&row, &place, &permit.caller)?)
}

/// Reads an initiative's history.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/initiatives/{id}/events")]
pub async fn list_initiative_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    permit.caller.see(reader.conn(), row.unit_id, row.proposed_on).await?;
    history(&request, &app, id.0, query.0).await
}

/// Proposes an initiative as a draft.
#[utoipa::path(tag = "initiatives", request_body = InitiativeDraft, responses((status = 201, body = InitiativeView)))]
#[post("/initiatives")]
pub async fn propose_initiative(
    app: App,
    permit: Permit<ReportActivities>,
    key: IdempotencyKey,
    body: Body<InitiativeDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let today = permit.caller.today;
    let once = key.once("propose_initiative", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let place = scope::place(tx.conn(), draft.unit, draft.content.proposed_on, today).await?;
        permit.require(&place)?;
        fits(tx, draft.campaign, draft.unit, &draft.content, today).await?;
        let row = store::propose(tx, draft).await?;
        created(format!("/v1/initiatives/{}", row.id), row.version, &InitiativeView::new(&row, &place, &permit.caller)?)
    });
    Ok(answer(stored.await?))
}

/// Refuses content that the campaign or the units contradict.
pub(super) async fn fits(
    tx: &WriteTx<'_>,
    campaign: Uuid,
    unit: Uuid,
    content: &InitiativeContent,
    today: NaiveDate,
) -> Result<(), Error> {
    let definition = campaigns::store::definition(tx.conn(), campaign).await?;
    let alive = units::store::alive(tx.conn(), &[unit], content.proposed_on).await?;
    content.check(&definition, alive.contains(&unit), today)
}
