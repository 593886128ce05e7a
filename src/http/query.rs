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
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map(web::Query::into_inner).unwrap_or_default();
    for (name, value) in pairs {
        if value.contains('\0') || is_odd_date(&value) {
            let (vi, en) = ("giá trị ngoài phạm vi", "is out of range");
            return Err(Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en)));
        }
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
        Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en))
    })?;
    let value = parsed.into_inner();
    super::body::validate(&value).map_err(|error| {
        let faults =
            error.faults.into_iter().map(|fault| Fault { pointer: format!("query{}", fault.pointer), ..fault });
        Error::new(Code::InvalidQuery).with(faults.collect())
    })?;
    Ok(value)
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
