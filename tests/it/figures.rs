//! Figures: reported, amended, confirmed by somebody else, corrected; summed over villages and
//! predecessors; seen inside one's subtrees only.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::support::Person;

fn figure(unit: Uuid, year: i32, poor: i64, near_poor: Option<i64>) -> Value {
    json!({ "unit": unit, "year": year, "poverty_standard": "2022-2025",
        "counts": { "poor_households": poor, "near_poor_households": near_poor, "decision_number": "15/QĐ-UBND",
            "note": "Ghi chú của bà Lò Thị Ở" } })
}

async fn confirmed(reporter: &Person<'_>, officer: &Person<'_>, body: &Value) {
    let made = reporter.create("/v1/figures", body).await.is(201);
    officer.change(&format!("/v1/figures/{}:confirm", made.id()), &made.etag(), &json!({})).await.is(200);
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

both_engines! {
    async fn a_figure_is_reported_amended_confirmed_and_corrected(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let made = reporter.create("/v1/figures", &figure(world.units.village_a, 2023, 40, None)).await.is(201);
        assert_eq!(made.json()["allowed_actions"], json!(["amend"]));
        let path = made.header("location").unwrap().to_owned();
        let amended = json!({ "counts": { "poor_households": 41, "near_poor_households": 20 } });
        let amended = reporter.change(&format!("{path}:amend"), &made.etag(), &amended).await.is(200);
        reporter.change(&format!("{path}:confirm"), &amended.etag(), &json!({})).await.problem(403, "forbidden");
        let seen = officer.get(&path).await.is(200);
        assert_eq!(seen.json()["allowed_actions"], json!(["confirm"]));
        officer.change(&format!("{path}:confirm"), &made.etag(), &json!({})).await.problem(412, "precondition_failed");
        let confirmed = officer.change(&format!("{path}:confirm"), &seen.etag(), &json!({})).await.is(200);
        assert_eq!((&confirmed.json()["state"], &confirmed.json()["allowed_actions"]), (&json!("confirmed"), &json!(["correct"])));

        let locked = json!({ "counts": { "poor_households": 1 } });
        let refused = reporter.change(&format!("{path}:amend"), &confirmed.etag(), &locked).await;
        assert_eq!(refused.problem(409, "invalid_transition").json()["allowed_actions"], json!([]));
        let correction = json!({ "counts": { "poor_households": 39, "near_poor_households": 20 }, "reason": "Rà soát lại" });
        let corrected = officer.change(&format!("{path}:correct"), &confirmed.etag(), &correction).await.is(200);
        assert_eq!(corrected.json()["counts"]["poor_households"], 39);

        let history = officer.get(&format!("{path}/events")).await.is(200);
        let events = history.json();
        let types: Vec<&str> = events["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["figure.reported", "figure.amended", "figure.confirmed", "figure.corrected"]);
        assert_eq!(events["items"][3]["changes"]["poor_households"], json!([41, 39]));
        for outside in ["Lò Thị Ở", "Rà soát lại"] {
            assert!(!history.text.contains(outside), "{outside} stands in an event");
        }
    }

    async fn whoever_reports_cannot_confirm(world: World) {
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        // The same account is also a reporter.
        let both = thidua::grants::GrantDraft {
            issuer: crate::support::ISSUER.into(),
            subject: format!("labour_office-{}", world.units.district),
            label: None,
            role: Role::UnitReporter,
            unit: Some(world.units.village_a),
            valid_from: None,
            valid_to: None,
        };
        thidua::commands::grant::give(&world.db, &both).await.unwrap();
        let made = officer.create("/v1/figures", &figure(world.units.village_a, 2023, 40, Some(20))).await.is(201);
        assert_eq!(made.json()["allowed_actions"], json!(["amend"]));
        let path = format!("/v1/figures/{}:confirm", made.id());
        officer.change(&path, &made.etag(), &json!({})).await.problem(403, "separation_of_duties");
    }

    async fn what_cannot_be_is_refused_with_a_pointer(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.district)).await;
        let pointer = |answer: crate::support::http::Answer| answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
        let mut body = figure(world.units.village_a, 2023, -1, None);
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/counts/poor_households");
        body = figure(world.units.village_a, 1999, 1, None);
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/year");
        body = figure(world.units.village_a, 2023, 1, None);
        body["counts"] = json!({});
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/counts");
        body["counts"] = json!({ "poor_households": 1, "decided_on": "2023-02-30" });
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(400, "wrong_type")), "/counts/decided_on");
        body["counts"] = json!({ "poor_households": 1.5 });
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(400, "wrong_type")), "/counts/poor_households");
        body = figure(world.units.home_affairs, 2023, 1, None);
        assert_eq!(pointer(reporter.create("/v1/figures", &body).await.problem(422, "invalid_value")), "/unit");
        reporter.create("/v1/figures", &figure(Uuid::nil(), 2023, 1, None)).await.problem(404, "not_found");
        let once = figure(world.units.village_a, 2023, 1, None);
        reporter.create("/v1/figures", &once).await.is(201);
        reporter.create("/v1/figures", &once).await.problem(409, "already_exists");
    }

    async fn figures_are_seen_inside_one_s_subtrees_and_by_succession(world: World) {
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.district)).await;
        let a = reporter.create("/v1/figures", &figure(units.village_a, 2023, 40, Some(20))).await.is(201).id();
        let b = reporter.create("/v1/figures", &figure(units.village_b, 2023, 30, Some(10))).await.is(201).id();
        for (unit, sees) in [
            (units.village_a, vec![&a]),
            (units.commune_a, vec![&a]),
            (units.commune_b, vec![&b]),
            (units.commune_n, vec![&a, &b]),
            (units.province, vec![&a, &b]),
            (units.front, vec![]),
        ] {
            let committee = world.person(Role::CommuneCommittee, Some(unit)).await;
            assert_eq!(ids(&committee.get("/v1/figures").await.is(200).json()), sees, "{unit}");
            for id in [&a, &b] {
                let expected = if sees.contains(&id) { 200 } else { 404 };
                committee.get(&format!("/v1/figures/{id}")).await.is(expected);
                committee.get(&format!("/v1/figures/{id}/events")).await.is(expected);
            }
        }
        let auditor = world.person(Role::Auditor, None).await;
        assert_eq!(ids(&auditor.get("/v1/figures").await.json()), [&a, &b]);
        assert_eq!(ids(&auditor.get(&format!("/v1/figures?unit={}", units.village_b)).await.json()), [&b]);
        assert_eq!(ids(&auditor.get("/v1/figures?year=2022").await.json()), Vec::<&str>::new());
        assert_eq!(ids(&auditor.get("/v1/figures?state=confirmed").await.json()), Vec::<&str>::new());
        crate::support::campaign::load(world).await;
        let of_round = |round: &str| format!("/v1/figures?campaign={}&round={round}", crate::support::campaign::CAMPAIGN);
        let early = reporter.create("/v1/figures", &figure(units.village_a, 2024, 35, None)).await.is(201).id();
        assert_eq!(ids(&auditor.get(&of_round("mid")).await.is(200).json()), [&a, &b]);
        assert_eq!(ids(&auditor.get(&of_round("final")).await.is(200).json()), [&a, &b, &early]);
        auditor.get("/v1/figures?round=mid").await.problem(400, "invalid_query");
        // What changed since a position: the second figure only.
        let events = auditor.get("/v1/events?type=figure.reported").await.json();
        let second = events["items"][1]["position"].as_i64().unwrap();
        assert_eq!(ids(&auditor.get(&format!("/v1/figures?changed_since={second}")).await.json()), [&b, &early]);
    }

    async fn a_successor_sums_its_predecessors_and_a_commune_is_compared_with_its_villages(world: World) {
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.province)).await;
        let officer = world.person(Role::LabourOffice, Some(units.province)).await;
        confirmed(&reporter, &officer, &figure(units.village_a, 2021, 40, Some(20))).await;
        confirmed(&reporter, &officer, &figure(units.commune_b, 2021, 30, Some(10))).await;
        let total = async |unit: Uuid, year: i32| {
            let path = format!("/v1/figures:total?unit={unit}&year={year}&poverty_standard=2022-2025");
            officer.get(&path).await.is(200).json()
        };
        let of_n = total(units.commune_n, 2021).await;
        assert_eq!(of_n["poor_households"]["households"], 70, "village A's and commune B's: {of_n}");
        assert_eq!(of_n["near_poor_households"]["basis"].as_array().unwrap().len(), 2);
        assert_eq!(total(units.commune_n, 2022).await["poor_households"]["status"], "missing");
        confirmed(&reporter, &officer, &figure(units.commune_a, 2021, 41, Some(20))).await;
        let of_a = total(units.commune_a, 2021).await;
        assert_eq!(of_a["poor_households"]["status"], "disputed");
        assert_eq!((&of_a["poor_households"]["own"], &of_a["poor_households"]["villages"]), (&json!(41), &json!(40)));
        assert_eq!(of_a["near_poor_households"]["households"], 20);
        assert_eq!(total(units.commune_n, 2021).await["poor_households"]["status"], "disputed");
        let outsider = world.person(Role::UnitReporter, Some(units.village_b)).await;
        outsider.get(&format!("/v1/figures:total?unit={}&year=2021&poverty_standard=2022-2025", units.commune_a)).await.problem(404, "not_found");
    }
}
