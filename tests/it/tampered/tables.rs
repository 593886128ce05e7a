//! The log's tables, written by somebody who owns the database.

use sea_orm::{ConnectionTrait, Statement, Value as SqlValue};
use thidua::log::proof::tile::{encode_tile, tile_root};
use thidua::log::proof::tree::{Frontier, Hash, leaf_hash};
use thidua::log::store;
use uuid::Uuid;

/// Runs a statement whose values stand for `?`; how many rows it touched.
pub async fn run(conn: &impl ConnectionTrait, sql: &str, values: Vec<SqlValue>) -> u64 {
    let backend = conn.get_database_backend();
    let numbered = match backend {
        sea_orm::DbBackend::Postgres => {
            let mut parts = sql.split('?');
            let first = parts.next().unwrap().to_owned();
            parts.enumerate().fold(first, |sql, (n, part)| format!("{sql}${}{part}", n + 1))
        }
        _ => sql.to_owned(),
    };
    let done = conn.execute_raw(Statement::from_sql_and_values(backend, numbered, values)).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
}

fn place(position: usize) -> SqlValue {
    i64::try_from(position).unwrap().into()
}

/// The bytes of a leaf; they are UTF-8, since PostgreSQL has no other text.
pub async fn set_leaf(conn: &impl ConnectionTrait, position: usize, leaf: &[u8]) {
    let leaf = String::from_utf8(leaf.to_vec()).unwrap();
    let touched = run(conn, "UPDATE audit_event SET leaf = ? WHERE seq = ?", vec![leaf.into(), place(position)]).await;
    assert_eq!(touched, 1, "position {position}");
}

pub async fn delete(conn: &impl ConnectionTrait, position: usize) {
    assert_eq!(run(conn, "DELETE FROM audit_event WHERE seq = ?", vec![place(position)]).await, 1);
}

pub async fn truncate(conn: &impl ConnectionTrait, events: usize) {
    run(conn, "DELETE FROM audit_event WHERE seq >= ?", vec![place(events)]).await;
}

/// Moves all events from a position on; there and back, since no two may have one position for a moment.
pub async fn shift(conn: &impl ConnectionTrait, from: usize, by: i64) {
    let away = vec![by.into(), place(from)];
    run(conn, "UPDATE audit_event SET seq = -(seq + ?) - 1 WHERE seq >= ?", away).await;
    run(conn, "UPDATE audit_event SET seq = -seq - 1 WHERE seq < 0", vec![]).await;
}

pub async fn exchange(conn: &impl ConnectionTrait, one: usize, other: usize) {
    let back = vec![place(one), place(other), place(one), place(one), place(other)];
    let sql = "UPDATE audit_event SET seq = -(CASE WHEN seq = ? THEN ? ELSE ? END) - 1 WHERE seq IN (?, ?)";
    // Typed: PostgreSQL takes what it is not told for text.
    let sql = sql.replace("THEN ?", "THEN CAST(? AS BIGINT)").replace("ELSE ?", "ELSE CAST(? AS BIGINT)");
    assert_eq!(run(conn, &sql, back).await, 2);
    run(conn, "UPDATE audit_event SET seq = -seq - 1 WHERE seq < 0", vec![]).await;
}

/// An event of a new record, with the columns of another one, where nothing stands yet.
pub async fn insert(
    conn: &impl ConnectionTrait,
    position: usize,
    like: usize,
    [event, record]: [Uuid; 2],
    leaf: &[u8],
) {
    let sql = "INSERT INTO audit_event (seq, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, \
               scope_id, corr_id, at, day, sealed_at, leaf) \
               SELECT CAST(? AS BIGINT), ?, stream_type, ?, 1, event_type, actor_id, unit_id, scope_id, corr_id, at, day, \
               sealed_at, ? FROM audit_event WHERE seq = ?";
    let sql = sql.replace("sealed_at, ?", "sealed_at, CAST(? AS TEXT)");
    let leaf = String::from_utf8(leaf.to_vec()).unwrap();
    let values = vec![place(position), event.into(), record.into(), leaf.into(), place(like)];
    assert_eq!(run(conn, &sql, values).await, 1);
}

/// Head and tiles of the events that are there now.
pub async fn grow_the_tree(conn: &impl ConnectionTrait) -> Vec<Hash> {
    let leaves = store::leaves(conn, -1, 1_000_000).await.unwrap();
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(&leaf.leaf)).collect();
    let mut tree = Frontier::new();
    hashes.iter().for_each(|hash| tree.push(*hash).unwrap());
    set_head(conn, &tree).await;
    run(conn, "DELETE FROM audit_tile", vec![]).await;
    for (index, full) in hashes.chunks_exact(256).enumerate() {
        let root = tile_root(full.try_into().unwrap()).to_vec();
        let values = vec![0_i64.into(), place(index), encode_tile(full).into(), root.into()];
        run(conn, "INSERT INTO audit_tile (level, idx, hashes, root) VALUES (?, ?, ?, ?)", values).await;
    }
    assert!(hashes.len() < 256 * 256, "a second level");
    hashes
}

pub async fn set_head(conn: &impl ConnectionTrait, tree: &Frontier) {
    let values = vec![i64::try_from(tree.size()).unwrap().into(), tree.to_bytes().into()];
    assert_eq!(run(conn, "UPDATE audit_head SET size = ?, frontier = ?", values).await, 1);
}
