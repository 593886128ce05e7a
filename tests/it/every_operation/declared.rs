//! One right call an operation, for obligations, observations and registers.

use serde_json::{Value, json};
use thidua::auth::Role;

use super::{Case, Elsewhere};
use crate::support::campaign::{self, CAMPAIGN};
use crate::support::{Answer, World};

/// The call of this operation that succeeds; what it needs is made beforehand. A list, history or record that another
/// subtree has is empty or not there for commune B.
pub async fn case(world: &World, id: &str) -> Option<Case> {
    let room = ["obligation", "observation", "register"].into_iter().find(|room| {
        id.ends_with(room) || id.ends_with(&format!("{room}s")) || id.ends_with(&format!("{room}_events"))
    })?;
    campaign::load(world).await;
    match room {
        "obligation" => obligation(world, id).await,
        "observation" => observation(world, id).await,
        _ => register(world, id).await,
    }
}

fn here(world: &World, role: Role, path: String, made: Option<&Answer>, body: Option<Value>) -> Case {
    let one = path.contains(':') || path.matches('/').count() > 2 || body.is_some();
    let status = if one && !path.ends_with(":search") { 404 } else { 200 };
    let elsewhere = Some(Elsewhere { unit: world.units.commune_b, status });
    Case { role, unit: Some(world.units.commune_a), elsewhere, path, etag: made.map(Answer::etag), body }
}

async fn obligation(world: &World, id: &str) -> Option<Case> {
    let terms = json!({ "kind": "settlement", "title": "Quyết toán", "due_on": "2023-12-15" });
    let fulfilment =
        json!({ "fulfilled_on": "2023-12-15", "received_on": "2023-12-15", "evidence": [{ "kind": "document" }] });
    let other = json!({ "kind": "settlement", "title": "Quyết toán", "due_on": "2023-12-16" });
    let draft = json!({ "campaign": CAMPAIGN, "unit": world.units.commune_a, "terms": terms });
    let office = world.person(Role::HomeAffairs, Some(world.units.district)).await;
    let mut made = office.create("/v1/obligations", &draft).await.is(201);
    let path = format!("/v1/obligations/{}", made.id());
    let case = |path: String, made: Option<&Answer>, body| here(world, Role::HomeAffairs, path, made, body);
    Some(match id {
        "list_obligations" => case("/v1/obligations".into(), None, None),
        "search_obligations" => {
            case("/v1/obligations:search".into(), None, Some(json!({ "query": draft["terms"]["title"] })))
        }
        "get_obligation" => case(path, None, None),
        "list_obligation_events" => case(format!("{path}/events"), None, None),
        "impose_obligation" => case("/v1/obligations".into(), None, Some(draft)),
        "amend_obligation" => case(format!("{path}:amend"), Some(&made), Some(json!({ "terms": other }))),
        "fulfil_obligation" => case(format!("{path}:fulfil"), Some(&made), Some(json!({ "fulfilment": fulfilment }))),
        "cancel_obligation" => case(format!("{path}:cancel"), Some(&made), Some(json!({ "reason": "Nhập nhầm" }))),
        "correct_obligation" => {
            made = office
                .change(&format!("{path}:fulfil"), &made.etag(), &json!({ "fulfilment": fulfilment }))
                .await
                .is(200);
            let body = json!({ "terms": other, "fulfilment": fulfilment, "reason": "Nhập nhầm" });
            case(format!("{path}:correct"), Some(&made), Some(body))
        }
        _ => return None,
    })
}

async fn observation(world: &World, id: &str) -> Option<Case> {
    let content = json!({ "fields": { "kind": "revolving_capital" }, "evidence": [{ "kind": "document" }] });
    let other = json!({ "fields": { "kind": "revolving_capital" }, "evidence": [{ "kind": "minutes" }] });
    let draft = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "name": "regulation",
        "observed_on": "2023-06-01", "content": content });
    let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
    let owner = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
    let mut made = reporter.create("/v1/observations", &draft).await.is(201);
    let path = format!("/v1/observations/{}", made.id());
    let case = |path: String, made: Option<&Answer>, body| here(world, Role::CommuneCommittee, path, made, body);
    Some(match id {
        "list_observations" => case("/v1/observations".into(), None, None),
        "get_observation" => case(path, None, None),
        "list_observation_events" => case(format!("{path}/events"), None, None),
        "report_observation" => case("/v1/observations".into(), None, Some(draft)),
        "amend_observation" => case(format!("{path}:amend"), Some(&made), Some(json!({ "content": other }))),
        "confirm_observation" => case(format!("{path}:confirm"), Some(&made), None),
        "withdraw_observation" => case(format!("{path}:withdraw"), Some(&made), Some(json!({ "reason": "Nhập nhầm" }))),
        "correct_observation" => {
            made = owner.change(&format!("{path}:confirm"), &made.etag(), &json!({})).await.is(200);
            let body = json!({ "content": other, "reason": "Nhập nhầm" });
            case(format!("{path}:correct"), Some(&made), Some(body))
        }
        _ => return None,
    })
}

async fn register(world: &World, id: &str) -> Option<Case> {
    // Each register is closed once, and those of entries stay open for the cases above.
    let (unit, name) = match id {
        "list_registers" => (world.units.village_a, "exit_registration"),
        "get_register" => (world.units.village_a, "support_activity"),
        "list_register_events" => (world.units.village_a, "linkage"),
        "close_register" => (world.units.commune_a, "linkage"),
        "reopen_register" => (world.units.commune_a, "exit_registration"),
        "reclose_register" => (world.units.commune_a, "support_activity"),
        _ => return None,
    };
    let draft = json!({ "campaign": CAMPAIGN, "unit": unit, "round": "mid", "name": name });
    let case = |path: String, made: Option<&Answer>, body| here(world, Role::CommuneCommittee, path, made, body);
    if id == "close_register" {
        return Some(case("/v1/registers".into(), None, Some(draft)));
    }
    let owner = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
    let made = owner.create("/v1/registers", &draft).await.is(201);
    let path = format!("/v1/registers/{}", made.id());
    let reason = json!({ "reason": "Nhập nhầm" });
    Some(match id {
        "list_registers" => case("/v1/registers".into(), None, None),
        "get_register" => case(path, None, None),
        "list_register_events" => case(format!("{path}/events"), None, None),
        "reopen_register" => case(format!("{path}:reopen"), Some(&made), Some(reason)),
        _ => {
            let open = owner.change(&format!("{path}:reopen"), &made.etag(), &reason).await.is(200);
            case(format!("{path}:reclose"), Some(&open), None)
        }
    })
}
