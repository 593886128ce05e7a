//! The contract: what the handlers say, completed by what is true of every operation and by examples. Generated,
//! committed as `openapi/openapi.json`, compared in a test.

mod bounds;
mod examples;
mod problems;
mod text;

use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::canonical::MAX_SAFE;
use crate::disclosures::DisclosurePurpose;
use crate::error::Code;
use crate::findings::questions::QUESTIONS;
use crate::http::headers::{LONGEST_PREFERENCE, LONGEST_TAGS};
use crate::http::problem::{Problem, ProblemFault};
use crate::http::{Call, Operation};
use crate::log::http::EventOrder;
use crate::log::proofs::PUBLIC;
use crate::rooms;

/// Title, version and the security scheme.
pub fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("thidua")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Emulation and commendation campaigns (phong trào thi đua): reports, confirmed figures, recommendations with \
             reasons, an event log. Tokens are JWTs of type at+jwt, checked as RFC8725 and RFC9068 ask. Money is integer \
             đồng, times are UTC with six digits, legal dates are civil dates in Asia/Ho_Chi_Minh.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("thidua")).url(Some("https://thidua.example/contact")).build()))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "A signed JWT of type at+jwt (EdDSA or ES256), at most 15 minutes long, verified as RFC8725 and RFC9068 ask: issuer, \
         audience and times are checked, the algorithm is that of our record of the key.",
    )).build();
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(ProblemFault::name().into_owned(), ProblemFault::schema());
    // Schemas that only parameters use are not collected.
    components.schemas.insert(EventOrder::name().into_owned(), EventOrder::schema());
    components.schemas.insert(DisclosurePurpose::name().into_owned(), DisclosurePurpose::schema());
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("bearer", Vec::<String>::new())]))
        .build()
}

/// Adds to each operation what follows from its permission and its kind of call.
pub fn finish(openapi: &OpenApi) -> Value {
    let mut document = serde_json::to_value(openapi).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for operation in item.as_object_mut().into_iter().flatten().map(|(_, operation)| operation) {
                complete(path, operation);
            }
        }
    }
    for path in ["/v1/events", "/v1/events/stream"] {
        name_event_types(&mut document["paths"][path]["get"]["parameters"]);
    }
    for path in ["/v1/log/records/{id}/state", "/v1/log/records/{id}/diff"] {
        name_moments(&mut document["paths"][path]["get"]["parameters"]);
    }
    let kinds: Vec<&str> = rooms::kinds().map(|kind| kind.stream).collect();
    document["components"]["schemas"]["ErasureSubject"]["properties"]["type"]["enum"] = json!(kinds);
    name_questions(&mut document["paths"]["/v1/findings"]["get"]);
    let schemas = document["components"]["schemas"].clone();
    open(&mut document["components"]["schemas"], &schemas);
    document["components"]["responses"] = Value::Object(problems::responses());
    document["components"]["examples"] = Value::Object(problems::examples());
    document["components"]["headers"] = rate_headers();
    document["servers"] = json!([{ "url": "/", "description": "The service that gave this document: local, staging or production", "x-internal": false }]);
    document["tags"] = TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect();
    unbounded(&mut document["paths"]);
    bounds::complete(&mut document["paths"]);
    bounds::complete(&mut document["components"]);
    text::complete(&mut document);
    document
}

/// The filter takes no type that no event has, and which there are follows from the rooms.
fn name_event_types(parameters: &mut Value) {
    let parameters = parameters.as_array_mut().into_iter().flatten();
    for parameter in parameters.filter(|parameter| parameter["name"] == "type") {
        parameter["schema"]["enum"] = json!(rooms::event_types());
    }
}

/// A moment is a position or a time; a type of Rust says neither.
fn name_moments(parameters: &mut Value) {
    for parameter in parameters.as_array_mut().into_iter().flatten() {
        if ["as_of", "from", "to"].contains(&parameter["name"].as_str().unwrap_or_default()) {
            let time = json!({ "type": "string", "format": "date-time", "maxLength": 40 });
            parameter["schema"] = json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, time] });
        }
    }
}

