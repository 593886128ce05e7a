//! The request headers that make a second call safe, `Idempotency-Key` and `If-Match`, or cheap, `If-None-Match`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest};
use serde::Serialize;

use crate::db::idempotency::Once;
use crate::error::{Code, Error, Fault};

const LONGEST_KEY: usize = 255;

/// The caller's key of a creating request; quoted (RFC 8941 string) or bare.
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// This request, as the door needs it.
    pub fn once(&self, operation: &'static str, payload: [u8; 32]) -> Once {
        Once { operation, key: self.0.clone(), payload }
    }
}

impl FromRequest for IdempotencyKey {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match single(request.headers(), "Idempotency-Key") {
            Ok(None) => Err(Code::IdempotencyKeyRequired.into()),
            Ok(Some(text)) => {
                let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
                let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
                if fits { Ok(Self(key.to_owned())) } else { Err(bad("Idempotency-Key")) }
            }
            Err(error) => Err(error),
        })
    }
}

/// The version that the caller has read; 428 without the header.
pub struct IfMatch(Option<i64>);

impl IfMatch {
    /// 412 with the ETag that a read of the record answers now, if it has moved on. Only the version is compared; the
    /// digest tells representations apart.
    pub fn check<T: Serialize>(&self, version: i64, view: impl FnOnce() -> Result<T, Error>) -> Result<(), Error> {
        if self.0 == Some(version) {
            return Ok(());
        }
        let body = serde_json::to_string(&view()?).map_err(Error::internal)?;
        Err(Error::new(Code::PreconditionFailed).member("current_etag", super::etag(version, &body)))
    }
}

impl FromRequest for IfMatch {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match single(request.headers(), "If-Match") {
            Ok(None) => Err(Code::PreconditionRequired.into()),
            Ok(Some(tag)) => Ok(Self(version(tag))),
            Err(error) => Err(error),
        })
    }
}

/// The longest `Prefer` that is looked at, in bytes.
pub const LONGEST_PREFERENCE: usize = 200;

/// Refuses preferences that are longer than any that is known.
pub fn preferences(headers: &HeaderMap) -> Result<(), Error> {
    let too_long = headers.get_all("prefer").any(|value| value.len() > LONGEST_PREFERENCE);
    if too_long { Err(bad("Prefer")) } else { Ok(()) }
}

/// The longest list of ETags that is looked through, in bytes.
pub const LONGEST_TAGS: usize = 1000;

/// True if the caller has this representation, or says by `*` that any will do. A tag that is none of ours matches
/// nothing, as RFC 9110 asks.
pub fn has(request: &HttpRequest, etag: &str) -> Result<bool, Error> {
    match single(request.headers(), "If-None-Match")? {
        Some(tags) if tags.len() > LONGEST_TAGS => Err(bad("If-None-Match")),
        Some(tags) if tags.trim() == "*" => Ok(true),
        Some(tags) => Ok(tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)),
        None => Ok(false),
    }
}

/// The version in `"version.digest"` or `"version"`; any other tag matches nothing.
fn version(tag: &str) -> Option<i64> {
    let inner = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    let digits = inner.split('.').next()?;
    // The parser would take a sign.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| bad(name)),
        (Some(_), Some(_)) => Err(bad(name)),
    }
}

fn bad(name: &str) -> Error {
    Error::at(
        Code::InvalidHeader,
        Fault::new(format!("header/{name}"), "giá trị không hợp lệ hoặc lặp lại", "is not valid or appears twice"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_our_tags_only() {
        assert_eq!(version("\"3.abc\""), Some(3));
        assert_eq!(version("\"3\""), Some(3));
        for other in ["3", "W/\"3\"", "*", "\"x\"", "\"\"", "\"+3\"", "\"-3.a\"", "\"3\", \"4\""] {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
