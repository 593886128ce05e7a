//! The tree of the log: what sealing keeps of it, what an older log gets, and what tells that it was changed.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use thidua::commands::grant::console;
use thidua::db::{Outcome, WriteTx};
use thidua::log::proof::tile::{full_tiles, tile_root};
use thidua::log::proof::tree::{Hash, leaf_hash, root_of};
use thidua::log::{store, tiles};
use thidua::units::{self, UnitKind};

use crate::both_engines;
use crate::log::rebuild_of;
use crate::support::{Engine, World, unit};

/// Writes so many events in one transaction.
async fn write(world: &World, events: usize) {
    let console = console();
    let written = world.db.record(&console, async |tx: &WriteTx<'_>| {
        for _ in 0..events {
            units::store::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
        }
        units::store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(()))
    });
    written.await.unwrap();
    world.db.settle().await.unwrap();
}

async fn hashes(world: &World) -> Vec<Hash> {
    let leaves = store::leaves(world.db.reader().conn(), -1, 100_000).await.unwrap();
    leaves.iter().map(|leaf| leaf_hash(&leaf.leaf)).collect()
}

/// Level, index, hashes and root of every tile.
async fn stored(world: &World) -> Vec<(i64, i64, Vec<u8>, Vec<u8>)> {
    let reader = world.db.reader();
    let sql = "SELECT level, idx, hashes, root FROM audit_tile ORDER BY level, idx";
    let rows = reader.conn().query_all_raw(Statement::from_string(reader.conn().get_database_backend(), sql)).await;
    let column = |row: &sea_orm::QueryResult, name: &str| row.try_get::<Vec<u8>>("", name).unwrap();
    let tile = |row: &sea_orm::QueryResult| {
        let place = |name: &str| row.try_get::<i64>("", name).unwrap();
        (place("level"), place("idx"), column(row, "hashes"), column(row, "root"))
    };
    rows.unwrap().iter().map(tile).collect()
}

/// As whoever owns the database can.
async fn without_guards(world: &World) -> DatabaseConnection {
    let raw = world.database.raw().await;
    let sql = match world.database.engine {
        Engine::Sqlite => {
            "DROP TRIGGER audit_tile_no_delete; DROP TRIGGER audit_head_frontier; DROP TRIGGER audit_head_forward"
        }
        Engine::Postgres => "ALTER TABLE audit_tile DISABLE TRIGGER ALL; ALTER TABLE audit_head DISABLE TRIGGER ALL",
    };
    raw.execute_unprepared(sql).await.unwrap();
    raw
}

both_engines! {
    async fn sealing_keeps_the_tree_of_every_event(world: World) {
        for events in [1, 3, 250, 300] {
            write(world, events).await;
            let (leaves, head) = (hashes(world).await, tiles::head(world.db.reader().conn()).await.unwrap());
            assert_eq!(head.size(), leaves.len() as u64);
            assert_eq!(head.root(), root_of(&leaves), "{} events", leaves.len());
            let tiles = stored(world).await;
            assert_eq!(tiles.len() as u64, full_tiles(0, head.size()));
            for ((level, index, hashes, root), full) in tiles.into_iter().zip(leaves.chunks_exact(256)) {
                assert_eq!((level, hashes, root), (0, full.concat(), tile_root(full.try_into().unwrap()).to_vec()), "{index}");
            }
        }
        assert!(stored(world).await.len() >= 2);
    }

    async fn a_log_from_before_there_was_a_tree_gets_one(world: World) {
        write(world, 300).await;
        let (head, kept) = (tiles::head(world.db.reader().conn()).await.unwrap(), stored(world).await);
        let raw = without_guards(world).await;
        let empty = if world.database.engine == Engine::Sqlite { "x''" } else { "''" };
        raw.execute_unprepared(&format!("DELETE FROM audit_tile; UPDATE audit_head SET frontier = {empty}")).await.unwrap();
        world.db.migrate().await.unwrap();
        assert_eq!(tiles::head(world.db.reader().conn()).await.unwrap(), head);
        assert_eq!(stored(world).await, kept);
        world.db.migrate().await.unwrap();
        write(world, 1).await;
        assert_eq!(tiles::head(world.db.reader().conn()).await.unwrap().root(), root_of(&hashes(world).await));
    }

    async fn rebuild_tells_a_head_that_is_not_that_of_the_events(world: World) {
        write(world, 2).await;
        assert_eq!(rebuild_of(world).await.differences, Vec::<String>::new());
        let raw = without_guards(world).await;
        // As long as before, and of something else.
        let frontier = tiles::head(world.db.reader().conn()).await.unwrap().to_bytes();
        let other: String = frontier.iter().map(|byte| format!("{:02x}", !byte)).collect();
        let other = if world.database.engine == Engine::Sqlite { format!("x'{other}'") } else { format!("'\\x{other}'") };
        raw.execute_unprepared(&format!("UPDATE audit_head SET frontier = {other}")).await.unwrap();
        assert_eq!(rebuild_of(world).await.differences, ["the head: its root is not that of the events"]);
    }
}
