//! Query strings, read strictly: an unknown or repeated parameter is refused, never ignored.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::error::{Code, Error, Fault};
use crate::text::is_date_out_of_range;

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
        if value.contains('\0') || is_date_out_of_range(value.trim_start()) {
            let (vi, en) = ("giá trị ngoài phạm vi", "is out of range");
            return Err(Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en)));
        }
    }
    let query = web::Query::<T>::from_query(query).map_err(|error| {
        let text = match &error {
            actix_web::error::QueryPayloadError::Deserialize(inner) => inner.to_string(),
            other => other.to_string(),
        };
        let name = text.split('`').nth(1).unwrap_or("").to_owned();
        let fault = Fault::new(format!("query/{name}"), "tham số lạ, lặp lại hoặc sai kiểu", text);
        Error::at(Code::InvalidQuery, fault)
    })?;
    let value = query.into_inner();
    super::body::validate(&value).map_err(|error| {
        let faults =
            error.faults.into_iter().map(|fault| Fault { pointer: format!("query{}", fault.pointer), ..fault });
        Error::new(Code::InvalidQuery).with(faults.collect())
    })?;
    Ok(value)
}
