//! Request bodies, read strictly: what is not understood is refused with a pointer, never dropped.
//!
//! Text is brought to NFC here, once, before validation, uniqueness and logging.

use std::fmt;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use garde::Validate;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use unicode_normalization::UnicodeNormalization;

use super::App;
use super::objects::{ODD_DAY, Objects};
use super::query::POSITION;
use crate::error::{Code, Error, Fault};

/// The largest body, in bytes.
pub const LIMIT: usize = 256 * 1024;

/// The largest integer that every reader of JSON takes exactly, among the numbers as they are read.
const EXACT: f64 = crate::canonical::MAX_SAFE as f64;

/// A body that is well-formed, known in every member, and valid.
pub struct Body<T> {
    /// What the caller said.
    pub value: T,
    /// SHA-256 of the canonical body: the payload that an idempotency key belongs to.
    pub digest: [u8; 32],
}

impl<T> FromRequest for Body<T>
where
    T: DeserializeOwned + Validate<Context = ()> + 'static,
{
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media = media_type_is_json(request);
        let bytes = web::Bytes::from_request(request, payload);
        let deadline = request.app_data::<App>().map_or(Duration::MAX, |app| app.limits.body);
        Box::pin(async move {
            media?;
            let bytes = tokio::time::timeout(deadline, bytes).await.map_err(|_| Error::new(Code::RequestTimeout))?;
            let bytes = bytes.map_err(|error| match error.as_response_error().status_code().as_u16() {
                413 => Error::new(Code::BodyTooLarge),
                _ => Error::new(Code::MalformedBody),
            })?;
            read(&bytes)
        })
    }
}

fn media_type_is_json(request: &HttpRequest) -> Result<(), Error> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Code::UnsupportedMediaType.into()) }
}

/// Parses, normalises, decodes and validates.
pub fn read<T>(bytes: &[u8]) -> Result<Body<T>, Error>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let mut value = parse(bytes)?;
    normalise(&mut value, &mut String::new())?;
    let canonical = crate::canonical::canonical(&value).unwrap_or_else(|_| value.to_string());
    let digest = crate::canonical::sha256(canonical.as_bytes());
    let value: T = decode(value)?;
    validate(&value)?;
    Ok(Body { value, digest })
}

/// Reads a value, with a pointer to what is not understood.
pub(super) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(Objects(value)).map_err(|error| decode_error(&error))
}

fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let strict: Result<Strict, _> = de::Deserialize::deserialize(&mut reader);
    let Ok(Strict(value)) = strict else { return Err(unparsed(bytes)) };
    reader.end().map_err(|error| malformed("", &error))?;
    Ok(value)
}

/// Reads again, slower, to say where the parser stopped.
fn unparsed(bytes: &[u8]) -> Error {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, Strict>(&mut reader) {
        Ok(_) => Code::MalformedBody.into(),
        Err(error) => malformed(&pointer(error.path()), error.inner()),
    }
}

fn malformed(pointer: &str, error: &serde_json::Error) -> Error {
    let place = format!("dòng {}, cột {}", error.line(), error.column());
    let text = error.to_string();
    Error::at(Code::MalformedBody, Fault::new(pointer, format!("JSON không hợp lệ ({place})"), text))
}

