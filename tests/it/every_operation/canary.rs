//! Marked personal values through every operation: in bodies that are accepted and bodies that are refused, in paths,
//! query strings, headers and tokens. They appear in no log line, metric, event, URL or header of an answer, and in no
//! answer to somebody who may not see them.
//!
//! The service is a process of its own that logs as much as it can.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::rooms;

use super::{Case, cases};
use crate::both_engines;
use crate::support::contract::{Contract, Documented, put};
use crate::support::http::send;
use crate::support::{AUDIENCE, Answer, ISSUER, Person, Running, World, free_address, log_key};

/// Texts that are nobody's, and that therefore stand in events: names of places and of organisations, and what the issuer
/// of tokens calls a session.
const NOBODYS: &[&str] = &["register_unit /names/0/value", "amend_unit /unit/names/0/value", "revoke_tokens /sid"];

const STRANGER: &str = "an answer to a stranger";

/// Where events are told, and what stands in them.
const WRITTEN: &[&str] = &["an export", "the stream of events", "a finding", "an event", "a leaf", STRANGER];

/// Why units changed: they are shown, as units are, to everybody who has a grant.
const EVERYBODYS: &[&str] = &["amend_unit /reason", "record_succession /basis", "annul_succession /reason"];

/// A service that writes its log to a file.
struct Watched {
    base: String,
    metrics: String,
    directory: tempfile::TempDir,
    _process: Running,
}

