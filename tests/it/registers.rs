//! Registers: closed by their owner per unit and round, reopened with a reason; closed, they have no room for entries.

use serde_json::{Value, json};
use thidua::auth::Role;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::Person;
use crate::support::campaign::{self, BANK, CAMPAIGN};

fn register(unit: Uuid, round: &str, name: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "unit": unit, "round": round, "name": name })
}

fn regulation(unit: Uuid, observed_on: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "unit": unit, "name": "regulation", "observed_on": observed_on,
        "content": { "fields": { "kind": "revolving_capital" }, "evidence": [{ "kind": "document", "number": "1/QC" }] } })
}

fn obligation(unit: Uuid, due_on: &str) -> Value {
    json!({ "campaign": CAMPAIGN, "unit": unit,
        "terms": { "kind": "settlement", "title": "Quyết toán", "due_on": due_on } })
}

both_engines! {
    async fn a_register_is_closed_reopened_and_closed_again_by_its_owner(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let owner = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
        let labour = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let body = register(village, "mid", "regulation");
        labour.create("/v1/registers", &body).await.problem(403, "forbidden");
        let elsewhere = world.person(Role::CommuneCommittee, Some(world.units.commune_b)).await;
        elsewhere.create("/v1/registers", &body).await.problem(404, "not_found");
        let made = owner.create("/v1/registers", &body).await.is(201);
        let view = made.json();
        assert_eq!((&view["state"], &view["cut_off"], &view["owner"]), (&json!("closed"), &json!("2023-12-31"), &json!("ubnd_xa")));
        assert_eq!(view["allowed_actions"], json!(["reopen"]));
        owner.create("/v1/registers", &body).await.problem(409, "already_exists");
        // At the final cut-off the village stands under the new commune.
        let successor = world.person(Role::CommuneCommittee, Some(world.units.commune_n)).await;
        owner.create("/v1/registers", &register(village, "final", "regulation")).await.problem(404, "not_found");
        successor.create("/v1/registers", &register(village, "final", "regulation")).await.is(201);

        let path = made.header("location").unwrap().to_owned();
        let reason = json!({ "reason": "Còn sót quy chế của ông Lò Văn Ở" });
        assert_eq!(labour.get(&path).await.is(200).json()["allowed_actions"], json!([]));
        labour.change(&format!("{path}:reopen"), &made.etag(), &reason).await.problem(403, "forbidden");
        let reopened = owner.change(&format!("{path}:reopen"), &made.etag(), &reason).await.is(200);
        assert_eq!((&reopened.json()["closed_on"], &reopened.json()["allowed_actions"]), (&json!(null), &json!(["reclose"])));
        owner.change(&format!("{path}:reopen"), &reopened.etag(), &reason).await.problem(409, "invalid_transition");
        owner.change(&format!("{path}:reclose"), &made.etag(), &json!({})).await.problem(412, "precondition_failed");
        let reclosed = owner.change(&format!("{path}:reclose"), &reopened.etag(), &json!({})).await.is(200);
        assert_eq!((&reclosed.json()["state"], &reclosed.json()["change_reason"]), (&json!("closed"), &reason["reason"]));

        let history = labour.get(&format!("{path}/events")).await.is(200);
        let types: Vec<String> = history.json()["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(types, ["register.closed", "register.reopened", "register.reclosed"]);
        assert!(!history.text.contains("Lò Văn Ở"), "the reason stands in an event");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn a_closed_register_has_no_room_for_entries_up_to_its_cut_off(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(village)).await;
        let owner = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
        let entry = reporter.create("/v1/observations", &regulation(village, "2023-06-01")).await.is(201);
        let closed = owner.create("/v1/registers", &register(village, "mid", "regulation")).await.is(201);
        let refused = reporter.create("/v1/observations", &regulation(village, "2023-12-31")).await.problem(409, "register_closed");
        assert_eq!((&refused.json()["register"], &refused.json()["round"]), (&json!(closed.id()), &json!("mid")));
        reporter.create("/v1/observations", &regulation(village, "2024-01-01")).await.is(201);
        // Another kind and another unit have registers of their own.
        let mut linkage = regulation(village, "2023-06-01");
        linkage["name"] = json!("linkage");
        linkage["content"]["fields"]["kind"] = json!("other");
        reporter.create("/v1/observations", &linkage).await.is(201);
        let path = format!("/v1/observations/{}", entry.id());
        for (person, verb, body) in [
            (&reporter, "amend", json!({ "content": { "fields": {} } })),
            (&reporter, "withdraw", json!({ "reason": "Nhầm" })),
            (&owner, "confirm", json!({})),
        ] {
            person.change(&format!("{path}:{verb}"), &entry.etag(), &body).await.problem(409, "register_closed");
        }
        let reopen = format!("/v1/registers/{}:reopen", closed.id());
        owner.change(&reopen, &closed.etag(), &json!({ "reason": "Còn sót" })).await.is(200);
        owner.change(&format!("{path}:confirm"), &entry.etag(), &json!({})).await.is(200);
        // The final round's register reaches back.
        let successor = world.person(Role::CommuneCommittee, Some(world.units.commune_n)).await;
        successor.create("/v1/registers", &register(village, "final", "regulation")).await.is(201);
        reporter.create("/v1/observations", &regulation(village, "2023-06-01")).await.problem(409, "register_closed");
    }

    async fn a_closed_register_of_obligations_has_none_either(world: World) {
        campaign::load(world).await;
        let unit = world.units.commune_a;
        let office = world.person(Role::HomeAffairs, Some(world.units.district)).await;
        let early = office.create("/v1/obligations", &obligation(unit, "2023-12-15")).await.is(201);
        let late = office.create("/v1/obligations", &obligation(unit, "2024-06-15")).await.is(201);
        let actions = async |id: String| office.get(&format!("/v1/obligations/{id}")).await.is(200).json()["allowed_actions"].clone();
        assert_eq!(actions(early.id()).await, json!(["amend", "fulfil", "cancel"]));
        office.create("/v1/registers", &register(unit, "mid", "obligation")).await.is(201);
        assert_eq!(actions(early.id()).await, json!([]), "what the closed register refuses is not offered");
        assert_eq!(actions(late.id()).await, json!(["amend", "fulfil", "cancel"]), "dated after the cut-off");
        office.create("/v1/obligations", &obligation(unit, "2023-12-15")).await.problem(409, "register_closed");
        let reason = json!({ "reason": "Không yêu cầu nữa" });
        office.change(&format!("/v1/obligations/{}:cancel", early.id()), &early.etag(), &reason).await.problem(409, "register_closed");
        // Nothing slips in by moving its last day.
        let moved = json!({ "terms": { "kind": "settlement", "title": "Quyết toán", "due_on": "2023-12-31" } });
        office.change(&format!("/v1/obligations/{}:amend", late.id()), &late.etag(), &moved).await.problem(409, "register_closed");
        office.change(&format!("/v1/obligations/{}:cancel", late.id()), &late.etag(), &reason).await.is(200);
    }

    async fn an_entry_and_a_closing_at_once_never_both_win_unseen(world: World) {
        campaign::load(world).await;
        let village = world.units.village_a;
        let reporter = world.person(Role::UnitReporter, Some(village)).await;
        let owner = world.person(Role::CommuneCommittee, Some(world.units.commune_a)).await;
        let entries = futures_util::future::join_all((0..6).map(|_| async {
            reporter.create("/v1/observations", &regulation(village, "2023-06-01")).await
        }));
        let close = async { owner.create("/v1/registers", &register(village, "mid", "regulation")).await };
        let (entries, closed) = futures_util::future::join(entries, close).await;
        closed.is(201);
        // In the log no entry stands behind the closing.
        let auditor = world.person(Role::Auditor, None).await;
        let log = auditor.get("/v1/events?limit=200&order=desc").await.is(200).json();
        let newest = log["items"].as_array().unwrap().iter().find(|event| event["unit"] == json!(village));
        let newest = newest.unwrap()["type"].as_str().unwrap().to_owned();
        let refused = entries.iter().filter(|answer| answer.status == 409).count();
        let written = entries.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((newest.as_str(), refused + written), ("register.closed", 6));
    }

    async fn a_successor_s_closed_register_has_no_room_for_its_predecessors_entries(world: World) {
        campaign::load(world).await;
        let units = world.units;
        let office = world.person(Role::HomeAffairs, Some(units.province)).await;
        let reporter = world.person(Role::UnitReporter, Some(units.commune_a)).await;
        let owed = office.create("/v1/obligations", &obligation(units.commune_a, "2024-06-15")).await.is(201);
        let committee = world.person(Role::CommuneCommittee, Some(units.commune_n)).await;
        let closed = office.create("/v1/registers", &register(units.commune_n, "final", "obligation")).await.is(201);
        let refused = office.create("/v1/obligations", &obligation(units.commune_a, "2024-10-01")).await;
        assert_eq!(refused.problem(409, "register_closed").json()["register"], json!(closed.id()));
        office.create("/v1/obligations", &obligation(units.commune_b, "2024-10-01")).await.problem(409, "register_closed");
        let path = format!("/v1/obligations/{}:cancel", owed.id());
        let reason = json!({ "reason": "Không yêu cầu nữa" });
        office.change(&path, &owed.etag(), &reason).await.problem(409, "register_closed");
        // Other registers of the successor, and registers of others, say nothing about it.
        reporter.create("/v1/observations", &regulation(units.commune_a, "2024-06-01")).await.is(201);
        committee.create("/v1/registers", &register(units.commune_n, "final", "regulation")).await.is(201);
        reporter.create("/v1/observations", &regulation(units.commune_a, "2024-06-01")).await.problem(409, "register_closed");
        office.create("/v1/obligations", &obligation(units.enterprise, "2024-10-01")).await.is(201);

        let reopen = format!("/v1/registers/{}:reopen", closed.id());
        office.change(&reopen, &closed.etag(), &json!({ "reason": "Còn sót" })).await.is(200);
        office.change(&path, &owed.etag(), &reason).await.is(200);
    }

    async fn a_predecessor_s_entry_and_its_successor_s_closing_never_both_win_unseen(world: World) {
        campaign::load(world).await;
        let (old, new) = (world.units.commune_a, world.units.commune_n);
        let reporter = world.person(Role::UnitReporter, Some(old)).await;
        let owner = world.person(Role::CommuneCommittee, Some(new)).await;
        let entries = futures_util::future::join_all((0..6).map(|_| async {
            reporter.create("/v1/observations", &regulation(old, "2023-06-01")).await
        }));
        let close = async { owner.create("/v1/registers", &register(new, "final", "regulation")).await };
        let (entries, closed) = futures_util::future::join(entries, close).await;
        closed.is(201);
        let auditor = world.person(Role::Auditor, None).await;
        let log = auditor.get("/v1/events?limit=200&order=desc").await.is(200).json();
        let of_either = |event: &&Value| event["unit"] == json!(old) || event["unit"] == json!(new);
        let newest = log["items"].as_array().unwrap().iter().find(of_either).unwrap()["type"].clone();
        let refused = entries.iter().filter(|answer| answer.status == 409).count();
        let written = entries.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((newest, refused + written), (json!("register.closed"), 6));
    }

    async fn owners_and_names_follow_the_rule_set(world: World) {
        campaign::load(world).await;
        let units = world.units;
        let front = world.person(Role::FrontOfficer, Some(units.district)).await;
        let home_affairs = world.person(Role::HomeAffairs, Some(units.district)).await;
        let committee = world.person(Role::CommuneCommittee, Some(units.commune_a)).await;
        let bank = world.person(Role::UnitHead, Some(BANK)).await;
        for (name, owner) in [
            ("mobilised_vnd", &front),
            ("contribution_vnd", &front),
            ("initiative", &home_affairs),
            ("obligation", &home_affairs),
            ("policy_review", &home_affairs),
            ("support_activity", &committee),
            ("exit_registration", &committee),
            ("linkage", &committee),
            ("loan", &bank),
        ] {
            let body = register(units.village_a, "mid", name);
            for other in [&front, &home_affairs, &committee].into_iter().filter(|other| other.account != owner.account) {
                other.create("/v1/registers", &body).await.problem(403, "forbidden");
            }
            owner.create("/v1/registers", &body).await.is(201);
        }
        bank.create("/v1/registers", &register(units.village_a, "mid", "linkage")).await.problem(404, "not_found");
        for (round, name, pointer) in [("last", "linkage", "/round"), ("mid", "models_replicated", "/name"), ("mid", "area_class", "/name"), ("mid", "castle", "/name")] {
            let refused = committee.create("/v1/registers", &register(units.village_a, round, name)).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer);
        }
        let count = async |person: &crate::support::Person<'_>, query: &str| {
            person.get(&format!("/v1/registers?{query}")).await.is(200).json()["items"].as_array().unwrap().len()
        };
        for wrong in ["round=mid".to_owned(), format!("campaign={CAMPAIGN}&round=zzz")] {
            committee.get(&format!("/v1/registers?{wrong}")).await.problem(400, "invalid_query");
        }
        assert_eq!(count(&committee, &format!("campaign={CAMPAIGN}&unit={}&round=mid&state=closed", units.village_a)).await, 9);
        assert_eq!(count(&committee, &format!("campaign={CAMPAIGN}&round=final")).await, 0);
        assert_eq!(count(&committee, "name=loan").await, 1);
        assert_eq!(count(&bank, "").await, 1, "what the bank holds, and nothing else");
        assert_eq!(count(&world.person(Role::CommuneCommittee, Some(units.commune_b)).await, "").await, 0);
    }
}

