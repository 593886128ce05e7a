//! Observations in SQL.

use chrono::NaiveDate;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::owner::Held;
use super::rights::About;
use super::{Content, ObservationDraft, ObservationState, Sort};
use crate::auth::Scope;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx, list::List};
use crate::error::{Code, Error};
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// One fact that the rules read and no other room holds.
    observation in "observation", unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id), day: |row| Some(row.observed_on), {
        public campaign_id: Uuid,
        public unit_id: Uuid,
        public name: String,
        public sort: String,
        public period: Option<String>,
        public value_integer: Option<i64>,
        public value_text: Option<String>,
        public value_bool: Option<bool>,
        public value_date: Option<Date>,
        public known_none: bool,
        public fields: Option<Json>,
        public observed_on: Date,
        internal evidence: Json,
        public state: String,
        internal reported_by: Option<Uuid>,
        internal confirmed_by: Option<Uuid>,
        personal note: Option<String>,
        personal change_reason: Option<String>,
    }
}

impl observation::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<ObservationState, Error> {
        ObservationState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// The sort as a word.
    pub fn sort(&self) -> Result<Sort, Error> {
        Sort::parse(&self.sort).ok_or_else(|| Error::internal("an unknown sort"))
    }

    /// What it is about.
    pub fn about(&self) -> About<'_> {
        About { campaign: self.campaign_id, unit: self.unit_id, name: &self.name, day: self.observed_on }
    }

    /// What is said.
    pub fn content(&self) -> Result<Content, Error> {
        let fields = self.fields.as_ref().map(Option::deserialize).transpose().map_err(Error::internal)?.flatten();
        Ok(Content {
            value_integer: self.value_integer,
            value_text: self.value_text.clone(),
            value_bool: self.value_bool,
            value_date: self.value_date,
            known_none: self.known_none,
            fields,
            evidence: Vec::deserialize(&self.evidence).map_err(Error::internal)?,
            note: self.note.clone(),
        })
    }

    fn with(&self, content: &Content) -> Result<Self, Error> {
        let Content { value_integer, value_text, value_bool, value_date, known_none, fields, evidence, note } =
            content.clone();
        let fields = fields.map(serde_json::to_value).transpose().map_err(Error::internal)?;
        let evidence = serde_json::to_value(evidence).map_err(Error::internal)?;
        let old = self.clone();
        Ok(Self { value_integer, value_text, value_bool, value_date, known_none, fields, evidence, note, ..old })
    }
}

/// Refuses a second fact of the same name that is in effect for the same period or, without one, on the same day: what
/// was so on another day is history. Entries of registers may be many.
pub async fn only_one(tx: &WriteTx<'_>, draft: &ObservationDraft) -> Result<(), Error> {
    let ObservationDraft { campaign, unit, name, period, observed_on, .. } = draft;
    tx.lock(&format!("observation:{campaign}:{unit}:{name}:{}", period.as_deref().unwrap_or_default())).await?;
    let mut same = observation::Entity::find()
        .filter(observation::Column::CampaignId.eq(*campaign))
        .filter(observation::Column::UnitId.eq(*unit))
        .filter(observation::Column::Name.eq(name))
        .filter(observation::Column::State.ne(ObservationState::Withdrawn.as_str()));
    same = match period {
        Some(period) => same.filter(observation::Column::Period.eq(period)),
        None => {
            same.filter(observation::Column::Period.is_null()).filter(observation::Column::ObservedOn.eq(*observed_on))
        }
    };
    match db::one(tx.conn(), same).await.map_err(translate)? {
        Some(row) => Err(Error::new(Code::AlreadyExists).member("observation", row.id.to_string())),
        None => Ok(()),
    }
}

