//! Activities in SQL.

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ActivityContent, ActivityDraft, ActivityResource, ActivityState, ActivityTotals};
use crate::auth::Scope;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx, list::List};
use crate::error::Error;
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// What a unit did for a campaign.
    activity in "activity", unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id),
    day: |row| Some(row.held_on), {
        public campaign_id: Uuid,
        public unit_id: Uuid,
        public clause_kind: String,
        public support_kind: String,
        public held_on: Date,
        personal [searched] title: Option<String>,
        personal description: Option<String>,
        public resources: Json,
        personal [searched] giver_names: Option<Json>,
        public cash_vnd: i64,
        public in_kind_vnd: i64,
        public labour_days: i64,
        public households_helped: i64,
        public pupils_helped: i64,
        public beneficiary_area: String,
        public receiving_unit: Option<Uuid>,
        internal evidence: Json,
        public state: String,
        internal written_by: Option<Uuid>,
        internal submitted_by: Option<Uuid>,
        internal decided_by: Option<Uuid>,
        personal return_reason: Option<String>,
        personal change_reason: Option<String>,
    }
}

/// One entry of the column `resources`: a line of help without the name of a giver who is no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// The unit that gave.
    pub giver_unit: Option<Uuid>,
    /// The unit that mobilised the help.
    pub mobiliser_unit: Option<Uuid>,
    /// Money, đồng.
    pub cash_vnd: i64,
    /// Value of goods, đồng.
    pub in_kind_vnd: i64,
    /// Days of labour.
    pub labour_days: i64,
}

impl Contribution {
    fn of(line: &ActivityResource) -> Self {
        let ActivityResource { giver_unit, giver_name: _, mobiliser_unit, cash_vnd, in_kind_vnd, labour_days } = *line;
        Self { giver_unit, mobiliser_unit, cash_vnd, in_kind_vnd, labour_days }
    }

    fn named(self, giver_name: Option<String>) -> ActivityResource {
        let Self { giver_unit, mobiliser_unit, cash_vnd, in_kind_vnd, labour_days } = self;
        ActivityResource { giver_unit, giver_name, mobiliser_unit, cash_vnd, in_kind_vnd, labour_days }
    }
}

impl activity::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<ActivityState, Error> {
        ActivityState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// The lines of help, without names.
    pub fn contributions(&self) -> Result<Vec<Contribution>, Error> {
        Vec::deserialize(&self.resources).map_err(Error::internal)
    }

    /// What the lines come to.
    pub fn totals(&self) -> ActivityTotals {
        ActivityTotals { cash_vnd: self.cash_vnd, in_kind_vnd: self.in_kind_vnd, labour_days: self.labour_days }
    }

    /// What the row says.
    pub fn content(&self) -> Result<ActivityContent, Error> {
        let names: Vec<Option<String>> = match &self.giver_names {
            Some(names) => Vec::deserialize(names).map_err(Error::internal)?,
            None => Vec::new(),
        };
        let names = names.into_iter().chain(std::iter::repeat(None));
        let lines = self.contributions()?.into_iter().zip(names);
        Ok(ActivityContent {
            clause_kind: self.clause_kind.clone(),
            support_kind: self.support_kind.clone(),
            held_on: self.held_on,
            title: self.title.clone(),
            description: self.description.clone(),
            resources: lines.map(|(line, name)| line.named(name)).collect(),
            households_helped: self.households_helped,
            pupils_helped: self.pupils_helped,
            beneficiary_area: self.beneficiary_area.clone(),
            receiving_unit: self.receiving_unit,
            evidence: Vec::deserialize(&self.evidence).map_err(Error::internal)?,
        })
    }

    /// The row with another content.
    fn with(&self, content: &ActivityContent) -> Result<Self, Error> {
        let ActivityTotals { cash_vnd, in_kind_vnd, labour_days } = content.totals();
        let lines: Vec<Contribution> = content.resources.iter().map(Contribution::of).collect();
        let names: Vec<Option<&String>> = content.resources.iter().map(|line| line.giver_name.as_ref()).collect();
        let giver_names = if names.iter().any(Option::is_some) { Some(json(&names)?) } else { None };
        Ok(Self {
            clause_kind: content.clause_kind.clone(),
            support_kind: content.support_kind.clone(),
            held_on: content.held_on,
            title: content.title.clone(),
            description: content.description.clone(),
            resources: json(&lines)?,
            giver_names,
            cash_vnd,
            in_kind_vnd,
            labour_days,
            households_helped: content.households_helped,
            pupils_helped: content.pupils_helped,
            beneficiary_area: content.beneficiary_area.clone(),
            receiving_unit: content.receiving_unit,
            evidence: json(&content.evidence)?,
            ..self.clone()
        })
    }

    /// The row in another state; who submitted it stays.
    fn in_state(&self, state: ActivityState) -> Self {
        Self { state: state.as_str().to_owned(), ..self.clone() }
    }

    /// The row as this account submits it: earlier decisions no longer stand.
    fn submitted(&self, tx: &WriteTx<'_>) -> Self {
        let row = self.in_state(ActivityState::Submitted);
        Self { submitted_by: tx.account(), decided_by: None, return_reason: None, ..row }
    }
}