/// The questions that stand, each with its explanation: which there are follows from their list.
fn name_questions(operation: &mut Value) {
    let told = QUESTIONS.iter().map(|question| {
        let ([vi, en], said) = (question.title, (question.explanation)());
        format!("* `{}`: {vi} ({en}). {} ({})", question.id, said.vi, said.en)
    });
    let told = told.collect::<Vec<_>>().join("\n");
    let said = operation["description"].as_str().unwrap_or_default();
    operation["description"] = json!(format!("{said}\n\nThe questions:\n\n{told}"));
    for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
        if parameter["name"] == "question" {
            let ids: Vec<&str> = QUESTIONS.iter().map(|question| question.id).collect();
            parameter["schema"]["enum"] = json!(ids);
        }
    }
}

/// What is sent bit by bit has no length that a type could tell.
fn unbounded(paths: &mut Value) {
    let operations = paths.as_object_mut().into_iter().flatten().flat_map(|(_, item)| item.as_object_mut()).flatten();
    let responses = operations.filter_map(|(_, operation)| operation.get_mut("responses")?.as_object_mut()).flatten();
    let contents = responses.filter_map(|(_, response)| response.get_mut("content")?.as_object_mut()).flatten();
    for (_, content) in contents.filter(|(media_type, _)| SENT_BIT_BY_BIT.contains(&media_type.as_str())) {
        content["schema"]["maxLength"] = json!(MAX_SAFE);
    }
}

const SENT_BIT_BY_BIT: [&str; 3] = ["application/x-ndjson", "text/csv", "text/event-stream"];

/// The groups of operations, in reading order.
const TAGS: &[(&str, &str)] = &[
    ("access", "Who calls and who may do what: accounts, grants (phân quyền), revoked tokens (thu hồi), oneself"),
    ("units", "Units (đơn vị) with dated codes, names, kinds, parents and area classes, and what succeeded them"),
    ("campaigns", "Campaigns (phong trào thi đua): legal bases, clauses, rounds, award forms, rule sets"),
    ("figures", "Annual counts of poor and near-poor households (hộ nghèo, hộ cận nghèo)"),
    ("activities", "What was done for the poor (hoạt động hỗ trợ), by whom, with what"),
    ("initiatives", "Initiatives (sáng kiến) and their recognition"),
    ("obligations", "Papers and reports that are owed by a day (nghĩa vụ báo cáo) and their fulfilment"),
    ("observations", "Whatever else the rules read: indicators, attributes, dates, records (chỉ tiêu, thông tin)"),
    ("registers", "Whether a unit's entries of one kind are complete for a round (khóa sổ)"),
    ("attestations", "Answers of attesting bodies to the questions of a rule set (xác nhận)"),
    ("nominations", "Proposals to commend (đề nghị khen thưởng)"),
    ("recommendations", "What the rules say of each subject, clause by clause (gợi ý xét khen thưởng)"),
    ("events", "The event log (nhật ký sự kiện)"),
    ("erasures", "Personal values that were erased, and on what basis (xóa dữ liệu cá nhân)"),
    ("operations", "Health and metrics"),
];

/// What is left of the caller's and the address's rates (draft-ietf-httpapi-ratelimit-headers).
fn rate_headers() -> Value {
    let text = |description: &str, example: &str| json!({ "description": description, "example": example, "schema": { "type": "string", "maxLength": 200 } });
    json!({
        "RateLimit": text("What is left of each rate, and the seconds until it is full again", "\"caller\";r=1199;t=1"),
        "RateLimit-Policy": text("The rates: how many requests in how many seconds", "\"caller\";q=1200;w=60"),
    })
}

/// The headers that every answer has where rates are set.
fn state_rates(response: &mut Value) {
    for name in ["RateLimit", "RateLimit-Policy"] {
        response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
    }
}

/// A schema that a request closes cannot be part of an answer that says more; there its members stand without the closing.
fn open(schema: &mut Value, schemas: &Value) {
    match schema {
        Value::Object(members) => {
            for part in members.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
                let name = part["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
                let Some(closed) = name.and_then(|name| schemas[name].as_object()) else { continue };
                if closed.get("additionalProperties") == Some(&json!(false)) {
                    let kept =
                        closed.iter().filter(|(name, _)| !["additionalProperties", "example"].contains(&name.as_str()));
                    *part = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
                }
            }
            members.values_mut().for_each(|member| open(member, schemas));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| open(item, schemas)),
        _ => {}
    }
}

