//! Attestations: answered by whoever holds the body that day, never by the subject; disputed, revoked, answered anew.

use serde_json::{Value, json};
use thidua::attestations::{AttestationDraft, store};
use thidua::auth::Role;
use thidua::db::{Outcome, WriteTx};
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::campaign::{CAMPAIGN, helped, load};
use crate::support::{Answer, ISSUER, Person, World};

/// Phòng Nội vụ and Phòng LĐTBXH of the shipped campaign, which stand in for each other.
const HOME_AFFAIRS: Uuid = Uuid::from_u128(0x01a2_05b3_d013_7a05_8111_53d8_c6bf_8290);
const LABOUR: Uuid = Uuid::from_u128(0x01a2_05b3_d014_7d1e_b985_0c53_0e4e_e82f);

fn draft(unit: Uuid, statement: &str, answer: &str, day: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "round": "mid", "unit": unit, "statement": statement, "answer": answer,
        "attested_on": day, "evidence": [{ "kind": "list", "number": "03/DS" }], "basis": "Theo lời bà Lò Thị Ở" })
}

/// About village A, as its commune answers.
fn stable(world: &World, answer: &str) -> Value {
    draft(world.units.village_a, "A231stable", answer, "2023-12-20")
}

/// About the enterprise, as a unit answers that received its help.
fn outstanding(world: &World, receiver: Uuid, answer: &str) -> Value {
    but(draft(world.units.enterprise, "S34out", answer, "2023-12-20"), json!({ "receiving_unit": receiver }))
}

fn but(mut draft: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        draft[name] = value.clone();
    }
    draft
}

async fn head(world: &World, unit: Uuid) -> Person<'_> {
    world.person(Role::UnitHead, Some(unit)).await
}

async fn attests(person: &Person<'_>, draft: &Value) -> Answer {
    person.create("/v1/attestations", draft).await
}

async fn state(person: &Person<'_>, unit: Uuid, statement: &str) -> Value {
    let path = format!("/v1/attestations:state?campaign={CAMPAIGN}&round=mid&unit={unit}&statement={statement}");
    person.get(&path).await.is(200).json()
}

