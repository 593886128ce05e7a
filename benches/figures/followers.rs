//! A thousand followers of `/v1/events/stream` while events are written at a rate: seal to arrival, the service's CPU,
//! nothing missed or doubled, and all of them coming back at once with `Last-Event-ID`.
//!
//! *Seal to arrival* counts from the event's `sealed_at`, by the clock that the load generator reads as well. The service
//! takes that time before it writes the sealed rows, and nobody sees them before they are committed: the rest of that
//! seal is in the figure. Arrival is when the read that brought the event's end
//! returned; only then it counts as received.
//!
//! Every follower is sent every event, so a thousand events a second are a million messages a second of more than a
//! kilobyte each; the load generator shares the cores, with one thread. PostgreSQL's own CPU is not in the service's.
//! Files: a connection is one file on either side, `ulimit -n` of at least 2,500 is asked for before anything is measured.
//! A follower that is cut off or refused comes back as a browser would, and that is counted.

use std::time::Duration;

use clap::Args;
use sea_orm::{ConnectionTrait, Statement};
use thidua::clock::{Micros, Stopwatch};
use thidua::log::seal;

use crate::bed::{self, Bed, Running};
use crate::follower::{Followed, Storm};
use crate::{grown, load};

const WRITERS: usize = 16;
/// Longer than this nobody is waited for. A service that cannot keep up goes on sending long after the last write.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Args)]
pub struct FollowerArgs {
    #[arg(long, default_value_t = 1_000)]
    followers: usize,
    /// Events written in a second, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [200, 500, 1_000])]
    rates: Vec<u32>,
    /// Seconds for which they are written, for the measurement and for the storm.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

pub async fn run(args: FollowerArgs) {
    enough_files(args.followers);
    let bed = Bed::new();
    for engine in bed::ENGINES {
        let url = bed.database(engine, "followers").await;
        bed.prepare(&url).await;
        let key = bed.log_key(engine);
        for rate in &args.rates {
            let (running, address) = bed.serve_signed(&url, &key).await;
            let scene = Scene { bed: &bed, engine, url: &url, running, address, args: &args };
            scene.measure(*rate).await;
        }
        bed.discard(engine, "followers").await;
    }
}

fn enough_files(followers: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let most: usize = line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    assert!(most >= followers + 500, "{most} open files are too few: ulimit -n");
}

/// A service that is followed.
struct Scene<'a> {
    bed: &'a Bed,
    engine: &'a str,
    url: &'a str,
    running: Running,
    address: String,
    args: &'a FollowerArgs,
}

impl Scene<'_> {
    async fn measure(&self, rate: u32) {
        let first = self.size().await;
        let followed = Followed::start(&self.address, &self.bed.administrator, self.args.followers, first).await;
        let (cpu, began) = (self.running.cpu(), Stopwatch::start());
        let written = self.write(rate).await;
        let end = self.size().await;
        self.all_arrived(&followed, end).await;
        let cores = (self.running.cpu() - cpu) / began.elapsed().as_secs_f64();
        let late = latencies(&followed.arrivals(), first, &self.sealed(first, end).await);
        let what = format!("{}, {} followers, {rate} events a second", self.engine, self.args.followers);
        println!(
            "{what}: seal to arrival p50 {:.1} ms, p99 {:.1} ms; {cores:.2} cores, {:.0} MB",
            quantile(&late, 0.5),
            quantile(&late, 0.99),
            self.running.memory("VmRSS")
        );
        let (events, cut) = (end - first, followed.cut());
        println!("  {events} events, {written:.0} written a second; 0 missed, 0 doubled; {cut} cut off or refused");
        let took = self.storm(&followed, rate).await;
        let cut = followed.cut() - cut;
        println!(
            "  all coming back at once: the last had an event after {took:.0} ms; 0 lost; {cut} cut off or refused"
        );
        followed.stop().await;
    }

    /// How many were written in a second.
    async fn write(&self, rate: u32) -> f64 {
        let (token, body) = (self.bed.administrator.clone(), bed::revocation().to_string());
        let request = move || load::post("/v1/revocations", &token, &body);
        let time = Duration::from_secs(self.args.seconds);
        load::open(&self.address, WRITERS, f64::from(rate), time, 201, request).await.per_second
    }

    /// Everybody leaves and comes back while events are written; milliseconds until the last was sent something again.
    async fn storm(&self, followed: &Followed, rate: u32) -> f64 {
        let time = Duration::from_secs(self.args.seconds) / 3;
        let (_, Storm(came_back)) = tokio::join!(self.write(rate), async {
            tokio::time::sleep(time).await;
            followed.storm(PATIENCE).await
        });
        self.all_arrived(followed, self.size().await).await;
        came_back.as_secs_f64() * 1000.0
    }

    /// Whoever misses or doubles an event panics on the way.
    async fn all_arrived(&self, followed: &Followed, end: i64) {
        let waited = Stopwatch::start();
        while followed.least().await + 1 < end {
            let (least, all) = (followed.least().await, self.args.followers);
            assert!(waited.elapsed() < PATIENCE, "one of {all} is still at {least} of {end}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Events that are sealed, all that were written included.
    async fn size(&self) -> i64 {
        let mut client = load::Client::connect(&self.address).await.unwrap();
        let request = load::get("/v1/events?limit=1&order=desc", &self.bed.administrator);
        assert_eq!(client.ask(&request).await.unwrap().0, 200);
        let conn = grown::connection(self.url).await;
        let size = seal::size(&conn).await.unwrap();
        conn.close().await.unwrap();
        size
    }

    /// When each of these positions was sealed.
    async fn sealed(&self, first: i64, end: i64) -> Vec<Micros> {
        let conn = grown::connection(self.url).await;
        let sql = format!("SELECT sealed_at FROM audit_event WHERE seq >= {first} AND seq < {end} ORDER BY seq");
        let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
        conn.close().await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }
}

/// Of every event to every follower, sorted, in µs.
fn latencies(arrivals: &[(i64, i64, Micros)], first: i64, sealed: &[Micros]) -> Vec<u32> {
    let mut all = Vec::new();
    for (from, to, at) in arrivals {
        let [from, to] = [from, to].map(|position| usize::try_from(position - first).unwrap());
        all.extend(sealed[from..=to].iter().map(|sealed| u32::try_from(at - sealed).unwrap()));
    }
    all.sort_unstable();
    all
}

/// In milliseconds.
fn quantile(sorted: &[u32], part: f64) -> f64 {
    f64::from(sorted[((sorted.len() - 1) as f64 * part).round() as usize]) / 1000.0
}
