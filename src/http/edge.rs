//! The edge of the service: trace ids, problems in the caller's language, panics, wrong methods, what is not
//! acceptable, security headers, one wide log line and the metrics of each request.
//!
//! Every answer passes [`Exchange::finish`], whatever happened to its request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage, HttpResponse};
use futures_util::{FutureExt, stream};
use uuid::Uuid;

use super::accept::accepts;
use super::limits::{self, Share};
use super::problem::{self, Language};
use super::surface::{Served, Surface};
use super::unread::Unread;
use super::{App, TraceId, query};
use crate::auth;
use crate::canonical::hex;
use crate::clock::Stopwatch;
use crate::error::{Code, Error, Fault};
use crate::id;

/// Headers of every answer. A page at another origin may read an answer only if it is allowed to by name.
const FIXED: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("strict-transport-security", "max-age=31536000"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Wraps every request.
pub async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let unread = Unread::of(&mut request);
    let answered = pass(request, next).await;
    if let Some(unread) = unread {
        unread.hold();
    }
    answered
}

async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let surface = request.app_data::<Data<Surface>>().map(|surface| surface.clone().into_inner());
    let served = surface.as_ref().and_then(|surface| surface.find(request.match_info().as_str()));
    let mut exchange = Exchange::begin(&request, served);
    let limits = exchange.app.clone();
    let limits = limits.as_ref().map(|app| &app.limits);
    request.extensions_mut().insert(TraceId(exchange.trace_id.clone()));
    // One time for both: who calls is asked of the database as well.
    let (deadline, began) = (limits.map_or(Duration::MAX, |limits| limits.request), Stopwatch::start());
    let admitted = match exchange.admit_address(&request) {
        Ok(()) => {
            let admitted = AssertUnwindSafe(admit(&request, surface.as_deref(), served)).catch_unwind();
            let admitted = tokio::time::timeout(deadline, admitted).await;
            admitted.unwrap_or_else(|_| Ok(Err(Code::Busy.into())))
        }
        Err(error) => Ok(Err(error)),
    };
    let admitted = admitted.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    exchange.caller = auth::account(request.request());
    let admitted = admitted.and_then(|()| exchange.admit_caller());
    if let Err(error) = admitted {
        return Ok(request.into_response(exchange.refuse(&error)));
    }
    if exchange.method == Method::HEAD {
        // Answered as GET would be; the body goes at the end.
        request.head_mut().method = Method::GET;
    }
    let handled = AssertUnwindSafe(next.call(request)).catch_unwind();
    let Ok(handled) = tokio::time::timeout(deadline.saturating_sub(began.elapsed()), handled).await else {
        return Err(exchange.answer_without_request(&Error::new(Code::Busy)));
    };
    match handled {
        Ok(Ok(response)) => Ok(exchange.answer(response)),
        Ok(Err(error)) => Err(exchange.answer_without_request(&understand(&error))),
        Err(panic) => Err(exchange.answer_without_request(&panicked(panic.as_ref()))),
    }
}

/// What is asked of every request before its handler sees it, in this order.
async fn admit(request: &ServiceRequest, surface: Option<&Surface>, served: Option<&Served>) -> Result<(), Error> {
    if let Some(allow) = served.and_then(|served| served.refuse(request.method())) {
        return Err(Error::new(Code::MethodNotAllowed).member("allow", allow));
    }
    if surface.is_some_and(|surface| surface.asks_for_token(request.match_info().as_str(), served)) {
        auth::authenticate(request).await?;
    }
    if let Some(served) = served {
        acceptable(request, served)?;
    }
    let pairs = query::pairs(request.query_string())?;
    served.map_or(Ok(()), |served| served.understand(request.method(), &pairs, has_body(request)))
}

fn has_body(request: &ServiceRequest) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.is_some_and(|length| length != "0") || request.headers().contains_key(header::TRANSFER_ENCODING)
}

fn acceptable(request: &ServiceRequest, served: &Served) -> Result<(), Error> {
    // A value that is no text matches nothing, and is still a value.
    let values = request.headers().get_all(header::ACCEPT).map(|value| value.to_str().unwrap_or("unreadable"));
    let offers: Vec<&str> = served.media.iter().map(String::as_str).collect();
    if accepts(values, &offers) {
        return Ok(());
    }
    let offers = offers.join(", ");
    let fault = Fault::new("header/Accept", format!("chỉ có {offers}"), format!("there is only {offers}"));
    Err(Error::at(Code::NotAcceptable, fault))
}

