//! One right call an operation: exports, and records as the log has them.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use super::cases::figure_under;
use super::{Case, Elsewhere, audited};
use crate::support::World;

pub async fn case(world: &World, id: &str) -> Option<Case> {
    let village = world.units.village_a;
    let of_village = |format: &str| json!({ "format": format, "purpose": "statistics", "record": village });
    Some(match id {
        "list_exports" => {
            export(world, &end(world).await).await;
            audited("/v1/exports")
        }
        "get_export" => audited(format!("/v1/exports/{}", export(world, &end(world).await).await)),
        "list_export_events" => audited(format!("/v1/exports/{}/events", export(world, &end(world).await).await)),
        "request_export" => Case { body: Some(end(world).await), ..audited("/v1/exports") },
        "get_export_content" => audited(format!("/v1/exports/{}/content", export(world, &end(world).await).await)),
        "get_export_content text/csv" => {
            audited(format!("/v1/exports/{}/content", export(world, &of_village("csv")).await))
        }
        "get_export_content application/cloudevents-batch+json" => {
            audited(format!("/v1/exports/{}/content", export(world, &of_village("cloudevents")).await))
        }
        "get_export_manifest" => audited(format!("/v1/exports/{}/manifest", export(world, &end(world).await).await)),
        "get_log_record" => {
            let figure = figure_under(world, "2016-2020", world.units.commune_a, 2021, false).await.0;
            let elsewhere = Some(Elsewhere { unit: world.units.commune_b, status: 404 });
            let path = format!("/v1/log/records/{figure}");
            Case { role: Role::CommuneCommittee, unit: Some(world.units.commune_a), elsewhere, ..audited(path) }
        }
        "get_log_record_state" => audited(format!("/v1/log/records/{village}/state?as_of=2999-12-31T00:00:00Z")),
        "get_log_record_diff" | "get_log_record_diff application/json-patch+json" => {
            audited(format!("/v1/log/records/{village}/diff?from=0"))
        }
        _ => return None,
    })
}

/// The last two events.
async fn end(world: &World) -> Value {
    let auditor = world.person(Role::Auditor, None).await;
    let size = auditor.get("/v1/events?limit=1").await.is(200).json()["size"].as_i64().unwrap();
    json!({ "format": "ndjson", "purpose": "audit", "from": size - 2 })
}

async fn export(world: &World, draft: &Value) -> Uuid {
    let auditor = world.person(Role::Auditor, None).await;
    auditor.create("/v1/exports", draft).await.is(201).id().parse().unwrap()
}
