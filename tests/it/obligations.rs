//! Obligations: imposed, amended, fulfilled on their civil date, entered later with receipt and evidence, corrected,
//! cancelled.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::campaign::{self, CAMPAIGN};
use crate::support::http::Answer;

fn terms(due_on: &str) -> Value {
    json!({ "kind": "periodic_report", "title": "Báo cáo của bà Lò Thị Ở", "document_number": "120/UBND-NV", "due_on": due_on })
}

fn obligation(unit: Uuid, due_on: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "unit": unit, "terms": terms(due_on) })
}

fn fulfilment(fulfilled_on: &str, received_on: &str) -> Value {
    json!({ "fulfilled_on": fulfilled_on, "received_on": received_on,
        "evidence": [{ "kind": "document", "number": "15/BC-UBND" }] })
}

fn pointers(answer: Answer) -> Vec<String> {
    let body = answer.problem(422, "invalid_value").json();
    body["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap().to_owned()).collect()
}

both_engines! {
    async fn an_obligation_is_imposed_amended_fulfilled_and_corrected(world: World) {
        campaign::load(world).await;
        let office = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        let reporter = world.person(Role::UnitReporter, Some(world.units.commune_a)).await;
        let made = office.create("/v1/obligations", &obligation(world.units.commune_a, "2023-12-01")).await.is(201);
        assert_eq!((&made.json()["on_time"], &made.json()["state"]), (&json!(false), &json!("open")), "overdue by now");
        assert_eq!(made.json()["allowed_actions"], json!(["amend", "fulfil", "cancel"]));
        let path = made.header("location").unwrap().to_owned();
        assert_eq!(reporter.get(&path).await.is(200).json()["allowed_actions"], json!([]));
        let amended = json!({ "terms": terms("2023-12-15") });
        reporter.change(&format!("{path}:amend"), &made.etag(), &amended).await.problem(403, "forbidden");
        let amended = office.change(&format!("{path}:amend"), &made.etag(), &amended).await.is(200);
        let done = json!({ "fulfilment": fulfilment("2023-12-15", "2023-12-18") });
        office.change(&format!("{path}:fulfil"), &made.etag(), &done).await.problem(412, "precondition_failed");
        let fulfilled = office.change(&format!("{path}:fulfil"), &amended.etag(), &done).await.is(200);
        let view = fulfilled.json();
        assert_eq!((&view["on_time"], &view["entered_later"]), (&json!(true), &json!(true)));
        assert_eq!(view["allowed_actions"], json!(["correct"]));
        let refused = office.change(&format!("{path}:cancel"), &fulfilled.etag(), &json!({ "reason": "Thừa" })).await;
        assert_eq!(refused.problem(409, "invalid_transition").json()["allowed_actions"], json!(["correct"]));
        let correction = json!({ "terms": terms("2023-12-15"), "fulfilment": fulfilment("2023-12-16", "2023-12-18"), "reason": "Ghi nhầm ngày" });
        let corrected = office.change(&format!("{path}:correct"), &fulfilled.etag(), &correction).await.is(200);
        assert_eq!(corrected.json()["on_time"], false);

        let history = reporter.get(&format!("{path}/events")).await.is(200);
        let types: Vec<String> = history.json()["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(types, ["obligation.imposed", "obligation.amended", "obligation.fulfilled", "obligation.corrected"]);
        for outside in ["Lò Thị Ở", "Ghi nhầm ngày"] {
            assert!(!history.text.contains(outside), "{outside} stands in an event");
        }
        assert_eq!(history.json()["items"][3]["changes"]["fulfilled_on"], json!(["2023-12-15", "2023-12-16"]));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_is_done_today_needs_no_receipt_and_what_is_not_owed_is_cancelled(world: World) {
        campaign::load(world).await;
        let office = world.person(Role::LabourOffice, Some(world.units.province)).await;
        let today = thidua::clock::civil_date(thidua::clock::now()).to_string();
        let made = office.create("/v1/obligations", &obligation(world.units.commune_n, &today)).await.is(201);
        assert_eq!(made.json()["on_time"], json!(null), "it may still be done today");
        let path = made.header("location").unwrap().to_owned();
        let done = office.change(&format!("{path}:fulfil"), &made.etag(), &json!({ "fulfilment": { "fulfilled_on": today } })).await.is(200);
        assert_eq!((&done.json()["on_time"], &done.json()["entered_later"]), (&json!(true), &json!(false)));

        let other = office.create("/v1/obligations", &obligation(world.units.commune_n, "2025-12-01")).await.is(201);
        let path = other.header("location").unwrap().to_owned();
        let cancelled = office.change(&format!("{path}:cancel"), &other.etag(), &json!({ "reason": "Không yêu cầu nữa" })).await.is(200);
        assert_eq!((&cancelled.json()["on_time"], &cancelled.json()["allowed_actions"]), (&json!(null), &json!([])));
        office.change(&format!("{path}:fulfil"), &cancelled.etag(), &json!({ "fulfilment": { "fulfilled_on": today } })).await.problem(409, "invalid_transition");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_cannot_be_is_refused_with_a_pointer(world: World) {
        campaign::load(world).await;
        let office = world.person(Role::HomeAffairs, Some(world.units.province)).await;
        let unit = world.units.commune_a;
        let mut body = obligation(unit, "2020-12-31");
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/terms/due_on"]);
        // It ended on 30 June 2025; its successor began then.
        body = obligation(unit, "2026-06-01");
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/terms/due_on"]);
        body = obligation(unit, "2025-07-01");
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/terms/due_on"]);
        body = obligation(world.units.commune_n, "2025-06-30");
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/terms/due_on"]);
        let last = office.create("/v1/obligations", &obligation(unit, "2025-06-30")).await.is(201);
        let later = json!({ "terms": terms("2025-07-01") });
        let refused = office.change(&format!("/v1/obligations/{}:amend", last.id()), &last.etag(), &later).await;
        assert_eq!(pointers(refused), ["/terms/due_on"]);
        body = obligation(unit, "2023-12-15");
        body["campaign"] = json!(Uuid::nil());
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/campaign"]);
        body = obligation(unit, "2023-12-15");
        body["terms"]["title"] = json!(null);
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/terms/title"]);
        body["terms"]["title"] = json!("");
        assert_eq!(pointers(office.create("/v1/obligations", &body).await), ["/terms/title"]);
        body["terms"]["kind"] = json!("favour");
        office.create("/v1/obligations", &body).await.problem(400, "wrong_type");
        office.create("/v1/obligations", &obligation(Uuid::nil(), "2023-12-15")).await.problem(404, "not_found");
        let made = office.create("/v1/obligations", &obligation(unit, "2023-12-15")).await.is(201);
        let path = format!("/v1/obligations/{}:fulfil", made.id());
        for (fulfilment, expected) in [
            (json!({ "fulfilled_on": "2999-01-01" }), vec!["/fulfilment/fulfilled_on"]),
            (json!({ "fulfilled_on": "2023-12-14" }), vec!["/fulfilment/received_on", "/fulfilment/evidence"]),
            (fulfilment("2023-12-14", "2023-12-13"), vec!["/fulfilment/received_on"]),
        ] {
            assert_eq!(pointers(office.change(&path, &made.etag(), &json!({ "fulfilment": fulfilment })).await), expected);
        }
    }

    async fn obligations_are_seen_inside_one_s_subtrees_and_listed(world: World) {
        campaign::load(world).await;
        let units = world.units;
        let office = world.person(Role::HomeAffairs, Some(units.district)).await;
        let a = office.create("/v1/obligations", &obligation(units.commune_a, "2022-12-15")).await.is(201).id();
        let b = office.create("/v1/obligations", &obligation(units.commune_b, "2023-12-15")).await.is(201).id();
        for (unit, sees) in [(units.commune_a, vec![&a]), (units.commune_n, vec![&a, &b]), (units.front, vec![])] {
            let committee = world.person(Role::CommuneCommittee, Some(unit)).await;
            let page = committee.get("/v1/obligations").await.is(200).json();
            let ids: Vec<&str> = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
            assert_eq!(ids, sees, "{unit}");
            for id in [&a, &b] {
                committee.get(&format!("/v1/obligations/{id}")).await.is(if sees.contains(&id) { 200 } else { 404 });
            }
        }
        let count = async |query: &str| {
            office.get(&format!("/v1/obligations?{query}")).await.is(200).json()["items"].as_array().unwrap().len()
        };
        assert_eq!(count(&format!("campaign={CAMPAIGN}&kind=periodic_report&state=open")).await, 2);
        assert_eq!(count(&format!("unit={}", units.commune_a)).await, 1);
        assert_eq!(count("year=2023").await, 1);
        assert_eq!(count("kind=settlement").await, 0);
        assert_eq!(count("changed_since=100000").await, 0);
        office.get("/v1/obligations?colour=red").await.problem(400, "invalid_query");
        let elsewhere = world.person(Role::HomeAffairs, Some(units.commune_b)).await;
        elsewhere.create("/v1/obligations", &obligation(units.commune_a, "2022-12-15")).await.problem(404, "not_found");
    }
}
