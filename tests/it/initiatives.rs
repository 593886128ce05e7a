//! Initiatives: proposed, submitted, recognised by decision or not, revoked, withdrawn; no personal text in the log.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::campaign::{CAMPAIGN, load};
use crate::support::http::Answer;
use crate::support::{Person, World};

fn content(proposed_on: &str) -> Value {
    json!({ "kind": "obstacle_removal", "beneficiary": "poor_household", "title": "Cách làm của ông Lù Văn Ỏn",
        "description": "Do cô Điêu Thị Ửng viết", "proposed_on": proposed_on,
        "evidence": [{ "kind": "document", "number": "12/ĐN" }] })
}

fn draft(unit: Uuid, proposed_on: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "unit": unit, "content": content(proposed_on) })
}

async fn step(person: &Person<'_>, before: &Answer, verb: &str, body: Value) -> Answer {
    person.change(&format!("/v1/initiatives/{}:{verb}", before.id()), &before.etag(), &body).await.is(200)
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

async fn commune(world: &World) -> (Person<'_>, Person<'_>) {
    load(world).await;
    let head = world.person(Role::UnitHead, Some(world.units.commune_a)).await;
    (head, world.person(Role::HomeAffairs, Some(world.units.district)).await)
}

both_engines! {
    async fn what_a_creation_offers_is_what_a_read_offers(world: World) {
        let (head, _) = commune(world).await;
        let register = json!({ "campaign": CAMPAIGN, "unit": world.units.commune_a, "round": "final", "name": "initiative" });
        let owner = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        owner.create("/v1/registers", &register).await.is(201);
        let made = head.create("/v1/initiatives", &draft(world.units.commune_a, "2023-05-20")).await.is(201);
        let read = head.get(&format!("/v1/initiatives/{}", made.id())).await.is(200);
        assert_eq!(actions(&made), json!(["amend", "withdraw"]));
        assert_eq!(actions(&made), actions(&read));
    }

    async fn an_initiative_is_proposed_recognised_and_its_recognition_revoked(world: World) {
        let (head, officer) = commune(world).await;
        let decision = json!({ "recognised_by": world.units.district, "decision_number": "31/QĐ-UBND", "decided_on": "2023-11-02" });
        let made = head.create("/v1/initiatives", &draft(world.units.commune_a, "2023-05-20")).await.is(201);
        assert_eq!((&made.json()["state"], actions(&made)), (&json!("draft"), json!(["amend", "submit", "withdraw"])));
        let other = json!({ "content": { "kind": "guidance", "beneficiary": "poor_student", "title": "Cách khác của Lù Văn Ỏn", "proposed_on": "2023-05-21" } });
        let amended = step(&head, &made, "amend", other).await;
        assert_eq!((&amended.json()["content"]["kind"], &amended.json()["content"]["evidence"]), (&json!("guidance"), &json!([])));
        let submitted = step(&head, &amended, "submit", json!({})).await;
        let seen = officer.get(&format!("/v1/initiatives/{}", made.id())).await.is(200);
        assert_eq!(actions(&seen), json!(["recognise", "refuse"]));
        let recognised = step(&officer, &seen, "recognise", decision.clone()).await;
        assert_eq!((&recognised.json()["recognition"], actions(&recognised)), (&decision, json!(["revoke"])));
        assert_eq!(recognised.json()["decided_by"], json!(officer.account));
        head.change(&format!("/v1/initiatives/{}:withdraw", made.id()), &recognised.etag(), &json!({ "reason": "x" })).await.problem(409, "invalid_transition");
        let revoked = step(&officer, &recognised, "revoke", json!({ "reason": "Chép của bà Mè Thị Ọt" })).await;
        assert_eq!((&revoked.json()["state"], &revoked.json()["recognition"], actions(&revoked)), (&json!("not_recognised"), &json!(null), json!([])));
        assert_eq!(submitted.json()["recognition"], json!(null));

        let history = head.get(&format!("/v1/initiatives/{}/events", made.id())).await.is(200);
        let events = history.json()["items"].clone();
        let types: Vec<&str> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        let expected = ["proposed", "amended", "submitted", "recognised", "revoked"];
        assert_eq!(types, expected.map(|verb| format!("initiative.{verb}")));
        assert_eq!(events[4]["changes"]["decision_number"], json!(["31/QĐ-UBND", null]));
        for personal in ["Lù Văn Ỏn", "Điêu Thị Ửng", "Mè Thị Ọt"] {
            assert!(!history.text.contains(personal), "{personal} stands in an event");
        }
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn who_submits_does_not_decide_and_only_home_affairs_does(world: World) {
        let (head, officer) = commune(world).await;
        let both = thidua::grants::GrantDraft {
            issuer: crate::support::ISSUER.into(),
            subject: format!("home_affairs-{}", world.units.district),
            label: None,
            role: Role::UnitReporter,
            unit: Some(world.units.commune_a),
            valid_from: None,
            valid_to: None,
        };
        thidua::commands::grant::give(&world.db, &both).await.unwrap();
        let decision = json!({ "recognised_by": world.units.district, "decision_number": "31/QĐ-UBND", "decided_on": "2023-11-02" });
        let made = officer.create("/v1/initiatives", &draft(world.units.commune_a, "2023-05-20")).await.is(201);
        let submitted = step(&officer, &made, "submit", json!({})).await;
        assert_eq!(actions(&submitted), json!(["withdraw"]));
        let path = format!("/v1/initiatives/{}", made.id());
        officer.change(&format!("{path}:recognise"), &submitted.etag(), &decision).await.problem(403, "separation_of_duties");
        let reason = json!({ "reason": "Đã có" });
        officer.change(&format!("{path}:refuse"), &submitted.etag(), &reason).await.problem(403, "separation_of_duties");
        head.change(&format!("{path}:recognise"), "\"9\"", &decision).await.problem(403, "forbidden");
        let outsider = world.person(Role::HomeAffairs, Some(world.units.commune_b)).await;
        outsider.get(&path).await.problem(404, "not_found");
        outsider.change(&format!("{path}:recognise"), "\"9\"", &decision).await.problem(404, "not_found");
        let committee = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
        committee.change(&format!("{path}:refuse"), &submitted.etag(), &reason).await.problem(403, "forbidden");
        let auditor = world.person(Role::Auditor, None).await;
        assert_eq!(actions(&auditor.get(&path).await.is(200)), json!([]));
        let successor = world.person(Role::HomeAffairs, Some(world.units.province)).await;
        let refused = step(&successor, &submitted, "refuse", reason.clone()).await;
        assert_eq!((&refused.json()["state"], actions(&refused)), (&json!("not_recognised"), json!([])));
        let made = head.create("/v1/initiatives", &draft(world.units.commune_a, "2023-05-20")).await.is(201);
        let withdrawn = step(&head, &made, "withdraw", reason).await;
        assert_eq!(actions(&withdrawn), json!([]));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn whoever_wrote_it_last_cannot_decide_on_it_either(world: World) {
        let (head, officer) = commune(world).await;
        let both = thidua::grants::GrantDraft {
            issuer: crate::support::ISSUER.into(),
            subject: format!("home_affairs-{}", world.units.district),
            label: None,
            role: Role::UnitReporter,
            unit: Some(world.units.commune_a),
            valid_from: None,
            valid_to: None,
        };
        thidua::commands::grant::give(&world.db, &both).await.unwrap();
        let made = head.create("/v1/initiatives", &draft(world.units.commune_a, "2023-05-20")).await.is(201);
        let rewritten = step(&officer, &made, "amend", json!({ "content": content("2023-05-21") })).await;
        let submitted = step(&head, &rewritten, "submit", json!({})).await;
        let path = format!("/v1/initiatives/{}", made.id());
        let decision = json!({ "recognised_by": world.units.district, "decision_number": "31/QĐ-UBND", "decided_on": "2023-11-02" });
        assert_eq!(actions(&officer.get(&path).await.is(200)), json!(["withdraw"]));
        for (verb, body) in [("recognise", &decision), ("refuse", &json!({ "reason": "Đã có" }))] {
            let refused = officer.change(&format!("{path}:{verb}"), &submitted.etag(), body).await;
            refused.problem(403, "separation_of_duties");
        }
        let other = world.person(Role::HomeAffairs, Some(world.units.province)).await;
        step(&other, &submitted, "recognise", decision).await;
    }

    async fn what_cannot_be_is_refused_with_a_pointer_and_twice_is_once(world: World) {
        let (head, officer) = commune(world).await;
        let unit = world.units.commune_a;
        for (member, value, code) in [
            ("title", json!(null), "invalid_value"),
            ("title", json!(" "), "invalid_value"),
            ("description", json!("x".repeat(5001)), "invalid_value"),
            ("proposed_on", json!("2020-12-31"), "invalid_value"),
            ("proposed_on", json!("2999-01-01"), "invalid_value"),
            ("proposed_on", json!("2026-01-01"), "invalid_value"),
            ("kind", json!("magic"), "wrong_type"),
            ("beneficiary", json!("rich"), "wrong_type"),
            ("colour", json!("red"), "unknown_member"),
        ] {
            let mut wrong = draft(unit, "2023-05-20");
            wrong["content"][member] = value;
            let status = if code == "invalid_value" { 422 } else { 400 };
            let problem = head.create("/v1/initiatives", &wrong).await.problem(status, code).json();
            let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
            assert!(pointer == format!("/content/{member}") || code == "unknown_member", "{problem}");
        }
        let mut wrong = draft(unit, "2023-05-20");
        wrong["campaign"] = json!(Uuid::nil());
        assert_eq!(pointers(head.create("/v1/initiatives", &wrong).await), ["/campaign"]);
        head.create("/v1/initiatives", &draft(world.units.commune_b, "2023-05-20")).await.problem(404, "not_found");
        assert_eq!(pointers(head.create("/v1/initiatives", &draft(unit, "2025-07-01")).await), ["/content/proposed_on"]);

        let made = head.create_as("/v1/initiatives", "k", &draft(unit, "2023-05-20")).await.is(201);
        assert_eq!(head.create_as("/v1/initiatives", "k", &draft(unit, "2023-05-20")).await.is(201).text, made.text);
        head.create_as("/v1/initiatives", "k", &draft(unit, "2023-05-21")).await.problem(422, "idempotency_key_reused");
        let submitted = step(&head, &made, "submit", json!({})).await;
        let path = format!("/v1/initiatives/{}", made.id());
        head.change(&format!("{path}:submit"), &made.etag(), &json!({})).await.problem(412, "precondition_failed");
        head.change(&format!("{path}:amend"), &submitted.etag(), &json!({ "content": content("2023-05-20") })).await.problem(409, "invalid_transition");
        for (decision, expected) in [
            (json!({ "recognised_by": Uuid::nil(), "decision_number": "1", "decided_on": "2023-11-02" }), "/recognised_by"),
            (json!({ "recognised_by": world.units.district, "decision_number": "1", "decided_on": "2025-07-01" }), "/recognised_by"),
            // Neither the proposer itself, nor what stands below it, nor whoever followed it.
            (json!({ "recognised_by": unit, "decision_number": "1", "decided_on": "2023-11-02" }), "/recognised_by"),
            (json!({ "recognised_by": world.units.village_a, "decision_number": "1", "decided_on": "2023-11-02" }), "/recognised_by"),
            (json!({ "recognised_by": world.units.commune_n, "decision_number": "1", "decided_on": "2025-07-01" }), "/recognised_by"),
            (json!({ "recognised_by": world.units.district, "decision_number": "1", "decided_on": "2023-05-19" }), "/decided_on"),
            (json!({ "recognised_by": world.units.province, "decision_number": "1", "decided_on": "2999-01-01" }), "/decided_on"),
            (json!({ "recognised_by": world.units.district, "decision_number": "", "decided_on": "2023-11-02" }), "/decision_number"),
        ] {
            let answer = officer.change(&format!("{path}:recognise"), &submitted.etag(), &decision).await;
            assert_eq!(pointers(answer), [expected], "{decision}");
        }
    }

    async fn lists_are_filtered_and_stay_inside_one_s_subtrees(world: World) {
        load(world).await;
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.province)).await;
        let mut made = Vec::new();
        for (unit, day) in [(units.commune_a, "2022-05-05"), (units.village_b, "2023-12-31"), (units.village_b, "2024-01-01")] {
            made.push(reporter.create("/v1/initiatives", &draft(unit, day)).await.is(201));
        }
        step(&reporter, &made[2], "submit", json!({})).await;
        let all: Vec<String> = made.iter().map(Answer::id).collect();
        let auditor = world.person(Role::Auditor, None).await;
        let committee = world.person(Role::CommuneCommittee, Some(units.commune_b)).await;
        let position = auditor.get("/v1/events?type=initiative.submitted").await.json()["items"][0]["position"].clone();
        for (person, query, expected) in [
            (&auditor, String::new(), vec![0, 1, 2]),
            (&auditor, format!("unit={}&campaign={CAMPAIGN}", units.village_b), vec![1, 2]),
            (&auditor, "state=submitted".to_owned(), vec![2]),
            (&auditor, format!("campaign={CAMPAIGN}&round=mid"), vec![0, 1]),
            (&auditor, format!("changed_since={position}"), vec![2]),
            (&committee, String::new(), vec![1, 2]),
        ] {
            let page = person.get(&format!("/v1/initiatives?{query}")).await.is(200).json();
            let expected: Vec<&str> = expected.into_iter().map(|at: usize| all[at].as_str()).collect();
            assert_eq!(ids(&page), expected, "{query}");
        }
        for bad in ["round=mid".to_owned(), format!("campaign={CAMPAIGN}&round=last"), "state=lost".to_owned()] {
            auditor.get(&format!("/v1/initiatives?{bad}")).await.problem(400, "invalid_query");
        }
    }
}
