//! Registers in SQL.

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::{RegisterDraft, RegisterState};
use crate::auth::Scope;
use crate::clock::civil_date;
use crate::db::constraint::translate;
use crate::db::{Event, Record, WriteTx, list};
use crate::error::{Code, Error};
use crate::http::page::{Found, Slice};
use crate::observations::owner::Held;
use crate::observations::rights::About;
use crate::observations::store::visible;
use crate::{id, record};

record! {
    /// Whether one unit's entries of one kind are complete up to a round's cut-off.
    register in "register", unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id), day: |row| Some(row.day), {
        public campaign_id: Uuid,
        public unit_id: Uuid,
        public round: String,
        public name: String,
        public state: String,
        public day: Date,
        internal closed_by: Option<Uuid>,
        public closed_on: Option<Date>,
    }
}

impl register::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<RegisterState, Error> {
        RegisterState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// What it is about.
    pub fn about(&self) -> About<'_> {
        About { campaign: self.campaign_id, unit: self.unit_id, name: &self.name, day: self.day }
    }

    fn closed(self, tx: &WriteTx<'_>) -> Self {
        let state = RegisterState::Closed.as_str().to_owned();
        Self { state, closed_by: tx.account(), closed_on: Some(civil_date(tx.at())), ..self }
    }
}

/// Refuses an entry that a closed register has no room for, with `register_closed`.
///
/// Every room that holds entries calls this in the transaction that reports or changes one, before it writes:
///
/// - `name` is the kind of record (`obligation`, `initiative`, `support_activity`, `linkage`, …). An activity that is
///   or was accepted also changes `mobilised_vnd` of each mobiliser and `contribution_vnd` of each giver: call it for
///   those as well, with the mobiliser's or giver's unit.
/// - `day` is the day at which the entry counts. If a change moves it (or the unit), call this for both.
/// - With several calls in one transaction, make them in the order of (unit, name), so that two transactions cannot
///   wait for each other.
///
/// Closing takes the same lock, so that no entry slips in beside it.
pub async fn require_open(
    tx: &WriteTx<'_>,
    campaign: Uuid,
    unit: Uuid,
    name: &str,
    day: NaiveDate,
) -> Result<(), Error> {
    lock(tx, campaign, unit, name).await?;
    let closed = register::Entity::find()
        .filter(register::Column::CampaignId.eq(campaign))
        .filter(register::Column::UnitId.eq(unit))
        .filter(register::Column::Name.eq(name))
        .filter(register::Column::State.eq(RegisterState::Closed.as_str()))
        .filter(register::Column::Day.gte(day))
        .order_by_asc(register::Column::Day);
    match closed.one(tx.conn()).await.map_err(translate)? {
        None => Ok(()),
        Some(row) => {
            let error = Error::new(Code::RegisterClosed).member("register", row.id.to_string());
            Err(error.member("round", row.round))
        }
    }
}

/// Serialises closing with the entries of the register.
async fn lock(tx: &WriteTx<'_>, campaign: Uuid, unit: Uuid, name: &str) -> Result<(), Error> {
    tx.lock(&format!("register:{campaign}:{unit}:{name}")).await
}

/// Writes a closed register; `cut_off` is the round's.
pub async fn close(tx: &WriteTx<'_>, draft: &RegisterDraft, cut_off: NaiveDate) -> Result<register::Model, Error> {
    let RegisterDraft { campaign, unit, round, name } = draft;
    lock(tx, *campaign, *unit, name).await?;
    let row = register::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: *campaign,
        unit_id: *unit,
        round: round.clone(),
        name: name.clone(),
        state: String::new(),
        day: cut_off,
        closed_by: None,
        closed_on: None,
    };
    tx.insert(row.closed(tx), Event::new("register.closed")).await
}

/// Makes it unknown again whether the entries are complete.
pub async fn reopen(tx: &WriteTx<'_>, old: &register::Model, reason: &str) -> Result<register::Model, Error> {
    lock(tx, old.campaign_id, old.unit_id, &old.name).await?;
    let state = RegisterState::Open.as_str().to_owned();
    let new = register::Model { state, closed_by: None, closed_on: None, ..old.clone() };
    tx.update(old, new, Event::because("register.reopened", reason)).await
}

/// Closes it again, up to what is the round's cut-off by now.
pub async fn reclose(tx: &WriteTx<'_>, old: &register::Model, cut_off: NaiveDate) -> Result<register::Model, Error> {
    lock(tx, old.campaign_id, old.unit_id, &old.name).await?;
    let new = register::Model { day: cut_off, ..old.clone() };
    tx.update(old, new.closed(tx), Event::new("register.reclosed")).await
}

/// One register.
pub async fn find(conn: &impl ConnectionTrait, id: Uuid) -> Result<register::Model, Error> {
    register::Model::find(conn, id).await.map_err(translate)?.ok_or_else(|| Code::NotFound.into())
}

/// The register, to be changed in this transaction.
pub async fn locked(tx: &WriteTx<'_>, id: Uuid) -> Result<register::Model, Error> {
    register::Model::find_locked(tx.conn(), id).await.map_err(translate)?.ok_or_else(|| Code::NotFound.into())
}

/// Every campaign that has registers.
pub async fn campaigns(conn: &impl ConnectionTrait) -> Result<Vec<Uuid>, Error> {
    let ids = register::Entity::find().select_only().column(register::Column::CampaignId).distinct();
    ids.into_tuple().all(conn).await.map_err(translate)
}

/// What a list of registers is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see.
    pub scope: Scope,
    /// What the caller sees beyond.
    pub held: Vec<Held>,
    /// Of this campaign.
    pub campaign: Option<Uuid>,
    /// Of this unit.
    pub unit: Option<Uuid>,
    /// Of this round.
    pub round: Option<String>,
    /// Of this kind.
    pub name: Option<String>,
    /// In this state.
    pub state: Option<RegisterState>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of registers.
pub async fn page(conn: &impl ConnectionTrait, filter: &Filter, slice: Slice) -> Result<Found<register::Model>, Error> {
    let mut select = register::Entity::find().filter(visible("register", "day", &filter.scope, &filter.held));
    if let Some(campaign) = filter.campaign {
        select = select.filter(register::Column::CampaignId.eq(campaign));
    }
    if let Some(unit) = filter.unit {
        select = select.filter(register::Column::UnitId.eq(unit));
    }
    if let Some(round) = &filter.round {
        select = select.filter(register::Column::Round.eq(round));
    }
    if let Some(name) = &filter.name {
        select = select.filter(register::Column::Name.eq(name));
    }
    if let Some(state) = filter.state {
        select = select.filter(register::Column::State.eq(state.as_str()));
    }
    if let Some(position) = filter.changed_since {
        select = select.filter(list::changed_since("register", position));
    }
    list::page(conn, select, register::Column::Id, slice).await
}