/// Reported by `reporter`, confirmed by `owner`.
async fn confirmed(
    reporter: &Person<'_>,
    owner: &Person<'_>,
    unit: Uuid,
    name: &str,
    period: Value,
    mut content: Value,
) {
    content["evidence"] = json!([{ "kind": "document", "number": "1/BC" }]);
    let body = json!({ "campaign": CAMPAIGN, "unit": unit, "name": name, "period": period, "observed_on": "2023-10-01", "content": content });
    let made = reporter.create("/v1/observations", &body).await.is(201);
    owner.change(&format!("/v1/observations/{}:confirm", made.id()), &made.etag(), &json!({})).await.is(200);
}

/// A criterion's answer for a unit at the mid-term round.
async fn status(asker: &Person<'_>, unit: Uuid, criterion: &str) -> String {
    let body = json!({ "campaign": CAMPAIGN, "round": "mid", "scope": { "subjects": [unit] } });
    let answer = asker.post("/v1/recommendations", &body).await.is(200).json();
    let criteria = answer["subjects"][0]["criteria"].as_array().unwrap().clone();
    criteria.iter().find(|found| found["id"] == criterion).unwrap()["status"].as_str().unwrap().to_owned()
}

both_engines! {
    async fn what_is_confirmed_reaches_the_rules_and_closed_without_entries_is_a_real_zero(world: World) {
        campaign::load(world).await;
        let units = world.units;
        let reporter = world.person(Role::UnitReporter, Some(units.district)).await;
        let labour = world.person(Role::LabourOffice, Some(units.district)).await;
        let committee = world.person(Role::CommuneCommittee, Some(units.district)).await;
        let asker = world.person(Role::Auditor, None).await;
        assert_eq!(status(&asker, units.village_a, "III.2.3.b").await, "insufficient");
        for village in [units.village_a, units.village_b] {
            let capital = json!({ "value_bool": true });
            confirmed(&reporter, &committee, village, "received_state_project_capital", json!(null), capital).await;
            for name in ["revolving_recovered_vnd", "revolving_relent_vnd", "models_replicated"] {
                confirmed(&reporter, &labour, village, name, json!("2023"), json!({ "value_integer": 1 })).await;
            }
        }
        let fields = json!({ "fields": { "kind": "revolving_capital", "issued_on": "2023-10-01" } });
        confirmed(&reporter, &committee, units.village_a, "regulation", json!(null), fields).await;
        assert_eq!(status(&asker, units.village_a, "III.2.3.b").await, "met", "enough entries are enough");
        assert_eq!(status(&asker, units.village_b, "III.2.3.b").await, "insufficient", "not closed is unknown");
        let closed = committee.create("/v1/registers", &register(units.village_b, "mid", "regulation")).await.is(201);
        assert_eq!(status(&asker, units.village_b, "III.2.3.b").await, "not_met");
        let reason = json!({ "reason": "Còn sót" });
        committee.change(&format!("/v1/registers/{}:reopen", closed.id()), &closed.etag(), &reason).await.is(200);
        assert_eq!(status(&asker, units.village_b, "III.2.3.b").await, "insufficient");

        // One settlement too late is enough against III.2.2.b.
        let office = world.person(Role::HomeAffairs, Some(units.district)).await;
        let owed = office.create("/v1/obligations", &obligation(units.commune_a, "2023-06-30")).await.is(201);
        assert_eq!(status(&asker, units.commune_a, "III.2.2.b").await, "not_met", "overdue at the cut-off");
        let done = json!({ "fulfilment": { "fulfilled_on": "2023-06-30", "received_on": "2023-07-03", "evidence": [{ "kind": "document" }] } });
        office.change(&format!("/v1/obligations/{}:fulfil", owed.id()), &owed.etag(), &done).await.is(200);
        assert_eq!(status(&asker, units.commune_a, "III.2.2.b").await, "insufficient", "in time by its civil date");
    }
}
