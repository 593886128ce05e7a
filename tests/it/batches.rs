//! More waits for its position than one batch takes, and a log is taller than a tile of the second level.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Event, Outcome, WriteTx};
use thidua::id::new_id;
use thidua::log::proof::policy::Policy;
use thidua::log::proof::tlog_proof;
use thidua::log::proof::tree::{Hash, leaf_hash, root_of, verify_consistency};
use thidua::log::{seal, store};
use thidua::units::{UnitKind, store as units};
use tokio::sync::Notify;

use crate::both_engines;
use crate::support::forge::Forged;
use crate::support::{Engine, World, run, unit};

/// Events under one hash of a tile of the second level: a tile of leaves.
const TILE: usize = 256;
/// More than two batches of the sealer, on PostgreSQL. On SQLite nothing waits for long, and guards look at all that does.
fn many(engine: Engine) -> usize {
    if engine == Engine::Postgres { 8_400 } else { 800 }
}

fn events(engine: Engine, number: usize) -> Vec<Forged> {
    (0..number).map(|_| Forged::first(engine)).collect()
}

/// Committed at once.
async fn insert(raw: &DatabaseConnection, events: &[Forged]) {
    let tx = raw.begin().await.unwrap();
    for part in events.chunks(400) {
        tx.execute_unprepared(&Forged::insert_all(part)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn size(world: &World) -> usize {
    usize::try_from(seal::size(world.db.reader().conn()).await.unwrap()).unwrap()
}

/// Everything that waits gets its position: on SQLite with the next write.
async fn sealed(world: &World) {
    match world.database.engine {
        Engine::Sqlite => {
            let console = console();
            let written = world.db.record(&console, async |tx: &WriteTx<'_>| {
                units::register(tx, new_id(), &unit("Bản", UnitKind::Village, None)).await?;
                Ok(Outcome::Changed(()))
            });
            written.await.unwrap();
        }
        // Whoever waits for somebody else's turn for long is told to come again.
        Engine::Postgres => while world.db.settle().await.is_err() {},
    }
}

/// The hashes of a tile.
async fn tile(world: &World, path: &str) -> Vec<Hash> {
    let response = world.nobody().request("GET", &format!("/v1/log/tile/{path}")).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200, "{path}");
    let bytes = response.bytes().await.unwrap();
    bytes.chunks(32).map(|hash| hash.try_into().unwrap()).collect()
}

both_engines! {
    async fn a_log_of_more_than_a_tile_of_tiles_is_sealed_served_and_proven(world: World) {
        let (raw, engine) = (world.database.raw().await, world.database.engine);
        let auditor = world.person(Role::Auditor, None).await;
        sealed(world).await;
        while size(world).await < TILE * TILE + 100 {
            insert(&raw, &events(engine, many(engine))).await;
            sealed(world).await;
        }
        let leaves = store::leaves(world.db.reader().conn(), -1, 1_000_000).await.unwrap();
        assert!(leaves.iter().zip(0..).all(|(leaf, position)| leaf.seq == position), "dense");
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(&leaf.leaf)).collect();
        let size = hashes.len() as u64;

        let policy = world.nobody().get("/v1/log/policy").await.is(200).text;
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        for position in [0, TILE * TILE - 1, TILE * TILE, hashes.len() - 1] {
            let page = auditor.get(&format!("/v1/events?limit=1&after={}", leaves[position].seq - 1)).await.is(200).json();
            let event = page["items"][0]["id"].as_str().unwrap().to_owned();
            let proof = auditor.get(&format!("/v1/events/{event}/proof")).await.is(200).text;
            let proven = tlog_proof::verify(&proof, &leaves[position].leaf, &policy).unwrap();
            assert_eq!(proven.index, position as u64);
        }
        assert_eq!(tile(world, "0/255").await, hashes[255 * TILE..TILE * TILE]);
        let roots: Vec<Hash> = hashes[..TILE * TILE].chunks(TILE).map(root_of).collect();
        assert_eq!(tile(world, "1/000").await, roots);
        assert_eq!(tile(world, "2/000.p/1").await, [root_of(&roots)]);
        for from in [1, TILE, TILE * TILE - 1, TILE * TILE, TILE * TILE + 1] {
            let said = world.nobody().get(&format!("/v1/log/consistency?from={from}&to={size}")).await.is(200).json();
            let decoded = |hash: &serde_json::Value| STANDARD.decode(hash.as_str().unwrap()).unwrap().try_into().unwrap();
            let path: Vec<Hash> = said["hashes"].as_array().unwrap().iter().map(decoded).collect();
            let roots = [root_of(&hashes[..from]), root_of(&hashes)];
            verify_consistency(from as u64, &roots[0], size, &roots[1], &path).unwrap();
        }
    }
}

