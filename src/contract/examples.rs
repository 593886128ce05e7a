//! Examples of answers: taken from live ones by a test, committed as `openapi/examples.json`, never written by hand.

use std::sync::LazyLock;

use serde_json::Value;

use crate::error::Code;
use crate::http::problem::Language;

/// By operation: status, media type, example, those of other media types, and whether its lists are cut; by problem code: the document in each
/// language. A file that cannot be read gives a contract without examples,
/// from which the test that writes the file can still start.
static TAKEN: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../openapi/examples.json")).unwrap_or_default());

/// Puts the example of this operation beside the schema that it is an example of.
pub fn place(id: &str, responses: &mut Value) {
    let taken = &TAKEN["operations"][id];
    let (status, media_type) = (taken["status"].to_string(), taken["media_type"].as_str().unwrap_or_default());
    let Some(response) = responses.get_mut(status) else { return };
    // Bytes have no example in JSON.
    if let Some(content) = response["content"].get_mut(media_type).filter(|_| !taken["example"].is_null()) {
        content["example"] = taken["example"].clone();
    }
    for (media_type, example) in taken["others"].as_object().into_iter().flatten() {
        if let Some(content) = response["content"].get_mut(media_type) {
            content["example"] = example.clone();
        }
    }
    if taken["cut"] == true {
        response["description"] =
            "What was asked for; the example has two entries of each list, an answer has all".into();
    }
}

/// The answer that has this code, where a request can provoke it.
pub fn problem(code: Code, language: Language) -> Option<&'static Value> {
    Some(&TAKEN["problems"][code.as_str()][language.tag()]).filter(|document| document.is_object())
}
