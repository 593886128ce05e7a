//! Attestations as one caller sees them: which ones, and what the caller may do with each.
//!
//! An attestation concerns two units, so it is seen from the subject's place and from the attester's. It is revoked from
//! the place of the attester or of whoever holds the body today, never by a head of the subject.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::holder::{Asked, holder};
use super::store::{self, attestation};
use super::{AttestationAnswer, AttestationState, TRANSITIONS, Verdict};
use crate::auth::{Caller, Permission, Place, Standing, Transition, scope};
use crate::campaigns::{self, Definition};
use crate::clock::rfc3339;
use crate::db::Conn;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::http::resource::Resource;
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
    /// True if it is valid, counts in its round, and the answers that do contradict each other.
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

impl Resource for attestation::Model {
    type State = AttestationState;
    type Sight = Sight;
    type View = AttestationView;

    async fn sights(conn: &impl Conn, rows: &[Self], caller: &Caller) -> Result<Vec<Sight>, Error> {
        let definitions = definitions(conn, rows).await?;
        let counts =
            |row: &Self| definitions.get(&row.campaign_id).is_some_and(|said| said.counts(&row.round, row.attested_on));
        let verdicts = store::verdicts(conn, rows, counts).await?;
        let both = |row: &Self| [(row.unit_id, row.attested_on), (row.attester_unit, row.attested_on)];
        let records: Vec<(Uuid, NaiveDate)> = rows.iter().flat_map(both).collect();
        let mut places = scope::places(conn, &records, caller.today).await?.into_iter();
        let mut holders = holders(conn, rows, &definitions, caller).await?;
        let sight = |row: &Self| {
            let (Some(subject), Some(attester)) = (places.next(), places.next()) else {
                return Err(Error::internal("a row without a place"));
            };
            let disputed = verdicts.get(&row.question()) == Some(&Verdict::Disputed);
            Ok(Sight { subject, attester, holder: holders.remove(&row.id), disputed: disputed && counts(row) })
        };
        rows.iter().map(sight).collect()
    }

    fn places(sight: &Sight) -> impl Iterator<Item = &Place> {
        [&sight.subject, &sight.attester].into_iter()
    }

    fn steps(&self, _sight: &Sight) -> &'static [Transition<AttestationState>] {
        TRANSITIONS
    }

    /// A head of the subject is held to be the submitter, so that four eyes keep it from the step.
    fn standing<'a>(&self, sight: &'a Sight, caller: &Caller) -> Result<Standing<'a, AttestationState>, Error> {
        let holder = sight.holder.as_ref().filter(|place| caller.may(Permission::Attest, place));
        let submitter = caller.may(Permission::Attest, &sight.subject).then_some(caller.account);
        Ok(Standing { state: self.state()?, place: holder.unwrap_or(&sight.attester), submitter, writer: None })
    }

    fn view(&self, sight: &Sight, caller: &Caller) -> Result<AttestationView, Error> {
        let state = self.state()?;
        Ok(AttestationView {
            id: self.id,
            campaign: self.campaign_id,
            round: self.round.clone(),
            unit: self.unit_id,
            statement: self.statement.clone(),
            body: self.body.clone(),
            attester_unit: self.attester_unit,
            answer: self.answer()?,
            attested_on: self.attested_on,
            evidence: self.evidence()?,
            basis: self.basis.clone(),
            state,
            disputed: sight.disputed && state == AttestationState::Valid,
            attested_by: self.attested_by,
            revoke_reason: self.revoke_reason.clone(),
            allowed_actions: self.allowed_actions(sight, caller)?,
            version: self.version,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }
}

/// The places from which an attestation is seen and revoked.
pub struct Sight {
    subject: Place,
    attester: Place,
    /// Whoever holds the body today; looked for only if the caller attests at all.
    holder: Option<Place>,
    disputed: bool,
}

/// What the campaigns of these attestations say, by campaign.
async fn definitions(conn: &impl Conn, rows: &[attestation::Model]) -> Result<HashMap<Uuid, Arc<Definition>>, Error> {
    let mut definitions: HashMap<Uuid, Arc<Definition>> = HashMap::new();
    for row in rows {
        if let Entry::Vacant(place) = definitions.entry(row.campaign_id) {
            place.insert(campaigns::store::definition(conn, row.campaign_id).await?);
        }
    }
    Ok(definitions)
}

/// Who holds the body of each attestation today, by attestation.
async fn holders(
    conn: &impl Conn,
    rows: &[attestation::Model],
    definitions: &HashMap<Uuid, Arc<Definition>>,
    caller: &Caller,
) -> Result<HashMap<Uuid, Place>, Error> {
    if rows.is_empty() || !caller.holds(Permission::Attest) {
        return Ok(HashMap::new());
    }
    let lineage = units::store::lineage(conn).await?;
    let mut found = Vec::new();
    for row in rows {
        let Some(definition) = definitions.get(&row.campaign_id) else { continue };
        let asked = Asked { subject: row.unit_id, day: caller.today, receiving: Some(row.attester_unit) };
        if let Some(unit) = holder(definition, &lineage, &row.body, asked) {
            found.push((row.id, (unit, caller.today)));
        }
    }
    let (ids, records): (Vec<Uuid>, Vec<(Uuid, NaiveDate)>) = found.into_iter().unzip();
    let places = scope::places(conn, &records, caller.today).await?;
    Ok(ids.into_iter().zip(places).collect())
}
