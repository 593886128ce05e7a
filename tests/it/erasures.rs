//! Personal values are erased: in the row, in every version, in what records are found by and in stored answers; the log
//! stays as it was and goes on proving. What is gone is told apart from what somebody keeps back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::db::event::Disclosure;
use thidua::log::erased::fingerprint;
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tlog_proof;
use uuid::Uuid;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::{Answer, ISSUER, Person, World};

fn erasure(kind: &str, id: &str) -> Value {
    json!({ "subject": { "type": kind, "id": id }, "legal_basis": "consent_withdrawn" })
}

/// A figure with a note, corrected with a reason: values in three events.
async fn figure(world: &World, note: &str) -> Answer {
    let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
    let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
    let counts = |poor: i64, note: &str| {
        json!({ "poor_households": poor, "recognised_by": world.units.commune_a,
        "decision_number": "15/QĐ-UBND", "note": note })
    };
    let body = json!({ "unit": world.units.village_a, "year": 2023, "poverty_standard": "2022-2025",
        "counts": counts(40, note) });
    let made = reporter.create("/v1/figures", &body).await.is(201);
    let path = made.header("location").unwrap();
    let amended = json!({ "counts": counts(41, &format!("{note} hai")) });
    let amended = reporter.change(&format!("{path}:amend"), &made.etag(), &amended).await.is(200);
    let confirmed = officer.change(&format!("{path}:confirm"), &amended.etag(), &json!({})).await.is(200);
    let correction = json!({ "counts": counts(39, &format!("{note} ba")), "reason": format!("{note} bốn") });
    officer.change(&format!("{path}:correct"), &confirmed.etag(), &correction).await.is(200)
}

async fn history(auditor: &Person<'_>, path: &str) -> Vec<Value> {
    let page = auditor.get(&format!("{path}/events?limit=200")).await.is(200).json();
    page["items"].as_array().unwrap().clone()
}

/// The digests that an event's leaf has for new values and its reason.
fn digests(event: &Value) -> Vec<String> {
    let changes = event["changes"].as_object().unwrap().values();
    let made = changes.filter_map(|change| change["$c"][1].as_str());
    made.chain(event["reason"]["$c"].as_str()).map(str::to_owned).collect()
}

