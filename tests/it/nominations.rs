//! Nominations: filed by the unit or one above it, or by whoever received its help; submitted, returned, withdrawn.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::campaign::{CAMPAIGN, helped, load};
use crate::support::{Answer, Person, World};

fn draft(unit: Uuid, nominator: Uuid) -> Value {
    json!({ "campaign": CAMPAIGN, "round": "mid", "unit": unit, "award_form": "giay_khen_huyen",
        "nominator_unit": nominator, "filed_on": "2023-12-25", "achievement": "Bà Lò Thị Ở giúp 12 hộ",
        "evidence": [{ "kind": "figures", "number": "15/BC" }] })
}

fn but(mut draft: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        draft[name] = value.clone();
    }
    draft
}

/// Village B nominates the enterprise that helped it.
fn special(world: &World) -> Value {
    but(
        draft(world.units.enterprise, world.units.village_b),
        json!({ "path": "special", "award_form": "huan_chuong_ld" }),
    )
}

async fn file(person: &Person<'_>, draft: &Value) -> Answer {
    person.create("/v1/nominations", draft).await
}

async fn step(person: &Person<'_>, before: &Answer, verb: &str, body: Value) -> Answer {
    person.change(&format!("/v1/nominations/{}:{verb}", before.id()), &before.etag(), &body).await
}

