//! Revocations in SQL.

use sea_orm::sea_query::{ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, Value as SqlValue};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::{RevocationDraft, RevocationState, Times};
use crate::auth::token::Caller as Identity;
use crate::clock::Micros;
use crate::db::constraint::translate;
use crate::db::{Conn, Event, Record, WriteTx, list::List};
use crate::error::Error;
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// Tokens that are refused before they expire.
    revocation in "revocation", unit: |_| None, campaign: |_| None, day: |_| None, {
        internal sid: Option<String>,
        internal jti: Option<String>,
        internal account_id: Option<Uuid>,
        internal issued_before: Option<i64>,
        internal expires_at: Option<i64>,
        personal revoke_reason: Option<String>,
    }
}

/// True if the token of [`revoked_values`], whose account is `a`, is revoked. Part of the one query that every request
/// makes: a round trip of its own would cost more than the three look-ups.
macro_rules! revoked {
    () => {
        "(EXISTS (SELECT 1 FROM revocation r WHERE r.sid = $1 AND (r.expires_at IS NULL OR r.expires_at > $3)) \
         OR EXISTS (SELECT 1 FROM revocation r WHERE r.jti = $2 AND (r.expires_at IS NULL OR r.expires_at > $3)) \
         OR EXISTS (SELECT 1 FROM revocation r WHERE r.account_id = a.id AND r.issued_before > $4 \
                    AND (r.expires_at IS NULL OR r.expires_at > $3)))"
    };
}
pub(crate) use revoked;

/// What `$1` to `$4` stand for: `sid`, `jti`, the time of the request and that of the token.
pub fn revoked_values(token: &Identity, at: Micros) -> [SqlValue; 4] {
    // Bodies are brought to NFC at the edge, tokens are not.
    let composed = |id: &Option<String>| id.as_deref().map(|id| id.nfc().collect::<String>());
    let issued_at = token.issued_at.saturating_mul(1_000_000);
    [composed(&token.sid).into(), composed(&token.jti).into(), at.into(), issued_at.into()]
}

/// Revokes.
pub async fn revoke(tx: &WriteTx<'_>, draft: &RevocationDraft, times: Times) -> Result<revocation::Model, Error> {
    let revocation = revocation::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        sid: draft.sid.clone(),
        jti: draft.jti.clone(),
        account_id: draft.account,
        issued_before: times.issued_before,
        expires_at: times.expires_at,
        revoke_reason: Some(draft.reason.clone()),
    };
    tx.insert(revocation, Event::because("token.revoked", &draft.reason)).await
}

/// One revocation.
pub async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<revocation::Model>, Error> {
    revocation::Model::find(conn, id).await.map_err(translate)
}

/// What a list is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of this account's tokens.
    pub account: Option<Uuid>,
    /// As they stand now.
    pub state: Option<RevocationState>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of revocations.
pub async fn page(
    conn: &impl Conn,
    filter: &Filter,
    at: Micros,
    slice: &Slice,
) -> Result<Found<revocation::Model>, Error> {
    List::<revocation::Entity>::all()
        .equal(revocation::Column::AccountId, filter.account)
        .given(filter.state.map(|state| stands(state, at)))
        .changed_since(filter.changed_since)
        .page(conn, revocation::Column::Id, slice)
        .await
}

/// The condition that a revocation is in this state; [`RevocationState::of`] says the same of one.
fn stands(state: RevocationState, at: Micros) -> SimpleExpr {
    let end = revocation::Column::ExpiresAt;
    match state {
        RevocationState::Active => end.is_null().or(end.gt(at)),
        RevocationState::Over => end.is_not_null().and(end.lte(at)),
    }
}
