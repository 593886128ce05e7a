//! Units over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::store::{self, Candidate, Filter, succession, unit};
use super::{AreaClass, SuccessionDraft, UnitDraft, UnitKind, at};
use crate::auth::policy::permit::{ManageUnits, ReadUnits};
use crate::auth::{Caller, Permission, Permit};
use crate::clock::rfc3339;
use crate::db::{Event, Outcome, WriteTx};
use crate::error::{Code, Error, Fault};
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Operation, PathId, Query, answer, changed, created, found,
};
use crate::id;
use crate::log::http::{EventPage, History, history};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "list_units", permission: Permission::ReadUnits, call: Call::Read, events: &[] },
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
];

/// The routes of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_units)
        .service(resolve_unit)
        .service(get_unit)
        .service(list_unit_events)
        .service(register_unit)
        .service(amend_unit)
        .service(list_successions)
        .service(get_succession)
        .service(list_succession_events)
        .service(record_succession);
}

/// A unit as clients see it: its state on one day, and its whole history.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnitView {
    /// Identity, for ever.
    pub id: Uuid,
    /// The day of the single values below.
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
    /// True if the unit exists on that day.
    pub exists: bool,
    /// Every value with its days.
    pub history: UnitDraft,
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
    fn new(row: &unit::Model, as_of: NaiveDate, caller: &Caller) -> Result<Self, Error> {
        let draft = row.draft()?;
        Ok(Self {
            id: row.id,
            as_of,
            name: at(&draft.names, as_of).cloned(),
            code: at(&draft.codes, as_of).cloned(),
            kind: at(&draft.kinds, as_of).copied(),
            parent: at(&draft.parents, as_of).copied(),
            area_class: at(&draft.area_classes, as_of).copied(),
            exists: draft.exists_from <= as_of && draft.exists_to.is_none_or(|to| as_of <= to),
            allowed_actions: if caller.holds(Permission::ManageUnits) { vec!["amend"] } else { vec![] },
            history: draft,
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UnitQuery {
    /// Of this kind on `as_of`.
    #[garde(skip)]
    kind: Option<UnitKind>,
    /// Of this area class on `as_of`.
    #[garde(skip)]
    area_class: Option<AreaClass>,
    /// Covered by this unit on `as_of`, succession included.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// The day of the answer; today if absent. Units that do not exist then are left out.
    #[garde(skip)]
    as_of: Option<NaiveDate>,
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

/// Lists units.
#[utoipa::path(tag = "units", params(UnitQuery), responses((status = 200, body = Page<UnitView>)))]
#[get("/units")]
pub async fn list_units(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    query: Query<UnitQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = crate::http::Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let filter = Filter {
        kind: query.kind,
        area_class: query.area_class,
        within: query.unit,
        as_of: query.as_of,
        changed_since: query.changed_since,
    };
    let caller = &permit.caller;
    let found = store::page(app.db.reader().conn(), &filter, caller.today, listing.slice).await?;
    let as_of = query.as_of.unwrap_or(caller.today);
    listing.answer(found, |row| row.id, |row| UnitView::new(&row, as_of, caller))
}

/// A code or a name, and the day on which it was used.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResolveQuery {
    /// Official code.
    #[garde(length(chars, min = 1, max = 200))]
    #[param(min_length = 1, max_length = 200, example = "03688")]
    code: Option<String>,
    /// Name, with or without diacritics.
    #[garde(length(chars, min = 1, max = 200))]
    #[param(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The day; without it an ambiguous code or name is refused with the candidates.
    #[garde(skip)]
    #[param(example = "2025-07-01")]
    on: Option<NaiveDate>,
}

/// Finds the one unit that a code or name stands for.
#[utoipa::path(tag = "units", params(ResolveQuery), responses((status = 200, body = UnitView)))]
#[get("/units:resolve")]
pub async fn resolve_unit(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadUnits>,
    query: Query<ResolveQuery>,
) -> Result<HttpResponse, Error> {
    let (attribute, value) = match (&query.0.code, &query.0.name) {
        (Some(code), None) => ("code", code),
        (None, Some(name)) => ("name", name),
        _ => {
            let fault = Fault::new("query", "cần đúng một trong hai: code hoặc name", "needs either code or name");
            return Err(Error::at(Code::InvalidQuery, fault));
        }
    };
    let reader = app.db.reader();
    let mut candidates = store::candidates(reader.conn(), attribute, value).await?;
    if let Some(on) = query.0.on {
        candidates.retain(|c| c.valid_from <= on && c.valid_to.is_none_or(|to| on <= to));
    }
    let unit_id = one_unit(candidates)?;
    let row = store::find(reader.conn(), unit_id).await?.ok_or(Code::NotFound)?;
    let as_of = query.0.on.unwrap_or(permit.caller.today);
    found(&request, row.version, &UnitView::new(&row, as_of, &permit.caller)?)
}

fn one_unit(candidates: Vec<Candidate>) -> Result<Uuid, Error> {
    let Some(first) = candidates.first().map(|candidate| candidate.unit_id) else {
        return Err(Code::NotFound.into());
    };
    if candidates.iter().all(|candidate| candidate.unit_id == first) {
        return Ok(first);
    }
    let candidates = serde_json::to_value(candidates).map_err(Error::internal)?;
    Err(Error::new(Code::AmbiguousUnit).member("candidates", candidates))
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
    let as_of = query.0.as_of.unwrap_or(permit.caller.today);
    found(&request, row.version, &UnitView::new(&row, as_of, &permit.caller)?)
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
    body.value.check()?;
    let once = key.once("register_unit", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        known(tx, body.value.parents.iter().map(|parent| parent.value), "/parents").await?;
        let row = store::register(tx, id::new_id(), &body.value).await?;
        store::derive(tx.conn()).await?;
        let view = UnitView::new(&row, permit.caller.today, &permit.caller)?;
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
    unit.check()?;
    let row = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        let old = store::locked(tx, id.0).await?;
        if_match.check(old.version)?;
        known(tx, unit.parents.iter().map(|parent| parent.value), "/unit/parents").await?;
        let row = store::amend(tx, &old, unit, Event::because("unit.amended", reason)).await?;
        store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(row))
    });
    let row = row.await?;
    changed(row.version, &UnitView::new(&row, permit.caller.today, &permit.caller)?)
}

/// An act of succession as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuccessionView {
    /// Identity.
    pub id: Uuid,
    /// The act.
    #[serde(flatten)]
    pub act: SuccessionDraft,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl SuccessionView {
    fn new(row: &succession::Model) -> Result<Self, Error> {
        Ok(Self { id: row.id, act: row.draft()?, version: row.version, created_at: rfc3339(row.created_at) })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SuccessionQuery {
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

/// Lists the acts by which units follow one another.
#[utoipa::path(tag = "units", params(SuccessionQuery), responses((status = 200, body = Page<SuccessionView>)))]
#[get("/successions")]
pub async fn list_successions(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadUnits>,
    query: Query<SuccessionQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = crate::http::Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let found = store::succession_page(app.db.reader().conn(), query.changed_since, listing.slice).await?;
    listing.answer(found, |row| row.id, |row| SuccessionView::new(&row))
}

/// Reads an act of succession.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path)), responses((status = 200, body = SuccessionView)))]
#[get("/successions/{id}")]
pub async fn get_succession(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadUnits>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = store::find_succession(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &SuccessionView::new(&row)?)
}

/// Reads the history of an act of succession.
#[utoipa::path(tag = "units", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/successions/{id}/events")]
pub async fn list_succession_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadUnits>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find_succession(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// Records that units merge, split, are renamed or abolished; the predecessors end the day before.
#[utoipa::path(tag = "units", request_body = SuccessionDraft, responses((status = 201, body = SuccessionView)))]
#[post("/successions")]
pub async fn record_succession(
    app: App,
    permit: Permit<ManageUnits>,
    key: IdempotencyKey,
    body: Body<SuccessionDraft>,
) -> Result<HttpResponse, Error> {
    body.value.check()?;
    let once = key.once("record_succession", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        known(tx, body.value.successors.iter().copied(), "/successors").await?;
        end_predecessors(tx, &body.value).await?;
        let row = store::record_succession(tx, id::new_id(), &body.value).await?;
        store::derive(tx.conn()).await?;
        created(format!("/v1/successions/{}", row.id), row.version, &SuccessionView::new(&row)?)
    });
    Ok(answer(stored.await?))
}

/// The predecessors' last day is the day before the act takes effect.
async fn end_predecessors(tx: &WriteTx<'_>, act: &SuccessionDraft) -> Result<(), Error> {
    let last = act.effective_on.pred_opt().ok_or(Code::InvalidValue)?;
    for (index, predecessor) in act.predecessors.iter().enumerate() {
        let pointer = format!("/predecessors/{index}");
        let old = store::locked(tx, *predecessor)
            .await
            .map_err(|error| if error.code == Code::NotFound { unknown_unit(&pointer) } else { error })?;
        let mut draft = old.draft()?;
        match draft.exists_to {
            Some(to) if to == last => continue,
            Some(to) if to < last => {
                return Err(Error::invalid(pointer, "đơn vị đã kết thúc trước đó", "the unit ended before"));
            }
            _ => {}
        }
        draft.exists_to = Some(last);
        store::amend(tx, &old, &draft, Event::new("unit.ended")).await?;
    }
    Ok(())
}

async fn known(tx: &WriteTx<'_>, units: impl Iterator<Item = Uuid>, pointer: &str) -> Result<(), Error> {
    for (index, unit) in units.enumerate() {
        if store::find(tx.conn(), unit).await?.is_none() {
            return Err(unknown_unit(&format!("{pointer}/{index}")));
        }
    }
    Ok(())
}

fn unknown_unit(pointer: &str) -> Error {
    Error::invalid(pointer, "không có đơn vị này", "there is no such unit")
}
