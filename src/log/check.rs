//! `thidua log check`: reads a live log from the first event on and computes again everything that is kept of it: leaf
//! hashes, tiles of every level, the head, the roots that were signed, the columns beside the leaves, the spans of times.
//!
//! It needs as little memory for a hundred million events as for ten, and can be interrupted: where it was is a [`State`].
//! What the events say of records and tables is compared by [`super::rebuild`].

use sea_orm::{ConnectionTrait, Statement};
use serde::{Deserialize, Serialize};

use super::again::lie;
use super::checkpoints::{self, Promise};
use super::proof::checkpoint::Checkpoint;
use super::proof::note::{self, Note};
use super::proof::rotation::Kin;
use super::proof::tile::{FULL_WIDTH, encode_tile, full_tiles};
use super::proof::tree::{EMPTY_ROOT, Frontier, Hash, leaf_hash, root_of};
use super::{spans, store, tiles};
use crate::canonical::hex;
use crate::db::Db;
use crate::db::constraint::translate;
use crate::error::Error;

/// Events read at a time.
const CHUNK: u64 = 1024;
/// Checkpoints read at a time.
const PROMISES: u64 = 1000;
/// Findings that are told; the rest are counted.
const TOLD: usize = 1000;
const WIDTH: usize = FULL_WIDTH as usize;

/// Where a check is: enough to go on, and what was found so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Events that were checked.
    pub position: u64,
    /// Roots of the perfect subtrees of those events, hexadecimal.
    frontier: String,
    /// Of each level, the hashes of the tile that is not full yet.
    levels: Vec<String>,
    /// Hash of the last leaf: whether the log is still the one that was checked.
    tip: String,
    /// Size of the last checkpoint that was compared.
    promised: i64,
    /// Sizes of the first and the last checkpoint behind the last one that a trusted key signed, and their number.
    #[serde(default)]
    retired: Option<(i64, i64, u64)>,
    /// What was found.
    pub findings: Vec<String>,
    /// Findings beyond those that are told.
    pub untold: u64,
}

/// A check of one log.
pub struct Check<'a> {
    db: &'a Db,
    /// Whose signatures under checkpoints are verified; nobody's without.
    keys: Option<&'a Kin>,
    tree: Frontier,
    levels: Vec<Vec<Hash>>,
    tip: Hash,
    promised: i64,
    retired: Option<(i64, i64, u64)>,
    promises: Vec<Promise>,
    /// Checkpoints with another root: all after the first are told together.
    broken: u64,
    findings: Vec<String>,
    untold: u64,
}

impl<'a> Check<'a> {
    /// Goes on where `state` was, if the log there is the one that was checked.
    pub async fn resume(db: &'a Db, keys: Option<&'a Kin>, state: Option<State>) -> Result<Self, Error> {
        let mut check = Self::start(db, keys);
        let Some(state) = state.filter(|state| state.position > 0) else { return Ok(check) };
        let last = i64::try_from(state.position).map_err(Error::internal)? - 1;
        let leaf = store::leaves(db.reader().conn(), last - 1, 1).await?.pop().filter(|leaf| leaf.seq == last);
        let tip = leaf.map(|leaf| leaf_hash(&leaf.leaf)).unwrap_or(EMPTY_ROOT);
        if hex(&tip) != state.tip {
            check.find("the state is of another log, or its last event was changed: checked from the start".to_owned());
            return Ok(check);
        }
        let bytes = |text: &str| from_hex(text).ok_or_else(|| Error::internal("the state cannot be read"));
        check.tree = Frontier::from_parts(state.position, &bytes(&state.frontier)?).map_err(Error::internal)?;
        for level in &state.levels {
            let bytes = bytes(level)?;
            let (hashes, rest) = bytes.as_chunks::<32>();
            if !rest.is_empty() || hashes.len() >= WIDTH {
                return Err(Error::internal("the state cannot be read"));
            }
            check.levels.push(hashes.to_vec());
        }
        (check.tip, check.promised, check.retired) = (tip, state.promised, state.retired);
        (check.findings, check.untold) = (state.findings, state.untold);
        Ok(check)
    }

    fn start(db: &'a Db, keys: Option<&'a Kin>) -> Self {
        let (tree, levels, promises, findings) = (Frontier::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            db,
            keys,
            tree,
            levels,
            tip: EMPTY_ROOT,
            promised: -1,
            retired: None,
            promises,
            broken: 0,
            findings,
            untold: 0,
        }
    }

    /// Where it is now.
    pub fn state(&self) -> State {
        State {
            position: self.tree.size(),
            frontier: hex(&self.tree.to_bytes()),
            levels: self.levels.iter().map(|level| hex(&level.concat())).collect(),
            tip: hex(&self.tip),
            promised: self.promised,
            retired: self.retired,
            findings: self.findings.clone(),
            untold: self.untold,
        }
    }

