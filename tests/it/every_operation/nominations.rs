//! One right call an operation on nominations: commune A nominates its village, commune B may not.

use serde_json::{Value, json};
use thidua::auth::Role;

use super::{Case, Elsewhere};
use crate::support::campaign::{CAMPAIGN, load};
use crate::support::{Answer, Person, World};

/// The call of this operation that succeeds; what it needs is made beforehand.
pub async fn case(world: &World, id: &str) -> Option<Case> {
    let units = &world.units;
    let at = |role, path: String, status, etag, body| Case {
        role,
        unit: Some(units.commune_a),
        elsewhere: Some(Elsewhere { unit: units.commune_b, status }),
        path,
        etag,
        body,
    };
    let head = |path, status, etag, body| at(Role::UnitHead, path, status, etag, body);
    let step = |role, made: Answer, verb: &str, body| {
        at(role, format!("/v1/nominations/{}:{verb}", made.id()), 404, Some(made.etag()), body)
    };
    let reason = Some(json!({ "reason": "Chưa đủ thành tích" }));
    Some(match id {
        "list_nominations" => {
            filed(world).await;
            head("/v1/nominations".into(), 200, None, None)
        }
        "get_nomination" => head(format!("/v1/nominations/{}", filed(world).await.id()), 404, None, None),
        "list_nomination_events" => {
            head(format!("/v1/nominations/{}/events", filed(world).await.id()), 404, None, None)
        }
        "file_nomination" => {
            withdrawn(world, filed(world).await).await;
            head("/v1/nominations".into(), 404, None, Some(draft(world)))
        }
        "amend_nomination" => {
            let body = json!({ "achievement": "Giúp 13 hộ" });
            step(Role::UnitHead, filed(world).await, "amend", Some(body))
        }
        "submit_nomination" => step(Role::UnitHead, filed(world).await, "submit", None),
        "return_nomination" => step(Role::HomeAffairs, submitted(world).await, "return", reason),
        "withdraw_nomination" => step(Role::UnitHead, filed(world).await, "withdraw", reason),
        _ => return None,
    })
}

fn draft(world: &World) -> Value {
    json!({ "campaign": CAMPAIGN, "round": "mid", "unit": world.units.village_a, "award_form": "giay_khen_huyen",
        "nominator_unit": world.units.commune_a, "filed_on": "2023-12-25", "achievement": "Giúp 12 hộ" })
}

async fn head(world: &World) -> Person<'_> {
    world.person(Role::UnitHead, Some(world.units.commune_a)).await
}

/// The one nomination that stands; whatever stood before is withdrawn.
async fn filed(world: &World) -> Answer {
    load(world).await;
    let head = head(world).await;
    let standing = head.get("/v1/nominations").await.is(200).json();
    for item in standing["items"].as_array().unwrap().iter().filter(|item| item["state"] != "withdrawn") {
        let path = format!("/v1/nominations/{}", item["id"].as_str().unwrap());
        withdrawn(world, head.get(&path).await.is(200)).await;
    }
    head.create("/v1/nominations", &draft(world)).await.is(201)
}

async fn submitted(world: &World) -> Answer {
    let made = filed(world).await;
    let path = format!("/v1/nominations/{}:submit", made.id());
    head(world).await.change(&path, &made.etag(), &json!({})).await.is(200)
}

async fn withdrawn(world: &World, made: Answer) {
    let path = format!("/v1/nominations/{}:withdraw", made.id());
    head(world).await.change(&path, &made.etag(), &json!({ "reason": "Chưa đủ thành tích" })).await.is(200);
}
