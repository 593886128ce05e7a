//! Registers as one caller sees them, and what the caller may do with each.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::register;
use super::{RegisterState, TRANSITIONS};
use crate::auth::{Caller, Place, Standing, Transition};
use crate::clock::rfc3339;
use crate::db::Conn;
use crate::error::Error;
use crate::http::resource::Resource;
use crate::observations::rights::{self, About, Rights};

/// A register as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The unit whose entries are meant.
    pub unit: Uuid,
    /// The round.
    #[schema(max_length = 100, example = "mid")]
    pub round: String,
    /// The kind of entries.
    #[schema(max_length = 100, example = "regulation")]
    pub name: String,
    /// The round's cut-off when it was closed; entries dated later are not meant.
    pub cut_off: NaiveDate,
    /// The body that closes it.
    #[schema(max_length = 100, example = "ubnd_xa")]
    pub owner: Option<String>,
    /// Whether the entries are complete.
    pub state: RegisterState,
    /// Who closed it; null while it is open.
    pub closed_by: Option<Uuid>,
    /// The civil date on which it was closed; null while it is open.
    pub closed_on: Option<NaiveDate>,
    /// Why it was last reopened, also when it is closed again; personal. Null if it was not, if that was before reasons
    /// were kept, and once erased.
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

impl Resource for register::Model {
    type State = RegisterState;
    type Sight = Rights;
    type View = RegisterView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Rights>, Error> {
        let about: Vec<About<'_>> = rows.iter().map(Self::about).collect();
        rights::many(conn, &about, caller).await
    }

    fn places(rights: &Rights) -> impl Iterator<Item = &Place> {
        std::iter::once(&rights.place)
    }

    fn steps(&self, rights: &Rights) -> &'static [Transition<RegisterState>] {
        if rights.owns { TRANSITIONS } else { &[] }
    }

    fn standing<'a>(&self, rights: &'a Rights, _caller: &Caller) -> Result<Standing<'a, RegisterState>, Error> {
        Ok(Standing { state: self.state()?, place: &rights.place, submitter: self.closed_by, writer: None })
    }

    fn view(&self, rights: &Rights, caller: &Caller) -> Result<RegisterView, Error> {
        Ok(RegisterView {
            id: self.id,
            campaign: self.campaign_id,
            unit: self.unit_id,
            round: self.round.clone(),
            name: self.name.clone(),
            cut_off: self.day,
            owner: rights.owner.clone(),
            state: self.state()?,
            closed_by: self.closed_by,
            closed_on: self.closed_on,
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(rights, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }

    fn claim(&self, rights: &Rights, _verb: &str) -> Result<(), Error> {
        rights.require_owner()
    }
}