both_engines! {
    async fn a_record_loses_its_personal_values_and_keeps_everything_else(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let made = figure(world, "Ghi chú của bà Lò Thị Ở").await;
        let path = format!("/v1/figures/{}", made.id());
        let before = history(&auditor, &path).await;
        let covered: Vec<String> = before.iter().flat_map(digests).collect();
        assert_eq!(covered.len(), 5, "three notes, and a reason in the record and in its event");

        let mut draft = erasure("figure", &made.id());
        draft["reason"] = json!("Theo đơn");
        let key = "erase-once";
        let erased = administrator.create_as("/v1/erasures", key, &draft).await.is(201);
        let view = erased.json();
        assert_eq!((&view["subject"], &view["legal_basis"], &view["reason"]),
            (&draft["subject"], &draft["legal_basis"], &draft["reason"]));
        assert_eq!((&view["digests"], &view["digests_sha256"]), (&json!(5), &json!(fingerprint(&covered))));
        let again = administrator.create_as("/v1/erasures", key, &draft).await.is(201);
        assert_eq!((again.header("idempotency-replayed"), again.json()), (Some("true"), view.clone()));

        let read = auditor.get(&path).await.is(200);
        let (now, then) = (read.json(), made.json());
        assert_ne!(read.etag(), made.etag());
        assert_eq!((&now["counts"]["note"], &now["change_reason"]), (&Value::Null, &Value::Null));
        assert_eq!((&now["counts"]["poor_households"], &now["state"]), (&then["counts"]["poor_households"], &then["state"]));
        let after = history(&auditor, &path).await;
        assert_eq!(after[..before.len()], before, "what was in the log is what it was");
        let event = after.last().unwrap();
        assert_eq!((event["type"].as_str(), after.len()), (Some("figure.erased"), before.len() + 1));
        let last = |field: &str| before.last().unwrap()["changes"][field]["$c"][1].clone();
        assert_eq!(event["changes"], json!({ "note": { "$c": [last("note"), null] },
            "change_reason": { "$c": [last("change_reason"), null] } }));
        assert_eq!(event["reason"], Value::Null);

        let listed = auditor.get(&format!("/v1/erasures?subject={}", made.id())).await.is(200).json();
        assert_eq!(listed["items"], json!([view]));
        let elsewhere = auditor.get("/v1/erasures?legal_basis=court_order").await.is(200).json();
        assert_eq!(elsewhere["items"], json!([]));
        let told = history(&auditor, erased.header("location").unwrap()).await;
        assert_eq!(told[0]["type"], "erasure.recorded");
        assert!(!told[0].to_string().contains("Theo đơn"));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());

        // Nothing is left of it, and the erasure itself is a subject as well.
        administrator.create("/v1/erasures", &draft).await.problem(409, "already_erased");
        assert_eq!(history(&auditor, &path).await, after, "no second event");
        let own = erasure("erasure", &erased.id());
        administrator.create("/v1/erasures", &own).await.is(201);
        let read = auditor.get(erased.header("location").unwrap()).await.is(200).json();
        assert_eq!((&read["reason"], &read["digests"]), (&Value::Null, &json!(5)));
        administrator.create_as("/v1/erasures", key, &draft).await.problem(410, "erased");
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_is_written_afterwards_is_erased_in_turn(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
        let made = figure(world, "Bà Ở").await;
        let path = format!("/v1/figures/{}", made.id());
        administrator.create("/v1/erasures", &erasure("figure", &made.id())).await.is(201);
        let correction = json!({ "counts": { "poor_households": 38, "recognised_by": world.units.commune_a,
            "decision_number": "15/QĐ-UBND", "note": "Bà Ở lại gọi" }, "reason": "Rà soát lại" });
        officer.change(&format!("{path}:correct"), &made.etag(), &correction).await.problem(412, "precondition_failed");
        let etag = officer.get(&path).await.is(200).etag();
        officer.change(&format!("{path}:correct"), &etag, &correction).await.is(200);
        let second = administrator.create("/v1/erasures", &erasure("figure", &made.id())).await.is(201).json();
        assert_eq!(second["digests"], 3);
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn an_account_is_forgotten_once_its_grants_have_ended(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let grant = json!({ "issuer": ISSUER, "subject": "huong", "label": "Đặng Thị Hường", "role": "auditor" });
        let given = administrator.create_as("/v1/grants", "give-huong", &grant).await.is(201);
        let account = given.json()["account"].as_str().unwrap().to_owned();
        let person = Person { world, account: Uuid::nil(), token: Some(world.token("huong")) };
        person.get("/v1/me").await.is(200);
        let refused = administrator.create("/v1/erasures", &erasure("account", &account)).await.problem(409, "in_use");
        assert_eq!(refused.json()["grant"], given.json()["id"]);
        let path = format!("/v1/grants/{}:end", given.id());
        administrator.change(&path, &given.etag(), &json!({ "reason": "Thôi việc" })).await.is(200);
        administrator.create_as("/v1/grants", "give-huong", &grant).await.is(201);

        administrator.create("/v1/erasures", &erasure("account", &account)).await.is(201);
        let read = auditor.get(&format!("/v1/accounts/{account}")).await.is(200).json();
        assert_eq!((&read["subject"], &read["label"], &read["issuer"]), (&Value::Null, &Value::Null, &json!(ISSUER)));
        let found = auditor.post("/v1/accounts:search", &json!({ "query": "huong" })).await.is(200).json();
        assert_eq!(found["items"], json!([]));
        person.get("/v1/me").await.problem(403, "forbidden");
        // A repeated request neither shows nor makes again what was erased, whatever it says.
        for body in [grant.clone(), json!({ "issuer": ISSUER, "subject": "ai", "role": "auditor" })] {
            let gone = administrator.create_as("/v1/grants", "give-huong", &body).await.problem(410, "erased");
            assert_eq!(gone.json()["location"], given.header("location").unwrap());
        }
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
        // The same person may come again, as somebody else.
        let anew = administrator.create("/v1/grants", &grant).await.is(201).json();
        assert_ne!(anew["account"], json!(account));
        person.get("/v1/me").await.is(200);
    }

    async fn what_cannot_be_erased_is_refused_and_leaves_no_event(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let made = figure(world, "Bà Ở").await;
        let size = async || administrator.get("/v1/events?limit=1").await.json()["size"].clone();
        let before = size().await;
        for (kind, id, pointer) in [
            ("campaign", Uuid::nil().to_string(), "/subject/type"),
            ("disclosure", Uuid::nil().to_string(), "/subject/type"),
            ("household", Uuid::nil().to_string(), "/subject/type"),
            ("figure", Uuid::nil().to_string(), "/subject/id"),
            ("activity", made.id(), "/subject/id"),
        ] {
            let refused = administrator.create("/v1/erasures", &erasure(kind, &id)).await.problem(422, "invalid_value");
            assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{kind}");
        }
        let mut strange = erasure("figure", &made.id());
        strange["legal_basis"] = json!("because");
        assert!([400, 422].contains(&administrator.create("/v1/erasures", &strange).await.status));
        for role in [Role::Auditor, Role::DistrictChair] {
            let person = world.person(role, (role != Role::Auditor).then_some(world.units.district)).await;
            person.create("/v1/erasures", &erasure("figure", &made.id())).await.problem(403, "forbidden");
        }
        administrator.create("/v1/erasures", &erasure("unit", &world.units.village_a.to_string())).await
            .problem(409, "already_erased");
        // Two persons more were given their roles.
        let grants = administrator.get("/v1/events?type=erasure.*").await.json();
        assert_eq!(grants["items"], json!([]));
        assert!(size().await.as_i64() <= before.as_i64().map(|before| before + 4));
    }

    async fn proofs_hold_after_an_erasure_and_a_guess_does_not(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let policy = world.nobody().get("/v1/log/policy").await.is(200).text;
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let made = figure(world, "Bà Ở").await;
        let path = format!("/v1/figures/{}", made.id());
        let prove = async |event: &Value| {
            let proof = auditor.get(&format!("/v1/events/{}/proof", event["id"].as_str().unwrap())).await.is(200).text;
            let leaf = URL_SAFE_NO_PAD.decode(event["leaf"].as_str().unwrap()).unwrap();
            (proof, leaf)
        };
        let mut old = Vec::new();
        for event in history(&auditor, &path).await {
            old.push(prove(&event).await);
        }
        administrator.create("/v1/erasures", &erasure("figure", &made.id())).await.is(201);
        let events = history(&auditor, &path).await;
        for (place, event) in events.iter().enumerate() {
            let (proof, leaf) = prove(event).await;
            tlog_proof::verify(&proof, &leaf, &policy).unwrap();
            if let Some((proof, then)) = old.get(place) {
                assert_eq!(&leaf, then, "the leaf is what it was");
                tlog_proof::verify(proof, &leaf, &policy).unwrap();
            }
        }
        let digest = digests(&events[0]).remove(0);
        for salt in ["", "AAAAAAAAAAAAAAAAAAAAAA", made.id().as_str()] {
            let guess = Disclosure { salt: salt.into(), path: "note".into(), value: json!("Bà Ở") };
            assert_ne!(guess.digest().unwrap(), digest);
        }
    }

    async fn what_is_kept_back_is_told_apart_from_what_was_erased(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let made = figure(world, "Bà Ở").await;
        let raw = world.database.raw().await;
        raw.execute_unprepared("DELETE FROM audit_disclosure WHERE path = 'reason'").await.unwrap();
        let differences = rebuild_of(world).await.differences;
        let [line] = &differences[..] else { panic!("{differences:?}") };
        let lost = format!("figure/{}: reason of position ", made.id());
        assert!(line.starts_with(&lost) && line.ends_with(" is withheld or lost, and was not erased"), "{line}");
        // An erasure does not cover what was gone before it.
        administrator.create("/v1/erasures", &erasure("figure", &made.id())).await.is(201);
        let differences = rebuild_of(world).await.differences;
        let line = format!("figure/{}: its erasure covers other values than the log has: some were withheld or lost before", made.id());
        assert_eq!(differences, [line]);
    }
}
