//! How this service speaks HTTP, once for every room: strict input, problems, preconditions, pages.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde::Serialize;
use uuid::Uuid;

use crate::auth::token::Verifier;
use crate::canonical::{hex, sha256};
use crate::db::Db;
use crate::db::idempotency::Answer;
use crate::error::{Code, Error};
use crate::log::signer::Signer;

pub mod accept;
pub mod body;
pub mod edge;
pub mod headers;
pub mod health;
pub mod limits;
pub mod metrics;
mod objects;
pub mod page;
pub mod problem;
pub mod query;
pub mod registry;
pub mod resource;
pub mod search;
pub mod surface;
mod unread;
pub mod wait;

pub use body::Body;
pub use headers::{IdempotencyKey, IfMatch};
pub use query::Query;
pub use registry::Registry;
pub use search::Search;

/// What every handler may reach.
pub struct Shared {
    /// The one door.
    pub db: Db,
    /// Who is believed.
    pub verifier: Verifier,
    /// Signs and reads page cursors.
    pub cursors: page::Cursors,
    /// Counters and histograms.
    pub metrics: metrics::Metrics,
    /// Methods and media types of each path.
    pub surface: web::Data<surface::Surface>,
    /// The served contract, as JSON.
    pub contract: String,
    /// How much is allowed.
    pub limits: limits::Limits,
    /// In the demo, the token with which the documentation page authorises itself.
    pub demo_token: Option<String>,
    /// Signs the log, where the service has a key for it.
    pub signer: Option<Arc<Signer>>,
    /// What exports say of themselves.
    pub manifests: crate::exports::Manifests,
    /// What is new in the log, for whoever follows it.
    pub news: crate::log::news::News,
    /// Between which times the log's events lie.
    pub spans: crate::log::spans::Spans,
    /// How far the self-audit has read the log.
    pub kept_pass: crate::findings::KeptPass,
}

impl Shared {
    /// The state around a connected database.
    pub async fn new(
        db: Db,
        verifier: Verifier,
        limits: limits::Limits,
        demo_token: Option<String>,
    ) -> Result<Self, Error> {
        let contract = crate::app::openapi();
        Ok(Self {
            cursors: page::Cursors::new(&db.cursor_secret().await?),
            metrics: metrics::Metrics::new(verifier.keys.counts()),
            surface: web::Data::new(surface::Surface::of_contract(&contract)),
            contract: serde_json::to_string_pretty(&contract).map_err(Error::internal)?,
            db,
            verifier,
            limits,
            demo_token,
            signer: None,
            manifests: Default::default(),
            news: Default::default(),
            spans: Default::default(),
            kept_pass: Default::default(),
        })
    }

    /// The same with a key for the log.
    pub fn signed_by(self, signer: Arc<Signer>) -> Self {
        self.metrics.add(signer.counts());
        Self { signer: Some(signer), ..self }
    }
}

/// The shared state as handlers take it.
pub type App = web::Data<Shared>;

/// A room's routes.
pub type Routes = fn(&mut Registry);

/// An operation that changes something or needs a word in the contract beyond its handler.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The handler's name.
    pub id: &'static str,
    /// Permission that it needs.
    pub permission: crate::auth::policy::Permission,
    /// What kind of call it is.
    pub call: Call,
    /// Events that it may write; a read writes none.
    pub events: &'static [&'static str],
}

/// The kinds of call, which decide the headers that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reads one record or a list.
    Read,
    /// Creates a record: Idempotency-Key.
    Create,
    /// Changes a record: If-Match.
    Change,
    /// Computes without storing.
    Compute,
}

/// The trace id of a request, 32 hex digits.
#[derive(Clone, Debug)]
pub struct TraceId(pub String);

/// The trace id that the edge gave this request.
pub fn trace_id(request: &HttpRequest) -> String {
    request.extensions().get::<TraceId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The record's id in the path; anything that is no id names nothing.
pub struct PathId(pub Uuid);

impl FromRequest for PathId {
    type Error = Error;
    type Future = std::future::Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|id| Uuid::try_parse(id).ok());
        std::future::ready(id.map(PathId).ok_or_else(|| Code::NotFound.into()))
    }
}

/// The ETag of a representation: version for `If-Match`, digest of the bytes for `If-None-Match`.
pub fn etag(version: i64, body: &str) -> String {
    format!("\"{version}.{}\"", &hex(&sha256(body.as_bytes()))[..16])
}

/// Answers a read of one record: 304 if the caller has these very bytes.
pub fn found<T: Serialize>(request: &HttpRequest, version: i64, view: &T) -> Result<HttpResponse, Error> {
    let body = serde_json::to_string(view).map_err(Error::internal)?;
    let etag = etag(version, &body);
    if headers::has(request, &etag)? {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).content_type("application/json").body(body))
}