fn complete(path: &str, document: &mut Value) {
    let id = document["operationId"].as_str().unwrap_or_default().to_owned();
    examples::place(&id, &mut document["responses"]);
    describe(&mut document["responses"]);
    document["responses"]["406"] = problems::reference(Code::NotAcceptable);
    let Some(operation) = rooms::operations().find(|operation| operation.id == id) else {
        if PUBLIC.contains(&id.as_str()) {
            return complete_public(path, document);
        }
        // Health: no token, no permission, no rate.
        document["security"] = json!([]);
        document["description"] = json!("Needs no token; is not counted.");
        for code in [Code::InvalidQuery, Code::UriTooLong, Code::HeadersTooLarge] {
            document["responses"][code.status().to_string()] = problems::reference(code);
        }
        return;
    };
    document["description"] = json!(about(operation, document["description"].as_str()));
    document["x-permission"] = json!(operation.permission.as_str());
    document["x-events"] = json!(operation.events);
    let parameters = document["parameters"].as_array().cloned().unwrap_or_default();
    let parameters: Vec<Value> = header_parameters(path, operation).into_iter().chain(parameters).collect();
    let parameters: Vec<Value> = parameters.into_iter().map(described).collect();
    if !parameters.is_empty() {
        document["parameters"] = Value::Array(parameters);
    }
    for code in possible(path, operation, document["requestBody"].is_object()) {
        let status = code.status().to_string();
        if document["responses"][&status].is_null() {
            document["responses"][&status] = problems::reference(code);
        }
    }
    success_headers(path, operation, document);
    for (status, response) in document["responses"].as_object_mut().into_iter().flatten() {
        if response["$ref"].is_null() && status != "304" && !status.starts_with('5') {
            state_rates(response);
        }
    }
}

/// What anybody may read, as often as the rate of an address allows.
fn complete_public(path: &str, document: &mut Value) {
    document["security"] = json!([]);
    let said = document["description"].as_str().filter(|said| !said.is_empty()).map(|said| format!("{said}\n\n"));
    document["description"] = json!(format!("{}Needs no token. Writes no event.", said.unwrap_or_default()));
    let mut codes = vec![Code::InvalidQuery, Code::UriTooLong, Code::TooManyRequests, Code::HeadersTooLarge];
    codes.extend([Code::Internal, Code::NotSigned]);
    if path.contains('{') {
        codes.push(Code::NotFound);
    }
    for code in codes {
        document["responses"][code.status().to_string()] = problems::reference(code);
    }
    state_rates(&mut document["responses"]["200"]);
}

/// What the handler says beyond its first sentence, and what follows from its permission and its events.
fn about(operation: &Operation, said: Option<&str>) -> String {
    let needs = format!("Needs the permission `{}`.", operation.permission.as_str());
    let events: Vec<String> = operation.events.iter().map(|event| format!("`{event}`")).collect();
    let writes =
        if events.is_empty() { "Writes no event.".to_owned() } else { format!("Writes {}.", events.join(" or ")) };
    let said = said.filter(|said| !said.is_empty()).map(|said| format!("{said}\n\n"));
    format!("{}{needs} {writes}", said.unwrap_or_default())
}

/// OpenAPI 3.1 wants a description of every response.
fn describe(responses: &mut Value) {
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        if response["$ref"].is_null() && response["description"].is_null() {
            response["description"] = json!(match status.as_str() {
                "201" => "Made; the new record",
                "200" => "Done; what was asked for, or the record as it is now",
                _ => "Not now",
            });
        }
    }
}

/// Handlers say nothing of the id in their path: it is always the record's.
fn described(mut parameter: Value) -> Value {
    if parameter["in"] == "path" && parameter["description"].is_null() {
        parameter["description"] = json!("The record's id");
    }
    parameter
}

fn header_parameters(path: &str, operation: &Operation) -> Vec<Value> {
    let header = |name: &str, required: bool, description: &str, schema: Value| json!({ "name": name, "in": "header", "required": required, "description": description, "schema": schema });
    let etag = json!({ "type": "string", "minLength": 3, "maxLength": 100, "example": "\"1.0123456789abcdef\"" });
    let prefer = || {
        let description = "`wait=N` with N from 1 to 10 (RFC7240): answer once the event is proven, within N seconds, with \
                           the proof in `Event-Proof`. Otherwise the answer is the same without `Preference-Applied`.";
        let schema = json!({ "type": "string", "maxLength": LONGEST_PREFERENCE, "example": "wait=2" });
        header("Prefer", false, description, schema)
    };
    match operation.call {
        Call::Create => {
            let description =
                "The same key with the same body gets the stored answer; with another body it is refused.";
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "example": "a1b2c3d4" });
            vec![header("Idempotency-Key", true, description, schema), prefer()]
        }
        Call::Change => {
            let description = "The ETag that was read; 412 if the record has changed since.";
            vec![header("If-Match", true, description, etag), prefer()]
        }
        Call::Read if has_etag(path) => {
            let description = "ETags of earlier answers; 304 without a body if one of them still holds.";
            let tags = json!({ "type": "string", "maxLength": LONGEST_TAGS, "example": "\"1.0123456789abcdef\"" });
            vec![header("If-None-Match", false, description, tags)]
        }
        Call::Read | Call::Compute => vec![],
    }
}

