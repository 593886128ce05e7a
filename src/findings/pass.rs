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
use crate::log::store;

/// Leaves read at a time.
const CHUNK: u64 = 2_000;

/// What was found, in order, and the campaigns that the log knows by then.
pub struct Found {
    /// The findings.
    pub findings: Vec<Finding>,
    /// The campaigns, by id.
    pub campaigns: Vec<Uuid>,
}

/// Answers one question, or all, by the leaves up to and including `position`.
pub async fn run(conn: &impl Conn, question: Option<&str>, position: i64) -> Result<Found, Error> {
    let (mut watches, mut known) = (Watches::of(question), Known::default());
    let mut after = -1;
    while after < position {
        let leaves = store::leaves(conn, after, CHUNK).await?;
        let Some(last) = leaves.last().map(|leaf| leaf.seq) else { break };
        for leaf in leaves.iter().take_while(|leaf| leaf.seq <= position) {
            // Bytes that are no leaf tell nothing; that they stand there is for the checks of the log to say.
            let (Some(event), Ok(text)) = (Event::read(leaf.seq, &leaf.leaf), std::str::from_utf8(&leaf.leaf)) else {
                continue;
            };
            known.take(&event, text);
            if event.stream == "campaign"
                && let Some(definition) = definition(conn, &known, event.record).await?
            {
                known.campaigns.insert(event.record, definition);
            }
            watches.see(&event, &known);
        }
        after = last;
    }
    Ok(Found { findings: watches.answer(&known), campaigns: known.campaigns.into_keys().collect() })
}

/// What a campaign's documents say by what is known.
async fn definition(conn: &impl Conn, known: &Known, campaign: Uuid) -> Result<Option<Arc<Definition>>, Error> {
    let Some(folded) = known.campaign(campaign) else { return Ok(None) };
    let Ok(row) = campaign::Model::from_state(folded.state.clone(), folded.row.clone()) else { return Ok(None) };
    definition_of(conn, &row).await.map(Some)
}
