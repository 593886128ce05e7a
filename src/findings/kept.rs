//! The pass that a service keeps for whoever asks next: a log only grows, so what the questions have seen stays seen. What was
//! answered last is kept as well, for the pages that follow at the same position.
//!
//! A log that is long takes longer than a request may: whoever asks for the newest again finds the pass where it was left.
//! Both are kept with a leaf that was seen: where another stands in its place, as on a server that had not heard of it when
//! it took over, everything is read anew. Nobody having asked for a while, all of it is forgotten.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turn;

use super::pass::{Found, Pass};
use crate::clock::steady;
use crate::db::Conn;
use crate::error::Error;
use crate::log::store::{self, Leaf};

/// Answers that are kept.
const ANSWERS: usize = 8;
/// For how long without a question.
const KEPT: Duration = Duration::from_secs(600);

/// What one process keeps.
#[derive(Default)]
pub struct KeptPass(Arc<Kept>);

#[derive(Default)]
struct Kept {
    /// Read on by one at a time.
    pass: Turn<Option<Pass>>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    answers: VecDeque<Answer>,
    asked: Duration,
    /// Somebody will look whether it is still asked for.
    is_watched: bool,
}

#[derive(Clone)]
struct Answer {
    position: i64,
    last: Option<Leaf>,
    found: Arc<Found>,
}

impl KeptPass {
    /// What all questions find by the leaves up to and including `position`.
    pub async fn at(&self, conn: &impl Conn, position: i64) -> Result<Arc<Found>, Error> {
        let is_watched = {
            let mut told = self.0.told();
            told.asked = steady();
            std::mem::replace(&mut told.is_watched, true)
        };
        if !is_watched {
            tokio::spawn(forget(Watching(self.0.clone())));
        }
        if let Some(found) = self.0.answer(conn, position).await? {
            return Ok(found);
        }
        let mut kept = self.0.pass.lock().await;
        if let Some(found) = self.0.answer(conn, position).await? {
            return Ok(found);
        }
        if let Some(pass) = &*kept
            && !stands(conn, pass.last()).await?
        {
            *kept = None;
        }
        let pass = kept.get_or_insert_with(|| Pass::of(None));
        if pass.leads_to(position) {
            pass.read_to(conn, position).await?;
            return Ok(self.0.keep(position, pass));
        }
        drop(kept);
        let mut earlier = Pass::of(None);
        earlier.read_to(conn, position).await?;
        Ok(self.0.keep(position, &earlier))
    }
}

impl Kept {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, conn: &impl Conn, position: i64) -> Result<Option<Arc<Found>>, Error> {
        let known = self.told().answers.iter().find(|answer| answer.position == position).cloned();
        let Some(known) = known else { return Ok(None) };
        if stands(conn, known.last.as_ref()).await? {
            return Ok(Some(known.found));
        }
        self.told().answers.clear();
        Ok(None)
    }

    fn keep(&self, position: i64, pass: &Pass) -> Arc<Found> {
        let (found, last) = (Arc::new(pass.found()), pass.last().cloned());
        let mut told = self.told();
        told.answers.push_back(Answer { position, last, found: found.clone() });
        if told.answers.len() > ANSWERS {
            told.answers.pop_front();
        }
        found
    }
}

/// True if the log has this leaf at its place.
async fn stands(conn: &impl Conn, leaf: Option<&Leaf>) -> Result<bool, Error> {
    let Some(leaf) = leaf else { return Ok(true) };
    let there = store::leaves(conn, leaf.seq - 1, 1).await?;
    Ok(there.first().is_some_and(|there| there.seq == leaf.seq && there.leaf == leaf.leaf))
}

/// It may also end with its thread.
struct Watching(Arc<Kept>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.told().is_watched = false;
    }
}

/// Lets go of everything once nobody has asked for a while.
async fn forget(watching: Watching) {
    let kept = &watching.0;
    loop {
        let rest = KEPT.saturating_sub(steady().saturating_sub(kept.told().asked));
        tokio::time::sleep(rest).await;
        // Nobody reads on meanwhile.
        let mut pass = kept.pass.lock().await;
        let mut told = kept.told();
        if steady().saturating_sub(told.asked) >= KEPT {
            *pass = None;
            told.answers.clear();
            return;
        }
    }
}
