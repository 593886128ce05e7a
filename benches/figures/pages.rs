//! A page of 50 at a million activities and five million events against the same at ten thousand and fifty thousand.
//!
//! The rows are made in SQL with the guards off, as copies of one real activity and its event: only their number counts.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement};

use crate::bed::{self, Bed, Prepared};
use crate::{load, middle};

const SMALL: u64 = 10_000;
const EVENTS: u64 = 5;
const ROUNDS: usize = 7;

pub async fn run(activities: u64) {
    let bed = Bed::new();
    for engine in ["SQLite", "PostgreSQL"] {
        let mut databases = Vec::new();
        for (name, number) in [("small", SMALL), ("large", activities)] {
            let url = match engine {
                "SQLite" => bed.sqlite(&format!("{name}.db")),
                _ => bed::create(&format!("thidua_figures_{name}"), None).await,
            };
            let prepared = bed.prepare(&url).await;
            let mut options = ConnectOptions::new(&url);
            options.max_connections(1).sqlx_logging(false);
            let conn = Database::connect(options).await.unwrap();
            grow(&bed, &prepared, &conn, number).await;
            conn.close().await.unwrap();
            databases.push(prepared);
        }
        compare(&bed, engine, &databases[0], &databases[1]).await;
    }
    bed::drop_database("thidua_figures_small").await;
    bed::drop_database("thidua_figures_large").await;
}

/// One real activity by the service, then many like it, spread over the units and days of the campaign.
async fn grow(bed: &Bed, prepared: &Prepared, conn: &DatabaseConnection, number: u64) {
    let (running, address, _) = bed.serve(&prepared.url, &[]).await;
    let mut client = load::Client::connect(&address).await.unwrap();
    let request = load::post("/v1/activities", &bed.reporter, &prepared.activity().to_string());
    assert_eq!(client.ask(&request).await.unwrap().0, 201);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(running);
    match conn.get_database_backend() {
        DbBackend::Postgres => grow_postgres(conn, number).await,
        _ => grow_sqlite(conn, number).await,
    }
}