/// One request on its way through: what each of its possible answers needs, also when the request itself is lost.
struct Exchange {
    stopwatch: Stopwatch,
    trace_id: String,
    language: Language,
    method: Method,
    route: String,
    caller: Option<Uuid>,
    app: Option<App>,
    /// What is left of the caller's and the address's rates.
    shares: Vec<Share>,
}

impl Exchange {
    fn begin(request: &ServiceRequest, served: Option<&Served>) -> Self {
        Self {
            stopwatch: Stopwatch::start(),
            trace_id: trace_id(request),
            language: Language::of(request),
            method: request.method().clone(),
            route: served.map_or("unknown", |served| &served.pattern).to_owned(),
            caller: None,
            app: request.app_data::<App>().cloned(),
            shares: Vec::new(),
        }
    }

    /// Size and rate are asked before a token is verified; probes of health are never counted.
    fn admit_address(&mut self, request: &ServiceRequest) -> Result<(), Error> {
        limits::size(request)?;
        let Some(app) = &self.app else { return Ok(()) };
        let peer = request.peer_addr().map(|peer| peer.ip());
        let address = limits::client_address(peer, request.headers(), &app.limits.proxies)?;
        if ["/livez", "/readyz"].contains(&request.path()) {
            return Ok(());
        }
        let share = app.limits.rates.address(address);
        self.count(share)
    }

    fn admit_caller(&mut self) -> Result<(), Error> {
        let share = self.caller.and_then(|account| self.app.as_ref()?.limits.rates.caller(account));
        self.count(share)
    }

    fn count(&mut self, share: Option<Share>) -> Result<(), Error> {
        self.shares.extend(share);
        share.map_or(Ok(()), |share| share.allow())
    }

    fn answer<B: MessageBody + 'static>(&self, response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
        let (request, response) = response.into_parts();
        let failure = match response.error() {
            Some(error) => Some(understand(error)),
            None => bare_failure(&response),
        };
        let response = match failure {
            Some(error) => self.refuse(&error),
            None => self.finish(response.map_into_boxed_body(), None),
        };
        ServiceResponse::new(request, response)
    }

    /// After a panic no request is left to answer, so the finished answer travels as an error.
    fn answer_without_request(&self, error: &Error) -> actix_web::Error {
        InternalError::from_response(error.code.as_str(), self.refuse(error)).into()
    }

    fn refuse(&self, error: &Error) -> HttpResponse {
        if error.code.status() >= 500 {
            let source = error.source.as_ref().map(ToString::to_string);
            tracing::error!(trace_id = self.trace_id, code = error.code.as_str(), source, "failed");
        }
        self.finish(problem::render(error, self.language, &self.trace_id), Some(error.code))
    }

    /// The last thing that happens to every answer; `problem` if it is one.
    fn finish(&self, mut response: HttpResponse, problem: Option<Code>) -> HttpResponse {
        let headers = response.headers_mut();
        for (name, value) in FIXED {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
            headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
        }
        let join = |part: fn(&Share) -> String| self.shares.iter().map(part).collect::<Vec<_>>().join(", ");
        for (name, value) in [("ratelimit-policy", join(Share::policy)), ("ratelimit", join(Share::state))] {
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let span = hex(&id::random::<8>());
        if let Ok(value) = HeaderValue::from_str(&format!("00-{}-{span}-01", self.trace_id)) {
            headers.insert(HeaderName::from_static("traceparent"), value);
        }
        self.record(response.status().as_u16(), problem);
        if self.method == Method::HEAD { without_body(response) } else { response }
    }

    fn record(&self, status: u16, problem: Option<Code>) {
        let elapsed = self.stopwatch.elapsed();
        tracing::info!(
            method = %self.method,
            route = self.route,
            status,
            code = problem.map(Code::as_str),
            caller = self.caller.map(|account| account.to_string()),
            duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            trace_id = self.trace_id,
            "request"
        );
        if let Some(app) = &self.app {
            app.metrics.observe(self.method.as_str(), &self.route, status, elapsed);
        }
    }
}

