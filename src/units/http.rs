//! Units over HTTP; the acts by which they follow one another stand in [`acts`], codes and names in [`resolve`].

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::closure::LAST;
use super::store::{self, Filter, unit};
use super::{AreaClass, UnitDraft, UnitKind, acts, at, check, resolve};
use crate::auth::policy::permit::{ManageUnits, ReadUnits};
use crate::auth::{Caller, Permission, Permit};
use crate::clock::rfc3339;
use crate::db::{Event, Outcome, WriteTx};
use crate::error::{Code, Error};
use crate::http::page::Page;
use crate::http::resource;
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, Search, answer, changed,
    created, found,
};
use crate::id;
use crate::log::http::{EventPage, History, history};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "list_units", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation { id: "search_units", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation { id: "resolve_unit", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation { id: "get_unit", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation { id: "list_unit_events", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation {
        id: "register_unit",
        permission: Permission::ManageUnits,
        call: Call::Create,
        events: &["unit.registered"],
    },
    Operation { id: "amend_unit", permission: Permission::ManageUnits, call: Call::Change, events: &["unit.amended"] },
    Operation { id: "list_successions", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation { id: "get_succession", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation { id: "list_succession_events", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
    Operation {
        id: "record_succession",
        permission: Permission::ManageUnits,
        call: Call::Create,
        events: &["succession.recorded", "unit.ended"],
    },
    Operation {
        id: "annul_succession",
        permission: Permission::ManageUnits,
        call: Call::Change,
        events: &["succession.annulled", "unit.restored"],
    },
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_units)
        .service(search_units)
        .service(resolve::resolve_unit)
        .service(get_unit)
        .service(list_unit_events)
        .service(register_unit)
        .service(amend_unit)
        .service(acts::list_successions)
        .service(acts::get_succession)
        .service(acts::list_succession_events)
        .service(acts::record_succession)
        .service(acts::annul_succession);
}

/// A unit as clients see it: its state on one day, and its whole history.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnitView {
    /// Identity, for ever.
    pub id: Uuid,
    /// The day of the single values below: the one asked for; else today, or the last or first day of a unit that has
    /// ended or not begun.
    pub as_of: NaiveDate,
    /// Name on that day.
    #[schema(max_length = 200, example = "Xã Mường Giôn")]
    pub name: Option<String>,
    /// Official code on that day.
    #[schema(max_length = 200, example = "03694")]
    pub code: Option<String>,
    /// Kind on that day.
    pub kind: Option<UnitKind>,
    /// Parent on that day.
    pub parent: Option<Uuid>,
    /// Area class on that day; null is not known.
    pub area_class: Option<AreaClass>,
    /// True if the unit exists on the day asked for, today if none was.
    pub exists: bool,
    /// Every value with its days.
    pub history: UnitDraft,
    /// The reason given last: why it was amended, or the act annulled that had ended it. Changes that give none, by a file
    /// or an act, leave it. Personal; null if none was given since reasons are kept, and once erased.
    #[schema(max_length = 1000)]
    pub change_reason: Option<String>,
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

impl UnitView {
    /// As it was on `day`, or, if none was asked for, today. What has ended or not begun is shown by the day on which it
    /// is told from others: its last, its first.
    pub(super) fn new(row: &unit::Model, day: Option<NaiveDate>, caller: &Caller) -> Result<Self, Error> {
        let draft = row.draft()?;
        let (first, last) = (draft.exists_from, draft.exists_to.unwrap_or(LAST));
        let exists_on = day.unwrap_or(caller.today);
        let as_of = day.unwrap_or(caller.today.min(last).max(first));
        Ok(Self {
            id: row.id,
            as_of,
            name: at(&draft.names, as_of).cloned(),
            code: at(&draft.codes, as_of).cloned(),
            kind: at(&draft.kinds, as_of).copied(),
            parent: at(&draft.parents, as_of).copied(),
            area_class: at(&draft.area_classes, as_of).copied(),
            exists: (first..=last).contains(&exists_on),
            allowed_actions: if caller.holds(Permission::ManageUnits) { vec!["amend"] } else { vec![] },
            history: draft,
            change_reason: row.change_reason.clone(),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UnitQuery {
    /// Of this kind on `as_of`.
    #[garde(skip)]
    kind: Option<UnitKind>,
    /// Of this area class on `as_of`.
    #[garde(skip)]
    area_class: Option<AreaClass>,
    /// This one only.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Covered by this unit on `as_of`, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// The day of the answer; today if absent. Units that do not exist then are left out.
    #[garde(skip)]
    as_of: Option<NaiveDate>,
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
pub type UnitSearch = Search<UnitQuery>;

/// Lists units.
#[utoipa::path(tag = "units", params(UnitQuery), responses((status = 200, body = Page<UnitView>)))]
#[get("/units")]
pub async fn list_units(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    query: Query<UnitQuery>,
) -> Result<HttpResponse, Error> {
    let listing = Listing::new(&request, &app, query.0.cursor.as_deref(), query.0.limit)?;
    list(&app, &permit, &listing, query.0).await
}

/// Finds units by words of the names that they have or had, in Vietnamese order of the newest names.
#[utoipa::path(tag = "units", request_body = UnitSearch, responses((status = 200, body = Page<UnitView>)))]
#[post("/units:search")]
pub async fn search_units(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    search: UnitSearch,
) -> Result<HttpResponse, Error> {
    let listing = Listing::search(&request, &app, &search)?;
    list(&app, &permit, &listing, search.filter).await
}

async fn list(
    app: &App,
    permit: &Permit<ReadUnits>,
    listing: &Listing<'_>,
    query: UnitQuery,
) -> Result<HttpResponse, Error> {
    app.db.settle().await?;
    let filter = Filter {
        kind: query.kind,
        area_class: query.area_class,
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        as_of: query.as_of,
        changed_since: query.changed_since,
    };
    let caller = &permit.caller;
    let found = store::page(app.db.reader().conn(), &filter, caller.today, &listing.slice).await?;
    listing.answer(found, |row| row.id, |row| UnitView::new(&row, query.as_of, caller))
}

/// The day of a read.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AsOfQuery {
    /// The day; today if absent.
    #[garde(skip)]
    as_of: Option<NaiveDate>,
}

/// Reads a unit.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path), AsOfQuery), responses((status = 200, body = UnitView)))]
#[get("/units/{id}")]
pub async fn get_unit(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    id: PathId,
    query: Query<AsOfQuery>,
) -> Result<HttpResponse, Error> {
    let row = store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &UnitView::new(&row, query.0.as_of, &permit.caller)?)
}

/// Reads a unit's history.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/units/{id}/events")]
pub async fn list_unit_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadUnits>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// Registers a unit.
#[utoipa::path(tag = "units", request_body = UnitDraft, responses((status = 201, body = UnitView)))]
#[post("/units")]
pub async fn register_unit(
    app: App,
    permit: Permit<ManageUnits>,
    key: IdempotencyKey,
    body: Body<UnitDraft>,
) -> Result<HttpResponse, Error> {
    body.value.check("")?;
    let once = key.once("register_unit", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        check::registration(tx, &body.value).await?;
        let row = store::register(tx, id::new_id(), &body.value).await?;
        store::derive(tx.conn()).await?;
        let view = UnitView::new(&row, None, &permit.caller)?;
        created(format!("/v1/units/{}", row.id), row.version, &view)
    });
    Ok(answer(stored.await?))
}

/// What replaces a unit's attributes, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "unit": {
        "names": [{ "value": "Bản Mẫu", "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }],
        "exists_from": "2021-01-01"
    },
    "reason": "Đính chính theo nghị quyết"
}))]
pub struct UnitAmendment {
    /// All attributes as they are to stand.
    #[garde(dive)]
    pub unit: UnitDraft,
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Replaces what is said of a unit.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path)), request_body = UnitAmendment, responses((status = 200, body = UnitView)))]
#[post("/units/{id}:amend")]
pub async fn amend_unit(
    app: App,
    permit: Permit<ManageUnits>,
    id: PathId,
    if_match: IfMatch,
    body: Body<UnitAmendment>,
) -> Result<HttpResponse, Error> {
    let UnitAmendment { unit, reason } = &body.value;
    unit.check("/unit")?;
    let row = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        let old = store::locked(tx, id.0).await?;
        if_match.check(old.version, || UnitView::new(&old, None, &permit.caller))?;
        resource::differs(&old.draft()?, unit, "/unit")?;
        check::amendment(tx, &old, unit).await?;
        let row = store::amend(tx, &old, unit, Event::because("unit.amended", reason)).await?;
        store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(row))
    });
    let row = row.await?;
    changed(row.version, &UnitView::new(&row, None, &permit.caller)?)
}
