//! Obligations as one caller sees them, and what the caller may do with each.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::obligation;
use super::{Fulfilment, ObligationState, REGISTER, TRANSITIONS, Terms, on_time};
use crate::auth::{Caller, Place, Standing, Transition};
use crate::clock::rfc3339;
use crate::db::{Conn, WriteTx};
use crate::error::Error;
use crate::http::resource::{self, Resource};
use crate::registers::store::{Entered, Entry, entered, require_open};

/// An obligation as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObligationView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// Who owes it.
    pub unit: Uuid,
    /// What is owed.
    pub terms: Terms,
    /// How it was fulfilled; null while it is not.
    pub fulfilment: Option<Fulfilment>,
    /// True if the fulfilment was entered on a later day than its own.
    pub entered_later: bool,
    /// Done by the last day; false once that has passed without fulfilment; null while it may still be done.
    pub on_time: Option<bool>,
    /// How far it has come.
    pub state: ObligationState,
    /// Who imposed or last amended it.
    pub kept_by: Option<Uuid>,
    /// Who entered or last corrected the fulfilment.
    pub fulfilment_by: Option<Uuid>,
    /// Why it was last corrected, or cancelled; personal. Null if it was not, if that was before reasons were kept, and
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

impl Resource for obligation::Model {
    type State = ObligationState;
    type Sight = Entered;
    type View = ObligationView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Entered>, Error> {
        let places = resource::places(conn, rows, caller).await?.into_iter();
        let entries = rows.iter().map(entries).collect::<Result<Vec<_>, _>>()?;
        entered(conn, places.zip(entries).collect()).await
    }

    fn places(sight: &Entered) -> impl Iterator<Item = &Place> {
        std::iter::once(&sight.place)
    }

    fn steps(&self, _sight: &Entered) -> &'static [Transition<ObligationState>] {
        TRANSITIONS
    }

    fn standing<'a>(&self, sight: &'a Entered, _caller: &Caller) -> Result<Standing<'a, ObligationState>, Error> {
        Ok(Standing { state: self.state()?, place: &sight.place, submitter: self.kept_by, writer: None })
    }

    fn view(&self, sight: &Entered, caller: &Caller) -> Result<ObligationView, Error> {
        let state = self.state()?;
        Ok(ObligationView {
            id: self.id,
            campaign: self.campaign_id,
            unit: self.unit_id,
            terms: self.terms()?,
            fulfilment: self.fulfilment()?,
            entered_later: self.entered_later,
            on_time: on_time(state, self.due_on, self.fulfilled_on, caller.today),
            state,
            kept_by: self.kept_by,
            fulfilment_by: self.fulfilment_by,
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(sight, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }

    async fn consent(tx: &WriteTx<'_>, old: &Self, new: &Self) -> Result<(), Error> {
        let days = std::collections::BTreeSet::from([old.due_on, new.due_on]);
        for day in days {
            require_open(tx, old.campaign_id, old.unit_id, REGISTER, day).await?;
        }
        Ok(())
    }

    fn possible(&self, sight: &Entered, _verb: &str) -> Result<bool, Error> {
        Ok(!sight.closed)
    }
}

/// The entry that an obligation makes.
fn entries(row: &obligation::Model) -> Result<Vec<Entry>, Error> {
    Ok(vec![Entry { campaign: row.campaign_id, unit: row.unit_id, name: REGISTER.to_owned(), day: row.due_on }])
}
