//! A large log, made in SQL with the guards off: copies of one real activity's event, spread over records, units, people,
//! requests, types and times as a log spreads them. Their leaves say all the same and the tree is not theirs: only their
//! number counts, so nothing of it is signed.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement};
use thidua::clock::Stopwatch;
use thidua::log::{seal, spans};

use crate::bed::{Bed, Prepared};
use crate::load;

/// Events of a record.
pub const EVENTS: u64 = 5;
/// Rows that are made at a time.
const BATCH: u64 = 500_000;
/// Types of the events, in turn. No event has [`NO_TYPE`] or is of [`NO_FAMILY`].
const TYPES: [&str; 5] =
    ["activity.reported", "activity.amended", "activity.submitted", "activity.returned", "activity.accepted"];
pub const NO_TYPE: &str = "activity.withdrawn";
pub const NO_FAMILY: &str = "nomination.*";

/// A connection to what is to grow.
pub async fn connection(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// One real activity by the service, which the others are copies of.
pub async fn first(bed: &Bed, prepared: &Prepared) {
    let (_running, address, _) = bed.serve(&prepared.url, &[]).await;
    let mut client = load::Client::connect(&address).await.unwrap();
    let request = load::post("/v1/activities", &bed.reporter, &prepared.activity().to_string());
    assert_eq!(client.ask(&request).await.unwrap().0, 201);
    // It is sealed before a settled read is answered.
    let request = load::get("/v1/events?limit=1", &bed.administrator);
    assert_eq!(client.ask(&request).await.unwrap().0, 200);
}

/// Tables without their guards and indexes, and what brings those back. Nothing else uses the database meanwhile.
pub struct Opened(Vec<String>);

impl Opened {
    pub async fn of(conn: &DatabaseConnection, tables: &[&str]) -> Self {
        let backend = conn.get_database_backend();
        let tables = tables.join("', '");
        let sql = match backend {
            DbBackend::Postgres => format!(
                "SELECT 'index' AS type, indexname::text AS name, indexdef AS sql FROM pg_indexes \
                 WHERE tablename IN ('{tables}') AND indexname NOT LIKE '%\\_pkey'"
            ),
            _ => format!(
                "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL \
                 AND tbl_name IN ('{tables}')"
            ),
        };
        let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
        let text = |row: &QueryResult, name: &str| row.try_get::<String>("", name).unwrap();
        let fast: &[&str] = match backend {
            DbBackend::Postgres => &[
                "SET session_replication_role = replica",
                "SET synchronous_commit = off",
                "SET maintenance_work_mem = '1GB'",
            ],
            _ => &["PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000"],
        };
        for sql in fast {
            run(conn, sql).await;
        }
        for row in &rows {
            run(conn, &format!("DROP {} {}", text(row, "type"), text(row, "name"))).await;
        }
        Self(rows.iter().map(|row| text(row, "sql")).collect())
    }

    pub async fn close(self, conn: &DatabaseConnection) {
        let last: &[&str] = match conn.get_database_backend() {
            DbBackend::Postgres => &["SET session_replication_role = DEFAULT", "VACUUM ANALYZE", "CHECKPOINT"],
            _ => &["ANALYZE", "PRAGMA journal_mode = WAL"],
        };
        for sql in self.0.iter().map(String::as_str).chain(last.iter().copied()) {
            run(conn, sql).await;
        }
    }
}

pub async fn run(conn: &DatabaseConnection, sql: &str) {
    conn.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A whole database with so many events, timed.
pub async fn database(bed: &Bed, engine: &str, name: &str, number: u64) -> Prepared {
    let url = bed.database(engine, name).await;
    let prepared = bed.prepare(&url).await;
    first(bed, &prepared).await;
    let conn = connection(&url).await;
    let began = Stopwatch::start();
    let opened = Opened::of(&conn, &["audit_event", "audit_head", "audit_span"]).await;
    events(&conn, number).await;
    opened.close(&conn).await;
    conn.close().await.unwrap();
    println!("{engine}: {number} events made in {} s", began.elapsed().as_secs());
    prepared
}

/// Names and values of a table's columns; what is not made here is as in the row `x`.
pub async fn columns(conn: &DatabaseConnection, table: &str, made: &[(&str, String)]) -> (String, String) {
    let sql = match conn.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT column_name::text AS name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        ),
        _ => format!("SELECT name FROM pragma_table_info('{table}')"),
    };
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    let value = |name: &String| {
        made.iter().find(|(column, _)| column == name).map_or(format!("x.{name}"), |(_, sql)| sql.clone())
    };
    (names.join(", "), names.iter().map(value).collect::<Vec<_>>().join(", "))
}

