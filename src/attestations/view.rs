//! Attestations as one caller sees them: which ones, and what the caller may do with each.
//!
//! An attestation concerns two units, so it is seen from the subject's place and from the attester's. It is revoked from
//! the place of the attester or of whoever holds the body today, never by a head of the subject.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use chrono::NaiveDate;
use sea_orm::ConnectionTrait;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::holder::{Asked, holder};
use super::store::{self, attestation};
use super::{AttestationAnswer, AttestationState, TRANSITIONS, Verdict};
use crate::auth::{Caller, Permission, Place, Standing, scope, transition};
use crate::campaigns::{self, Definition};
use crate::clock::rfc3339;
use crate::error::{Code, Error};
use crate::evidence::Evidence;
use crate::units;

/// An attestation as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttestationView {
    /// Identity.
    pub id: Uuid,
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    #[schema(max_length = 100, example = "mid")]
    pub round: String,
    /// The subject.
    pub unit: Uuid,
    /// The question, by its id in the round's rule set.
    #[schema(max_length = 100, example = "A231stable")]
    pub statement: String,
    /// The body that the rule set asks.
    #[schema(max_length = 100, example = "ubnd_xa")]
    pub body: String,
    /// The unit that held the body on that day.
    pub attester_unit: Uuid,
    /// The answer.
    pub answer: AttestationAnswer,
    /// The civil date of the answer.
    pub attested_on: NaiveDate,
    /// The papers that it rests on.
    #[schema(max_items = 20)]
    pub evidence: Vec<Evidence>,
    /// The grounds in own words; personal.
    #[schema(max_length = 5000)]
    pub basis: Option<String>,
    /// Whether it counts.
    pub state: AttestationState,
    /// True if it is valid and the valid answers to its question contradict each other.
    pub disputed: bool,
    /// Who attested.
    pub attested_by: Option<Uuid>,
    /// Why it was taken back; personal.
    #[schema(max_length = 1000)]
    pub revoke_reason: Option<String>,
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

impl AttestationView {
    /// The attestation as this caller sees it.
    pub fn new(sight: &Sight, caller: &Caller) -> Result<Self, Error> {
        let row = &sight.row;
        let state = row.state()?;
        Ok(Self {
            id: row.id,
            campaign: row.campaign_id,
            round: row.round.clone(),
            unit: row.unit_id,
            statement: row.statement.clone(),
            body: row.body.clone(),
            attester_unit: row.attester_unit,
            answer: row.answer()?,
            attested_on: row.attested_on,
            evidence: row.evidence()?,
            basis: row.basis.clone(),
            state,
            disputed: sight.disputed && state == AttestationState::Valid,
            attested_by: row.attested_by,
            revoke_reason: row.revoke_reason.clone(),
            allowed_actions: transition::allowed(TRANSITIONS, caller, sight.standing(caller)?),
            version: row.version,
            created_at: rfc3339(row.created_at),
            updated_at: rfc3339(row.updated_at),
        })
    }
}

/// An attestation and the places from which it is seen and revoked.
pub struct Sight {
    /// The attestation.
    pub row: attestation::Model,
    subject: Place,
    attester: Place,
    /// Whoever holds the body today; looked for only if the caller attests at all.
    holder: Option<Place>,
    disputed: bool,
}

impl Sight {
    /// 404 unless the caller may see the subject's records or the attester's.
    pub fn check(&self, caller: &Caller) -> Result<(), Error> {
        let seen = [&self.subject, &self.attester].iter().any(|place| caller.may(Permission::ReadRecords, place));
        if seen { Ok(()) } else { Err(Code::NotFound.into()) }
    }

    /// The place from which this caller could revoke.
    pub fn acting(&self, caller: &Caller) -> &Place {
        self.holder.as_ref().filter(|place| caller.may(Permission::Attest, place)).unwrap_or(&self.attester)
    }

    /// The attestation as the table of transitions sees it.
    pub fn standing(&self, caller: &Caller) -> Result<Standing<'_, AttestationState>, Error> {
        let state = self.row.state()?;
        let submitter = caller.may(Permission::Attest, &self.subject).then_some(caller.account);
        Ok(Standing { state, place: self.acting(caller), submitter, writer: None })
    }
}

/// The sight of one attestation.
pub async fn look(conn: &impl ConnectionTrait, row: attestation::Model, caller: &Caller) -> Result<Sight, Error> {
    let mut sights = look_at(conn, vec![row], caller).await?;
    sights.pop().ok_or_else(|| Error::internal("a row without a place"))
}

/// The sights of many attestations, in their order.
pub async fn look_at(
    conn: &impl ConnectionTrait,
    rows: Vec<attestation::Model>,
    caller: &Caller,
) -> Result<Vec<Sight>, Error> {
    let verdicts = store::verdicts(conn, &rows).await?;
    let both = |row: &attestation::Model| [(row.unit_id, row.attested_on), (row.attester_unit, row.attested_on)];
    let records: Vec<(Uuid, NaiveDate)> = rows.iter().flat_map(both).collect();
    let mut places = scope::places(conn, &records, caller.today).await?.into_iter();
    let mut holders = holders(conn, &rows, caller).await?;
    let mut sights = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(subject), Some(attester)) = (places.next(), places.next()) else {
            return Err(Error::internal("a row without a place"));
        };
        let disputed = verdicts.get(&row.question()) == Some(&Verdict::Disputed);
        sights.push(Sight { subject, attester, holder: holders.remove(&row.id), disputed, row });
    }
    Ok(sights)
}

/// Who holds the body of each attestation today, by attestation.
async fn holders(
    conn: &impl ConnectionTrait,
    rows: &[attestation::Model],
    caller: &Caller,
) -> Result<HashMap<Uuid, Place>, Error> {
    if rows.is_empty() || !caller.holds(Permission::Attest) {
        return Ok(HashMap::new());
    }
    let lineage = units::store::lineage(conn).await?;
    let mut definitions: HashMap<Uuid, Arc<Definition>> = HashMap::new();
    let mut found = Vec::new();
    for row in rows {
        let definition = match definitions.entry(row.campaign_id) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => place.insert(campaigns::store::definition(conn, row.campaign_id).await?).clone(),
        };
        let asked = Asked { subject: row.unit_id, day: caller.today, receiving: Some(row.attester_unit) };
        if let Some(unit) = holder(&definition, &lineage, &row.body, asked) {
            found.push((row.id, (unit, caller.today)));
        }
    }
    let (ids, records): (Vec<Uuid>, Vec<(Uuid, NaiveDate)>) = found.into_iter().unzip();
    let places = scope::places(conn, &records, caller.today).await?;
    Ok(ids.into_iter().zip(places).collect())
}