impl Watched {
    async fn start(world: &World) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (listen, metrics) = (free_address(), free_address());
        std::fs::write(directory.path().join("jwks"), &world.jwks).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.args(["serve", "--listen", &listen, "--metrics-listen", &metrics]);
        command.env("THIDUA_DATABASE_URL", &world.database.url).env("RUST_LOG", "trace");
        command.env("THIDUA_JWKS_FILE", directory.path().join("jwks"));
        std::fs::write(directory.path().join("log.key"), log_key().to_skey().unwrap()).unwrap();
        command.env("THIDUA_LOG_KEY_FILE", directory.path().join("log.key"));
        command.env("THIDUA_LOG_ANCHOR_FILE", directory.path().join("anchor"));
        command.env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE);
        command.envs(world.database.urls().keys.map(|keys| ("THIDUA_SUBJECT_KEYS", keys)));
        command.env("THIDUA_RATE_PER_ADDRESS", "0").env("THIDUA_RATE_PER_CALLER", "0");
        let log = File::create(directory.path().join("log")).unwrap();
        let process = Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let base = format!("http://{listen}");
        for _ in 0..400 {
            if reqwest::get(format!("{base}/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
                return Self { base, metrics, directory, _process: process };
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never ready");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

/// What was sent where, and everything that came out.
struct Trail<'a> {
    world: &'a World,
    watched: Watched,
    /// Mark, and what it stood in.
    sent: Vec<(String, String)>,
    headers: String,
    refusals: String,
    /// Every record that took a mark.
    records: Vec<String>,
}

impl Trail<'_> {
    /// A value as a person would have it, that occurs nowhere else.
    fn mark(&mut self, place: String) -> String {
        let mark = format!("hoang{}yen", self.sent.len());
        self.sent.push((mark.clone(), place));
        mark
    }

    fn request(&self, method: &str, case: &Case, token: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.world.client.request(method.clone(), format!("{}{}", self.watched.base, case.path));
        let request = request.bearer_auth(token);
        let request = if let Some(etag) = &case.etag { request.header("If-Match", etag) } else { request };
        if method == Method::POST {
            request.header("Idempotency-Key", thidua::id::new_id().to_string())
        } else {
            request
        }
    }

    async fn send(&mut self, request: RequestBuilder) -> Answer {
        let answer = send(request).await;
        self.headers.push_str(&format!("{:?}\n", answer.headers));
        assert!(answer.status < 500, "{}", answer.text);
        answer
    }

    /// The right call with a mark in every free text of its body: accepted.
    async fn accepted(&mut self, operation: &Documented, case: &Case, texts: &[String]) {
        let person = self.world.person(case.role, case.unit).await;
        let right = case.body.clone().unwrap_or_else(|| json!({}));
        // Only texts that the call carries anyway: one more may contradict another.
        let carries = |text: &&String| right.pointer(text).is_some_and(Value::is_string);
        let mut marked: Vec<&String> = texts.iter().filter(carries).collect();
        loop {
            let mut body = right.clone();
            for pointer in &marked {
                let mark = self.mark(format!("{} {pointer}", operation.id));
                body = put(body, pointer, &json!(format!("Đặng Thị {mark} 079203001234"))).0;
            }
            let request = self.request(&operation.method, case, person.token.as_deref().unwrap());
            let request = if case.body.is_some() { request.json(&body) } else { request };
            let answer = self.send(request).await;
            if answer.status < 300 {
                if operation.method == "POST" {
                    let changed = case.path.split([':', '?']).next().map(str::to_owned);
                    self.records.extend(answer.header("location").map(str::to_owned).or(changed));
                }
                return;
            }
            // What is a name of the campaign's (a kind, a round) is no free text after all.
            self.refusals.push_str(&answer.text);
            let faults = answer.json()["errors"].to_string();
            let before = marked.len();
            marked.retain(|pointer| !faults.contains(&format!("\"{pointer}\"")));
            assert!(marked.len() < before, "{}: {} {}", operation.id, answer.status, answer.text);
        }
    }

    /// A mark wherever a call may carry a text, one at a time: refused for the most part, and then not repeated.
    async fn refused(&mut self, operation: &Documented, case: &Case, texts: &[String]) {
        let person = self.world.person(case.role, case.unit).await;
        let token = person.token.unwrap();
        for pointer in texts {
            let mark = self.mark(format!("{} {pointer} refused", operation.id));
            let body = put(case.body.clone().unwrap_or_else(|| json!({})), pointer, &json!([mark])).0;
            let answer = self.send(self.request(&operation.method, case, &token).json(&body)).await;
            self.refusals.push_str(&answer.text);
        }
        let strange = [("query", "zzz"), ("query", "cursor"), ("query", "unit"), ("path", ""), ("header", "")];
        for (place, name) in strange {
            let mark = self.mark(format!("{} {place} {name}", operation.id));
            let joint = if case.path.contains('?') { '&' } else { '?' };
            let path = match place {
                "query" => format!("{}{joint}{name}=Hoàng{mark}", case.path),
                "path" => format!("{}/Hoàng{mark}", case.path),
                _ => case.path.clone(),
            };
            let request = self.request(&operation.method, &Case { path, etag: None, ..case.clone() }, &token);
            let request = match place {
                "header" => ["If-Match", "Accept-Language", "User-Agent", "traceparent", "X-Forwarded-For", "Referer"]
                    .iter()
                    .fold(request, |request, name| request.header(*name, &mark)),
                _ => request,
            };
            let answer = self.send(request.json(&json!({ "zzz": mark }))).await;
            self.refusals.push_str(&answer.text);
        }
    }

    /// Tokens that speak for a marked person, or are one.
    async fn tokens(&mut self) {
        let mark = self.mark("the subject of a token".to_owned());
        let tokens = [self.world.token(&format!("Hoàng {mark}")), format!("{mark}.{mark}.{mark}")];
        for token in tokens {
            let case = Case {
                role: Role::Auditor,
                unit: None,
                elsewhere: None,
                path: "/v1/me".into(),
                etag: None,
                body: None,
            };
            let answer = self.send(self.request("GET", &case, &token)).await;
            self.refusals.push_str(&answer.text);
        }
    }

    /// What somebody is told who reports for another commune: every record that was marked, and every list.
    async fn outside(&self) -> String {
        let units = &self.world.units;
        let mut told = String::new();
        for (role, unit) in [(Role::UnitReporter, units.village_b), (Role::CommuneCommittee, units.commune_b)] {
            let stranger = self.world.person(role, Some(unit)).await;
            let lists = self.records.iter().filter_map(|path| path.rsplit_once('/').map(|(list, _)| list.to_owned()));
            let mut paths: BTreeSet<String> = lists.map(|list| format!("{list}?limit=200")).collect();
            for record in &self.records {
                paths.extend([record.clone(), format!("{record}/events")]);
            }
            for path in paths {
                let answer = stranger.get(&path).await;
                assert!(answer.status < 500, "{path}: {}", answer.text);
                told.push_str(&answer.text);
            }
        }
        told
    }

    /// Everything, in each format.
    async fn exported(&self, auditor: &Person<'_>) -> String {
        let mut exported = String::new();
        for format in ["ndjson", "csv", "cloudevents"] {
            let made = auditor.create("/v1/exports", &json!({ "format": format, "purpose": "audit" })).await.is(201);
            let answer = auditor.get(&format!("/v1/exports/{}/content", made.id())).await.is(200);
            assert!(answer.text.len() > 10_000, "{format}: {}", answer.text);
            exported.push_str(&answer.text);
        }
        exported
    }

    /// All that the service says to whoever is not concerned.
    async fn said(&self) -> Vec<(&'static str, String)> {
        let auditor = self.world.person(Role::Auditor, None).await;
        let metrics = reqwest::get(format!("http://{}/metrics", self.watched.metrics)).await.unwrap();
        let (mut events, mut after) = (String::new(), -1);
        loop {
            let page = auditor.get(&format!("/v1/events?limit=200&after={after}")).await.is(200);
            let items = page.json()["items"].as_array().unwrap().clone();
            let Some(last) = items.last() else { break };
            after = last["position"].as_i64().unwrap();
            events.push_str(&page.text);
        }
        let streamed = auditor.get(&format!("/v1/events/stream?limit={}", after + 1)).await.is(200).text;
        vec![
            ("an export", self.exported(&auditor).await),
            ("the stream of events", streamed),
            ("a finding", auditor.get("/v1/findings?limit=200").await.is(200).text),
            ("a log line", self.watched.log()),
            ("a metric", metrics.text().await.unwrap()),
            ("an event", events),
            ("a leaf", column(self.world, "SELECT leaf AS value FROM audit_event").await),
            ("an event in quarantine", column(self.world, "SELECT leaf AS value FROM audit_quarantine").await),
            ("a header of an answer", self.headers.clone()),
            ("a refusal", self.refusals.clone()),
            (STRANGER, self.outside().await),
        ]
    }
}

async fn column(world: &World, sql: &str) -> String {
    let conn = world.database.raw().await;
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    let text = rows.iter().map(|row| row.try_get::<String>("", "value").unwrap()).collect();
    conn.close().await.unwrap();
    text
}

/// A text without a form of its own; the pattern of free texts only says that no character is unseen.
fn is_free(schema: &Value) -> bool {
    let formed = ["format", "enum", "const"].iter().any(|word| schema.get(word).is_some());
    let shaped = schema["pattern"].as_str().is_some_and(|pattern| !pattern.starts_with("^[^"));
    !formed && !shaped && Contract::kinds(schema).any(|kind| kind == "string")
}

/// Sends marks through every operation and finds none where it does not belong: each mark with the place where it was said,
/// but for what is nobody's.
pub async fn marked(world: &World) -> Vec<(String, String)> {
    let contract = Contract::served();
    let (watched, sent) = (Watched::start(world).await, Vec::new());
    let mut trail = Trail { world, watched, sent, headers: String::new(), refusals: String::new(), records: vec![] };
    for known in rooms::operations() {
        let operation = contract.operations.iter().find(|one| one.id == known.id).unwrap();
        let free: Vec<String> = contract.places_in_body(operation, &is_free).into_iter().collect();
        let any = |schema: &Value| Contract::kinds(schema).any(|kind| kind == "string");
        let any: Vec<String> = contract.places_in_body(operation, &any).into_iter().collect();
        let case = cases::case(world, &operation.id).await.unwrap();
        trail.refused(operation, &case, &any).await;
        trail.accepted(operation, &case, &free).await;
    }
    trail.tokens().await;
    assert!(trail.records.len() > 40, "only {} records were marked", trail.records.len());
    let said = trail.said().await;
    let log = said.iter().find(|(where_, _)| *where_ == "a log line").unwrap().1.len();
    assert!(log > 100_000, "the log is no log: {log}");
    let shown = |place: &str, where_: &str| {
        where_ == STRANGER && EVERYBODYS.contains(&place) || NOBODYS.contains(&place) && WRITTEN.contains(&where_)
    };
    let mut leaks = Vec::new();
    for (mark, place) in &trail.sent {
        let found = said.iter().filter(|(where_, text)| text.contains(mark) && !shown(place, where_));
        leaks.extend(found.map(|(where_, _)| format!("{place} in {where_}")));
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    trail.sent.retain(|(_, place)| !NOBODYS.contains(&place.as_str()));
    trail.sent
}

both_engines! {
    async fn marked_values_stay_where_they_belong(world: World) {
        let sent = marked(world).await;
        let kept = column(world, "SELECT CAST(value AS TEXT) AS value FROM audit_disclosure").await;
        let kept = sent.iter().filter(|(mark, _)| kept.contains(&format!("{mark} "))).count();
        assert!(kept > 20 || world.database.keys.is_some(), "only {kept} values were taken as personal");
    }
}
