//! Erasures over HTTP.

use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, erasure};
use super::{ErasureBasis, ErasureDraft, ErasureSubject};
use crate::auth::policy::permit::{EraseSubjects, ReadErasures};
use crate::auth::{Permission, Permit};
use crate::clock::rfc3339;
use crate::db::{Record, WriteTx};
use crate::error::{Code, Error};
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, Listing, Operation, PathId, Query, Registry, answer, created, found,
};
use crate::log::http::{EventPage, History, history};
use crate::log::rebuild::Kind;
use crate::{grants, rooms};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { id: "list_erasures", permission: Permission::ReadErasures, call: Call::Read, events: &[] },
    Operation { id: "get_erasure", permission: Permission::ReadErasures, call: Call::Read, events: &[] },
    Operation { id: "list_erasure_events", permission: Permission::ReadErasures, call: Call::Read, events: &[] },
    Operation { id: "erase_subject", permission: Permission::EraseSubjects, call: Call::Create, events: EVENTS },
];

/// One a kind of record that has personal values, and the erasure's own. A test compares them with the kinds.
const EVENTS: &[&str] = &[
    "account.erased",
    "activity.erased",
    "attestation.erased",
    "erasure.erased",
    "erasure.recorded",
    "figure.erased",
    "initiative.erased",
    "nomination.erased",
    "obligation.erased",
    "observation.erased",
    "register.erased",
    "revocation.erased",
    "role_grant.erased",
    "succession.erased",
    "unit.erased",
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config.service(list_erasures).service(get_erasure).service(list_erasure_events).service(erase_subject);
}

/// An erasure as administrators and auditors see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureView {
    /// Identity.
    pub id: Uuid,
    /// The record whose personal values went.
    pub subject: ErasureSubject,
    /// On what basis.
    pub legal_basis: ErasureBasis,
    /// How many values of it were disclosed until then, in all versions.
    #[schema(minimum = 0)]
    pub digests: i64,
    /// Which: SHA-256, base64url, of their digests in the order of their bytes, with a newline between two.
    #[schema(max_length = 43)]
    pub digests_sha256: String,
    /// Why; personal. Null if nobody said, and once erased.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// Time of the first event, UTC: from then on they were gone.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl ErasureView {
    fn new(row: erasure::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            subject: ErasureSubject { kind: row.subject_type, id: row.subject_id },
            legal_basis: ErasureBasis::parse(&row.legal_basis).ok_or_else(|| Error::internal("an unknown basis"))?,
            digests: row.digests,
            digests_sha256: row.digests_sha256,
            reason: row.erase_reason,
            version: row.version,
            created_at: rfc3339(row.created_at),
        })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErasureQuery {
    /// Of this record.
    #[garde(skip)]
    subject: Option<Uuid>,
    /// On this basis.
    #[garde(skip)]
    legal_basis: Option<ErasureBasis>,
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

/// Lists erasures.
#[utoipa::path(tag = "erasures", params(ErasureQuery), responses((status = 200, body = Page<ErasureView>)))]
#[get("/erasures")]
pub async fn list_erasures(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadErasures>,
    query: Query<ErasureQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let filter = Filter { subject: query.subject, legal_basis: query.legal_basis, changed_since: query.changed_since };
    let found = store::page(app.db.reader().conn(), &filter, &listing.slice).await?;
    listing.answer(found, |row| row.id, ErasureView::new)
}

/// Reads an erasure.
#[utoipa::path(tag = "erasures", params(("id" = Uuid, Path)), responses((status = 200, body = ErasureView)))]
#[get("/erasures/{id}")]
pub async fn get_erasure(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadErasures>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    found(&request, row.version, &ErasureView::new(row)?)
}

/// Reads an erasure's history.
#[utoipa::path(tag = "erasures", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/erasures/{id}/events")]
pub async fn list_erasure_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ReadErasures>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    store::find(app.db.reader().conn(), id.0).await?.ok_or(Code::NotFound)?;
    history(&request, &app, id.0, query.0).await
}

/// Erases the personal values of a record, in all its versions, for ever.
///
/// Proofs go on holding: the log never had the values. An account is erased once all its grants have ended (`in_use`
/// before). A key that made the record is answered 410 from then on, never with what was erased.
#[utoipa::path(tag = "erasures", request_body = ErasureDraft, responses((status = 201, body = ErasureView)))]
#[post("/erasures")]
pub async fn erase_subject(
    app: App,
    permit: Permit<EraseSubjects>,
    key: IdempotencyKey,
    body: Body<ErasureDraft>,
) -> Result<HttpResponse, Error> {
    let (draft, today) = (&body.value, permit.caller.today);
    let (kind, subject) = (kind(&draft.subject.kind)?, draft.subject.id);
    let once = key.once("erase_subject", body.digest);
    let eraser = app.db.as_eraser();
    let stored = eraser.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        if kind.stream == grants::store::account::Model::STREAM {
            // What was asked when they were given named the person.
            let given = grants::store::all_ended(tx, subject, today).await?;
            tx.forget_answers(&given).await?;
        }
        let erased = (kind.erase)(tx, subject).await?;
        let erased =
            erased.ok_or_else(|| Error::invalid("/subject/id", "không có bản ghi này", "there is no such record"))?;
        let row = store::record(tx, draft, &erased).await?;
        created(format!("/v1/erasures/{}", row.id), row.version, &ErasureView::new(row)?)
    });
    let stored = stored.await?;
    if let Err(error) = app.db.bury_keys(Some(subject)).await {
        tracing::warn!(%error, "the key of what was erased is deleted within the hour");
    }
    app.db.scrub().await;
    Ok(answer(stored))
}

/// The kind of record that this word names, if there is something to erase in such a record.
fn kind(word: &str) -> Result<&'static Kind, Error> {
    let kind = rooms::kinds().find(|kind| kind.stream == word);
    let kind = kind.ok_or_else(|| {
        Error::invalid("/subject/type", "không có loại bản ghi này", "there is no such kind of record")
    })?;
    if !kind.is_personal() {
        let (vi, en) = ("loại bản ghi này không có dữ liệu cá nhân", "records of this kind have no personal value");
        return Err(Error::invalid("/subject/type", vi, en));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_with_personal_values_can_be_erased() {
        let kinds: BTreeSet<&str> = rooms::kinds().filter(|kind| kind.is_personal()).map(|kind| kind.erased).collect();
        let said: BTreeSet<&str> = EVENTS.iter().copied().filter(|event| *event != "erasure.recorded").collect();
        assert_eq!(said, kinds);
    }
}
