//! Initiatives as one caller sees them, and what the caller may do with each.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::initiative;
use super::{InitiativeContent, InitiativeState, Recognition, TRANSITIONS, steps};
use crate::auth::{Caller, Place, Standing, Transition};
use crate::clock::rfc3339;
use crate::db::{Conn, WriteTx};
use crate::error::Error;
use crate::http::resource::{self, Resource};
use crate::registers::store::{Entered, Entry, entered};

/// An initiative as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InitiativeView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit that proposed it.
    pub unit: Uuid,
    /// What it proposed.
    pub content: InitiativeContent,
    /// The decision that recognised it; null unless it is recognised.
    pub recognition: Option<Recognition>,
    /// How far the initiative has come.
    pub state: InitiativeState,
    /// Who submitted it.
    pub submitted_by: Option<Uuid>,
    /// Who entered the decision; null while it waits.
    pub decided_by: Option<Uuid>,
    /// Why it was refused, revoked or withdrawn; personal. Null if it was not, if that was before reasons were kept,
    /// and once erased.
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

impl Resource for initiative::Model {
    type State = InitiativeState;
    type Sight = Entered;
    type View = InitiativeView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Entered>, Error> {
        let places = resource::places(conn, rows, caller).await?.into_iter();
        let entries = rows.iter().map(entries).collect::<Result<Vec<_>, _>>()?;
        entered(conn, places.zip(entries).collect()).await
    }

    fn places(sight: &Entered) -> impl Iterator<Item = &Place> {
        std::iter::once(&sight.place)
    }

    fn steps(&self, _sight: &Entered) -> &'static [Transition<InitiativeState>] {
        TRANSITIONS
    }

    fn standing<'a>(&self, sight: &'a Entered, _caller: &Caller) -> Result<Standing<'a, InitiativeState>, Error> {
        Ok(Standing {
            state: self.state()?,
            place: &sight.place,
            submitter: self.submitted_by,
            writer: self.written_by,
        })
    }

    fn view(&self, sight: &Entered, caller: &Caller) -> Result<InitiativeView, Error> {
        Ok(InitiativeView {
            id: self.id,
            campaign: self.campaign_id,
            unit: self.unit_id,
            content: self.content()?,
            recognition: self.recognition(),
            state: self.state()?,
            submitted_by: self.submitted_by,
            decided_by: self.decided_by,
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(sight, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }

    async fn consent(tx: &WriteTx<'_>, old: &Self, new: &Self) -> Result<(), Error> {
        steps::require_open_register(tx, old, new).await
    }

    fn possible(&self, sight: &Entered, verb: &str) -> Result<bool, Error> {
        Ok(!sight.closed || (self.state()? == InitiativeState::Draft && verb != "submit"))
    }
}

/// The entry that an initiative makes or, as a draft, would make.
fn entries(row: &initiative::Model) -> Result<Vec<Entry>, Error> {
    let day = row.decided_on.unwrap_or(row.proposed_on);
    Ok(vec![Entry { campaign: row.campaign_id, unit: row.unit_id, name: "initiative".to_owned(), day }])
}
