//! Activities over HTTP: the contract, reading and reporting. What happens to one later stands in [`steps`].

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::steps;
use super::store::{self, Filter, activity};
use super::view::ActivityView;
use super::{ActivityContent, ActivityDraft, ActivityState};
use crate::auth::policy::permit::{ReadRecords, ReportActivities};
use crate::auth::{Permission, Permit, Place, scope};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::Error;
use crate::http::page::Page;
use crate::http::resource::{self, Resource};
use crate::http::{
    App, Body, Call, IdempotencyKey, Listing, Operation, PathId, Query, Registry, Search, answer, created,
};
use crate::log::http::{EventPage, History};
use crate::registers::store::Entered;
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
    read("search_activities"),
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
pub fn routes(config: &mut Registry) {
    config
        .service(list_activities)
        .service(search_activities)
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

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Held up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    #[schema(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// By this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<ActivityState>,
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
pub type ActivitySearch = Search<ActivityQuery>;

/// Lists activities inside the caller's subtrees.
#[utoipa::path(tag = "activities", params(ActivityQuery), responses((status = 200, body = Page<ActivityView>)))]
#[get("/activities")]
pub async fn list_activities(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<ActivityQuery>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(&request, &app, query.0.cursor.as_deref(), query.0.limit)?;
    list(&app, &permit, &listing, query.0).await
}

/// Finds activities inside the caller's subtrees by words of titles and givers' names, in Vietnamese order of titles.
#[utoipa::path(tag = "activities", request_body = ActivitySearch, responses((status = 200, body = Page<ActivityView>)))]
#[post("/activities:search")]
pub async fn search_activities(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    search: ActivitySearch,
) -> Result<HttpResponse, Error> {
    let listing = Listing::search(&request, &app, &search)?;
    list(&app, &permit, &listing, search.filter).await
}

async fn list(
    app: &App,
    permit: &Permit<ReadRecords>,
    listing: &Listing<'_>,
    query: ActivityQuery,
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

/// Reads an activity.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), responses((status = 200, body = ActivityView)))]
#[get("/activities/{id}")]
pub async fn get_activity(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    resource::read::<activity::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
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
    resource::events::<activity::Model>(&request, &app, &permit.caller, id.0, query.0).await
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
        // No step of a draft is one that a closed register stands in the way of.
        created(
            format!("/v1/activities/{}", row.id),
            row.version,
            &row.view(&Entered { place, closed: false }, &permit.caller)?,
        )
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