fn possible(path: &str, operation: &Operation, has_body: bool) -> Vec<Code> {
    let mut codes = vec![Code::InvalidQuery, Code::Unauthenticated, Code::Forbidden, Code::Internal, Code::Busy];
    codes.extend([Code::UriTooLong, Code::TooManyRequests, Code::HeadersTooLarge]);
    // Whoever finds nothing gets an empty page.
    if path.contains(['{', ':']) && !path.ends_with(":search") {
        codes.push(Code::NotFound);
    }
    // Whoever follows is told when what it has not seen yet is not kept any more.
    if path.ends_with("/events") || path == "/v1/events/stream" {
        codes.push(Code::Gone);
    }
    if has_body {
        codes.extend([Code::RequestTimeout, Code::BodyTooLarge, Code::UnsupportedMediaType, Code::InvalidValue]);
    }
    match operation.call {
        Call::Create => codes.extend([
            Code::AlreadyExists,
            Code::Erased,
            Code::NotFound,
            Code::InvalidValue,
            Code::OutcomeUnknown,
            Code::StorageFull,
        ]),
        // A step may ask something of the record itself, as a confirmation does.
        Call::Change => codes.extend([
            Code::InvalidValue,
            Code::InvalidTransition,
            Code::PreconditionFailed,
            Code::PreconditionRequired,
            Code::OutcomeUnknown,
            Code::StorageFull,
        ]),
        Call::Compute => codes.push(Code::NotFound),
        Call::Read if !operation.events.is_empty() => codes.extend([Code::OutcomeUnknown, Code::StorageFull]),
        Call::Read => {}
    }
    codes
}

fn success_headers(path: &str, operation: &Operation, document: &mut Value) {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string", "maxLength": 2000 } });
    let pages = document["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "cursor"));
    let (status, headers) = match operation.call {
        Call::Create => (
            "201",
            json!({ "Location": text("Path of the new record"), "ETag": text("For If-Match"),
                "Idempotency-Replayed": text("`true` when this is the stored answer of an earlier call") }),
        ),
        Call::Change => ("200", json!({ "ETag": text("For If-Match") })),
        Call::Read if pages => {
            ("200", json!({ "Link": text("To the next and the previous page, where there is one") }))
        }
        Call::Read if has_etag(path) => {
            document["responses"]["304"] = json!({ "description": "The caller has these very bytes" });
            ("200", json!({ "ETag": text("For If-Match of a change, and for If-None-Match of the next read") }))
        }
        Call::Read | Call::Compute => return,
    };
    if document["responses"][status].is_object() {
        document["responses"][status]["headers"] = headers;
        if matches!(operation.call, Call::Create | Call::Change) {
            proven_headers(&mut document["responses"][status]["headers"]);
        }
    }
}

/// What an answer says to whoever waited for the proof of its event.
fn proven_headers(headers: &mut Value) {
    let text = |description: &str, longest: u32| json!({ "description": description, "schema": { "type": "string", "maxLength": longest } });
    headers["Preference-Applied"] = text("`wait=N` if the event was proven in that time", 20);
    headers["Event-Id"] =
        text("The event, to whoever asked to wait; its proof stands at /v1/events/{id}/proof as well", 36);
    let proof =
        "The `.tlog-proof` file of the event as a byte sequence (RFC8941): base64 between colons; to whoever waited";
    headers["Event-Proof"] = text(proof, 20_000);
}

/// Whether a read of this path says which bytes it gave, and gives none to a caller who has them.
fn has_etag(path: &str) -> bool {
    // A record of the log is read as it is stored.
    !path.starts_with("/v1/log/") && ["{id}", ":resolve", "/clauses"].iter().any(|end| path.ends_with(end))
}

/// Path and methods of everything documented, for the 405 answer.
pub fn methods(document: &Value) -> Vec<(String, Vec<String>)> {
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let methods =
        |item: &Value| item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}
