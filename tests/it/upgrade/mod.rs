//! A database that an older thidua left behind: nothing in it is lost when it is migrated, and it goes on.
//!
//! `sqlite-0016.sql.gz` and `postgres-0016.sql.gz` are the demonstration's data (persons fictitious) as they stood with 16
//! migrations, dumped (Python's `iterdump`, `pg_dump --inserts`) from what commit bfd6ac2 wrote. They are never made anew:
//! a later schema gets dumps of its own.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use sea_orm::{ConnectOptions, ConnectionTrait, Database as Sea, DatabaseConnection, Statement};
use serde_json::Value;

use crate::support::program::Program;
use crate::support::{Database, Engine};

const SQLITE: &[u8] = include_bytes!("sqlite-0016.sql.gz");
const POSTGRES: &[u8] = include_bytes!("postgres-0016.sql.gz");

/// Tables whose rows are no facts: they follow from others, say what was migrated, or are hidden state of the engine.
const FOLLOWING: &[&str] = &["derived", "seaql_migrations", "sqlite_sequence", "audit_head"];

/// Columns and rows of each table, rows as text.
type Content = BTreeMap<String, (Vec<String>, Vec<String>)>;

/// As the older thidua left it.
async fn older(engine: Engine) -> Option<Database> {
    let database = Database::empty(engine).await?;
    let (dump, before) = match engine {
        Engine::Sqlite => (SQLITE, "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL;"),
        Engine::Postgres => (POSTGRES, ""),
    };
    let mut sql = before.to_owned();
    GzDecoder::new(dump).read_to_string(&mut sql).unwrap();
    // One connection of its own, closed afterwards: the dump changes its settings.
    let place = database.url.replace("sqlite://", "sqlite:");
    let create = if engine == Engine::Sqlite { "?mode=rwc" } else { "" };
    let mut options = ConnectOptions::new(format!("{place}{create}"));
    options.max_connections(1).sqlx_logging(false);
    let raw = Sea::connect(options).await.unwrap();
    raw.execute_unprepared(&sql).await.unwrap();
    raw.close().await.unwrap();
    Some(database)
}

async fn texts(conn: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "value").unwrap()).collect()
}

/// The tables of a database with their columns.
async fn columns(engine: Engine, conn: &DatabaseConnection) -> BTreeMap<String, Vec<String>> {
    let sql = match engine {
        Engine::Sqlite => {
            "SELECT t.name || '.' || c.name AS value FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name <> 'sqlite_schema' AND t.schema = 'main' ORDER BY t.name, c.cid"
        }
        Engine::Postgres => {
            "SELECT table_name || '.' || column_name AS value FROM information_schema.columns \
             WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        }
    };
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in texts(conn, sql).await {
        let (table, column) = line.split_once('.').unwrap();
        columns.entry(table.to_owned()).or_default().push(column.to_owned());
    }
    columns
}

/// What stands in these columns of these tables.
async fn content(engine: Engine, conn: &DatabaseConnection, tables: BTreeMap<String, Vec<String>>) -> Content {
    let mut content = Content::new();
    for (table, columns) in tables {
        let row = match engine {
            Engine::Sqlite => columns.iter().map(|c| format!("quote(\"{c}\")")).collect::<Vec<_>>().join(" || ',' || "),
            Engine::Postgres => {
                let quoted: Vec<_> = columns.iter().map(|column| format!("\"{column}\"")).collect();
                format!("ROW({})::text", quoted.join(", "))
            }
        };
        let mut rows = texts(conn, &format!("SELECT {row} AS value FROM \"{table}\"")).await;
        rows.sort_unstable();
        content.insert(table, (columns, rows));
    }
    content
}

async fn goes_on(engine: Engine) {
    let Some(database) = older(engine).await else { return };
    let raw = database.raw().await;
    let mut tables = columns(engine, &raw).await;
    tables.retain(|table, _| !FOLLOWING.contains(&table.as_str()));
    let before = content(engine, &raw, tables.clone()).await;
    let events = before["audit_event"].1.len();
    assert!(events > 250 && tables.len() > 20, "{events} events in {} tables", tables.len());
    raw.close().await.unwrap();

    // Migrates, and appoints an administrator.
    let program = Program::new(&database.url).await;
    let raw = database.raw().await;
    for (table, (columns, rows)) in content(engine, &raw, tables).await {
        let lost: Vec<_> = before[&table].1.iter().filter(|row| rows.binary_search(row).is_err()).collect();
        assert!(lost.is_empty(), "{table} ({}): {lost:#?}", columns.join(", "));
    }
    raw.close().await.unwrap();
    for words in [["log", "check"].as_slice(), &["log", "rebuild", "--check"]] {
        program.does(words);
    }
    let service = program.serve().await;
    for (list, table) in [("units", "unit"), ("activities", "activity"), ("attestations", "attestation")] {
        let page: Value = program.get(&format!("/v1/{list}?limit=200")).await.unwrap().is(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), before[table].1.len(), "{list}");
    }
    let made = program.register("k", "Bản Mới").await.unwrap().is(201);
    let path = made.header("location").unwrap();
    let first: Value = program.get(&format!("{path}/events")).await.unwrap().is(200).json();
    assert!(first["items"][0]["position"].as_u64().unwrap() >= events as u64);
    drop(service);
    program.does(&["log", "check"]);
    database.remove().await;
}

#[actix_web::test]
async fn a_database_of_sixteen_migrations_goes_on_embedded() {
    goes_on(Engine::Sqlite).await;
}

#[actix_web::test]
async fn a_database_of_sixteen_migrations_goes_on_on_postgresql() {
    goes_on(Engine::Postgres).await;
}
