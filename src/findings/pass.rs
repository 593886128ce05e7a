//! The pass: every leaf up to a position, a chunk at a time, shown to the questions.

use std::sync::Arc;

use crate::db::Conn;
use uuid::Uuid;

use super::questions::Watches;
use super::{Event, Finding, Known};
use crate::campaigns::Definition;
use crate::campaigns::store::{campaign, definition_of};
use crate::db::Record as _;
use crate::error::Error;
use crate::log::store::{self, Leaf};

/// Leaves read at a time.
const CHUNK: u64 = 2_000;

/// What was found, in order, and the campaigns that the log knows by then.
#[derive(Debug)]
pub struct Found {
    /// The findings.
    pub findings: Vec<Finding>,
    /// The campaigns, by id.
    pub campaigns: Vec<Uuid>,
}

/// How far the questions have come.
pub struct Pass {
    watches: Watches,
    known: Known,
    /// The last position that they saw.
    position: i64,
    /// The last position that anything of it knows of: one further, while a leaf is taken in.
    reached: i64,
    /// A leaf that was seen: by it a pass knows its log again.
    last: Option<Leaf>,
}

impl Pass {
    /// Of one question, or of all, before the first leaf.
    pub fn of(question: Option<&str>) -> Self {
        Self { watches: Watches::of(question), known: Known::default(), position: -1, reached: -1, last: None }
    }

    /// True if it can tell what was found up to this position, or will: of what lies behind it, it cannot any more.
    pub fn leads_to(&self, position: i64) -> bool {
        self.reached <= position
    }

    /// The last leaf that was seen when it was last asked to read on.
    pub fn last(&self) -> Option<&Leaf> {
        self.last.as_ref()
    }

    /// Reads on, up to and including `position`. Whatever ends it early, it goes on where it was.
    pub async fn read_to(&mut self, conn: &impl Conn, position: i64) -> Result<(), Error> {
        while self.position < position {
            let leaves = store::leaves(conn, self.position, CHUNK).await?;
            let Some(end) = leaves.last().map(|leaf| leaf.seq) else { break };
            for leaf in leaves.iter().take_while(|leaf| leaf.seq <= position) {
                self.see(conn, leaf).await?;
            }
            // A leaf may be missing. That is for the checks of the log to say; nobody waits for it here.
            self.position = end.min(position);
            self.last = leaves.into_iter().rfind(|leaf| leaf.seq <= position).or(self.last.take());
        }
        Ok(())
    }

    async fn see(&mut self, conn: &impl Conn, leaf: &Leaf) -> Result<(), Error> {
        self.reached = leaf.seq;
        // Bytes that are no leaf tell nothing; that they stand there is for the checks of the log to say.
        if let (Some(event), Ok(text)) = (Event::read(leaf.seq, &leaf.leaf), std::str::from_utf8(&leaf.leaf)) {
            // Taken again after an interruption right here, it no longer continues its record, which changes nothing.
            self.known.take(&event, text);
            if event.stream == "campaign"
                && let Some(definition) = definition(conn, &self.known, event.record).await?
            {
                self.known.campaigns.insert(event.record, definition);
            }
            self.watches.see(&event, &self.known);
        }
        self.position = leaf.seq;
        Ok(())
    }

    /// What the leaves that were seen tell.
    pub fn found(&self) -> Found {
        let campaigns = self.known.campaigns.keys().copied().collect();
        Found { findings: self.watches.answer(&self.known), campaigns }
    }
}

/// What a campaign's documents say by what is known.
async fn definition(conn: &impl Conn, known: &Known, campaign: Uuid) -> Result<Option<Arc<Definition>>, Error> {
    let Some(folded) = known.campaign(campaign) else { return Ok(None) };
    let Ok(row) = campaign::Model::from_state(folded.state.clone(), folded.row.clone()) else { return Ok(None) };
    definition_of(conn, &row).await.map(Some)
}
