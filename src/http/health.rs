//! Health and metrics: `/livez`, `/readyz`, and `/metrics`, which needs a permission; on a listener
//! of its own it needs none.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::surface::Surface;
use super::{App, Call, Operation, Registry, problem};
use crate::auth::policy::permit::ReadMetrics;
use crate::auth::{Permission, Permit};
use crate::db::Db;
use crate::error::{Code, Error};

/// What the contract says of each operation.
pub const OPERATIONS: &[Operation] =
    &[Operation { id: "get_metrics", permission: Permission::ReadMetrics, call: Call::Read, events: &[] }];

/// This room has no routes under `/v1`.
pub fn routes(_: &mut Registry) {}

/// The routes at the root.
pub fn root_routes(config: &mut Registry) {
    config.service(live).service(ready).service(get_metrics);
}

/// The state of the process.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, `read only: …`, or what is missing.
    #[schema(max_length = 200, example = "ok")]
    pub status: String,
    /// Migrations that have not run.
    #[schema(max_items = 1000)]
    pub pending_migrations: Vec<String>,
}

/// Says that the process runs.
#[utoipa::path(tag = "operations", operation_id = "get_liveness", responses((status = 200, body = Health)))]
#[get("/livez")]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok".to_owned(), pending_migrations: vec![] })
}

/// Says whether the process can serve: the database answers, no migration waits, the issuer's keys are known.
#[utoipa::path(tag = "operations", operation_id = "get_readiness", responses((status = 200, body = Health), (status = 503, body = Health)))]
#[get("/readyz")]
pub async fn ready(app: App) -> HttpResponse {
    let health = health(&app.db).await;
    let keyless = health.status == "ok" && app.verifier.keys.current().is_none();
    let health = if keyless { Health { status: KEYLESS.to_owned(), ..health } } else { health };
    if health.status != "ok" {
        return HttpResponse::ServiceUnavailable().json(health);
    }
    // Reads go on.
    let trouble = app.signer.as_ref().is_some_and(|signer| signer.trouble().is_some());
    let status = if trouble { READ_ONLY.to_owned() } else { health.status };
    HttpResponse::Ok().json(Health { status, ..health })
}

/// What auditors hold is not what stands in this database.
const READ_ONLY: &str = "read only: the log is not the one that was signed";

/// No key set was ever read, or the last one is too old to be used.
const KEYLESS: &str = "the issuer's keys are not known";

async fn health(db: &Db) -> Health {
    match db.pending_migrations().await {
        Ok(pending) if pending.is_empty() => Health { status: "ok".to_owned(), pending_migrations: pending },
        Ok(pending) => Health { status: "migrations wait".to_owned(), pending_migrations: pending },
        Err(_) => Health { status: "the database does not answer".to_owned(), pending_migrations: vec![] },
    }
}

/// Both probes, which need no token on any listener.
const PROBES: &[(&str, &[&str])] = &[("/livez", JSON), ("/readyz", JSON)];
const JSON: &[&str] = &["application/json", problem::MEDIA_TYPE];

/// What is there while migrations wait.
pub fn waiting_surface() -> Surface {
    Surface::open(PROBES)
}

/// What `/readyz` says while migrations wait, and until the service itself answers.
pub async fn waiting(db: &Db) -> Health {
    let health = health(db).await;
    let status = if health.status == "ok" { "starting".to_owned() } else { health.status };
    Health { status, ..health }
}

/// What answers while migrations wait.
pub fn waiting_routes(config: &mut web::ServiceConfig) {
    config.service(live).route("/readyz", web::get().to(not_ready)).default_service(web::to(busy));
}

async fn not_ready(seen: web::Data<watch::Receiver<Health>>) -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(seen.borrow().clone())
}

async fn busy() -> Result<HttpResponse, Error> {
    Err(Code::Busy.into())
}

/// Reads the metrics in the OpenMetrics text form.
#[utoipa::path(tag = "operations", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
#[get("/metrics")]
pub async fn get_metrics(app: App, _permit: Permit<ReadMetrics>) -> HttpResponse {
    text(&app)
}

/// What is there on the metrics' own listener.
pub fn metrics_surface() -> Surface {
    Surface::open(&[("/metrics", &["application/openmetrics-text"])])
}

/// What answers on the metrics' own listener.
pub fn metrics_routes(config: &mut web::ServiceConfig) {
    config.route("/metrics", web::get().to(open_metrics)).default_service(web::to(nothing_here));
}

/// What answers where nothing is.
pub async fn nothing_here() -> Result<HttpResponse, Error> {
    Err(Code::NotFound.into())
}

/// The metrics without a permission.
async fn open_metrics(app: App) -> HttpResponse {
    text(&app)
}

fn text(app: &web::Data<super::Shared>) -> HttpResponse {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().content_type(media).body(app.metrics.text())
}
