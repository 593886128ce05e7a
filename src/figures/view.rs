//! Figures as one caller sees them, and what the caller may do with each.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::figure;
use super::{Counts, FigureState, TRANSITIONS};
use crate::auth::{Caller, Place, Standing, Transition};
use crate::clock::rfc3339;
use crate::db::Conn;
use crate::error::Error;
use crate::http::resource::{self, Resource};

/// A figure as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FigureView {
    /// Identity.
    pub id: Uuid,
    /// The village or commune.
    pub unit: Uuid,
    /// Year of the review.
    #[schema(minimum = 2015, maximum = 2100)]
    pub year: i64,
    /// Poverty standard by its period.
    #[schema(max_length = 9, example = "2022-2025")]
    pub poverty_standard: String,
    /// The counts and their decision.
    pub counts: Counts,
    /// How far the figure has come.
    pub state: FigureState,
    /// Who reported it.
    pub reported_by: Option<Uuid>,
    /// Who confirmed it, or corrected it since.
    pub confirmed_by: Option<Uuid>,
    /// Why it was last corrected, or withdrawn; personal. Null if it was not, if that was before reasons were kept, and
    /// once erased.
    #[schema(max_length = 1000)]
    pub change_reason: Option<String>,
    /// What the caller may do now.
    #[schema(max_items = 10)]
    pub allowed_actions: Vec<&'static str>,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Time of the newest event, UTC.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl Resource for figure::Model {
    type State = FigureState;
    type Sight = Place;
    type View = FigureView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Place>, Error> {
        resource::places(conn, rows, caller).await
    }

    fn places(place: &Place) -> impl Iterator<Item = &Place> {
        std::iter::once(place)
    }

    fn steps(&self, _place: &Place) -> &'static [Transition<FigureState>] {
        TRANSITIONS
    }

    fn standing<'a>(&self, place: &'a Place, _caller: &Caller) -> Result<Standing<'a, FigureState>, Error> {
        Ok(Standing { state: self.state()?, place, submitter: self.reported_by, writer: None })
    }

    fn possible(&self, _place: &Place, verb: &str) -> Result<bool, Error> {
        Ok(verb != "confirm" || self.counts().recognised("/counts").is_ok())
    }

    fn view(&self, place: &Place, caller: &Caller) -> Result<FigureView, Error> {
        Ok(FigureView {
            id: self.id,
            unit: self.unit_id,
            year: self.year,
            poverty_standard: self.poverty_standard.clone(),
            counts: self.counts(),
            state: self.state()?,
            reported_by: self.reported_by,
            confirmed_by: self.confirmed_by,
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(place, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }
}
