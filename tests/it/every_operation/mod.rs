//! Every operation of the contract, called by nobody, by the wrong role, by the right role in the wrong
//! subtree, and rightly. Each mutating operation writes its events; no read writes any.
//!
//! An operation without a case fails the test, so that none is forgotten.

mod activities;
mod attestations;
mod canary;
mod cases;
mod declared;
mod erased;
mod examples;
mod integers;
mod log;
mod nominations;
mod reasons;
mod refused;
mod sealed;
mod steady;

use std::collections::BTreeSet;

use base64::Engine as _;
use reqwest::RequestBuilder;
use serde_json::Value;
use thidua::auth::{Permission, Role, policy};
use thidua::http::{Call, Operation};
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tlog_proof;
use thidua::log::proofs::PUBLIC;
use thidua::rooms;
use uuid::Uuid;

use crate::both_engines;
use crate::support::contract::Contract;
use crate::support::http::send;
use crate::support::{Answer, Person, World};

/// A call that succeeds when the right person makes it.
#[derive(Clone)]
pub struct Case {
    pub role: Role,
    pub unit: Option<Uuid>,
    /// Where the same role may not act; `None` if the role reaches everything.
    pub elsewhere: Option<Elsewhere>,
    pub path: String,
    pub etag: Option<String>,
    pub body: Option<Value>,
}

/// The right role in the wrong subtree.
#[derive(Clone)]
pub struct Elsewhere {
    pub unit: Uuid,
    pub status: u16,
}

/// A read by the auditor, who sees everything.
fn audited(path: impl Into<String>) -> Case {
    Case { role: Role::Auditor, unit: None, elsewhere: None, path: path.into(), etag: None, body: None }
}

async fn call(person: &Person<'_>, method: &str, case: &Case) -> Answer {
    send(request(person, method, case)).await
}

fn request(person: &Person<'_>, method: &str, case: &Case) -> RequestBuilder {
    let mut request = person.request(method, &case.path);
    if method == "POST" {
        request = request.header("Idempotency-Key", thidua::id::new_id().to_string());
    }
    if let Some(etag) = &case.etag {
        request = request.header("If-Match", etag);
    }
    if let Some(body) = &case.body {
        request = request.json(body);
    }
    request
}

/// The proof that a write was answered with proves one of the events that it wrote.
async fn proven(auditor: &Person<'_>, answer: &Answer) {
    assert_eq!(answer.header("preference-applied"), Some("wait=10"));
    let proof = answer.header("event-proof").unwrap().strip_prefix(':').unwrap().strip_suffix(':').unwrap();
    let proof = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(proof).unwrap()).unwrap();
    let policy = auditor.get("/v1/log/policy").await.is(200).text;
    let page = auditor.get("/v1/events?limit=20&order=desc").await.is(200).json();
    let events = page["items"].as_array().unwrap();
    let event = events.iter().find(|event| event["id"].as_str() == answer.header("event-id")).unwrap();
    let leaf = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(event["leaf"].as_str().unwrap()).unwrap();
    let proven = tlog_proof::verify(&proof, &leaf, &Policy::parse(policy.as_bytes()).unwrap()).unwrap();
    assert_eq!(Some(proven.index), event["position"].as_u64());
}

