//! Exports over HTTP.

use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::{HttpRequest, HttpResponse, get, post};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::store::{self, Filter, export};
use super::{ExportDraft, ExportFormat, ExportPurpose, cloud, content, csv, manifest};
use crate::auth::policy::permit::ExportLog;
use crate::auth::{Permission, Permit};
use crate::canonical::MAX_SAFE;
use crate::clock::rfc3339;
use crate::db::WriteTx;
use crate::error::{Code, Error, Fault};
use crate::http::page::Page;
use crate::http::{
    App, Body, Call, IdempotencyKey, Listing, Operation, PathId, Query, Registry, answer, created, found,
};
use crate::log::http::{EventPage, History, history, there_is};
use crate::log::{proofs, seal};

const fn operation(id: &'static str, call: Call, events: &'static [&'static str]) -> Operation {
    Operation { id, permission: Permission::ExportLog, call, events }
}

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] = &[
    operation("list_exports", Call::Read, &[]),
    operation("get_export", Call::Read, &[]),
    operation("list_export_events", Call::Read, &[]),
    operation("get_export_content", Call::Read, &[]),
    operation("get_export_manifest", Call::Read, &[]),
    operation("request_export", Call::Create, &["export.requested"]),
];

/// The routes of this room.
pub fn routes(config: &mut Registry) {
    config
        .service(list_exports)
        .service(get_export)
        .service(list_export_events)
        .service(get_export_content)
        .service(get_export_manifest)
        .service(request_export);
}

/// An export.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportView {
    /// Identity.
    pub id: Uuid,
    /// The form of the content.
    pub format: ExportFormat,
    /// What it is for.
    pub purpose: ExportPurpose,
    /// The first position.
    #[schema(minimum = 0)]
    pub from: i64,
    /// The position after the last: the size of a signed checkpoint.
    #[schema(minimum = 0)]
    pub to: i64,
    /// Who asked for it.
    pub requested_by: Option<Uuid>,
    /// Events of this record only.
    pub record: Option<Uuid>,
    /// Events of this type only.
    pub r#type: Option<String>,
    /// Events by this account only.
    pub actor: Option<Uuid>,
    /// Events that concern this unit only.
    pub unit: Option<Uuid>,
    /// Events of this campaign only.
    pub campaign: Option<Uuid>,
    /// Version; the first part of the ETag.
    pub version: i64,
    /// When it was asked for, UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl ExportView {
    fn new(row: export::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            format: row.format()?,
            purpose: row.purpose()?,
            from: row.from_position,
            to: row.to_position,
            requested_by: row.requested_by,
            record: row.only_record,
            r#type: row.only_type,
            actor: row.only_actor,
            unit: row.only_unit,
            campaign: row.only_campaign,
            version: row.version,
            created_at: rfc3339(row.created_at),
        })
    }
}

/// Filters of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// In this form.
    #[garde(skip)]
    format: Option<ExportFormat>,
    /// For this purpose.
    #[garde(skip)]
    purpose: Option<ExportPurpose>,
    /// Asked for by this account.
    #[garde(skip)]
    requested_by: Option<Uuid>,
    /// With an event at this log position or later.
    #[garde(range(min = 0, max = MAX_SAFE))]
    #[param(minimum = 0)]
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

/// Lists exports: who took which part of the log, and for what.
#[utoipa::path(tag = "events", params(ExportQuery), responses((status = 200, body = Page<ExportView>)))]
#[get("/exports")]
pub async fn list_exports(
    request: HttpRequest,
    app: App,
    _permit: Permit<ExportLog>,
    query: Query<ExportQuery>,
) -> Result<HttpResponse, Error> {
    let query = query.0;
    let listing = Listing::new(&request, &app, query.cursor.as_deref(), query.limit)?;
    app.db.settle().await?;
    let ExportQuery { format, purpose, requested_by, changed_since, .. } = query;
    let filter = Filter { format, purpose, requested_by, changed_since };
    let found = store::page(app.db.reader().conn(), &filter, &listing.slice).await?;
    listing.answer(found, |row| row.id, ExportView::new)
}

async fn there(app: &App, id: &PathId) -> Result<export::Model, Error> {
    store::find(app.db.reader().conn(), id.0).await?.ok_or_else(|| Code::NotFound.into())
}

/// Reads an export.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path)), responses((status = 200, body = ExportView)))]
#[get("/exports/{id}")]
pub async fn get_export(
    request: HttpRequest,
    app: App,
    _permit: Permit<ExportLog>,
    id: PathId,
) -> Result<HttpResponse, Error> {
    let row = there(&app, &id).await?;
    found(&request, row.version, &ExportView::new(row)?)
}

/// Reads an export's history.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path), History), responses((status = 200, body = EventPage)))]
#[get("/exports/{id}/events")]
pub async fn list_export_events(
    request: HttpRequest,
    app: App,
    _permit: Permit<ExportLog>,
    id: PathId,
    query: Query<History>,
) -> Result<HttpResponse, Error> {
    there(&app, &id).await?;
    history(&request, &app, id.0, query.0).await
}

