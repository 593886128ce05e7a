//! Tiles and proofs out of what SQL keeps: full tiles as they were stored, whatever else hashed again from the leaves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sea_orm::{ConnectionTrait, Statement};

use super::proof::plan::{NodeId, Plan, PlanError};
use super::proof::tile::{Tile, decode_tile, node_in_tile};
use super::proof::tree::Hash;
use super::tiles;
use crate::db::constraint::{no_answer, translate};
use crate::error::{Code, Error};

/// True if what was read is not what belongs there. A database that did not answer says nothing of what it holds.
pub fn is_gone(error: &Error) -> bool {
    error.code == Code::Internal && !no_answer(error)
}

/// The hashes of a tile.
pub async fn tile(conn: &impl ConnectionTrait, tile: Tile) -> Result<Vec<Hash>, Error> {
    if !tile.is_full() {
        return tiles::hashes(conn, tile).await;
    }
    let (level, index) = (tile.level(), tile.index());
    let sql = format!("SELECT hashes FROM audit_tile WHERE level = {level} AND idx = {index}");
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    let row = row.map_err(translate)?.ok_or_else(|| Error::internal("a full tile is missing"))?;
    let bytes: Vec<u8> = row.try_get("", "hashes").map_err(translate)?;
    decode_tile(&bytes, tile.width()).map_err(Error::internal)
}

/// That the leaf at `index` stands in the tree of `size` leaves.
pub async fn inclusion(conn: &impl ConnectionTrait, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    filled(conn, &Plan::inclusion(index, size).map_err(Error::internal)?, size).await
}

/// That the tree of `new` leaves continues the one of `old`.
pub async fn consistency(conn: &impl ConnectionTrait, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
    filled(conn, &Plan::consistency(old, new).map_err(Error::internal)?, new).await
}

/// The roots of the perfect subtrees of the first `before` leaves, largest first, out of the tree of `size`.
pub async fn left(conn: &impl ConnectionTrait, before: u64, size: u64) -> Result<Vec<Hash>, Error> {
    filled(conn, &Plan::frontier(before), size).await
}

/// Fetches each tile once.
async fn filled(conn: &impl ConnectionTrait, plan: &Plan, size: u64) -> Result<Vec<Hash>, Error> {
    let place = |node: NodeId| Tile::holding(node, size).ok_or(PlanError::Missing(node)).map_err(Error::internal);
    let mut fetched: BTreeMap<(u8, u64), Vec<Hash>> = BTreeMap::new();
    for node in plan.nodes() {
        let holding = place(node)?;
        let key = (holding.level(), holding.index());
        if let Entry::Vacant(place) = fetched.entry(key) {
            place.insert(tile(conn, holding).await?);
        }
    }
    let lookup = |node: NodeId| {
        let holding = Tile::holding(node, size)?;
        node_in_tile(node, fetched.get(&(holding.level(), holding.index()))?)
    };
    plan.hashes(lookup).map_err(Error::internal)
}
