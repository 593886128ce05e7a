//! What happens to an activity after it was reported: amended, submitted, returned or accepted, corrected, withdrawn.

use actix_web::{HttpResponse, post};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::http::fits;
use super::store::{self, activity};
use super::view::ActivityView;
use super::{ActivityContent, ActivityState, registers as entries};
use crate::auth::policy::permit::{AcceptActivities, ReportActivities};
use crate::auth::{Permit, scope};
use crate::db::WriteTx;
use crate::error::{Code, Error};
use crate::http::resource::{self};
use crate::http::{App, Body, IfMatch, PathId};
use crate::registers;

/// The content as it is to stand.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "content": { "clause_kind": "II.d", "support_kind": "technique", "held_on": "2023-03-15",
    "title": "Giúp sáu hộ trồng ngô giống mới", "households_helped": 6, "pupils_helped": 0,
    "beneficiary_area": "poor_person", "resources": [{ "cash_vnd": 12000000 }] } }))]
pub struct ActivityAmendment {
    /// All of it.
    #[garde(dive)]
    pub content: ActivityContent,
}

/// Replaces the content of an activity that is a draft or was returned.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), request_body = ActivityAmendment, responses((status = 200, body = ActivityView)))]
#[post("/activities/{id}:amend")]
pub async fn amend_activity(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ActivityAmendment>,
) -> Result<HttpResponse, Error> {
    let content = &body.value.content;
    resource::step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &activity::Model| {
        resource::differs(&old.content()?, content, "/content")?;
        may_say(tx, &permit, old, content).await?;
        store::amend(tx, old, content).await
    })
    .await
}

/// Hands an activity in for a decision.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), responses((status = 200, body = ActivityView)))]
#[post("/activities/{id}:submit")]
pub async fn submit_activity(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    let submit = async |tx: &WriteTx<'_>, old: &activity::Model| store::submit(tx, old).await;
    resource::step(&app, &permit, id.0, &if_match, "submit", submit).await
}

/// Why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Thiếu biên bản họp bản" }))]
pub struct ActivityReason {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Sends a submitted activity back. Whoever submitted it cannot.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), request_body = ActivityReason, responses((status = 200, body = ActivityView)))]
#[post("/activities/{id}:return")]
pub async fn return_activity(
    app: App,
    permit: Permit<AcceptActivities>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ActivityReason>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let send_back = async |tx: &WriteTx<'_>, old: &activity::Model| store::send_back(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "return", send_back).await
}

/// Accepts a submitted activity. Whoever submitted it cannot.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), responses((status = 200, body = ActivityView)))]
#[post("/activities/{id}:accept")]
pub async fn accept_activity(
    app: App,
    permit: Permit<AcceptActivities>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    let accept = async |tx: &WriteTx<'_>, old: &activity::Model| store::accept(tx, old).await;
    resource::step(&app, &permit, id.0, &if_match, "accept", accept).await
}

/// The right content of an accepted activity, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "content": { "clause_kind": "II.d", "support_kind": "technique", "held_on": "2023-03-15",
    "title": "Giúp bốn hộ trồng ngô giống mới", "households_helped": 4, "pupils_helped": 0,
    "beneficiary_area": "poor_person", "resources": [{ "cash_vnd": 9000000 }] }, "reason": "Đếm nhầm một hộ" }))]
pub struct ActivityCorrection {
    /// All of it.
    #[garde(dive)]
    pub content: ActivityContent,
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Corrects an accepted activity; it then has to be accepted anew.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), request_body = ActivityCorrection, responses((status = 200, body = ActivityView)))]
#[post("/activities/{id}:correct")]
pub async fn correct_activity(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ActivityCorrection>,
) -> Result<HttpResponse, Error> {
    let ActivityCorrection { content, reason } = &body.value;
    resource::step(&app, &permit, id.0, &if_match, "correct", async |tx: &WriteTx<'_>, old: &activity::Model| {
        resource::differs(&old.content()?, content, "/content")?;
        may_say(tx, &permit, old, content).await?;
        store::correct(tx, old, content, reason).await
    })
    .await
}

/// Takes an activity back; that is the end of it.
#[utoipa::path(tag = "activities", params(("id" = Uuid, Path)), request_body = ActivityReason, responses((status = 200, body = ActivityView)))]
#[post("/activities/{id}:withdraw")]
pub async fn withdraw_activity(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
    body: Body<ActivityReason>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let withdraw = async |tx: &WriteTx<'_>, old: &activity::Model| store::withdraw(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "withdraw", withdraw).await
}

/// Another day can be another place: a village moves. Nobody writes a record out of their own reach.
async fn may_say(
    tx: &WriteTx<'_>,
    permit: &Permit<ReportActivities>,
    old: &activity::Model,
    content: &ActivityContent,
) -> Result<(), Error> {
    let today = permit.caller.today;
    let place = scope::place(tx.conn(), old.unit_id, content.held_on, today).await?;
    if !permit.may(&place) {
        return Err(Code::Forbidden.into());
    }
    fits(tx, old.campaign_id, &place, content, today).await
}

/// Only accepted activities stand in registers: one that becomes accepted, or ceases to be, needs them open.
pub(super) async fn require_open_registers(
    tx: &WriteTx<'_>,
    old: &activity::Model,
    new: &activity::Model,
) -> Result<(), Error> {
    let mut standing = entries::Standing::new();
    for row in [old, new] {
        if row.state()? == ActivityState::Accepted {
            standing.extend(entries::entries(row.unit_id, row.held_on, &row.contributions()?));
        }
    }
    for (unit, name, day) in standing {
        registers::store::require_open(tx, new.campaign_id, unit, name, day).await?;
    }
    Ok(())
}
