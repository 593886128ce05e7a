//! Attestations in SQL.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{AttestationAnswer, AttestationDraft, AttestationState, Verdict};
use crate::auth::Scope;
use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx, list::List};
use crate::error::Error;
use crate::evidence::Evidence;
use crate::http::page::{Found, Slice};
use crate::{id, record};

record! {
    /// What a body answered to a question about a subject.
    attestation in "attestation",
    unit: |row| Some(row.unit_id), campaign: |row| Some(row.campaign_id), day: |row| Some(row.attested_on), {
        public campaign_id: Uuid,
        public round: String,
        public unit_id: Uuid,
        public statement: String,
        public body: String,
        public attester_unit: Uuid,
        public answer: String,
        public attested_on: Date,
        internal evidence: Json,
        personal basis: Option<String>,
        public state: String,
        internal attested_by: Option<Uuid>,
        personal revoke_reason: Option<String>,
    }
}

/// Campaign, round, subject and statement: one question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The campaign.
    pub campaign: Uuid,
    /// The round.
    pub round: String,
    /// The subject.
    pub unit: Uuid,
    /// The statement's id in the rule set.
    pub statement: String,
}

impl Question {
    /// Answers to one question are given one after another.
    pub async fn lock(&self, tx: &WriteTx<'_>) -> Result<(), Error> {
        let Self { campaign, round, unit, statement } = self;
        tx.lock(&format!("attestation {campaign} {round} {unit} {statement}")).await
    }
}

impl attestation::Model {
    /// The state as a word.
    pub fn state(&self) -> Result<AttestationState, Error> {
        AttestationState::parse(&self.state).ok_or_else(|| Error::internal("an unknown state"))
    }

    /// The answer as a word.
    pub fn answer(&self) -> Result<AttestationAnswer, Error> {
        AttestationAnswer::parse(&self.answer).ok_or_else(|| Error::internal("an unknown answer"))
    }

    /// The papers.
    pub fn evidence(&self) -> Result<Vec<Evidence>, Error> {
        Vec::deserialize(&self.evidence).map_err(Error::internal)
    }

    /// What it answers.
    pub fn question(&self) -> Question {
        Question {
            campaign: self.campaign_id,
            round: self.round.clone(),
            unit: self.unit_id,
            statement: self.statement.clone(),
        }
    }
}

/// Writes an answer that `attester_unit` gives for `body`.
pub async fn attest(
    tx: &WriteTx<'_>,
    draft: &AttestationDraft,
    body: &str,
    attester_unit: Uuid,
) -> Result<attestation::Model, Error> {
    let row = attestation::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        campaign_id: draft.campaign,
        round: draft.round.clone(),
        unit_id: draft.unit,
        statement: draft.statement.clone(),
        body: body.to_owned(),
        attester_unit,
        answer: draft.answer.as_str().to_owned(),
        attested_on: draft.attested_on,
        evidence: serde_json::to_value(&draft.evidence).map_err(Error::internal)?,
        basis: draft.basis.clone(),
        state: AttestationState::Valid.as_str().to_owned(),
        attested_by: tx.account(),
        revoke_reason: None,
    };
    tx.insert(row, Event::new("attestation.attested")).await
}

/// Takes an answer back.
pub async fn revoke(tx: &WriteTx<'_>, old: &attestation::Model, reason: &str) -> Result<attestation::Model, Error> {
    let state = AttestationState::Revoked.as_str().to_owned();
    let new = attestation::Model { state, revoke_reason: Some(reason.to_owned()), ..old.clone() };
    tx.update(old, new, Event::because("attestation.revoked", reason)).await
}

/// What a list of attestations is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What the caller may see, of subjects or of attesters.
    pub scope: Scope,
    /// About this subject.
    pub unit: Option<Uuid>,
    /// Of units that this covers.
    pub within: Option<Scope>,
    /// In this state.
    pub state: Option<AttestationState>,
    /// Of this round.
    pub round: Option<String>,
    /// Of this campaign.
    pub campaign: Option<Uuid>,
    /// To this question.
    pub statement: Option<String>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of attestations.
pub async fn page(conn: &impl Conn, filter: &Filter, slice: &Slice) -> Result<Found<attestation::Model>, Error> {
    let concerned = |unit: &str| filter.scope.condition("attestation", unit, "attested_on");
    List::<attestation::Entity>::of(concerned("unit_id").or(concerned("attester_unit")))
        .equal(attestation::Column::CampaignId, filter.campaign)
        .equal(attestation::Column::UnitId, filter.unit)
        .equal(attestation::Column::Round, filter.round.as_deref())
        .equal(attestation::Column::Statement, filter.statement.as_deref())
        .equal(attestation::Column::State, filter.state.map(AttestationState::as_str))
        .given(filter.within.as_ref().map(|within| within.condition("attestation", "unit_id", "attested_on")))
        .changed_since(filter.changed_since)
        .page(conn, attestation::Column::Id, slice)
        .await
}

/// The valid answers to one question, oldest first.
pub async fn valid(conn: &impl Conn, question: &Question) -> Result<Vec<attestation::Model>, Error> {
    let select = attestation::Entity::find()
        .filter(attestation::Column::UnitId.eq(question.unit))
        .filter(attestation::Column::Statement.eq(&question.statement))
        .filter(attestation::Column::CampaignId.eq(question.campaign))
        .filter(attestation::Column::Round.eq(&question.round))
        .filter(attestation::Column::State.eq(AttestationState::Valid.as_str()))
        .order_by_asc(attestation::Column::Id);
    db::all(conn, select).await.map_err(translate)
}

/// What the valid answers to these attestations' questions amount to, with one query; `counts` says which are dated so that
/// their round reads them.
pub async fn verdicts(
    conn: &impl Conn,
    rows: &[attestation::Model],
    counts: impl Fn(&attestation::Model) -> bool,
) -> Result<HashMap<Question, Verdict>, Error> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let asked: HashSet<Question> = rows.iter().map(attestation::Model::question).collect();
    let units: BTreeSet<Uuid> = asked.iter().map(|question| question.unit).collect();
    let statements: BTreeSet<&str> = asked.iter().map(|question| question.statement.as_str()).collect();
    let select = attestation::Entity::find()
        .filter(attestation::Column::UnitId.is_in(units))
        .filter(attestation::Column::Statement.is_in(statements))
        .filter(attestation::Column::State.eq(AttestationState::Valid.as_str()));
    let mut answers: HashMap<Question, Vec<AttestationAnswer>> = HashMap::new();
    for row in db::all(conn, select).await.map_err(translate)?.into_iter().filter(counts) {
        answers.entry(row.question()).or_default().push(row.answer()?);
    }
    let verdict = |question: Question| {
        let given = answers.get(&question).map(Vec::as_slice).unwrap_or_default();
        let verdict = Verdict::of(given.iter().copied());
        (question, verdict)
    };
    Ok(asked.into_iter().map(verdict).collect())
}
