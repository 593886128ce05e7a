//! Attestations over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::ask::{Ask, about_itself, unknown_round, unknown_statement};
use super::store::{self, Filter, Question, attestation};
use super::view::AttestationView;
use super::{AttestationDraft, AttestationState, Verdict};
use crate::auth::policy::permit::{Attest, ReadRecords};
use crate::auth::{Permission, Permit, scope};
use crate::campaigns;
use crate::db::WriteTx;
use crate::error::{Code, Error, Fault};
use crate::http::page::Page;
use crate::http::resource::{self, Resource};
use crate::http::{
    App, Body, Call, IdempotencyKey, IfMatch, Listing, Operation, PathId, Query, Registry, answer, created,
};
use crate::log::http::{EventPage, History};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "list_attestations", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "get_attestation_state", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "get_attestation", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "list_attestation_events", permission: Permission::ReadRecords, call: Call::Read, events: &[] },
    Operation { id: "attest", permission: Permission::Attest, call: Call::Create, events: &["attestation.attested"] },
    Operation {
        id: "revoke_attestation",
        permission: Permission::Attest,
        call: Call::Change,
        events: &["attestation.revoked"],
    },
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_attestations)
        .service(get_attestation_state)
        .service(get_attestation)
        .service(list_attestation_events)
        .service(attest)
        .service(revoke_attestation);
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttestationQuery {
    /// About this subject.
    #[garde(skip)]
    unit: Option<Uuid>,
    /// Of this unit and all that it covers, predecessors included.
    #[garde(skip)]
    within: Option<Uuid>,
    /// In this state.
    #[garde(skip)]
    state: Option<AttestationState>,
    /// Of this round; needs `campaign`.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "mid")]
    round: Option<String>,
    /// Of this campaign.
    #[garde(skip)]
    campaign: Option<Uuid>,
    /// To this question.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "A231stable")]
    statement: Option<String>,
    /// With an event at this log position or later.
    #[garde(range(min = 0, max = 9_007_199_254_740_991))]
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    changed_since: Option<i64>,
    /// Items per page.
    #[garde(range(min = 1, max = 200))]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// From `next_cursor` or `prev_cursor`.
    #[garde(length(max = 200))]
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// Lists attestations about and by units inside the caller's subtrees.
#[utoipa::path(tag = "attestations", params(AttestationQuery), responses((status = 200, body = Page<AttestationView>)))]
#[get("/attestations")]
pub async fn list_attestations(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<AttestationQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let snapshot = app.db.snapshot().await?;
    let filter = Filter {
        scope: permit.scope(),
        unit: query.unit,
        within: query.within.map(|unit| permit.caller.under(unit)),
        state: query.state,
        round: campaigns::store::round(snapshot.conn(), query.campaign, query.round).await?,
        campaign: query.campaign,
        statement: query.statement,
        changed_since: query.changed_since,
    };
    let found = store::page(snapshot.conn(), &filter, &listing.slice).await?;
    resource::list(&listing, snapshot.conn(), found, &permit.caller).await
}

/// Which question.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// The campaign.
    #[garde(skip)]
    #[param(example = "01a205b3-d001-7306-a710-04bdc8a0a609")]
    campaign: Uuid,
    /// The round.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "mid")]
    round: String,
    /// The subject.
    #[garde(skip)]
    #[param(example = "01900000-0000-7000-8000-000000000006")]
    unit: Uuid,
    /// The question, by its id in the round's rule set.
    #[garde(length(chars, min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100, example = "A231stable")]
    statement: String,
}

/// What all valid answers to one question amount to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttestationStateView {
    /// The answer.
    pub answer: Verdict,
    /// The valid attestations that it rests on, dated up to the round's cut-off, oldest first.
    #[schema(max_items = 10000)]
    pub attestations: Vec<Uuid>,
}

