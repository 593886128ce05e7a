//! The tree of the log in SQL: the head's frontier and the full tiles. Only the head ever changes; whatever is not a full
//! tile is hashed again from the leaves, so that a recent proof looks at the data anew.

use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, Statement, Value as SqlValue};

use super::proof::tile::{FULL_WIDTH, Tile, completed, encode_tile, tile_root};
use super::proof::tree::{Frontier, Hash, leaf_hash};
use super::store;
use crate::db::constraint::{placeholders, translate};
use crate::error::Error;

/// Leaves read at a time where many are hashed.
const CHUNK: u64 = 4096;

#[derive(FromQueryResult)]
struct HeadRow {
    size: i64,
    frontier: Vec<u8>,
}

async fn row(conn: &impl ConnectionTrait) -> Result<(u64, Vec<u8>), Error> {
    let sql = "SELECT size, frontier FROM audit_head WHERE log_id = 1";
    let row = HeadRow::find_by_statement(Statement::from_string(conn.get_database_backend(), sql)).one(conn).await;
    let HeadRow { size, frontier } = row.map_err(translate)?.ok_or_else(|| Error::internal("the log has no head"))?;
    Ok((u64::try_from(size).map_err(Error::internal)?, frontier))
}

/// Size and root of everything that is sealed, and what appending needs.
pub async fn head(conn: &impl ConnectionTrait) -> Result<Frontier, Error> {
    let (size, frontier) = row(conn).await?;
    Frontier::from_parts(size, &frontier).map_err(Error::internal)
}

/// Moves the head from `old` events on to `new`, whose events are in the log, and keeps the tiles that are full now.
/// False if the head is not where it was.
pub async fn advance(conn: &DatabaseTransaction, old: u64, new: &Frontier) -> Result<bool, Error> {
    for tile in completed(old, new.size()) {
        keep(conn, tile).await?;
    }
    let backend = conn.get_database_backend();
    let [size, frontier, before] = [1, 2, 3].map(|n| placeholders(backend, n, 1));
    let sql =
        format!("UPDATE audit_head SET size = {size}, frontier = {frontier} WHERE log_id = 1 AND size = {before}");
    let values: [SqlValue; 3] = [number(new.size())?.into(), new.to_bytes().into(), number(old)?.into()];
    let moved = conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(translate)?;
    Ok(moved.rows_affected() == 1)
}

/// Hashes a log that was sealed before there was a tree.
pub async fn renew(conn: &DatabaseTransaction) -> Result<(), Error> {
    let (size, frontier) = row(conn).await?;
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
        for tile in completed(old, tree.size()) {
            keep(conn, tile).await?;
        }
    }
    if advance(conn, size, &tree).await? { Ok(()) } else { Err(Error::internal("the head moved during a migration")) }
}

/// Stores a tile that became full, out of what stands below it.
async fn keep(conn: &DatabaseTransaction, tile: Tile) -> Result<(), Error> {
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
    let range = tile.children().ok_or_else(|| Error::internal("a tile beyond all leaves"))?;
    let (first, width) = (number(range.start)?, u64::from(tile.width()));
    if tile.level() == 0 {
        let leaves = store::leaves(conn, first - 1, width).await?;
        return Ok(leaves.iter().map(|leaf| leaf_hash(&leaf.leaf)).collect());
    }
    let backend = conn.get_database_backend();
    let below = tile.level() - 1;
    let sql =
        format!("SELECT root FROM audit_tile WHERE level = {below} AND idx >= {first} ORDER BY idx LIMIT {width}");
    let rows = conn.query_all_raw(Statement::from_string(backend, sql)).await.map_err(translate)?;
    let root = |row: &sea_orm::QueryResult| {
        let bytes: Vec<u8> = row.try_get("", "root").map_err(translate)?;
        Hash::try_from(bytes).map_err(|_| Error::internal("a root of another length"))
    };
    rows.iter().map(root).collect()
}

fn number(value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(Error::internal)
}
