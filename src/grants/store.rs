//! Accounts and grants in SQL.

use chrono::NaiveDate;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, Statement, Value as SqlValue};
use serde_json::Value;
use uuid::Uuid;

use super::{AccountState, GrantDraft, GrantState};
use crate::auth::token::Caller as Identity;
use crate::auth::{Held, Role, Scope};
use crate::clock::Micros;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, Record, WriteTx, list::List};
use crate::error::{Code, Error};
use crate::http::page::{Found, Slice};
use crate::revocations::store::revoked;
use crate::{id, record, revocations};

record! {
    /// A person or program that may hold grants.
    account in "account", unit: |_| None, campaign: |_| None, day: |_| None, {
        internal issuer: String,
        personal [looked_up] subject: Option<String>,
        personal [searched] label: Option<String>,
        internal state: String,
    }
}

record! {
    /// A role within a unit's subtree for a time.
    role_grant in "role_grant", unit: |row| row.unit_id, campaign: |_| None, day: |_| None, {
        internal account_id: Uuid,
        internal role: String,
        internal unit_id: Option<Uuid>,
        internal valid_from: Date,
        internal valid_to: Option<Date>,
        personal end_reason: Option<String>,
    }
}

#[derive(FromQueryResult)]
struct HeldRow {
    revoked: bool,
    id: Option<Uuid>,
    role: Option<String>,
    unit_id: Option<Uuid>,
}

/// What the database says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An administrator revoked it.
    Revoked,
    /// No account stands behind it.
    Stranger,
    /// This account, with its grants of the day.
    Account(Uuid, Vec<Held>),
}

/// A token, its account and that account's grants of a day. One row at least, so that a revoked token is known as such
/// whoever holds it.
const HOLDER: &str = concat!(
    "SELECT ",
    revoked!(),
    " AS revoked, a.id, g.role, g.unit_id FROM (SELECT 1 AS one) asked \
     LEFT JOIN account a ON a.issuer = $5 AND a.subject = $6 AND a.state = 'active' \
     LEFT JOIN role_grant g ON g.account_id = a.id AND g.valid_from <= $7 AND (g.valid_to IS NULL OR g.valid_to >= $7) \
     ORDER BY g.id"
);

/// Who holds a token, and whether it is still good; one query, on every request.
pub async fn holder(conn: &impl Conn, token: &Identity, at: Micros, today: NaiveDate) -> Result<Holder, Error> {
    let [sid, jti, at, issued_at] = revocations::store::revoked_values(token, at);
    let person: [SqlValue; 3] = [token.issuer.as_str().into(), token.subject.as_str().into(), today.into()];
    let values = [sid, jti, at, issued_at].into_iter().chain(person);
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), HOLDER, values);
    let rows = HeldRow::find_by_statement(statement).all(conn).await.map_err(translate)?;
    if rows.iter().any(|row| row.revoked) {
        return Ok(Holder::Revoked);
    }
    let Some(account) = rows.first().and_then(|row| row.id) else { return Ok(Holder::Stranger) };
    let held =
        rows.into_iter().filter_map(|row| Some(Held { role: Role::parse(row.role.as_deref()?)?, unit: row.unit_id }));
    Ok(Holder::Account(account, held.collect()))
}

/// Whether an account holds this role for this unit on a day.
pub async fn holds(conn: &impl Conn, account: Uuid, wanted: &Held, today: NaiveDate) -> Result<bool, Error> {
    let unit = match wanted.unit {
        Some(unit) => role_grant::Column::UnitId.eq(unit),
        None => role_grant::Column::UnitId.is_null(),
    };
    let grants = role_grant::Entity::find()
        .filter(role_grant::Column::AccountId.eq(account))
        .filter(role_grant::Column::Role.eq(wanted.role.as_str()))
        .filter(unit)
        .filter(stands(GrantState::Valid, today));
    Ok(db::one(conn, grants).await.map_err(translate)?.is_some())
}

/// The account of this issuer and subject, registered if it is new.
pub async fn account_for(tx: &WriteTx<'_>, draft: &GrantDraft) -> Result<account::Model, Error> {
    tx.lock("accounts").await?;
    let known = account::Entity::find()
        .filter(account::Column::Issuer.eq(draft.issuer.as_str()))
        .filter(account::Column::Subject.eq(draft.subject.as_str()));
    if let Some(account) = db::one(tx.conn(), known).await.map_err(translate)? {
        return Ok(account);
    }
    let account = account::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        issuer: draft.issuer.clone(),
        subject: Some(draft.subject.clone()),
        label: draft.label.clone(),
        state: "active".to_owned(),
    };
    tx.insert(account, Event::new("account.registered")).await
}

/// 409 if the account has this role for this unit already on some day of the new grant. Called under the lock of accounts.
pub async fn not_given(tx: &WriteTx<'_>, account: Uuid, draft: &GrantDraft, today: NaiveDate) -> Result<(), Error> {
    let from = draft.valid_from.unwrap_or(today);
    let mut same = role_grant::Entity::find()
        .filter(role_grant::Column::AccountId.eq(account))
        .filter(role_grant::Column::Role.eq(draft.role.as_str()))
        .filter(role_grant::Column::ValidTo.is_null().or(role_grant::Column::ValidTo.gte(from)));
    same = match draft.unit {
        Some(unit) => same.filter(role_grant::Column::UnitId.eq(unit)),
        None => same.filter(role_grant::Column::UnitId.is_null()),
    };
    if let Some(to) = draft.valid_to {
        same = same.filter(role_grant::Column::ValidFrom.lte(to));
    }
    match db::one(tx.conn(), same).await.map_err(translate)? {
        Some(row) => Err(Error::new(Code::AlreadyExists).member("grant", row.id.to_string())),
        None => Ok(()),
    }
}

