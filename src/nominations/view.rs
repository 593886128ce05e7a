//! Nominations as one caller sees them: which ones, and what the caller may do with each.
//!
//! A nomination concerns two units, so it is seen from the subject's place and from the nominator's. Steps are taken from
//! the subject's place; on the special path from the nominator's, because the subject may be from elsewhere.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::nomination;
use super::{NominationPath, NominationState, TRANSITIONS};
use crate::auth::{Caller, Place, Standing, Transition, scope};
use crate::clock::rfc3339;
use crate::db::Conn;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::http::resource::Resource;

/// A nomination as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct NominationView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    #[schema(max_length = 100, example = "mid")]
    pub round: String,
    /// The subject.
    pub unit: Uuid,
    /// The award form.
    #[schema(max_length = 100, example = "giay_khen_huyen")]
    pub award_form: String,
    /// The way.
    pub path: NominationPath,
    /// Who nominates.
    pub nominator_unit: Uuid,
    /// The civil date of filing.
    pub filed_on: NaiveDate,
    /// What was achieved; personal, null once erased.
    #[schema(max_length = 20000)]
    pub achievement: Option<String>,
    /// The papers that it rests on.
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
    /// How far it has come.
    pub state: NominationState,
    /// Who submitted it.
    pub submitted_by: Option<Uuid>,
    /// Who returned it.
    pub returned_by: Option<Uuid>,
    /// Why it was returned; personal.
    #[schema(max_length = 1000)]
    pub return_reason: Option<String>,
    /// Why it was withdrawn; personal. Null if it was not, if that was before reasons were kept, and once erased.
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

impl Resource for nomination::Model {
    type State = NominationState;
    type Sight = Sides;
    type View = NominationView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Sides>, Error> {
        let both = |row: &Self| [(row.unit_id, row.filed_on), (row.nominator_unit, row.filed_on)];
        let records: Vec<(Uuid, NaiveDate)> = rows.iter().flat_map(both).collect();
        let mut places = scope::places(conn, &records, caller.today).await?.into_iter();
        rows.iter().map(|_| next(&mut places)).collect()
    }

    fn places(sides: &Sides) -> impl Iterator<Item = &Place> {
        [&sides.subject, &sides.nominator].into_iter()
    }

    fn steps(&self, _sides: &Sides) -> &'static [Transition<NominationState>] {
        TRANSITIONS
    }

    fn standing<'a>(&self, sides: &'a Sides, _caller: &Caller) -> Result<Standing<'a, NominationState>, Error> {
        let place = sides.acting(self.path()?);
        Ok(Standing { state: self.state()?, place, submitter: self.submitted_by, writer: None })
    }

    fn view(&self, sides: &Sides, caller: &Caller) -> Result<NominationView, Error> {
        Ok(NominationView {
            id: self.id,
            campaign: self.campaign_id,
            round: self.round.clone(),
            unit: self.unit_id,
            award_form: self.award_form.clone(),
            path: self.path()?,
            nominator_unit: self.nominator_unit,
            filed_on: self.filed_on,
            achievement: self.achievement.clone(),
            evidence: self.evidence()?,
            state: self.state()?,
            submitted_by: self.submitted_by,
            returned_by: self.returned_by,
            return_reason: self.return_reason.clone(),
            change_reason: self.change_reason.clone(),
            allowed_actions: self.allowed_actions(sides, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }
}

/// Where the subject and the nominator stand on the day of filing.
pub struct Sides {
    /// The subject's place.
    pub subject: Place,
    /// The nominator's place.
    pub nominator: Place,
}

impl Sides {
    /// The place from which steps are taken: the nominator's on the special path, because the subject may be from
    /// elsewhere.
    pub const fn acting(&self, path: NominationPath) -> &Place {
        match path {
            NominationPath::Normal => &self.subject,
            NominationPath::Special => &self.nominator,
        }
    }
}

/// The two places of one nomination: subject, nominator and the day of filing.
pub async fn sides(
    conn: &impl Conn,
    unit: Uuid,
    nominator: Uuid,
    filed_on: NaiveDate,
    today: NaiveDate,
) -> Result<Sides, Error> {
    let mut places = scope::places(conn, &[(unit, filed_on), (nominator, filed_on)], today).await?.into_iter();
    next(&mut places)
}

fn next(places: &mut impl Iterator<Item = Place>) -> Result<Sides, Error> {
    match (places.next(), places.next()) {
        (Some(subject), Some(nominator)) => Ok(Sides { subject, nominator }),
        _ => Err(Error::internal("a row without a place")),
    }
}
