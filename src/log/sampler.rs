//! Looks at sealed events again, all the time and slowly: somebody who changes the log behind the service is met before
//! anybody relies on it, and nothing more is signed or written then.
//!
//! A look is one tile: its up to 256 events against the hashes that were kept of them and against their columns, and one
//! path from there to the root that was signed, which all those hashes are part of. The newest 10,000 events are looked
//! at within a minute; beside them about a thousand others a minute, in turn from a place that nobody knows.
//!
//! With each tile the record of one of its events is looked at, whichever it is: whether its row is what all its events
//! say. A row that is not is told to the operator; what was signed is true nevertheless, so that the service goes on.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::again;
use super::proof::checkpoint::Checkpoint;
use super::proof::tile::{FULL_WIDTH, Tile};
use super::proof::tree::verify_inclusion;
use super::signer::{Signer, Trouble};
use super::{prove, row, store};
use crate::error::{Code, Error};
use crate::id;

/// Between two looks.
const TICK: Duration = Duration::from_millis(1300);
/// So many of the newest events are looked at within a minute.
const NEWEST: u64 = 10_000;
/// One look in so many is at an older tile: four a minute.
const OLDER: u64 = 11;

/// Where it is.
pub struct Sampler<'a> {
    signer: &'a Signer,
    looks: u64,
    older: u64,
}

impl<'a> Sampler<'a> {
    /// Begins somewhere.
    pub fn new(signer: &'a Signer) -> Self {
        Self { signer, looks: 0, older: u64::from(u32::from_be_bytes(id::random::<4>())) }
    }

    /// Looks at what is next; in trouble the signer is stopped.
    pub async fn look(&mut self) -> Result<(), Error> {
        let signed = self.signer.newest().await?.checkpoint;
        let Some(index) = self.next(signed.size().div_ceil(u64::from(FULL_WIDTH))) else { return Ok(()) };
        // A view of its own, and never older than what was signed.
        let snapshot = self.signer.db().snapshot().await?;
        let found = match tile(snapshot.conn(), &signed, index).await? {
            Ok(records) => {
                drop(snapshot);
                self.signer.counts().checked(u64::try_from(records.len()).map_err(Error::internal)?);
                return self.look_at_one_of(&records).await;
            }
            Err(found) => found,
        };
        drop(snapshot);
        // Twice, so that no hiccup of a database ends the service.
        let again = self.signer.db().snapshot().await?;
        match tile(again.conn(), &signed, index).await? {
            Ok(_) => {
                tracing::warn!(%found, "an event looked changed for a moment");
                Ok(())
            }
            Err(found) => Err(self.signer.stop(found)),
        }
    }

    /// Compares the row of one of these records with its events.
    async fn look_at_one_of(&self, records: &[Uuid]) -> Result<(), Error> {
        let place = usize::from(u16::from_be_bytes(id::random())).checked_rem(records.len());
        let Some(record) = place.and_then(|place| records.get(place)) else { return Ok(()) };
        let differences = row::differences(self.signer.db().snapshot().await?.conn(), *record).await?;
        if !differences.is_empty() {
            self.signer.counts().differs();
            tracing::error!(%record, ?differences, "a row is not what its events say: somebody wrote past the service");
        }
        Ok(())
    }

    /// The tile to look at, of so many.
    fn next(&mut self, tiles: u64) -> Option<u64> {
        let last = tiles.checked_sub(1)?;
        let look = self.looks;
        self.looks += 1;
        if look % OLDER == OLDER - 1 {
            self.older = self.older.wrapping_add(1);
            return Some(self.older % tiles);
        }
        let recent = tiles.min(NEWEST / u64::from(FULL_WIDTH) + 2);
        Some(last - (look - look / OLDER) % recent)
    }
}

/// Looks on, for as long as the log is signed.
pub async fn keep_sampling(signer: &Signer) {
    let mut sampler = Sampler::new(signer);
    while signer.trouble().is_none() {
        tokio::time::sleep(TICK).await;
        if let Err(error) = sampler.look().await
            && error.code != Code::Busy
        {
            tracing::warn!(%error, "sealed events were not looked at again");
        }
    }
}

/// Compares a tile of events with what was kept and signed; the record of each.
async fn tile(
    conn: &impl ConnectionTrait,
    signed: &Checkpoint,
    index: u64,
) -> Result<Result<Vec<Uuid>, Trouble>, Error> {
    let Some(tile) = Tile::at_size(0, index, signed.size()) else { return Ok(Ok(Vec::new())) };
    let first = index * u64::from(FULL_WIDTH);
    let after = i64::try_from(first).map_err(Error::internal)? - 1;
    let trouble = |position, what| Ok(Err(Trouble::Changed { position, what }));
    // What is no tile any more was changed like any other.
    let hashes = match prove::tile(conn, tile).await {
        Err(error) if prove::is_gone(&error) => return trouble(first, "the tile of its hash is gone"),
        hashes => hashes?,
    };
    let events = store::sealed(conn, after, u64::from(tile.width())).await?;
    if let Some(found) = again::changed(first, &events, &hashes).first() {
        return trouble(found.position, found.what);
    }
    let path = match prove::inclusion(conn, first, signed.size()).await {
        Err(error) if prove::is_gone(&error) => return trouble(first, "the tree above it is gone"),
        path => path?,
    };
    let root = hashes.first().map(|hash| verify_inclusion(hash, first, signed.size(), &path, signed.root()));
    match root {
        Some(Ok(())) => Ok(Ok(events.into_iter().map(|event| event.stream_id).collect())),
        _ => trouble(first, "it and those up to the end of its tile are not under the root that was signed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;
    use crate::log::anchor::Anchor;
    use crate::log::signer::{Keys, new_key};

    async fn looks(tiles: u64, number: u64) -> Vec<u64> {
        let db = Db::connect("sqlite::memory:").await.unwrap();
        let keys = Keys::new(vec![new_key("t.invalid").unwrap()], Anchor::at("nowhere".as_ref()), None).unwrap();
        let signer = Signer::new(db, keys);
        let mut sampler = Sampler::new(&signer);
        (0..number).filter_map(|_| sampler.next(tiles)).collect()
    }

    #[tokio::test]
    async fn the_newest_are_met_within_a_minute_and_all_others_in_turn() {
        let a_minute = u64::try_from(Duration::from_secs(60).as_millis() / TICK.as_millis()).unwrap();
        let seen = looks(1000, a_minute).await;
        for tile in 1000 - 41..1000 {
            assert!(seen.contains(&tile), "{tile}: {seen:?}");
        }
        // Where these begin is chance.
        let in_turn: Vec<u64> = seen.iter().copied().skip(OLDER as usize - 1).step_by(OLDER as usize).collect();
        assert!(in_turn.len() >= 3, "{seen:?}");
        assert!(in_turn.windows(2).all(|two| two[1] == (two[0] + 1) % 1000), "{in_turn:?}");
        let all: std::collections::BTreeSet<u64> = looks(200, 200 * OLDER).await.into_iter().collect();
        assert_eq!(all.len(), 200);
        assert_eq!(looks(1, 30).await, [0; 30]);
        assert_eq!(looks(0, 30).await, Vec::<u64>::new());
    }
}
