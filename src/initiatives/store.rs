//! Initiatives in SQL.

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{InitiativeBeneficiary, InitiativeContent, InitiativeDraft, InitiativeKind, InitiativeState, Recognition};
use crate::auth::Scope;
use crate::db::{Conn, Event, WriteTx, list::List};
use crate::error::Error;
use crate::evidence::PaperNumber;
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// Something new that a unit proposed.
    initiative in "initiative", unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id),
    day: |row| Some(row.proposed_on), {
        public campaign_id: Uuid,
        public unit_id: Uuid,
        public kind: String,
        public beneficiary: String,
        personal [searched] title: Option<String>,
        personal description: Option<String>,
        public proposed_on: Date,
        internal evidence: Json,
        public state: String,
        public recognised_by: Option<Uuid>,
        public decision_number: Option<String>,
        public decided_on: Option<Date>,
        internal written_by: Option<Uuid>,
        internal submitted_by: Option<Uuid>,
        internal decided_by: Option<Uuid>,
        personal change_reason: Option<String>,
    }
}

impl initiative::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<InitiativeState, Error> {
        InitiativeState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// What those who proposed it say.
    pub fn content(&self) -> Result<InitiativeContent, Error> {
        Ok(InitiativeContent {
            kind: InitiativeKind::parse(&self.kind).ok_or_else(|| Error::internal("an unknown kind"))?,
            beneficiary: InitiativeBeneficiary::parse(&self.beneficiary)
                .ok_or_else(|| Error::internal("an unknown beneficiary"))?,
            title: self.title.clone(),
            description: self.description.clone(),
            proposed_on: self.proposed_on,
            evidence: Vec::deserialize(&self.evidence).map_err(Error::internal)?,
        })
    }

    /// The decision that recognised it; none unless it is recognised.
    pub fn recognition(&self) -> Option<Recognition> {
        Some(Recognition {
            recognised_by: self.recognised_by?,
            decision_number: PaperNumber(self.decision_number.clone()?),
            decided_on: self.decided_on?,
        })
    }

    /// The row with another content.
    fn with(&self, content: &InitiativeContent) -> Result<Self, Error> {
        Ok(Self {
            kind: content.kind.as_str().to_owned(),
            beneficiary: content.beneficiary.as_str().to_owned(),
            title: content.title.clone(),
            description: content.description.clone(),
            proposed_on: content.proposed_on,
            evidence: serde_json::to_value(&content.evidence).map_err(Error::internal)?,
            ..self.clone()
        })
    }

    /// The row in another state.
    fn in_state(&self, state: InitiativeState) -> Self {
        Self { state: state.as_str().to_owned(), ..self.clone() }
    }
}

/// Writes a draft.
pub async fn propose(tx: &WriteTx<'_>, draft: &InitiativeDraft) -> Result<initiative::Model, Error> {
    let row = initiative::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: draft.campaign,
        unit_id: draft.unit,
        kind: String::new(),
        beneficiary: String::new(),
        title: None,
        description: None,
        proposed_on: draft.content.proposed_on,
        evidence: Value::Null,
        state: InitiativeState::Draft.as_str().to_owned(),
        recognised_by: None,
        decision_number: None,
        decided_on: None,
        written_by: tx.account(),
        submitted_by: None,
        decided_by: None,
        change_reason: None,
    };
    tx.insert(row.with(&draft.content)?, Event::new("initiative.proposed")).await
}

/// Replaces the content.
pub async fn amend(
    tx: &WriteTx<'_>,
    old: &initiative::Model,
    content: &InitiativeContent,
) -> Result<initiative::Model, Error> {
    let new = initiative::Model { written_by: tx.account(), ..old.with(content)? };
    tx.update(old, new, Event::new("initiative.amended")).await
}

/// Hands it in for a decision.
pub async fn submit(tx: &WriteTx<'_>, old: &initiative::Model) -> Result<initiative::Model, Error> {
    let new = initiative::Model { submitted_by: tx.account(), ..old.in_state(InitiativeState::Submitted) };
    tx.update(old, new, Event::new("initiative.submitted")).await
}

/// Records the decision that recognised it.
pub async fn recognise(
    tx: &WriteTx<'_>,
    old: &initiative::Model,
    decision: &Recognition,
) -> Result<initiative::Model, Error> {
    let new = initiative::Model {
        recognised_by: Some(decision.recognised_by),
        decision_number: Some(decision.decision_number.0.clone()),
        decided_on: Some(decision.decided_on),
        decided_by: tx.account(),
        ..old.in_state(InitiativeState::Recognised)
    };
    tx.update(old, new, Event::new("initiative.recognised")).await
}

/// Records that it was not, or is no longer, recognised. A decision that no longer stands is left to the history.
pub async fn not_recognise(
    tx: &WriteTx<'_>,
    old: &initiative::Model,
    event: Event<'_>,
) -> Result<initiative::Model, Error> {
    let new = initiative::Model {
        recognised_by: None,
        decision_number: None,
        decided_on: None,
        decided_by: tx.account(),
        change_reason: event.reason.map(str::to_owned),
        ..old.in_state(InitiativeState::NotRecognised)
    };
    tx.update(old, new, event).await
}

/// Takes it back.
pub async fn withdraw(tx: &WriteTx<'_>, old: &initiative::Model, reason: &str) -> Result<initiative::Model, Error> {
    let new = initiative::Model { change_reason: Some(reason.to_owned()), ..old.in_state(InitiativeState::Withdrawn) };
    tx.update(old, new, Event::because("initiative.withdrawn", reason)).await
}

/// What a list of initiatives is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see.
    pub scope: Scope,
    /// Of this campaign.
    pub campaign: Option<Uuid>,
    /// Proposed by this unit.
    pub unit: Option<Uuid>,
    /// Of units that this covers.
    pub within: Option<Scope>,
    /// In this state.
    pub state: Option<InitiativeState>,
    /// Proposed on this day or earlier: a round's cut-off.
    pub until: Option<NaiveDate>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of initiatives.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<initiative::Model>, Error> {
    List::<initiative::Entity>::of(filter.scope.condition("initiative", "unit_id", "proposed_on"))
        .equal(initiative::Column::CampaignId, filter.campaign)
        .equal(initiative::Column::UnitId, filter.unit)
        .equal(initiative::Column::State, filter.state.map(InitiativeState::as_str))
        .until(initiative::Column::ProposedOn, filter.until)
        .given(filter.within.as_ref().map(|within| within.condition("initiative", "unit_id", "proposed_on")))
        .changed_since(filter.changed_since)
        .page(conn, initiative::Column::Id, slice)
        .await
}
