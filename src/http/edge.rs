//! The edge of the service: trace ids, problems in the caller's language, panics, wrong methods,
//! security headers, one wide log line and the metrics of each request.

use std::fmt;
use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, ResponseError, web};
use futures_util::FutureExt;

use super::problem::{self, Language};
use super::{Shared, TraceId};
use crate::auth;
use crate::canonical::hex;
use crate::clock::Stopwatch;
use crate::error::{Code, Error};
use crate::id;

/// An error with the language and trace id of the request that it answers.
#[derive(Debug)]
struct Answered {
    error: Error,
    language: Language,
    trace_id: String,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Answered {
    fn status_code(&self) -> StatusCode {
        self.error.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        problem::render(&self.error, self.language, &self.trace_id)
    }
}

/// Wraps every request.
pub async fn edge(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let stopwatch = Stopwatch::start();
    let trace_id = trace_id(&request);
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let language = Language::negotiate(header(header::ACCEPT_LANGUAGE));
    let method = request.method().clone();
    let allowed =
        request.app_data::<web::Data<Shared>>().and_then(|app| app.methods.refuse(request.path(), method.as_str()));
    request.extensions_mut().insert(TraceId(trace_id.clone()));
    let answered = |error| Answered { error, language, trace_id: trace_id.clone() };
    if let Some(allow) = allowed {
        let error = answered(Error::new(Code::MethodNotAllowed).member("allow", allow));
        let response = request.error_response(error);
        return Ok(finish(response.map_into_boxed_body(), &trace_id, &stopwatch));
    }
    let serving = request.app_data::<web::Data<Shared>>().is_some();
    if serving
        && (request.path().starts_with("/v1/") || request.path() == "/metrics")
        && let Err(error) = auth::authenticate(&request).await
    {
        report(&error, &trace_id);
        let response = request.error_response(answered(error));
        return Ok(finish(response.map_into_boxed_body(), &trace_id, &stopwatch));
    }
    let response = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response.map_into_boxed_body(),
        Ok(Err(error)) => return Err(answered(understand(&error)).into()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(trace_id, panic = text, "a handler panicked");
            return Err(answered(Error::internal("a handler panicked")).into());
        }
    };
    let response = match response.response().error().map(understand) {
        Some(error) => {
            report(&error, &trace_id);
            response.into_response(answered(error).error_response())
        }
        None => response,
    };
    Ok(finish(response, &trace_id, &stopwatch))
}

/// Our own errors by meaning, the framework's by status.
fn understand(error: &actix_web::Error) -> Error {
    if let Some(error) = error.as_error::<Error>() {
        return Error {
            code: error.code,
            faults: error.faults.clone(),
            extra: error.extra.clone(),
            source: error.source.as_ref().map(|source| source.to_string().into()),
        };
    }
    let code = match error.as_response_error().status_code().as_u16() {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        406 => Code::NotAcceptable,
        413 => Code::BodyTooLarge,
        415 => Code::UnsupportedMediaType,
        400..=499 => Code::MalformedBody,
        503 => Code::Busy,
        _ => return Error::internal(error.to_string()),
    };
    Error::new(code)
}

fn report(error: &Error, trace_id: &str) {
    if error.code.status() >= 500 {
        tracing::error!(
            trace_id,
            code = error.code.as_str(),
            source = error.source.as_ref().map(ToString::to_string),
            "failed"
        );
    }
}

fn finish(mut response: ServiceResponse<BoxBody>, trace_id: &str, stopwatch: &Stopwatch) -> ServiceResponse<BoxBody> {
    let fixed =
        [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&format!("00-{trace_id}-{}-01", hex(&id::random::<8>()))) {
        headers.insert(HeaderName::from_static("traceparent"), value);
    }
    let request = response.request();
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let caller = auth::account(request).map(|account| account.to_string());
    let status = response.status().as_u16();
    let elapsed = stopwatch.elapsed();
    tracing::info!(
        method = %request.method(),
        route,
        status,
        caller,
        duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        trace_id,
        "request"
    );
    if let Some(app) = request.app_data::<web::Data<Shared>>() {
        app.metrics.observe(request.method().as_str(), &route, status, elapsed);
    }
    response
}

/// Continues a valid `traceparent` (W3C Trace Context), or begins a trace.
fn trace_id(request: &ServiceRequest) -> String {
    let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    parent.and_then(continued).unwrap_or_else(|| hex(&id::random::<16>()))
}

fn continued(parent: &str) -> Option<String> {
    let mut parts = parent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let lower_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let valid = version.len() == 2 && version != "ff" && lower_hex(version) && trace.len() == 32 && lower_hex(trace);
    (valid && trace.bytes().any(|b| b != b'0')).then(|| trace.to_owned())
}

/// The documented paths and their methods: a wrong method on a known path is 405, not 404.
#[derive(Default)]
pub struct Methods(Vec<(actix_web::dev::ResourceDef, Vec<String>)>);

impl Methods {
    /// From the served contract. Paths with a verb come first: `/x/{id}:submit` before `/x/{id}`.
    pub fn new(paths: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        let mut paths: Vec<(String, Vec<String>)> = paths.into_iter().collect();
        paths.sort_by_key(|(path, _)| (!path.contains("}:"), path.contains('{'), path.clone()));
        Self(paths.into_iter().map(|(path, methods)| (actix_web::dev::ResourceDef::new(path), methods)).collect())
    }

    /// The `Allow` value if `path` is known and `method` is not one of its methods.
    fn refuse(&self, path: &str, method: &str) -> Option<String> {
        let (_, methods) = self.0.iter().find(|(path_def, _)| path_def.is_match(path))?;
        (!methods.iter().any(|known| known == method)).then(|| methods.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let methods = Methods::new([
            ("/v1/figures/{id}".to_owned(), vec!["GET".to_owned()]),
            ("/v1/figures/{id}:confirm".to_owned(), vec!["POST".to_owned()]),
            ("/v1/figures".to_owned(), vec!["GET".to_owned(), "POST".to_owned()]),
        ]);
        assert_eq!(methods.refuse("/v1/figures/1:confirm", "GET").as_deref(), Some("POST"));
        assert_eq!(methods.refuse("/v1/figures/1:confirm", "POST"), None);
        assert_eq!(methods.refuse("/v1/figures/1", "DELETE").as_deref(), Some("GET"));
        assert_eq!(methods.refuse("/v1/figures", "PATCH").as_deref(), Some("GET, POST"));
        assert_eq!(methods.refuse("/elsewhere", "GET"), None);
    }

    #[actix_web::test]
    async fn a_panic_is_a_problem_without_details() {
        async fn broken() -> HttpResponse {
            panic!("secret detail")
        }
        let app =
            actix_web::App::new().wrap(actix_web::middleware::from_fn(edge)).route("/broken", web::get().to(broken));
        let app = actix_web::test::init_service(app).await;
        let request = actix_web::test::TestRequest::get().uri("/broken").to_request();
        let error = actix_web::test::try_call_service(&app, request).await.unwrap_err();
        let response = error.error_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers().get("content-type").unwrap(), problem::MEDIA_TYPE);
        let body = response.into_body().try_into_bytes().unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("\"code\":\"internal\"") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn only_a_valid_traceparent_is_continued() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(continued(good).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "",
            "00-short-0-1",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-0-01",
        ] {
            assert_eq!(continued(bad), None, "{bad}");
        }
    }
}