    /// Checks up to what is sealed when it begins; `progress` is told after each stretch and may end it with an error.
    pub async fn run(&mut self, mut progress: impl FnMut(&Self, u64) -> Result<(), Error>) -> Result<(), Error> {
        let reader = self.db.reader();
        let conn = reader.conn();
        let head = match tiles::head(conn).await {
            Ok(head) => head,
            Err(error) => {
                self.find(format!("the head cannot be read: {error}"));
                return Ok(());
            }
        };
        self.promise(conn).await?;
        while self.tree.size() < head.size() {
            let most = CHUNK.min(head.size() - self.tree.size());
            if !self.stretch(conn, most).await? {
                return Ok(());
            }
            progress(self, head.size())?;
        }
        if self.tree.size() > head.size() {
            self.find(format!("the head: it says {} events, {} were checked", head.size(), self.tree.size()));
        } else if self.tree != head {
            self.find(format!("the head: its root at {} events is not that of the events", head.size()));
        }
        self.finish(conn).await
    }

    /// The next events; false if the log ends too early.
    async fn stretch(&mut self, conn: &impl ConnectionTrait, most: u64) -> Result<bool, Error> {
        let first = i64::try_from(self.tree.size()).map_err(Error::internal)?;
        let events = store::sealed(conn, first - 1, most).await?;
        if events.is_empty() {
            self.find(format!("position {first}: missing, and everything behind it"));
            return Ok(false);
        }
        for event in events {
            let position = i64::try_from(self.tree.size()).map_err(Error::internal)?;
            if event.seq != position {
                self.find(format!("position {position}: missing; what stands behind it cannot be checked"));
                return Ok(false);
            }
            if let Some(what) = lie(&event) {
                self.find(format!("position {position}: {what}"));
            }
            let hash = leaf_hash(&event.leaf);
            self.tip = hash;
            self.tree.push(hash).map_err(Error::internal)?;
            self.grow(conn, hash).await?;
            self.promise(conn).await?;
            self.times(conn).await?;
        }
        Ok(true)
    }

    /// At the end of a block, the times between which its events are said to lie: who asks for times is led by them.
    async fn times(&mut self, conn: &impl ConnectionTrait) -> Result<(), Error> {
        let (block, rest) = (self.tree.size() / spans::BLOCK, self.tree.size() % spans::BLOCK);
        let Some(block) = block.checked_sub(1).filter(|_| rest == 0) else { return Ok(()) };
        if !spans::is_true(conn, block).await? {
            self.find(format!("span {block}: its times are not those of the events"));
        }
        Ok(())
    }

