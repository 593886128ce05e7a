//! Figures over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, figure};
use super::total::{Count, Parts, count};
use super::view::FigureView;
use super::{Counts, FigureDraft, FigureState, counts_households, day_of};
use crate::auth::policy::permit::{ConfirmFigures, ReadRecords, ReportFigures};
use crate::auth::{Permission, Permit, Place, scope};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::{Code, Error};
use crate::http::page::Page;
use crate::http::resource::{self, Resource};
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, answer, created,
};
use crate::log::http::{EventPage, History};
use crate::units::{self, UnitKind};

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
        id: "withdraw_figure",
        permission: Permission::ReportFigures,
        call: Call::Change,
        events: &["figure.withdrawn"],
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
pub fn routes(config: &mut Registry) {
    config
        .service(list_figures)
        .service(total_figures)
        .service(get_figure)
        .service(list_figure_events)
        .service(report_figure)
        .service(amend_figure)
        .service(withdraw_figure)
        .service(confirm_figure)
        .service(correct_figure);
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
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<FigureState>,
    /// Of this year.
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
        within: query.within.map(|unit| permit.caller.under(unit)),
        state: query.state,
        year: query.year,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, &listing.slice).await?;
    resource::list(&listing, reader.conn(), found, &permit.caller).await
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
    /// In a dispute with its villages, the sum of those that are known.
    pub villages: Option<i64>,
    /// In a dispute with its predecessors, the sum of those that are known.
    pub predecessors: Option<i64>,
    /// Units whose figures the count rests on.
    #[schema(max_items = 10000)]
    pub basis: Vec<Uuid>,
}

impl CountView {
    fn new((count, basis): (Count, Vec<Uuid>)) -> Self {
        let empty = Self {
            households: None,
            status: "known",
            missing: vec![],
            own: None,
            villages: None,
            predecessors: None,
            basis,
        };
        match count {
            Count::Known(households) => Self { households: Some(households), ..empty },
            Count::Missing(missing) => Self { status: "missing", missing, ..empty },
            Count::Disputed { own, sum, of } => {
                let disputed = Self { status: "disputed", own: Some(own), ..empty };
                match of {
                    Parts::Villages => Self { villages: Some(sum), ..disputed },
                    Parts::Predecessors => Self { predecessors: Some(sum), ..disputed },
                }
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
    if !lineage.lives.contains_key(&unit) {
        return Err(Code::NotFound.into());
    }
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
    resource::read::<figure::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
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
    resource::events::<figure::Model>(&request, &app, &permit.caller, id.0, query.0).await
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
    draft.check(permit.caller.today)?;
    let once = key.once("report_figure", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let place = scope::place(tx.conn(), draft.unit, day_of(draft.year)?, permit.caller.today).await?;
        permit.require(&place)?;
        may_count(tx, &place, day_of(draft.year)?).await?;
        recogniser(tx, &draft.counts, draft.year, &place).await?;
        let row = store::report(tx, draft).await?;
        created(format!("/v1/figures/{}", row.id), row.version, &row.view(&place, &permit.caller)?)
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
    resource::step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &figure::Model| {
        resource::differs(&old.counts(), counts, "/counts")?;
        counts.check(year_of(old)?, permit.caller.today, "/counts")?;
        recogniser_of(tx, old, counts, permit.caller.today).await?;
        store::amend(tx, old, counts).await
    })
    .await
}

/// Why it is withdrawn.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Báo cáo nhầm năm" }))]
pub struct FigureWithdrawal {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Takes back a figure that is not confirmed yet; another may then be reported in its place.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path)), request_body = FigureWithdrawal, responses((status = 200, body = FigureView)))]
#[post("/figures/{id}:withdraw")]
pub async fn withdraw_figure(
    app: App,
    permit: Permit<ReportFigures>,
    id: PathId,
    if_match: IfMatch,
    body: Body<FigureWithdrawal>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let withdraw = async |tx: &WriteTx<'_>, old: &figure::Model| store::withdraw(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "withdraw", withdraw).await
}