fn reason() -> Value {
    json!({ "reason": "Thiếu biên bản của Quàng Văn Ẩm" })
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

both_engines! {
    async fn a_nomination_is_filed_amended_submitted_returned_and_submitted_again(world: World) {
        load(world).await;
        let committee = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
        let office = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        let made = file(&committee, &draft(world.units.village_a, world.units.commune_a)).await.is(201);
        assert_eq!((&made.json()["state"], &made.json()["path"]), (&json!("draft"), &json!("normal")));
        assert_eq!(made.json()["allowed_actions"], json!(["amend", "submit", "withdraw"]));
        let content = json!({ "achievement": "Bà Lò Thị Ở giúp 13 hộ" });
        let amended = step(&committee, &made, "amend", content.clone()).await.is(200);
        assert_eq!((&amended.json()["achievement"], &amended.json()["evidence"]), (&json!("Bà Lò Thị Ở giúp 13 hộ"), &json!([])));
        step(&committee, &made, "submit", json!({})).await.problem(412, "precondition_failed");
        step(&office, &amended, "submit", json!({})).await.problem(403, "forbidden");
        let early = step(&office, &amended, "return", reason()).await.problem(409, "invalid_transition");
        assert_eq!(early.json()["allowed_actions"], json!([]));
        let submitted = step(&committee, &amended, "submit", json!({})).await.is(200);
        assert_eq!(submitted.json()["submitted_by"], json!(committee.account));
        step(&committee, &submitted, "amend", content.clone()).await.problem(409, "invalid_transition");
        step(&committee, &submitted, "return", reason()).await.problem(403, "forbidden");
        let returned = step(&office, &submitted, "return", reason()).await.is(200);
        assert_eq!((&returned.json()["state"], &returned.json()["return_reason"]), (&json!("returned"), &reason()["reason"]));
        let amended = step(&committee, &returned, "amend", json!({ "achievement": "Bà Lò Thị Ở giúp 14 hộ" })).await.is(200);
        assert_eq!(amended.json()["state"], "returned");
        let again = step(&committee, &amended, "submit", json!({})).await.is(200);
        assert_eq!((&again.json()["state"], &again.json()["return_reason"]), (&json!("submitted"), &Value::Null));
        let withdrawn = step(&committee, &again, "withdraw", reason()).await.is(200);
        assert_eq!((&withdrawn.json()["state"], &withdrawn.json()["allowed_actions"]), (&json!("withdrawn"), &json!([])));
        step(&committee, &withdrawn, "submit", json!({})).await.problem(409, "invalid_transition");

        let history = office.get(&format!("/v1/nominations/{}/events", made.id())).await.is(200);
        let types: Vec<String> = history.json()["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
        let verbs = ["filed", "amended", "submitted", "returned", "amended", "submitted", "withdrawn"];
        assert_eq!(types, verbs.map(|verb| format!("nomination.{verb}")));
        for personal in ["Lò Thị Ở", "Quàng Văn Ẩm"] {
            assert!(!history.text.contains(personal), "{personal} stands in an event");
        }
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn whoever_submits_cannot_return(world: World) {
        load(world).await;
        let office = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        let both = thidua::grants::GrantDraft {
            issuer: crate::support::ISSUER.into(),
            subject: format!("home_affairs-{}", world.units.district),
            label: None,
            role: Role::UnitHead,
            unit: Some(world.units.district),
            valid_from: None,
            valid_to: None,
        };
        thidua::commands::grant::give(&world.db, &both).await.unwrap();
        let made = file(&office, &draft(world.units.village_a, world.units.district)).await.is(201);
        let submitted = step(&office, &made, "submit", json!({})).await.is(200);
        assert_eq!(submitted.json()["allowed_actions"], json!(["withdraw"]));
        step(&office, &submitted, "return", reason()).await.problem(403, "separation_of_duties");
        let secretary = world.person(Role::CouncilSecretary, Some(world.units.province)).await;
        step(&secretary, &submitted, "return", reason()).await.is(200);
    }

    async fn a_unit_nominates_itself_and_what_stands_below_it(world: World) {
        load(world).await;
        let units = world.units;
        for (role, at, unit, nominator, status) in [
            (Role::UnitHead, units.village_a, units.village_a, units.village_a, 201),
            (Role::UnitHead, units.village_a, units.village_a, units.commune_a, 403),
            (Role::UnitHead, units.village_a, units.commune_a, units.commune_a, 404),
            (Role::UnitHead, units.commune_a, units.village_b, units.commune_a, 404),
            (Role::UnitHead, units.commune_a, units.commune_a, units.village_a, 422),
            (Role::UnitHead, units.commune_a, units.commune_a, units.front, 422),
            (Role::FrontOfficer, units.district, units.enterprise, units.district, 201),
            (Role::HomeAffairs, units.district, units.enterprise, units.district, 403),
        ] {
            let person = world.person(role, Some(at)).await;
            let answer = file(&person, &draft(unit, nominator)).await;
            assert_eq!(answer.status, status, "{role} {at} {unit} {nominator}: {}", answer.text);
        }
        // The unit that followed another files for it, from its first day on.
        let head = world.person(Role::UnitHead, Some(units.commune_n)).await;
        for (filed_on, status) in [("2025-06-30", 422), ("2025-07-01", 201)] {
            let members = json!({ "filed_on": filed_on, "award_form": "bang_khen_tinh" });
            file(&head, &but(draft(units.commune_a, units.commune_n), members)).await.is(status);
        }
        world.nobody().create("/v1/nominations", &draft(units.village_a, units.village_a)).await.problem(401, "unauthenticated");
    }

    async fn on_the_special_path_the_receiver_files_for_the_giver(world: World) {
        load(world).await;
        let units = world.units;
        let receiver = world.person(Role::UnitHead, Some(units.village_b)).await;
        let pointer = |answer: Answer| answer.problem(422, "invalid_value").json()["errors"][0]["pointer"].clone();
        assert_eq!(pointer(file(&receiver, &but(special(world), json!({ "path": "normal" }))).await), "/award_form");
        let own = but(special(world), json!({ "unit": units.village_b }));
        assert_eq!(pointer(file(&receiver, &own).await), "/nominator_unit");
        let anybody = but(special(world), json!({ "unit": units.province }));
        assert_eq!(pointer(file(&receiver, &anybody).await), "/nominator_unit", "open to subjects of no category");
        let stranger = world.person(Role::UnitHead, Some(units.village_a)).await;
        file(&stranger, &special(world)).await.problem(404, "not_found");
        assert_eq!(pointer(file(&receiver, &special(world)).await), "/nominator_unit", "it has received nothing yet");
        helped(world, units.village_b).await;
        let made = file(&receiver, &special(world)).await.is(201);
        assert_eq!(made.json()["allowed_actions"], json!(["amend", "submit", "withdraw"]));
        let submitted = step(&receiver, &made, "submit", json!({})).await.is(200);
        let giver = world.person(Role::UnitHead, Some(units.enterprise)).await;
        let path = format!("/v1/nominations/{}", made.id());
        assert_eq!(giver.get(&path).await.is(200).json()["allowed_actions"], json!([]));
        step(&giver, &submitted, "withdraw", reason()).await.problem(403, "forbidden");
        // The reviewer of the receiver's place sees it, wherever the giver is from.
        let office = world.person(Role::HomeAffairs, Some(units.commune_b)).await;
        assert_eq!(office.get(&path).await.is(200).json()["allowed_actions"], json!(["return"]));
        assert_eq!(ids(&office.get("/v1/nominations").await.json()), [made.id()]);
        step(&office, &submitted, "return", reason()).await.is(200);
        stranger.get(&path).await.problem(404, "not_found");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_cannot_be_is_refused_with_a_pointer(world: World) {
        load(world).await;
        let units = world.units;
        let head = world.person(Role::UnitHead, Some(units.province)).await;
        for (members, status, pointer) in [
            (json!({ "campaign": Uuid::nil() }), 422, "/campaign"),
            (json!({ "round": "middle" }), 422, "/round"),
            (json!({ "unit": Uuid::nil() }), 422, "/unit"),
            (json!({ "unit": units.commune_n }), 422, "/unit"),
            (json!({ "round": "final", "unit": units.commune_a }), 422, "/unit"),
            // No category of the plan has a province or a district.
            (json!({ "unit": units.province, "nominator_unit": units.province }), 422, "/unit"),
            (json!({ "unit": units.district, "nominator_unit": units.province }), 422, "/unit"),
            (json!({ "award_form": "nobel" }), 422, "/award_form"),
            (json!({ "award_form": "nobel", "path": "special" }), 422, "/award_form"),
            (json!({ "award_form": "huan_chuong_ld" }), 422, "/award_form"),
            // Nobody confers it since the district ended; the day before that somebody did.
            (json!({ "filed_on": "2025-07-01" }), 422, "/award_form"),
            (json!({ "filed_on": "2025-07-01", "path": "special" }), 422, "/award_form"),
            (json!({ "nominator_unit": Uuid::nil() }), 422, "/nominator_unit"),
            // There is no such commune yet.
            (json!({ "nominator_unit": units.commune_n }), 422, "/nominator_unit"),
            (json!({ "filed_on": "2999-01-01" }), 422, "/filed_on"),
            (json!({ "filed_on": "2020-12-31" }), 422, "/filed_on"),
            (json!({ "achievement": "" }), 422, "/achievement"),
            (json!({ "achievement": "ế".repeat(20001) }), 422, "/achievement"),
            (json!({ "achievement": null }), 400, "/achievement"),
            (json!({ "path": "secret" }), 400, "/path"),
            (json!({ "evidence": [{ "kind": "rumour" }] }), 400, "/evidence/0/kind"),
        ] {
            let answer = file(&head, &but(draft(units.village_a, units.commune_a), members.clone())).await.is(status);
            assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{members}");
        }
        let longest = but(draft(units.village_a, units.province), json!({ "achievement": "ế".repeat(20000), "filed_on": null, "award_form": "bang_khen_tinh" }));
        let made = file(&head, &longest).await.is(201);
        assert_eq!(step(&head, &made, "withdraw", json!({ "reason": "" })).await.problem(422, "invalid_value").json()["errors"][0]["pointer"], "/reason");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn one_nomination_stands_for_a_subject_a_round_and_a_form(world: World) {
        load(world).await;
        let units = world.units;
        let head = world.person(Role::UnitHead, Some(units.commune_a)).await;
        let draft = draft(units.village_a, units.commune_a);
        let answers = futures_util::future::join_all((0..6).map(|_| file(&head, &draft))).await;
        let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(made.len(), 1, "one stands");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            answer.clone().problem(409, "already_exists");
        }
        let other = but(draft.clone(), json!({ "award_form": "bang_khen_tinh" }));
        let first = head.create_as("/v1/nominations", "k", &other).await.is(201);
        let replayed = head.create_as("/v1/nominations", "k", &other).await.is(201);
        assert_eq!((&first.text, replayed.header("idempotency-replayed")), (&replayed.text, Some("true")));
        step(&head, made[0], "withdraw", reason()).await.is(200);
        file(&head, &draft).await.is(201);
    }

    async fn nominations_are_seen_inside_one_s_subtrees_and_lists_are_narrowed(world: World) {
        load(world).await;
        let units = world.units;
        let head = world.person(Role::UnitHead, Some(units.province)).await;
        let a = file(&head, &draft(units.village_a, units.commune_a)).await.is(201).id();
        let b = but(draft(units.village_b, units.commune_b), json!({ "round": "final", "award_form": "bang_khen_ttg" }));
        let b = file(&head, &b).await.is(201);
        step(&head, &b, "submit", json!({})).await.is(200);
        let b = b.id();
        for (unit, sees) in [
            (units.village_a, vec![&a]),
            (units.commune_a, vec![&a]),
            (units.commune_b, vec![&b]),
            (units.commune_n, vec![&a, &b]),
            (units.front, vec![]),
        ] {
            let reporter = world.person(Role::UnitReporter, Some(unit)).await;
            assert_eq!(ids(&reporter.get("/v1/nominations").await.is(200).json()), sees, "{unit}");
            for id in [&a, &b] {
                let expected = if sees.contains(&id) { 200 } else { 404 };
                reporter.get(&format!("/v1/nominations/{id}")).await.is(expected);
                reporter.get(&format!("/v1/nominations/{id}/events")).await.is(expected);
            }
        }
        let auditor = world.person(Role::Auditor, None).await;
        let events = auditor.get("/v1/events?type=nomination.filed").await.json();
        let second = events["items"][1]["position"].as_i64().unwrap();
        for (query, found) in [
            (format!("unit={}", units.village_a), vec![&a]),
            ("state=submitted".to_owned(), vec![&b]),
            (format!("campaign={CAMPAIGN}&round=mid"), vec![&a]),
            ("award_form=bang_khen_ttg".to_owned(), vec![&b]),
            (format!("campaign={CAMPAIGN}"), vec![&a, &b]),
            (format!("campaign={}", Uuid::nil()), vec![]),
            (format!("changed_since={second}"), vec![&b]),
        ] {
            assert_eq!(ids(&auditor.get(&format!("/v1/nominations?{query}")).await.is(200).json()), found, "{query}");
        }
    }
}