/// The types of the events from `position` on.
async fn events_since(auditor: &Person<'_>, position: i64) -> Vec<String> {
    let page = auditor.get(&format!("/v1/events?limit=200&after={}", position - 1)).await.is(200).json();
    page["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

async fn size(auditor: &Person<'_>) -> i64 {
    auditor.get("/v1/events?limit=1").await.is(200).json()["size"].as_i64().unwrap()
}

fn lacks(permission: Permission) -> Option<Role> {
    Role::ALL.iter().copied().find(|role| policy::reaches(permission, *role).next().is_none())
}

async fn walk(world: &World, operation: &Operation, method: &str) {
    let id = operation.id;
    let auditor = world.person(Role::Auditor, None).await;
    let case = cases::case(world, id).await.unwrap_or_else(|| panic!("{id} has no case in every_operation/cases.rs"));
    let right = world.person(case.role, case.unit).await;
    let wrong = match lacks(operation.permission) {
        Some(role) => Some(world.person(role, case.unit.or(Some(world.units.district))).await),
        None => None,
    };
    let elsewhere = match &case.elsewhere {
        Some(elsewhere) => Some((world.person(case.role, Some(elsewhere.unit)).await, elsewhere.status)),
        None => None,
    };
    let before = size(&auditor).await;
    call(&world.nobody(), method, &case).await.problem(401, "unauthenticated");
    if let Some(wrong) = wrong {
        let answer = call(&wrong, method, &case).await;
        assert_eq!(answer.status, 403, "{id} by the wrong role: {}", answer.text);
    }
    if let Some((person, status)) = elsewhere {
        let answer = call(&person, method, &case).await;
        assert_eq!(answer.status, status, "{id} in the wrong subtree: {}", answer.text);
        if status == 200 {
            assert_eq!(answer.json()["items"], serde_json::json!([]), "{id} shows what lies elsewhere");
        }
    }
    let joint = if case.path.contains('?') { '&' } else { '?' };
    let strange = Case { path: format!("{}{joint}zzz=1", case.path), ..case.clone() };
    call(&right, method, &strange).await.problem(400, "invalid_query");
    if case.body.is_none() {
        let talkative = Case { body: Some(serde_json::json!({ "zzz": 1 })), ..case.clone() };
        call(&right, method, &talkative).await.problem(400, "unknown_member");
    }
    assert_eq!(size(&auditor).await, before, "{id}: a refused call wrote an event");
    let answer = send(request(&right, method, &case).header("Prefer", "wait=10")).await;
    assert!((200..300).contains(&answer.status), "{id}: {} {}", answer.status, answer.text);
    if matches!(operation.call, Call::Create | Call::Change) {
        proven(&auditor, &answer).await;
    }
    if let Some(location) = answer.header("location") {
        let read = right.get(location).await;
        assert!(read.status != 200 || read.json() == answer.json(), "{id} shows what a read does not: {}", answer.text);
    }
    let written = events_since(&auditor, before).await;
    let declared: BTreeSet<&str> = operation.events.iter().copied().collect();
    let written: BTreeSet<&str> = written.iter().map(String::as_str).collect();
    assert!(written.is_subset(&declared), "{id} wrote {written:?}, declared {declared:?}");
    let mutates = matches!(operation.call, Call::Create | Call::Change);
    let recorded = policy::RECORDED_READS.contains(&id);
    assert_eq!(!written.is_empty(), mutates || recorded, "{id} wrote {written:?}");
}

both_engines! {
    async fn says_exactly_401_403_404_or_success_and_is_recorded(world: World) {
        let contract = Contract::served();
        for operation in rooms::operations() {
            let documented = contract.operations.iter().find(|documented| documented.id == operation.id)
                .unwrap_or_else(|| panic!("{} is not in the contract", operation.id));
            walk(world, operation, &documented.method).await;
        }
    }
}

/// True for what replaces the content of a record.
fn replaces(operation: &Operation) -> bool {
    let says = |event: &&str| event.ends_with(".amended") || event.ends_with(".corrected");
    matches!(operation.call, Call::Change) && operation.events.iter().any(says)
}

both_engines! {
    async fn content_that_changes_nothing_is_refused_and_writes_no_event(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let mut tried = Vec::new();
        for operation in rooms::operations().filter(|operation| replaces(operation)) {
            let id = operation.id;
            let case = cases::case(world, id).await.unwrap();
            let right = world.person(case.role, case.unit).await;
            let present = right.get(case.path.split(':').next().unwrap()).await.is(200).json();
            let mut same = case.body.clone().unwrap();
            for (member, value) in same.as_object_mut().unwrap().iter_mut().filter(|(member, _)| *member != "reason") {
                *value = present[if member == "unit" { "history" } else { member.as_str() }].clone();
            }
            let before = size(&auditor).await;
            let refused = call(&right, "POST", &Case { body: Some(same), ..case.clone() }).await;
            let refused = refused.problem(422, "invalid_value").json();
            assert_eq!(refused["errors"][0]["detail"], "không thay đổi gì so với hiện tại", "{id}: {refused}");
            assert_eq!(size(&auditor).await, before, "{id}");
            call(&right, "POST", &case).await.is(200);
            tried.push(id);
        }
        assert_eq!(tried, [
            "amend_unit", "amend_figure", "correct_figure", "amend_activity", "correct_activity", "amend_initiative",
            "amend_obligation", "correct_obligation", "amend_observation", "correct_observation", "amend_nomination",
        ]);
    }
}

both_engines! {
    async fn the_example_of_each_request_body_is_understood(world: World) {
        let contract = Contract::served();
        let mut refused = Vec::new();
        for operation in &contract.operations {
            let (id, Some(example)) = (&operation.id, contract.request_example(operation)) else { continue };
            let case = cases::case(world, id).await.unwrap_or_else(|| panic!("{id} has no case"));
            let right = world.person(case.role, case.unit).await;
            let answer = call(&right, &operation.method, &Case { body: Some(example.clone()), ..case }).await;
            if !matches!(answer.status, 200 | 201) {
                refused.push((id.clone(), answer.json()["code"].as_str().unwrap().to_owned()));
            }
        }
        let expected: Vec<_> = NOT_HERE.iter().map(|(id, code, _)| ((*id).to_owned(), (*code).to_owned())).collect();
        assert_eq!(refused, expected);
    }
}

/// Examples that this world refuses, and why; all others succeed as they stand.
const NOT_HERE: &[(&str, &str, &str)] =
    &[("erase_subject", "invalid_value", "the account of the example is nobody's, so that nobody loses one by trying")];

#[test]
fn every_documented_operation_needs_a_permission_but_health_and_hashes() {
    let known: BTreeSet<&str> = rooms::operations().map(|operation| operation.id).collect();
    assert_eq!(known.len(), rooms::operations().count(), "an operation is listed twice");
    let documented = Contract::served().operations.into_iter().map(|operation| operation.id);
    let open: Vec<String> = documented.filter(|id| !known.contains(id.as_str())).collect();
    let expected: BTreeSet<&str> = PUBLIC.iter().copied().chain(["get_liveness", "get_readiness"]).collect();
    assert_eq!(open.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}
