//! `Prefer: wait=N` on a write (RFC 7240): the answer comes once its event is proven, and carries the proof.
//!
//! The body stays what it is without the preference, so the proof travels in a header. Nothing here can undo or refuse a
//! write: whatever goes wrong, the answer is the one that it would have been, without `Preference-Applied`. Which event is
//! meant follows from the answer, the record and its version in the `ETag`, so that a stored answer is proven like a fresh
//! one. Without the preference nobody pays for it.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::{App, Shared, headers};
use crate::error::Error;
use crate::log::{proofs, store};

/// The longest wait that can be asked for, in seconds.
pub const LONGEST: u64 = 10;

/// Wraps every operation.
pub async fn wait<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let is_write = request.method() == Method::POST;
    if is_write {
        headers::preferences(request.headers())?;
    }
    let seconds = is_write.then(|| asked(request.headers())).flatten();
    let mut response = next.call(request).await?;
    if let Some((seconds, record, version)) =
        seconds.and_then(|seconds| written(&response).map(|(r, v)| (seconds, r, v)))
        && let Some(app) = response.request().app_data::<App>().cloned()
    {
        let headers = response.headers_mut();
        if let Err(error) = prove(&app, seconds, record, version, headers).await {
            tracing::debug!(%error, "a write was not proven in the time that its caller waits");
        }
    }
    Ok(response)
}

/// The seconds of `wait=N`, where N is from 1 to [`LONGEST`]. Other preferences are none of ours, and one that cannot be
/// understood is ignored, as RFC 7240 asks.
fn asked(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next());
    let waits = preferences.filter_map(|one| {
        let (name, value) = one.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case("wait").then(|| value.to_owned())
    });
    // The first one counts.
    let seconds = waits.into_iter().next()?;
    let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    seconds.parse().ok().filter(|seconds| digits && (1..=LONGEST).contains(seconds))
}

/// The record that was written, and its version.
fn written<B>(response: &ServiceResponse<B>) -> Option<(Uuid, i64)> {
    if !matches!(response.status(), StatusCode::OK | StatusCode::CREATED) {
        return None;
    }
    let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let version = text(header::ETAG)?.strip_prefix('"')?.split('.').next()?.parse().ok()?;
    let made = text(header::LOCATION).and_then(|path| path.rsplit('/').next());
    let id = made.or_else(|| response.request().match_info().get("id"))?;
    Some((id.parse().ok()?, version))
}

async fn prove(app: &Shared, seconds: u64, record: Uuid, version: i64, headers: &mut HeaderMap) -> Result<(), Error> {
    // An answer that is late is none at all.
    let patience = Duration::from_secs(seconds).min(app.limits.request / 2);
    let proven = tokio::time::timeout(patience, async {
        app.db.settle().await?;
        let Some(event) = store::event_of(app.db.reader().conn(), record, version).await? else { return Ok(()) };
        put(headers, "event-id", &event.event_id.to_string())?;
        let proof = proofs::event_proof(app, event.seq).await?;
        put(headers, "event-proof", &format!(":{}:", STANDARD.encode(proof)))?;
        put(headers, "preference-applied", &format!("wait={seconds}"))
    });
    proven.await.unwrap_or(Ok(()))
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Error> {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).map_err(Error::internal)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wait_of_one_to_ten_seconds_is_a_preference_of_ours() {
        for (values, seconds) in [
            (vec!["wait=2"], Some(2)),
            (vec!["Wait = 10"], Some(10)),
            (vec!["respond-async, wait=\"3\"; x=y"], Some(3)),
            (vec!["return=minimal", "wait=1"], Some(1)),
            (vec!["wait=4, wait=5"], Some(4)),
            (vec!["wait=0"], None),
            (vec!["wait=11"], None),
            (vec!["wait=+1"], None),
            (vec!["wait=1.5"], None),
            (vec!["wait"], None),
            (vec!["waiting=1"], None),
            (vec![""], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(HeaderName::from_static("prefer"), HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(asked(&headers), seconds, "{values:?}");
        }
    }
}
