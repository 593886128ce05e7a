//! What a listener serves: the methods, parameters and media types of each path, and whether it asks for a token.

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use serde_json::{Value, json};

use super::problem;
use crate::error::{Code, Error, Fault};
use crate::log::proofs::TAILED;
use crate::{audit_page, contract, docs};

/// Everything that one listener serves.
pub struct Surface {
    paths: Vec<Served>,
    asks_for_tokens: bool,
}

/// One path, as the routes spell it.
pub struct Served {
    /// The pattern, for log lines and metrics.
    pub pattern: String,
    /// What its answers may be; empty if nothing is negotiated.
    pub media: Vec<String>,
    path: ResourceDef,
    /// What every such path begins with: most are told apart by that, without a regular expression.
    start: String,
    methods: Vec<String>,
    /// What each documented method reads; nothing is known of pages.
    reads: Vec<Reads>,
    /// True if it asks for no token.
    is_open: bool,
}

/// What one operation reads of a request beside its path and headers.
struct Reads {
    method: String,
    query: Vec<String>,
    body: bool,
}

impl Surface {
    /// The main listener: the contract and the documentation pages.
    pub fn of_contract(contract: &Value) -> Self {
        let documented = contract::methods(contract).into_iter().map(|(path, methods)| {
            let item = &contract["paths"][&path];
            let (media, reads) = (media(item), reads(item));
            let is_open =
                item.as_object().into_iter().flatten().all(|(_, operation)| operation["security"] == json!([]));
            // A parameter with slashes in it; the contract has no way to say so.
            let pattern = if TAILED.contains(&path.as_str()) { path.replace("{index}", "{index:.*}") } else { path };
            Served { reads, is_open, ..Served::new(pattern, methods, media) }
        });
        let pages = docs::PATHS.iter().copied().chain(audit_page::paths());
        let pages = pages.map(|(path, media)| Served::read(path, media));
        let mut paths: Vec<Served> = documented.chain(pages).collect();
        // Paths with a verb come first: `/x/{id}:submit` before `/x/{id}`.
        paths.sort_by_key(|served| {
            (!served.pattern.contains("}:"), served.pattern.contains('{'), served.pattern.clone())
        });
        Self { paths, asks_for_tokens: true }
    }

    /// A listener on which these paths are read, by anyone.
    pub fn open(paths: &[(&str, &[&str])]) -> Self {
        let paths = paths.iter().map(|(path, media)| Served::read(path, media)).collect();
        Self { paths, asks_for_tokens: false }
    }

    /// The path that a request means.
    pub fn find(&self, path: &str) -> Option<&Served> {
        self.paths.iter().find(|served| path.starts_with(&served.start) && served.path.is_match(path))
    }

    /// True if whoever asks for `path` has to say who they are first, whether or not it is served.
    pub fn asks_for_token(&self, path: &str, served: Option<&Served>) -> bool {
        let is_open = served.is_some_and(|served| served.is_open);
        self.asks_for_tokens && !is_open && (path.starts_with("/v1/") || path == "/metrics")
    }
}

impl Served {
    fn new(pattern: String, mut methods: Vec<String>, media: Vec<String>) -> Self {
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        methods.sort();
        let start = pattern.split('{').next().unwrap_or_default().to_owned();
        Self {
            path: ResourceDef::new(pattern.as_str()),
            start,
            pattern,
            media,
            methods,
            reads: Vec::new(),
            is_open: false,
        }
    }

    fn read(path: &str, media: &[&str]) -> Self {
        let media = media.iter().map(|media| (*media).to_owned()).collect();
        Self::new(path.to_owned(), vec!["GET".to_owned()], media)
    }

    /// The `Allow` value if `method` is not one of the path's methods.
    pub fn refuse(&self, method: &Method) -> Option<String> {
        (!self.methods.iter().any(|known| known == method.as_str())).then(|| self.methods.join(", "))
    }
}

impl Served {
    /// 400 for a query parameter or a body that the operation does not have: what is not understood is never ignored.
    pub fn understand(&self, method: &Method, query: &[(String, String)], has_body: bool) -> Result<(), Error> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let Some(reads) = self.reads.iter().find(|reads| reads.method == method) else { return Ok(()) };
        if let Some((name, _)) = query.iter().find(|(name, _)| !reads.query.contains(name)) {
            let (vi, en) = ("không phải tham số của thao tác này", "is no parameter of this operation");
            return Err(Error::at(Code::InvalidQuery, Fault::new(format!("query/{name}"), vi, en)));
        }
        if has_body && !reads.body {
            let (vi, en) = ("thao tác này không nhận nội dung", "this operation takes no body");
            return Err(Error::at(Code::UnknownMember, Fault::new("", vi, en)));
        }
        Ok(())
    }
}

