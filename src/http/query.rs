//! Query strings, read strictly: an unknown or repeated parameter is refused, never ignored.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
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
    let parsed = web::Query::<T>::from_query(query).map_err(|error| {
        let text = match &error {
            actix_web::error::QueryPayloadError::Deserialize(inner) => inner.to_string(),
            other => other.to_string(),
        };
        // Not the parser's own words: they repeat what was sent.
        let (vi, en) =
            ("tham số lạ, lặp lại, thiếu hoặc sai kiểu", "is unknown, repeated, missing or of the wrong type");
        let name = culprit::<T>(query).or_else(|| text.split('`').nth(1).map(str::to_owned)).unwrap_or_default();
        bad(&name, vi, en)
    })?;
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

fn bad(name: &str, vi: &'static str, en: &'static str) -> Error {
    Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en))
}

/// The parameter without which the query could be read.
fn culprit<T: DeserializeOwned>(query: &str) -> Option<String> {
    let parts: Vec<&str> = query.split('&').collect();
    let readable_without = |at: usize| {
        let rest: Vec<&str> = parts.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, part)| *part).collect();
        web::Query::<T>::from_query(&rest.join("&")).is_ok()
    };
    let at = (0..parts.len()).find(|at| readable_without(*at))?;
    parts[at].split('=').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

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
