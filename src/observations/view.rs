//! Observations as one caller sees them, and what the caller may do with each.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::rights::{self, About, Rights};
use super::store::observation;
use super::{Content, ObservationState, Sort, is_the_owner_s, steps};
use crate::auth::{Caller, Place, Standing, Transition};
use crate::clock::rfc3339;
use crate::db::{Conn, WriteTx};
use crate::error::Error;
use crate::http::resource::Resource;
use crate::registers::store::{Entered, Entry, entered, require_open};

/// An observation as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObservationView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit that it is said of.
    pub unit: Uuid,
    /// The name that the rule set declares.
    #[schema(max_length = 100)]
    pub name: String,
    /// What is declared under the name.
    pub sort: Sort,
    /// The period of an indicator.
    #[schema(max_length = 4)]
    pub period: Option<String>,
    /// The civil date on which it was so.
    pub observed_on: NaiveDate,
    /// What is said.
    pub content: Content,
    /// The body that confirms it; null if the rule set names none.
    #[schema(max_length = 100, example = "phong_ldtbxh")]
    pub owner: Option<String>,
    /// How far it has come.
    pub state: ObservationState,
    /// Who reported or last amended it.
    pub reported_by: Option<Uuid>,
    /// Who confirmed or last corrected it.
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

impl Resource for observation::Model {
    type State = ObservationState;
    type Sight = ObservationSight;
    type View = ObservationView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<ObservationSight>, Error> {
        let about: Vec<About<'_>> = rows.iter().map(Self::about).collect();
        let rights = rights::many(conn, &about, caller).await?;
        let entries = rows.iter().map(entries).collect::<Result<Vec<_>, _>>()?;
        let places = rights.iter().map(|rights| rights.place.clone());
        let entered = entered(conn, places.zip(entries).collect()).await?;
        let sight = |(rights, entered): (Rights, Entered)| ObservationSight { rights, closed: entered.closed };
        Ok(rights.into_iter().zip(entered).map(sight).collect())
    }

    fn places(sight: &ObservationSight) -> impl Iterator<Item = &Place> {
        std::iter::once(&sight.rights.place)
    }

    fn steps(&self, sight: &ObservationSight) -> &'static [Transition<ObservationState>] {
        steps(sight.rights.owns)
    }

    fn standing<'a>(
        &self,
        sight: &'a ObservationSight,
        _caller: &Caller,
    ) -> Result<Standing<'a, ObservationState>, Error> {
        Ok(Standing { state: self.state()?, place: &sight.rights.place, submitter: self.reported_by, writer: None })
    }

    fn view(&self, sight: &ObservationSight, caller: &Caller) -> Result<ObservationView, Error> {
        Ok(ObservationView {
            id: self.id,
            campaign: self.campaign_id,
            unit: self.unit_id,
            name: self.name.clone(),
            sort: self.sort()?,
            period: self.period.clone(),
            observed_on: self.observed_on,
            content: self.content()?,
            owner: sight.rights.owner.clone(),
            state: self.state()?,
            reported_by: self.reported_by,
            confirmed_by: self.confirmed_by,
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(sight, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }

    fn claim(&self, sight: &ObservationSight, verb: &str) -> Result<(), Error> {
        if is_the_owner_s(verb, self.state()?) { sight.rights.require_owner() } else { Ok(()) }
    }

    async fn consent(tx: &WriteTx<'_>, old: &Self, _new: &Self) -> Result<(), Error> {
        if old.sort()? != Sort::Record {
            return Ok(());
        }
        require_open(tx, old.campaign_id, old.unit_id, &old.name, old.observed_on).await
    }

    fn possible(&self, sight: &ObservationSight, _verb: &str) -> Result<bool, Error> {
        Ok(!sight.closed)
    }
}

/// What the caller is to an observation, and whether a closed register leaves no room for it.
pub struct ObservationSight {
    /// What the caller is to it.
    pub rights: Rights,
    /// True if the register that has it is closed.
    pub closed: bool,
}

/// The entry that an observation makes: only records stand in registers.
fn entries(row: &observation::Model) -> Result<Vec<Entry>, Error> {
    let entry = Entry { campaign: row.campaign_id, unit: row.unit_id, name: row.name.clone(), day: row.observed_on };
    Ok(if row.sort()? == Sort::Record { vec![entry] } else { Vec::new() })
}
