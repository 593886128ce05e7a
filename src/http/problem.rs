//! Problem documents (RFC 9457): how an [`Error`] is written on the wire, in the caller's language.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, AcceptLanguage, Header, HeaderValue, Preference, Quality};
use actix_web::{HttpMessage, HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Fault};

/// The media type of every answer that is not a success.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The languages in which problems speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Vietnamese, the default.
    Vi,
    /// English.
    En,
}

impl Language {
    /// The best of the two for whoever asks.
    pub fn of(request: &impl HttpMessage) -> Self {
        AcceptLanguage::parse(request).map_or(Self::Vi, |accepted| Self::negotiate(&accepted))
    }

    /// English if the caller takes it and likes it better than Vietnamese; `q=0` takes nothing (RFC 9110, 12.4.2). What
    /// is malformed says nothing. The header's own `ranked` and `preference` do not know what there is to choose from.
    fn negotiate(accepted: &AcceptLanguage) -> Self {
        let best = |wanted: &str| {
            let named = accepted.iter().filter(|range| match &range.item {
                Preference::Any => wanted == "*",
                Preference::Specific(tag) => tag.primary_language() == wanted,
            });
            named.map(|range| range.quality).max()
        };
        let quality = |language: &str| best(language).or(best("*")).unwrap_or(Quality::ZERO);
        if quality("en") > quality("vi") { Self::En } else { Self::Vi }
    }

    /// The tag for `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }
}

/// What every answer that is not a success says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A page about this kind of problem, relative to the service.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors.md#not_found", max_length = 200)]
    pub kind: String,
    /// What kind of problem it is, in the caller's language.
    #[schema(max_length = 200)]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The stable code; programs decide by it.
    #[schema(max_length = 60, example = "not_found")]
    pub code: String,
    /// The trace id of the request; quote it when asking for help.
    #[schema(max_length = 32)]
    pub trace_id: String,
    /// What exactly was wrong, one entry a place.
    #[schema(max_items = 100)]
    pub errors: Vec<ProblemFault>,
    /// Further members, by code: `candidates`, `allowed_actions`, `current_etag`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// One wrong place in a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemFault {
    /// JSON Pointer into the body, or `query/name`, `header/Name`, `path/name`.
    #[schema(max_length = 500, example = "/poor_households")]
    pub pointer: String,
    /// What is wrong there, in the caller's language.
    #[schema(max_length = 1000)]
    pub detail: String,
}

/// Writes `error` for this caller.
pub fn render(error: &Error, language: Language, trace_id: &str) -> HttpResponse {
    let code = error.code;
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response: HttpResponseBuilder = HttpResponse::build(status);
    response.content_type(MEDIA_TYPE);
    response.insert_header((header::CONTENT_LANGUAGE, language.tag()));
    response.insert_header((header::VARY, "Accept-Language"));
    match code {
        Code::Unauthenticated => {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        Code::Busy | Code::OutcomeUnknown => {
            response.insert_header((header::RETRY_AFTER, "2"));
        }
        Code::TooManyRequests => {
            if let Some(seconds) = error.extra.get("retry_after_s").and_then(serde_json::Value::as_u64) {
                response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            }
        }
        // What is left of the body would be read as the next request.
        Code::RequestTimeout => {
            response.force_close();
        }
        Code::MethodNotAllowed => {
            if let Some(allow) = error.extra.get("allow").and_then(|allow| allow.as_str())
                && let Ok(value) = HeaderValue::from_str(allow)
            {
                response.insert_header((header::ALLOW, value));
            }
        }
        Code::PreconditionFailed => {
            if let Some(etag) = error.extra.get("current_etag").and_then(|etag| etag.as_str())
                && let Ok(value) = HeaderValue::from_str(etag)
            {
                response.insert_header((header::ETAG, value));
            }
        }
        _ => {}
    }
    response.json(document(error, language, trace_id))
}

/// What is written of `error`.
pub fn document(error: &Error, language: Language, trace_id: &str) -> Problem {
    let code = error.code;
    let title = if language == Language::Vi { code.vi() } else { code.en() };
    let fault = |fault: &Fault| ProblemFault {
        pointer: fault.pointer.clone(),
        detail: if language == Language::Vi { fault.vi.to_string() } else { fault.en.to_string() },
    };
    Problem {
        kind: format!("/docs/errors.md#{}", code.as_str()),
        title: title.to_owned(),
        status: code.status(),
        code: code.as_str().to_owned(),
        trace_id: trace_id.to_owned(),
        errors: error.faults.iter().map(fault).collect(),
        extra: error.extra.clone(),
    }
}

/// The edge rewrites this answer in the caller's language; it stands if the edge is not there.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        render(self, Language::Vi, "")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn vietnamese_unless_english_is_preferred() {
        for (accept, expected) in [
            ("", Language::Vi),
            ("en", Language::En),
            ("EN", Language::En),
            ("en-GB,en;q=0.9", Language::En),
            ("fr, en;q=0.1", Language::En),
            ("vi;q=0.1, en;q=0.9", Language::En),
            ("vi;q=0, *", Language::En),
            ("vi,en;q=0.8", Language::Vi),
            ("en, vi", Language::Vi),
            ("en;q=0.8, vi;q=0.9", Language::Vi),
            ("en;q=0.8, *;q=0.9", Language::Vi),
            ("fr", Language::Vi),
            ("*", Language::Vi),
            ("en;q=0", Language::Vi),
            ("en;q=0.000, fr", Language::Vi),
            ("en;q=0, *", Language::Vi),
            ("en;q=2", Language::Vi),
            ("en;q=high", Language::Vi),
            (";;=,q", Language::Vi),
            ("tiếng Anh, en", Language::Vi),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT_LANGUAGE, accept)).to_request();
            assert_eq!(Language::of(&request), expected, "{accept:?}");
        }
    }
}