/// Gives a role.
pub async fn give(
    tx: &WriteTx<'_>,
    account: Uuid,
    draft: &GrantDraft,
    today: NaiveDate,
) -> Result<role_grant::Model, Error> {
    let grant = role_grant::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        account_id: account,
        role: draft.role.as_str().to_owned(),
        unit_id: draft.unit,
        valid_from: draft.valid_from.unwrap_or(today),
        valid_to: draft.valid_to,
        end_reason: None,
    };
    tx.insert(grant, Event::new("grant.given")).await
}

/// The grant, to be changed in this transaction.
pub async fn locked(tx: &WriteTx<'_>, id: Uuid) -> Result<role_grant::Model, Error> {
    role_grant::Model::find_locked(tx.conn(), id).await.map_err(translate)?.ok_or_else(|| Code::NotFound.into())
}

/// Ends a grant: its last day is `last`.
pub async fn end(
    tx: &WriteTx<'_>,
    old: &role_grant::Model,
    last: NaiveDate,
    reason: &str,
) -> Result<role_grant::Model, Error> {
    let new = role_grant::Model { valid_to: Some(last), end_reason: Some(reason.to_owned()), ..old.clone() };
    tx.update(old, new, Event::because("grant.ended", reason)).await
}

/// The grants of an account, all of which have ended: 409 if one has not, since its holder would lose it without a word.
pub async fn all_ended(tx: &WriteTx<'_>, account: Uuid, today: NaiveDate) -> Result<Vec<Uuid>, Error> {
    tx.lock("accounts").await?;
    let grants = role_grant::Entity::find().filter(role_grant::Column::AccountId.eq(account));
    let grants = db::all(tx.conn(), grants).await.map_err(translate)?;
    let ended = |row: &role_grant::Model| GrantState::of(row.valid_from, row.valid_to, today) == GrantState::Ended;
    match grants.iter().find(|row| !ended(row)) {
        Some(row) => Err(Error::new(Code::InUse).member("grant", row.id.to_string())),
        None => Ok(grants.into_iter().map(|row| row.id).collect()),
    }
}

/// One grant.
pub async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<role_grant::Model>, Error> {
    role_grant::Model::find(conn, id).await.map_err(translate)
}

/// One account.
pub async fn find_account(conn: &impl Conn, id: Uuid) -> Result<Option<account::Model>, Error> {
    account::Model::find(conn, id).await.map_err(translate)
}

/// What a list of grants is narrowed to.
#[derive(Clone, Debug)]
pub struct GrantFilter {
    /// Of this account.
    pub account: Option<Uuid>,
    /// For this unit.
    pub unit: Option<Uuid>,
    /// For units that this covers today.
    pub within: Option<Scope>,
    /// Of this role.
    pub role: Option<Role>,
    /// As they stand today.
    pub state: Option<GrantState>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of grants.
pub async fn page(
    conn: &impl Conn,
    filter: &GrantFilter,
    today: NaiveDate,
    slice: &Slice,
) -> Result<Found<role_grant::Model>, Error> {
    List::<role_grant::Entity>::all()
        .equal(role_grant::Column::AccountId, filter.account)
        .equal(role_grant::Column::UnitId, filter.unit)
        .given(filter.within.as_ref().map(|within| covered(within, today)))
        .equal(role_grant::Column::Role, filter.role.map(Role::as_str))
        .given(filter.state.map(|state| stands(state, today)))
        .changed_since(filter.changed_since)
        .page(conn, role_grant::Column::Id, slice)
        .await
}

fn covered(within: &Scope, today: NaiveDate) -> SimpleExpr {
    within.covers(Expr::col((role_grant::Entity, role_grant::Column::UnitId)), Expr::val(today))
}

/// The condition that a grant is in this state today; [`GrantState::of`] says the same of one grant.
fn stands(state: GrantState, today: NaiveDate) -> SimpleExpr {
    let ended = || role_grant::Column::ValidTo.is_not_null().and(role_grant::Column::ValidTo.lt(today));
    let begun = || role_grant::Column::ValidFrom.lte(today);
    match state {
        GrantState::Ended => ended(),
        GrantState::Upcoming => ended().not().and(begun().not()),
        GrantState::Valid => ended().not().and(begun()),
    }
}

/// What a list of accounts is narrowed to.
#[derive(Clone, Debug)]
pub struct AccountFilter {
    /// With a grant for this unit that is valid today.
    pub unit: Option<Uuid>,
    /// With a grant, valid today, for a unit that this covers.
    pub within: Option<Scope>,
    /// In this state.
    pub state: Option<AccountState>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of accounts.
pub async fn accounts(
    conn: &impl Conn,
    filter: &AccountFilter,
    today: NaiveDate,
    slice: &Slice,
) -> Result<Found<account::Model>, Error> {
    let granted = |unit: SimpleExpr| {
        let mut grants = Query::select();
        grants
            .expr(Expr::val(1))
            .from(role_grant::Entity)
            .and_where(
                Expr::col((role_grant::Entity, role_grant::Column::AccountId))
                    .eq(Expr::col((account::Entity, account::Column::Id))),
            )
            .and_where(stands(GrantState::Valid, today))
            .and_where(unit);
        Expr::exists(grants)
    };
    List::<account::Entity>::all()
        .given(filter.unit.map(|unit| granted(role_grant::Column::UnitId.eq(unit))))
        .given(filter.within.as_ref().map(|within| granted(covered(within, today))))
        .equal(account::Column::State, filter.state.map(AccountState::as_str))
        .changed_since(filter.changed_since)
        .page(conn, account::Column::Id, slice)
        .await
}
