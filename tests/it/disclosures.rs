//! Personal values of the past are shown to the few who may, for a purpose, and never without an event.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::db::event::Disclosure;

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::Person;

/// A revocation with a reason, and the event that made it.
async fn event(administrator: &Person<'_>) -> (String, Value) {
    let draft = json!({ "sid": "phien-1", "reason": "Mất máy tính của Đặng Thị Hường" });
    let made = administrator.create("/v1/revocations", &draft).await.is(201);
    let page = administrator.get(&format!("/v1/revocations/{}/events", made.id())).await.is(200).json();
    (made.id(), page["items"][0].clone())
}

async fn told(person: &Person<'_>) -> Vec<Value> {
    person.get("/v1/events?type=disclosure.made&limit=200").await.is(200).json()["items"].as_array().unwrap().clone()
}

fn states(view: &Value) -> Vec<(&str, &str)> {
    let all = view["commitments"].as_array().unwrap().iter();
    all.map(|one| (one["path"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

both_engines! {
    async fn values_of_then_are_shown_once_their_showing_is_an_event(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let (record, event) = event(&administrator).await;
        let path = format!("/v1/events/{}/disclosures", event["id"].as_str().unwrap());
        let shown = auditor.get(&format!("{path}?purpose=complaint")).await.is(200);
        assert_eq!(shown.header("cache-control"), Some("no-store"));
        let view = shown.json();
        assert_eq!((&view["event"], &view["purpose"]), (&event["id"], &json!("complaint")));
        assert_eq!(states(&view), [("revoke_reason", "disclosed"), ("reason", "disclosed")]);
        // Whoever was shown a value can check that it is the one of then.
        for one in view["disclosures"].as_array().unwrap() {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            let disclosure = Disclosure { salt: text("salt"), path: text("path"), value: one["value"].clone() };
            assert_eq!(disclosure.value, "Mất máy tính của Đặng Thị Hường");
            let digest = disclosure.digest().unwrap();
            let committed = view["commitments"].as_array().unwrap().iter().any(|made| made["digest"] == digest.as_str());
            assert!(committed && event.to_string().contains(&digest));
            let wrong = Disclosure { salt: "A".repeat(22), ..disclosure };
            assert_ne!(wrong.digest().unwrap(), digest);
        }
        let made = told(&auditor).await;
        assert_eq!(made.len(), 1);
        let changes = &made[0]["changes"];
        assert_eq!(made[0]["actor"]["id"], json!(auditor.account));
        for (field, value) in [("event_id", &event["id"]), ("account_id", &json!(auditor.account)),
            ("purpose", &json!("complaint")), ("paths", &json!(["reason", "revoke_reason"]))] {
            assert_eq!(changes[field], json!([null, value]), "{field}");
        }
        administrator.get(&format!("{path}?purpose=audit")).await.is(200);
        assert_eq!(told(&auditor).await.len(), 2, "each call is one event");

        let subject = json!({ "subject": { "type": "revocation", "id": record }, "legal_basis": "law" });
        administrator.create("/v1/erasures", &subject).await.is(201);
        let view = auditor.get(&format!("{path}?purpose=court")).await.is(200).json();
        assert_eq!(states(&view), [("revoke_reason", "erased"), ("reason", "erased")]);
        assert_eq!(view["disclosures"], json!([]));
        let made = told(&auditor).await;
        assert_eq!((made.len(), &made[2]["changes"]["paths"]), (3, &json!([null, []])));
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
    }

    async fn what_is_neither_there_nor_erased_is_missing(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let (_, event) = event(&administrator).await;
        let raw = world.database.raw().await;
        raw.execute_unprepared("DELETE FROM audit_disclosure WHERE path = 'reason'").await.unwrap();
        let path = format!("/v1/events/{}/disclosures?purpose=audit", event["id"].as_str().unwrap());
        let view = administrator.get(&path).await.is(200).json();
        assert_eq!(states(&view), [("revoke_reason", "disclosed"), ("reason", "missing")]);
    }

    async fn without_a_purpose_or_the_right_nothing_is_shown_or_written(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let (_, event) = event(&administrator).await;
        let path = format!("/v1/events/{}/disclosures", event["id"].as_str().unwrap());
        for query in ["", "?purpose=", "?purpose=curiosity", "?purpose=audit&zzz=1"] {
            administrator.get(&format!("{path}{query}")).await.problem(400, "invalid_query");
        }
        let reporter = world.person(Role::UnitReporter, Some(world.units.province)).await;
        reporter.get(&format!("{path}?purpose=audit")).await.problem(403, "forbidden");
        let nothing = "/v1/events/01900000-0000-7000-8000-000000000000/disclosures?purpose=audit";
        administrator.get(nothing).await.problem(404, "not_found");
        assert_eq!(told(&administrator).await, Vec::<Value>::new());
        // A service that may not write shows nothing either.
        world.db.stop_writing();
        administrator.get(&format!("{path}?purpose=audit")).await.problem(503, "read_only");
    }
}