async fn revokes(person: &Person<'_>, made: &Answer) -> Answer {
    person.change(&format!("/v1/attestations/{}:revoke", made.id()), &made.etag(), &json!({ "reason": "Nhầm" })).await
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

both_engines! {
    async fn an_answer_is_given_read_revoked_and_given_anew(world: World) {
        load(world).await;
        let commune = head(world, world.units.commune_a).await;
        let made = attests(&commune, &stable(world, "yes")).await.is(201);
        let view = made.json();
        assert_eq!((&view["body"], &view["attester_unit"]), (&json!("ubnd_xa"), &json!(world.units.commune_a)));
        assert_eq!((&view["state"], &view["disputed"], &view["allowed_actions"]), (&json!("valid"), &json!(false), &json!(["revoke"])));
        let path = made.header("location").unwrap().to_owned();
        let read = commune.get(&path).await.is(200);
        assert_eq!((read.text, read.headers["etag"].to_str().unwrap()), (made.text.clone(), made.etag().as_str()));
        let village = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        assert_eq!(village.get(&path).await.is(200).json()["allowed_actions"], json!([]));
        assert_eq!(state(&village, world.units.village_a, "A231stable").await, json!({ "answer": "yes", "attestations": [made.id()] }));
        assert_eq!(state(&village, world.units.village_a, "A233eff").await, json!({ "answer": "unknown", "attestations": [] }));

        let revoked = revokes(&commune, &made).await.is(200);
        assert_eq!((&revoked.json()["state"], &revoked.json()["revoke_reason"]), (&json!("revoked"), &json!("Nhầm")));
        assert_eq!(revoked.json()["allowed_actions"], json!([]));
        assert_eq!(state(&village, world.units.village_a, "A231stable").await["answer"], "unknown");
        revokes(&commune, &revoked).await.problem(409, "invalid_transition");
        let again = attests(&commune, &stable(world, "cannot_say")).await.is(201);
        assert_eq!(state(&village, world.units.village_a, "A231stable").await, json!({ "answer": "unknown", "attestations": [again.id()] }));

        let history = village.get(&format!("{path}/events")).await.is(200);
        let types: Vec<Value> = history.json()["items"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
        assert_eq!(types, ["attestation.attested", "attestation.revoked"]);
        for personal in ["Lò Thị Ở", "Nhầm"] {
            assert!(!history.text.contains(personal), "{personal} stands in an event");
        }
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn whoever_holds_the_body_on_that_day_answers_and_nobody_else(world: World) {
        load(world).await;
        let units = world.units;
        let village = |day| draft(units.village_a, "A231stable", "yes", day);
        let last = |draft: Value| but(draft, json!({ "round": "final" }));
        for (unit, draft, status, code) in [
            (units.village_a, village("2023-12-20"), 403, "separation_of_duties"),
            (units.commune_b, village("2023-12-20"), 403, "forbidden"),
            (units.district, village("2023-12-20"), 403, "forbidden"),
            (units.commune_n, village("2023-12-20"), 403, "forbidden"),
            (units.commune_a, last(village("2025-07-01")), 403, "forbidden"),
            (units.commune_n, last(village("2025-07-01")), 201, ""),
            (HOME_AFFAIRS, draft(units.front, "A211q", "yes", "2023-12-20"), 201, ""),
            (HOME_AFFAIRS, last(draft(units.front, "A211q", "no", "2025-07-01")), 409, "no_holder"),
            (HOME_AFFAIRS, draft(HOME_AFFAIRS, "A211q", "yes", "2023-12-20"), 403, "separation_of_duties"),
            (units.home_affairs, draft(HOME_AFFAIRS, "A211q", "yes", "2023-12-20"), 403, "forbidden"),
            (LABOUR, draft(HOME_AFFAIRS, "A211q", "yes", "2023-12-20"), 201, ""),
        ] {
            let person = head(world, unit).await;
            let answer = attests(&person, &draft).await;
            assert_eq!(answer.status, status, "{draft}: {}", answer.text);
            if status != 201 {
                answer.problem(status, code);
            }
        }
        let committee = world.person(Role::CommuneCommittee, Some(units.commune_a)).await;
        attests(&committee, &village("2023-12-20")).await.problem(403, "forbidden");
        world.nobody().create("/v1/attestations", &village("2023-12-20")).await.problem(401, "unauthenticated");
    }

    async fn a_head_of_the_subject_neither_attests_nor_revokes_as_head_of_another_unit(world: World) {
        load(world).await;
        let commune = head(world, world.units.commune_a).await;
        let made = attests(&commune, &stable(world, "yes")).await.is(201);
        let both = thidua::grants::GrantDraft {
            issuer: ISSUER.into(),
            subject: format!("unit_head-{}", world.units.commune_a),
            label: None,
            role: Role::UnitHead,
            unit: Some(world.units.village_a),
            valid_from: None,
            valid_to: None,
        };
        thidua::commands::grant::give(&world.db, &both).await.unwrap();
        assert_eq!(commune.get(&format!("/v1/attestations/{}", made.id())).await.json()["allowed_actions"], json!([]));
        revokes(&commune, &made).await.problem(403, "separation_of_duties");
        attests(&commune, &draft(world.units.village_a, "A233eff", "yes", "2023-12-20")).await.problem(403, "separation_of_duties");
    }

    async fn what_cannot_be_is_refused_with_a_pointer(world: World) {
        load(world).await;
        let units = world.units;
        let commune = head(world, units.commune_a).await;
        for (members, status, pointer) in [
            (json!({ "campaign": Uuid::nil() }), 422, "/campaign"),
            (json!({ "round": "middle" }), 422, "/round"),
            (json!({ "unit": Uuid::nil() }), 422, "/unit"),
            (json!({ "statement": "A999" }), 422, "/statement"),
            (json!({ "statement": "A221eff" }), 422, "/statement"),
            (json!({ "statement": "X_tw" }), 422, "/statement"),
            (json!({ "statement": "" }), 422, "/statement"),
            (json!({ "attested_on": "2999-01-01" }), 422, "/attested_on"),
            (json!({ "attested_on": "2024-01-01" }), 422, "/attested_on"),
            (json!({ "attested_on": "2026-01-01", "round": "final" }), 422, "/attested_on"),
            (json!({ "attested_on": "2020-12-31" }), 422, "/attested_on"),
            (json!({ "attested_on": "2023-02-30" }), 400, "/attested_on"),
            (json!({ "answer": "maybe" }), 400, "/answer"),
            (json!({ "evidence": [] }), 422, "/evidence"),
            (json!({ "evidence": [{ "kind": "photo", "sha256": "x" }] }), 422, "/evidence/0/sha256"),
            (json!({ "evidence": [{ "kind": "rumour" }] }), 400, "/evidence/0/kind"),
            (json!({ "receiving_unit": units.commune_a }), 422, "/receiving_unit"),
            (json!({ "statement": "S34out" }), 422, "/receiving_unit"),
            (json!({ "statement": "S34out", "receiving_unit": Uuid::nil() }), 422, "/receiving_unit"),
        ] {
            let answer = attests(&commune, &but(stable(world, "yes"), members.clone())).await.is(status);
            assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{members}");
        }
        let itself = outstanding(world, units.enterprise, "yes");
        attests(&commune, &itself).await.problem(403, "separation_of_duties");
        for (query, pointer) in [
            (format!("campaign={}&round=mid&unit={}&statement=A231stable", Uuid::nil(), units.village_a), "query/campaign"),
            (format!("campaign={CAMPAIGN}&round=x&unit={}&statement=A231stable", units.village_a), "query/round"),
            (format!("campaign={CAMPAIGN}&round=mid&unit={}&statement=A999", units.village_a), "query/statement"),
        ] {
            let refused = commune.get(&format!("/v1/attestations:state?{query}")).await.problem(400, "invalid_query");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        }
    }

    async fn a_holder_answers_once_until_it_revokes(world: World) {
        load(world).await;
        let commune = head(world, world.units.commune_a).await;
        let drafts = ["yes", "no", "yes", "no", "yes", "no"].map(|answer| stable(world, answer));
        let answers = futures_util::future::join_all(drafts.iter().map(|draft| attests(&commune, draft))).await;
        let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(made.len(), 1, "one answer at a time");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            let refused = answer.clone().problem(409, "already_exists");
            assert_eq!(refused.json()["attestation"], json!(made[0].id()));
        }
        let first = commune.create_as("/v1/attestations", "k", &draft(world.units.village_a, "A233eff", "yes", "2023-12-20")).await.is(201);
        let replayed = commune.create_as("/v1/attestations", "k", &draft(world.units.village_a, "A233eff", "yes", "2023-12-20")).await.is(201);
        assert_eq!((first.text, replayed.header("idempotency-replayed")), (replayed.text.clone(), Some("true")));
        let stale = commune.change(&format!("/v1/attestations/{}:revoke", made[0].id()), "\"9\"", &json!({ "reason": "x" })).await;
        stale.problem(412, "precondition_failed");
    }

    async fn contradicting_answers_are_disputed_until_one_is_revoked(world: World) {
        load(world).await;
        let units = world.units;
        let (one, other) = (head(world, units.village_a).await, head(world, units.village_b).await);
        let nothing = attests(&one, &outstanding(world, units.village_a, "yes")).await.problem(422, "invalid_value");
        assert_eq!(nothing.json()["errors"][0]["pointer"], "/receiving_unit", "it has received nothing yet");
        helped(world, units.village_a).await;
        helped(world, units.village_b).await;
        let yes = attests(&one, &outstanding(world, units.village_a, "yes")).await.is(201);
        let no = attests(&other, &outstanding(world, units.village_b, "no")).await.is(201);
        assert_eq!((&yes.json()["disputed"], &no.json()["disputed"]), (&json!(false), &json!(true)));
        let auditor = world.person(Role::Auditor, None).await;
        let both = auditor.get("/v1/attestations").await.is(200).json();
        assert_eq!(ids(&both), [yes.id(), no.id()]);
        assert!(both["items"].as_array().unwrap().iter().all(|item| item["disputed"] == true), "{both}");
        let giver = world.person(Role::UnitReporter, Some(units.enterprise)).await;
        assert_eq!(state(&giver, units.enterprise, "S34out").await, json!({ "answer": "disputed", "attestations": [yes.id(), no.id()] }));
        assert_eq!(revokes(&other, &no).await.is(200).json()["disputed"], false);
        assert_eq!(state(&giver, units.enterprise, "S34out").await, json!({ "answer": "yes", "attestations": [yes.id()] }));
        assert_eq!(giver.get(&format!("/v1/attestations/{}", yes.id())).await.is(200).json()["disputed"], false);
    }

    async fn what_lies_after_the_cut_off_counts_nowhere(world: World) {
        load(world).await;
        let (village, commune) = (world.units.village_a, world.units.commune_a);
        let yes = attests(&head(world, commune).await, &stable(world, "yes")).await.is(201);
        // As it would stand there if the cut-off had been moved forward since.
        let late: AttestationDraft =
            serde_json::from_value(draft(village, "A231stable", "no", "2024-01-01")).unwrap();
        let console = thidua::commands::grant::console();
        let late = world.db.record(&console, async |tx: &WriteTx<'_>| {
            Ok(Outcome::Changed(store::attest(tx, &late, "ubnd_xa", world.units.commune_b).await?))
        });
        let late = late.await.unwrap().id;
        let auditor = world.person(Role::Auditor, None).await;
        let said = json!({ "answer": "yes", "attestations": [yes.id()] });
        assert_eq!(state(&auditor, village, "A231stable").await, said);
        for id in [yes.id(), late.to_string()] {
            assert_eq!(auditor.get(&format!("/v1/attestations/{id}")).await.is(200).json()["disputed"], false, "{id}");
        }
        let ask = json!({ "campaign": CAMPAIGN, "round": "mid", "scope": { "subjects": [village] } });
        let answer = auditor.post("/v1/recommendations", &ask).await.is(200).json();
        let criteria = answer["subjects"][0]["criteria"].as_array().unwrap();
        let criterion = criteria.iter().find(|criterion| criterion["id"] == "III.2.3.a").unwrap();
        assert_eq!(criterion["steps"][1]["computed"]["answer"], "yes", "the rules say the same: {criterion}");
    }

    async fn subject_and_attester_see_it_and_lists_are_narrowed(world: World) {
        load(world).await;
        let units = world.units;
        let receiver = head(world, units.village_b).await;
        helped(world, units.village_b).await;
        let given = attests(&receiver, &outstanding(world, units.village_b, "yes")).await.is(201).id();
        let commune = head(world, units.commune_a).await;
        let stable = attests(&commune, &stable(world, "yes")).await.is(201).id();
        for (unit, sees) in [
            (units.village_a, vec![&stable]),
            (units.commune_a, vec![&stable]),
            (units.village_b, vec![&given]),
            (units.enterprise, vec![&given]),
            (units.commune_n, vec![&given, &stable]),
            (units.front, vec![]),
        ] {
            let reporter = world.person(Role::UnitReporter, Some(unit)).await;
            assert_eq!(ids(&reporter.get("/v1/attestations").await.is(200).json()), sees, "{unit}");
            for id in [&given, &stable] {
                let expected = if sees.contains(&id) { 200 } else { 404 };
                reporter.get(&format!("/v1/attestations/{id}")).await.is(expected);
                reporter.get(&format!("/v1/attestations/{id}/events")).await.is(expected);
            }
        }
        let front = world.person(Role::UnitReporter, Some(units.front)).await;
        let state = format!("/v1/attestations:state?campaign={CAMPAIGN}&round=mid&unit={}&statement=A231stable", units.village_a);
        front.get(&state).await.problem(404, "not_found");
        let auditor = world.person(Role::Auditor, None).await;
        let events = auditor.get("/v1/events?type=attestation.attested").await.json();
        let second = events["items"][1]["position"].as_i64().unwrap();
        for (query, found) in [
            (format!("unit={}", units.village_a), vec![&stable]),
            ("statement=S34out".to_owned(), vec![&given]),
            (format!("campaign={CAMPAIGN}&round=mid&state=valid"), vec![&given, &stable]),
            (format!("campaign={CAMPAIGN}&round=final"), vec![]),
            ("state=revoked".to_owned(), vec![]),
            (format!("campaign={CAMPAIGN}"), vec![&given, &stable]),
            (format!("campaign={}", Uuid::nil()), vec![]),
            (format!("changed_since={second}"), vec![&stable]),
            ("limit=1".to_owned(), vec![&given]),
        ] {
            assert_eq!(ids(&auditor.get(&format!("/v1/attestations?{query}")).await.is(200).json()), found, "{query}");
        }
    }

    async fn whoever_holds_the_body_today_may_revoke(world: World) {
        load(world).await;
        let units = world.units;
        let made = attests(&head(world, units.commune_a).await, &stable(world, "no")).await.is(201);
        let path = format!("/v1/attestations/{}", made.id());
        for unit in [units.village_a, units.district] {
            let other = head(world, unit).await;
            assert_eq!(other.get(&path).await.is(200).json()["allowed_actions"], json!([]), "{unit}");
            revokes(&other, &made).await.problem(403, "forbidden");
        }
        revokes(&head(world, units.village_b).await, &made).await.problem(404, "not_found");
        let successor = head(world, units.commune_n).await;
        let listed = successor.get("/v1/attestations").await.is(200).json();
        assert_eq!(listed["items"][0]["allowed_actions"], json!(["revoke"]));
        revokes(&successor, &made).await.is(200);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
