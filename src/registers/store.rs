//! Registers in SQL.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::{RegisterDraft, RegisterState};
use crate::auth::{Place, Scope};
use crate::clock::civil_date;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx, list::List};
use crate::error::{Code, Error};
use crate::http::page::{Found, Slice};
use crate::observations::owner::Held;
use crate::observations::rights::About;
use crate::observations::store::visible;
use crate::units::lineage::Lineage;
use crate::{id, record, units};

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
        personal change_reason: Option<String>,
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

/// Refuses an entry that a closed register has no room for, with `register_closed`: its unit's own, or that of whoever
/// follows the unit, for whom the entry counts as well.
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
/// Closing takes this lock and those of everyone whom the unit follows, while nobody records who follows whom, so that
/// no entry slips in beside it.
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
        .filter(register::Column::UnitId.is_in(lineage(tx).await?.following(unit)))
        .filter(register::Column::Name.eq(name))
        .filter(register::Column::State.eq(RegisterState::Closed.as_str()))
        .filter(register::Column::Day.gte(day))
        .order_by_asc(register::Column::Day)
        .order_by_asc(register::Column::UnitId);
    match db::one(tx.conn(), closed).await.map_err(translate)? {
        None => Ok(()),
        Some(row) => {
            let error = Error::new(Code::RegisterClosed).member("register", row.id.to_string());
            Err(error.member("round", row.round))
        }
    }
}

/// Who follows whom by now.
async fn lineage(tx: &WriteTx<'_>) -> Result<Lineage, Error> {
    Ok(Lineage { edges: units::store::edges(tx.conn()).await?, ..Lineage::default() })
}

/// An entry as registers see it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The campaign.
    pub campaign: Uuid,
    /// The unit for which it counts.
    pub unit: Uuid,
    /// Its kind.
    pub name: String,
    /// The day on which it counts.
    pub day: NaiveDate,
}

/// For each entry whether some closed register leaves it no room: what [`require_open`] would say now.
pub async fn closed(conn: &impl Conn, entries: &[Entry]) -> Result<Vec<bool>, Error> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let campaigns: BTreeSet<Uuid> = entries.iter().map(|entry| entry.campaign).collect();
    let lineage = Lineage { edges: units::store::edges(conn).await?, ..Lineage::default() };
    let followers: Vec<BTreeSet<Uuid>> =
        entries.iter().map(|entry| lineage.following(entry.unit).into_iter().collect()).collect();
    let units: BTreeSet<Uuid> = followers.iter().flatten().copied().collect();
    let select = register::Entity::find()
        .filter(register::Column::CampaignId.is_in(campaigns))
        .filter(register::Column::UnitId.is_in(units))
        .filter(register::Column::Name.is_in(names))
        .filter(register::Column::State.eq(RegisterState::Closed.as_str()));
    let rows = db::all(conn, select).await.map_err(translate)?;
    let stands = |entry: &Entry, followers: &BTreeSet<Uuid>| {
        rows.iter().any(|row| {
            row.campaign_id == entry.campaign
                && row.name == entry.name
                && row.day >= entry.day
                && followers.contains(&row.unit_id)
        })
    };
    Ok(entries.iter().zip(&followers).map(|(entry, followers)| stands(entry, followers)).collect())
}

/// A record's place, and whether a closed register leaves no room for what the record says.
pub struct Entered {
    /// Its place.
    pub place: Place,
    /// True if a register that has it is closed.
    pub closed: bool,
}

/// Records with their places and the entries that each makes.
pub async fn entered(conn: &impl Conn, records: Vec<(Place, Vec<Entry>)>) -> Result<Vec<Entered>, Error> {
    let entries: Vec<Entry> = records.iter().flat_map(|(_, entries)| entries.clone()).collect();
    let mut closed = closed(conn, &entries).await?.into_iter();
    let enter = |(place, entries): (Place, Vec<Entry>)| {
        // Each record takes its own entries off, whatever the first of them says.
        let any = closed.by_ref().take(entries.len()).filter(|one| *one).count() > 0;
        Entered { place, closed: any }
    };
    Ok(records.into_iter().map(enter).collect())
}

/// Serialises closing with the entries of the register.
async fn lock(tx: &WriteTx<'_>, campaign: Uuid, unit: Uuid, name: &str) -> Result<(), Error> {
    tx.lock(&format!("register:{campaign}:{unit}:{name}")).await
}

/// Serialises closing with all entries that count for the unit, in the order in which entries lock.
async fn lock_all(tx: &WriteTx<'_>, campaign: Uuid, unit: Uuid, name: &str) -> Result<(), Error> {
    units::store::lock_room(tx).await?;
    for unit in lineage(tx).await?.followed(unit) {
        lock(tx, campaign, unit, name).await?;
    }
    Ok(())
}

/// Writes a closed register; `cut_off` is the round's.
pub async fn close(tx: &WriteTx<'_>, draft: &RegisterDraft, cut_off: NaiveDate) -> Result<register::Model, Error> {
    let RegisterDraft { campaign, unit, round, name } = draft;
    lock_all(tx, *campaign, *unit, name).await?;
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
        change_reason: None,
    };
    tx.insert(row.closed(tx), Event::new("register.closed")).await
}

/// Makes it unknown again whether the entries are complete.
pub async fn reopen(tx: &WriteTx<'_>, old: &register::Model, reason: &str) -> Result<register::Model, Error> {
    lock(tx, old.campaign_id, old.unit_id, &old.name).await?;
    let state = RegisterState::Open.as_str().to_owned();
    let change_reason = Some(reason.to_owned());
    let new = register::Model { state, closed_by: None, closed_on: None, change_reason, ..old.clone() };
    tx.update(old, new, Event::because("register.reopened", reason)).await
}

/// Closes it again, up to what is the round's cut-off by now.
pub async fn reclose(tx: &WriteTx<'_>, old: &register::Model, cut_off: NaiveDate) -> Result<register::Model, Error> {
    lock_all(tx, old.campaign_id, old.unit_id, &old.name).await?;
    let new = register::Model { day: cut_off, ..old.clone() };
    tx.update(old, new.closed(tx), Event::new("register.reclosed")).await
}

/// Every campaign that has registers.
pub async fn campaigns(conn: &impl Conn) -> Result<Vec<Uuid>, Error> {
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
    /// Of units that this covers.
    pub within: Option<Scope>,
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
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<register::Model>, Error> {
    List::<register::Entity>::of(visible("register", "day", &filter.scope, &filter.held))
        .equal(register::Column::CampaignId, filter.campaign)
        .equal(register::Column::UnitId, filter.unit)
        .equal(register::Column::Round, filter.round.as_deref())
        .equal(register::Column::Name, filter.name.as_deref())
        .equal(register::Column::State, filter.state.map(RegisterState::as_str))
        .given(filter.within.as_ref().map(|within| within.condition("register", "unit_id", "day")))
        .changed_since(filter.changed_since)
        .page(conn, register::Column::Id, slice)
        .await
}
