//! Nominations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, nomination};
use super::view::{self, NominationView};
use super::{NominationContent, NominationDraft, NominationState, check};
use crate::auth::policy::permit::{Nominate, ReadRecords, ReviewNominations};
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

const fn read(id: &'static str) -> Operation {
    Operation { id, permission: Permission::ReadRecords, call: Call::Read, events: &[] }
}

const fn change(id: &'static str, permission: Permission, events: &'static [&'static str]) -> Operation {
    Operation { id, permission, call: Call::Change, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    read("list_nominations"),
    read("get_nomination"),
    read("list_nomination_events"),
    Operation {
        id: "file_nomination",
        permission: Permission::Nominate,
        call: Call::Create,
        events: &["nomination.filed"],
    },
    change("amend_nomination", Permission::Nominate, &["nomination.amended"]),
    change("submit_nomination", Permission::Nominate, &["nomination.submitted"]),
    change("return_nomination", Permission::ReviewNominations, &["nomination.returned"]),
    change("withdraw_nomination", Permission::Nominate, &["nomination.withdrawn"]),
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_nominations)
        .service(get_nomination)
        .service(list_nomination_events)
        .service(file_nomination)
        .service(amend_nomination)
        .service(submit_nomination)
        .service(return_nomination)
        .service(withdraw_nomination);
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NominationQuery {
    /// Of this subject.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<NominationState>,
    /// Of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "mid")]
    round: Option<String>,
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// For this award form.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "giay_khen_huyen")]
    award_form: Option<String>,
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

/// Lists nominations of and by units inside the caller's subtrees.
#[utoipa::path(tag = "nominations", params(NominationQuery), responses((status = 200, body = Page<NominationView>)))]
#[get("/nominations")]
pub async fn list_nominations(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<NominationQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let reader = app.db.reader();
    let filter = Filter {
        scope: permit.scope(),
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        state: query.state,
        round: campaigns::store::round(reader.conn(), query.campaign, query.round).await?,
        campaign: query.campaign,
        award_form: query.award_form,
        changed_since: query.changed_since,
    };
    let found = store::page(reader.conn(), &filter, &listing.slice).await?;
    resource::list(&listing, reader.conn(), found, &permit.caller).await
}

/// Reads a nomination.
#[utoipa::path(tag = "nominations", params(("id" = Uuid, Path)), responses((status = 200, body = NominationView)))]
#[get("/nominations/{id}")]
pub async fn get_nomination(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    resource::read::<nomination::Model>(&request, app.db.reader().conn(), &permit.caller, id.0).await
}

/// Reads a nomination's history.
#[utoipa::path(tag = "nominations", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/nominations/{id}/events")]
pub async fn list_nomination_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    resource::events::<nomination::Model>(&request, &app, &permit.caller, id.0, query.0).await
}

/// Files a nomination as a draft.
#[utoipa::path(tag = "nominations", request_body = NominationDraft, responses((status = 201, body = NominationView)))]
#[post("/nominations")]
pub async fn file_nomination(
    app: App,
    permit: Permit<Nominate>,
    key: IdempotencyKey,
    body: Body<NominationDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let today = permit.caller.today;
    let filed_on = draft.filed_on(today)?;
    let once = key.once("file_nomination", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        check::references(tx, draft, filed_on).await?;
        let sides = view::sides(tx.conn(), draft.unit, draft.nominator_unit, filed_on, today).await?;
        check::nominator(&permit, draft, &sides)?;
        check::was_helped(tx, draft, filed_on).await?;
        check::nothing_stands(tx, draft).await?;
        let row = store::file(tx, draft, filed_on).await?;
        let view = row.view(&sides, &permit.caller)?;
        created(format!("/v1/nominations/{}", row.id), row.version, &view)
    });
    Ok(answer(stored.await?))
}

/// Replaces achievement and evidence of a nomination that is a draft or was returned.
#[utoipa::path(tag = "nominations", params(("id" = Uuid, Path)), request_body = NominationContent, responses((status = 200, body = NominationView)))]
#[post("/nominations/{id}:amend")]
pub async fn amend_nomination(
    app: App,
    permit: Permit<Nominate>,
    id: PathId,
    if_match: IfMatch,
    body: Body<NominationContent>,
) -> Result<HttpResponse, Error> {
    let content = &body.value;
    resource::step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &nomination::Model| {
        let said = (old.achievement.as_ref(), &old.evidence()?);
        resource::differs(&said, &(Some(&content.achievement), &content.evidence), "")?;
        store::amend(tx, old, content).await
    })
    .await
}

/// Submits a nomination.
#[utoipa::path(tag = "nominations", params(("id" = Uuid, Path)), responses((status = 200, body = NominationView)))]
#[post("/nominations/{id}:submit")]
pub async fn submit_nomination(
    app: App,
    permit: Permit<Nominate>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    let submit = async |tx: &WriteTx<'_>, old: &nomination::Model| store::submit(tx, old).await;
    resource::step(&app, &permit, id.0, &if_match, "submit", submit).await
}

/// Why a nomination is returned or withdrawn.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Thiếu biên bản họp" }))]
pub struct NominationReason {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Returns a submitted nomination with a reason; never by whoever submitted it.
#[utoipa::path(tag = "nominations", params(("id" = Uuid, Path)), request_body = NominationReason, responses((status = 200, body = NominationView)))]
#[post("/nominations/{id}:return")]
pub async fn return_nomination(
    app: App,
    permit: Permit<ReviewNominations>,
    id: PathId,
    if_match: IfMatch,
    body: Body<NominationReason>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let send_back = async |tx: &WriteTx<'_>, old: &nomination::Model| store::send_back(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "return", send_back).await
}

/// Withdraws a nomination for good.
#[utoipa::path(tag = "nominations", params(("id" = Uuid, Path)), request_body = NominationReason, responses((status = 200, body = NominationView)))]
#[post("/nominations/{id}:withdraw")]
pub async fn withdraw_nomination(
    app: App,
    permit: Permit<Nominate>,
    id: PathId,
    if_match: IfMatch,
    body: Body<NominationReason>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let withdraw = async |tx: &WriteTx<'_>, old: &nomination::Model| store::withdraw(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "withdraw", withdraw).await
}
