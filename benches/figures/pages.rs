//! A page of 50 at a million activities and five million events against the same at ten thousand and fifty thousand.
//!
//! The rows are made in SQL with the guards off, as copies of one real activity and its event: only their number counts.

use std::time::Duration;

use sea_orm::{DatabaseConnection, DbBackend};

use crate::bed::{self, Bed, Prepared};
use crate::grown::{self, EVENTS, Opened};
use crate::{load, middle};

const SMALL: u64 = 10_000;
const ROUNDS: usize = 7;

pub async fn run(activities: u64) {
    let bed = Bed::new();
    for engine in bed::ENGINES {
        let mut databases = Vec::new();
        for (name, number) in [("small", SMALL), ("large", activities)] {
            let url = bed.database(engine, name).await;
            let prepared = bed.prepare(&url).await;
            grown::first(&bed, &prepared).await;
            let conn = grown::connection(&url).await;
            let opened = Opened::of(&conn, &["activity", "audit_event", "audit_head", "audit_span"]).await;
            grow(&conn, number).await;
            grown::events(&conn, number * EVENTS).await;
            opened.close(&conn).await;
            conn.close().await.unwrap();
            databases.push(prepared);
        }
        compare(&bed, engine, &databases[0], &databases[1]).await;
        for name in ["small", "large"] {
            bed.discard(engine, name).await;
        }
    }
}

/// Many activities like the first, spread over the units and days of the campaign.
async fn grow(conn: &DatabaseConnection, number: u64) {
    let backend = conn.get_database_backend();
    let day = match backend {
        DbBackend::Postgres => "DATE '2021-01-01' + (n % 1600)::int",
        _ => "date('2021-01-01', '+' || (n % 1600) || ' days')",
    };
    let made = [
        ("id", grown::record(backend, "n")),
        ("unit_id", grown::unit(backend).to_owned()),
        ("held_on", day.to_owned()),
    ];
    let (names, values) = grown::columns(conn, "activity", &made).await;
    let (with, x) = (grown::with(backend, 1, number), "x AS MATERIALIZED (SELECT * FROM activity LIMIT 1)");
    grown::run(conn, &format!("{with}, {x} INSERT INTO activity ({names}) SELECT {values} FROM numbers, x")).await;
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