async fn columns(conn: &DatabaseConnection, table: &str, made: &[(&str, &str)]) -> (String, String) {
    let postgres = conn.get_database_backend() == DbBackend::Postgres;
    let sql = if postgres {
        format!(
            "SELECT column_name::text AS name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        )
    } else {
        format!("SELECT name FROM pragma_table_info('{table}')")
    };
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    let value = |name: &String| {
        made.iter().find(|(column, _)| column == name).map_or(format!("x.{name}"), |(_, sql)| (*sql).to_owned())
    };
    (names.join(", "), names.iter().map(value).collect::<Vec<_>>().join(", "))
}

async fn grow_postgres(conn: &DatabaseConnection, number: u64) {
    let made = [
        ("id", "md5('a' || n)::uuid"),
        ("unit_id", "(SELECT ids[1 + n % cardinality(ids)] FROM units)"),
        ("held_on", "DATE '2021-01-01' + (n % 1600)::int"),
    ];
    let (names, values) = columns(conn, "activity", &made).await;
    let units = "WITH units AS (SELECT array_agg(id) AS ids FROM unit), x AS (SELECT * FROM activity LIMIT 1)";
    let activities =
        format!("{units} INSERT INTO activity ({names}) SELECT {values} FROM x, generate_series(1, {number}) n");
    let made = [
        ("seq", "(SELECT size FROM audit_head) + n - 1"),
        ("event_id", "md5('e' || n)::uuid"),
        ("stream_id", "md5('a' || 1 + (n - 1) / 5)::uuid"),
        ("stream_ver", "1 + (n - 1) % 5"),
        ("unit_id", "(SELECT ids[1 + n % cardinality(ids)] FROM units)"),
        ("at", "x.at + n"),
    ];
    let (names, values) = columns(conn, "audit_event", &made).await;
    let event = "x AS (SELECT * FROM audit_event WHERE stream_type = 'activity' LIMIT 1)";
    let units = "WITH units AS (SELECT array_agg(id) AS ids FROM unit)";
    let events = number * EVENTS;
    let events_sql = format!(
        "{units}, {event} INSERT INTO audit_event ({names}) SELECT {values} FROM x, generate_series(1, {events}) n"
    );
    let head = format!("UPDATE audit_head SET size = size + {events}");
    let script = format!(
        "BEGIN; SET LOCAL session_replication_role = replica; {activities}; {events_sql}; {head}; COMMIT; VACUUM ANALYZE"
    );
    for sql in script.split("; VACUUM") {
        let sql = if sql.starts_with(" ANALYZE") { "VACUUM ANALYZE" } else { sql };
        conn.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

async fn grow_sqlite(conn: &DatabaseConnection, number: u64) {
    let backend = conn.get_database_backend();
    // Guards and indexes are put back afterwards; nothing else uses the file meanwhile.
    let sql = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL \
               AND tbl_name IN ('activity', 'audit_event', 'audit_head')";
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    let text = |row: &QueryResult, name: &str| row.try_get::<String>("", name).unwrap();
    let set_aside: Vec<[String; 3]> =
        rows.iter().map(|row| [text(row, "type"), text(row, "name"), text(row, "sql")]).collect();
    let unit = "(SELECT id FROM ranked WHERE rank = n % (SELECT count(*) FROM ranked))";
    let ranked = "ranked AS MATERIALIZED (SELECT id, row_number() OVER () - 1 AS rank FROM unit)";
    let numbers = |last: u64| format!("numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})");
    let made = [
        ("id", "unhex(printf('0a%030x', n * 2654435761 % 4294967296 * 1000000 + n))"),
        ("unit_id", unit),
        ("held_on", "date('2021-01-01', '+' || (n % 1600) || ' days')"),
    ];
    let (names, values) = columns(conn, "activity", &made).await;
    let one = "x AS (SELECT * FROM activity LIMIT 1)";
    let activities = format!(
        "WITH RECURSIVE {}, {ranked}, {one} INSERT INTO activity ({names}) SELECT {values} FROM numbers, x",
        numbers(number)
    );
    let made = [
        ("seq", "(SELECT size FROM audit_head) + n - 1"),
        ("event_id", "unhex(printf('0e%030x', n))"),
        (
            "stream_id",
            "unhex(printf('0a%030x', (1 + (n - 1) / 5) * 2654435761 % 4294967296 * 1000000 + 1 + (n - 1) / 5))",
        ),
        ("stream_ver", "1 + (n - 1) % 5"),
        ("unit_id", unit),
        ("at", "x.at + n"),
    ];
    let (names, values) = columns(conn, "audit_event", &made).await;
    let one = "x AS (SELECT * FROM audit_event WHERE stream_type = 'activity' LIMIT 1)";
    let events = number * EVENTS;
    let events_sql = format!(
        "WITH RECURSIVE {}, {ranked}, {one} INSERT INTO audit_event ({names}) SELECT {values} FROM numbers, x",
        numbers(events)
    );
    let fast = ["PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000"];
    let drops = set_aside.iter().map(|[kind, name, _]| format!("DROP {kind} {name}"));
    let work = [activities, events_sql, format!("UPDATE audit_head SET size = size + {events}")];
    let again = set_aside.iter().map(|[_, _, sql]| sql.clone());
    let last = ["ANALYZE", "PRAGMA journal_mode = WAL"].map(str::to_owned);
    for sql in fast.map(str::to_owned).into_iter().chain(drops).chain(work).chain(again).chain(last) {
        conn.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

async fn compare(bed: &Bed, engine: &str, small: &Prepared, large: &Prepared) {
    let (_first, at_small, _) = bed.serve(&small.url, &[]).await;
    let (_second, at_large, _) = bed.serve(&large.url, &[]).await;
    let district = "/v1/activities?limit=50&within=";
    let pages = [
        ("activities, everything", "/v1/activities?limit=50".to_owned(), &bed.administrator),
        ("activities of one's commune", "/v1/activities?limit=50".to_owned(), &bed.reporter),
        ("activities within a unit", format!("{district}{}", small.commune), &bed.administrator),
        ("activities of a unit", format!("/v1/activities?limit=50&unit={}", small.commune), &bed.administrator),
        ("activities in a rare state", "/v1/activities?limit=50&state=returned".to_owned(), &bed.administrator),
        ("events, from the first", "/v1/events?limit=50".to_owned(), &bed.administrator),
        ("events, in one's commune", "/v1/events?limit=50".to_owned(), &bed.reporter),
    ];
    for (name, path, token) in pages {
        let mut ratios = Vec::new();
        let mut last = Duration::ZERO;
        for _ in 0..ROUNDS {
            let few = median(&at_small, &path, token).await;
            last = median(&at_large, &path, token).await;
            ratios.push(last.as_secs_f64() / few.as_secs_f64());
        }
        println!("{engine}, a page of 50 {name}: {} ({:.2} ms)", middle(ratios), last.as_secs_f64() * 1000.0);
    }
}

async fn median(address: &str, path: &str, token: &str) -> Duration {
    let request = load::get(path, token);
    load::run(address, 1, Duration::from_secs(1), 200, move || request.clone()).await.quantile(0.5)
}
