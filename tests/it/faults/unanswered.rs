//! The line to PostgreSQL breaks around COMMIT: what became of it is found out, and nothing is made twice.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use thidua::auth::Role;

use crate::support::program::village;
use crate::support::proxy::{Break, Proxy, Whose};
use crate::support::{Database, Engine, Person, World};

/// A world that reaches its database over a line that can break.
pub(super) async fn over_a_line(body: impl AsyncFnOnce(&World, &Proxy)) {
    let Some(mut database) = Database::create(Engine::Postgres).await else { return };
    let (proxy, direct) = (Proxy::new().await, database.url.clone());
    database.url = proxy.url(&direct);
    let mut world = World::new(database).await;
    world.database.url = direct;
    body(&world, &proxy).await;
    world.end().await;
}

fn renamed(name: &str) -> Value {
    json!({ "unit": village(name), "reason": "Đổi tên" })
}

/// The event types of a unit, in their order.
async fn history(person: &Person<'_>, id: &str) -> Vec<String> {
    let page = person.get(&format!("/v1/units/{id}/events")).await.is(200).json();
    page["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// The log is dense, rebuilds, and names each of these villages once.
async fn is_whole(world: &World, person: &Person<'_>) {
    let page = person.get("/v1/events?limit=200").await.is(200).json();
    let positions: Vec<i64> =
        page["items"].as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (0..page["size"].as_i64().unwrap()).collect::<Vec<_>>());
    assert_eq!(crate::log::rebuild_of(world).await.differences, Vec::<String>::new());
}

/// COMMIT takes this long, once.
async fn slow_commit(world: &World, seconds: u32) {
    let raw = world.database.raw().await;
    raw.execute_unprepared(&format!(
        "CREATE SEQUENCE slow; \
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN IF nextval('slow') = 1 THEN PERFORM pg_sleep({seconds}); END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON audit_inbox DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slow()"
    ))
    .await
    .unwrap();
    raw.close().await.unwrap();
}

#[actix_web::test]
async fn wherever_the_line_breaks_the_caller_is_told_what_happened() {
    over_a_line(async |world, proxy| {
        let administrator = world.person(Role::Administrator, None).await;
        for (n, at) in [Break::Before, Break::At, Break::After].into_iter().enumerate() {
            let (key, body) = (format!("k{n}"), village(&format!("Bản {n}")));
            proxy.breaks(Whose::Requests, at);
            let made = administrator.create_as("/v1/units", &key, &body).await.is(201);
            assert!(proxy.has_broken(), "{at:?}");
            let again = administrator.create_as("/v1/units", &key, &body).await.is(201);
            assert_eq!((again.id(), &again.text), (made.id(), &made.text), "{at:?}");

            proxy.breaks(Whose::Requests, at);
            let path = format!("/v1/units/{}:amend", made.id());
            let change = renamed(&format!("Bản {n} mới"));
            let changed = administrator.change(&path, &made.etag(), &change).await.is(200);
            assert!(proxy.has_broken(), "{at:?}");
            administrator.change(&path, &made.etag(), &change).await.problem(412, "precondition_failed");
            let now = administrator.get(&format!("/v1/units/{}", made.id())).await.is(200);
            assert_eq!(now.etag(), changed.etag(), "{at:?}");
            assert_eq!(history(&administrator, &made.id()).await, ["unit.registered", "unit.amended"], "{at:?}");
        }
        is_whole(world, &administrator).await;
    })
    .await;
}

#[actix_web::test]
async fn a_commit_that_is_still_going_on_is_waited_for() {
    over_a_line(async |world, proxy| {
        let administrator = world.person(Role::Administrator, None).await;
        let made = administrator.create("/v1/units", &village("Bản")).await.is(201);
        slow_commit(world, 2).await;
        proxy.breaks(Whose::Requests, Break::At);
        // Whoever took it for rolled back would do it again, and meet its own change: 412.
        let path = format!("/v1/units/{}:amend", made.id());
        administrator.change(&path, &made.etag(), &renamed("Bản mới")).await.is(200);
        assert!(proxy.has_broken());
        assert_eq!(history(&administrator, &made.id()).await, ["unit.registered", "unit.amended"]);
        is_whole(world, &administrator).await;
    })
    .await;
}

#[actix_web::test]
async fn a_commit_that_ends_too_late_is_not_known_and_safe_to_ask_for_again() {
    over_a_line(async |world, proxy| {
        let administrator = world.person(Role::Administrator, None).await;
        slow_commit(world, 8).await;
        proxy.breaks(Whose::Requests, Break::At);
        let answer = administrator.create_as("/v1/units", "k", &village("Bản")).await;
        assert_eq!(answer.header("retry-after"), Some("2"));
        answer.problem(503, "outcome_unknown");
        // The same key waits for whoever has it.
        let made = administrator.create_as("/v1/units", "k", &village("Bản")).await.is(201);
        assert_eq!(made.header("idempotency-replayed"), Some("true"), "it had been recorded");
        assert_eq!(history(&administrator, &made.id()).await, ["unit.registered"]);
        is_whole(world, &administrator).await;
    })
    .await;
}

#[actix_web::test]
async fn a_commit_that_the_server_gave_up_is_made_again() {
    over_a_line(async |world, proxy| {
        let administrator = world.person(Role::Administrator, None).await;
        slow_commit(world, 60).await;
        proxy.breaks(Whose::Requests, Break::At);
        let raw = world.database.raw().await;
        let end = async {
            let sql = "SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event = 'PgSleep'";
            loop {
                let row = raw.query_one_raw(Statement::from_string(raw.get_database_backend(), sql)).await;
                if row.unwrap().unwrap().try_get::<i64>("", "ended").unwrap() == 1 {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let body = village("Bản");
        let made = futures_util::future::join(administrator.create_as("/v1/units", "k", &body), end).await.0.is(201);
        assert_eq!(made.header("idempotency-replayed"), None, "made, not found");
        assert_eq!(history(&administrator, &made.id()).await, ["unit.registered"]);
        is_whole(world, &administrator).await;
    })
    .await;
}

#[actix_web::test]
async fn a_seal_whose_answer_is_lost_is_carried_on() {
    over_a_line(async |world, proxy| {
        let administrator = world.person(Role::Administrator, None).await;
        for (n, at) in [Break::Before, Break::At, Break::After].into_iter().enumerate() {
            proxy.breaks(Whose::Sealer, at);
            let made = administrator.create_as("/v1/units", &format!("k{n}"), &village(&format!("Bản {n}"))).await;
            let id = made.is(201).id();
            for _ in 0..200 {
                if proxy.has_broken() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            }
            assert!(proxy.has_broken(), "{at:?}");
            let mut answer = administrator.get(&format!("/v1/units/{id}/events")).await;
            // Whoever asks at the very moment shares the line that broke.
            if answer.status == 503 {
                answer = administrator.get(&format!("/v1/units/{id}/events")).await;
            }
            assert_eq!(answer.is(200).json()["items"].as_array().unwrap().len(), 1, "{at:?}");
        }
        is_whole(world, &administrator).await;
    })
    .await;
}