/// Asks for an export of the log, up to a signed checkpoint of everything that was committed before.
#[utoipa::path(tag = "events", request_body = ExportDraft, responses((status = 201, body = ExportView)))]
#[post("/exports")]
pub async fn request_export(
    app: App,
    permit: Permit<ExportLog>,
    key: IdempotencyKey,
    body: Body<ExportDraft>,
) -> Result<HttpResponse, Error> {
    let draft = &body.value;
    draft.check()?;
    if let Some(kind) = &draft.r#type {
        there_is(kind, Code::InvalidValue, "/type")?;
    }
    app.db.settle().await?;
    let size = u64::try_from(seal::size(app.db.reader().conn()).await?).map_err(Error::internal)?;
    let signed = proofs::signer(&app)?.enough(size).await?;
    let to = i64::try_from(signed.checkpoint.size()).map_err(Error::internal)?;
    if draft.from.is_some_and(|from| from > to) {
        return Err(Error::invalid("/from", "nhật ký chưa tới vị trí này", "the log has not come to this position"));
    }
    let once = key.once("request_export", body.digest);
    let stored = app.db.record_once(&permit.context, &once, async |tx: &WriteTx<'_>| {
        let row = store::request(tx, draft, to).await?;
        created(format!("/v1/exports/{}", row.id), row.version, &ExportView::new(row)?)
    });
    Ok(answer(stored.await?))
}

/// Where a download goes on.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContentQuery {
    /// Positions greater than this: the last one that was read.
    #[garde(range(min = -1, max = MAX_SAFE))]
    #[param(minimum = -1)]
    after: Option<i64>,
}

/// Reads the content, in the form that was asked for.
///
/// `ndjson`: the leaves from `from` up to `to`, one a line. `First-Position` is the position of the first line of this
/// answer, each line has the next one. `csv`: a table with positions; its first line says what it leaves out, and is not
/// repeated with `after`. `cloudevents`: a batch of at most a megabyte; the next one is where `Link` leads. A download
/// that was cut goes on with `?after=` the last position that was read whole. The bytes are the same for ever.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path), ContentQuery), responses((status = 200, content(
    (String = "application/x-ndjson"),
    (String = "text/csv"),
    (Vec<cloud::CloudEvent> = "application/cloudevents-batch+json"),
), headers(
    ("First-Position" = i64, description = "The position at which this answer begins to look"),
    ("End-Position" = i64, description = "The position before which the export ends"),
))))]
#[get("/exports/{id}/content")]
pub async fn get_export_content(
    request: HttpRequest,
    app: App,
    _permit: Permit<ExportLog>,
    id: PathId,
    query: Query<ContentQuery>,
) -> Result<HttpResponse, Error> {
    let row = there(&app, &id).await?;
    let before = row.from_position - 1;
    let after = query.0.after.unwrap_or(before);
    if after < before || after >= row.to_position.max(row.from_position + 1) {
        let (vi, en) = ("không nằm trong bản trích xuất", "does not lie within the export");
        return Err(Error::at(Code::InvalidQuery, Fault::new("query/after", vi, en)));
    }
    let format = row.format()?;
    let mut response = HttpResponse::Ok();
    response.insert_header(("First-Position", after + 1)).insert_header(("End-Position", row.to_position));
    response.insert_header((header::CACHE_CONTROL, "private, max-age=31536000, immutable"));
    Ok(match format {
        ExportFormat::Ndjson => {
            response.content_type(content::NDJSON).insert_header(attachment(&row, "ndjson"));
            response.streaming(content::lines(app, after, row.to_position))
        }
        ExportFormat::Csv => {
            response.content_type(csv::MEDIA_TYPE).insert_header(attachment(&row, "csv"));
            let begins = query.0.after.is_none();
            response.streaming(csv::rows(app, row.filter(), after, row.to_position, begins))
        }
        ExportFormat::CloudEvents => {
            let batch = cloud::batch(&app, &row.filter(), after, row.to_position).await?;
            if let Some(next) = batch.next {
                let link = format!("<{}?after={next}>; rel=\"next\"", request.path());
                response.insert_header((header::LINK, link));
            }
            response.content_type(cloud::MEDIA_TYPE).body(batch.body)
        }
    })
}

fn attachment(row: &export::Model, extension: &str) -> (header::HeaderName, ContentDisposition) {
    let name = DispositionParam::Filename(format!("{}.{extension}", row.id));
    (
        header::CONTENT_DISPOSITION,
        ContentDisposition { disposition: DispositionType::Attachment, parameters: vec![name] },
    )
}

/// Reads what proves an `ndjson` export: its signed manifest, a line `--`, and the signed checkpoint that it ends at.
///
/// The first call reads the whole export; one that would take too long is answered with 503 and goes on by itself.
#[utoipa::path(tag = "events", params(("id" = Uuid, Path)), responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/exports/{id}/manifest")]
pub async fn get_export_manifest(app: App, _permit: Permit<ExportLog>, id: PathId) -> Result<HttpResponse, Error> {
    let row = there(&app, &id).await?;
    if row.format()? != ExportFormat::Ndjson {
        let (vi, en) = ("chỉ bản ndjson có bản kê", "only ndjson has a manifest");
        return Err(Error::at(Code::NotFound, Fault::new("path/id", vi, en)));
    }
    let text = manifest::of(&app, &row).await?;
    let disposition = attachment(&row, "manifest");
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").insert_header(disposition).body(text))
}