    /// One leaf hash more: every tile that it fills is compared.
    async fn grow(&mut self, conn: &impl ConnectionTrait, leaf: Hash) -> Result<(), Error> {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(WIDTH));
            }
            self.levels[level].push(hash);
            if self.levels[level].len() < WIDTH {
                return Ok(());
            }
            let full = std::mem::take(&mut self.levels[level]);
            hash = root_of(&full);
            let width = 1_u64.checked_shl(8 * (u32::try_from(level).map_err(Error::internal)? + 1));
            let index = width.map_or(0, |width| self.tree.size() / width - 1);
            self.compare(conn, level, index, &full, &hash).await?;
        }
        Ok(())
    }

    async fn compare(
        &mut self,
        conn: &impl ConnectionTrait,
        level: usize,
        index: u64,
        full: &[Hash],
        root: &Hash,
    ) -> Result<(), Error> {
        let sql = format!("SELECT hashes, root FROM audit_tile WHERE level = {level} AND idx = {index}");
        let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
        let Some(row) = row.map_err(translate)? else {
            self.find(format!("tile {level}/{index}: missing"));
            return Ok(());
        };
        let column = |name: &str| row.try_get::<Vec<u8>>("", name).map_err(translate);
        let (stored, stored_root) = (column("hashes")?, column("root")?);
        if stored != encode_tile(full) {
            let (kept, _) = stored.as_chunks::<32>();
            let first = (0..full.len()).find(|place| kept.get(*place) != full.get(*place)).unwrap_or_default();
            // A place in a tile of a level above is a whole tile below.
            let place = index * u64::from(FULL_WIDTH) + u64::try_from(first).map_err(Error::internal)?;
            self.find(match level {
                0 => format!("position {place}: the hash of the leaf is not the one in tile 0/{index}"),
                _ => format!("tile {level}/{index}: does not have the root of tile {}/{place}", level - 1),
            });
        }
        if stored_root != root {
            self.find(format!("tile {level}/{index}: its root is not that of the events"));
        }
        Ok(())
    }

    /// Compares the checkpoints of exactly as many events as were checked.
    async fn promise(&mut self, conn: &impl ConnectionTrait) -> Result<(), Error> {
        let size = i64::try_from(self.tree.size()).map_err(Error::internal)?;
        loop {
            if self.promises.is_empty() {
                self.promises = checkpoints::promises(conn, self.promised.max(size - 1), PROMISES).await?;
                self.promises.reverse();
                if self.promises.is_empty() {
                    // Looked for again once there is a reason: a sentinel that no event reaches.
                    self.promises.push(Promise { size: i64::MAX, note: String::new() });
                }
            }
            match self.promises.last() {
                Some(next) if next.size <= size => {}
                _ => return Ok(()),
            }
            let Some(promise) = self.promises.pop() else { return Ok(()) };
            self.promised = promise.size;
            self.judge(&promise);
        }
    }

    fn judge(&mut self, promise: &Promise) {
        let size = promise.size;
        let read = Note::parse(&promise.note).ok().and_then(|note| note.text.parse::<Checkpoint>().ok());
        let Some(checkpoint) = read else { return self.find(format!("checkpoint of {size} events: cannot be read")) };
        if i64::try_from(checkpoint.size()) != Ok(size) {
            return self.find(format!("checkpoint of {size} events: its text says {}", checkpoint.size()));
        }
        if checkpoint.size() == self.tree.size() && *checkpoint.root() != self.tree.root() {
            self.broken += 1;
            if self.broken == 1 {
                self.find(format!("checkpoint of {size} events: its root is not that of the events"));
            }
        }
        let Some(keys) = self.keys else { return };
        if note::open(&promise.note, &keys.trusted).is_ok() {
            self.retired = None;
        } else if note::open(&promise.note, &keys.retired).is_ok() {
            let (first, number) = self.retired.map_or((size, 0), |(first, _, number)| (first, number));
            self.retired = Some((first, size, number + 1));
        } else {
            self.find(format!("checkpoint of {size} events: no known key signed it"));
        }
    }

    /// What must not be there: tiles and checkpoints of more events than there are.
    async fn finish(&mut self, conn: &impl ConnectionTrait) -> Result<(), Error> {
        if self.broken > 1 {
            self.find(format!("{} more checkpoints: their roots are not those of the events", self.broken - 1));
        }
        if let Some((first, last, number)) = self.retired
            && !self.was_signed_later(conn, last).await?
        {
            self.find(format!(
                "checkpoints of {first} to {last} events ({number}): a key that was rotated away signed them, and no other since"
            ));
        }
        let backend = conn.get_database_backend();
        let number = async |sql: String| -> Result<i64, Error> {
            let row = conn.query_one_raw(Statement::from_string(backend, sql)).await.map_err(translate)?;
            row.map_or(Ok(-1), |row| row.try_get("", "n").map_err(translate))
        };
        let last = number("SELECT coalesce(max(size), -1) AS n FROM audit_checkpoint".to_owned()).await?;
        // Read afterwards: what was signed meanwhile was sealed before.
        let size = tiles::head(conn).await?.size();
        if u64::try_from(last).is_ok_and(|last| last > size) {
            self.find(format!("checkpoint of {last} events: the log has {size}"));
        }
        let last = number("SELECT coalesce(max(block), -1) AS n FROM audit_span".to_owned()).await?;
        let full = tiles::head(conn).await?.size() / spans::BLOCK;
        if u64::try_from(last).is_ok_and(|last| last >= full) {
            self.find(format!("span {last}: there are not so many events"));
        }
        for level in 0..8 {
            let sql = format!("SELECT coalesce(max(idx), -1) AS n FROM audit_tile WHERE level = {level}");
            let last = number(sql).await?;
            let full = full_tiles(level, tiles::head(conn).await?.size());
            if u64::try_from(last).is_ok_and(|last| last >= full) {
                self.find(format!("tile {level}/{last}: there are not so many events"));
            }
        }
        Ok(())
    }

    /// True if a trusted key said the same once it was kept.
    async fn was_signed_later(&self, conn: &impl ConnectionTrait, size: i64) -> Result<bool, Error> {
        let size = u64::try_from(size).map_err(Error::internal)?;
        let (Some(keys), Some(kept)) = (self.keys, checkpoints::of_size(conn, size).await?) else { return Ok(false) };
        let note = note::extend(&kept.note, kept.lines.iter().map(String::as_str), &keys.trusted);
        Ok(note.is_ok_and(|note| note::open(&note, &keys.trusted).is_ok()))
    }

    fn find(&mut self, what: String) {
        if self.findings.len() < TOLD {
            self.findings.push(what);
        } else {
            self.untold += 1;
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