/// Writes a reported observation.
pub async fn report(tx: &WriteTx<'_>, draft: &ObservationDraft, sort: Sort) -> Result<observation::Model, Error> {
    let row = observation::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: draft.campaign,
        unit_id: draft.unit,
        name: draft.name.clone(),
        sort: sort.as_str().to_owned(),
        period: draft.period.clone(),
        value_integer: None,
        value_text: None,
        value_bool: None,
        value_date: None,
        known_none: false,
        fields: None,
        observed_on: draft.observed_on,
        evidence: Value::Null,
        state: ObservationState::Reported.as_str().to_owned(),
        reported_by: tx.account(),
        confirmed_by: None,
        note: None,
        change_reason: None,
    };
    tx.insert(row.with(&draft.content)?, Event::new("observation.reported")).await
}

/// Replaces what is said; whoever says it now is the one who reported it.
pub async fn amend(tx: &WriteTx<'_>, old: &observation::Model, content: &Content) -> Result<observation::Model, Error> {
    let new = observation::Model { reported_by: tx.account(), ..old.with(content)? };
    tx.update(old, new, Event::new("observation.amended")).await
}

/// Puts it into effect.
pub async fn confirm(tx: &WriteTx<'_>, old: &observation::Model) -> Result<observation::Model, Error> {
    let state = ObservationState::Confirmed.as_str().to_owned();
    let new = observation::Model { state, confirmed_by: tx.account(), ..old.clone() };
    tx.update(old, new, Event::new("observation.confirmed")).await
}

/// Replaces what is in effect; whoever corrects it answers for it.
pub async fn correct(
    tx: &WriteTx<'_>,
    old: &observation::Model,
    content: &Content,
    reason: &str,
) -> Result<observation::Model, Error> {
    let new =
        observation::Model { confirmed_by: tx.account(), change_reason: Some(reason.to_owned()), ..old.with(content)? };
    tx.update(old, new, Event::because("observation.corrected", reason)).await
}

/// Takes it out of effect.
pub async fn withdraw(tx: &WriteTx<'_>, old: &observation::Model, reason: &str) -> Result<observation::Model, Error> {
    let state = ObservationState::Withdrawn.as_str().to_owned();
    let new = observation::Model { state, change_reason: Some(reason.to_owned()), ..old.clone() };
    tx.update(old, new, Event::because("observation.withdrawn", reason)).await
}

/// Every campaign that has observations.
pub async fn campaigns(conn: &impl Conn) -> Result<Vec<Uuid>, Error> {
    let ids = observation::Entity::find().select_only().column(observation::Column::CampaignId).distinct();
    ids.into_tuple().all(conn).await.map_err(translate)
}

/// The records of a table with `campaign_id`, `unit_id`, `name` and a civil date that a caller sees: those of the
/// subtrees, and those whose owning body a unit of the caller's holds.
pub fn visible(table: &str, day: &str, scope: &Scope, held: &[Held]) -> SimpleExpr {
    let column = |name: &str| Expr::col((Alias::new(table), Alias::new(name)));
    held.iter().fold(scope.condition(table, "unit_id", day), |seen, held| {
        let owned = column("campaign_id").eq(held.campaign).and(column("name").is_in(held.names.clone()));
        let since = column(day).gte(held.from);
        let until = held.to.map_or(since.clone(), |to| since.clone().and(column(day).lte(to)));
        seen.or(owned.and(until))
    })
}

/// What a list of observations is narrowed to.
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
    /// Under this name.
    pub name: Option<String>,
    /// In this state.
    pub state: Option<ObservationState>,
    /// Of days up to this one.
    pub until: Option<NaiveDate>,
    /// Dated in this year.
    pub year: Option<i32>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of observations.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<observation::Model>, Error> {
    List::<observation::Entity>::of(visible("observation", "observed_on", &filter.scope, &filter.held))
        .equal(observation::Column::CampaignId, filter.campaign)
        .equal(observation::Column::UnitId, filter.unit)
        .equal(observation::Column::Name, filter.name.as_deref())
        .equal(observation::Column::State, filter.state.map(ObservationState::as_str))
        .in_year(observation::Column::ObservedOn, filter.year)
        .until(observation::Column::ObservedOn, filter.until)
        .given(filter.within.as_ref().map(|within| within.condition("observation", "unit_id", "observed_on")))
        .changed_since(filter.changed_since)
        .page(conn, observation::Column::Id, slice)
        .await
}
