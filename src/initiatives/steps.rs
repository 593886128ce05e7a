//! What happens to an initiative after it was proposed: amended, submitted, recognised or refused, revoked, withdrawn.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, post};
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::http::fits;
use super::store::{self, initiative};
use super::view::InitiativeView;
use super::{InitiativeContent, InitiativeState, Recognition};
use crate::auth::policy::permit::{RecogniseInitiatives, ReportActivities};
use crate::auth::{Permit, scope};
use crate::db::{Event, WriteTx};
use crate::error::{Code, Error};
use crate::http::resource::{self};
use crate::http::{App, Body, IfMatch, PathId};
use crate::{registers, units};

/// The content as it is to stand.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "content": { "kind": "obstacle_removal", "beneficiary": "poor_household",
    "title": "Họp bản lưu động để xét vay vốn và tập huấn", "proposed_on": "2023-05-20" } }))]
pub struct InitiativeAmendment {
    /// All of it.
    #[garde(dive)]
    pub content: InitiativeContent,
}

/// Replaces the content of an initiative that is a draft.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), request_body = InitiativeAmendment, responses((status = 200, body = InitiativeView)))]
#[post("/initiatives/{id}:amend")]
pub async fn amend_initiative(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
    body: Body<InitiativeAmendment>,
) -> Result<HttpResponse, Error> {
    let content = &body.value.content;
    resource::step(&app, &permit, id.0, &if_match, "amend", async |tx: &WriteTx<'_>, old: &initiative::Model| {
        resource::differs(&old.content()?, content, "/content")?;
        may_say(tx, &permit, old, content).await?;
        store::amend(tx, old, content).await
    })
    .await
}

/// Hands an initiative in for a decision.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), responses((status = 200, body = InitiativeView)))]
#[post("/initiatives/{id}:submit")]
pub async fn submit_initiative(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
) -> Result<HttpResponse, Error> {
    let submit = async |tx: &WriteTx<'_>, old: &initiative::Model| store::submit(tx, old).await;
    resource::step(&app, &permit, id.0, &if_match, "submit", submit).await
}

/// Why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Giải pháp đã có từ trước" }))]
pub struct InitiativeReason {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Records the decision that recognised a submitted initiative. Whoever submitted it cannot.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), request_body = Recognition, responses((status = 200, body = InitiativeView)))]
#[post("/initiatives/{id}:recognise")]
pub async fn recognise_initiative(
    app: App,
    permit: Permit<RecogniseInitiatives>,
    id: PathId,
    if_match: IfMatch,
    body: Body<Recognition>,
) -> Result<HttpResponse, Error> {
    let decision = &body.value;
    resource::step(&app, &permit, id.0, &if_match, "recognise", async |tx: &WriteTx<'_>, old: &initiative::Model| {
        let lineage = units::store::lineage(tx.conn()).await?;
        let by = decision.by(&lineage, old.unit_id);
        decision.check(old.proposed_on, by, permit.caller.today)?;
        store::recognise(tx, old, decision).await
    })
    .await
}

/// Records that a submitted initiative was not recognised. Whoever submitted it cannot.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), request_body = InitiativeReason, responses((status = 200, body = InitiativeView)))]
#[post("/initiatives/{id}:refuse")]
pub async fn refuse_initiative(
    app: App,
    permit: Permit<RecogniseInitiatives>,
    id: PathId,
    if_match: IfMatch,
    body: Body<InitiativeReason>,
) -> Result<HttpResponse, Error> {
    let event = Event::because("initiative.refused", &body.value.reason);
    let refuse = async |tx: &WriteTx<'_>, old: &initiative::Model| store::not_recognise(tx, old, event).await;
    resource::step(&app, &permit, id.0, &if_match, "refuse", refuse).await
}

/// Records that a recognition was revoked; the initiative no longer counts.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), request_body = InitiativeReason, responses((status = 200, body = InitiativeView)))]
#[post("/initiatives/{id}:revoke")]
pub async fn revoke_initiative(
    app: App,
    permit: Permit<RecogniseInitiatives>,
    id: PathId,
    if_match: IfMatch,
    body: Body<InitiativeReason>,
) -> Result<HttpResponse, Error> {
    let event = Event::because("initiative.revoked", &body.value.reason);
    let revoke = async |tx: &WriteTx<'_>, old: &initiative::Model| store::not_recognise(tx, old, event).await;
    resource::step(&app, &permit, id.0, &if_match, "revoke", revoke).await
}

/// Takes an initiative back; that is the end of it.
#[utoipa::path(tag = "initiatives", params(("id" = Uuid, Path)), request_body = InitiativeReason, responses((status = 200, body = InitiativeView)))]
#[post("/initiatives/{id}:withdraw")]
pub async fn withdraw_initiative(
    app: App,
    permit: Permit<ReportActivities>,
    id: PathId,
    if_match: IfMatch,
    body: Body<InitiativeReason>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let withdraw = async |tx: &WriteTx<'_>, old: &initiative::Model| store::withdraw(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "withdraw", withdraw).await
}

/// Another day can be another place: a village moves. Nobody writes a record out of their own reach.
async fn may_say(
    tx: &WriteTx<'_>,
    permit: &Permit<ReportActivities>,
    old: &initiative::Model,
    content: &InitiativeContent,
) -> Result<(), Error> {
    let today = permit.caller.today;
    let place = scope::place(tx.conn(), old.unit_id, content.proposed_on, today).await?;
    if !permit.may(&place) {
        return Err(Code::Forbidden.into());
    }
    fits(tx, old.campaign_id, old.unit_id, content, today).await
}

/// An initiative stands in its unit's register from its submission, dated by its decision once there is one.
pub(super) async fn require_open_register(
    tx: &WriteTx<'_>,
    old: &initiative::Model,
    new: &initiative::Model,
) -> Result<(), Error> {
    let stands = |row: &initiative::Model| {
        let silent = [InitiativeState::Draft, InitiativeState::Withdrawn].map(InitiativeState::as_str);
        (!silent.contains(&row.state.as_str())).then(|| (row.unit_id, row.decided_on.unwrap_or(row.proposed_on)))
    };
    let standing: BTreeSet<_> = [old, new].into_iter().filter_map(stands).collect();
    for (unit, day) in standing {
        registers::store::require_open(tx, new.campaign_id, unit, "initiative", day).await?;
    }
    Ok(())
}
