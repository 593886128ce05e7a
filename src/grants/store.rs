//! Accounts and grants in SQL.

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Statement, Value as SqlValue};
use serde_json::Value;
use uuid::Uuid;

use super::GrantDraft;
use crate::auth::{Held, Role};
use crate::db::constraint::{placeholders, translate};
use crate::db::{Event, Record, WriteTx, list};
use crate::error::{Code, Error};
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// A person or program that may hold grants.
    account in "account", unit: |_| None, campaign: |_| None, day: |_| None, {
        internal issuer: String,
        personal subject: Option<String>,
        personal label: Option<String>,
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
    id: Uuid,
    role: Option<String>,
    unit_id: Option<Uuid>,
}

/// The account of a token and its grants of `today`; one query, on every request.
pub async fn holder(
    conn: &impl ConnectionTrait,
    issuer: &str,
    subject: &str,
    today: NaiveDate,
) -> Result<Option<(Uuid, Vec<Held>)>, Error> {
    let backend = conn.get_database_backend();
    let p: Vec<String> = (1..=4).map(|n| placeholders(backend, n, 1)).collect();
    let sql = format!(
        "SELECT a.id, g.role, g.unit_id FROM account a LEFT JOIN role_grant g ON g.account_id = a.id \
         AND g.valid_from <= {} AND (g.valid_to IS NULL OR g.valid_to >= {}) \
         WHERE a.issuer = {} AND a.subject = {} AND a.state = 'active' ORDER BY g.id",
        p[0], p[1], p[2], p[3]
    );
    let values: [SqlValue; 4] = [today.into(), today.into(), issuer.into(), subject.into()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let rows = HeldRow::find_by_statement(statement).all(conn).await.map_err(translate)?;
    let Some(account) = rows.first().map(|row| row.id) else { return Ok(None) };
    let held =
        rows.into_iter().filter_map(|row| Some(Held { role: Role::parse(row.role.as_deref()?)?, unit: row.unit_id }));
    Ok(Some((account, held.collect())))
}

/// The account of this issuer and subject, registered if it is new.
pub async fn account_for(tx: &WriteTx<'_>, draft: &GrantDraft) -> Result<account::Model, Error> {
    tx.lock("accounts").await?;
    let known = account::Entity::find()
        .filter(account::Column::Issuer.eq(draft.issuer.as_str()))
        .filter(account::Column::Subject.eq(draft.subject.as_str()))
        .one(tx.conn());
    if let Some(account) = known.await.map_err(translate)? {
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

/// One grant.
pub async fn find(conn: &impl ConnectionTrait, id: Uuid) -> Result<Option<role_grant::Model>, Error> {
    role_grant::Model::find(conn, id).await.map_err(translate)
}

/// One account.
pub async fn find_account(conn: &impl ConnectionTrait, id: Uuid) -> Result<Option<account::Model>, Error> {
    account::Model::find(conn, id).await.map_err(translate)
}

/// What a list of grants is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this account.
    pub account: Option<Uuid>,
    /// For this unit.
    pub unit: Option<Uuid>,
    /// Of this role.
    pub role: Option<Role>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of grants.
pub async fn page(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    slice: Slice,
) -> Result<Found<role_grant::Model>, Error> {
    let mut select = role_grant::Entity::find();
    if let Some(account) = filter.account {
        select = select.filter(role_grant::Column::AccountId.eq(account));
    }
    if let Some(unit) = filter.unit {
        select = select.filter(role_grant::Column::UnitId.eq(unit));
    }
    if let Some(role) = filter.role {
        select = select.filter(role_grant::Column::Role.eq(role.as_str()));
    }
    if let Some(position) = filter.changed_since {
        select = select.filter(list::changed_since("role_grant", position));
    }
    list::page(conn, select, role_grant::Column::Id, slice).await
}

/// One page of accounts.
pub async fn accounts(
    conn: &impl ConnectionTrait,
    changed_since: Option<i64>,
    slice: Slice,
) -> Result<Found<account::Model>, Error> {
    let mut select = account::Entity::find();
    if let Some(position) = changed_since {
        select = select.filter(list::changed_since("account", position));
    }
    list::page(conn, select, account::Column::Id, slice).await
}
