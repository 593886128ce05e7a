//! The pass that a service keeps for whoever asks next: a log only grows, so what the questions have seen stays seen. What was
//! answered last is kept as well, for the pages that follow at the same position.
//!
//! A log that is long takes longer than a request may: whoever comes back finds the pass where the last one left it. Nobody
//! having asked for a while, all of it is forgotten.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::pass::{Found, Pass};
use crate::clock::steady;
use crate::db::Conn;
use crate::error::Error;

/// Answers that are kept.
const ANSWERS: usize = 8;
/// For how long without a question.
const KEPT: Duration = Duration::from_secs(600);

/// What one process keeps.
#[derive(Default)]
pub struct KeptPass(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    pass: Option<Pass>,
    answers: VecDeque<(i64, Arc<Found>)>,
    asked: Duration,
    /// Somebody will see to it that this is forgotten.
    watched: bool,
}

impl KeptPass {
    /// What all questions find by the leaves up to and including `position`.
    pub async fn at(&self, conn: &impl Conn, position: i64) -> Result<Arc<Found>, Error> {
        let mut kept = self.0.lock().await;
        kept.asked = steady();
        if !std::mem::replace(&mut kept.watched, true) {
            tokio::spawn(forget(self.0.clone()));
        }
        kept.at(conn, position).await
    }
}

impl Kept {
    async fn at(&mut self, conn: &impl Conn, position: i64) -> Result<Arc<Found>, Error> {
        if let Some((_, found)) = self.answers.iter().find(|(known, _)| *known == position) {
            return Ok(found.clone());
        }
        // Of what lies behind it the pass cannot tell any more.
        let mut earlier = None;
        let pass = match &mut self.pass {
            Some(pass) if pass.position() > position => &mut earlier,
            pass => pass,
        };
        let pass = pass.get_or_insert_with(|| Pass::of(None));
        pass.read_to(conn, position).await?;
        let found = Arc::new(pass.found());
        self.answers.push_back((position, found.clone()));
        if self.answers.len() > ANSWERS {
            self.answers.pop_front();
        }
        Ok(found)
    }
}

/// Lets go of everything once nobody has asked for long enough.
async fn forget(kept: Arc<Mutex<Kept>>) {
    let mut rest = KEPT;
    loop {
        tokio::time::sleep(rest).await;
        let mut kept = kept.lock().await;
        rest = KEPT.saturating_sub(steady().saturating_sub(kept.asked));
        if rest.is_zero() {
            *kept = Kept::default();
            return;
        }
    }
}
