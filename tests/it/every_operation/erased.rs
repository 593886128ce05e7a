//! A record without its personal values is a record like any other: it is read, listed, and every step of its life can
//! be taken, whatever its kind; and what the step writes can be erased again.

use std::collections::BTreeSet;

use serde_json::json;
use thidua::auth::Role;
use thidua::http::Call;
use thidua::rooms;
use uuid::Uuid;

use super::{Case, call, cases};
use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::contract::Contract;
use crate::support::{Person, World};

/// Erases the record at this path.
async fn erase(administrator: &Person<'_>, path: &str, erased: &mut BTreeSet<String>) {
    let history = administrator.get(&format!("{path}/events?limit=1")).await.is(200).json();
    let record = &history["items"][0]["record"];
    let draft = json!({ "subject": { "type": record["type"], "id": record["id"] }, "legal_basis": "law" });
    let answer = administrator.create("/v1/erasures", &draft).await;
    match answer.status {
        201 => _ = erased.insert(record["type"].as_str().unwrap().to_owned()),
        _ => _ = answer.problem(409, "already_erased"),
    }
}

/// The record is read as it is listed.
async fn is_seen(administrator: &Person<'_>, path: &str) {
    let read = administrator.get(path).await.is(200).json();
    let (list, id) = path.rsplit_once('/').unwrap();
    let page = administrator.get(&format!("{list}?limit=200")).await.is(200).json();
    let item = page["items"].as_array().unwrap().iter().find(|item| item["id"] == id).cloned();
    assert_eq!(item, Some(read), "{path}");
}

/// Erases the record of the case, makes the call, and erases what that has written.
async fn walk(world: &World, id: &str, method: &str, case: &Case, erased: &mut BTreeSet<String>) {
    let administrator = world.person(Role::Administrator, None).await;
    let path = case.path.split(':').next().unwrap();
    erase(&administrator, path, erased).await;
    is_seen(&administrator, path).await;
    let right = world.person(case.role, case.unit).await;
    let etag = right.get(path).await.is(200).etag();
    let answer = call(&right, method, &Case { etag: case.etag.is_some().then_some(etag), ..case.clone() }).await;
    assert_eq!(answer.status, 200, "{id} of an erased record: {}", answer.text);
    erase(&administrator, path, erased).await;
    is_seen(&administrator, path).await;
}

both_engines! {
    async fn every_step_can_be_taken_without_personal_values(world: World) {
        let contract = Contract::served();
        let mut erased = BTreeSet::new();
        for operation in rooms::operations() {
            let id = operation.id;
            // Whoever holds a grant that has not ended keeps the account; campaigns and exports say nothing of a person.
            let reads = id.starts_with("get_") && !["get_account", "get_campaign", "get_export"].contains(&id);
            if operation.call != Call::Change && !reads {
                continue;
            }
            let case = cases::case(world, id).await.unwrap();
            let record = case.path.split(':').next().unwrap().rsplit('/').next().unwrap();
            // What the log says of a record is not a record.
            if Uuid::try_parse(record).is_ok() && !case.path.starts_with("/v1/log/") {
                let method = &contract.operations.iter().find(|one| one.id == id).unwrap().method;
                walk(world, id, method, &case, &mut erased).await;
            }
        }
        for search in rooms::operations().filter(|operation| operation.id.starts_with("search_")) {
            let case = cases::case(world, search.id).await.unwrap();
            call(&world.person(case.role, case.unit).await, "POST", &case).await.is(200);
        }
        let kinds = rooms::kinds().filter(|kind| kind.is_personal() && kind.stream != "account");
        assert_eq!(erased, kinds.map(|kind| kind.stream.to_owned()).collect());
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
