//! `/audit`: a page on which an auditor reads the log and verifies it in the browser, from the binary alone.
//!
//! The page asks this service only, and only as any client would. What it may load stands in its policy: no inline
//! script or style, nothing from elsewhere.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::canonical::{hex, sha256};
use crate::error::Error;
use crate::http::{App, headers};
use crate::rooms;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the page.
pub struct File {
    /// Where it is served.
    pub path: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// A file below `/audit/`, by its name in `src/audit_page`.
macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/audit/", $name),
            content_type: $content_type,
            text: include_str!(concat!("audit_page/", $name)),
        }
    };
}

/// Everything that the page is made of.
pub const FILES: &[File] = &[
    File { path: "/audit", content_type: HTML, text: include_str!("audit_page/index.html") },
    file!("page.css", STYLE),
    file!("icon.svg", "image/svg+xml"),
    file!("app.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("checkpoint.js", SCRIPT),
    file!("disclosures.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("event.js", SCRIPT),
    file!("events.js", SCRIPT),
    file!("files.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("record.js", SCRIPT),
    file!("trust.js", SCRIPT),
    file!("tree.js", SCRIPT),
    file!("verdict.js", SCRIPT),
    file!("verify.js", SCRIPT),
    file!("words.js", SCRIPT),
];

/// What differs from one service to the next.
pub const SETUP: &str = "/audit/setup.json";

/// The paths and what they are, as in [`crate::docs::PATHS`].
pub fn paths() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let files = FILES.iter().map(|file| (file.path, if file.path == "/audit" { &["text/html"][..] } else { &[] }));
    files.chain([(SETUP, &[][..])])
}

/// The routes of the page.
pub fn routes(config: &mut web::ServiceConfig) {
    for file in FILES {
        config.route(file.path, web::get().to(move |request: HttpRequest| async move { serve(&request, file) }));
    }
    config.route(SETUP, web::get().to(setup));
}

/// What the page may do: its own files and this service, nothing else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static ETAGS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    let etag = |text: &str| format!("\"{}\"", &hex(&sha256(text.as_bytes()))[..16]);
    FILES.iter().map(|file| (file.path, etag(file.text))).collect()
});

/// Kept by browsers, and asked for again each time: files of two releases never meet.
fn serve(request: &HttpRequest, file: &File) -> Result<HttpResponse, Error> {
    let etag = ETAGS.get(file.path).map(String::as_str).unwrap_or_default();
    let mut response = if headers::has(request, etag)? { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, etag));
    if headers::has(request, etag)? {
        return Ok(response.finish());
    }
    Ok(response.content_type(file.content_type).body(file.text))
}

/// The types of events for the filter, and in the demo the token that the documentation page has as well.
async fn setup(app: App) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "types": rooms::event_types(), "token": app.demo_token }))
}
