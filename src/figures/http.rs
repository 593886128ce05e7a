//! Figures over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::store::{self, Filter, figure};
use super::total::{Count, count};
use super::{Counts, FigureDraft, FigureState, TRANSITIONS, counts_households, day_of};
use crate::auth::policy::permit::{ConfirmFigures, ReadRecords, ReportFigures};
use crate::auth::{Caller, Needed, Permission, Permit, Place, Standing, scope, transition};
use crate::campaigns;
use crate::clock::rfc3339;
use crate::db::{Outcome, WriteTx};
use crate::error::Error;
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, answer, changed, created, found,
};
use crate::log::http::{EventPage, History, history};
use crate::units;

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "list_figures", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "total_figures", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "get_figure", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "list_figure_events", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation {
        id: "report_figure",
        permission: Permission::ReportFigures,
        call: Call::Create,
        events: &["figure.reported"],
    },
    Operation {
        id: "amend_figure",
        permission: Permission::ReportFigures,
        call: Call::Change,
        events: &["figure.amended"],
    },
    Operation {
        id: "confirm_figure",
        permission: Permission::ConfirmFigures,
        call: Call::Change,
        events: &["figure.confirmed"],
    },
    Operation {
        id: "correct_figure",
        permission: Permission::ConfirmFigures,
        call: Call::Change,
        events: &["figure.corrected"],
    },
];

/// The routes of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_figures)
        .service(total_figures)
        .service(get_figure)
        .service(list_figure_events)
        .service(report_figure)
        .service(amend_figure)
        .service(confirm_figure)
        .service(correct_figure);
}

/// A figure as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigureView {
    /// Identity.
    pub id: Uuid,
    /// The village or commune.
    pub unit: Uuid,
    /// Year of the review.
    #[schema(minimum = 2015, maximum = 2100)]
    pub year: i64,
    /// Poverty standard by its period.
    #[schema(max_length = 9, example = "2022-2025")]
    pub poverty_standard: String,
    /// The counts and their decision.
    pub counts: Counts,
    /// How far the figure has come.
    pub state: FigureState,
    /// Who reported it.
    pub reported_by: Option<Uuid>,
    /// Who confirmed it.
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

impl FigureView {
    fn new(row: &figure::Model, place: &Place, caller: &Caller) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            unit: row.unit_id,
            year: row.year,
            poverty_standard: row.poverty_standard.clone(),
            counts: row.counts(),
            state: row.state()?,
            reported_by: row.reported_by,
            confirmed_by: row.confirmed_by,
            allowed_actions: transition::allowed(TRANSITIONS, caller, standing(row, place)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

fn standing<'a>(row: &figure::Model, place: &'a Place) -> Result<Standing<'a, FigureState>, Error> {
    Ok(Standing { state: row.state()?, place, submitter: row.reported_by, writer: None })
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FigureQuery {
    /// The campaign of `round`; figures themselves serve every campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Dated up to the cut-off of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Of this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<FigureState>,
    /// Of this year.
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

/// Lists figures inside the caller's subtrees.
#[utoipa::path(tag = "figures", params(FigureQuery), responses((status = 200, body = Page<FigureView>)))]
#[get("/figures")]
pub async fn list_figures(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<FigureQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let filter = Filter {
        until: campaigns::store::cut_off(reader.conn(), query.campaign, query.round.as_deref()).await?,
        scope: permit.scope(),
        unit: query.unit,
        state: query.state,
        year: query.year,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, listing.slice).await?;
    let records: Vec<(Uuid, NaiveDate)> = found.items.iter().map(|row| (row.unit_id, row.day)).collect();
    let places = scope::places(reader.conn(), &records, permit.caller.today).await?;
    let mut places = places.iter();
    listing.answer(
        found,
        |row| row.id,
        |row| {
            let place = places.next().ok_or_else(|| Error::internal("a row without a place"))?;
            FigureView::new(&row, place, &permit.caller)
        },
    )
}

/// Which total.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TotalQuery {
    /// The unit.
    #[garde(skip)]
    #[param(example = "01900000-0000-7000-8000-000000000005")]
    unit: Uuid,
    /// The year.
    #[garde(range(min = 2015, max = 2100))]
    #[param(minimum = 2015, maximum = 2100, example = 2021)]
    year: i32,
    /// The poverty standard.
    #[garde(pattern("^[0-9]{4}-[0-9]{4}$"))]
    #[param(pattern = "^[0-9]{4}-[0-9]{4}$", max_length = 9, example = "2022-2025")]
    poverty_standard: String,
}

/// A unit's counts, from its own figure, its villages or its predecessors.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalView {
    /// The unit.
    pub unit: Uuid,
    /// The year.
    pub year: i32,
    /// The poverty standard.
    #[schema(max_length = 9)]
    pub poverty_standard: String,
    /// Poor households.
    pub poor_households: CountView,
    /// Near-poor households.
    pub near_poor_households: CountView,
}

