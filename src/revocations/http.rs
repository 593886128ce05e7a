//! Revocations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, revocation};
use super::{RevocationDraft, RevocationState};
use crate::auth::policy::permit::RevokeTokens;
use crate::auth::{Permission, Permit};
use crate::clock::{Micros, rfc3339};
use crate::db::WriteTx;
use crate::error::{Code, Error};
use crate::grants;
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, Listing, Operation, PathId, Query, Registry, answer, created, found,
};
use crate::log::http::{EventPage, History, history};

const fn operation(id: &'static str, call: Call, events: &'static [&'static str]) -> Operation {
    Operation { id, permission: Permission::RevokeTokens, call, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    operation("list_revocations", Call::Read, &[]),
    operation("get_revocation", Call::Read, &[]),
    operation("list_revocation_events", Call::Read, &[]),
    operation("revoke_tokens", Call::Create, &["token.revoked"]),
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config.service(list_revocations).service(get_revocation).service(list_revocation_events).service(revoke_tokens);
}

/// A revocation as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevocationView {
    /// Identity.
    pub id: Uuid,
    /// Every token of this session.
    #[schema(max_length = 255)]
    pub sid: Option<String>,
    /// This token.
    #[schema(max_length = 255)]
    pub jti: Option<String>,
    /// Tokens of this account.
    pub account: Option<Uuid>,
    /// With an account: its tokens issued before this, UTC.
    #[schema(format = DateTime)]
    pub issued_before: Option<String>,
    /// Why; null after erasure.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// When it may be forgotten, UTC; never if null.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// How it stands now.
    pub state: RevocationState,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC: from then on it holds.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl RevocationView {
    fn new(row: revocation::Model, at: Micros) -> Self {
        Self {
            id: row.id,
            sid: row.sid,
            jti: row.jti,
            account: row.account_id,
            issued_before: row.issued_before.map(rfc3339),
            reason: row.revoke_reason,
            expires_at: row.expires_at.map(rfc3339),
            state: RevocationState::of(row.expires_at, at),
            version: row.version,
            created_at: rfc3339(row.created_at),
        }
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevocationQuery {
    /// Of this account's tokens, without those revoked by `sid` or `jti`.
    #[garde(skip)]
    account: Option<Uuid>,
    /// As they stand now.
    #[garde(skip)]
    state: Option<RevocationState>,
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

/// Lists revocations.
#[utoipa::path(tag = "access", params(RevocationQuery), responses((status = 200, body = Page<RevocationView>)))]
#[get("/revocations")]
pub async fn list_revocations(
    request: HttpRequest,
    app: App,
    permit: Permit<RevokeTokens>,
    query: Query<RevocationQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let at = permit.context.at;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let filter = Filter { account: query.account, state: query.state, changed_since: query.changed_since };
    let found = store::page(app.db.reader().conn(), &filter, at, &listing.slice).await?;
    listing.answer(found, |row| row.id, |row| Ok(RevocationView::new(row, at)))
}

/// Reads a revocation.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path)), responses((status = 200, body = RevocationView)))]
#[get("/revocations/{id}")]
pub async fn get_revocation(
    request: HttpRequest,
    app: App,
    permit: Permit<RevokeTokens>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &RevocationView::new(row, permit.context.at))
}

/// Reads a revocation's history.
#[utoipa::path(tag = "access", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/revocations/{id}/events")]
pub async fn list_revocation_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<RevokeTokens>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// Revokes a token, a session, or what an account was given so far; holds from the next request on.
#[utoipa::path(tag = "access", request_body = RevocationDraft, responses((status = 201, body = RevocationView)))]
#[post("/revocations")]
pub async fn revoke_tokens(
    app: App,
    permit: Permit<RevokeTokens>,
    key: IdempotencyKey,
    body: Body<RevocationDraft>,
) -> Result<HttpResponse, Error> {
    let at = permit.context.at;
    let times = body.value.times(at, app.verifier.longest_life())?;
    let once = key.once("revoke_tokens", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        if let Some(account) = body.value.account {
            let known = grants::store::find_account(tx.conn(), account).await?;
            known.ok_or_else(|| Error::invalid("/account", "không có tài khoản này", "there is no such account"))?;
        }
        let row = store::revoke(tx, &body.value, times).await?;
        let (location, version) = (format!("/v1/revocations/{}", row.id), row.version);
        created(location, version, &RevocationView::new(row, at))
    });
    Ok(answer(stored.await?))
}
