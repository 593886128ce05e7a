//! Nominations in SQL.

use chrono::NaiveDate;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{NominationContent, NominationDraft, NominationPath, NominationState};
use crate::auth::Scope;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx, list::List};
use crate::error::Error;
use crate::evidence::Evidence;
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// A proposal to commend a unit.
    nomination in "nomination",
    unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id), day: |row| Some(row.filed_on), {
        public campaign_id: Uuid,
        public round: String,
        public unit_id: Uuid,
        public award_form: String,
        public path: String,
        public nominator_unit: Uuid,
        public filed_on: Date,
        personal achievement: Option<String>,
        internal evidence: Json,
        public state: String,
        internal submitted_by: Option<Uuid>,
        internal returned_by: Option<Uuid>,
        personal return_reason: Option<String>,
        personal change_reason: Option<String>,
    }
}

impl nomination::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<NominationState, Error> {
        NominationState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// The path as a word.
    pub fn path(&self) -> Result<NominationPath, Error> {
        NominationPath::parse(&self.path).ok_or_else(|| Error::internal("an unknown path"))
    }

    /// The papers.
    pub fn evidence(&self) -> Result<Vec<Evidence>, Error> {
        Vec::deserialize(&self.evidence).map_err(Error::internal)
    }

    fn in_state(&self, state: NominationState) -> Self {
        Self { state: state.as_str().to_owned(), ..self.clone() }
    }
}

/// Writes a draft.
pub async fn file(tx: &WriteTx<'_>, draft: &NominationDraft, filed_on: NaiveDate) -> Result<nomination::Model, Error> {
    let row = nomination::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: draft.campaign,
        round: draft.round.clone(),
        unit_id: draft.unit,
        award_form: draft.award_form.clone(),
        path: draft.path.as_str().to_owned(),
        nominator_unit: draft.nominator_unit,
        filed_on,
        achievement: Some(draft.achievement.clone()),
        evidence: serde_json::to_value(&draft.evidence).map_err(Error::internal)?,
        state: NominationState::Draft.as_str().to_owned(),
        submitted_by: None,
        returned_by: None,
        return_reason: None,
        change_reason: None,
    };
    tx.insert(row, Event::new("nomination.filed")).await
}

/// Replaces achievement and evidence.
pub async fn amend(
    tx: &WriteTx<'_>,
    old: &nomination::Model,
    content: &NominationContent,
) -> Result<nomination::Model, Error> {
    let evidence = serde_json::to_value(&content.evidence).map_err(Error::internal)?;
    let achievement = Some(content.achievement.clone());
    let new = nomination::Model { achievement, evidence, ..old.clone() };
    tx.update(old, new, Event::new("nomination.amended")).await
}

/// Submits; what was said when it was returned stays in the events.
pub async fn submit(tx: &WriteTx<'_>, old: &nomination::Model) -> Result<nomination::Model, Error> {
    let submitted = old.in_state(NominationState::Submitted);
    let new = nomination::Model { submitted_by: tx.account(), returned_by: None, return_reason: None, ..submitted };
    tx.update(old, new, Event::new("nomination.submitted")).await
}

/// Sends it back.
pub async fn send_back(tx: &WriteTx<'_>, old: &nomination::Model, reason: &str) -> Result<nomination::Model, Error> {
    let returned = old.in_state(NominationState::Returned);
    let return_reason = Some(reason.to_owned());
    let new = nomination::Model { returned_by: tx.account(), return_reason, ..returned };
    tx.update(old, new, Event::because("nomination.returned", reason)).await
}

/// Withdraws it for good.
pub async fn withdraw(tx: &WriteTx<'_>, old: &nomination::Model, reason: &str) -> Result<nomination::Model, Error> {
    let new = nomination::Model { change_reason: Some(reason.to_owned()), ..old.in_state(NominationState::Withdrawn) };
    tx.update(old, new, Event::because("nomination.withdrawn", reason)).await
}

/// Nominations of one subject in one round for one award form are filed one after another.
pub async fn lock(tx: &WriteTx<'_>, draft: &NominationDraft) -> Result<(), Error> {
    let NominationDraft { campaign, round, unit, award_form, path, .. } = draft;
    tx.lock(&format!("nomination {campaign} {round} {unit} {award_form} {path}")).await
}

/// The nomination that stands for the same subject, round and award form, withdrawn ones aside.
pub async fn standing(conn: &impl Conn, draft: &NominationDraft) -> Result<Option<Uuid>, Error> {
    let select = nomination::Entity::find()
        .filter(nomination::Column::UnitId.eq(draft.unit))
        .filter(nomination::Column::CampaignId.eq(draft.campaign))
        .filter(nomination::Column::Round.eq(&draft.round))
        .filter(nomination::Column::AwardForm.eq(&draft.award_form))
        .filter(nomination::Column::Path.eq(draft.path.as_str()))
        .filter(nomination::Column::State.ne(NominationState::Withdrawn.as_str()));
    Ok(db::one(conn, select).await.map_err(translate)?.map(|row| row.id))
}

/// What a list of nominations is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see, of subjects or of nominators.
    pub scope: Scope,
    /// Of this subject.
    pub unit: Option<Uuid>,
    /// Of units that this covers.
    pub within: Option<Scope>,
    /// In this state.
    pub state: Option<NominationState>,
    /// Of this round.
    pub round: Option<String>,
    /// Of this campaign.
    pub campaign: Option<Uuid>,
    /// For this award form.
    pub award_form: Option<String>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of nominations.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<nomination::Model>, Error> {
    let concerned = |unit: &str| filter.scope.condition("nomination", unit, "filed_on");
    List::<nomination::Entity>::of(concerned("unit_id").or(concerned("nominator_unit")))
        .equal(nomination::Column::CampaignId, filter.campaign)
        .equal(nomination::Column::UnitId, filter.unit)
        .equal(nomination::Column::Round, filter.round.as_deref())
        .equal(nomination::Column::AwardForm, filter.award_form.as_deref())
        .equal(nomination::Column::State, filter.state.map(NominationState::as_str))
        .given(filter.within.as_ref().map(|within| within.condition("nomination", "unit_id", "filed_on")))
        .changed_since(filter.changed_since)
        .page(conn, nomination::Column::Id, slice)
        .await
}
