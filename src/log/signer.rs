//! Signs checkpoints: of committed state only, never of a second history.
//!
//! Before anything is signed, the tree that the database has now must continue the one that was signed last, as the
//! anchor outside the database remembers it. Where it does not, nothing is signed and nothing is written any more: an old
//! copy was restored, or somebody changed the log, and every further event would stand in a history that nobody can
//! prove. Several replicas may sign; each asks the same questions, and remembers what the others signed before it shows it.

use std::sync::{MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::sync::{Mutex, watch};

use super::checkpoints;
use super::counts::Counts;
pub use super::keys::{Keys, KeysError, Signed, new_key};
use super::proof::checkpoint::Checkpoint;
use super::proof::key::VerifierKey;
use super::proof::manifest::Manifest;
use super::proof::tree::{Frontier, leaf_hash, verify_consistency};
use super::prove::{self, Edge};
use super::witnesses::Witness;
use super::{store, tiles};
use crate::clock::{now, steady};
use crate::db::Db;
use crate::error::{Code, Error};

mod older;

/// Without anybody waiting, at most one checkpoint in this time.
const PACE: Duration = Duration::from_secs(1);
/// Events that are read to be signed behind what was signed before; more of them are compared by their tiles.
const AT_ONCE: u64 = 256;
/// Others may sign at the same time; each of them is further on then.
const ATTEMPTS: usize = 10;
/// How long a proof waits for the witnesses that the policy asks for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks whether another replica has their signatures.
const LOOK: Duration = Duration::from_millis(250);
/// So many of the newest cosigned checkpoints are looked at for one that is cosigned by enough.
const LOOKED_AT: u64 = 50;

/// Why nothing is signed any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// An old copy, or a server that lags behind.
    #[error("the database has {has} events, and {signed} were signed: it is an old copy, or events are gone")]
    Behind {
        /// Events that are there.
        has: u64,
        /// Events under the last signature.
        signed: u64,
    },
    /// Something was changed.
    #[error("the {signed} events that were signed are not those in the database: they were changed")]
    Differs {
        /// Events under the last signature.
        signed: u64,
    },
    /// The background sampler found it.
    #[error("the event at position {position} is not as it was signed: {what}")]
    Changed {
        /// Its position.
        position: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The anchor or a stored checkpoint is none of this log's.
    #[error("the remembered checkpoint was not signed with this log's key")]
    Foreign,
}

/// Either the service failed, or the log is in trouble.
enum Failure {
    Error(Error),
    Trouble(Trouble),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// What this process signed last.
struct Last {
    signed: Signed,
    tree: Frontier,
    /// When it was signed.
    at: Duration,
    /// When the database was last held against what was signed, by more than what came since.
    compared: Duration,
}

/// Signs for one database.
pub struct Signer {
    db: Db,
    keys: Keys,
    /// Who waits for a checkpoint gets the one that is being signed, if it goes far enough.
    turn: Mutex<()>,
    last: std::sync::Mutex<Option<Last>>,
    /// The anchor remembers at least so many events; one at a time brings it further.
    held: Mutex<u64>,
    edge: Edge,
    trouble: OnceLock<Trouble>,
    /// Moves with every signature that is kept, ours or a witness's.
    news: watch::Sender<u64>,
    counts: Counts,
}

impl Signer {
    /// Signs what this database has.
    pub fn new(db: Db, keys: Keys) -> Self {
        let counts = Counts::of(keys.witnesses().iter().map(|witness| witness.key().name()));
        let last = std::sync::Mutex::new(None);
        Self {
            db,
            keys,
            turn: Mutex::new(()),
            last,
            held: Default::default(),
            edge: Edge::default(),
            trouble: OnceLock::new(),
            news: watch::Sender::new(0),
            counts,
        }
    }

    /// The database whose log is signed.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What the operator sees of it.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The witnesses that can be asked.
    pub fn witnesses(&self) -> &[Witness] {
        self.keys.witnesses()
    }

    /// Told of every signature that is kept.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.keys.origin()
    }

    /// Hashes of recent events, for their proofs.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Whose word is enough.
    pub fn policy(&self) -> &str {
        self.keys.policy()
    }

    /// Why nothing is signed, if so.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.get()
    }

    /// The newest checkpoint of all replicas.
    pub async fn newest(&self) -> Result<Signed, Error> {
        if self.trouble.get().is_some() {
            return Err(Code::ReadOnly.into());
        }
        let held = async {
            let signed = self.stored().await?.ok_or_else(|| Error::new(Code::Busy))?;
            self.hold(&signed).await.map(|()| signed)
        };
        match held.await {
            Err(Failure::Trouble(trouble)) => Err(self.stop(trouble)),
            Err(Failure::Error(error)) => Err(error),
            Ok(signed) => Ok(signed),
        }
    }

    /// What a replica on another host signed is remembered by this one's anchor as well: it must not sign an older copy
    /// only because it was not itself who signed last.
    async fn hold(&self, signed: &Signed) -> Result<(), Failure> {
        let size = signed.checkpoint.size();
        let mut held = self.held.lock().await;
        if *held >= size {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            let before = self.keys.anchor().read().map_err(Error::internal)?;
            let remembered = before.as_ref().map(|note| self.keys.open(note)).transpose()?;
            let known = remembered.as_ref().map_or(0, |remembered| remembered.checkpoint.size());
            if known < size {
                let snapshot = self.db.snapshot().await?;
                let head = tiles::head(snapshot.conn()).await?;
                for signed in remembered.iter().chain([signed]) {
                    continues(snapshot.conn(), &signed.checkpoint, &head).await?;
                }
            }
            if known >= size || self.remember(before, signed.note.clone()).await? {
                *held = size;
                return Ok(());
            }
        }
        Err(Error::new(Code::Busy).into())
    }

    /// A checkpoint of at least `size` events, all of them sealed: signed at once if there is none.
    pub async fn covering(&self, size: u64) -> Result<Signed, Error> {
        let covers = |signed: &Signed| signed.checkpoint.size() >= size && self.keys.is_complete(signed);
        if let Some(signed) = self.own().filter(covers) {
            return Ok(signed);
        }
        // Another replica may have signed it.
        if let Some(signed) = self.newest().await.ok().filter(covers) {
            return Ok(signed);
        }
        let _turn = self.turn.lock().await;
        if let Some(signed) = self.own().filter(covers) {
            return Ok(signed);
        }
        self.sign().await.and_then(|signed| if covers(&signed) { Ok(signed) } else { Err(Code::Busy.into()) })
    }

    /// What this process signed just now, with its own signatures alone.
    fn own(&self) -> Option<Signed> {
        if self.trouble.get().is_some() {
            return None;
        }
        let last = self.last();
        last.as_ref().filter(|last| steady().saturating_sub(last.at) < PACE).map(|last| last.signed.clone())
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs what an export says of itself, and nothing else: a manifest never reads like a checkpoint.
    pub fn sign_manifest(&self, manifest: &Manifest) -> Result<String, Error> {
        if self.trouble.get().is_some() {
            return Err(Code::ReadOnly.into());
        }
        self.keys.note(&manifest.to_string())
    }

    /// A checkpoint of at least `size` events that is enough by the policy: of the last second, or the newest. Where the
    /// policy asks for witnesses, it waits for them a while; 503 if they are not there.
    pub async fn enough(&self, size: u64) -> Result<Signed, Error> {
        let mut news = self.news();
        let waited = tokio::time::timeout(PATIENCE, async {
            if self.keys.witnesses().is_empty() && self.keys.suffice() {
                return self.covering(size).await;
            }
            loop {
                news.borrow_and_update();
                if let Some(signed) = self.enough_now(size).await? {
                    return Ok(signed);
                }
                let signed = self.covering(size).await?;
                if self.keys.is_enough(&signed) {
                    return Ok(signed);
                }
                // Another replica may hear of it first.
                let _ = tokio::time::timeout(LOOK, news.changed()).await;
            }
        });
        waited.await.unwrap_or_else(|_| Err(Code::Busy.into()))
    }

    /// Nothing if no checkpoint of that size or a larger one is enough yet.
    async fn enough_now(&self, size: u64) -> Result<Option<Signed>, Error> {
        let enough = |signed: &Signed| signed.checkpoint.size() >= size && self.keys.is_enough(signed);
        if let Some(signed) = self.newest().await.ok().filter(enough) {
            return Ok(Some(signed));
        }
        let reader = self.db.reader();
        for size in checkpoints::signed_later(reader.conn(), size, LOOKED_AT).await? {
            let Some(kept) = checkpoints::of_size(reader.conn(), size).await? else { continue };
            if let Some(signed) = self.keys.restore(&kept).ok().filter(enough) {
                return Ok(Some(signed));
            }
        }
        Ok(None)
    }

    /// Keeps a cosignature, which was verified.
    pub async fn cosigned(&self, signed: &Signed, witness: &VerifierKey, line: &str) -> Result<(), Error> {
        let size = i64::try_from(signed.checkpoint.size()).map_err(Error::internal)?;
        self.db.keep_signature(size, &witness.to_string(), line, now()).await?;
        self.news.send_modify(|news| *news += 1);
        Ok(())
    }

    /// Looks at a checkpoint that somebody else holds. If our key signed it, and the database does not continue it, then
    /// there are two histories of this log; whoever shows it need not be believed for that. Anything else is nobody's
    /// evidence.
    pub async fn confront(&self, shown: &str) -> Result<(), Error> {
        let Ok(shown) = self.keys.open(shown) else { return Ok(()) };
        let snapshot = self.db.snapshot().await?;
        let head = tiles::head(snapshot.conn()).await?;
        match continues(snapshot.conn(), &shown.checkpoint, &head).await {
            Ok(()) => Ok(()),
            Err(Failure::Trouble(trouble)) => Err(self.stop(trouble)),
            Err(Failure::Error(error)) => Err(error),
        }
    }

    /// Signs what is committed now. In trouble, nothing is written from then on.
    async fn sign(&self) -> Result<Signed, Error> {
        if self.trouble.get().is_some() {
            return Err(Code::ReadOnly.into());
        }
        for _ in 0..ATTEMPTS {
            match self.attempt().await {
                Ok(Some(signed)) => return Ok(signed),
                Ok(None) => {}
                Err(Failure::Trouble(trouble)) => return Err(self.stop(trouble)),
                Err(Failure::Error(error)) => return Err(error),
            }
        }
        Err(Code::Busy.into())
    }

    /// None if somebody else signed meanwhile.
    async fn attempt(&self) -> Result<Option<Signed>, Failure> {
        // The anchor first: what was signed before is in every later view of the database that it was signed from.
        let before = self.keys.anchor().read().map_err(Error::internal)?;
        let remembered = match &before {
            Some(note) => Some(self.keys.open(note)?),
            None => self.stored().await?,
        };
        let (head, compared) = match self.compare(self.db.reader().conn(), remembered.as_ref()).await {
            // Another server may have taken over between two questions. What is asked in one view of one server counts.
            Err(Failure::Trouble(_)) => {
                *self.last() = None;
                self.compare(self.db.snapshot().await?.conn(), remembered.as_ref()).await?
            }
            compared => compared?,
        };
        let signed = match (before.is_some(), remembered) {
            // Said already; a key that took over since says it as well.
            (true, Some(signed)) if signed.checkpoint.size() == head.size() => {
                let complete = self.keys.complete(&signed)?;
                if complete != signed && !self.remember(before, complete.note.clone()).await? {
                    return Ok(None);
                }
                complete
            }
            _ => {
                let signed = self.keys.sign(&head)?;
                if !self.remember(before, signed.note.clone()).await? {
                    return Ok(None);
                }
                signed
            }
        };
        self.keep(&signed).await?;
        *self.last() = Some(Last { signed: signed.clone(), tree: head, at: steady(), compared });
        Ok(Some(signed))
    }

    /// That the database continues what was signed: its head, and when it was last compared closely.
    async fn compare(
        &self,
        conn: &impl ConnectionTrait,
        signed: Option<&Signed>,
    ) -> Result<(Frontier, Duration), Failure> {
        // The head before what stands under it: that only grows.
        let head = tiles::head(conn).await?;
        let Some(signed) = signed else { return Ok((head, steady())) };
        let Some((tree, compared)) = self.just_signed(signed, &head) else {
            continues(conn, &signed.checkpoint, &head).await?;
            return Ok((head, steady()));
        };
        grew(conn, tree, &head).await?;
        Ok((head, compared))
    }

    /// The tree of `signed` and when it was compared, if this process signed it, compared it a moment ago, and not much
    /// came since. Then only that is read, and not the tiles that stand around it: signing for those who wait is cheap.
    /// What is changed in those is found by the first signature after [`PACE`], or by the sampler.
    fn just_signed(&self, signed: &Signed, head: &Frontier) -> Option<(Frontier, Duration)> {
        let last = self.last();
        let last = last.as_ref().filter(|last| last.signed.note == signed.note)?;
        let grown = head.size().checked_sub(last.tree.size())?;
        let recent = steady().saturating_sub(last.compared) < PACE;
        (recent && grown <= AT_ONCE).then(|| (last.tree.clone(), last.compared))
    }

    /// The newest checkpoint of all replicas.
    async fn stored(&self) -> Result<Option<Signed>, Failure> {
        let kept = checkpoints::newest(self.db.reader().conn()).await?;
        kept.map(|kept| self.keys.restore(&kept)).transpose().map_err(Failure::from)
    }

    /// On the disk before anybody sees the signature.
    async fn remember(&self, before: Option<String>, note: String) -> Result<bool, Error> {
        let anchor = self.keys.anchor().clone();
        let swapped = tokio::task::spawn_blocking(move || anchor.swap(before.as_deref(), &note)).await;
        swapped.map_err(Error::internal)?.map_err(Error::internal)
    }

    async fn keep(&self, signed: &Signed) -> Result<(), Error> {
        let size = i64::try_from(signed.checkpoint.size()).map_err(Error::internal)?;
        if self.db.keep_checkpoint(size, &signed.note, now()).await? {
            self.news.send_modify(|news| *news += 1);
            return Ok(());
        }
        let kept = checkpoints::of_size(self.db.reader().conn(), signed.checkpoint.size()).await?;
        let kept = kept.ok_or_else(|| Error::internal("a checkpoint that was kept is gone"))?;
        for (signer, line) in self.keys.later(signed, &kept) {
            self.db.keep_signature(size, &signer, &line, now()).await?;
        }
        self.news.send_modify(|news| *news += 1);
        Ok(())
    }

    /// Nothing is signed and nothing is written from here on.
    pub(super) fn stop(&self, trouble: Trouble) -> Error {
        let trouble = self.trouble.get_or_init(|| trouble);
        self.counts.trouble();
        tracing::error!(%trouble, "the log is not signed any more, and nothing is written");
        self.db.stop_writing();
        Code::ReadOnly.into()
    }

    /// Signs before anything is served: whether the database is the one that was signed is known then.
    pub async fn start(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        match self.sign().await {
            Err(error) if error.code == Code::ReadOnly => Ok(()),
            signed => signed.map(drop),
        }
    }

    /// Signs what came since, once a second, for as long as there is no trouble.
    pub async fn keep_signing(&self) {
        while self.trouble.get().is_none() {
            tokio::time::sleep(PACE).await;
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "the log was not signed; trying again");
            }
        }
    }

    /// By what the database has, not by what we remember: it may have become another one.
    async fn catch_up(&self) -> Result<(), Error> {
        let head = tiles::head(self.db.reader().conn()).await?;
        let _turn = self.turn.lock().await;
        let covers = |signed: &Signed| signed.checkpoint.size() >= head.size() && self.keys.is_complete(signed);
        match self.newest().await.ok().filter(covers) {
            Some(_) => Ok(()),
            None => self.sign().await.map(drop),
        }
    }
}

/// That the database's tree continues a signed one.
async fn continues(conn: &impl ConnectionTrait, signed: &Checkpoint, head: &Frontier) -> Result<(), Failure> {
    let (old, new) = (signed.size(), head.size());
    if new < old {
        return Err(Trouble::Behind { has: new, signed: old }.into());
    }
    let differs = Trouble::Differs { signed: old };
    // What is not even a tree any more is answered like a tree of other events.
    let proof = match prove::consistency(conn, old, new).await {
        Err(error) if prove::is_gone(&error) => return Err(differs.into()),
        proof => proof?,
    };
    let verified = verify_consistency(old, signed.root(), new, &head.root(), &proof);
    verified.map_err(|_| differs.into())
}

/// That the database's tree is the signed one with the events behind it.
async fn grew(conn: &impl ConnectionTrait, mut tree: Frontier, head: &Frontier) -> Result<(), Failure> {
    let signed = tree.size();
    let after = i64::try_from(signed).map_err(Error::internal)? - 1;
    for leaf in store::leaves(conn, after, head.size() - signed).await? {
        tree.push(leaf_hash(&leaf.leaf)).map_err(Error::internal)?;
    }
    if tree == *head { Ok(()) } else { Err(Trouble::Differs { signed }.into()) }
}