/// Text in NFC, without NUL.
fn normalise(value: &mut Value, pointer: &mut String) -> Result<(), Error> {
    match value {
        Value::String(text) => {
            if text.contains('\0') {
                let fault = Fault::new(pointer.clone(), "chứa ký tự NUL", "contains a NUL character");
                return Err(Error::at(Code::InvalidValue, fault));
            }
            if let Some((vi, en)) = unreadable(text) {
                return Err(Error::at(Code::InvalidValue, Fault::new(pointer.clone(), vi, en)));
            }
            *text = text.nfc().collect();
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                descend(item, pointer, &index.to_string())?;
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                descend(member, pointer, name)?;
            }
        }
        // Canonical JSON, and many a client, knows no larger integer exactly.
        Value::Number(number) if number.as_f64().is_some_and(|size| size.abs() > EXACT) => {
            let fault = Fault::new(pointer.clone(), "số quá lớn", "is too large a number");
            return Err(Error::at(Code::InvalidValue, fault));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// Why nobody could read a text, or read it as it is: it is blank, or has characters that are not seen.
fn unreadable(text: &str) -> Option<(&'static str, &'static str)> {
    let unseen = |c: char| {
        let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        let format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
        control || format
    };
    if text.contains(unseen) {
        Some(("chứa ký tự không nhìn thấy được", "contains characters that are not seen"))
    } else if !text.is_empty() && text.trim().is_empty() {
        Some(("chỉ có khoảng trắng", "is blank"))
    } else {
        None
    }
}

/// JSON Pointer, RFC 6901.
fn step_into(pointer: &mut String, member: &str) {
    pointer.push('/');
    pointer.push_str(&member.replace('~', "~0").replace('/', "~1"));
}

fn descend(value: &mut Value, pointer: &mut String, step: &str) -> Result<(), Error> {
    let length = pointer.len();
    step_into(pointer, step);
    normalise(value, pointer)?;
    pointer.truncate(length);
    Ok(())
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            serde_path_to_error::Segment::Map { key } => step_into(&mut pointer, key),
            _ => {}
        }
    }
    pointer
}

fn decode_error(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let mut pointer = pointer(error.path());
    let text = error.inner().to_string();
    // The parser's own words repeat what was sent, which may be personal.
    let (code, vi, en) = if text.starts_with("unknown field") {
        (Code::UnknownMember, "thành phần không có trong hợp đồng", "is no member of the contract")
    } else if let Some(rest) = text.strip_prefix("missing field ") {
        step_into(&mut pointer, rest.split('`').nth(1).unwrap_or_default());
        (Code::WrongType, "thiếu thành phần bắt buộc này", "is required and missing")
    } else if text.starts_with(ODD_DAY) {
        (Code::InvalidValue, "ngày phải có dạng 2025-12-31", ODD_DAY)
    } else if text.starts_with("input is out of range") {
        // What `chrono` says of 30 February.
        (Code::WrongType, "ngày này không tồn tại", "is a day that does not exist")
    } else if text.starts_with("invalid type") && pointer == "/changed_since" {
        (Code::WrongType, POSITION.0, POSITION.1)
    } else {
        let en = "has the wrong type or is not one of the known words";
        (Code::WrongType, "giá trị sai kiểu hoặc không có trong danh mục", en)
    };
    Error::at(code, Fault::new(pointer, vi, en))
}

/// Every rule that a value breaks, at once: a form shows them all.
pub fn validate<T: Validate<Context = ()>>(value: &T) -> Result<(), Error> {
    let Err(report) = value.validate() else { return Ok(()) };
    let faults = report.iter().map(|(path, error)| {
        let path = path.to_string().replace('[', ".").replace(']', "").replace("r#", "");
        let pointer: String = path.split('.').filter(|step| !step.is_empty()).map(|step| format!("/{step}")).collect();
        let en = error.message().to_string();
        Fault::new(pointer, format!("không hợp lệ: {}", vietnamese(&en)), en)
    });
    Err(Error::new(Code::InvalidValue).with(faults.collect()))
}

/// Garde speaks English; these are the sentences of the rules that this service uses.
fn vietnamese(message: &str) -> String {
    let number = || message.rsplit(' ').next().unwrap_or("").to_owned();
    if message.starts_with("length is lower than") {
        format!("ngắn hơn {}", number())
    } else if message.starts_with("length is greater than") {
        format!("dài hơn {}", number())
    } else if message.starts_with("lower than") {
        format!("nhỏ hơn {}", number())
    } else if message.starts_with("greater than") {
        format!("lớn hơn {}", number())
    } else if let Some(pattern) = message.strip_prefix("does not match pattern ") {
        format!("không đúng dạng {pattern}")
    } else {
        message.to_owned()
    }
}

/// A JSON value whose objects have no member twice.
struct Strict(Value);

