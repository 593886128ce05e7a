//! Obligations in SQL.

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Fulfilment, ObligationDraft, ObligationKind, ObligationState, Terms};
use crate::auth::Scope;
use crate::db::{Conn, Event, WriteTx, list::List};
use crate::error::Error;
use crate::evidence::{Evidence, PaperNumber};
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// A paper or report that a unit owes by a day.
    obligation in "obligation", unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id), day: |row| Some(row.due_on), {
        public campaign_id: Uuid,
        public unit_id: Uuid,
        public kind: String,
        personal [searched] title: Option<String>,
        public document_number: Option<String>,
        public due_on: Date,
        public fulfilled_on: Option<Date>,
        public received_on: Option<Date>,
        public entered_later: bool,
        internal evidence: Json,
        public state: String,
        internal kept_by: Option<Uuid>,
        internal fulfilment_by: Option<Uuid>,
        personal change_reason: Option<String>,
    }
}

impl obligation::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<ObligationState, Error> {
        ObligationState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// What is owed.
    pub fn terms(&self) -> Result<Terms, Error> {
        Ok(Terms {
            kind: ObligationKind::parse(&self.kind).ok_or_else(|| Error::internal("an unknown kind of obligation"))?,
            title: self.title.clone(),
            document_number: self.document_number.clone().map(PaperNumber),
            due_on: self.due_on,
        })
    }

    /// How it was fulfilled, if it was.
    pub fn fulfilment(&self) -> Result<Option<Fulfilment>, Error> {
        let Some(fulfilled_on) = self.fulfilled_on else { return Ok(None) };
        let evidence: Vec<Evidence> = Vec::deserialize(&self.evidence).map_err(Error::internal)?;
        Ok(Some(Fulfilment { fulfilled_on, received_on: self.received_on, evidence }))
    }

    /// The day of fulfilment, if it was entered on that very day.
    pub fn entered_on_time(&self) -> Option<NaiveDate> {
        self.fulfilled_on.filter(|_| !self.entered_later)
    }

    fn with_terms(&self, terms: &Terms) -> Self {
        let Terms { kind, title, document_number, due_on } = terms.clone();
        let document_number = document_number.map(|number| number.0);
        Self { kind: kind.as_str().to_owned(), title, document_number, due_on, ..self.clone() }
    }

    fn with_fulfilment(&self, fulfilment: &Fulfilment, later: bool, by: Option<Uuid>) -> Result<Self, Error> {
        Ok(Self {
            fulfilled_on: Some(fulfilment.fulfilled_on),
            received_on: fulfilment.received_on,
            entered_later: later,
            evidence: serde_json::to_value(&fulfilment.evidence).map_err(Error::internal)?,
            state: ObligationState::Fulfilled.as_str().to_owned(),
            fulfilment_by: by,
            ..self.clone()
        })
    }
}

/// Writes an open obligation.
pub async fn impose(tx: &WriteTx<'_>, draft: &ObligationDraft) -> Result<obligation::Model, Error> {
    let row = obligation::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: draft.campaign,
        unit_id: draft.unit,
        kind: String::new(),
        title: None,
        document_number: None,
        due_on: draft.terms.due_on,
        fulfilled_on: None,
        received_on: None,
        entered_later: false,
        evidence: json!([]),
        state: ObligationState::Open.as_str().to_owned(),
        kept_by: tx.account(),
        fulfilment_by: None,
        change_reason: None,
    };
    tx.insert(row.with_terms(&draft.terms), Event::new("obligation.imposed")).await
}

/// Replaces what is owed.
pub async fn amend(tx: &WriteTx<'_>, old: &obligation::Model, terms: &Terms) -> Result<obligation::Model, Error> {
    let new = obligation::Model { kept_by: tx.account(), ..old.with_terms(terms) };
    tx.update(old, new, Event::new("obligation.amended")).await
}

/// Enters the fulfilment; `later` if on a later day than its own.
pub async fn fulfil(
    tx: &WriteTx<'_>,
    old: &obligation::Model,
    fulfilment: &Fulfilment,
    later: bool,
) -> Result<obligation::Model, Error> {
    let new = old.with_fulfilment(fulfilment, later, tx.account())?;
    tx.update(old, new, Event::new("obligation.fulfilled")).await
}

/// Replaces terms and fulfilment of what is fulfilled.
pub async fn correct(
    tx: &WriteTx<'_>,
    old: &obligation::Model,
    terms: &Terms,
    (fulfilment, later): (&Fulfilment, bool),
    reason: &str,
) -> Result<obligation::Model, Error> {
    let row = old.with_terms(terms).with_fulfilment(fulfilment, later, tx.account())?;
    let new = obligation::Model { change_reason: Some(reason.to_owned()), ..row };
    tx.update(old, new, Event::because("obligation.corrected", reason)).await
}

/// Ends what is owed.
pub async fn cancel(tx: &WriteTx<'_>, old: &obligation::Model, reason: &str) -> Result<obligation::Model, Error> {
    let state = ObligationState::Cancelled.as_str().to_owned();
    let new = obligation::Model { state, change_reason: Some(reason.to_owned()), ..old.clone() };
    tx.update(old, new, Event::because("obligation.cancelled", reason)).await
}

/// What a list of obligations is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see.
    pub scope: Scope,
    /// Of this campaign.
    pub campaign: Option<Uuid>,
    /// Owed by this unit.
    pub unit: Option<Uuid>,
    /// Of units that this covers.
    pub within: Option<Scope>,
    /// Of this kind.
    pub kind: Option<ObligationKind>,
    /// In this state.
    pub state: Option<ObligationState>,
    /// Due up to this day.
    pub until: Option<NaiveDate>,
    /// Dated in this year.
    pub year: Option<i32>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of obligations.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<obligation::Model>, Error> {
    List::<obligation::Entity>::of(filter.scope.condition("obligation", "unit_id", "due_on"))
        .equal(obligation::Column::CampaignId, filter.campaign)
        .equal(obligation::Column::UnitId, filter.unit)
        .equal(obligation::Column::Kind, filter.kind.map(ObligationKind::as_str))
        .equal(obligation::Column::State, filter.state.map(ObligationState::as_str))
        .in_year(obligation::Column::DueOn, filter.year)
        .until(obligation::Column::DueOn, filter.until)
        .given(filter.within.as_ref().map(|within| within.condition("obligation", "unit_id", "due_on")))
        .changed_since(filter.changed_since)
        .page(conn, obligation::Column::Id, slice)
        .await
}
