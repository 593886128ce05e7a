//! The examples of answers in the contract are live answers: each operation is called rightly in a world of its own, so
//! that no other call has a part in the answer, and what it says on either engine is what is committed.

use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use thidua::clock::{Micros, now};
use thidua::error::Code;
use thidua::log::proofs::PUBLIC;

use super::refused::Scene;
use super::steady::{self, Steady};
use super::{Case, audited, call, cases};
use crate::support::contract::{Contract, Documented};
use crate::support::http::send;
use crate::support::{Answer, Engine, World, run};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/examples.json");
/// Set, the file is written instead of compared.
const REFRESH: &str = "THIDUA_REFRESH_EXAMPLES";
const COMMAND: &str = "THIDUA_REFRESH_EXAMPLES=1 cargo test --test it examples::sqlite && \
                       cargo run -- openapi > openapi/openapi.json";

/// The right call, asking for little.
async fn case(world: &World, operation: &Documented) -> Case {
    let mut case = match operation.id.as_str() {
        "get_liveness" => audited("/livez"),
        "get_readiness" => audited("/readyz"),
        "get_log_checkpoint" => audited("/v1/log/checkpoint"),
        "get_log_policy" => audited("/v1/log/policy"),
        "get_log_keys" => audited("/v1/log/keys"),
        "get_log_tile" => audited("/v1/log/tile/0/000.p/1"),
        "get_log_consistency" => audited("/v1/log/consistency?from=2&to=2"),
        id => cases::case(world, id).await.unwrap_or_else(|| panic!("{id} has no case in every_operation/cases.rs")),
    };
    if PUBLIC.contains(&operation.id.as_str()) {
        world.db.settle().await.unwrap();
        world.shared.signer.as_ref().unwrap().covering(3).await.unwrap();
    }
    if operation.id == "get_metrics" {
        world.nobody().get("/livez").await.is(200);
    }
    let parameters = operation.document["parameters"].as_array();
    let takes = |name: &str| parameters.is_some_and(|all| all.iter().any(|one| one["name"] == name));
    // A state of today would be another one tomorrow.
    for (name, value) in [("limit", "limit=2"), ("as_of", "as_of=2025-12-31")] {
        if takes(name) && !case.path.contains(&format!("{name}=")) {
            case.path.push(if case.path.contains('?') { '&' } else { '?' });
            case.path.push_str(value);
        }
    }
    case
}

/// Long answers without pages, of which the example keeps the first two of each list.
const CUT: &[&str] = &["get_campaign", "list_campaign_clauses"];

fn cut(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.truncate(2);
            items.iter_mut().for_each(cut);
        }
        Value::Object(members) => members.values_mut().for_each(cut),
        _ => {}
    }
}

/// The one success that the contract tells of: status, headers and schemas.
fn success(operation: &Documented) -> (u16, &Value) {
    let responses = operation.document["responses"].as_object().unwrap();
    let mut successes = responses.iter().filter(|(status, _)| status.starts_with('2'));
    let (status, response) = successes.next().unwrap_or_else(|| panic!("{} has no success", operation.id));
    assert!(successes.next().is_none(), "{} has two successes", operation.id);
    (status.parse().unwrap(), response)
}

fn media_type(answer: &Answer) -> &str {
    answer.header("content-type").unwrap().split(';').next().unwrap().trim()
}

/// Where the answer is not what the contract says.
fn faults(contract: &Contract, operation: &Documented, answer: &Answer) -> Vec<String> {
    let (status, response) = success(operation);
    if answer.status != status {
        return vec![format!("status {} instead of {status}: {}", answer.status, answer.text)];
    }
    let media_type = media_type(answer);
    if response["content"].get(media_type).is_none() {
        return vec![format!("media type {media_type}, of which the contract says nothing")];
    }
    let mut faults = contract.faults(&response["content"][media_type]["schema"], &body(answer));
    for name in ["etag", "location", "link", "idempotency-replayed"] {
        let mut declared = response["headers"].as_object().into_iter().flatten();
        let declared = declared.any(|(header, _)| header.eq_ignore_ascii_case(name));
        let sent = answer.header(name).is_some();
        // Without a further page there is no link, and nothing is replayed.
        let required = declared && matches!(name, "etag" | "location");
        if sent && !declared || required && !sent {
            faults.push(format!("header {name}: declared {declared}, sent {sent}"));
        }
    }
    faults
}

fn body(answer: &Answer) -> Value {
    let is_json = media_type(answer).ends_with("json") && media_type(answer) != "application/x-ndjson";
    if is_json { answer.json() } else { json!(answer.text) }
}

