//! Figures in SQL.

use std::collections::HashMap;

use chrono::NaiveDate;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::Value;
use uuid::Uuid;

use super::{Counts, FigureDraft, FigureState, day_of};
use crate::auth::Scope;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx, list::List};
use crate::error::Error;
use crate::evidence::PaperNumber;
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// An annual count of poor and near-poor households.
    figure in "figure", unit: |row| Some(row.unit_id), campaign: |_| None, day: |row| Some(row.day), {
        public unit_id: Uuid,
        public year: i64,
        public poverty_standard: String,
        public poor_households: Option<i64>,
        public near_poor_households: Option<i64>,
        public recognised_by: Option<Uuid>,
        public decision_number: Option<String>,
        public decided_on: Option<Date>,
        personal note: Option<String>,
        public state: String,
        internal reported_by: Option<Uuid>,
        internal confirmed_by: Option<Uuid>,
        personal change_reason: Option<String>,
        public day: Date,
    }
}

impl figure::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<FigureState, Error> {
        FigureState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// The row with other counts.
    fn with(&self, counts: &Counts) -> Self {
        let Counts { poor_households, near_poor_households, recognised_by, decision_number, decided_on, note } =
            counts.clone();
        let decision_number = decision_number.map(|number| number.0);
        Self { poor_households, near_poor_households, recognised_by, decision_number, decided_on, note, ..self.clone() }
    }

    /// The counts and their decision.
    pub fn counts(&self) -> Counts {
        Counts {
            poor_households: self.poor_households,
            near_poor_households: self.near_poor_households,
            recognised_by: self.recognised_by,
            decision_number: self.decision_number.clone().map(PaperNumber),
            decided_on: self.decided_on,
            note: self.note.clone(),
        }
    }
}

/// Writes a reported figure.
pub async fn report(tx: &WriteTx<'_>, draft: &FigureDraft) -> Result<figure::Model, Error> {
    let row = figure::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        unit_id: draft.unit,
        year: draft.year.into(),
        poverty_standard: draft.poverty_standard.clone(),
        poor_households: None,
        near_poor_households: None,
        recognised_by: None,
        decision_number: None,
        decided_on: None,
        note: None,
        state: FigureState::Reported.as_str().to_owned(),
        reported_by: tx.account(),
        confirmed_by: None,
        change_reason: None,
        day: day_of(draft.year)?,
    };
    tx.insert(row.with(&draft.counts), Event::new("figure.reported")).await
}

/// Replaces the counts of a reported figure: they are now the words of whoever amended them.
pub async fn amend(tx: &WriteTx<'_>, old: &figure::Model, counts: &Counts) -> Result<figure::Model, Error> {
    let new = figure::Model { reported_by: tx.account(), ..old.with(counts) };
    tx.update(old, new, Event::new("figure.amended")).await
}

/// Replaces the counts of a confirmed figure: whoever corrected them answers for them now.
pub async fn correct(
    tx: &WriteTx<'_>,
    old: &figure::Model,
    counts: &Counts,
    reason: &str,
) -> Result<figure::Model, Error> {
    let new = figure::Model { confirmed_by: tx.account(), change_reason: Some(reason.to_owned()), ..old.with(counts) };
    tx.update(old, new, Event::because("figure.corrected", reason)).await
}

/// Takes a reported figure back.
pub async fn withdraw(tx: &WriteTx<'_>, old: &figure::Model, reason: &str) -> Result<figure::Model, Error> {
    let state = FigureState::Withdrawn.as_str().to_owned();
    let new = figure::Model { state, change_reason: Some(reason.to_owned()), ..old.clone() };
    tx.update(old, new, Event::because("figure.withdrawn", reason)).await
}

/// Locks the figure.
pub async fn confirm(tx: &WriteTx<'_>, old: &figure::Model) -> Result<figure::Model, Error> {
    let state = FigureState::Confirmed.as_str().to_owned();
    let new = figure::Model { state, confirmed_by: tx.account(), ..old.clone() };
    tx.update(old, new, Event::new("figure.confirmed")).await
}

/// What a list of figures is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see.
    pub scope: Scope,
    /// Of this unit.
    pub unit: Option<Uuid>,
    /// Of units that this covers.
    pub within: Option<Scope>,
    /// In this state.
    pub state: Option<FigureState>,
    /// Of this year.
    pub year: Option<i32>,
    /// Of years that end by this day.
    pub until: Option<NaiveDate>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of figures.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<figure::Model>, Error> {
    List::<figure::Entity>::of(filter.scope.condition("figure", "unit_id", "day"))
        .equal(figure::Column::UnitId, filter.unit)
        .equal(figure::Column::State, filter.state.map(FigureState::as_str))
        .equal(figure::Column::Year, filter.year)
        .until(figure::Column::Day, filter.until)
        .given(filter.within.as_ref().map(|within| within.condition("figure", "unit_id", "day")))
        .changed_since(filter.changed_since)
        .page(conn, figure::Column::Id, slice)
        .await
}

/// The confirmed figures of one year under one standard, by unit.
pub async fn confirmed_of(
    conn: &impl Conn,
    year: i32,
    poverty_standard: &str,
) -> Result<HashMap<Uuid, figure::Model>, Error> {
    let select = figure::Entity::find()
        .filter(figure::Column::Year.eq(year))
        .filter(figure::Column::PovertyStandard.eq(poverty_standard))
        .filter(figure::Column::State.eq(FigureState::Confirmed.as_str()));
    let rows = db::all(conn, select).await.map_err(translate)?;
    Ok(rows.into_iter().map(|row| (row.unit_id, row)).collect())
}
