//! Acts of succession: recorded once, refused where they cannot be, annulled with a reason; what counts over them.

use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::db::{Outcome, WriteTx};
use thidua::units::{SuccessionDraft, SuccessionKind, store};
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::{Person, World, day};

fn act(kind: &str, on: &str, predecessors: &[Uuid], successors: &[Uuid]) -> Value {
    json!({ "kind": kind, "effective_on": on, "predecessors": predecessors, "successors": successors, "basis": "Nghị quyết" })
}

/// A unit of its own, known from `from` to `to`.
async fn unit(administrator: &Person<'_>, name: &str, kind: &str, from: &str, to: Option<&str>) -> Uuid {
    let body = json!({ "names": [{ "value": name, "from": from }], "kinds": [{ "value": kind, "from": from }],
        "exists_from": from, "exists_to": to });
    administrator.create("/v1/units", &body).await.is(201).id().parse().unwrap()
}

/// What the history of a record says, by type.
async fn types(administrator: &Person<'_>, path: &str) -> Vec<String> {
    let events = administrator.get(&format!("{path}/events")).await.is(200).json();
    events["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// A confirmed count of poor households in 2021.
async fn count(world: &World, unit: Uuid, poor: i64) {
    let reporter = world.person(Role::UnitReporter, Some(unit)).await;
    let officer = world.person(Role::LabourOffice, Some(unit)).await;
    let is_village = [world.units.village_a, world.units.village_b].contains(&unit);
    let over = if is_village { world.units.province } else { unit };
    let body = json!({ "unit": unit, "year": 2021, "poverty_standard": "2022-2025",
        "counts": { "poor_households": poor, "recognised_by": over, "decision_number": "15/QĐ-UBND" } });
    let made = reporter.create("/v1/figures", &body).await.is(201);
    officer.change(&format!("/v1/figures/{}:confirm", made.id()), &made.etag(), &json!({})).await.is(200);
}

async fn total(world: &World, unit: Uuid) -> Value {
    let auditor = world.person(Role::Auditor, None).await;
    let path = format!("/v1/figures:total?unit={unit}&year=2021&poverty_standard=2022-2025");
    auditor.get(&path).await.is(200).json()["poor_households"].clone()
}

both_engines! {
    async fn acts_are_listed_by_unit_and_by_state(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let units = world.units;
        let merger = administrator.get("/v1/successions").await.is(200).json()["items"][0]["id"].clone();
        let abolition = act("abolish", "2026-01-01", &[units.enterprise], &[]);
        let made = administrator.create("/v1/successions", &abolition).await.is(201);
        assert_eq!(made.json()["state"], "standing");
        let annulment = json!({ "reason": "Nhầm" });
        let path = format!("/v1/successions/{}:annul", made.id());
        let annulled = administrator.change(&path, &made.etag(), &annulment).await.is(200);
        assert_eq!(annulled.json()["state"], "annulled");
        let abolition = json!(made.id());
        for (filter, expected) in [
            (format!("unit={}", units.commune_a), vec![&merger]),
            (format!("unit={}", units.commune_b), vec![&merger]),
            (format!("unit={}", units.commune_n), vec![&merger]),
            (format!("unit={}", units.enterprise), vec![&abolition]),
            (format!("unit={}", units.village_a), vec![]),
            ("state=standing".to_owned(), vec![&merger]),
            ("state=annulled".to_owned(), vec![&abolition]),
            (format!("unit={}&state=standing", units.enterprise), vec![]),
        ] {
            let list = administrator.get(&format!("/v1/successions?{filter}")).await.is(200).json();
            let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|act| &act["id"]).collect();
            assert_eq!(ids, expected, "{filter}");
        }
        administrator.get("/v1/successions?unit=x").await.problem(400, "invalid_query");
    }

    async fn an_act_that_is_told_twice_is_refused_and_counts_once(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let units = world.units;
        count(world, units.village_a, 40).await;
        count(world, units.commune_b, 15).await;
        assert_eq!(total(world, units.commune_n).await["households"], 55);
        let known = administrator.get("/v1/successions").await.is(200).json()["items"][0]["id"].clone();
        let merger = act("merge", "2025-07-01", &[units.commune_a, units.commune_b], &[units.commune_n]);
        let refused = administrator.create("/v1/successions", &merger).await.problem(409, "already_exists").json();
        assert_eq!((&refused["succession"], &refused["errors"][0]["pointer"]), (&known, &json!("/predecessors/0")));
        let abolition = act("abolish", "2025-07-01", &[units.commune_b], &[]);
        administrator.create("/v1/successions", &abolition).await.problem(409, "already_exists");

        // A log from before this was refused may hold the act twice.
        let again = SuccessionDraft {
            kind: SuccessionKind::Merge,
            effective_on: day("2025-07-01"),
            predecessors: vec![units.commune_a, units.commune_b],
            successors: vec![units.commune_n],
            basis: "Nghị quyết".into(),
        };
        world.db.record(&thidua::commands::grant::console(), async |tx: &WriteTx<'_>| {
            store::lock_room(tx).await?;
            store::record_succession(tx, thidua::id::new_id(), &again, &[]).await?;
            store::derive(tx.conn()).await?;
            Ok(Outcome::Changed(()))
        }).await.unwrap();
        assert_eq!(total(world, units.commune_n).await["households"], 55, "counted once");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn an_act_that_cannot_be_is_refused_with_a_pointer(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let units = world.units;
        let p = unit(&administrator, "Xã Một", "commune", "2021-01-01", None).await;
        let q = unit(&administrator, "Xã Hai", "commune", "2021-01-01", None).await;
        let r = unit(&administrator, "Xã Ba", "commune", "2030-01-01", None).await;
        let ended = unit(&administrator, "Xã Cũ", "commune", "2021-01-01", Some("2022-12-31")).await;
        for (body, pointer) in [
            (act("merge", "2030-01-01", &[p, p], &[r]), "/predecessors/1"),
            (act("merge", "2030-01-01", &[p, q], &[q]), "/successors/0"),
            (act("merge", "2030-01-01", &[p, Uuid::nil()], &[r]), "/predecessors/1"),
            (act("merge", "2030-01-01", &[p, q], &[Uuid::nil()]), "/successors/0"),
            (act("merge", "2030-01-01", &[p, ended], &[r]), "/predecessors/1"),
            (act("merge", "2030-01-01", &[p, q], &[ended]), "/successors/0"),
            (act("merge", "2029-12-31", &[p, q], &[r]), "/successors/0"),
            (act("rename", "2030-01-01", &[units.village_a], &[r]), "/successors/0"),
            (act("rename", "2030-01-01", &[units.village_a], &[units.province]), "/successors/0"),
            (act("abolish", "2020-06-01", &[p], &[]), "/effective_on"),
            (act("abolish", "2021-01-01", &[p], &[]), "/effective_on"),
        ] {
            let refused = administrator.create("/v1/successions", &body).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}: {}", refused.text);
        }
        let still = administrator.get(&format!("/v1/units/{p}")).await.is(200).json();
        assert_eq!((&still["history"]["exists_to"], &still["version"]), (&json!(null), &json!(1)), "nothing was written");
        // One follows the other, but not the other one in turn: the circle would never end.
        let z = unit(&administrator, "Xã Bốn", "commune", "2027-01-01", None).await;
        administrator.create("/v1/successions", &act("rename", "2027-01-01", &[p], &[z])).await.is(201);
        let back = administrator.create("/v1/successions", &act("rename", "2028-01-01", &[z], &[p])).await;
        let told = back.problem(422, "invalid_value").json()["errors"].to_string();
        assert!(told.contains("/successors/0") && told.contains("kế tục chính nó"), "{told}");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn a_part_of_what_was_split_has_no_count_before_and_the_parts_together_have(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let whole = unit(&administrator, "Xã Cả", "commune", "2021-01-01", None).await;
        let one = unit(&administrator, "Xã Nửa", "commune", "2023-01-01", None).await;
        let other = unit(&administrator, "Xã Kia", "commune", "2023-01-01", None).await;
        let again = unit(&administrator, "Xã Lại", "commune", "2024-01-01", None).await;
        count(world, whole, 55).await;
        administrator.create("/v1/successions", &act("split", "2023-01-01", &[whole], &[one, other])).await.is(201);
        administrator.create("/v1/successions", &act("merge", "2024-01-01", &[one, other], &[again])).await.is(201);
        assert_eq!(total(world, one).await["status"], "unmapped");
        assert_eq!(total(world, again).await["households"], 55, "not once for each part");
    }

    async fn an_act_is_annulled_with_a_reason_and_whom_it_ended_lives_on(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let p = unit(&administrator, "Xã Một", "commune", "2021-01-01", None).await;
        let q = unit(&administrator, "Xã Hai", "commune", "2021-01-01", Some("2035-12-31")).await;
        let r = unit(&administrator, "Xã Ba", "commune", "2025-10-01", None).await;
        count(world, p, 30).await;
        count(world, q, 12).await;
        let merger = act("merge", "2025-10-01", &[p, q], &[r]);
        let made = administrator.create("/v1/successions", &merger).await.is(201);
        assert_eq!((&made.json()["allowed_actions"], &made.json()["annulled_on"]), (&json!(["annul"]), &json!(null)));
        assert_eq!(total(world, r).await["households"], 42);
        let heir = world.person(Role::CommuneCommittee, Some(r)).await;
        let seen = async || heir.get("/v1/figures").await.is(200).json()["items"].as_array().unwrap().len();
        assert_eq!(seen().await, 2, "by succession");

        let path = format!("/v1/successions/{}", made.id());
        let reason = json!({ "reason": "Ghi nhầm theo lời bà Lò Thị Ở" });
        heir.change(&format!("{path}:annul"), &made.etag(), &reason).await.problem(403, "forbidden");
        administrator.change(&format!("{path}:annul"), "\"7\"", &reason).await.problem(412, "precondition_failed");
        administrator.change(&format!("{path}:annul"), &made.etag(), &json!({ "reason": "" })).await.problem(422, "invalid_value");
        let annulled = administrator.change(&format!("{path}:annul"), &made.etag(), &reason).await.is(200);
        assert!(annulled.json()["annulled_on"].is_string());
        assert_eq!(annulled.json()["allowed_actions"], json!([]));
        administrator.change(&format!("{path}:annul"), &annulled.etag(), &reason).await.problem(409, "invalid_transition");
        let nowhere = format!("/v1/successions/{}:annul", Uuid::nil());
        administrator.change(&nowhere, &made.etag(), &reason).await.problem(404, "not_found");

        for (unit, last) in [(p, json!(null)), (q, json!("2035-12-31"))] {
            let path = format!("/v1/units/{unit}");
            let restored = administrator.get(&path).await.is(200).json();
            assert_eq!((&restored["history"]["exists_to"], &restored["change_reason"]), (&last, &reason["reason"]));
            assert_eq!(types(&administrator, &path).await, ["unit.registered", "unit.ended", "unit.restored"]);
        }
        assert_eq!(total(world, r).await["status"], "unmapped", "it follows nobody");
        assert_eq!(seen().await, 0, "nor does anybody see by it");
        assert_eq!(types(&administrator, &path).await, ["succession.recorded", "succession.annulled"]);
        let events = administrator.get(&format!("{path}/events")).await.is(200);
        assert!(!events.text.contains("Lò Thị Ở"), "the reason stands in an event");
        // The right act may now be told, and counts once.
        administrator.create("/v1/successions", &merger).await.is(201);
        assert_eq!(total(world, r).await["households"], 42);
        let ended = administrator.get(&format!("/v1/units/{p}")).await.is(200).json();
        assert_eq!(ended["change_reason"], reason["reason"], "an act gives no reason and leaves the last one");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn an_annulled_act_gives_no_code_back_that_somebody_bears_by_now(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let coded = |name: &str, from: &str| json!({ "codes": [{ "value": "09999", "from": from }],
            "names": [{ "value": name, "from": from }], "kinds": [{ "value": "commune", "from": from }], "exists_from": from });
        let old = administrator.create("/v1/units", &coded("Xã Một", "2021-01-01")).await.is(201).id();
        let body = json!({ "kind": "abolish", "effective_on": "2025-10-01", "predecessors": [old], "successors": [], "basis": "x" });
        let made = administrator.create("/v1/successions", &body).await.is(201);
        administrator.create("/v1/units", &coded("Xã Hai", "2025-10-01")).await.is(201);
        let path = format!("/v1/successions/{}:annul", made.id());
        let annulment = json!({ "reason": "Nhầm" });
        administrator.change(&path, &made.etag(), &annulment).await.problem(409, "already_exists");
    }

    async fn a_recorded_act_fixes_the_days_of_its_units_until_it_is_annulled(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let units = world.units;
        let merger = administrator.get("/v1/successions").await.is(200).json()["items"][0].clone();
        let amend = async |id: Uuid, member: &str, value: Value| {
            let path = format!("/v1/units/{id}");
            let read = administrator.get(&path).await.is(200);
            let mut unit = read.json()["history"].clone();
            unit[member] = value;
            let body = json!({ "unit": unit, "reason": "Thử" });
            administrator.change(&format!("{path}:amend"), &read.etag(), &body).await
        };
        for (unit, member, value) in [
            (units.commune_b, "exists_to", json!(null)),
            (units.commune_b, "exists_to", json!("2024-12-31")),
            (units.commune_n, "exists_from", json!("2025-07-02")),
        ] {
            let refused = amend(unit, member, value).await.problem(422, "invalid_value").json();
            assert_eq!(refused["errors"][0]["pointer"], format!("/unit/{member}"));
            assert_eq!(refused["succession"], merger["id"]);
        }
        amend(units.commune_b, "fictitious", json!(false)).await.is(200);
        // The file said on which day they ended, not the act: that stays, and is nobody's but the unit's own now.
        let path = format!("/v1/successions/{}:annul", merger["id"].as_str().unwrap());
        administrator.change(&path, "\"1\"", &json!({ "reason": "Thử" })).await.is(200);
        let ended = administrator.get(&format!("/v1/units/{}", units.commune_b)).await.is(200).json();
        assert_eq!(ended["history"]["exists_to"], "2025-06-30");
        let mut parents = ended["history"]["parents"].clone();
        parents[0]["to"] = json!("2025-06-30");
        amend(units.commune_b, "parents", parents).await.is(200);
        amend(units.commune_b, "exists_to", json!(null)).await.is(200);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