/// The answer of another media type than that of the right call.
async fn asked_for(world: &World, operation: &Documented, media_type: &str) -> Answer {
    let name = format!("{} {media_type}", operation.id);
    let case = cases::case(world, &name).await.unwrap_or_else(|| panic!("{name} has no case"));
    let person = world.person(case.role, case.unit).await;
    send(person.request(&operation.method, &case.path).header("Accept", media_type)).await
}

/// What of an answer is an example.
fn example(began: Micros, answer: &Answer) -> Value {
    let (mut example, mut steady) = (body(answer), Steady::since(began));
    match (&mut example, media_type(answer)) {
        // JSON has no example of bytes.
        (_, "application/octet-stream") => return Value::Null,
        (Value::String(text), "text/plain") => *text = steady.lines(&steady::note(text)),
        (Value::String(text), "application/x-ndjson") => *text = steady.leaves(text),
        (Value::String(text), "text/event-stream") => *text = steady.stream(text),
        (Value::String(text), "text/csv") => *text = steady.table(text),
        (Value::String(text), _) => *text = steady::metrics(text),
        (json, _) => steady.json(json),
    }
    example
}

/// The example of this operation, and where the answer is not what the contract says; `None` without the engine.
async fn take(contract: &Contract, operation: &Documented, engine: Engine) -> Option<(Value, Vec<String>)> {
    let mut taken = None;
    let began = now();
    run(engine, async |world| {
        let case = case(world, operation).await;
        let person = world.person(case.role, case.unit).await;
        let answer = call(&person, &operation.method, &case).await;
        let mut faults = faults(contract, operation, &answer);
        if operation.document["responses"].get("304").is_some() {
            let again = person.request(&operation.method, &case.path).header("If-None-Match", answer.etag());
            let status = send(again).await.status;
            faults.extend((status != 304).then(|| format!("{status} for an ETag that holds")));
        }
        let (status, response) = success(operation);
        let told = media_type(&answer);
        let mut example = example(began, &answer);
        let long = CUT.contains(&operation.id.as_str());
        if long {
            cut(&mut example);
        }
        let mut example = json!({ "status": status, "media_type": told, "cut": long, "example": example });
        for other in response["content"].as_object().unwrap().keys().filter(|one| *one != told) {
            let answer = asked_for(world, operation, other).await;
            faults.extend(self::faults(contract, operation, &answer));
            example["others"][other] = self::example(began, &answer);
        }
        taken = Some((example, faults));
    })
    .await;
    taken
}

async fn compare(engine: Engine) {
    let contract = Contract::served();
    let (mut examples, mut wrong) = (Map::new(), Vec::new());
    // A world mostly waits for its disk.
    let mut taken = stream::iter(&contract.operations)
        .map(async |operation| (operation, take(&contract, operation, engine).await))
        .buffered(6);
    while let Some((operation, taken)) = taken.next().await {
        let Some((example, faults)) = taken else { return };
        examples.insert(operation.id.clone(), example);
        wrong.extend(faults.iter().map(|fault| format!("{}: {fault}", operation.id)));
    }
    let live = json!({ "operations": examples, "problems": problems(engine).await });
    if std::env::var(REFRESH).is_ok() {
        std::fs::write(FILE, serde_json::to_string_pretty(&live).unwrap() + "\n").unwrap();
    }
    assert!(wrong.is_empty(), "answers are not what the contract says:\n{}", wrong.join("\n"));
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    for (part, live) in live.as_object().unwrap() {
        for (name, live) in live.as_object().unwrap() {
            let known = &committed[part][name];
            assert!(known == live, "{name} is\n{live:#}\nbut its example\n{known:#}\nrefresh it with\n  {COMMAND}");
        }
    }
    assert!(committed == live, "an example is of nothing that exists; refresh with\n  {COMMAND}");
}

/// A live answer with each problem code that a request can provoke, in each language.
async fn problems(engine: Engine) -> Value {
    let mut found = Map::new();
    let began = now();
    run(engine, async |world| {
        let scene = Scene::new(world).await;
        for code in Code::ALL {
            let mut languages = Map::new();
            for language in ["vi", "en"] {
                let Some(request) = scene.refused(*code) else { continue };
                let answer = send(request.header("Accept-Language", language)).await;
                let mut document = answer.problem(code.status(), code.as_str()).json();
                Steady::since(began).json(&mut document);
                languages.insert(language.to_owned(), document);
            }
            if !languages.is_empty() {
                found.insert(code.as_str().to_owned(), Value::Object(languages));
            }
        }
    })
    .await;
    Value::Object(found)
}

#[actix_web::test]
async fn sqlite() {
    compare(Engine::Sqlite).await;
}

#[actix_web::test]
async fn postgres() {
    compare(Engine::Postgres).await;
}
