//! Query strings, read strictly: an unknown or repeated parameter is refused, never ignored.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::QueryPayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, Fault};
use crate::text::is_odd_date;

/// The parameters of a request.
pub struct Query<T>(pub T);

impl<T> FromRequest for Query<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

fn read<T: DeserializeOwned + Validate<Context = ()>>(query: &str) -> Result<T, Error> {
    if let Some((name, _)) = pairs(query)?.into_iter().find(|(_, value)| is_odd_date(value)) {
        return Err(bad(&name, "giá trị ngoài phạm vi", "is out of range"));
    }
    let parsed = web::Query::<T>::from_query(query).map_err(|error| misread::<T>(query, &error))?;
    let value = parsed.into_inner();
    super::body::validate(&value).map_err(|error| {
        let faults =
            error.faults.into_iter().map(|fault| Fault { pointer: format!("query{}", fault.pointer), ..fault });
        Error::new(Code::InvalidQuery).with(faults.collect())
    })?;
    Ok(value)
}

/// Names and values, decoded. What cannot be decoded into text is refused: read loosely, it would name something else.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn pair(part: &str) -> Result<(String, String), Error> {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let refused = || bad(name, "không phải văn bản UTF-8 mã hóa phần trăm", "is no percent-encoded UTF-8 text");
    let pair = (decode(name).ok_or_else(refused)?, decode(value).ok_or_else(refused)?);
    if pair.0.contains('\0') || pair.1.contains('\0') {
        return Err(bad(name, "chứa ký tự NUL", "contains a NUL character"));
    }
    Ok(pair)
}

/// Percent-decoding in which every `%` is followed by two hexadecimal digits.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What is said of a `changed_since` that is no number.
pub(super) const POSITION: (&str, &str) = (
    "cần một vị trí trong nhật ký, là số nguyên, không phải thời điểm",
    "takes a log position, a whole number, no time",
);

fn bad(name: &str, vi: &'static str, en: &'static str) -> Error {
    Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en))
}

/// Which parameter is wrong, and how. Not in the parser's own words: they repeat what was sent.
fn misread<T: DeserializeOwned>(query: &str, error: &QueryPayloadError) -> Error {
    let text = said(error);
    let name = match text.strip_prefix(MISSING) {
        Some(rest) => rest.split('`').nth(1).unwrap_or_default(),
        None => culprit::<T>(query).unwrap_or_default(),
    };
    let whole = ["invalid digit", "cannot parse integer", "number too "].iter().any(|words| text.starts_with(words));
    let (vi, en) = if text.starts_with(MISSING) {
        ("thiếu tham số bắt buộc này", "is required and missing")
    } else if text.starts_with("duplicate field") {
        ("lặp lại", "is repeated")
    } else if text.starts_with("input is out of range") {
        // What `chrono` says of 30 February.
        ("ngày này không tồn tại", "is a day that does not exist")
    } else if whole && name == "changed_since" {
        POSITION
    } else if whole {
        ("cần số nguyên", "takes a whole number")
    } else {
        (
            "tham số lạ, sai kiểu hoặc không có trong danh mục",
            "is unknown, of the wrong type or not one of the known words",
        )
    };
    bad(name, vi, en)
}

/// How the parser begins to say that a parameter is not there.
const MISSING: &str = "missing field";

fn said(error: &QueryPayloadError) -> String {
    match error {
        QueryPayloadError::Deserialize(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

/// The first parameter up to which the query cannot be read, whatever may be missing after it.
fn culprit<T: DeserializeOwned>(query: &str) -> Option<&str> {
    let ends = query.match_indices('&').map(|(at, _)| at).chain([query.len()]);
    let unreadable =
        |part: &str| web::Query::<T>::from_query(part).is_err_and(|error| !said(&error).starts_with(MISSING));
    let read = ends.map(|end| &query[..end]).find(|part| unreadable(part))?;
    read.rsplit('&').next()?.split('=').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    #[garde(allow_unvalidated)]
    struct Asked {
        #[allow(dead_code)]
        unit: uuid::Uuid,
        #[allow(dead_code)]
        on: Option<chrono::NaiveDate>,
        #[allow(dead_code)]
        changed_since: Option<i64>,
        #[allow(dead_code)]
        limit: Option<u64>,
    }

    #[test]
    fn what_is_wrong_is_said_at_the_parameter() {
        let unit = "unit=01900000-0000-7000-8000-000000000001";
        assert!(super::read::<Asked>(&format!("{unit}&on=2024-02-29&changed_since=0")).is_ok());
        let no_position = "takes a log position, a whole number, no time";
        let other = "is unknown, of the wrong type or not one of the known words";
        for (query, pointer, en) in [
            ("on=2024-02-30&limit=x", "query/on", "is a day that does not exist"),
            ("limit=5&on=2023-13-01", "query/on", "is a day that does not exist"),
            ("on=yesterday", "query/on", other),
            ("changed_since=2024-01-01T00:00:00Z", "query/changed_since", no_position),
            ("changed_since=", "query/changed_since", no_position),
            ("changed_since=99999999999999999999", "query/changed_since", no_position),
            ("limit=ten", "query/limit", "takes a whole number"),
            ("limit=1&limit=2", "query/limit", "is repeated"),
            ("colour=red", "query/colour", other),
            ("unit=x", "query/unit", other),
            ("limit=1", "query/unit", "is required and missing"),
            ("", "query/unit", "is required and missing"),
        ] {
            let error = super::read::<Asked>(query).unwrap_err();
            assert_eq!(error.code, Code::InvalidQuery);
            assert_eq!((error.faults[0].pointer.as_str(), &*error.faults[0].en), (pointer, en), "{query}");
        }
    }

    #[test]
    fn only_percent_encoded_text_is_read() {
        let read = |query: &str| pairs(query).map_err(|error| error.faults[0].pointer.clone());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("&a=1&&b"), Ok(vec![pair("a", "1"), pair("b", "")]));
        assert_eq!(read("n=B%E1%BA%A3n+%c4%90%20%3D=x"), Ok(vec![pair("n", "Bản Đ ==x")]));
        for (query, pointer) in [
            ("name=%ff", "query/name"),
            ("a=1&name=%zz", "query/name"),
            ("name=%", "query/name"),
            ("name=%4", "query/name"),
            ("name=%+1", "query/name"),
            ("name=%E1%BA", "query/name"),
            ("name=%ED%A0%80", "query/name"),
            ("name=a%00b", "query/name"),
            ("%00", "query/%00"),
            ("%ff=1", "query/%ff"),
        ] {
            assert_eq!(read(query), Err(pointer.to_owned()), "{query}");
        }
    }
}