impl<'de> de::Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // JSON has one kind of number: 177.0 is a whole one.
        if value.fract() == 0.0 && value.abs() <= EXACT {
            return Ok((value as i64).into());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let Strict(member) = access.next_value()?;
            if members.insert(name.clone(), member).is_some() {
                return Err(de::Error::custom(format!("member `{name}` appears twice")));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[garde(length(chars, min = 1, max = 3))]
        name: String,
        #[garde(range(min = 0, max = 9))]
        count: i64,
    }

    fn code(body: &[u8]) -> (Code, String) {
        let error = read::<Form>(body).map(|body| body.value).unwrap_err();
        (error.code, error.faults.first().map(|fault| fault.pointer.clone()).unwrap_or_default())
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_pointer() {
        assert_eq!(code(br#"{"name":"a","count":1,"extra":2}"#).0, Code::UnknownMember);
        assert_eq!(code(br#"{"name":"a","count":1,"a/b~":2}"#), (Code::UnknownMember, "/a~1b~0".into()));
        assert_eq!(code(br#"{"name":"a"}"#), (Code::WrongType, "/count".into()));
        assert_eq!(code(br#"{"name":"a","count":"1"}"#), (Code::WrongType, "/count".into()));
        assert_eq!(code(br#"{"name":"a","count":-1e0}"#), (Code::InvalidValue, "/count".into()));
        assert_eq!(code(br#"{"name":"a","count":1e20}"#), (Code::InvalidValue, "/count".into()));
        assert_eq!(code(br#"{"name":"a","count":1.5}"#), (Code::WrongType, "/count".into()));
        assert_eq!(code(br#"{"name":"abcd","count":1}"#), (Code::InvalidValue, "/name".into()));
        assert_eq!(code(br#"{"name":"a","count":10}"#), (Code::InvalidValue, "/count".into()));
        assert_eq!(code(br#"{"name":"a","count":9007199254740992}"#), (Code::InvalidValue, "/count".into()));
        assert_eq!(code(br#"{"name":"a","count":-18446744073709551616}"#), (Code::InvalidValue, "/count".into()));
        assert_eq!(code(br#"{"name":"a\u0000","count":1}"#), (Code::InvalidValue, "/name".into()));
        assert_eq!(code(br#"["a",1]"#), (Code::WrongType, "".into()));
        assert_eq!(
            code(br#"{"name":"2025-1-1","count":1}"#),
            (Code::InvalidValue, "/name".into()),
            "too long, no more"
        );
        for unreadable in [" ", "\\t\\n", "\\u001b", "a\\u200b", "\\u202e", "\\ufeff", "\\u0085"] {
            let body = format!("{{\"name\":\"{unreadable}\",\"count\":1}}");
            assert_eq!(code(body.as_bytes()), (Code::InvalidValue, "/name".into()), "{unreadable}");
        }
        assert_eq!(code(br#"{"name":"\ud800","count":1}"#), (Code::MalformedBody, "/name".into()));
        assert_eq!(code(br#"{"name":"a","name":"b","count":1}"#).0, Code::MalformedBody);
        assert_eq!(code(br#"{"name":"a","count":1} x"#).0, Code::MalformedBody);
        assert_eq!(code(b"\xff").0, Code::MalformedBody);
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point_and_is_the_same_request() {
        let read = |count: &str| read::<Form>(format!("{{\"name\":\"a\",\"count\":{count}}}").as_bytes()).unwrap();
        for spelt in ["9.0", "9e0", "0.9e1"] {
            assert_eq!(read(spelt).value.count, 9, "{spelt}");
            assert_eq!(read(spelt).digest, read("9").digest, "{spelt}");
        }
        assert_eq!(read("-0.0").value.count, 0);
    }

    #[test]
    fn text_is_brought_to_nfc() {
        let body = read::<Form>("{\"name\":\"e\u{302}\u{301}\",\"count\":1}".as_bytes()).unwrap();
        assert_eq!(body.value.name, "ế");
    }
}
