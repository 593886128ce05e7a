//! Searches: `POST /v1/{resource}:search`. A list narrowed to the records whose names have every word of `query`, in
//! Vietnamese order. Names are personal and never stand in a URL, so what a list takes from the query string stands in
//! the body here, `query` beside it; the same filters, checked in the same way.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use garde::{Report, Validate};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::body::{Body, decode, validate};
use crate::canonical::canonical;
use crate::error::Error;
use crate::text;

/// What is looked for among the records of a list with the parameters `T`.
pub struct Search<T> {
    /// What the list is narrowed to besides.
    pub filter: T,
    /// Every word that must begin a word of a record's names.
    pub(super) words: Vec<String>,
    pub(super) cursor: Option<String>,
    pub(super) limit: Option<u64>,
    /// What a cursor is made for.
    pub(super) bound: String,
}

/// The member that a search has and its list has not.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Words of a name, in any order, with or without diacritics; each may be the beginning of a longer word. A
    /// query without a letter or digit is refused; no pattern says so, because readers of patterns disagree on letters.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "dang thi huong")]
    query: String,
}

impl<T> FromRequest for Search<T>
where
    T: DeserializeOwned + Validate<Context = ()> + 'static,
{
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::<Members>::from_request(request, payload);
        Box::pin(async move { read(body.await?.value.0) })
    }
}

fn read<T: DeserializeOwned + Validate<Context = ()>>(mut rest: Map<String, Value>) -> Result<Search<T>, Error> {
    let query: Map<String, Value> = rest.remove_entry("query").into_iter().collect();
    let asked: Asked = decode(Value::Object(query))?;
    let filter: T = decode(Value::Object(rest.clone()))?;
    validate(&asked)?;
    validate(&filter)?;
    let words = words(&asked.query)?;
    let cursor = rest.remove("cursor").and_then(|cursor| cursor.as_str().map(str::to_owned));
    let limit = rest.remove("limit").and_then(|limit| limit.as_u64());
    rest.retain(|_, value| !value.is_null());
    let bound = canonical(&json!({ "words": words, "filter": rest })).map_err(Error::internal)?;
    Ok(Search { filter, words, cursor, limit, bound })
}

/// The words of a query, without those that only begin another one: whatever has the longer has the shorter.
fn words(query: &str) -> Result<Vec<String>, Error> {
    let mut words: Vec<String> = Vec::new();
    for word in text::words(query) {
        // In their order, a word follows its beginnings at once.
        if words.last().is_some_and(|before| word.starts_with(before.as_str())) {
            words.pop();
        }
        words.push(word);
    }
    if words.is_empty() {
        return Err(Error::invalid("/query", "cần ít nhất một chữ cái hoặc chữ số", "needs a letter or a digit"));
    }
    Ok(words)
}

/// Any JSON object.
#[derive(Deserialize)]
struct Members(Map<String, Value>);

impl Validate for Members {
    type Context = ();

    fn validate_into(&self, (): &(), _: &mut dyn FnMut() -> garde::Path, _: &mut Report) {}
}

impl<T: ToSchema> ToSchema for Search<T> {
    /// `ActivityQuery` becomes `ActivitySearch`.
    fn name() -> Cow<'static, str> {
        let list = T::name();
        Cow::Owned(format!("{}Search", list.strip_suffix("Query").unwrap_or(&list)))
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Search<T> {
    fn schema() -> RefOr<Schema> {
        let (mut asked, filter) = (object(Asked::schema()), object(T::schema()));
        asked.properties.extend(filter.properties);
        asked.required.extend(filter.required);
        asked.description = Some("Words of a name, and the filters of the list.".to_owned());
        asked.example = Some(json!({ "query": "dang thi huong" }));
        RefOr::T(Schema::Object(asked))
    }
}

fn object(schema: RefOr<Schema>) -> Object {
    match schema {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_of_another_word_says_nothing_more() {
        assert_eq!(words("ban b BẢN bàng").unwrap(), ["bang"]);
        assert_eq!(words("b ba bb").unwrap(), ["ba", "bb"]);
        assert_eq!(words("Hường thị Đ").unwrap(), ["d", "huong", "thi"]);
    }
}
