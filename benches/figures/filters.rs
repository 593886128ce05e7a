//! A page of 50 of every documented filter of `/v1/events` in a large log against the same in one of 10,000 events.
//!
//! Each filter is asked with up to 200 values of events all over its log, in turn, so that it is not one page that is read
//! again and again; the values of the two logs are their own. Neither log is larger than the memory of a machine with
//! 24 GiB, and after the first round what is asked for is cached: these are no times of a cold disk.
//!
//! A person has a hundredth of the events, a unit its part of the campaign's, a record five, a request three, the campaign
//! all. What matches nothing is asked for with values that no event has; with two filters, one of them of something that
//! there is, each event of that one is looked at, up to 20,000.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::Value;
use thidua::clock::rfc3339;
use thidua::log::seal;

use crate::bed::{self, Bed, Prepared};
use crate::grown::{self, NO_FAMILY, NO_TYPE};
use crate::load::{self, Client};
use crate::middle;

const SMALL: u64 = 10_000;
const VALUES: i64 = 200;
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";

#[derive(Args)]
pub struct FilterArgs {
    /// Events in the large log.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each filter is asked in each log in a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

pub async fn run(args: FilterArgs) {
    let bed = Bed::new();
    for engine in bed::ENGINES {
        let small = grown::database(&bed, engine, "few", SMALL).await;
        let large = grown::database(&bed, engine, "many", args.events).await;
        compare(&bed, engine, [&small, &large], &args).await;
        for name in ["few", "many"] {
            bed.discard(engine, name).await;
        }
    }
}

/// What an event is found by.
struct Event {
    seq: i64,
    record: String,
    kind: String,
    actor: String,
    unit: String,
    campaign: String,
    request: String,
    at: i64,
}

/// Events from all over the log.
async fn sample(conn: &DatabaseConnection) -> Vec<Event> {
    let backend = conn.get_database_backend();
    let size = seal::size(conn).await.unwrap();
    // The first hundred are the campaign's own; an odd step meets every type and record.
    let step = ((size - 100) / VALUES) | 1;
    let places: Vec<String> =
        (0..VALUES).map(|n| 100 + n * step).filter(|seq| *seq < size).map(|n| n.to_string()).collect();
    let id = |name: &str| match backend {
        DbBackend::Postgres => format!("{name}::text AS {name}"),
        _ => format!("lower(hex({name})) AS {name}"),
    };
    let ids = ["stream_id", "actor_id", "unit_id", "scope_id"].map(id).join(", ");
    let sql = format!(
        "SELECT seq, {ids}, event_type, corr_id, at FROM audit_event WHERE stream_type = 'activity' AND seq IN ({})",
        places.join(", ")
    );
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    let read = |row: &sea_orm::QueryResult| {
        let text = |name| row.try_get::<String>("", name).unwrap();
        let id = |name| text(name).parse::<uuid::Uuid>().unwrap().to_string();
        let [record, actor, unit, campaign] = ["stream_id", "actor_id", "unit_id", "scope_id"].map(id);
        let number = |name| row.try_get::<i64>("", name).unwrap();
        let (kind, request) = (text("event_type"), text("corr_id"));
        Event { seq: number("seq"), record, kind, actor, unit, campaign, request, at: number("at") }
    };
    let events: Vec<Event> = rows.iter().map(read).collect();
    assert!(events.len() > 100, "{} events to ask for", events.len());
    events
}

/// A time as a query has it.
fn time(at: i64) -> String {
    rfc3339(at)
}

/// A filter, and whether it finds anything.
type Filter = (&'static str, bool, fn(&Event) -> String);

const FILTERS: [Filter; 25] = [
    ("everything", true, |_| String::new()),
    ("after", true, |x| format!("&after={}", x.seq - 1)),
    ("upto, newest first", true, |x| format!("&upto={}&order=desc", x.seq + 1)),
    ("newest first", true, |_| "&order=desc".to_owned()),
    ("record", true, |x| format!("&record={}", x.record)),
    ("type", true, |x| format!("&type={}", x.kind)),
    ("type, newest first", true, |x| format!("&type={}&order=desc", x.kind)),
    ("types of a record", true, |_| "&type=activity.*".to_owned()),
    ("actor", true, |x| format!("&actor={}", x.actor)),
    ("unit", true, |x| format!("&unit={}", x.unit)),
    ("campaign", true, |x| format!("&campaign={}", x.campaign)),
    ("request_id", true, |x| format!("&request_id={}", x.request)),
    ("from", true, |x| format!("&from={}", time(x.at))),
    ("until, newest first", true, |x| format!("&until={}&order=desc", time(x.at))),
    ("from and until", true, |x| format!("&from={}&until={}", time(x.at), time(x.at + 20_000))),
    ("actor and type", true, |x| format!("&actor={}&type={}", x.actor, x.kind)),
    ("unit and from", true, |x| format!("&unit={}&from={}", x.unit, time(x.at))),
    ("record, none", false, |_| format!("&record={NOBODY}")),
    ("type, none", false, |_| format!("&type={NO_TYPE}")),
    ("types of a record, none", false, |_| format!("&type={NO_FAMILY}")),
    ("actor, none", false, |_| format!("&actor={NOBODY}")),
    ("request_id, none", false, |_| format!("&request_id={}", "f".repeat(32))),
    ("from, none", false, |_| "&from=2200-01-01T00:00:00Z".to_owned()),
    ("actor and type, none", false, |x| format!("&actor={}&type={NO_TYPE}", x.actor)),
    ("campaign and unit, none", false, |x| format!("&campaign={}&unit={NOBODY}", x.campaign)),
];

async fn compare(bed: &Bed, engine: &str, databases: [&Prepared; 2], args: &FilterArgs) {
    let (mut services, mut logs) = (Vec::new(), Vec::new());
    for prepared in databases {
        let conn = grown::connection(&prepared.url).await;
        let events = sample(&conn).await;
        conn.close().await.unwrap();
        let (running, address, _) = bed.serve(&prepared.url, &[]).await;
        services.push(running);
        logs.push((address, events));
    }
    for (name, finds, filter) in FILTERS {
        let mut asked = Vec::new();
        for (address, events) in &logs {
            let asks = Asks::new(bed, events.iter().map(filter));
            asks.check(address, name, finds).await;
            asked.push((address, asks));
        }
        let (mut medians, mut tails, mut last) = (Vec::new(), Vec::new(), [0.0; 2]);
        for _ in 0..args.rounds {
            let mut round = Vec::new();
            for (address, asks) in &asked {
                let load = asks.run(address, Duration::from_secs_f64(args.seconds)).await;
                round.push([load.millis(0.5), load.millis(0.99)]);
            }
            medians.push(round[1][0] / round[0][0]);
            tails.push(round[1][1] / round[0][1]);
            last = round[1];
        }
        let (tails, medians) = (middle(tails), middle(medians));
        println!("{engine}, {name}: p99 {tails} ({:.2} ms), median {medians} ({:.2} ms)", last[1], last[0]);
    }
}

/// Requests that take turns.
#[derive(Clone)]
struct Asks(Arc<(Vec<Vec<u8>>, AtomicUsize)>);

impl Asks {
    fn new(bed: &Bed, filters: impl Iterator<Item = String>) -> Self {
        let request = |filter| load::get(&format!("/v1/events?limit=50{filter}"), &bed.administrator);
        Self(Arc::new((filters.map(request).collect(), AtomicUsize::new(0))))
    }

    /// That each finds something, or nothing.
    async fn check(&self, address: &str, name: &str, finds: bool) {
        let mut client = Client::connect(address).await.unwrap();
        for request in &self.0.0 {
            let (status, body) = client.ask(request).await.unwrap();
            let page: Value = serde_json::from_slice(body).unwrap();
            let found = page["items"].as_array().is_some_and(|items| !items.is_empty());
            assert_eq!((status, found), (200, finds), "{name}: {}", String::from_utf8_lossy(request));
        }
    }

    async fn run(&self, address: &str, time: Duration) -> load::Load {
        let asks = self.clone();
        let request = move || {
            let (requests, next) = &*asks.0;
            requests[next.fetch_add(1, Ordering::Relaxed) % requests.len()].clone()
        };
        load::run(address, 1, time, 200, request).await
    }
}
