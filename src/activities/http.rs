//! Activities over HTTP: the contract, reading and reporting. What happens to one later stands in [`steps`].

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::steps;
use super::store::{self, Filter, activity};
use super::{ActivityContent, ActivityDraft, ActivityState, ActivityTotals, TRANSITIONS};
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
    read("list_activities"),
    read("get_activity"),
    read("list_activity_events"),
    Operation {
        id: "report_activity",
        permission: Permission::ReportActivities,
        call: Call::Create,
        events: &["activity.reported"],
    },
    change("amend_activity", Permission::ReportActivities, &["activity.amended"]),
    change("submit_activity", Permission::ReportActivities, &["activity.submitted"]),
    change("return_activity", Permission::AcceptActivities, &["activity.returned"]),
    change("accept_activity", Permission::AcceptActivities, &["activity.accepted"]),
    change("correct_activity", Permission::ReportActivities, &["activity.corrected"]),
    change("withdraw_activity", Permission::ReportActivities, &["activity.withdrawn"]),
];

/// The routes of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_activities)
        .service(get_activity)
        .service(list_activity_events)
        .service(report_activity)
        .service(steps::amend_activity)
        .service(steps::submit_activity)
        .service(steps::return_activity)
        .service(steps::accept_activity)
        .service(steps::correct_activity)
        .service(steps::withdraw_activity);
}

/// An activity as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit that did it.
    pub unit: Uuid,
    /// What it did.
    pub content: ActivityContent,
    /// What the lines of help come to.
    pub totals: ActivityTotals,
    /// How far the activity has come.
    pub state: ActivityState,
    /// Who submitted it last.
    pub submitted_by: Option<Uuid>,
    /// Who accepted or returned it; null while it waits.
    pub decided_by: Option<Uuid>,
    /// Why it was returned; until it is submitted again.
    #[schema(max_length = 1000)]
    pub return_reason: Option<String>,
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

impl ActivityView {
    pub(super) fn new(row: &activity::Model, place: &Place, caller: &Caller) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            campaign: row.campaign_id,
            unit: row.unit_id,
            content: row.content()?,
            totals: row.totals(),
            state: row.state()?,
            submitted_by: row.submitted_by,
            decided_by: row.decided_by,
            return_reason: row.return_reason.clone(),
            allowed_actions: transition::allowed(TRANSITIONS, caller, standing(row, place)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

pub(super) fn standing<'a>(row: &activity::Model, place: &'a Place) -> Result<Standing<'a, ActivityState>, Error> {
    Ok(Standing { state: row.state()?, place, submitter: row.submitted_by, writer: row.written_by })
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Held up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// By this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<ActivityState>,
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

/// Lists activities inside the caller's subtrees.
#[utoipa::path(tag = "activities", params(ActivityQuery), responses((status = 200, body = Page<ActivityView>)))]
#[get("/activities")]
pub async fn list_activities(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<ActivityQuery>,
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
    let records: Vec<(Uuid, NaiveDate)> = found.items.iter().map(|row| (row.unit_id, row.held_on)).collect();
    let places = scope::places(reader.conn(), &records, permit.caller.today).await?;
    let mut places = places.iter();
    listing.answer(
        found,
        |row| row.id,
        |row| {
            let place = places.next().ok_or_else(|| Error::internal("a row without a place"))?;
            ActivityView::new(&row, place, &permit.caller)
        },
    )
}

/// Reads an activity.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), responses((status = 200, body = ActivityView)))]
#[get("/activities/{id}")]
pub async fn get_activity(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    let place = permit.caller.see(reader.conn(), row.unit_id, row.held_on).await?;
    found(&request, row.version, &ActivityView::new(&row, &place, &permit.caller)?)
}

/// Reads an activity's history.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/activities/{id}/events")]
pub async fn list_activity_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    permit.caller.see(reader.conn(), row.unit_id, row.held_on).await?;
    history(&request, &app, id.0, query.0).await
}

/// Reports an activity as a draft.
#[utoipa::path(tag = "activities", request_body = ActivityDraft, responses((status = 201, body = ActivityView)))]
#[post("/activities")]
pub async fn report_activity(
    app: App,
    permit: Permit<ReportActivities>,
    key: IdempotencyKey,
    body: Body<ActivityDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let today = permit.caller.today;
    let once = key.once("report_activity", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let place = scope::place(tx.conn(), draft.unit, draft.content.held_on, today).await?;
        permit.require(&place)?;
        fits(tx, draft.campaign, &place, &draft.content, today).await?;
        let row = store::report(tx, draft).await?;
        created(format!("/v1/activities/{}", row.id), row.version, &ActivityView::new(&row, &place, &permit.caller)?)
    });
    Ok(answer(stored.await?))
}

/// Refuses content that the campaign or the units contradict.
pub(super) async fn fits(
    tx: &WriteTx<'_>,
    campaign: Uuid,
    place: &Place,
    content: &ActivityContent,
    today: NaiveDate,
) -> Result<(), Error> {
    let definition = campaigns::store::definition(tx.conn(), campaign).await?;
    content.check(&definition, today)?;
    let mut named: Vec<Uuid> = content.units().into_iter().map(|(_, unit)| unit).collect();
    named.push(place.unit);
    let alive = units::store::alive(tx.conn(), &named, content.held_on).await?;
    content.check_units(&definition, place, &alive)
}
