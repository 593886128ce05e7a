//! `/openapi.json` and the documentation pages, from the binary alone: no outside request.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::error::{Code, Error};
use crate::http::{App, problem};

/// The pages and what they are; an empty list is not negotiated, since pages ask for their parts in their own ways.
pub const PATHS: &[(&str, &[&str])] = &[
    ("/openapi.json", &["application/json", problem::MEDIA_TYPE]),
    ("/docs", &["text/html"]),
    ("/docs/init.js", &[]),
    ("/docs/errors.md", &[]),
    ("/docs/events.md", &[]),
    ("/docs/policy.md", &[]),
    ("/docs/assets/{file}", &[]),
];

/// The routes of the documentation.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/openapi.json", web::get().to(contract))
        .route("/docs", web::get().to(index))
        .route("/docs/init.js", web::get().to(init))
        .route("/docs/errors.md", web::get().to(errors))
        .route("/docs/events.md", web::get().to(events))
        .route("/docs/policy.md", web::get().to(policy))
        .route("/docs/assets/{file}", web::get().to(asset));
}

const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="vi">
<head>
<meta charset="utf-8">
<title>thidua API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/init.js"></script>
</body>
</html>
"#;

async fn contract(app: App) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(app.contract.clone())
}

async fn index() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .content_type("text/html; charset=utf-8")
        .body(PAGE)
}

/// The page's script; in the demo it authorises itself.
async fn init(app: App) -> HttpResponse {
    let authorise =
        app.demo_token.as_ref().map(|token| format!("onComplete:()=>ui.preauthorizeApiKey('bearer','{token}'),"));
    let script = format!(
        "const ui=SwaggerUIBundle({{url:'/openapi.json',dom_id:'#swagger-ui',deepLinking:true,validatorUrl:null,{}presets:[SwaggerUIBundle.presets.apis]}});\n",
        authorise.unwrap_or_default()
    );
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(script)
}

async fn asset(request: HttpRequest) -> Result<HttpResponse, Error> {
    let name = request.match_info().get("file").unwrap_or_default();
    let config = std::sync::Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    let file = utoipa_swagger_ui::serve(name, config).map_err(|error| Error::internal(error.to_string()))?;
    let file = file.ok_or(Code::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .content_type(file.content_type)
        .body(file.bytes.to_vec()))
}

async fn errors() -> HttpResponse {
    markdown(print_errors())
}

async fn events() -> HttpResponse {
    markdown(print_events())
}

async fn policy() -> HttpResponse {
    markdown(crate::auth::policy::print())
}

fn markdown(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(text)
}

/// Every problem code, for `docs/errors.md`.
pub fn print_errors() -> String {
    let mut text =
        String::from("# Problem codes\n\nGenerated; refresh with `cargo run -- docs errors > docs/errors.md`.\n");
    for code in Code::ALL {
        text.push_str(&format!("\n## {0}\n\n{1}: {2}. ({3}.)\n", code.as_str(), code.status(), code.en(), code.vi()));
    }
    text
}

/// Every event and every field that it may carry, for `docs/events.md`.
pub fn print_events() -> String {
    let mut text = String::from(
        "# Events\n\nGenerated; refresh with `cargo run -- docs events > docs/events.md`.\n\n\
         An event's `changes` maps a field to `[old, new]`. A personal field shows `{\"$c\": [old digest, new digest]}`: a\n\
         salted commitment stands in for the value.\n\n| event | written by |\n|---|---|\n",
    );
    for (event, operations) in crate::rooms::events() {
        text.push_str(&format!("| `{event}` | {} |\n", operations.join(", ")));
    }
    for kind in crate::rooms::kinds() {
        text.push_str(&format!("\n## {}\n\n| field | class |\n|---|---|\n", kind.stream));
        for field in kind.fields {
            text.push_str(&format!("| `{}` | {} |\n", field.name, format!("{:?}", field.class).to_lowercase()));
        }
    }
    text
}
