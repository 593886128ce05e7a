//! A key for each subject: personal values are sealed in the database, the service behaves as without, and what was erased
//! is unreadable in every backup from before.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use thidua::auth::Role;

use crate::support::{Answer, Database, Engine, World};

mod away;
mod backups;
mod behaviour;
mod configured;
mod interrupted;
mod unlogged;

/// Runs one body on SQLite and on PostgreSQL, with keys.
macro_rules! sealed_worlds {
    ($(async fn $name:ident($world:ident: World) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($world: &crate::support::World) $body

            #[actix_web::test]
            async fn sqlite() {
                crate::subject_keys::run(crate::support::Engine::Sqlite, async |world| body(world).await).await;
            }

            #[actix_web::test]
            async fn postgres() {
                crate::subject_keys::run(crate::support::Engine::Postgres, async |world| body(world).await).await;
            }
        }
    )+};
}
pub(crate) use sealed_worlds;

pub async fn run(engine: Engine, body: impl AsyncFnOnce(&World)) {
    if let Some(database) = Database::create(engine).await {
        let world = World::new(database.sealing().await).await;
        body(&world).await;
        world.end().await;
    }
}

/// What every marked value contains, and nothing else does; one word, so that it is searched as it is.
pub const MARK: &str = "hoangyen";

/// A figure with a marked note, amended once and withdrawn for a marked reason.
async fn figure(world: &World, year: i32) -> Answer {
    let reporter = world.person(Role::UnitReporter, Some(world.units.village_a)).await;
    let counts = |note: &str| json!({ "poor_households": 1, "recognised_by": world.units.commune_a, "decision_number": "1/QĐ", "note": note });
    let body = json!({ "unit": world.units.village_a, "year": year, "poverty_standard": "2022-2025",
        "counts": counts(&format!("{MARK} một")) });
    let made = reporter.create("/v1/figures", &body).await.is(201);
    let path = made.header("location").unwrap();
    let amended = json!({ "counts": counts(&format!("{MARK} hai")) });
    let amended = reporter.change(&format!("{path}:amend"), &made.etag(), &amended).await.is(200);
    let reason = json!({ "reason": format!("{MARK} ba") });
    reporter.change(&format!("{path}:withdraw"), &amended.etag(), &reason).await.is(200);
    made
}

async fn erase(world: &World, kind: &str, id: &str) -> Answer {
    let administrator = world.person(Role::Administrator, None).await;
    let body = json!({ "subject": { "type": kind, "id": id }, "legal_basis": "consent_withdrawn" });
    administrator.create("/v1/erasures", &body).await.is(201)
}

/// The disclosures of the first event of a record.
async fn disclosures(world: &World, path: &str) -> Value {
    let auditor = world.person(Role::Auditor, None).await;
    let event = auditor.get(&format!("{path}/events")).await.is(200).json()["items"][0]["id"].clone();
    let path = format!("/v1/events/{}/disclosures?purpose=audit", event.as_str().unwrap());
    auditor.get(&path).await.is(200).json()
}

/// One number out of a database.
pub async fn number(conn: &DatabaseConnection, sql: &str) -> i64 {
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

/// How many keys there are of these; the database's own aside.
async fn keys(database: &Database, condition: &str) -> i64 {
    let conn = database.keys.as_ref().unwrap().raw().await;
    let sql = format!("SELECT count(*) AS n FROM subject_key WHERE since = 0 AND {condition}");
    let keys = number(&conn, &sql).await;
    conn.close().await.unwrap();
    keys
}

/// An id as SQL says it.
fn literal(engine: Engine, id: &str) -> String {
    match engine {
        Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        Engine::Postgres => format!("'{id}'"),
    }
}

/// Every column of every table in which a mark stands, as `table.column`.
pub async fn columns(conn: &DatabaseConnection, mark: &str) -> Vec<String> {
    let postgres =
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = 'public'";
    let sqlite =
        "SELECT m.name AS t, c.name AS c FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'";
    let is_postgres = conn.get_database_backend() == sea_orm::DbBackend::Postgres;
    let sql = if is_postgres { postgres } else { sqlite };
    let all = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    let mut found = Vec::new();
    for row in all {
        let (table, column): (String, String) = (row.try_get("", "t").unwrap(), row.try_get("", "c").unwrap());
        let text = if is_postgres {
            format!(
                "CASE pg_typeof(\"{column}\")::text WHEN 'bytea' THEN encode((\"{column}\"::text)::bytea, 'escape') ELSE \"{column}\"::text END"
            )
        } else {
            format!("CAST(\"{column}\" AS TEXT)")
        };
        let sql = format!("SELECT count(*) AS n FROM \"{table}\" WHERE {text} LIKE '%{mark}%'");
        if number(conn, &sql).await > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found.sort();
    found
}

/// How often a mark stands in the bytes of a file.
fn occurrences(path: &str) -> usize {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(MARK.len()).filter(|window| *window == MARK.as_bytes()).count()
}

/// The file of an embedded database.
pub fn file(database: &Database) -> String {
    database.url.trim_start_matches("sqlite://").to_owned()
}
