//! One right call an operation on attestations: commune A answers about its village, commune B may not.

use serde_json::{Value, json};
use thidua::auth::Role;

use super::{Case, Elsewhere};
use crate::support::World;
use crate::support::campaign::{CAMPAIGN, load};

/// The call of this operation that succeeds; what it needs is made beforehand.
pub async fn case(world: &World, id: &str) -> Option<Case> {
    let units = &world.units;
    let head = |path: String, status, etag, body| Case {
        role: Role::UnitHead,
        unit: Some(units.commune_a),
        elsewhere: Some(Elsewhere { unit: units.commune_b, status }),
        path,
        etag,
        body,
    };
    Some(match id {
        "list_attestations" => {
            answered(world, "mid", "A231stable").await;
            head("/v1/attestations".into(), 200, None, None)
        }
        "get_attestation_state" => {
            answered(world, "mid", "A231stable").await;
            let query = format!("campaign={CAMPAIGN}&round=mid&unit={}&statement=A231stable", units.village_a);
            head(format!("/v1/attestations:state?{query}"), 404, None, None)
        }
        "get_attestation" => {
            let (id, _) = answered(world, "mid", "A231stable").await;
            head(format!("/v1/attestations/{id}"), 404, None, None)
        }
        "list_attestation_events" => {
            let (id, _) = answered(world, "mid", "A233eff").await;
            head(format!("/v1/attestations/{id}/events"), 404, None, None)
        }
        "attest" => {
            load(world).await;
            head("/v1/attestations".into(), 403, None, Some(draft(world, "final", "A231stable")))
        }
        "revoke_attestation" => {
            let (id, etag) = answered(world, "final", "A233eff").await;
            head(
                format!("/v1/attestations/{id}:revoke"),
                404,
                Some(etag),
                Some(json!({ "reason": "Xác nhận nhầm bản" })),
            )
        }
        _ => return None,
    })
}

fn draft(world: &World, round: &str, statement: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "round": round, "unit": world.units.village_a, "statement": statement,
        "answer": "yes", "attested_on": "2023-12-20", "evidence": [{ "kind": "list" }] })
}

/// The answer of commune A, given once.
async fn answered(world: &World, round: &str, statement: &str) -> (String, String) {
    load(world).await;
    let head = world.person(Role::UnitHead, Some(world.units.commune_a)).await;
    let made = head.create("/v1/attestations", &draft(world, round, statement)).await;
    let made = match made.json()["attestation"].as_str() {
        Some(standing) => head.get(&format!("/v1/attestations/{standing}")).await.is(200),
        None => made.is(201),
    };
    (made.id(), made.etag())
}
