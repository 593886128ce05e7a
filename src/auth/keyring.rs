//! The issuer's keys as they are now: read at every request without waiting, replaced when the source has others.
//!
//! The source is looked at when the keys have come of age, and when a token names a key that is not there. One look at a
//! time; and since anybody can invent names of keys, tokens cause no more than a few looks at once and one in a while.
//! When a look fails, what was read before stays in use for a bounded time.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::keys::Keys;
use super::source::{Source, SourceError};
use crate::clock::steady;

mod counts;

pub use counts::Counts;

/// How long keys are used, and how often the source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// A set as old as this is looked up again.
    pub refresh: Duration,
    /// A set as old as this is not used any more, when every look since has failed.
    pub discard: Duration,
    /// On average, the shortest time between two looks that tokens cause, and between two after a failure.
    pub pause: Duration,
}

/// How many looks tokens may cause at once, after a quiet time.
pub const MOST_LOOKS_AT_ONCE: u32 = 5;

impl Ages {
    /// Five minutes fresh, six hours in use, ten seconds of peace for the issuer.
    pub const DEFAULT: Self = Self {
        refresh: Duration::from_secs(300),
        discard: Duration::from_secs(6 * 3600),
        pause: Duration::from_secs(10),
    };
}

/// A set of keys that can be replaced while requests read it; copies are the same ring.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Ring>);

#[derive(Debug)]
struct Ring {
    /// None: the keys never change.
    source: Option<Source>,
    ages: Ages,
    /// Never held while anything waits: whoever reads takes a copy of the pointer.
    held: RwLock<Option<Held>>,
    /// Whoever holds it may look.
    turn: Arc<Mutex<Turn>>,
    counts: Counts,
}

/// What one look leaves for the next.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// When the last look began.
    began: Option<Duration>,
    /// When the looks that tokens caused so far are paid for, at one a pause.
    paid: Duration,
}

impl Turn {
    /// Whether a token may cause a look at `now`; if so, it is charged.
    fn charge(&mut self, now: Duration, pause: Duration) -> bool {
        let paid = self.paid.max(now) + pause;
        let affordable = paid.saturating_sub(now) <= pause * MOST_LOOKS_AT_ONCE;
        if affordable {
            self.paid = paid;
        }
        affordable
    }
}

#[derive(Clone, Debug)]
struct Held {
    keys: Arc<Keys>,
    /// When it was read, by the steady clock.
    since: Duration,
}

impl From<Keys> for Keyring {
    /// Keys that never change.
    fn from(keys: Keys) -> Self {
        let ring = Self::new(None, Ages::DEFAULT);
        ring.0.put(keys);
        ring
    }
}

impl Keyring {
    /// An empty ring that [`Self::keep`] and requests fill from `source`.
    pub fn of(source: Source, ages: Ages) -> Self {
        Self::new(Some(source), ages)
    }

    /// A ring whose first look succeeded.
    pub async fn filled(source: Source, ages: Ages) -> Result<Self, SourceError> {
        let keys = source.read().await?;
        let ring = Self::of(source, ages);
        ring.0.tell(&keys);
        ring.0.put(keys);
        Ok(ring)
    }

    fn new(source: Option<Source>, ages: Ages) -> Self {
        let counts = Counts::default();
        Self(Arc::new(Ring { source, ages, held: RwLock::default(), turn: Arc::default(), counts }))
    }

    /// The keys to judge by, if there are any that are not too old.
    pub fn current(&self) -> Option<Arc<Keys>> {
        let held = self.0.held()?;
        let usable = self.0.source.is_none() || steady().saturating_sub(held.since) < self.0.ages.discard;
        usable.then_some(held.keys)
    }

    /// What the operator sees of it.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Looks for a key that a token names. Whoever comes during a look waits, and is content with one that began later
    /// than it came.
    pub async fn ask(&self) {
        if self.0.source.is_none() {
            return;
        }
        let came = steady();
        let mut turn = self.0.turn.clone().lock_owned().await;
        let answered = turn.began.is_some_and(|began| began >= came);
        if !answered && turn.charge(steady(), self.0.ages.pause) {
            self.look(turn).await;
        }
    }

    /// In a task of its own: a caller who goes away must not end what others wait for.
    async fn look(&self, mut turn: OwnedMutexGuard<Turn>) {
        let ring = self.0.clone();
        let look = tokio::spawn(async move {
            turn.began = Some(steady());
            ring.look().await;
        });
        if let Err(error) = look.await {
            tracing::error!(%error, "a look for the issuer's keys broke off");
        }
    }

    /// Looks whenever the keys are due, until it is dropped.
    pub async fn keep(self) {
        while self.0.source.is_some() {
            let due = self.0.due();
            if due.is_zero() {
                let turn = self.0.turn.clone().lock_owned().await;
                self.look(turn).await;
            }
            tokio::time::sleep(due.max(self.0.ages.pause)).await;
        }
    }
}

impl Ring {
    fn held(&self) -> Option<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, keys: Keys) {
        self.counts.read(keys.kids().len());
        let held = Held { keys: Arc::new(keys), since: steady() };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    /// How long the keys are still fresh.
    fn due(&self) -> Duration {
        self.held().map_or(Duration::ZERO, |held| {
            let age = steady().saturating_sub(held.since);
            self.ages.refresh.saturating_sub(age)
        })
    }

    async fn look(&self) {
        let Some(source) = &self.source else { return };
        match source.read().await {
            Ok(keys) => {
                self.tell(&keys);
                self.put(keys);
            }
            Err(error) => {
                self.counts.failed();
                let age = self.held().map(|held| steady().saturating_sub(held.since).as_secs());
                tracing::warn!(%error, age_seconds = age, "the issuer's keys could not be read; older ones stay in use");
            }
        }
    }

    /// A line in the log when the issuer publishes something else.
    fn tell(&self, keys: &Keys) {
        if self.held().is_some_and(|held| held.keys.is_same(keys)) {
            return;
        }
        tracing::info!(kids = ?keys.kids(), "the issuer's keys are known");
        for dropped in keys.dropped() {
            tracing::warn!(kid = dropped.kid, reason = dropped.reason, "a key was left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn charged(turn: &mut Turn, at: u64) -> bool {
        turn.charge(Duration::from_secs(at), PAUSE)
    }

    #[test]
    fn tokens_cause_a_few_looks_at_once_and_one_a_pause() {
        let mut turn = Turn::default();
        let at_once = (0..100).filter(|_| charged(&mut turn, 1_000)).count();
        assert_eq!(at_once, 5);
        assert!(!charged(&mut turn, 1_009) && charged(&mut turn, 1_010) && !charged(&mut turn, 1_010));
        let in_an_hour = (1_011..4_611).filter(|second| charged(&mut turn, *second)).count();
        assert_eq!(in_an_hour, 360);
    }

    #[test]
    fn a_quiet_time_saves_up_no_more_than_a_few() {
        let mut turn = Turn::default();
        assert!(charged(&mut turn, 0));
        assert_eq!((0..100).filter(|_| charged(&mut turn, 1_000_000)).count(), 5);
    }
}