fn json<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(Error::internal)
}

/// Writes a draft.
pub async fn report(tx: &WriteTx<'_>, draft: &ActivityDraft) -> Result<activity::Model, Error> {
    let row = activity::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: draft.campaign,
        unit_id: draft.unit,
        clause_kind: String::new(),
        support_kind: String::new(),
        held_on: draft.content.held_on,
        title: None,
        description: None,
        resources: Value::Null,
        giver_names: None,
        cash_vnd: 0,
        in_kind_vnd: 0,
        labour_days: 0,
        households_helped: 0,
        pupils_helped: 0,
        beneficiary_area: String::new(),
        receiving_unit: None,
        evidence: Value::Null,
        state: ActivityState::Draft.as_str().to_owned(),
        written_by: tx.account(),
        submitted_by: None,
        decided_by: None,
        return_reason: None,
        change_reason: None,
    };
    tx.insert(row.with(&draft.content)?, Event::new("activity.reported")).await
}

/// Replaces the content.
pub async fn amend(
    tx: &WriteTx<'_>,
    old: &activity::Model,
    content: &ActivityContent,
) -> Result<activity::Model, Error> {
    let new = activity::Model { written_by: tx.account(), ..old.with(content)? };
    tx.update(old, new, Event::new("activity.amended")).await
}

/// Hands it in for a decision.
pub async fn submit(tx: &WriteTx<'_>, old: &activity::Model) -> Result<activity::Model, Error> {
    tx.update(old, old.submitted(tx), Event::new("activity.submitted")).await
}

/// Sends it back; the reason stands in the row until it is submitted again.
pub async fn send_back(tx: &WriteTx<'_>, old: &activity::Model, reason: &str) -> Result<activity::Model, Error> {
    let row = old.in_state(ActivityState::Returned);
    let new = activity::Model { decided_by: tx.account(), return_reason: Some(reason.to_owned()), ..row };
    tx.update(old, new, Event::because("activity.returned", reason)).await
}

/// Accepts it.
pub async fn accept(tx: &WriteTx<'_>, old: &activity::Model) -> Result<activity::Model, Error> {
    let new = activity::Model { decided_by: tx.account(), ..old.in_state(ActivityState::Accepted) };
    tx.update(old, new, Event::new("activity.accepted")).await
}

/// Replaces the content of an accepted activity and hands it in again.
pub async fn correct(
    tx: &WriteTx<'_>,
    old: &activity::Model,
    content: &ActivityContent,
    reason: &str,
) -> Result<activity::Model, Error> {
    let row = old.with(content)?.submitted(tx);
    let new = activity::Model { written_by: tx.account(), change_reason: Some(reason.to_owned()), ..row };
    tx.update(old, new, Event::because("activity.corrected", reason)).await
}

/// Takes it back.
pub async fn withdraw(tx: &WriteTx<'_>, old: &activity::Model, reason: &str) -> Result<activity::Model, Error> {
    let new = activity::Model { change_reason: Some(reason.to_owned()), ..old.in_state(ActivityState::Withdrawn) };
    tx.update(old, new, Event::because("activity.withdrawn", reason)).await
}

/// What a list of activities is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see.
    pub scope: Scope,
    /// Of this campaign.
    pub campaign: Option<Uuid>,
    /// By this unit.
    pub unit: Option<Uuid>,
    /// Of units that this covers.
    pub within: Option<Scope>,
    /// In this state.
    pub state: Option<ActivityState>,
    /// Held on this day or earlier: a round's cut-off.
    pub until: Option<NaiveDate>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of activities.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<activity::Model>, Error> {
    List::<activity::Entity>::of(filter.scope.condition("activity", "unit_id", "held_on"))
        .equal(activity::Column::CampaignId, filter.campaign)
        .equal(activity::Column::UnitId, filter.unit)
        .equal(activity::Column::State, filter.state.map(ActivityState::as_str))
        .until(activity::Column::HeldOn, filter.until)
        .given(filter.within.as_ref().map(|within| within.condition("activity", "unit_id", "held_on")))
        .changed_since(filter.changed_since)
        .page(conn, activity::Column::Id, slice)
        .await
}

/// True if an accepted activity says that `receiver` was helped by `giver`, as the unit that did it or as a giver of
/// resources, on `by` or before (III.3.4).
pub async fn was_helped(
    conn: &impl Conn,
    campaign: Uuid,
    giver: Uuid,
    receiver: Uuid,
    by: NaiveDate,
) -> Result<bool, Error> {
    let select = activity::Entity::find()
        .filter(activity::Column::CampaignId.eq(campaign))
        .filter(activity::Column::ReceivingUnit.eq(receiver))
        .filter(activity::Column::State.eq(ActivityState::Accepted.as_str()))
        .filter(activity::Column::HeldOn.lte(by));
    for row in db::all(conn, select).await.map_err(translate)? {
        let gave = row.contributions()?.iter().any(|contribution| contribution.giver_unit == Some(giver));
        if gave || row.unit_id == giver {
            return Ok(true);
        }
    }
    Ok(false)
}
