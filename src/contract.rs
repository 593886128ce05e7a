//! The contract: what the handlers say, completed by what is true of every operation. Generated,
//! committed as `openapi/openapi.json`, compared in a test.

use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::error::Code;
use crate::http::problem::{MEDIA_TYPE, Problem, ProblemFault};
use crate::http::{Call, Operation};
use crate::log::http::EventOrder;
use crate::rooms;

/// Title, version and the security scheme.
pub fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("thidua")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Emulation and commendation campaigns (phong trào thi đua): reports, confirmed figures, recommendations with \
             reasons, an event log. Tokens are JWTs of type at+jwt, checked as RFC 8725 and RFC 9068 ask. Money is integer \
             đồng, times are UTC with six digits, legal dates are civil dates in Asia/Ho_Chi_Minh.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("thidua")).url(Some("https://thidua.example/contact")).build()))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(ProblemFault::name().into_owned(), ProblemFault::schema());
    // Schemas that only parameters use are not collected.
    components.schemas.insert(EventOrder::name().into_owned(), EventOrder::schema());
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
    document
}

fn complete(path: &str, document: &mut Value) {
    let id = document["operationId"].as_str().unwrap_or_default().to_owned();
    let Some(operation) = rooms::operations().find(|operation| operation.id == id) else {
        // Health: no token, no permission.
        document["security"] = json!([]);
        return;
    };
    document["x-permission"] = json!(operation.permission.as_str());
    document["x-events"] = json!(operation.events);
    let parameters = document["parameters"].as_array().cloned().unwrap_or_default();
    let parameters: Vec<Value> = header_parameters(operation).into_iter().chain(parameters).collect();
    if !parameters.is_empty() {
        document["parameters"] = Value::Array(parameters);
    }
    for code in problems(path, operation, document["requestBody"].is_object()) {
        let status = code.status().to_string();
        if document["responses"][&status].is_null() {
            document["responses"][&status] = problem_response(code);
        }
    }
    if operation.call != Call::Compute {
        success_headers(operation, &mut document["responses"]);
    }
}

fn header_parameters(operation: &Operation) -> Vec<Value> {
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": schema });
    match operation.call {
        Call::Create => vec![header(
            "Idempotency-Key",
            "The same key with the same body gets the stored answer; with another body it is refused.",
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$", "example": "a1b2c3d4" }),
        )],
        Call::Change => vec![header(
            "If-Match",
            "The ETag that was read; 412 if the record has changed since.",
            json!({ "type": "string", "minLength": 3, "maxLength": 100, "example": "\"1.0123456789abcdef\"" }),
        )],
        Call::Read | Call::Compute => vec![],
    }
}

fn problems(path: &str, operation: &Operation, has_body: bool) -> Vec<Code> {
    let mut codes = vec![Code::InvalidQuery, Code::Unauthenticated, Code::Forbidden, Code::Internal, Code::Busy];
    if path.contains(['{', ':']) {
        codes.push(Code::NotFound);
    }
    if has_body {
        codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType, Code::InvalidValue]);
    }
    match operation.call {
        Call::Create => codes.extend([Code::AlreadyExists, Code::NotFound]),
        Call::Change => codes.extend([Code::InvalidTransition, Code::PreconditionFailed, Code::PreconditionRequired]),
        Call::Compute => codes.push(Code::NotFound),
        Call::Read => {}
    }
    codes
}

fn problem_response(code: Code) -> Value {
    let example = json!({
        "type": format!("/docs/errors.md#{}", code.as_str()),
        "title": code.vi(),
        "status": code.status(),
        "code": code.as_str(),
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "errors": [],
    });
    json!({
        "description": code.en(),
        "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" }, "example": example } },
    })
}

fn success_headers(operation: &Operation, responses: &mut Value) {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string", "maxLength": 2000 } });
    let headers = match operation.call {
        Call::Create => json!({ "Location": text("Path of the new record"), "ETag": text("For If-Match"),
            "Idempotency-Replayed": text("`true` when this is the stored answer of an earlier call") }),
        Call::Change => json!({ "ETag": text("For If-Match") }),
        _ => return,
    };
    let status = if operation.call == Call::Create { "201" } else { "200" };
    if responses[status].is_object() {
        responses[status]["headers"] = headers;
    }
}

/// Path and methods of everything documented, for the 405 answer.
pub fn methods(document: &Value) -> Vec<(String, Vec<String>)> {
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let methods =
        |item: &Value| item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}
