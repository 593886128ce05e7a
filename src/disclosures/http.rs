//! Disclosures over HTTP: a read that leaves an event behind.

use actix_web::http::header;
use actix_web::{HttpResponse, get};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{CommitmentState, DisclosurePurpose, store};
use crate::auth::policy::permit::ReadDisclosures;
use crate::auth::{Permission, Permit};
use crate::db::{Outcome, WriteTx};
use crate::error::{Code, Error};
use crate::http::{App, Call, Operation, PathId, Query, Registry};
use crate::log::erased::commitments;
use crate::log::fold::stream;
use crate::log::store::{self as log, DisclosureRow, Filter, Range};
use crate::rooms;

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "get_event_disclosures",
    permission: Permission::ReadDisclosures,
    call: Call::Read,
    events: &["disclosure.made"],
}];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config.service(get_event_disclosures);
}

/// The personal values behind an event's commitments, as far as they are still there.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisclosuresView {
    /// The event.
    pub event: Uuid,
    /// What for; stands in the event that this read has left.
    pub purpose: DisclosurePurpose,
    /// Value and salt of each commitment that can still be opened.
    #[schema(max_items = 100)]
    pub disclosures: Vec<DisclosedValue>,
    /// What became of each commitment that the event made.
    #[schema(max_items = 100)]
    pub commitments: Vec<CommitmentView>,
}

/// A value that can be checked against its digest: SHA-256 of the base64url of the canonical JSON `[salt, path, value]`.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisclosedValue {
    /// The field's name, or `reason`.
    #[schema(max_length = 100)]
    pub path: String,
    /// 128 random bits, base64url.
    #[schema(max_length = 22)]
    pub salt: String,
    /// The value: a text, or a list of texts.
    pub value: Value,
}

/// A commitment of the event.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommitmentView {
    /// The field's name, or `reason`.
    #[schema(max_length = 100)]
    pub path: String,
    /// As it stands in the leaf.
    #[schema(max_length = 43)]
    pub digest: String,
    /// What became of it.
    pub state: CommitmentState,
}

/// What the values are looked at for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DisclosureQuery {
    /// What for.
    #[garde(skip)]
    purpose: DisclosurePurpose,
}

/// Shows the personal values behind an event's commitments. Each call is an event itself.
///
/// That event is committed before anything is shown. Values that were erased are gone, and the commitment says so; one
/// that is `missing` is neither there nor erased.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path), DisclosureQuery), responses((status = 200, body = DisclosuresView)))]
#[get("/events/{id}/disclosures")]
pub async fn get_event_disclosures(
    app: App,
    permit: Permit<ReadDisclosures>,
    id: PathId,
    query: Query<DisclosureQuery>,
) -> Result<HttpResponse, Error> {
    let (event, purpose) = (id.0, query.0.purpose);
    app.db.settle().await?;
    let filter = Filter { event: Some(event), ..Filter::default() };
    let range = Range { after: None, before: None, descending: false, limit: 1 };
    let found = log::read(app.db.reader().conn(), &filter, &permit.scope(), range).await?;
    let row = found.rows.into_iter().next().ok_or(Code::NotFound)?;
    let leaf: Value = serde_json::from_str(&row.leaf).map_err(Error::internal)?;
    let rows = app.db.record(&permit.context, async |tx: &WriteTx<'_>| {
        let rows = log::disclosures_at(tx.conn(), event).await?;
        let paths: Vec<&str> = rows.iter().map(|row| row.path.as_str()).collect();
        store::record(tx, event, purpose, &paths).await?;
        Ok(Outcome::Changed(rows))
    });
    let rows = rows.await?;
    // Afterwards: what was erased in between is known as erased.
    app.db.settle().await?;
    let view = DisclosuresView {
        event,
        purpose,
        commitments: states(&app, &leaf, &rows).await?,
        disclosures: rows.into_iter().map(disclosed).collect(),
    };
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(view))
}

async fn states(app: &App, leaf: &Value, rows: &[DisclosureRow]) -> Result<Vec<CommitmentView>, Error> {
    let (kind, record) = stream(leaf).ok_or_else(|| Error::internal("a leaf names no record"))?;
    let version = leaf["ver"].as_i64().unwrap_or_default();
    let erased = rooms::kinds().find(|known| known.stream == kind).map(|known| known.erased);
    let erased = match erased {
        Some(event) => log::is_followed(app.db.reader().conn(), record, version, event).await?,
        None => false,
    };
    let view = |(path, digest): (&str, &str)| {
        let is_there = rows.iter().any(|row| row.path == path);
        CommitmentView {
            path: path.to_owned(),
            digest: digest.to_owned(),
            state: CommitmentState::of(is_there, erased),
        }
    };
    Ok(commitments(leaf).into_iter().map(view).collect())
}

fn disclosed(row: DisclosureRow) -> DisclosedValue {
    DisclosedValue { path: row.path, salt: row.salt, value: row.value }
}