fn reads(item: &Value) -> Vec<Reads> {
    let operations = item.as_object().into_iter().flatten();
    let read = |(method, operation): (&String, &Value)| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let query = parameters.filter(|parameter| parameter["in"] == "query");
        let query = query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect();
        Reads { method: method.to_uppercase(), query, body: operation["requestBody"].is_object() }
    };
    operations.map(read).collect()
}

/// The media types of a path's successes; who reads JSON may have said so by its form for problems.
fn media(item: &Value) -> Vec<String> {
    let operations = item.as_object().into_iter().flatten().map(|(_, operation)| operation);
    let responses = operations.filter_map(|operation| operation["responses"].as_object()).flatten();
    let successes = responses.filter(|(status, _)| status.starts_with('2'));
    let contents = successes.filter_map(|(_, response)| response["content"].as_object()).flatten();
    let mut media: Vec<String> = contents.map(|(media, _)| media.clone()).collect();
    if media.iter().any(|media| media == "application/json") {
        media.push(problem::MEDIA_TYPE.to_owned());
    }
    media.sort();
    media.dedup();
    media
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn surface() -> Surface {
        let json = json!({ "responses": { "200": { "content": { "application/json": {} } }, "404": {} } });
        let text = json!({ "responses": { "200": { "content": { "application/openmetrics-text": {} } } } });
        Surface::of_contract(&json!({ "paths": {
            "/v1/figures/{id}": { "get": json },
            "/v1/figures/{id}:confirm": { "post": json },
            "/v1/figures": { "post": json, "get": json },
            "/metrics": { "get": text },
        } }))
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let surface = surface();
        let allow = |path: &str, method: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            surface.find(path).and_then(|served| served.refuse(&method))
        };
        assert_eq!(allow("/v1/figures/1:confirm", "GET").as_deref(), Some("POST"));
        assert_eq!(allow("/v1/figures/1:confirm", "HEAD").as_deref(), Some("POST"));
        assert_eq!(allow("/v1/figures/1:confirm", "POST"), None);
        assert_eq!(allow("/v1/figures/1", "DELETE").as_deref(), Some("GET, HEAD"));
        assert_eq!(allow("/v1/figures/1", "HEAD"), None);
        assert_eq!(allow("/v1/figures", "PATCH").as_deref(), Some("GET, HEAD, POST"));
        assert_eq!(allow("/v1/figures", "OPTIONS").as_deref(), Some("GET, HEAD, POST"));
        assert_eq!(allow("/docs", "POST").as_deref(), Some("GET, HEAD"));
        assert_eq!(allow("/elsewhere", "GET"), None);
    }

    #[test]
    fn what_an_operation_does_not_have_is_refused() {
        let list = json!({ "parameters": [{ "in": "query", "name": "limit" }, { "in": "header", "name": "x" }] });
        let create = json!({ "requestBody": {} });
        let surface = Surface::of_contract(&json!({ "paths": { "/v1/figures": { "get": list, "post": create } } }));
        let asked = |path: &str, method: Method, query: &str, body: bool| {
            let query = super::super::query::pairs(query).unwrap();
            surface.find(path).unwrap().understand(&method, &query, body).map_err(|error| error.code)
        };
        assert_eq!(asked("/v1/figures", Method::GET, "limit=1", false), Ok(()));
        assert_eq!(asked("/v1/figures", Method::HEAD, "x=1", false), Err(Code::InvalidQuery));
        assert_eq!(asked("/v1/figures", Method::GET, "", true), Err(Code::UnknownMember));
        assert_eq!(asked("/v1/figures", Method::POST, "", true), Ok(()));
        assert_eq!(asked("/v1/figures", Method::POST, "limit=1", true), Err(Code::InvalidQuery));
        assert_eq!(asked("/docs", Method::GET, "theme=dark", false), Ok(()), "a page may be asked in its own ways");
    }

    #[test]
    fn what_a_path_may_answer_stands_in_the_contract() {
        let surface = surface();
        let media = |path: &str| surface.find(path).unwrap().media.clone();
        assert_eq!(media("/v1/figures"), ["application/json", "application/problem+json"]);
        assert_eq!(media("/metrics"), ["application/openmetrics-text"]);
        assert_eq!(media("/docs"), ["text/html"]);
        assert!(media("/docs/assets/swagger-ui.css").is_empty());
    }

    #[test]
    fn only_the_main_listener_asks_who_calls() {
        let open = Surface::open(&[("/metrics", &["text/plain"])]);
        assert!(surface().asks_for_token("/metrics", None) && surface().asks_for_token("/v1/nowhere", None));
        assert!(!surface().asks_for_token("/livez", None) && !open.asks_for_token("/metrics", None));
    }
}