/// Answers a question about a subject from all valid attestations up to the round's cut-off; rights are judged there.
#[utoipa::path(tag = "attestations", params(StateQuery), responses((status = 200, body = AttestationStateView)))]
#[get("/attestations:state")]
pub async fn get_attestation_state(
    app: App,
    permit: Permit<ReadRecords>,
    query: Query<StateQuery>,
) -> Result<HttpResponse, Error> {
    let StateQuery { campaign, round, unit, statement } = query.0;
    let snapshot = app.db.snapshot().await?;
    let conn = snapshot.conn();
    let definition = campaigns::store::definition(conn, campaign).await.map_err(in_query)?;
    let rule_set = campaigns::store::rule_set(conn, campaign, &round).await.map_err(in_query)?;
    let as_of = definition.round(&round).ok_or_else(|| in_query(unknown_round()))?.as_of;
    let counts = |row: &attestation::Model| definition.counts(&row.round, row.attested_on);
    if rule_set.model().attestations.get(&statement).is_none() {
        return Err(in_query(unknown_statement()));
    }
    let place = permit.caller.see(conn, unit, as_of).await?;
    let mut rows = store::valid(conn, &Question { campaign, round, unit: place.unit, statement }).await?;
    // A cut-off may have moved since: the rules, too, leave out what lies after it.
    rows.retain(counts);
    let answers = rows.iter().map(attestation::Model::answer).collect::<Result<Vec<_>, Error>>()?;
    let attestations = rows.iter().map(|row| row.id).collect();
    Ok(HttpResponse::Ok().json(AttestationStateView { answer: Verdict::of(answers), attestations }))
}

/// A value that cannot be, named in a query.
fn in_query(error: Error) -> Error {
    if error.code != Code::InvalidValue {
        return error;
    }
    let faults = error.faults.into_iter().map(|fault| Fault { pointer: format!("query{}", fault.pointer), ..fault });
    Error::new(Code::InvalidQuery).with(faults.collect())
}

/// Reads an attestation.
#[utoipa::path(tag = "attestations", params(("id" = Uuid, Path)), responses((status = 200, body = AttestationView)))]
#[get("/attestations/{id}")]
pub async fn get_attestation(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let snapshot = app.db.snapshot().await?;
    resource::read::<attestation::Model>(&request, snapshot.conn(), &permit.caller, id.0).await
}

/// Reads an attestation's history.
#[utoipa::path(tag = "attestations", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/attestations/{id}/events")]
pub async fn list_attestation_events(
    request: HttpRequest,
    app: App,
    permit: Permit<ReadRecords>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    resource::events::<attestation::Model>(&request, &app, &permit.caller, id.0, query.0).await
}

/// Answers a question about a subject for the body that the rule set asks; the caller heads the unit that held the body
/// on that day.
#[utoipa::path(tag = "attestations", request_body = AttestationDraft, responses((status = 201, body = AttestationView)))]
#[post("/attestations")]
pub async fn attest(
    app: App,
    permit: Permit<Attest>,
    key: IdempotencyKey,
    body: Body<AttestationDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    let caller = &permit.caller;
    draft.check(caller.today)?;
    let once = key.once("attest", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let ask = Ask::read(tx, draft, caller.today).await?;
        let subject = scope::place(tx.conn(), draft.unit, draft.attested_on, caller.today).await?;
        if permit.may(&subject) {
            // A head of the subject, whatever else the caller heads.
            return Err(about_itself("/unit"));
        }
        let unit = ask.holder(tx, draft).await?;
        let place = scope::place(tx.conn(), unit, draft.attested_on, caller.today).await?;
        if !permit.may(&place) {
            return Err(Code::Forbidden.into());
        }
        ask.was_helped(tx, draft).await?;
        ask.unanswered(tx, draft, unit).await?;
        let row = store::attest(tx, draft, &ask.body, unit).await?;
        let sight = resource::sight(tx.conn(), &row, caller).await?;
        created(format!("/v1/attestations/{}", row.id), row.version, &row.view(&sight, caller)?)
    });
    Ok(answer(stored.await?))
}

/// Why an answer is taken back.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "Nhầm danh sách" }))]
pub struct Revocation {
    /// Why.
    #[garde(length(chars, min = 1, max = 1000))]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Takes an answer back; a head of the unit that gave it or of the unit that holds the body today may.
#[utoipa::path(tag = "attestations", params(("id" = Uuid, Path)), request_body = Revocation, responses((status = 200, body = AttestationView)))]
#[post("/attestations/{id}:revoke")]
pub async fn revoke_attestation(
    app: App,
    permit: Permit<Attest>,
    id: PathId,
    if_match: IfMatch,
    body: Body<Revocation>,
) -> Result<HttpResponse, Error> {
    let reason = &body.value.reason;
    let revoke = async |tx: &WriteTx<'_>, old: &attestation::Model| store::revoke(tx, old, reason).await;
    resource::step(&app, &permit, id.0, &if_match, "revoke", revoke).await
}
