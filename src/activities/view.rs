//! Activities as one caller sees them, and what the caller may do with each.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::activity;
use super::{ActivityContent, ActivityState, ActivityTotals, TRANSITIONS, registers, steps};
use crate::auth::{Caller, Place, Standing, Transition};
use crate::clock::rfc3339;
use crate::db::{Conn, WriteTx};
use crate::error::Error;
use crate::http::resource::{self, Resource};
use crate::registers::store::{Entered, Entry, entered};

/// An activity as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit that did it.
    pub unit: Uuid,
    /// What it did.
    pub content: ActivityContent,
    /// What the lines of help come to.
    pub totals: ActivityTotals,
    /// How far the activity has come.
    pub state: ActivityState,
    /// Who submitted it last.
    pub submitted_by: Option<Uuid>,
    /// Who accepted or returned it; null while it waits.
    pub decided_by: Option<Uuid>,
    /// Why it was returned; until it is submitted again.
    #[schema(max_length = 1000)]
    pub return_reason: Option<String>,
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

impl Resource for activity::Model {
    type State = ActivityState;
    type Sight = Entered;
    type View = ActivityView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Entered>, Error> {
        let places = resource::places(conn, rows, caller).await?.into_iter();
        let entries = rows.iter().map(entries).collect::<Result<Vec<_>, _>>()?;
        entered(conn, places.zip(entries).collect()).await
    }

    fn places(sight: &Entered) -> impl Iterator<Item = &Place> {
        std::iter::once(&sight.place)
    }

    fn steps(&self, _sight: &Entered) -> &'static [Transition<ActivityState>] {
        TRANSITIONS
    }

    fn standing<'a>(&self, sight: &'a Entered, _caller: &Caller) -> Result<Standing<'a, ActivityState>, Error> {
        Ok(Standing {
            state: self.state()?,
            place: &sight.place,
            submitter: self.submitted_by,
            writer: self.written_by,
        })
    }

    fn view(&self, sight: &Entered, caller: &Caller) -> Result<ActivityView, Error> {
        Ok(ActivityView {
            id: self.id,
            campaign: self.campaign_id,
            unit: self.unit_id,
            content: self.content()?,
            totals: self.totals(),
            state: self.state()?,
            submitted_by: self.submitted_by,
            decided_by: self.decided_by,
            return_reason: self.return_reason.clone(),
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(sight, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }

    async fn consent(tx: &WriteTx<'_>, old: &Self, new: &Self) -> Result<(), Error> {
        steps::require_open_registers(tx, old, new).await
    }

    /// Only what is accepted, or about to be, stands in registers.
    fn possible(&self, sight: &Entered, verb: &str) -> Result<bool, Error> {
        Ok(!sight.closed || (self.state()? != ActivityState::Accepted && verb != "accept"))
    }
}

/// The entries that an activity makes or, before it is accepted, would make.
fn entries(row: &activity::Model) -> Result<Vec<Entry>, Error> {
    let entries = registers::entries(row.unit_id, row.held_on, &row.contributions()?).into_iter();
    let entry = |(unit, name, day): (Uuid, &str, NaiveDate)| Entry {
        campaign: row.campaign_id,
        unit,
        name: name.to_owned(),
        day,
    };
    Ok(entries.map(entry).collect())
}
