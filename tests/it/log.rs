//! The log: dense positions, followers that miss nothing, tables that are what the log says.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, join3};
use sea_orm::ConnectionTrait;
use serde_json::json;
use thidua::auth::Role;
use thidua::clock::Stopwatch;
use thidua::commands::grant::console;
use thidua::db::{Outcome, WriteTx};
use thidua::error::Code;
use thidua::id::new_id;
use thidua::log::rebuild;
use thidua::units::{UnitKind, store};
use uuid::Uuid;

use crate::both_engines;
use crate::support::watch::{LONGEST, watch};
use crate::support::{Engine, Person, World, unit};

pub async fn rebuild_of(world: &World) -> rebuild::Report {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("fresh.db").display());
    let fresh = thidua::db::Db::connect(&url).await.unwrap();
    let report = rebuild::check(&world.db, &fresh, |_| Ok(())).await.unwrap();
    fresh.close().await;
    report
}

/// An event as a follower sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    position: i64,
    event: Uuid,
    record: Uuid,
    version: i64,
}

/// The events from `after` to the end of the log.
async fn follow(reader: &Person<'_>, mut after: i64) -> Vec<Seen> {
    // A token lives for ten minutes, and a million events take longer.
    let token = Some(reader.world.token(&format!("{}-", Role::Auditor)));
    let reader = &Person { token, ..*reader };
    let mut seen = Vec::new();
    let mut patience = 100;
    loop {
        let page = reader.get(&format!("/v1/events?limit=200&after={after}")).await;
        if page.status == 503 && patience > 0 {
            // Its connection was killed.
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let page = page.is(200).json();
        let id = |value: &serde_json::Value| value.as_str().unwrap().parse().unwrap();
        for event in page["items"].as_array().unwrap() {
            after = event["position"].as_i64().unwrap();
            let (record, version) = (id(&event["record"]["id"]), event["record"]["version"].as_i64().unwrap());
            seen.push(Seen { position: after, event: id(&event["id"]), record, version });
        }
        if page["caught_up"].as_bool().unwrap() {
            return seen;
        }
    }
}

/// What writers do while the log is followed.
#[derive(Clone, Copy)]
struct Load {
    writers: u64,
    rounds: u64,
    /// Of so many transactions one stalls, for so long.
    one_in: u64,
    stall: Duration,
    /// Connections to PostgreSQL are killed.
    kills: bool,
}

impl Load {
    /// Small here; about `THIDUA_FOLLOWED_EVENTS` by 32 writers if that is set.
    fn chosen() -> Self {
        let events: Option<u64> = std::env::var("THIDUA_FOLLOWED_EVENTS").ok().and_then(|number| number.parse().ok());
        let Some(events) = events else {
            return Self { writers: 16, rounds: 12, one_in: 10, stall: Duration::from_millis(60), kills: false };
        };
        watch(LONGEST + Duration::from_millis(20) * u32::try_from(events).unwrap());
        // Ten rounds leave fifteen events.
        let (writers, rounds) = (32, events.div_ceil(48));
        Self { writers, rounds, one_in: 250, stall: Duration::from_millis(300), kills: true }
    }
}

/// What became of the writes.
#[derive(Default)]
struct Ledger {
    acknowledged: Vec<Uuid>,
    /// Rolled back, for sure.
    given_up: Vec<Uuid>,
    /// Its connection was killed: nobody knows.
    unknown: usize,
}

async fn write(world: &World, load: Load, writer: u64) -> Ledger {
    let mut ledger = Ledger::default();
    for round in 0..load.rounds {
        let (id, number) = (new_id(), writer * 7 + round * 3);
        let fate = number % 10;
        let draft = unit("Bản", UnitKind::Village, None);
        let context = console();
        let result = world.db.record(&context, async |tx: &WriteTx<'_>| {
            store::register(tx, id, &draft).await?;
            if number % load.one_in == 0 {
                // A stall: later writers commit first.
                tokio::time::sleep(load.stall).await;
            }
            match fate {
                0 => return Ok(Outcome::Changed(())),
                1 => return Ok(Outcome::Unchanged(())),
                5 => return Err(Code::Conflict.into()),
                _ => {}
            }
            let old = store::locked(tx, id).await?;
            store::amend(tx, &old, &draft_named("Bản Sửa"), thidua::db::Event::new("unit.amended")).await?;
            Ok(Outcome::Changed(()))
        });
        match result.await {
            _ if fate == 1 || fate == 5 => ledger.given_up.push(id),
            Ok(()) => ledger.acknowledged.push(id),
            Err(error) => {
                assert!(load.kills, "{error}");
                ledger.unknown += 1;
            }
        }
    }
    ledger
}

