//! Observations: reported, amended, confirmed by the declared owner with evidence, corrected, withdrawn; once in effect.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::Person;
use crate::support::campaign::{self, BANK, CAMPAIGN};
use crate::support::http::Answer;

fn paper() -> Value {
    json!([{ "kind": "minutes", "number": "07/BB", "sha256": "ab".repeat(32) }])
}

fn observation(unit: Uuid, name: &str, period: Value, mut content: Value) -> Value {
    content["evidence"] = paper();
    content["note"] = json!("Ghi chú của bà Lò Thị Ở");
    json!({ "campaign": CAMPAIGN, "unit": unit, "name": name, "period": period, "observed_on": "2023-12-31", "content": content })
}

fn models(unit: Uuid, value: i64) -> Value {
    observation(unit, "models_replicated", json!("2023"), json!({ "value_integer": value }))
}

fn pointers(answer: Answer) -> Vec<String> {
    let body = answer.problem(422, "invalid_value").json();
    body["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap().to_owned()).collect()
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

async fn step(person: &Person<'_>, made: &Answer, verb: &str, body: &Value) -> Answer {
    let path = format!("/v1/observations/{}", made.id());
    let etag = person.get(&path).await.is(200).etag();
    person.change(&format!("{path}:{verb}"), &etag, body).await
}

both_engines! {
    async fn an_observation_is_reported_amended_confirmed_corrected_and_withdrawn(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(village)).await;
        let owner = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let home_affairs = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        let made = reporter.create("/v1/observations", &models(village, 1)).await.is(201);
        let view = made.json();
        assert_eq!((&view["sort"], &view["owner"]), (&json!("indicator"), &json!("phong_ldtbxh")));
        assert_eq!(view["allowed_actions"], json!(["amend", "withdraw"]));
        let amended = step(&reporter, &made, "amend", &json!({ "content": { "value_integer": 2 } })).await.is(200);
        assert_eq!(amended.json()["content"]["evidence"], json!([]), "an amendment says everything");
        assert_eq!(pointers(step(&owner, &made, "confirm", &json!({})).await), ["/content/evidence"]);
        let content = json!({ "value_integer": 2, "evidence": paper() });
        step(&reporter, &made, "amend", &json!({ "content": content })).await.is(200);

        // Another office of the same district is no owner.
        let path = format!("/v1/observations/{}", made.id());
        let seen = home_affairs.get(&path).await.is(200);
        assert_eq!(seen.json()["allowed_actions"], json!(["amend", "withdraw"]));
        step(&home_affairs, &made, "confirm", &json!({})).await.problem(403, "forbidden");
        assert_eq!(owner.get(&path).await.json()["allowed_actions"], json!(["amend", "confirm", "withdraw"]));
        owner.change(&format!("{path}:confirm"), &made.etag(), &json!({})).await.problem(412, "precondition_failed");
        let confirmed = step(&owner, &made, "confirm", &json!({})).await.is(200);
        assert_eq!(confirmed.json()["allowed_actions"], json!(["correct", "withdraw"]));
        let refused = step(&home_affairs, &made, "amend", &json!({ "content": content })).await.problem(409, "invalid_transition");
        assert_eq!(refused.json()["allowed_actions"], json!([]));

        let right = json!({ "content": { "value_integer": 3, "evidence": paper() }, "reason": "Rà soát lại" });
        step(&home_affairs, &made, "correct", &right).await.problem(403, "forbidden");
        let bare = json!({ "content": { "value_integer": 3 }, "reason": "Rà soát lại" });
        assert_eq!(pointers(step(&owner, &made, "correct", &bare).await), ["/content/evidence"]);
        step(&owner, &made, "correct", &right).await.is(200);
        let reason = json!({ "reason": "Báo cáo nhầm" });
        step(&reporter, &made, "withdraw", &reason).await.problem(403, "forbidden");
        let withdrawn = step(&owner, &made, "withdraw", &reason).await.is(200);
        assert_eq!(withdrawn.json()["allowed_actions"], json!([]));

        let history = reporter.get(&format!("{path}/events")).await.is(200);
        let types: Vec<String> = history.json()["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(types, ["observation.reported", "observation.amended", "observation.amended", "observation.confirmed", "observation.corrected", "observation.withdrawn"]);
        for outside in ["Lò Thị Ở", "Rà soát lại", "Báo cáo nhầm"] {
            assert!(!history.text.contains(outside), "{outside} stands in an event");
        }
        assert_eq!(history.json()["items"][4]["changes"]["value_integer"], json!([2, 3]));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn one_is_in_effect_and_a_withdrawn_one_makes_room(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(world.units.district)).await;
        let first = reporter.create("/v1/observations", &models(village, 1)).await.is(201);
        let refused = reporter.create("/v1/observations", &models(village, 1)).await.problem(409, "already_exists");
        assert_eq!(refused.json()["observation"], json!(first.id()));
        reporter.create("/v1/observations", &models(world.units.village_b, 1)).await.is(201);
        let mut final_round = models(village, 1);
        final_round["period"] = json!("2025");
        reporter.create("/v1/observations", &final_round).await.is(201);
        step(&reporter, &first, "withdraw", &json!({ "reason": "Nhầm" })).await.is(200);
        reporter.create("/v1/observations", &models(village, 2)).await.is(201);

        // What was so on another day is history; on the same day there is one.
        let date = observation(village, "poverty_exit_on", json!(null), json!({ "known_none": true }));
        reporter.create("/v1/observations", &date).await.is(201);
        reporter.create("/v1/observations", &date).await.problem(409, "already_exists");
        let mut earlier = date.clone();
        earlier["observed_on"] = json!("2022-12-31");
        reporter.create("/v1/observations", &earlier).await.is(201);
        reporter.create("/v1/observations", &earlier).await.problem(409, "already_exists");
        // Entries of a register may be many, even alike.
        let entry = observation(village, "regulation", json!(null), json!({ "fields": { "kind": "revolving_capital", "issued_on": "2022-03-01" } }));
        reporter.create("/v1/observations", &entry).await.is(201);
        reporter.create("/v1/observations", &entry).await.is(201);

        // Whoever comes first: of many at once one is written.
        let body = date_of(world.units.village_b);
        let many = (0..8).map(|_| reporter.create("/v1/observations", &body));
        let answers = futures_util::future::join_all(many).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn the_last_day_up_to_the_cut_off_says_how_it_is(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(village)).await;
        let committee = world.person(Role::CommuneCommittee, Some(world.units.commune_n)).await;
        // The later day is reported first: the order of days decides, not that of reports.
        for (day, value) in [("2024-05-01", true), ("2022-05-01", false), ("2021-05-01", true)] {
            let mut body = observation(village, "received_state_project_capital", json!(null), json!({ "value_bool": value }));
            body["observed_on"] = json!(day);
            let made = reporter.create("/v1/observations", &body).await.is(201);
            let seen = committee.get(&format!("/v1/observations/{}", made.id())).await.is(200);
            committee.change(&format!("/v1/observations/{}:confirm", made.id()), &seen.etag(), &json!({})).await.is(200);
        }
        let auditor = world.person(Role::Auditor, None).await;
        for (round, status, value) in [("mid", "not_applicable", false), ("final", "insufficient", true)] {
            let ask = json!({ "campaign": CAMPAIGN, "round": round, "scope": { "subjects": [village] } });
            let answer = auditor.post("/v1/recommendations", &ask).await.is(200).json();
            let criteria = answer["subjects"][0]["criteria"].as_array().unwrap();
            let criterion = criteria.iter().find(|criterion| criterion["id"] == "III.2.3.b").unwrap();
            assert_eq!((&criterion["status"], &criterion["steps"][0]["computed"]["value"]), (&json!(status), &json!(value)), "{round}");
        }
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn a_field_has_no_room_for_anything_that_names_a_person(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(village)).await;
        for (name, field, value) in [
            ("linkage", "kind", json!("nguyen_thi_hoa.0912345678")),
            ("linkage", "kind", json!("0912345678")),
            ("linkage", "kind", json!(912_345_678)),
            ("linkage", "kind", json!(99_999_999_999_999_999_i64)),
            ("linkage", "kind", json!(true)),
            ("linkage", "signed_on", json!("0912345678")),
            ("linkage", "signed_on", json!(912_345_678)),
            ("regulation", "kind", json!("nguyen_thi_hoa")),
            ("loan", "purpose_ok", json!("0912345678")),
            ("loan", "purpose_ok", json!(912_345_678)),
        ] {
            let body = observation(village, name, json!(null), json!({ "fields": { field: value } }));
            let refused = reporter.create("/v1/observations", &body).await;
            assert_eq!(pointers(refused), [format!("/content/fields/{field}")], "{name} {field} {value}");
        }
        for fields in [json!({ "kind": "other", "signed_on": "2022-03-01" }), json!({})] {
            let body = observation(village, "linkage", json!(null), json!({ "fields": fields }));
            reporter.create("/v1/observations", &body).await.is(201);
        }
        let refused = observation(village, "regulation", json!(null), json!({ "fields": { "kind": "x" } }));
        let told = reporter.create("/v1/observations", &refused).await.problem(422, "invalid_value").text;
        assert!(told.contains("cần một trong: revolving_capital, other"), "{told}");
        let auditor = world.person(Role::Auditor, None).await;
        let events = auditor.get("/v1/events?type=observation.*").await.is(200).text;
        for personal in ["0912345678", "912345678", "nguyen_thi_hoa"] {
            assert!(!events.contains(personal), "{personal} stands in an event");
        }
    }

    async fn whoever_says_it_cannot_confirm_it(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let one = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let other = world.person(Role::LabourOffice, Some(world.units.province)).await;
        let made = one.create("/v1/observations", &models(village, 1)).await.is(201);
        assert_eq!(made.json()["allowed_actions"], json!(["amend", "withdraw"]));
        step(&one, &made, "confirm", &json!({})).await.problem(403, "separation_of_duties");
        // Whoever amends it says it now.
        step(&other, &made, "amend", &json!({ "content": { "value_integer": 2, "evidence": paper() } })).await.is(200);
        step(&other, &made, "confirm", &json!({})).await.problem(403, "separation_of_duties");
        step(&one, &made, "confirm", &json!({})).await.is(200);
    }

    async fn a_body_without_a_role_is_the_head_of_its_holder_wherever_that_stands(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(village)).await;
        let head = world.person(Role::UnitHead, Some(BANK)).await;
        let clerk = world.person(Role::UnitReporter, Some(BANK)).await;
        let labour = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let fields = json!({ "fields": { "purpose_ok": true, "principal_on_time": true, "interest_on_time": false } });
        let loan = observation(village, "loan", json!(null), fields);
        // Commune A ended on 30 June 2025, and N began on the day after.
        let province = world.person(Role::UnitReporter, Some(world.units.province)).await;
        for (unit, day) in [(world.units.commune_a, "2025-07-01"), (world.units.commune_n, "2025-06-30")] {
            let mut body = models(unit, 1);
            body["observed_on"] = json!(day);
            assert_eq!(pointers(province.create("/v1/observations", &body).await), ["/observed_on"], "{day}");
        }
        let nobody = json!({ "campaign": CAMPAIGN, "unit": Uuid::nil(), "name": "loan", "observed_on": "2023-12-31", "content": { "fields": {} } });
        assert_eq!(pointers(head.create("/v1/observations", &nobody).await), ["/unit"]);
        let made = reporter.create("/v1/observations", &loan).await.is(201);
        let other = reporter.create("/v1/observations", &models(village, 1)).await.is(201);
        assert_eq!(ids(&head.get("/v1/observations").await.is(200).json()), [made.id()]);
        head.get(&format!("/v1/observations/{}", other.id())).await.problem(404, "not_found");
        assert_eq!(head.get("/v1/observations").await.json()["items"][0]["allowed_actions"], json!(["amend", "confirm", "withdraw"]));
        step(&labour, &made, "confirm", &json!({})).await.problem(403, "forbidden");
        assert_eq!(clerk.get(&format!("/v1/observations/{}", made.id())).await.is(200).json()["allowed_actions"], json!(["amend", "withdraw"]));
        step(&head, &made, "confirm", &json!({})).await.is(200);

        let undeclared = observation(village, "received_state_project_capital", json!(null), json!({ "value_bool": true }));
        let made = reporter.create("/v1/observations", &undeclared).await.is(201);
        assert_eq!(made.json()["owner"], json!(null));
        let own_head = world.person(Role::UnitHead, Some(village)).await;
        step(&own_head, &made, "confirm", &json!({})).await.problem(403, "forbidden");
        let committee = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
        step(&committee, &made, "confirm", &json!({})).await.is(200);
    }

    async fn what_the_rule_set_has_no_room_for_is_refused_with_a_pointer(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(world.units.district)).await;
        for (name, period, content, expected) in [
            ("poor_households", json!("2023"), json!({ "value_integer": 1 }), "/name"),
            ("initiative", json!(null), json!({ "fields": {} }), "/name"),
            ("castle", json!(null), json!({}), "/name"),
            ("models_replicated", json!("2022"), json!({ "value_integer": 1 }), "/period"),
            ("models_replicated", json!("2023"), json!({ "value_integer": -1 }), "/content/value_integer"),
            ("regulation", json!(null), json!({ "fields": { "colour": "red" } }), "/content/fields/colour"),
            ("is_credit_institution", json!(null), json!({ "value_text": "yes" }), "/content/value_text"),
        ] {
            assert_eq!(pointers(reporter.create("/v1/observations", &observation(village, name, period, content)).await), [expected], "{name}");
        }
        let mut body = models(village, 1);
        body["campaign"] = json!(Uuid::nil());
        assert_eq!(pointers(reporter.create("/v1/observations", &body).await), ["/campaign"]);
        body = models(village, 1);
        body["period"] = json!("23");
        assert_eq!(pointers(reporter.create("/v1/observations", &body).await), ["/period"]);
        body = models(village, 1);
        body["content"]["evidence"][0]["sha256"] = json!("AB");
        assert_eq!(pointers(reporter.create("/v1/observations", &body).await), ["/content/evidence/0/sha256"]);
        body = observation(village, "regulation", json!(null), json!({ "fields": { "kind": 1.5 } }));
        reporter.create("/v1/observations", &body).await.problem(400, "wrong_type");
        reporter.create("/v1/observations", &models(Uuid::nil(), 1)).await.problem(404, "not_found");
        let elsewhere = world.person(Role::UnitReporter, Some(world.units.village_b)).await;
        elsewhere.create("/v1/observations", &models(village, 1)).await.problem(404, "not_found");
    }

    async fn observations_are_seen_inside_one_s_subtrees_and_listed(world: World) {
        campaign::load(world).await;
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.district)).await;
        let a = reporter.create("/v1/observations", &models(units.village_a, 1)).await.is(201).id();
        let b = reporter.create("/v1/observations", &models(units.village_b, 1)).await.is(201).id();
        for (unit, sees) in [(units.commune_a, vec![&a]), (units.commune_n, vec![&a, &b]), (units.front, vec![])] {
            let committee = world.person(Role::CommuneCommittee, Some(unit)).await;
            assert_eq!(ids(&committee.get("/v1/observations").await.is(200).json()), sees, "{unit}");
            for id in [&a, &b] {
                let expected = if sees.contains(&id) { 200 } else { 404 };
                committee.get(&format!("/v1/observations/{id}")).await.is(expected);
                committee.get(&format!("/v1/observations/{id}/events")).await.is(expected);
            }
        }
        let count = async |query: &str| {
            reporter.get(&format!("/v1/observations?{query}")).await.is(200).json()["items"].as_array().unwrap().len()
        };
        assert_eq!(count(&format!("campaign={CAMPAIGN}&name=models_replicated&state=reported&year=2023")).await, 2);
        assert_eq!(count(&format!("unit={}", units.village_b)).await, 1);
        assert_eq!(count("year=2022").await, 0);
        assert_eq!(count("state=confirmed").await, 0);
        assert_eq!(count("name=loan").await, 0);
    }
}

fn date_of(unit: Uuid) -> Value {
    observation(unit, "poverty_exit_on", json!(null), json!({ "value_date": "2020-12-31" }))
}
