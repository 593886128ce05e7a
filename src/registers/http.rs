//! Registers over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use chrono::NaiveDate;
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, register};
use super::view::RegisterView;
use super::{RegisterDraft, RegisterState, SUMS};
use crate::auth::policy::permit::{ConfirmObservations, ReadRecords};
use crate::auth::{Permission, Permit};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::Error;
use crate::http::page::Page;
use crate::http::resource::{self, Resource};
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, answer, created,
};
use crate::log::http::{EventPage, History};
use crate::observations::declared::{Declaration, Declared};
use crate::observations::rights::{self, About};

const fn operation(id: &'static str, call: Call, events: &'static [&'static str]) -> Operation {
    let permission = if matches!(call, Call::Read) { Permission::ReadRecords } else { Permission::ConfirmObservations };
    Operation { id, permission, call, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    operation("list_registers", Call::Read, &[]),
    operation("get_register", Call::Read, &[]),
    operation("list_register_events", Call::Read, &[]),
    operation("close_register", Call::Create, &["register.closed"]),
    operation("reopen_register", Call::Change, &["register.reopened"]),
    operation("reclose_register", Call::Change, &["register.reclosed"]),
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_registers)
        .service(get_register)
        .service(list_register_events)
        .service(close_register)
        .service(reopen_register)
        .service(reclose_register);
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegisterQuery {
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// Of this unit.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// Of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    round: Option<String>,
    /// Of this kind.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// In this state.
    #[garde(skip)]
    state: Option<RegisterState>,
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

/// Lists registers inside the caller's subtrees, and those whose owning body the caller's unit holds.
#[utoipa::path(tag = "registers", params(RegisterQuery), responses((status = 200, body = Page<RegisterView>)))]
#[get("/registers")]
pub async fn list_registers(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<RegisterQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let scope = permit.scope();
    let filter = Filter {
        held: rights::held(reader.conn(), &store::campaigns(reader.conn()).await?, &scope).await?,
        scope,
        campaign: query.campaign,
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        round: campaigns::store::round(reader.conn(), query.campaign, query.round).await?,
        name: query.name,
        state: query.state,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, &listing.slice).await?;
    resource::list(&listing, reader.conn(), found, &permit.caller).await
}

/// Reads a register.
#[utoipa::path(tag = "registers", params(("id" = Uuid, Path)), responses((status = 200, body = RegisterView)))]
#[get("/registers/{id}")]
pub async fn get_register(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    resource::read::<register::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
}

/// Reads a register's history.
#[utoipa::path(tag = "registers", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/registers/{id}/events")]
pub async fn list_register_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    resource::events::<register::Model>(&request, &app, &permit.caller, id.0, query.0).await
}

/// Closes a register for the first time: the unit's entries of this kind are complete up to the round's cut-off.
#[utoipa::path(tag = "registers", request_body = RegisterDraft, responses((status = 201, body = RegisterView)))]
#[post("/registers")]
pub async fn close_register(
    app: App,
    permit: Permit<ConfirmObservations>,
    key: IdempotencyKey,
    body: Body<RegisterDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let once = key.once("close_register", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let declared = rights::declared(tx.conn(), draft.campaign).await?;
        let cut_off = cut_off(&declared, draft)?;
        let about = About { campaign: draft.campaign, unit: draft.unit, name: &draft.name, day: cut_off };
        let rights = rights::one(tx.conn(), &declared, &about, &permit.caller).await?;
        permit.require(&rights.place)?;
        rights.require_owner()?;
        // The holder of the owning body reaches any unit, were it none.
        if rights.place.kind.is_none() {
            return Err(Error::invalid("/unit", "không có đơn vị này", "there is no such unit"));
        }
        let row = store::close(tx, draft, cut_off).await?;
        let view = row.view(&rights, &permit.caller)?;
        created(format!("/v1/registers/{}", row.id), row.version, &view)
    });
    Ok(answer(stored.await?))
}

/// The cut-off of the draft's round, if the round's rule set keeps such a register.
fn cut_off(declared: &Declared, draft: &RegisterDraft) -> Result<NaiveDate, Error> {
    let Some(round) = declared.definition.round(&draft.round) else {
        return Err(Error::invalid("/round", "phong trào không có đợt này", "the campaign has no such round"));
    };
    let model = declared.rule_set_of(&draft.round).map(|rule_set| rule_set.model());
    let kept = match model.and_then(|model| Declaration::find(model, &draft.name)) {
        Some(Declaration::Record(_)) => true,
        Some(Declaration::Indicator(_)) => SUMS.contains(&draft.name.as_str()),
        _ => false,
    };
    if kept {
        return Ok(round.as_of);
    }
    Err(Error::invalid("/name", "bộ tiêu chí không có sổ này", "the rule set keeps no such register"))
}

/// Why it is reopened.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Còn sót một quy chế" }))]
pub struct RegisterReopening {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Reopens a closed register.
#[utoipa::path(tag = "registers", params(("id" = Uuid, Path)), request_body = RegisterReopening, responses((status = 200, body = RegisterView)))]
#[post("/registers/{id}:reopen")]
pub async fn reopen_register(
    app: App,
    permit: Permit<ConfirmObservations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<RegisterReopening>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let reopen = async |tx: &WriteTx<'_>, old: &register::Model| store::reopen(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "reopen", reopen).await
}

/// Closes a reopened register again.
#[utoipa::path(tag = "registers", params(("id" = Uuid, Path)), responses((status = 200, body = RegisterView)))]
#[post("/registers/{id}:reclose")]
pub async fn reclose_register(
    app: App,
    permit: Permit<ConfirmObservations>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    resource::step(&app, &permit, id.0, &if_match, "reclose", async |tx: &WriteTx<'_>, old: &register::Model| {
        let declared = rights::declared(tx.conn(), old.campaign_id).await?;
        let cut_off = declared.definition.round(&old.round).map_or(old.day, |round| round.as_of);
        store::reclose(tx, old, cut_off).await
    })
    .await
}
