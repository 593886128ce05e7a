//! Problem responses: one a status, with an example of each code in both languages.

use serde_json::{Map, Value, json};

use super::examples;
use crate::error::{Code, Error};
use crate::http::problem::{self, Language, MEDIA_TYPE};

/// The trace id of the W3C's own example.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Where an operation points for everything that answers with this code's status.
pub fn reference(code: Code) -> Value {
    json!({ "$ref": format!("#/components/responses/{}", name(code.status())) })
}

/// One response a status, for `components/responses`.
pub fn responses() -> Map<String, Value> {
    let mut responses = Map::new();
    for code in documented() {
        let response = responses.entry(name(code.status())).or_insert_with(|| empty(code.status()));
        let content = &mut response["content"][MEDIA_TYPE]["examples"];
        for language in [Language::Vi, Language::En] {
            let key = key(*code, language);
            content[&key] = json!({ "$ref": format!("#/components/examples/{key}") });
        }
        super::state_rates(response);
        if [429, 503].contains(&code.status()) {
            let schema = json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 3600 });
            response["headers"]["Retry-After"] = json!({ "description": "Seconds to wait", "schema": schema });
        }
    }
    responses
}

/// Each code in both languages, for `components/examples`: a live answer, or for what only a failure of the machinery
/// brings about the document without details.
pub fn examples() -> Map<String, Value> {
    let mut found = Map::new();
    for code in documented() {
        for language in [Language::Vi, Language::En] {
            let value = match examples::problem(*code, language) {
                Some(live) => live.clone(),
                None => json!(problem::document(&Error::new(*code), language, TRACE_ID)),
            };
            found.insert(key(*code, language), json!({ "summary": code.en(), "value": value }));
        }
    }
    found
}

/// No documented operation answers that its method is not allowed.
fn documented() -> impl Iterator<Item = &'static Code> {
    Code::ALL.iter().filter(|code| **code != Code::MethodNotAllowed)
}

fn name(status: u16) -> String {
    format!("Problem{status}")
}

/// `not_found` in Vietnamese, which is spoken unless asked otherwise, and `not_found.en`.
fn key(code: Code, language: Language) -> String {
    match language {
        Language::Vi => code.as_str().to_owned(),
        Language::En => format!("{}.en", code.as_str()),
    }
}

fn empty(status: u16) -> Value {
    let codes = Code::ALL.iter().filter(|code| code.status() == status);
    let description: Vec<String> = codes.map(|code| format!("`{}`: {}", code.as_str(), code.en())).collect();
    json!({
        "description": description.join("; "),
        "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": {} } },
    })
}