/// Kills a connection of the service twice a second, whatever it is doing, until it is over.
async fn kill(world: &World, over: &AtomicBool) -> u64 {
    let raw = world.database.raw().await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'thidua' ORDER BY random() LIMIT 1";
    let mut killed = 0;
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        killed += raw.execute_unprepared(sql).await.unwrap().rows_affected();
    }
    killed
}

both_engines! {
    async fn folding_the_log_gives_the_tables(world: World) {
        let administrator = world.person(Role::Administrator, None).await;
        let body = json!({ "issuer": crate::support::ISSUER, "subject": "s", "label": "Đặng Thị Hường", "role": "auditor" });
        let given = administrator.create("/v1/grants", &body).await.is(201);
        let path = format!("{}:end", given.header("location").unwrap());
        administrator.change(&path, &given.etag(), &json!({ "reason": "Thôi việc" })).await.is(200);
        let report = rebuild_of(world).await;
        assert_eq!(report.differences, Vec::<String>::new());
        assert!(report.records >= 14, "{report:?}");

        // A derived table that was tampered with is named.
        let raw = world.database.raw().await;
        raw.execute_unprepared("DELETE FROM unit_closure WHERE ancestor_id = descendant_id").await.unwrap();
        let report = rebuild_of(world).await;
        assert_eq!(report.differences.len(), 10, "{report:?}");
        // An erased disclosure is a difference too, until the row is blanked.
        raw.execute_unprepared("DELETE FROM audit_disclosure WHERE path = 'label'").await.unwrap();
        let report = rebuild_of(world).await;
        assert!(report.differences.iter().any(|line| line.contains("label differs")), "{report:?}");
    }

    async fn a_follower_under_many_writers_misses_repeats_and_reorders_nothing(world: World) {
        let (load, auditor, began) = (Load::chosen(), world.person(Role::Auditor, None).await, Stopwatch::start());
        let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
        let start = follow(&auditor, -1).await.last().unwrap().position;
        let writers = async {
            let ledgers = join_all((0..load.writers).map(|writer| write(world, load, writer))).await;
            over.store(true, Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
            ledgers
        };
        let follower = async {
            let (mut seen, mut after) = (Vec::new(), start);
            loop {
                let last = stop.load(Ordering::Relaxed);
                let more = follow(&auditor, after).await;
                after = more.last().map_or(after, |seen| seen.position);
                seen.extend(more);
                if last {
                    return seen;
                }
            }
        };
        let killer = async {
            if load.kills && world.database.engine == Engine::Postgres { kill(world, &over).await } else { 0 }
        };
        let (ledgers, seen, killed) = join3(writers, follower, killer).await;
        let positions: Vec<i64> = seen.iter().map(|seen| seen.position).collect();
        let dense: Vec<i64> = (start + 1..=start + i64::try_from(seen.len()).unwrap()).collect();
        assert_eq!(positions, dense, "dense, in order, nothing missed or repeated");
        assert_eq!(seen.iter().map(|seen| seen.event).collect::<HashSet<_>>().len(), seen.len(), "no event twice");
        assert_eq!(follow(&auditor, start).await, seen, "a later reader sees the same");
        let mut versions: HashMap<Uuid, i64> = HashMap::new();
        for Seen { record, version, position, .. } in &seen {
            let before = versions.insert(*record, *version).unwrap_or(0);
            assert_eq!(*version, before + 1, "a record's events keep their order: {record} at {position}");
        }
        let (mut acknowledged, mut unknown) = (0, 0);
        for ledger in &ledgers {
            for id in &ledger.acknowledged {
                assert!(versions.contains_key(id), "acknowledged and missed: {id}");
            }
            for id in &ledger.given_up {
                assert!(!versions.contains_key(id), "rolled back and seen: {id}");
            }
            acknowledged += ledger.acknowledged.len();
            unknown += ledger.unknown;
        }
        assert!(versions.len() >= acknowledged && versions.len() <= acknowledged + unknown, "{unknown} of unknown end");
        assert!(acknowledged > 100, "the writers wrote");
        if load.kills {
            crate::support::said(&format!(
                "followed on {:?}: {} events of {acknowledged} acknowledged transactions by {} writers, {killed} connections \
                 killed, {unknown} of unknown end, 0 missed, doubled or reordered, {:.1?}",
                world.database.engine, seen.len(), load.writers, began.elapsed(),
            ));
        }
    }

    async fn events_are_filtered_and_read_in_either_order(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let administrator = world.person(Role::Administrator, None).await;
        let body = json!({ "issuer": crate::support::ISSUER, "subject": "s", "role": "unit_reporter", "unit": world.units.village_a });
        administrator.create("/v1/grants", &body).await.is(201);
        let types = |page: serde_json::Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
        };
        let by = format!("/v1/events?actor={}", administrator.account);
        assert_eq!(types(auditor.get(&by).await.json()), ["account.registered", "grant.given"]);
        assert_eq!(types(auditor.get(&format!("{by}&order=desc")).await.json()), ["grant.given", "account.registered"]);
        assert_eq!(types(auditor.get(&format!("{by}&type=grant.*")).await.json()), ["grant.given"]);
        assert_eq!(types(auditor.get(&format!("{by}&type=account.registered")).await.json()), ["account.registered"]);
        assert_eq!(types(auditor.get(&format!("{by}&from=2999-01-01T00:00:00Z")).await.json()), Vec::<String>::new());
        assert_eq!(auditor.get("/v1/events?limit=200").await.json()["items"][0]["position"], 0);
        let unit = format!("/v1/events?unit={}&type=grant.given", world.units.village_a);
        assert_eq!(types(auditor.get(&unit).await.json()), ["grant.given"]);
        // Nothing happened is another answer than there is no such thing.
        assert_eq!(types(auditor.get("/v1/events?type=figure.withdrawn").await.is(200).json()), Vec::<String>::new());
        for unknown in ["bogus.x", "bogus.*", "figur.*", "figure.confirm", "figure.reporte"] {
            let refused = auditor.get(&format!("/v1/events?type={unknown}")).await.problem(400, "invalid_query").json();
            assert_eq!(refused["errors"], json!([{ "pointer": "query/type",
                "detail": "không có loại sự kiện này; xem /docs/events.md" }]), "{unknown}");
        }
        for bad in ["type=x", "from=yesterday", "order=up", "after=-2", "limit=0", "cursor=x"] {
            let answer = auditor.get(&format!("/v1/events?{bad}")).await;
            assert_eq!(answer.status, 400, "{bad}");
            let pointer = answer.json()["errors"][0]["pointer"].clone();
            assert_eq!(pointer, format!("query/{}", bad.split('=').next().unwrap()), "{bad}");
        }

        // Paging newest first and back again, and a follower's cursor that outlives the end.
        let first = auditor.get("/v1/events?order=desc&limit=3").await.json();
        let next = auditor.get(&format!("/v1/events?order=desc&limit=3&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
        let back = auditor.get(&format!("/v1/events?order=desc&limit=3&cursor={}", next["prev_cursor"].as_str().unwrap())).await.json();
        assert_eq!(back["items"], first["items"]);
        let end = auditor.get("/v1/events?limit=200").await.json();
        assert_eq!(end["caught_up"], true);
        let resumed = format!("/v1/events?limit=200&cursor={}", end["next_cursor"].as_str().unwrap());
        let nothing = auditor.get(&resumed).await.json();
        assert_eq!((nothing["items"].as_array().unwrap().len(), &nothing["caught_up"]), (0, &json!(true)));
        administrator.create("/v1/grants", &json!({ "issuer": crate::support::ISSUER, "subject": "s2", "role": "auditor" })).await.is(201);
        let resumed = format!("/v1/events?limit=200&cursor={}", nothing["next_cursor"].as_str().unwrap());
        assert_eq!(types(auditor.get(&resumed).await.json()), ["account.registered", "grant.given"]);
    }

    async fn a_reader_inside_a_subtree_sees_its_events_only(world: World) {
        let reporter = world.person(Role::UnitReporter, Some(world.units.district)).await;
        for village in [world.units.village_a, world.units.village_b] {
            let body = json!({ "unit": village, "year": 2023, "poverty_standard": "2022-2025", "counts": { "poor_households": 1 } });
            reporter.create("/v1/figures", &body).await.is(201);
        }
        let committee = world.person(Role::CommuneCommittee, Some(world.units.village_a)).await;
        let grants = committee.get("/v1/events?type=grant.*").await.is(200).json();
        assert_eq!(grants["items"], json!([]), "who holds which role is not for everybody");
        let page = committee.get("/v1/events?type=figure.reported&limit=200").await.is(200).json();
        let units: HashSet<&str> = page["items"].as_array().unwrap().iter().map(|event| event["unit"].as_str().unwrap()).collect();
        assert_eq!(units, HashSet::from([world.units.village_a.to_string().as_str()]));
    }
}

fn draft_named(name: &str) -> thidua::units::UnitDraft {
    unit(name, UnitKind::Village, None)
}
