//! Initiatives over HTTP: the contract, reading and proposing. What happens to one later stands in [`steps`].

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::steps;
use super::store::{self, Filter, initiative};
use super::view::InitiativeView;
use super::{InitiativeContent, InitiativeDraft, InitiativeState};
use crate::auth::policy::permit::{ReadRecords, ReportActivities};
use crate::auth::{Permission, Permit, scope};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::Error;
use crate::http::page::Page;
use crate::http::resource::{self};
use crate::http::{App, Body, Call, IdempotencyKey, Listing, Operation, PathId, Query, Registry, Search, answer};
use crate::log::http::{EventPage, History};
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
    read("search_initiatives"),
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
pub fn routes(config: &mut Registry) {
    config
        .service(list_initiatives)
        .service(search_initiatives)
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

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InitiativeQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Proposed up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    #[schema(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Proposed by this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<InitiativeState>,
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
pub type InitiativeSearch = Search<InitiativeQuery>;

/// Lists initiatives inside the caller's subtrees.
#[utoipa::path(tag = "initiatives", params(InitiativeQuery), responses((status = 200, body = Page<InitiativeView>)))]
#[get("/initiatives")]
pub async fn list_initiatives(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<InitiativeQuery>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(&request, &app, query.0.cursor.as_deref(), query.0.limit)?;
    list(&app, &permit, &listing, query.0).await
}

/// Finds initiatives inside the caller's subtrees by words of titles, in Vietnamese order.
#[utoipa::path(tag = "initiatives", request_body = InitiativeSearch, responses((status = 200, body = Page<InitiativeView>)))]
#[post("/initiatives:search")]
pub async fn search_initiatives(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    search: InitiativeSearch,
) -> Result<HttpResponse, Error> {
    let listing = Listing::search(&request, &app, &search)?;
    list(&app, &permit, &listing, search.filter).await
}

async fn list(
    app: &App,
    permit: &Permit<ReadRecords>,
    listing: &Listing<'_>,
    query: InitiativeQuery,
) -> Result<HttpResponse, Error> {
    app.db.settle().await?;
    let reader = app.db.reader();
    let filter = Filter {
        scope: permit.scope(),
        campaign: query.campaign,
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        state: query.state,
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref())
            .await
            .map_err(|error| listing.told(error))?,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, &listing.slice).await?;
    resource::list(listing, reader.conn(), found, &permit.caller).await
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
    resource::read::<initiative::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
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
    resource::events::<initiative::Model>(&request, &app, &permit.caller, id.0, query.0).await
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
        resource::made(tx, "initiatives", row, &permit.caller).await
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
