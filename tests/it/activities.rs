//! Activities: drafted, submitted, returned or accepted by somebody else, corrected, withdrawn; every line of help
//! counted once; no personal text in the log.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::campaign::{CAMPAIGN, load};
use crate::support::http::{Answer, send};
use crate::support::{Person, World};

const ONES: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// What a village did, on this day.
fn content(held_on: &str) -> Value {
    json!({ "clause_kind": "II.d", "support_kind": "technique", "held_on": held_on,
        "title": "Giúp hộ bà Lò Thị Ở", "description": "Nhà bà Quàng Thị Ẩm ở bản dưới",
        "resources": [{ "giver_name": "Cầm Văn Ưởng", "cash_vnd": 12_000_000, "labour_days": 30 }],
        "households_helped": 5, "pupils_helped": 2, "beneficiary_area": "poor_person",
        "evidence": [{ "kind": "minutes", "number": "07/BB", "sha256": ONES }] })
}

fn draft(unit: Uuid, held_on: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "unit": unit, "content": content(held_on) })
}

/// The content with other members.
fn but(mut content: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        content[name] = value.clone();
    }
    content
}

/// One step, expected to be possible.
async fn step(person: &Person<'_>, before: &Answer, verb: &str, body: Value) -> Answer {
    person.change(&format!("/v1/activities/{}:{verb}", before.id()), &before.etag(), &body).await.is(200)
}

fn actions(answer: &Answer) -> Value {
    answer.json()["allowed_actions"].clone()
}