/// Answers a change with the record as it is now.
pub fn changed<T: Serialize>(version: i64, view: &T) -> Result<HttpResponse, Error> {
    let body = serde_json::to_string(view).map_err(Error::internal)?;
    let etag = etag(version, &body);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).content_type("application/json").body(body))
}

/// What a creating request answers with, to be stored beside its effect.
pub fn created<T: Serialize>(location: String, version: i64, view: &T) -> Result<Answer, Error> {
    let body = serde_json::to_string(view).map_err(Error::internal)?;
    let etag = Some(etag(version, &body));
    let subject = location.rsplit('/').next().and_then(|id| Uuid::try_parse(id).ok());
    Ok(Answer { status: 201, location: Some(location), etag, body, subject, replayed: false })
}

/// Writes an answer, fresh or replayed.
pub fn answer(answer: Answer) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    response.content_type("application/json");
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    if let Some(etag) = answer.etag {
        response.insert_header((header::ETAG, etag));
    }
    if answer.replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    response.body(answer.body)
}

/// A request for a list or for what is found in it: its slice and how its page is answered.
pub struct Listing<'a> {
    request: &'a HttpRequest,
    cursors: &'a page::Cursors,
    filters: String,
    /// True if the request speaks in its body, not in its query string.
    in_body: bool,
    /// The page asked for.
    pub slice: page::Slice,
}

impl<'a> Listing<'a> {
    /// Reads cursor and limit.
    pub fn new(
        request: &'a HttpRequest,
        app: &'a App,
        cursor: Option<&str>,
        limit: Option<u64>,
    ) -> Result<Self, Error> {
        let filters = format!("{}?{}", request.path(), page::filters(request.query_string()));
        let slice = app.cursors.slice(cursor, limit, &filters)?;
        Ok(Self { request, cursors: &app.cursors, filters, in_body: false, slice })
    }

    /// Reads cursor and limit of a search.
    pub fn search<T>(request: &'a HttpRequest, app: &'a App, search: &Search<T>) -> Result<Self, Error> {
        let filters = format!("{} {}", request.path(), search.bound);
        let slice = app.cursors.slice_at("/cursor", search.cursor.as_deref(), search.limit, &filters)?;
        let slice = page::Slice { words: search.words.clone(), ..slice };
        Ok(Self { request, cursors: &app.cursors, filters, in_body: true, slice })
    }

    /// What a list says of its query string, as a search says it of its body.
    pub fn told(&self, mut error: Error) -> Error {
        if self.in_body && error.code == Code::InvalidQuery {
            error.code = Code::InvalidValue;
            for fault in &mut error.faults {
                fault.pointer = fault.pointer.replacen("query/", "/", 1);
            }
        }
        error
    }

    /// The page with its cursors and `Link`.
    pub fn answer<R, T: Serialize>(
        &self,
        found: page::Found<R>,
        id: impl Fn(&R) -> Uuid,
        view: impl FnMut(R) -> Result<T, Error>,
    ) -> Result<HttpResponse, Error> {
        let page = self.page(found, id, view)?;
        let mut response = HttpResponse::Ok();
        if let Some(link) = self.link(page.next_cursor.as_deref(), page.prev_cursor.as_deref()) {
            response.insert_header((header::LINK, link));
        }
        Ok(response.json(page))
    }

    /// The page with its cursors.
    pub fn page<R, T>(
        &self,
        found: page::Found<R>,
        id: impl Fn(&R) -> Uuid,
        view: impl FnMut(R) -> Result<T, Error>,
    ) -> Result<page::Page<T>, Error> {
        let page = self.cursors.page(&self.slice, &self.filters, found, id, view);
        let items = page.items.into_iter().collect::<Result<_, _>>()?;
        Ok(page::Page { items, next_cursor: page.next_cursor, prev_cursor: page.prev_cursor })
    }

    /// A cursor that continues after this place, whether or not anything follows yet.
    pub fn cursor_after(&self, key: &page::Key) -> String {
        self.cursors.after(key, &self.filters)
    }

    /// A cursor that goes back from this place.
    pub fn cursor_before(&self, key: &page::Key) -> String {
        self.cursors.before(key, &self.filters)
    }

    /// The `Link` header; a search has none, since its pages have no URL.
    pub fn link(&self, next: Option<&str>, prev: Option<&str>) -> Option<String> {
        if self.in_body {
            return None;
        }
        page::link(self.request.path(), self.request.query_string(), next, prev)
    }
}