/// One count, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountView {
    /// Households; null if not known.
    #[schema(minimum = 0)]
    pub households: Option<i64>,
    /// `known`, `missing`, `disputed` or `unmapped`.
    #[schema(max_length = 20, example = "known")]
    pub status: &'static str,
    /// Units without a confirmed count.
    #[schema(max_items = 10000)]
    pub missing: Vec<Uuid>,
    /// In a dispute, the unit's own count.
    pub own: Option<i64>,
    /// In a dispute, the sum of its villages.
    pub villages: Option<i64>,
    /// Units whose figures the count rests on.
    #[schema(max_items = 10000)]
    pub basis: Vec<Uuid>,
}

impl CountView {
    fn new((count, basis): (Count, Vec<Uuid>)) -> Self {
        let empty = Self { households: None, status: "known", missing: vec![], own: None, villages: None, basis };
        match count {
            Count::Known(households) => Self { households: Some(households), ..empty },
            Count::Missing(missing) => Self { status: "missing", missing, ..empty },
            Count::Disputed { own, villages } => {
                Self { status: "disputed", own: Some(own), villages: Some(villages), ..empty }
            }
            Count::Unmapped => Self { status: "unmapped", ..empty },
        }
    }
}

/// Counts a unit's households in a year: its own confirmed figure, else the sum of its villages, else of its predecessors.
#[utoipa::path(tag = "figures", params(TotalQuery), responses((status = 200, body = TotalView)))]
#[get("/figures:total")]
pub async fn total_figures(
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<TotalQuery>,
) -> Result<HttpResponse, Error> {
    let TotalQuery { unit, year, poverty_standard } = query.0;
    let day = day_of(year)?;
    let snapshot = app.db.snapshot().await?;
    permit.caller.see(snapshot.conn(), unit, day).await?;
    let lineage = units::store::lineage(snapshot.conn()).await?;
    let figures = store::confirmed_of(snapshot.conn(), year, &poverty_standard).await?;
    let poor = |unit| figures.get(&unit).and_then(|row| row.poor_households);
    let near_poor = |unit| figures.get(&unit).and_then(|row| row.near_poor_households);
    Ok(HttpResponse::Ok().json(TotalView {
        unit,
        year,
        poor_households: CountView::new(count(&lineage, unit, day, &poor)),
        near_poor_households: CountView::new(count(&lineage, unit, day, &near_poor)),
        poverty_standard,
    }))
}

/// Reads a figure.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path)), responses((status = 200, body = FigureView)))]
#[get("/figures/{id}")]
pub async fn get_figure(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    let place = permit.caller.see(reader.conn(), row.unit_id, row.day).await?;
    found(&request, row.version, &FigureView::new(&row, &place, &permit.caller)?)
}

/// Reads a figure's history.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/figures/{id}/events")]
pub async fn list_figure_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    let reader = app.db.reader();
    let row = store::find(reader.conn(), id.0).await?;
    permit.caller.see(reader.conn(), row.unit_id, row.day).await?;
    history(&request, &app, id.0, query.0).await
}