fn pointers(answer: Answer) -> Vec<String> {
    let errors = answer.problem(422, "invalid_value").json()["errors"].clone();
    errors.as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

async fn village(world: &World) -> (Person<'_>, Person<'_>) {
    load(world).await;
    let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
    (reporter, world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await)
}

both_engines! {
    async fn an_activity_is_reported_returned_accepted_corrected_and_withdrawn(world: World) {
        let (reporter, committee) = village(world).await;
        let made = reporter.create("/v1/activities", &draft(world.units.village_a, "2023-03-15")).await.is(201);
        assert_eq!(made.header("location"), Some(format!("/v1/activities/{}", made.id()).as_str()));
        assert_eq!((&made.json()["state"], actions(&made)), (&json!("draft"), json!(["amend", "submit", "withdraw"])));
        let same = but(content("2023-03-15"), json!({ "receiving_unit": null }));
        assert_eq!(made.json()["content"]["resources"][0]["giver_name"], same["resources"][0]["giver_name"]);
        assert_eq!(made.json()["content"]["evidence"], same["evidence"]);
        let lines = json!([{ "giver_unit": world.units.enterprise, "mobiliser_unit": world.units.front, "cash_vnd": 7, "in_kind_vnd": 5 },
            { "giver_name": "Tòng Thị Ẵm", "cash_vnd": 3, "labour_days": 2 }]);
        let amended = but(content("2023-03-16"), json!({ "resources": lines, "receiving_unit": world.units.commune_a }));
        let amended = step(&reporter, &made, "amend", json!({ "content": amended })).await;
        assert_eq!(amended.json()["totals"], json!({ "cash_vnd": 10, "in_kind_vnd": 5, "labour_days": 2 }));
        let names = [0, 1].map(|at| amended.json()["content"]["resources"][at]["giver_name"].clone());
        assert_eq!(names, [json!(null), json!("Tòng Thị Ẵm")], "a name stays with its line");
        let submitted = step(&reporter, &amended, "submit", json!({})).await;
        assert_eq!((submitted.json()["submitted_by"].clone(), actions(&submitted)), (json!(reporter.account), json!(["withdraw"])));
        let seen = committee.get(&format!("/v1/activities/{}", made.id())).await.is(200);
        assert_eq!(actions(&seen), json!(["return", "accept", "withdraw"]));
        let returned = step(&committee, &seen, "return", json!({ "reason": "Thiếu tên ông Cà" })).await;
        assert_eq!((&returned.json()["return_reason"], &returned.json()["decided_by"]), (&json!("Thiếu tên ông Cà"), &json!(committee.account)));
        let again = step(&reporter, &returned, "amend", json!({ "content": content("2023-03-15") })).await;
        assert_eq!((&again.json()["state"], actions(&again)), (&json!("returned"), json!(["amend", "submit", "withdraw"])));
        let again = step(&reporter, &again, "submit", json!({})).await;
        assert_eq!((&again.json()["return_reason"], &again.json()["decided_by"]), (&json!(null), &json!(null)));
        let accepted = step(&committee, &again, "accept", json!({})).await;
        assert_eq!((&accepted.json()["state"], actions(&accepted)), (&json!("accepted"), json!(["correct", "withdraw"])));
        assert_eq!(accepted.json()["change_reason"], json!(null), "a return is no change");
        let right = but(content("2023-03-15"), json!({ "households_helped": 4 }));
        let corrected = step(&reporter, &accepted, "correct", json!({ "content": right, "reason": "Đếm nhầm hộ bà Ở" })).await;
        assert_eq!((&corrected.json()["state"], &corrected.json()["decided_by"]), (&json!("submitted"), &json!(null)));
        let accepted = step(&committee, &corrected, "accept", json!({})).await;
        assert_eq!(accepted.json()["change_reason"], "Đếm nhầm hộ bà Ở", "a step without a reason leaves the last one");
        let withdrawn = step(&reporter, &accepted, "withdraw", json!({ "reason": "Trùng với bản khác" })).await;
        assert_eq!((&withdrawn.json()["state"], actions(&withdrawn)), (&json!("withdrawn"), json!([])));
        assert_eq!(withdrawn.json()["change_reason"], "Trùng với bản khác");

        let history = committee.get(&format!("/v1/activities/{}/events", made.id())).await.is(200);
        let events = history.json()["items"].clone();
        let types: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        let expected = ["reported", "amended", "submitted", "returned", "amended", "submitted", "accepted", "corrected", "accepted", "withdrawn"];
        assert_eq!(types, expected.map(|verb| format!("activity.{verb}")));
        assert_eq!(events[7]["changes"]["households_helped"], json!([5, 4]));
        assert_eq!(events[1]["changes"]["resources"][1][0]["giver_unit"], json!(world.units.enterprise));
        for personal in ["Lò Thị Ở", "Quàng Thị Ẩm", "Cầm Văn Ưởng", "Tòng Thị Ẵm", "ông Cà", "Đếm nhầm", "Trùng với"] {
            assert!(!history.text.contains(personal), "{personal} stands in an event");
        }
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn communes_decide_for_their_villages_home_affairs_for_the_rest_and_nobody_for_themselves(world: World) {
        let (reporter, committee) = village(world).await;
        let (units, nothing) = (world.units, json!({}));
        let home_affairs = world.person(Role::HomeAffairs, Some(units.district)).await;
        let outsider = world.person(Role::CommuneCommittee, Some(units.commune_b)).await;
        let made = reporter.create("/v1/activities", &draft(units.village_a, "2023-03-15")).await.is(201);
        let path = format!("/v1/activities/{}", made.id());
        // In a draft nothing can be decided; the permission is looked at before the version and the state.
        committee.change(&format!("{path}:accept"), &made.etag(), &nothing).await.problem(409, "invalid_transition");
        reporter.change(&format!("{path}:accept"), "\"9\"", &nothing).await.problem(403, "forbidden");
        home_affairs.change(&format!("{path}:accept"), "\"9\"", &nothing).await.problem(403, "forbidden");
        outsider.change(&format!("{path}:accept"), "\"9\"", &nothing).await.problem(404, "not_found");
        outsider.get(&path).await.problem(404, "not_found");
        outsider.get(&format!("{path}/events")).await.problem(404, "not_found");
        world.nobody().get(&path).await.problem(401, "unauthenticated");
        assert_eq!(actions(&home_affairs.get(&path).await.is(200)), json!([]));
        // The committee may submit for its village, but then somebody else has to accept.
        let submitted = step(&committee, &made, "submit", json!({})).await;
        assert_eq!(actions(&submitted), json!(["withdraw"]));
        for verb in ["accept", "return"] {
            let body = if verb == "return" { json!({ "reason": "x" }) } else { json!({}) };
            let refused = committee.change(&format!("{path}:{verb}"), &submitted.etag(), &body).await;
            assert_eq!(refused.problem(403, "separation_of_duties").json()["allowed_actions"], json!(["withdraw"]));
        }
        // After the merger the new commune's committee decides on what its predecessors' villages did.
        let successor = world.person(Role::CommuneCommittee, Some(units.commune_n)).await;
        let seen = successor.get(&path).await.is(200);
        step(&successor, &seen, "accept", json!({})).await;

        let own = but(content("2023-04-01"), json!({ "clause_kind": "II.b", "support_kind": "policy_work" }));
        let own = json!({ "campaign": CAMPAIGN, "unit": units.commune_a, "content": own });
        let own = committee.create("/v1/activities", &own).await.is(201);
        let own = step(&committee, &own, "submit", json!({})).await;
        successor.change(&format!("/v1/activities/{}:accept", own.id()), &own.etag(), &nothing).await.problem(403, "forbidden");
        step(&home_affairs, &own, "accept", json!({})).await;
    }

    async fn what_cannot_be_is_refused_with_a_pointer(world: World) {
        let (reporter, _) = village(world).await;
        let units = world.units;
        let first = reporter.create("/v1/activities", &draft(units.village_a, "2023-03-15")).await.is(201);
        let day = "2023-03-15";
        for (members, expected) in [
            (json!({ "clause_kind": "II.a" }), vec!["clause_kind"]),
            (json!({ "clause_kind": "II.z", "support_kind": "gold", "beneficiary_area": "moon" }), vec!["clause_kind", "support_kind", "beneficiary_area"]),
            (json!({ "held_on": "2020-12-31" }), vec!["held_on"]),
            (json!({ "held_on": "2999-01-01" }), vec!["held_on", "held_on"]),
            (json!({ "title": null }), vec!["title"]),
            (json!({ "title": "  " }), vec!["title"]),
            (json!({ "title": "x".repeat(201) }), vec!["title"]),
            (json!({ "description": "x".repeat(5001) }), vec!["description"]),
            (json!({ "households_helped": -1, "pupils_helped": 1_000_001 }), vec!["households_helped", "pupils_helped"]),
            (json!({ "receiving_unit": Uuid::nil() }), vec!["receiving_unit"]),
            (json!({ "receiving_unit": units.commune_n }), vec!["receiving_unit"]),
            (json!({ "receiving_unit": units.village_a }), vec!["receiving_unit"]),
            (json!({ "resources": [{ "cash_vnd": 1 }, {}, { "giver_name": "A", "labour_days": 0 }] }), vec!["resources/1", "resources/2"]),
            (json!({ "resources": [{ "cash_vnd": 1 }, { "cash_vnd": 1, "giver_unit": Uuid::nil() }] }), vec!["resources/1/giver_unit"]),
            (json!({ "resources": [{ "labour_days": 1, "mobiliser_unit": Uuid::nil() }] }), vec!["resources/0/mobiliser_unit"]),
            (json!({ "resources": [{ "in_kind_vnd": 1, "giver_unit": units.front, "giver_name": "A" }] }), vec!["resources/0/giver_name"]),
            (json!({ "resources": [{ "cash_vnd": -1, "in_kind_vnd": 9_000_000_000_000_001_i64 }] }), vec!["resources/0/cash_vnd", "resources/0/in_kind_vnd"]),
            (json!({ "resources": [{ "cash_vnd": 9_000_000_000_000_000_i64 }, { "cash_vnd": 1 }] }), vec!["resources"]),
            (json!({ "resources": vec![json!({}); 51] }), vec!["resources"]),
            (json!({ "evidence": vec![json!({ "kind": "photo" }); 21] }), vec!["evidence"]),
            (json!({ "evidence": [{ "kind": "photo", "sha256": "AB" }] }), vec!["evidence/0/sha256"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|at| format!("/content/{at}")).collect();
            let wrong = json!({ "campaign": CAMPAIGN, "unit": units.village_a, "content": but(content(day), members) });
            let mut found = pointers(reporter.create("/v1/activities", &wrong).await);
            assert_eq!(found, expected, "{wrong}");
            let amended = json!({ "content": wrong["content"] });
            found = pointers(reporter.change(&format!("/v1/activities/{}:amend", first.id()), &first.etag(), &amended).await);
            assert_eq!(found, expected, "{wrong}");
        }
        let after = reporter.create("/v1/activities", &draft(units.village_a, "2026-01-01")).await;
        assert!(pointers(after).iter().all(|pointer| pointer == "/content/held_on"), "the campaign has ended");
        reporter.create("/v1/activities", &draft(units.village_a, "2025-12-31")).await.is(201);
        let mut wrong = draft(units.village_a, day);
        wrong["campaign"] = json!(Uuid::nil());
        assert_eq!(pointers(reporter.create("/v1/activities", &wrong).await), ["/campaign"]);
        reporter.create("/v1/activities", &draft(units.village_b, day)).await.problem(404, "not_found");
        reporter.create("/v1/activities", &draft(Uuid::nil(), day)).await.problem(404, "not_found");
        let ended = world.person(Role::UnitReporter, Some(units.commune_a)).await;
        let late = but(content("2025-07-01"), json!({ "clause_kind": "II.a" }));
        let late = json!({ "campaign": CAMPAIGN, "unit": units.commune_a, "content": late });
        assert_eq!(pointers(ended.create("/v1/activities", &late).await), ["/content/held_on"], "a unit that has ended");
        for (members, code) in [
            (json!({ "held_on": "2023-02-30" }), "wrong_type"),
            (json!({ "households_helped": 1.5 }), "wrong_type"),
            (json!({ "evidence": [{ "kind": "rumour" }] }), "wrong_type"),
            (json!({ "resources": [{ "gold": 1 }] }), "unknown_member"),
        ] {
            let wrong = json!({ "campaign": CAMPAIGN, "unit": units.village_a, "content": but(content(day), members) });
            reporter.create("/v1/activities", &wrong).await.problem(400, code);
        }
        assert_eq!(reporter.get(&format!("/v1/activities/{}/events", first.id())).await.json()["items"].as_array().unwrap().len(), 1);
    }

    async fn the_same_request_twice_has_one_effect_and_a_stale_one_none(world: World) {
        let (reporter, committee) = village(world).await;
        let body = draft(world.units.village_a, "2023-03-15");
        let first = reporter.create_as("/v1/activities", "k", &body).await.is(201);
        let second = reporter.create_as("/v1/activities", "k", &body).await.is(201);
        assert_eq!((first.text.as_str(), second.header("idempotency-replayed")), (second.text.as_str(), Some("true")));
        let other = draft(world.units.village_a, "2023-03-16");
        reporter.create_as("/v1/activities", "k", &other).await.problem(422, "idempotency_key_reused");
        reporter.post("/v1/activities", &body).await.problem(400, "idempotency_key_required");
        let path = format!("/v1/activities/{}:submit", first.id());
        send(reporter.request("POST", &path)).await.problem(428, "precondition_required");
        let submitted = step(&reporter, &first, "submit", json!({})).await;
        reporter.change(&path, &first.etag(), &json!({})).await.problem(412, "precondition_failed");
        let refused = reporter.change(&path, &submitted.etag(), &json!({})).await.problem(409, "invalid_transition");
        assert_eq!(refused.json()["allowed_actions"], json!(["withdraw"]));
        let accept = format!("/v1/activities/{}:accept", first.id());
        let (etag, nothing) = (submitted.etag(), json!({}));
        let both = futures_util::future::join_all([0, 1].map(|_| committee.change(&accept, &etag, &nothing))).await;
        let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200, "one of two accepts");
        assert!(matches!(statuses[1], 409 | 412), "{statuses:?}");
    }

    async fn a_day_that_moves_a_record_out_of_reach_is_forbidden(world: World) {
        load(world).await;
        let reporter = world.person(Role::UnitReporter, Some(world.units.commune_a)).await;
        let made = reporter.create("/v1/activities", &draft(world.units.village_a, "2025-06-30")).await.is(201);
        let path = format!("/v1/activities/{}:amend", made.id());
        // The village stands below the new commune by then.
        let moved = json!({ "content": content("2025-07-01") });
        reporter.change(&path, &made.etag(), &moved).await.problem(403, "forbidden");
        let successor = world.person(Role::UnitReporter, Some(world.units.commune_n)).await;
        let seen = successor.get(&format!("/v1/activities/{}", made.id())).await.is(200);
        successor.change(&path, &seen.etag(), &moved).await.is(200);
        reporter.get(&format!("/v1/activities/{}", made.id())).await.problem(404, "not_found");
    }

    async fn lists_are_filtered_and_stay_inside_one_s_subtrees(world: World) {
        load(world).await;
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.province)).await;
        let mut made = Vec::new();
        for (unit, day) in [(units.village_a, "2022-05-05"), (units.village_b, "2023-12-31"), (units.village_b, "2024-01-01")] {
            made.push(reporter.create("/v1/activities", &draft(unit, day)).await.is(201));
        }
        let all: Vec<String> = made.iter().map(Answer::id).collect();
        let submitted = step(&reporter, &made[1], "submit", json!({})).await;
        let auditor = world.person(Role::Auditor, None).await;
        let list = async |person: &Person<'_>, query: &str| person.get(&format!("/v1/activities?{query}")).await.is(200).json();
        for (query, expected) in [
            (String::new(), vec![0, 1, 2]),
            (format!("campaign={CAMPAIGN}"), vec![0, 1, 2]),
            (format!("campaign={}", Uuid::nil()), vec![]),
            (format!("unit={}", units.village_b), vec![1, 2]),
            ("state=submitted".into(), vec![1]),
            (format!("campaign={CAMPAIGN}&round=mid"), vec![0, 1]),
            (format!("campaign={CAMPAIGN}&round=final&state=draft"), vec![0, 2]),
        ] {
            let expected: Vec<&str> = expected.into_iter().map(|at: usize| all[at].as_str()).collect();
            assert_eq!(ids(&list(&auditor, &query).await), expected, "{query}");
        }
        let events = auditor.get("/v1/events?type=activity.submitted").await.json();
        let position = events["items"][0]["position"].as_i64().unwrap();
        assert_eq!(ids(&list(&auditor, &format!("changed_since={position}")).await), [all[1].as_str()]);
        let page = list(&auditor, "limit=2").await;
        let rest = list(&auditor, &format!("limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
        assert_eq!(ids(&rest), [all[2].as_str()]);
        for bad in ["round=mid".to_owned(), format!("campaign={CAMPAIGN}&round=last"), format!("campaign={}&round=mid", Uuid::nil()), "state=lost".into(), "limit=0".into()] {
            auditor.get(&format!("/v1/activities?{bad}")).await.problem(400, "invalid_query");
        }
        for (unit, expected) in [(units.village_a, vec![0]), (units.commune_b, vec![1, 2]), (units.commune_n, vec![0, 1, 2]), (units.front, vec![])] {
            let committee = world.person(Role::CommuneCommittee, Some(unit)).await;
            let expected: Vec<&str> = expected.into_iter().map(|at: usize| all[at].as_str()).collect();
            assert_eq!(ids(&list(&committee, "").await), expected, "{unit}");
        }
        assert_eq!(submitted.json()["state"], "submitted");
    }

    async fn whoever_wrote_it_last_cannot_accept_it_either(world: World) {
        let (reporter, committee) = village(world).await;
        let made = reporter.create("/v1/activities", &draft(world.units.village_a, "2023-03-15")).await.is(201);
        let rewritten = step(&committee, &made, "amend", json!({ "content": content("2023-03-16") })).await;
        let submitted = step(&reporter, &rewritten, "submit", json!({})).await;
        let path = format!("/v1/activities/{}:accept", made.id());
        committee.change(&path, &submitted.etag(), &json!({})).await.problem(403, "separation_of_duties");
    }

    async fn an_activity_is_not_accepted_into_a_closed_register(world: World) {
        let (reporter, committee) = village(world).await;
        let made = reporter.create("/v1/activities", &draft(world.units.village_a, "2023-03-15")).await.is(201);
        let submitted = step(&reporter, &made, "submit", json!({})).await;
        let register = json!({ "campaign": CAMPAIGN, "unit": world.units.village_a, "round": "mid", "name": "support_activity" });
        let register = committee.create("/v1/registers", &register).await.is(201);
        let path = format!("/v1/activities/{}:accept", made.id());
        let refused = committee.change(&path, &submitted.etag(), &json!({})).await.problem(409, "register_closed").json();
        assert_eq!(refused["register"], json!(register.id()));
        // A refusal offers what a read offers.
        let seen = committee.get(&format!("/v1/activities/{}", made.id())).await.is(200).json();
        let again = format!("/v1/activities/{}:submit", made.id());
        let offered = committee.change(&again, &submitted.etag(), &json!({})).await.problem(409, "invalid_transition").json();
        assert_eq!(offered["allowed_actions"], seen["allowed_actions"]);
        assert_eq!(seen["allowed_actions"], json!(["return", "withdraw"]));
        let reopen = format!("/v1/registers/{}:reopen", register.id());
        committee.change(&reopen, &register.etag(), &json!({ "reason": "Còn một hoạt động" })).await.is(200);
        committee.change(&path, &submitted.etag(), &json!({})).await.is(200);
    }
}
