//! The key database does not answer, or is not there at all: whatever has a personal value waits for it, nothing else does,
//! and what was refused is made once when it is back.

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use thidua::auth::Role;
use thidua::clock::Stopwatch;

use super::sealed_worlds;
use crate::support::cluster::Cluster;
use crate::support::program::{Program, village};
use crate::support::{Answer, Database, Engine};

/// Seconds after which the key database is given up. Whoever needs no key does not wait so long.
const GIVEN_UP: f64 = 2.0;

sealed_worlds! {
    async fn a_key_database_that_hangs_holds_up_only_what_needs_it(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
        let administrator = world.person(Role::Administrator, None).await;
        let auditor = world.person(Role::Auditor, None).await;
        let raw = world.database.keys.as_ref().unwrap().raw().await;
        // Somebody has locked the table; on SQLite no key can be made then.
        let lock = match world.database.engine {
            Engine::Sqlite => "UPDATE subject_key SET since = since",
            Engine::Postgres => "LOCK TABLE subject_key IN ACCESS EXCLUSIVE MODE",
        };
        let locked = raw.begin().await.unwrap();
        locked.execute_unprepared(lock).await.unwrap();

        let figure = |year: i32, note: Option<&str>| json!({ "unit": world.units.village_a, "year": year,
            "poverty_standard": "2022-2025", "counts": { "poor_households": 1,
            "recognised_by": world.units.commune_a, "decision_number": "1/QĐ", "note": note } });
        let began = Stopwatch::start();
        administrator.create("/v1/units", &village("Bản Không Tên Người")).await.is(201);
        reporter.create("/v1/figures", &figure(2021, None)).await.is(201);
        assert!(began.elapsed().as_secs_f64() < GIVEN_UP, "{:?}", began.elapsed());
        let began = Stopwatch::start();
        let refused = reporter.create_as("/v1/figures", "later", &figure(2022, Some("Bà Ở"))).await.problem(503, "busy");
        assert!(began.elapsed().as_secs_f64() < 1.5 * GIVEN_UP, "{:?}", began.elapsed());
        come_again(&refused).await;
        // Several at once wait no longer than one, and keep nobody waiting who needs no key.
        let began = Stopwatch::start();
        let several = (0..6).map(|_| {
            let (reporter, body) = (&reporter, figure(2023, Some("Bà Ở")));
            async move { reporter.create("/v1/figures", &body).await.problem(503, "busy") }
        });
        let meanwhile = async {
            tokio::time::sleep(std::time::Duration::from_millis(2200)).await;
            let began = Stopwatch::start();
            administrator.create("/v1/units", &village("Bản Chen Ngang")).await.is(201);
            began.elapsed().as_secs_f64()
        };
        let (_, meanwhile) = tokio::join!(futures_util::future::join_all(several), meanwhile);
        assert!(meanwhile < GIVEN_UP, "{meanwhile}");
        assert!(began.elapsed().as_secs_f64() < 3.0 * GIVEN_UP, "{:?}", began.elapsed());

        locked.rollback().await.unwrap();
        come_again(&refused).await;
        let made = reporter.create_as("/v1/figures", "later", &figure(2022, Some("Bà Ở"))).await.is(201);
        assert_eq!(made.header("idempotency-replayed"), None, "nothing was made before");
        let again = reporter.create_as("/v1/figures", "later", &figure(2022, Some("Bà Ở"))).await.is(201);
        assert_eq!((again.header("idempotency-replayed"), again.id()), (Some("true"), made.id()));
        let list = auditor.get("/v1/figures?limit=200").await.is(200).json();
        let mut years: Vec<i64> = list["items"].as_array().unwrap().iter().map(|one| one["year"].as_i64().unwrap()).collect();
        years.sort_unstable();
        assert_eq!(years, [2021, 2022]);
        let events = auditor.get("/v1/events?type=figure.*&limit=200").await.is(200).json();
        assert_eq!(events["items"].as_array().unwrap().len(), 2);
    }
}

/// As the refusal says.
async fn come_again(refused: &Answer) {
    let seconds = refused.header("retry-after").unwrap().parse().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
}

/// The server of the keys is stopped and comes back, the service runs on.
async fn the_server_of_the_keys_goes_and_comes(engine: Engine) {
    let Some(database) = Database::empty(engine).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let Some(mut cluster) = Cluster::create(directory.path(), &[]) else { return };
    cluster.start().await;
    let mut program = Program::around(&database.url);
    program.environment.push(("THIDUA_SUBJECT_KEYS".into(), cluster.database().await));
    program.begin();
    let running = program.serve().await;

    cluster.stop("INT");
    let revocation = json!({ "sid": "phien-1", "reason": "Máy của Hoàng Yến bị mất" });
    let revoke = async || program.create("/v1/revocations", "later", &revocation).await.unwrap();
    let began = Stopwatch::start();
    let refused = revoke().await.problem(503, "busy");
    assert!(began.elapsed().as_secs_f64() < 1.5 * GIVEN_UP, "{:?}", began.elapsed());
    assert_eq!(program.get("/readyz").await.unwrap().status, 503);
    let began = Stopwatch::start();
    program.register("now", "Bản Không Tên Người").await.unwrap().is(201);
    assert!(began.elapsed().as_secs_f64() < GIVEN_UP, "{:?}", began.elapsed());

    cluster.start().await;
    come_again(&refused).await;
    let made = revoke().await.is(201);
    assert_eq!(made.header("idempotency-replayed"), None, "nothing was made before");
    assert_eq!(revoke().await.is(201).header("idempotency-replayed"), Some("true"));
    let list = program.get("/v1/revocations").await.unwrap().is(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["reason"], revocation["reason"]);
    assert_eq!(program.get("/readyz").await.unwrap().status, 200);
    drop(running);
    database.remove().await;
}

#[actix_web::test]
async fn the_server_of_the_keys_goes_and_comes_on_sqlite() {
    the_server_of_the_keys_goes_and_comes(Engine::Sqlite).await;
}

#[actix_web::test]
async fn the_server_of_the_keys_goes_and_comes_on_postgres() {
    the_server_of_the_keys_goes_and_comes(Engine::Postgres).await;
}
