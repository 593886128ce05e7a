//! Whoever gives a reason can read it afterwards, and so can whoever sees the record: in the record and in the list.
//! Nobody else can, and the event has its commitment only.

use serde_json::{Value, json};

use super::{Case, Elsewhere, call, cases};
use crate::both_engines;
use crate::support::contract::Contract;
use crate::support::{Answer, Person, World};

/// The member of the record that has the reason of this operation; what is a room's only reason has a name of its own.
fn member(operation: &str) -> &'static str {
    match operation {
        "return_activity" | "return_nomination" => "return_reason",
        "revoke_attestation" => "revoke_reason",
        "end_grant" => "end_reason",
        "revoke_tokens" | "erase_subject" => "reason",
        _ => "change_reason",
    }
}

/// The record that the call made or changed.
fn record(case: &Case, answer: &Answer) -> String {
    match answer.header("location") {
        Some(location) => location.to_owned(),
        None => case.path.rsplit_once(':').unwrap().0.to_owned(),
    }
}

/// The record as the list shows it, if it does.
async fn listed(person: &Person<'_>, path: &str) -> Value {
    let (list, id) = path.rsplit_once('/').unwrap();
    let page = person.get(&format!("{list}?limit=200")).await.is(200).json();
    let mut items = page["items"].as_array().unwrap().iter();
    items.find(|item| item["id"] == id).cloned().unwrap_or_default()
}

async fn is_committed_to(person: &Person<'_>, path: &str, member: &str, reason: &str) {
    let history = person.get(&format!("{path}/events?limit=200")).await.is(200);
    assert!(!history.text.contains(reason), "the reason stands in an event of {path}");
    let event = history.json()["items"].as_array().unwrap().last().cloned().unwrap();
    let field = match (member, path.starts_with("/v1/erasures/")) {
        ("reason", true) => "erase_reason",
        ("reason", false) => "revoke_reason",
        (member, _) => member,
    };
    assert!(event["changes"][field]["$c"][1].is_string() && event["reason"]["$c"].is_string(), "{path}: {event:#}");
}

/// Takes the step with a reason that nobody else gives, and reads it as each who may and as one who may not. Answers
/// whether there is one who may not.
async fn walk(world: &World, operation: &str, method: &str, case: Case) -> bool {
    let reason = format!("Theo lời bà Lò Thị Ở ({operation})");
    let mut body = case.body.clone().unwrap();
    body["reason"] = json!(reason);
    let case = Case { body: Some(body), ..case };
    let right = world.person(case.role, case.unit).await;
    let answer = call(&right, method, &case).await;
    assert!((200..300).contains(&answer.status), "{operation}: {} {}", answer.status, answer.text);
    let (path, member) = (record(&case, &answer), member(operation));
    let read = right.get(&path).await.is(200).json();
    for (place, view) in [("answer", answer.json()), ("read", read), ("list", listed(&right, &path).await)] {
        assert_eq!(view[member], reason, "{operation}: {member} in the {place}");
    }
    is_committed_to(&right, &path, member, &reason).await;
    let Some(Elsewhere { unit, status: 404 }) = case.elsewhere else { return false };
    let stranger = world.person(case.role, Some(unit)).await;
    let refused = stranger.get(&path).await.problem(404, "not_found");
    assert!(!refused.text.contains(&reason), "{operation}: {}", refused.text);
    assert_eq!(listed(&stranger, &path).await, Value::Null, "{operation} in the wrong subtree");
    true
}

both_engines! {
    async fn each_is_read_where_the_record_is_and_nowhere_else(world: World) {
        let contract = Contract::served();
        let (mut given, mut kept_from_strangers) = (0, 0);
        for operation in &contract.operations {
            let example = contract.request_example(operation);
            if example.is_none_or(|example| example.get("reason").is_none()) {
                continue;
            }
            let case = cases::case(world, &operation.id).await.unwrap();
            given += 1;
            kept_from_strangers += i32::from(walk(world, &operation.id, &operation.method, case).await);
        }
        assert!(given > 10 && kept_from_strangers > 10, "{given} reasons, {kept_from_strangers} with strangers");
        assert_eq!(crate::log::rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