/// Reports a figure.
#[utoipa::path(tag = "figures", request_body = FigureDraft, responses((status = 201, body = FigureView)))]
#[post("/figures")]
pub async fn report_figure(
    app: App,
    permit: Permit<ReportFigures>,
    key: IdempotencyKey,
    body: Body<FigureDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    draft.counts.check(draft.year, permit.caller.today, "/counts")?;
    let once = key.once("report_figure", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let place = scope::place(tx.conn(), draft.unit, day_of(draft.year)?, permit.caller.today).await?;
        permit.require(&place)?;
        if !counts_households(place.kind) {
            let (vi, en) =
                ("chỉ xã, thị trấn, bản có số hộ nghèo", "only communes, townships and villages count households");
            return Err(Error::invalid("/unit", vi, en));
        }
        let row = store::report(tx, draft).await?;
        created(format!("/v1/figures/{}", row.id), row.version, &FigureView::new(&row, &place, &permit.caller)?)
    });
    Ok(answer(stored.await?))
}

/// The counts as they are to stand.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "counts": { "poor_households": 39, "near_poor_households": 20 } }))]
pub struct FigureAmendment {
    /// All counts.
    #[garde(dive)]
    pub counts: Counts,
}

/// Replaces the counts of a figure that is not confirmed yet.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path)), request_body = FigureAmendment, responses((status = 200, body = FigureView)))]
#[post("/figures/{id}:amend")]
pub async fn amend_figure(
    app: App,
    permit: Permit<ReportFigures>,
    id: PathId,
    if_match: IfMatch,
    body: Body<FigureAmendment>,
) -> Result<HttpResponse, Error> {
    let counts = &body.value.counts;
    step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &figure::Model| {
        counts.check(year_of(old)?, permit.caller.today, "/counts")?;
        store::amend(tx, old, counts).await
    })
    .await
}

/// Confirms a figure; that locks it.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path)), responses((status = 200, body = FigureView)))]
#[post("/figures/{id}:confirm")]
pub async fn confirm_figure(
    app: App,
    permit: Permit<ConfirmFigures>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    let confirm = async |tx: &WriteTx<'_>, old: &figure::Model| store::confirm(tx, old).await;
    step(&app, &permit, id.0, &if_match, "confirm", confirm).await
}

/// The right counts of a confirmed figure, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "counts": { "poor_households": 38, "near_poor_households": 20 }, "reason": "Rà soát lại" }))]
pub struct FigureCorrection {
    /// All counts.
    #[garde(dive)]
    pub counts: Counts,
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Corrects a confirmed figure.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path)), request_body = FigureCorrection, responses((status = 200, body = FigureView)))]
#[post("/figures/{id}:correct")]
pub async fn correct_figure(
    app: App,
    permit: Permit<ConfirmFigures>,
    id: PathId,
    if_match: IfMatch,
    body: Body<FigureCorrection>,
) -> Result<HttpResponse, Error> {
    let FigureCorrection { counts, reason } = &body.value;
    step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &figure::Model| {
        counts.check(year_of(old)?, permit.caller.today, "/counts")?;
        store::correct(tx, old, counts, reason).await
    })
    .await
}

/// One step of a figure's life: seen, allowed, unchanged since it was read, then taken.
async fn step<P: Needed>(
    app: &App,
    permit: &Permit<P>,
    id: Uuid,
    if_match: &IfMatch,
    verb: &str,
    take: impl AsyncFn(&WriteTx<'_>, &figure::Model) -> Result<figure::Model, Error>,
) -> Result<HttpResponse, Error> {
    let caller = &permit.caller;
    let taken = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        let old = store::locked(tx, id).await?;
        let place = caller.see(tx.conn(), old.unit_id, old.day).await?;
        permit.require(&place)?;
        if_match.check(old.version)?;
        transition::take(TRANSITIONS, verb, caller, standing(&old, &place)?)?;
        Ok(Outcome::Changed((take(tx, &old).await?, place)))
    });
    let (row, place) = taken.await?;
    changed(row.version, &FigureView::new(&row, &place, caller)?)
}

fn year_of(row: &figure::Model) -> Result<i32, Error> {
    i32::try_from(row.year).map_err(Error::internal)
}