/// The sealer is held between its first batch and the next; meanwhile an event of before is committed, and others that follow it.
#[actix_web::test]
async fn what_is_committed_between_two_batches_keeps_its_order() {
    run(Engine::Postgres, async |world| {
        let raw = world.database.raw().await;
        world.db.settle().await.unwrap();
        let (early, late) = (new_id(), new_id());
        // A little more than a batch, made before the clock of an open transaction runs.
        let forged = events(Engine::Postgres, 4_100);
        let (inserted, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (db, told, waits) = (world.db.clone(), inserted.clone(), go_on.clone());
        let slow = actix_web::rt::spawn(async move {
            let console = console();
            let written = db.record(&console, async |tx: &WriteTx<'_>| {
                units::register(tx, early, &unit("Bản", UnitKind::Village, None)).await?;
                // Whatever it has to say was said to the server then.
                units::locked(tx, early).await?;
                told.notify_one();
                waits.notified().await;
                Ok(Outcome::Changed(()))
            });
            written.await.unwrap();
        });
        inserted.notified().await;
        let held = world.database.raw().await;
        let tiles = held.begin().await.unwrap();
        tiles.execute_unprepared("LOCK TABLE audit_tile IN EXCLUSIVE MODE").await.unwrap();
        insert(&raw, &forged).await;
        let blocked = "SELECT pid FROM pg_locks WHERE relation = 'audit_tile'::regclass AND NOT granted \
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let sealing = loop {
            let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, blocked)).await.unwrap();
            if let Some(row) = row {
                break row.try_get::<i32>("", "pid").unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        go_on.notify_one();
        slow.await.unwrap();
        let console = console();
        let written = world.db.record(&console, async |tx: &WriteTx<'_>| {
            let old = units::locked(tx, early).await?;
            units::amend(tx, &old, &unit("Bản Sửa", UnitKind::Village, None), Event::new("unit.amended")).await?;
            units::register(tx, late, &unit("Bản", UnitKind::Village, None)).await?;
            Ok(Outcome::Changed(()))
        });
        written.await.unwrap();
        let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, blocked)).await.unwrap();
        assert_eq!(row.unwrap().try_get::<i32>("", "pid").unwrap(), sealing, "it is the same seal");
        tiles.rollback().await.unwrap();
        sealed(world).await;

        let sql = format!(
            "SELECT stream_id = '{early}' AS early, stream_ver FROM audit_event WHERE stream_id IN ('{early}', '{late}') ORDER BY seq"
        );
        let rows = raw.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        let order: Vec<(bool, i64)> =
            rows.iter().map(|row| (row.try_get("", "early").unwrap(), row.try_get("", "stream_ver").unwrap())).collect();
        assert_eq!(order, [(true, 1), (true, 2), (false, 1)]);
        let left = "SELECT count(*) AS waits FROM audit_inbox";
        let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, left)).await;
        assert_eq!(row.unwrap().unwrap().try_get::<i64>("", "waits").unwrap(), 0);
    })
    .await;
}
