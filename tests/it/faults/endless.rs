//! What takes too long is ended where it runs: a statement by PostgreSQL, a closure by the door.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use thidua::auth::Role;
use thidua::commands::grant;
use thidua::db::constraint::translate;
use thidua::db::{Outcome, WriteTx};
use thidua::error::{Code, Error};

use crate::both_engines;
use crate::support::program::village;
use crate::support::{Database, Engine, World};

/// How many sessions of the service are in this condition.
async fn sessions(raw: &DatabaseConnection, condition: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) AS n FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'thidua' AND {condition}"
    );
    let row = raw.query_one_raw(Statement::from_string(raw.get_database_backend(), sql)).await;
    row.unwrap().unwrap().try_get("", "n").unwrap()
}

/// A world whose database is reached with this setting in the URL.
async fn with(setting: &str, body: impl AsyncFnOnce(&World)) {
    let Some(mut database) = Database::create(Engine::Postgres).await else { return };
    let plain = std::mem::take(&mut database.url);
    database.url = format!("{plain}?options[{setting}");
    let mut world = World::new(database).await;
    world.database.url = plain;
    body(&world).await;
    world.end().await;
}

#[actix_web::test]
async fn a_statement_that_takes_too_long_is_ended_by_postgres() {
    with("statement_timeout]=600ms", async |world| {
        let administrator = world.person(Role::Administrator, None).await;
        let raw = world.database.raw().await;
        let hold = raw.begin().await.unwrap();
        hold.execute_unprepared("LOCK TABLE unit IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let (read, write) = futures_util::future::join(
            administrator.get("/v1/units"),
            administrator.create_as("/v1/units", "k", &village("Bản")),
        )
        .await;
        for answer in [read, write] {
            assert_eq!(answer.header("retry-after"), Some("2"));
            answer.problem(503, "busy");
        }
        assert_eq!(sessions(&raw, "wait_event_type = 'Lock'").await, 0, "nothing waits that nobody waits for");
        assert_eq!(sessions(&raw, "state LIKE 'idle in transaction%'").await, 0);
        // Other tables, on the same connections.
        administrator.get("/v1/me").await.is(200);
        hold.rollback().await.unwrap();
        administrator.get("/v1/units").await.is(200);
        let made = administrator.create_as("/v1/units", "k", &village("Bản")).await.is(201);
        assert_eq!(made.header("idempotency-replayed"), None, "what was ended had no effect");
        raw.close().await.unwrap();
    })
    .await;
}

#[actix_web::test]
async fn a_session_that_postgres_ends_is_replaced() {
    with("idle_in_transaction_session_timeout]=300ms", async |world| {
        let administrator = world.person(Role::Administrator, None).await;
        let raw = world.database.raw().await;
        for (limit, value) in [("statement_timeout", "30s"), ("tcp_keepalives_idle", "15")] {
            let show = Statement::from_string(raw.get_database_backend(), format!("SHOW {limit}"));
            let row = world.db.reader().conn().query_one_raw(show).await.unwrap().unwrap();
            assert_eq!(row.try_get_by_index::<String>(0).unwrap(), value, "{limit} is not in the URL");
        }
        let forgotten = world.db.snapshot().await.unwrap();
        forgotten.conn().execute_unprepared("SELECT 1").await.unwrap();
        // Beside it the sealer may be in a transaction of its own for a moment.
        assert!(sessions(&raw, "state = 'idle in transaction'").await >= 1);
        let mut gone = false;
        for _ in 0..100 {
            gone = sessions(&raw, "state = 'idle in transaction'").await == 0;
            if gone {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(gone, "after 5 seconds");
        let late = forgotten.conn().execute_unprepared("SELECT 1").await.unwrap_err();
        assert_eq!(translate(late).code, Code::Busy);
        drop(forgotten);
        for _ in 0..20 {
            administrator.get("/v1/me").await.is(200);
        }
        raw.close().await.unwrap();
    })
    .await;
}

both_engines! {
    async fn a_closure_that_never_ends_is_ended(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let never = async |tx: &WriteTx<'_>| -> Result<Outcome<()>, Error> {
            tx.lock("units").await?;
            std::future::pending().await
        };
        let context = grant::console();
        let waiting = async {
            // Once the first has its turn and the lock.
            tokio::time::sleep(Duration::from_millis(300)).await;
            administrator.create_as("/v1/units", "k", &village("Bản")).await
        };
        let (ended, waited) = futures_util::future::join(world.db.record(&context, never), waiting).await;
        assert_eq!(ended.unwrap_err().code, Code::Busy);
        // Whoever waited behind it as long is told so, or goes on after it.
        assert!([201, 503].contains(&waited.status), "{waited:?}");
        administrator.create_as("/v1/units", "k", &village("Bản")).await.is(201);
        assert_eq!(crate::log::rebuild_of(world).await.differences, Vec::<String>::new());
    }
}
