//! Tiles and proofs out of what SQL keeps: full tiles as they were stored, whatever else hashed again from the leaves; but
//! for recent events' proofs, which [`Edge`] makes out of what it has read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

use sea_orm::{ConnectionTrait, Statement};

use super::proof::checkpoint::Checkpoint;
use super::proof::plan::{NodeId, Plan, PlanError};
use super::proof::tile::{FULL_WIDTH, Tile, decode_tile, node_in_tile};
use super::proof::tree::{Hash, verify_inclusion};
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
    filled(&Plan::inclusion(index, size).map_err(Error::internal)?, size, conn).await
}

/// That the tree of `new` leaves continues the one of `old`.
pub async fn consistency(conn: &impl ConnectionTrait, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
    filled(&Plan::consistency(old, new).map_err(Error::internal)?, new, conn).await
}

/// The roots of the perfect subtrees of the first `before` leaves, largest first, out of the tree of `size`.
pub async fn left(conn: &impl ConnectionTrait, before: u64, size: u64) -> Result<Vec<Hash>, Error> {
    filled(&Plan::frontier(before), size, conn).await
}

async fn filled(plan: &Plan, size: u64, conn: &impl ConnectionTrait) -> Result<Vec<Hash>, Error> {
    taken(plan, size, &fetch(plan, size, conn, None).await?)
}

/// Hashes of tiles, by level and index.
type Fetched = BTreeMap<(u8, u64), Vec<Hash>>;

/// Fetches each tile once.
async fn fetch(plan: &Plan, size: u64, conn: &impl ConnectionTrait, edge: Option<&Edge>) -> Result<Fetched, Error> {
    let place = |node: NodeId| Tile::holding(node, size).ok_or(PlanError::Missing(node)).map_err(Error::internal);
    let mut fetched = Fetched::new();
    for node in plan.nodes() {
        let holding = place(node)?;
        if let Entry::Vacant(place) = fetched.entry((holding.level(), holding.index())) {
            place.insert(match edge {
                Some(edge) => edge.tile(conn, holding).await?,
                None => tile(conn, holding).await?,
            });
        }
    }
    Ok(fetched)
}

fn taken(plan: &Plan, size: u64, fetched: &Fetched) -> Result<Vec<Hash>, Error> {
    let lookup = |node: NodeId| {
        let holding = Tile::holding(node, size)?;
        node_in_tile(node, fetched.get(&(holding.level(), holding.index()))?)
    };
    plan.hashes(lookup).map_err(Error::internal)
}

/// The hashes of the tiles that are not full yet, as far as they were read: what is sealed never changes, so that whoever
/// asks for a recent event's proof reads only what came since. Each proof is verified before it is given; if it does not
/// lead to the signed root, because the database was replaced by another one, everything is read anew.
#[derive(Default)]
pub struct Edge(Mutex<BTreeMap<u8, (u64, Vec<Hash>)>>);

impl Edge {
    /// That the leaf at `index` stands in the tree that was signed.
    pub async fn inclusion(
        &self,
        conn: &impl ConnectionTrait,
        index: u64,
        signed: &Checkpoint,
    ) -> Result<Vec<Hash>, Error> {
        if let Some(path) = self.verified(conn, index, signed).await? {
            return Ok(path);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let anew = self.verified(conn, index, signed).await?;
        anew.ok_or_else(|| Error::internal("the events that were signed are not those in the database"))
    }

    /// None if it does not lead to the root.
    async fn verified(
        &self,
        conn: &impl ConnectionTrait,
        index: u64,
        signed: &Checkpoint,
    ) -> Result<Option<Vec<Hash>>, Error> {
        let size = signed.size();
        let plan = Plan::inclusion(index, size).map_err(Error::internal)?;
        let mut fetched = fetch(&plan, size, conn, Some(self)).await?;
        let (bundle, place) = (index / u64::from(FULL_WIDTH), index % u64::from(FULL_WIDTH));
        if let Entry::Vacant(vacant) = fetched.entry((0, bundle)) {
            let tile = Tile::at_size(0, bundle, size).ok_or_else(|| Error::internal("no such leaf"))?;
            vacant.insert(self.tile(conn, tile).await?);
        }
        let path = taken(&plan, size, &fetched)?;
        let hash = usize::try_from(place).ok().and_then(|place| fetched.get(&(0, bundle))?.get(place));
        Ok(hash.filter(|hash| verify_inclusion(hash, index, size, &path, signed.root()).is_ok()).map(|_| path.clone()))
    }

    async fn tile(&self, conn: &impl ConnectionTrait, wanted: Tile) -> Result<Vec<Hash>, Error> {
        if wanted.is_full() {
            return tile(conn, wanted).await;
        }
        let mut hashes = self.known(wanted);
        let width = usize::from(wanted.width());
        if hashes.len() < width {
            hashes.extend(tiles::hashes_from(conn, wanted, hashes.len()).await?);
            self.keep(wanted, &hashes);
        }
        hashes.truncate(width);
        Ok(hashes)
    }

    fn known(&self, tile: Tile) -> Vec<Hash> {
        let edge = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = edge.get(&tile.level()).filter(|(index, _)| *index == tile.index());
        known.map(|(_, hashes)| hashes.clone()).unwrap_or_default()
    }

    /// One tile a level: the one farthest to the right, as wide as it was seen.
    fn keep(&self, tile: Tile, hashes: &[Hash]) {
        let mut edge = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, known) = edge.entry(tile.level()).or_default();
        if (*index, known.len()) < (tile.index(), hashes.len()) {
            (*index, *known) = (tile.index(), hashes.to_vec());
        }
    }
}
