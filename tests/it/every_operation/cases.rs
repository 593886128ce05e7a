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
    let village = json!({ "names": [{ "value": "Bản", "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
    Some(match id {
        "list_units" => audited("/v1/units"),
        "resolve_unit" => audited("/v1/units:resolve?code=03682"),
        "get_unit" => audited(format!("/v1/units/{}", units.village_a)),
        "list_unit_events" => audited(format!("/v1/units/{}/events", units.village_a)),
        "list_successions" => audited("/v1/successions"),
        "get_succession" => audited(format!("/v1/successions/{}", merger(world).await)),
        "list_succession_events" => audited(format!("/v1/successions/{}/events", merger(world).await)),
        "register_unit" => administered("/v1/units".into(), None, village),
        "amend_unit" => {
            let body = json!({ "unit": village, "reason": "Thử" });
            administered(format!("/v1/units/{}:amend", units.enterprise), Some("\"1\"".into()), body)
        }
        "record_succession" => {
            let body = json!({ "kind": "abolish", "effective_on": "2027-01-01", "predecessors": [units.front],
                "successors": [], "basis": "Thử" });
            administered("/v1/successions".into(), None, body)
        }
        "get_me" => audited("/v1/me"),
        "list_accounts" => audited("/v1/accounts"),
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
            administered(format!("/v1/grants/{id}:end"), Some(etag), json!({ "reason": "Thử" }))
        }
        "list_events" => audited("/v1/events"),
        "get_metrics" => audited("/metrics"),
        "list_campaigns" => audited("/v1/campaigns"),
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
                json!({ "campaign": campaign(world).await, "round": "final", "scope": { "unit": units.commune_n } }),
            ),
        },
        _ => return in_rooms(world, id).await,
    })
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

/// The cases that stand beside this file.
async fn in_rooms(world: &World, id: &str) -> Option<Case> {
    if let Some(case) = figures(world, id).await {
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

/// A figure of village A, each year once.
async fn figure(world: &World, year: i32, confirmed: bool) -> (String, String) {
    let reporter = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
    let body = json!({ "unit": world.units.village_a, "year": year, "poverty_standard": "2022-2025",
        "counts": { "poor_households": 1 } });
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
    let counts = json!({ "poor_households": 2 });
    Some(match id {
        "list_figures" => {
            figure(world, 2016, false).await;
            committee("/v1/figures".into(), 200, None, None)
        }
        "total_figures" => {
            let query = format!("unit={}&year=2021&poverty_standard=2022-2025", units.village_a);
            committee(format!("/v1/figures:total?{query}"), 404, None, None)
        }
        "get_figure" => committee(format!("/v1/figures/{}", figure(world, 2017, false).await.0), 404, None, None),
        "list_figure_events" => {
            committee(format!("/v1/figures/{}/events", figure(world, 2018, false).await.0), 404, None, None)
        }
        "report_figure" => {
            let body =
                json!({ "unit": units.village_a, "year": 2019, "poverty_standard": "2022-2025", "counts": counts });
            committee("/v1/figures".into(), 404, None, Some(body))
        }
        "amend_figure" => {
            let (id, etag) = figure(world, 2020, false).await;
            committee(format!("/v1/figures/{id}:amend"), 404, Some(etag), Some(json!({ "counts": counts })))
        }
        "confirm_figure" => {
            let (id, etag) = figure(world, 2021, false).await;
            officer(format!("/v1/figures/{id}:confirm"), etag, None)
        }
        "correct_figure" => {
            let (id, etag) = figure(world, 2022, true).await;
            officer(format!("/v1/figures/{id}:correct"), etag, Some(json!({ "counts": counts, "reason": "Thử" })))
        }
        _ => return None,
    })
}