/// Confirms a figure; that locks it. Its counts name who recognised them, and the decision.
#[utoipa::path(tag = "figures", params(("id" = Uuid, Path)), responses((status = 200, body = FigureView)))]
#[post("/figures/{id}:confirm")]
pub async fn confirm_figure(
    app: App,
    permit: Permit<ConfirmFigures>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    resource::step(&app, &permit, id.0, &if_match, "confirm", async |tx: &WriteTx<'_>, old: &figure::Model| {
        old.counts().recognised("/counts")?;
        store::confirm(tx, old).await
    })
    .await
}

/// The right counts of a confirmed figure, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "counts": { "poor_households": 38, "near_poor_households": 20,
    "recognised_by": "01900000-0000-7000-8000-000000000003", "decision_number": "15/QĐ-UBND" },
    "reason": "Rà soát lại" }))]
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
    resource::step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &figure::Model| {
        resource::differs(&old.counts(), counts, "/counts")?;
        counts.check(year_of(old)?, permit.caller.today, "/counts")?;
        counts.recognised("/counts")?;
        recogniser_of(tx, old, counts, permit.caller.today).await?;
        store::correct(tx, old, counts, reason).await
    })
    .await
}

/// Refuses a unit that counts no households, or was not there when the year's households were counted: one that ended
/// left its count to its successor, and one that began later has the sum of its predecessors.
async fn may_count(tx: &WriteTx<'_>, place: &Place, day: NaiveDate) -> Result<(), Error> {
    if !counts_households(place.kind) {
        let (vi, en) =
            ("chỉ xã, thị trấn, bản có số hộ nghèo", "only communes, townships and villages count households");
        return Err(Error::invalid("/unit", vi, en));
    }
    if units::store::alive(tx.conn(), &[place.unit], day).await?.is_empty() && !was_there_before(tx, place, day).await?
    {
        let (vi, en) = ("đơn vị không tồn tại vào cuối năm đó", "the unit did not exist at the end of that year");
        return Err(Error::invalid("/unit", vi, en));
    }
    Ok(())
}

/// True for a unit that follows nobody and is known only from a day after this one, as the campaign's units are from its
/// first: its count at the end of the year before is the base of the fall, and nobody else has it.
async fn was_there_before(tx: &WriteTx<'_>, place: &Place, day: NaiveDate) -> Result<bool, Error> {
    let lineage = units::store::lineage(tx.conn()).await?;
    Ok(lineage.begins_after(place.unit, day) && lineage.predecessors(place.unit).is_empty())
}

/// Refuses a recogniser that was not there on the day of the decision, or at any time since the review if that day is
/// not given, and whoever does not stand over the households: their commune, or a unit above it.
async fn recogniser(tx: &WriteTx<'_>, counts: &Counts, year: i32, place: &Place) -> Result<(), Error> {
    let Some(unit) = counts.recognised_by else { return Ok(()) };
    let pointer = "/counts/recognised_by";
    let (first, last) = match counts.decided_on {
        Some(day) => (day, day),
        None => (NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default(), NaiveDate::MAX),
    };
    let row = units::store::find(tx.conn(), unit).await?;
    if !row.is_some_and(|row| row.exists_from <= last && row.exists_to.is_none_or(|to| first <= to)) {
        let (vi, en) = ("không có đơn vị này vào lúc đó", "there was no such unit at that time");
        return Err(Error::invalid(pointer, vi, en));
    }
    let is_village = unit == place.unit && place.kind == Some(UnitKind::Village);
    if is_village || !place.covered_by.contains(&unit) {
        let vi = "không phải xã, thị trấn của các hộ hoặc cấp trên";
        return Err(Error::invalid(pointer, vi, "is neither the households' commune or township nor above it"));
    }
    Ok(())
}

/// The same for the counts of a figure that is there.
async fn recogniser_of(tx: &WriteTx<'_>, old: &figure::Model, counts: &Counts, today: NaiveDate) -> Result<(), Error> {
    if counts.recognised_by.is_none() {
        return Ok(());
    }
    let place = scope::place(tx.conn(), old.unit_id, old.day, today).await?;
    recogniser(tx, counts, year_of(old)?, &place).await
}

fn year_of(row: &figure::Model) -> Result<i32, Error> {
    i32::try_from(row.year).map_err(Error::internal)
}
