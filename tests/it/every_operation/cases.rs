//! One right call an operation.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use super::{Case, Elsewhere, audited};
use crate::support::{ISSUER, World, campaign};

/// The call of this operation that succeeds; what it needs is made beforehand.
pub async fn case(world: &World, id: &str) -> Option<Case> {
    let units = &world.units;
    let administered = |path: String, etag: Option<String>, body: Value| Case {
        role: Role::Administrator,
        unit: None,
        elsewhere: None,
        path,
        etag,
        body: Some(body),
    };
    let administered_read = |path: String| Case { body: None, ..administered(path, None, Value::Null) };
    let village = json!({ "names": [{ "value": "Bản Mới", "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
    Some(match id {
        "list_units" => audited("/v1/units"),
        "search_units" => searched("units", json!({ "query": "ban", "as_of": "2025-12-31", "limit": 1 })),
        "resolve_unit" => audited("/v1/units:resolve?code=03682"),
        "get_unit" => audited(format!("/v1/units/{}", units.village_a)),
        "list_unit_events" => audited(format!("/v1/units/{}/events", units.village_a)),
        "list_successions" => audited("/v1/successions"),
        "get_succession" => audited(format!("/v1/successions/{}", merger(world).await)),
        "list_succession_events" => audited(format!("/v1/successions/{}/events", merger(world).await)),
        "register_unit" => administered("/v1/units".into(), None, village),
        "amend_unit" => {
            let body = json!({ "unit": village, "reason": "Ghi nhầm tên" });
            administered(format!("/v1/units/{}:amend", units.enterprise), Some("\"1\"".into()), body)
        }
        "record_succession" => {
            let body = json!({ "kind": "abolish", "effective_on": "2027-01-01", "predecessors": [units.front],
                "successors": [], "basis": "Nghị quyết 1/NQ-HĐND" });
            administered("/v1/successions".into(), None, body)
        }
        "annul_succession" => {
            let (id, etag) = abolition(world, &village).await;
            administered(format!("/v1/successions/{id}:annul"), Some(etag), json!({ "reason": "Ghi nhầm đơn vị" }))
        }
        "get_me" => audited("/v1/me"),
        "list_accounts" => audited("/v1/accounts"),
        "search_accounts" => {
            let administrator = world.person(Role::Administrator, None).await;
            let body = json!({ "issuer": ISSUER, "subject": "huong", "label": "Đặng Thị Hường", "role": "auditor" });
            administrator.create("/v1/grants", &body).await.is(201);
            searched("accounts", json!({ "query": "dang thi huong" }))
        }
        "get_account" => audited(format!("/v1/accounts/{}", account(world).await)),
        "list_account_events" => audited(format!("/v1/accounts/{}/events", account(world).await)),
        "list_grants" => audited("/v1/grants"),
        "get_grant" => audited(format!("/v1/grants/{}", grant(world, "get").await.0)),
        "list_grant_events" => audited(format!("/v1/grants/{}/events", grant(world, "history").await.0)),
        "give_grant" => {
            let body = json!({ "issuer": ISSUER, "subject": "given", "role": "auditor" });
            administered("/v1/grants".into(), None, body)
        }
        "end_grant" => {
            let (id, etag) = grant(world, "ended").await;
            administered(format!("/v1/grants/{id}:end"), Some(etag), json!({ "reason": "Chuyển công tác" }))
        }
        "list_revocations" => {
            revocation(world).await;
            administered_read("/v1/revocations".into())
        }
        "get_revocation" => administered_read(format!("/v1/revocations/{}", revocation(world).await)),
        "list_revocation_events" => administered_read(format!("/v1/revocations/{}/events", revocation(world).await)),
        "revoke_tokens" => {
            administered("/v1/revocations".into(), None, json!({ "sid": "phien-mau-3", "reason": "Mất máy tính" }))
        }
        "list_erasures" => {
            erasure(world).await;
            audited("/v1/erasures")
        }
        "get_erasure" => audited(format!("/v1/erasures/{}", erasure(world).await)),
        "list_erasure_events" => audited(format!("/v1/erasures/{}/events", erasure(world).await)),
        "erase_subject" => administered("/v1/erasures".into(), None, erasing(&revocation(world).await)),
        "get_event_disclosures" => {
            let auditor = world.person(Role::Auditor, None).await;
            revocation(world).await;
            let page = auditor.get("/v1/events?type=token.revoked&order=desc&limit=1").await.is(200).json();
            let event = page["items"][0]["id"].as_str().unwrap();
            audited(format!("/v1/events/{event}/disclosures?purpose=audit"))
        }
        "list_events" => audited("/v1/events"),
        "list_findings" => {
            // Its commune ended in 2025.
            world.person(Role::CommuneCommittee, Some(units.commune_a)).await;
            audited("/v1/findings?question=grant_outlives_unit")
        }
        "stream_events" => audited("/v1/events/stream?limit=1"),
        "get_log_entries" => {
            world.db.settle().await.unwrap();
            world.shared.signer.as_ref().unwrap().covering(1).await.unwrap();
            audited("/v1/log/tile/entries/000.p/1")
        }
        "get_event_proof" => {
            let auditor = world.person(Role::Auditor, None).await;
            let page = auditor.get("/v1/events?limit=1").await.is(200).json();
            audited(format!("/v1/events/{}/proof", page["items"][0]["id"].as_str().unwrap()))
        }
        "get_metrics" => audited("/metrics"),
        "list_campaigns" => {
            campaign(world).await;
            audited("/v1/campaigns")
        }
        "search_campaigns" => {
            campaign(world).await;
            searched("campaigns", json!({ "query": "nguoi ngheo" }))
        }
        "get_campaign" => audited(format!("/v1/campaigns/{}", campaign(world).await)),
        "list_campaign_clauses" => audited(format!("/v1/campaigns/{}/clauses", campaign(world).await)),
        "list_campaign_events" => audited(format!("/v1/campaigns/{}/events", campaign(world).await)),
        "compute_recommendations" => Case {
            role: Role::CommuneCommittee,
            unit: Some(units.commune_n),
            elsewhere: Some(Elsewhere { unit: units.front, status: 404 }),
            path: "/v1/recommendations".into(),
            etag: None,
            body: Some(
                json!({ "campaign": campaign(world).await, "round": "final", "scope": { "subjects": [units.village_a] } }),
            ),
        },
        _ => return in_rooms(world, id).await,
    })
}

/// A search by the auditor.
fn searched(resource: &str, body: Value) -> Case {
    Case { body: Some(body), ..audited(format!("/v1/{resource}:search")) }
}

/// The shipped campaign, loaded.
async fn campaign(world: &World) -> Uuid {
    campaign::load(world).await;
    campaign::CAMPAIGN
}

/// The merger that every world has.
async fn merger(world: &World) -> String {
    let auditor = world.person(Role::Auditor, None).await;
    let list = auditor.get("/v1/successions").await.is(200).json();
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

/// A unit of its own, ended by an act.
async fn abolition(world: &World, unit: &Value) -> (String, String) {
    let administrator = world.person(Role::Administrator, None).await;
    let unit = administrator.create("/v1/units", unit).await.is(201).id();
    let act = json!({ "kind": "abolish", "effective_on": "2027-01-01", "predecessors": [unit], "successors": [],
        "basis": "Nghị quyết 1/NQ-HĐND" });
    let made = administrator.create("/v1/successions", &act).await.is(201);
    (made.id(), made.etag())
}

/// The cases that stand beside this file.
async fn in_rooms(world: &World, id: &str) -> Option<Case> {
    if let Some(case) = figures(world, id).await {
        return Some(case);
    }
    if let Some(case) = super::log::case(world, id).await {
        return Some(case);
    }
    if let Some(case) = super::attestations::case(world, id).await {
        return Some(case);
    }
    if let Some(case) = super::declared::case(world, id).await {
        return Some(case);
    }
    if let Some(case) = super::activities::case(world, id).await {
        return Some(case);
    }
    super::nominations::case(world, id).await
}

async fn account(world: &World) -> Uuid {
    world.person(Role::UnitReporter, Some(world.units.village_a)).await.account
}

async fn grant(world: &World, subject: &str) -> (String, String) {
    let administrator = world.person(Role::Administrator, None).await;
    let body = json!({ "issuer": ISSUER, "subject": subject, "role": "auditor" });
    let given = administrator.create("/v1/grants", &body).await.is(201);
    (given.id(), given.etag())
}

async fn revocation(world: &World) -> String {
    let administrator = world.person(Role::Administrator, None).await;
    let body = json!({ "sid": "phien-mau", "reason": "Mất máy tính" });
    administrator.create("/v1/revocations", &body).await.is(201).id()
}

/// What asks to erase the reason of a revocation.
fn erasing(revocation: &str) -> Value {
    json!({ "subject": { "type": "revocation", "id": revocation }, "legal_basis": "purpose_ended", "reason": "Đã xử lý xong" })
}

async fn erasure(world: &World) -> String {
    let administrator = world.person(Role::Administrator, None).await;
    let body = erasing(&revocation(world).await);
    administrator.create("/v1/erasures", &body).await.is(201).id()
}

/// A figure of village A or its commune, each year once.
async fn figure(world: &World, unit: Uuid, year: i32, confirmed: bool) -> (String, String) {
    figure_under(world, "2022-2025", unit, year, confirmed).await
}

pub async fn figure_under(
    world: &World,
    poverty_standard: &str,
    unit: Uuid,
    year: i32,
    confirmed: bool,
) -> (String, String) {
    let reporter = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
    let body = json!({ "unit": unit, "year": year, "poverty_standard": poverty_standard,
        "counts": { "poor_households": 1, "recognised_by": world.units.commune_a, "decision_number": "15/QĐ-UBND" } });
    let made = reporter.create("/v1/figures", &body).await.is(201);
    if !confirmed {
        return (made.id(), made.etag());
    }
    let officer = world.person(Role::LabourOffice, Some(world.units.province)).await;
    let path = format!("/v1/figures/{}:confirm", made.id());
    (made.id(), officer.change(&path, &made.etag(), &json!({})).await.is(200).etag())
}

async fn figures(world: &World, id: &str) -> Option<Case> {
    let units = &world.units;
    let elsewhere = |status| Some(Elsewhere { unit: units.commune_b, status });
    let committee = |path: String, status, etag, body| Case {
        role: Role::CommuneCommittee,
        unit: Some(units.commune_a),
        elsewhere: elsewhere(status),
        path,
        etag,
        body,
    };
    let officer = |path: String, etag: String, body| Case {
        role: Role::LabourOffice,
        unit: Some(units.commune_a),
        elsewhere: elsewhere(404),
        path,
        etag: Some(etag),
        body,
    };
    let counts = json!({ "poor_households": 2, "recognised_by": units.commune_a, "decision_number": "15/QĐ-UBND" });
    Some(match id {
        "list_figures" => {
            figure(world, units.village_a, 2021, false).await;
            committee("/v1/figures".into(), 200, None, None)
        }
        "total_figures" => {
            figure_under(world, "2016-2020", units.village_a, 2021, true).await;
            let query = format!("unit={}&year=2021&poverty_standard=2016-2020", units.village_a);
            committee(format!("/v1/figures:total?{query}"), 404, None, None)
        }
        "get_figure" => {
            committee(format!("/v1/figures/{}", figure(world, units.village_a, 2022, false).await.0), 404, None, None)
        }
        "list_figure_events" => committee(
            format!("/v1/figures/{}/events", figure(world, units.village_a, 2023, false).await.0),
            404,
            None,
            None,
        ),
        "report_figure" => {
            let body =
                json!({ "unit": units.village_a, "year": 2024, "poverty_standard": "2022-2025", "counts": counts });
            committee("/v1/figures".into(), 404, None, Some(body))
        }
        "amend_figure" => {
            let (id, etag) = figure(world, units.commune_a, 2021, false).await;
            committee(format!("/v1/figures/{id}:amend"), 404, Some(etag), Some(json!({ "counts": counts })))
        }
        "withdraw_figure" => {
            let (id, etag) = figure(world, units.commune_a, 2024, false).await;
            committee(
                format!("/v1/figures/{id}:withdraw"),
                404,
                Some(etag),
                Some(json!({ "reason": "Báo cáo nhầm năm" })),
            )
        }
        "confirm_figure" => {
            let (id, etag) = figure(world, units.commune_a, 2022, false).await;
            officer(format!("/v1/figures/{id}:confirm"), etag, None)
        }
        "correct_figure" => {
            let (id, etag) = figure(world, units.commune_a, 2023, true).await;
            officer(
                format!("/v1/figures/{id}:correct"),
                etag,
                Some(json!({ "counts": counts, "reason": "Rà soát lại" })),
            )
        }
        _ => return None,
    })
}
