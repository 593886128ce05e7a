//! Nominations as one caller sees them: which ones, and what the caller may do with each.
//!
//! A nomination concerns two units, so it is seen from the subject's place and from the nominator's. Steps are taken from
//! the subject's place; on the special path from the nominator's, because the subject may be from elsewhere.

use chrono::NaiveDate;
use sea_orm::ConnectionTrait;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::nomination;
use super::{NominationPath, NominationState, TRANSITIONS};
use crate::auth::{Caller, Permission, Place, Standing, scope, transition};
use crate::clock::rfc3339;
use crate::error::{Code, Error};
use crate::evidence::Evidence;

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

impl NominationView {
    /// The nomination as this caller sees it.
    pub fn new(row: &nomination::Model, sides: &Sides, caller: &Caller) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            campaign: row.campaign_id,
            round: row.round.clone(),
            unit: row.unit_id,
            award_form: row.award_form.clone(),
            path: row.path()?,
            nominator_unit: row.nominator_unit,
            filed_on: row.filed_on,
            achievement: row.achievement.clone(),
            evidence: row.evidence()?,
            state: row.state()?,
            submitted_by: row.submitted_by,
            returned_by: row.returned_by,
            return_reason: row.return_reason.clone(),
            allowed_actions: transition::allowed(TRANSITIONS, caller, sides.standing(row)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
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
    /// The place from which steps are taken.
    pub fn acting(&self, path: NominationPath) -> &Place {
        match path {
            NominationPath::Normal => &self.subject,
            NominationPath::Special => &self.nominator,
        }
    }

    /// 404 unless the caller may see the subject's records or the nominator's.
    pub fn check(&self, caller: &Caller) -> Result<(), Error> {
        let seen = [&self.subject, &self.nominator].iter().any(|place| caller.may(Permission::ReadRecords, place));
        if seen { Ok(()) } else { Err(Code::NotFound.into()) }
    }

    /// The nomination as the table of transitions sees it.
    pub fn standing(&self, row: &nomination::Model) -> Result<Standing<'_, NominationState>, Error> {
        Ok(Standing { state: row.state()?, place: self.acting(row.path()?), submitter: row.submitted_by, writer: None })
    }
}

/// The two places of one nomination: subject, nominator and the day of filing.
pub async fn sides(
    conn: &impl ConnectionTrait,
    unit: Uuid,
    nominator: Uuid,
    filed_on: NaiveDate,
    today: NaiveDate,
) -> Result<Sides, Error> {
    let mut places = scope::places(conn, &[(unit, filed_on), (nominator, filed_on)], today).await?.into_iter();
    next(&mut places)
}

/// The two places of a nomination that stands.
pub async fn sides_of(conn: &impl ConnectionTrait, row: &nomination::Model, today: NaiveDate) -> Result<Sides, Error> {
    sides(conn, row.unit_id, row.nominator_unit, row.filed_on, today).await
}

/// The places of many nominations, in their order.
pub async fn all_sides(
    conn: &impl ConnectionTrait,
    rows: &[nomination::Model],
    today: NaiveDate,
) -> Result<Vec<Sides>, Error> {
    let both = |row: &nomination::Model| [(row.unit_id, row.filed_on), (row.nominator_unit, row.filed_on)];
    let records: Vec<(Uuid, NaiveDate)> = rows.iter().flat_map(both).collect();
    let mut places = scope::places(conn, &records, today).await?.into_iter();
    rows.iter().map(|_| next(&mut places)).collect()
}

fn next(places: &mut impl Iterator<Item = Place>) -> Result<Sides, Error> {
    match (places.next(), places.next()) {
        (Some(subject), Some(nominator)) => Ok(Sides { subject, nominator }),
        _ => Err(Error::internal("a row without a place")),
    }
}
