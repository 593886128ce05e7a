//! The log: dense positions, followers that miss nothing, tables that are what the log says.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::json;
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Outcome, WriteTx};
use thidua::error::Code;
use thidua::id::new_id;
use thidua::log::rebuild;
use thidua::units::{UnitKind, store};

use crate::both_engines;
use crate::support::{World, unit};

pub async fn rebuild_of(world: &World) -> rebuild::Report {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("fresh.db").display());
    let fresh = thidua::db::Db::connect(&url).await.unwrap();
    let report = rebuild::check(&world.db, &fresh, |_| {}).await.unwrap();
    fresh.close().await;
    report
}

/// Positions and event ids from `after` to the end of the log.
async fn follow(world: &World, token_of: &crate::support::Person<'_>, mut after: i64) -> Vec<(i64, String)> {
    let _ = world;
    let mut seen = Vec::new();
    loop {
        let page = token_of.get(&format!("/v1/events?limit=200&after={after}")).await.is(200).json();
        for event in page["items"].as_array().unwrap() {
            after = event["position"].as_i64().unwrap();
            seen.push((after, event["id"].as_str().unwrap().to_owned()));
        }
        if page["caught_up"].as_bool().unwrap() {
            return seen;
        }
    }
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

    async fn a_follower_under_sixteen_writers_misses_repeats_and_reorders_nothing(world: World) {
        let auditor = world.person(Role::Auditor, None).await;
        let stop = std::sync::atomic::AtomicBool::new(false);
        let start = follow(world, &auditor, -1).await.last().unwrap().0;
        let writers = async {
            let writers = (0..16_u64).map(|n| async move {
                let mut acknowledged = Vec::new();
                for round in 0..12_u64 {
                    let (id, fate) = (new_id(), (n * 7 + round * 3) % 10);
                    let draft = unit("Bản", UnitKind::Village, None);
                    let result = world.db.record(&console(), async |tx: &WriteTx<'_>| {
                        store::register(tx, id, &draft).await?;
                        if fate == 0 {
                            // A stall: later writers commit first.
                            tokio::time::sleep(Duration::from_millis(60)).await;
                        }
                        if fate < 2 || fate == 5 {
                            return if fate == 1 { Ok(Outcome::Unchanged(())) } else if fate == 5 { Err(Code::Conflict.into()) } else { Ok(Outcome::Changed(())) };
                        }
                        let old = store::locked(tx, id).await?;
                        store::amend(tx, &old, &draft_named("Bản Sửa"), thidua::db::Event::new("unit.amended")).await?;
                        Ok(Outcome::Changed(()))
                    }).await;
                    if result.is_ok() && fate != 1 {
                        acknowledged.push(id);
                    }
                }
                acknowledged
            });
            let acknowledged = futures_util::future::join_all(writers).await.concat();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            acknowledged
        };
        let follower = async {
            let (mut seen, mut after) = (Vec::new(), start);
            loop {
                let last = stop.load(std::sync::atomic::Ordering::Relaxed);
                let more = follow(world, &auditor, after).await;
                after = more.last().map_or(after, |(position, _)| *position);
                seen.extend(more);
                if last {
                    return seen;
                }
            }
        };
        let (acknowledged, seen) = futures_util::future::join(writers, follower).await;
        let positions: Vec<i64> = seen.iter().map(|(position, _)| *position).collect();
        let dense: Vec<i64> = (start + 1..=start + i64::try_from(seen.len()).unwrap()).collect();
        assert_eq!(positions, dense, "dense, in order, nothing missed or repeated");
        assert_eq!(seen.iter().map(|(_, id)| id).collect::<HashSet<_>>().len(), seen.len(), "no event twice");
        let all = follow(world, &auditor, start).await;
        assert_eq!(all, seen, "a later reader sees the same");
        for id in &acknowledged {
            let history = auditor.get(&format!("/v1/units/{id}/events")).await.is(200).json();
            let versions: Vec<i64> = history["items"].as_array().unwrap().iter().map(|e| e["record"]["version"].as_i64().unwrap()).collect();
            assert_eq!(versions, (1..=i64::try_from(versions.len()).unwrap()).collect::<Vec<_>>(), "a record's events keep their order");
        }
        assert!(acknowledged.len() > 100, "the writers wrote");
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
