//! The tree of the log in SQL: the head's frontier and the full tiles. Only the head ever changes; whatever is not a full
//! tile is hashed again from the leaves, so that the signer and the sampler look at the data anew.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, Value as SqlValue};

use super::proof::tile::{FULL_WIDTH, Tile, completed, encode_tile, tile_root};
use super::proof::tree::{Frontier, Hash, leaf_hash};
use super::store;
use crate::canonical::hex;
use crate::db::constraint::{placeholders, translate};
use crate::error::Error;

/// Leaves read at a time where many are hashed.
const CHUNK: u64 = 4096;

const HEAD: &str = "SELECT size, frontier FROM audit_head WHERE log_id = 1";

async fn row(conn: &impl ConnectionTrait) -> Result<QueryResult, Error> {
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), HEAD)).await;
    row.map_err(translate)?.ok_or_else(|| Error::internal("the log has no head"))
}

fn parts(row: &QueryResult) -> Result<(u64, Vec<u8>), Error> {
    let (size, frontier) = (row.try_get::<i64>("", "size"), row.try_get("", "frontier"));
    Ok((u64::try_from(size.map_err(translate)?).map_err(Error::internal)?, frontier.map_err(translate)?))
}

/// Size and root of everything that is sealed, and what appending needs.
pub async fn head(conn: &impl ConnectionTrait) -> Result<Frontier, Error> {
    head_in(&row(conn).await?)
}

/// The same, out of a row of `audit_head` that was read already.
pub fn head_in(row: &QueryResult) -> Result<Frontier, Error> {
    let (size, frontier) = parts(row)?;
    Frontier::from_parts(size, &frontier).map_err(Error::internal)
}

/// True if a tile becomes full when the log grows from `old` events to `new`.
pub fn become_full(old: u64, new: u64) -> bool {
    completed(old, new).next().is_some()
}

/// Keeps the tiles that became full when the log grew from `old` events to `new`, which are in it.
pub async fn keep(conn: &DatabaseTransaction, old: u64, new: u64) -> Result<(), Error> {
    for tile in completed(old, new) {
        keep_one(conn, tile).await?;
    }
    Ok(())
}

/// Moves the head on to `new` if it is at `old` events; the statement, without a value to be bound.
pub fn advance(backend: DbBackend, old: u64, new: &Frontier) -> Result<String, Error> {
    let (size, old, frontier) = (number(new.size())?, number(old)?, hex(&new.to_bytes()));
    let frontier = if backend == DbBackend::Postgres { format!("'\\x{frontier}'") } else { format!("x'{frontier}'") };
    Ok(format!("UPDATE audit_head SET size = {size}, frontier = {frontier} WHERE log_id = 1 AND size = {old}"))
}

/// Hashes a log that was sealed before there was a tree.
pub async fn renew(conn: &DatabaseTransaction) -> Result<(), Error> {
    let (size, frontier) = parts(&row(conn).await?)?;
    if size == 0 || !frontier.is_empty() {
        return Ok(());
    }
    let mut tree = Frontier::new();
    while tree.size() < size {
        let old = tree.size();
        for leaf in store::leaves(conn, number(old)? - 1, CHUNK).await? {
            tree.push(leaf_hash(&leaf.leaf)).map_err(Error::internal)?;
        }
        if tree.size() == old {
            return Err(Error::internal("the log has fewer events than its head says"));
        }
        keep(conn, old, tree.size()).await?;
    }
    let advance = advance(conn.get_database_backend(), size, &tree)?;
    let moved = conn.execute_unprepared(&advance).await.map_err(translate)?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(Error::internal("the head moved during a migration")) }
}

/// Stores a tile that became full, out of what stands below it.
async fn keep_one(conn: &DatabaseTransaction, tile: Tile) -> Result<(), Error> {
    let hashes = hashes(conn, tile).await?;
    let full: &[Hash; FULL_WIDTH as usize] =
        hashes.as_slice().try_into().map_err(|_| Error::internal("a full tile misses hashes"))?;
    let backend = conn.get_database_backend();
    let sql = format!("INSERT INTO audit_tile (level, idx, hashes, root) VALUES ({})", placeholders(backend, 1, 4));
    let values: [SqlValue; 4] = [
        i64::from(tile.level()).into(),
        number(tile.index())?.into(),
        encode_tile(full).into(),
        tile_root(full).to_vec().into(),
    ];
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(drop).map_err(translate)
}

/// What a tile is made of: leaves, or the roots of the full tiles below it.
pub async fn hashes(conn: &impl ConnectionTrait, tile: Tile) -> Result<Vec<Hash>, Error> {
    hashes_from(conn, tile, 0).await
}

/// The same without the first `known` of them.
pub async fn hashes_from(conn: &impl ConnectionTrait, tile: Tile, known: usize) -> Result<Vec<Hash>, Error> {
    let range = tile.children().ok_or_else(|| Error::internal("a tile beyond all leaves"))?;
    let known = u64::try_from(known).map_err(Error::internal)?;
    let (first, width) = (number(range.start + known)?, u64::from(tile.width()).saturating_sub(known));
    if tile.level() == 0 {
        let leaves = store::leaves(conn, first - 1, width).await?;
        return Ok(leaves.iter().map(|leaf| leaf_hash(&leaf.leaf)).collect());
    }
    let backend = conn.get_database_backend();
    let below = tile.level() - 1;
    let sql =
        format!("SELECT root FROM audit_tile WHERE level = {below} AND idx >= {first} ORDER BY idx LIMIT {width}");
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await.map_err(translate)?;
    let root = |row: &QueryResult| {
        let bytes: Vec<u8> = row.try_get("", "root").map_err(translate)?;
        Hash::try_from(bytes).map_err(|_| Error::internal("a root of another length"))
    };
    rows.iter().map(root).collect()
}

fn number(value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(Error::internal)
}
