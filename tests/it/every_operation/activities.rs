//! One right call an operation: activities and initiatives.

use serde_json::{Value, json};
use thidua::auth::Role;

use super::{Case, Elsewhere};
use crate::support::campaign::{CAMPAIGN, load};
use crate::support::{Answer, World};

/// The call of this operation that succeeds; what it needs is made beforehand.
pub async fn case(world: &World, id: &str) -> Option<Case> {
    let (verb, noun) = id.split_once('_')?;
    match noun {
        "activity" | "activities" | "activity_events" => Some(activity(world, verb, noun).await),
        "initiative" | "initiatives" | "initiative_events" => Some(initiative(world, verb, noun).await),
        _ => None,
    }
}

fn activity_content() -> Value {
    json!({ "clause_kind": "II.d", "support_kind": "technique", "held_on": "2023-03-15", "title": "Tập huấn nuôi cá lồng",
        "households_helped": 1, "pupils_helped": 0, "beneficiary_area": "poor_person" })
}

fn initiative_content() -> Value {
    json!({ "kind": "production", "beneficiary": "community", "title": "Trồng cây ăn quả trên đất dốc", "proposed_on": "2023-03-15" })
}

/// The content with another value in one member.
fn with(mut content: Value, member: &str, value: Value) -> Value {
    content[member] = value;
    content
}

/// A record of village A as its reporter left it, after these steps.
async fn made(world: &World, resource: &str, content: Value, steps: &[(&str, Role, Value)]) -> Answer {
    load(world).await;
    let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
    let draft = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "content": content });
    let mut record = reporter.create(&format!("/v1/{resource}"), &draft).await.is(201);
    for (verb, role, body) in steps {
        let person = world.person(*role, Some(world.units.commune_a)).await;
        let path = format!("/v1/{resource}/{}:{verb}", record.id());
        record = person.change(&path, &record.etag(), body).await.is(200);
    }
    record
}

/// A call by this role over commune A; over commune B it gives `status`.
fn call(world: &World, role: Role, status: u16, path: String, etag: Option<String>, body: Option<Value>) -> Case {
    let elsewhere = Some(Elsewhere { unit: world.units.commune_b, status });
    Case { role, unit: Some(world.units.commune_a), elsewhere, path, etag, body }
}

async fn activity(world: &World, verb: &str, noun: &str) -> Case {
    let submit = ("submit", Role::UnitReporter, json!({}));
    let accept = ("accept", Role::CommuneCommittee, json!({}));
    let steps = match verb {
        "return" | "accept" => vec![submit],
        "correct" => vec![submit, accept],
        _ => vec![],
    };
    let record = made(world, "activities", activity_content(), &steps).await;
    let path = format!("/v1/activities/{}", record.id());
    let draft = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "content": activity_content() });
    let other = with(activity_content(), "households_helped", json!(2));
    let body = match verb {
        "report" => draft,
        "amend" => json!({ "content": other }),
        "correct" => json!({ "content": other, "reason": "Nhập nhầm bản" }),
        _ => json!({ "reason": "Nhập nhầm bản" }),
    };
    match (verb, noun) {
        ("list", "activities") => call(world, Role::FrontOfficer, 200, "/v1/activities".into(), None, None),
        ("search", _) => {
            let query = json!({ "query": activity_content()["title"] });
            call(world, Role::FrontOfficer, 200, "/v1/activities:search".into(), None, Some(query))
        }
        ("list", _) => call(world, Role::FrontOfficer, 404, format!("{path}/events"), None, None),
        ("get", _) => call(world, Role::FrontOfficer, 404, path, None, None),
        ("report", _) => call(world, Role::FrontOfficer, 404, "/v1/activities".into(), None, Some(body)),
        ("submit", _) => call(world, Role::UnitHead, 404, format!("{path}:submit"), Some(record.etag()), None),
        ("accept", _) => call(world, Role::CommuneCommittee, 404, format!("{path}:accept"), Some(record.etag()), None),
        _ => call(world, Role::CommuneCommittee, 404, format!("{path}:{verb}"), Some(record.etag()), Some(body)),
    }
}

async fn initiative(world: &World, verb: &str, noun: &str) -> Case {
    let decision =
        json!({ "recognised_by": world.units.commune_a, "decision_number": "1/QĐ", "decided_on": "2023-04-01" });
    let submit = ("submit", Role::UnitReporter, json!({}));
    let recognise = ("recognise", Role::HomeAffairs, decision.clone());
    let steps = match verb {
        "recognise" | "refuse" => vec![submit],
        "revoke" => vec![submit, recognise],
        _ => vec![],
    };
    let record = made(world, "initiatives", initiative_content(), &steps).await;
    let path = format!("/v1/initiatives/{}", record.id());
    let etag = Some(record.etag());
    let reason = json!({ "reason": "Nhập nhầm bản" });
    let draft = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "content": initiative_content() });
    let amendment = json!({ "content": with(initiative_content(), "proposed_on", json!("2023-03-16")) });
    match (verb, noun) {
        ("list", "initiatives") => call(world, Role::FrontOfficer, 200, "/v1/initiatives".into(), None, None),
        ("search", _) => {
            let query = json!({ "query": initiative_content()["title"] });
            call(world, Role::FrontOfficer, 200, "/v1/initiatives:search".into(), None, Some(query))
        }
        ("list", _) => call(world, Role::FrontOfficer, 404, format!("{path}/events"), None, None),
        ("get", _) => call(world, Role::FrontOfficer, 404, path, None, None),
        ("propose", _) => call(world, Role::FrontOfficer, 404, "/v1/initiatives".into(), None, Some(draft)),
        ("amend", _) => call(world, Role::UnitHead, 404, format!("{path}:amend"), etag, Some(amendment)),
        ("submit", _) => call(world, Role::UnitHead, 404, format!("{path}:submit"), etag, None),
        ("withdraw", _) => call(world, Role::UnitHead, 404, format!("{path}:withdraw"), etag, Some(reason)),
        ("recognise", _) => call(world, Role::HomeAffairs, 404, format!("{path}:recognise"), etag, Some(decision)),
        _ => call(world, Role::HomeAffairs, 404, format!("{path}:{verb}"), etag, Some(reason)),
    }
}