/// Keeps the length that the body would have had. The protocol layer drops the body of an answer to HEAD as well, but
/// asks the request that it read last, which is another one if the caller does not wait for answers.
fn without_body(response: HttpResponse) -> HttpResponse {
    let size = response.body().size();
    if size == BodySize::None {
        return response;
    }
    let empty = BodyStream::new(stream::empty::<Result<Bytes, actix_web::Error>>());
    let mut response = response.set_body(BoxBody::new(empty));
    // What is sent bit by bit, perhaps for ever, is not even begun.
    let BodySize::Sized(length) = size else { return response };
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response.head_mut().no_chunking(true);
    response
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
    by_status(error.as_response_error().status_code().as_u16()).unwrap_or_else(|| Error::internal(error.to_string()))
}

/// A refusal by the framework that says nothing.
fn bare_failure(response: &HttpResponse<impl MessageBody>) -> Option<Error> {
    let status = response.status().as_u16();
    let says_something = !matches!(response.body().size(), BodySize::None | BodySize::Sized(0));
    if status < 400 || says_something {
        return None;
    }
    Some(by_status(status).unwrap_or_else(|| Error::internal(format!("an answer {status} without a body"))))
}

fn by_status(status: u16) -> Option<Error> {
    let code = match status {
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        406 => Code::NotAcceptable,
        413 => Code::BodyTooLarge,
        415 => Code::UnsupportedMediaType,
        400..=499 => Code::MalformedBody,
        503 => Code::Busy,
        _ => return None,
    };
    Some(Error::new(code))
}

/// What a panic said is for the log.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::internal(format!("a handler panicked: {text}"))
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use actix_web::web;

    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl Logged {
        /// From now on, until the guard is gone.
        fn start() -> (Self, tracing::subscriber::DefaultGuard) {
            let logged = Self::default();
            let writer = logged.clone();
            let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
            (logged, tracing::subscriber::set_default(subscriber))
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[actix_web::test]
    async fn a_panic_is_a_problem_without_details_and_has_its_log_line() {
        async fn broken() -> HttpResponse {
            panic!("secret detail")
        }
        let app =
            actix_web::App::new().wrap(actix_web::middleware::from_fn(edge)).route("/broken", web::get().to(broken));
        let app = actix_web::test::init_service(app).await;
        let (logged, _guard) = Logged::start();
        let request = actix_web::test::TestRequest::get().uri("/broken").to_request();
        let error = actix_web::test::try_call_service(&app, request).await.unwrap_err();
        let response = error.error_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers().get("content-type").unwrap(), problem::MEDIA_TYPE);
        assert_eq!(response.headers().get("x-content-type-options").unwrap(), "nosniff");
        assert!(response.headers().contains_key("traceparent"));
        let body = response.into_body().try_into_bytes().unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("\"code\":\"internal\"") && !text.contains("secret"), "{text}");
        let lines = logged.text();
        let wide =
            lines.lines().find(|line| line.contains("\"message\":\"request\"")).unwrap_or_else(|| panic!("{lines}"));
        assert!(wide.contains("\"status\":500") && wide.contains("\"trace_id\""), "{wide}");
        assert!(lines.contains("secret detail"), "the operator learns it: {lines}");
    }

    #[actix_web::test]
    async fn the_log_line_of_a_problem_has_its_code() {
        let app = actix_web::App::new().wrap(actix_web::middleware::from_fn(edge));
        let app = actix_web::test::init_service(app.route("/fine", web::get().to(HttpResponse::Ok))).await;
        let (logged, _guard) = Logged::start();
        for path in ["/fine", "/nowhere"] {
            let request = actix_web::test::TestRequest::get().uri(path).to_request();
            actix_web::test::call_service(&app, request).await;
        }
        let lines: Vec<serde_json::Value> =
            logged.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines.iter().map(|line| (&line["fields"]["status"], &line["fields"]["code"])).collect();
        let (fine, absent) = (serde_json::json!(200), serde_json::json!(404));
        assert_eq!(told, [(&fine, &serde_json::Value::Null), (&absent, &serde_json::json!("not_found"))]);
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