/// Common tables: `numbers` from one number to another, and the campaign's units as [`unit`] asks for them.
pub fn with(backend: DbBackend, from: u64, to: u64) -> String {
    match backend {
        DbBackend::Postgres => format!(
            "WITH units AS MATERIALIZED (SELECT array_agg(id ORDER BY id) AS ids FROM unit), \
             numbers AS (SELECT n FROM generate_series({from}, {to}) n)"
        ),
        _ => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to}), \
             ranked AS MATERIALIZED (SELECT id, row_number() OVER () - 1 AS rank FROM unit)"
        ),
    }
}

/// The unit of row `n`.
pub fn unit(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "(SELECT ids[1 + n % cardinality(ids)] FROM units)",
        _ => "(SELECT id FROM ranked WHERE rank = n % (SELECT count(*) FROM ranked))",
    }
}

/// The id of the record with this number; two tables agree on it.
pub fn record(backend: DbBackend, number: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("md5('a' || {number})::uuid"),
        _ => format!("unhex(printf('0a%030x', ({number}) * 2654435761 % 4294967296 * 1000000 + ({number})))"),
    }
}

/// So many events behind those that are there, [`EVENTS`] a record.
pub async fn events(conn: &DatabaseConnection, number: u64) {
    let backend = conn.get_database_backend();
    let size = u64::try_from(seal::size(conn).await.unwrap()).unwrap();
    let text = |postgres: &str, sqlite: &str| if backend == DbBackend::Postgres { postgres } else { sqlite }.to_owned();
    let kinds: Vec<String> = (0..).zip(TYPES).map(|(n, kind)| format!("WHEN {n} THEN '{kind}'")).collect();
    let made = [
        ("seq", format!("{size} + n - 1")),
        ("event_id", text("md5('e' || n)::uuid", "unhex(printf('0e%030x', n))")),
        ("stream_id", record(backend, "1 + (n - 1) / 5")),
        ("stream_ver", "1 + (n - 1) % 5".to_owned()),
        ("event_type", format!("CASE n % {} {} END", TYPES.len(), kinds.join(" "))),
        ("actor_id", text("md5('p' || n % 100)::uuid", "unhex(printf('0b%030x', n % 100))")),
        ("unit_id", unit(backend).to_owned()),
        ("corr_id", text("md5('r' || n / 3)", "printf('%032x', n / 3)")),
        ("at", "x.at + n * CAST(1000 AS bigint)".to_owned()),
    ];
    let (names, values) = columns(conn, "audit_event", &made).await;
    let began = Stopwatch::start();
    for from in (1..=number).step_by(usize::try_from(BATCH).unwrap()) {
        let to = number.min(from + BATCH - 1);
        let x = "x AS MATERIALIZED (SELECT * FROM audit_event WHERE stream_type = 'activity' ORDER BY seq LIMIT 1)";
        let with = with(backend, from, to);
        run(conn, &format!("{with}, {x} INSERT INTO audit_event ({names}) SELECT {values} FROM numbers, x")).await;
        if number > BATCH {
            println!("  {to} of {number} events after {} s", began.elapsed().as_secs());
        }
    }
    spans::keep(conn, size, size + number).await.unwrap();
    run(conn, &format!("UPDATE audit_head SET size = {}", size + number)).await;
}
