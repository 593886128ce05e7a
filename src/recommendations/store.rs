//! Reading the log up to a position, for the rules. Never reads a table of the present.

use std::sync::Arc;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{FromQueryResult, Order};
use uuid::Uuid;

use super::compute::Days;
use super::knowledge::{Knowledge, STREAMS};
use super::rules::{Labels, RuleSet};
use crate::campaigns;
use crate::campaigns::store::campaign;
use crate::db::Conn;
use crate::db::Record as _;
use crate::db::constraint::translate;
use crate::error::{Code, Error};

#[derive(FromQueryResult)]
struct LeafRow {
    seq: i64,
    leaf: String,
}

/// Leaves read at a time.
const CHUNK: u64 = 5_000;

/// What the log says of a campaign, its units and its figures, up to and including `position`.
pub async fn knowledge(conn: &impl Conn, campaign: Uuid, position: i64) -> Result<Knowledge, Error> {
    let mut knowledge = Knowledge::default();
    feed(conn, &mut knowledge, campaign, -1, position).await?;
    knowledge.index();
    Ok(knowledge)
}

/// Adds what the log says behind `after`, up to and including `position`; the indexes are then to be built.
pub async fn feed(
    conn: &impl Conn,
    knowledge: &mut Knowledge,
    campaign: Uuid,
    mut after: i64,
    position: i64,
) -> Result<(), Error> {
    loop {
        let rows = leaves(conn, campaign, after, position).await?;
        for row in &rows {
            knowledge.apply(row.seq, &row.leaf).map_err(Error::internal)?;
        }
        match rows.last() {
            Some(last) if rows.len() as u64 == CHUNK => after = last.seq,
            _ => return Ok(()),
        }
    }
}

async fn leaves(conn: &impl Conn, campaign: Uuid, after: i64, upto: i64) -> Result<Vec<LeafRow>, Error> {
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let mut select = Query::select();
    select
        .columns([Alias::new("seq"), Alias::new("leaf")])
        .from(Alias::new("audit_event"))
        .and_where(column("seq").gt(after))
        .and_where(column("seq").lte(upto))
        .and_where(column("stream_type").is_in(STREAMS))
        // Units and figures belong to no campaign: they serve all.
        .and_where(column("scope_id").eq(campaign).or(column("scope_id").is_null()))
        .order_by(Alias::new("seq"), Order::Asc)
        .limit(CHUNK);
    let statement = conn.get_database_backend().build(&select);
    LeafRow::find_by_statement(statement).all(conn).await.map_err(translate)
}

/// What a campaign says of a round.
pub struct Said {
    /// The rule set that serves it.
    pub rules: Arc<RuleSet>,
    /// What its names are called.
    pub labels: Labels,
    /// The campaign's days.
    pub days: Days,
}

/// What the campaign said of this round at the position that `knowledge` was read at.
pub async fn said_at(conn: &impl Conn, knowledge: &Knowledge, campaign: Uuid, round: &str) -> Result<Said, Error> {
    let Some(known) = knowledge.get("campaign", campaign) else {
        let (vi, en) = ("phong trào chưa có ở vị trí này", "the campaign was not there yet at this position");
        let later = campaigns::store::find(conn, campaign).await?.is_some();
        return Err(if later { Error::invalid("/log_position", vi, en) } else { Code::NotFound.into() });
    };
    let folded = known.folded();
    let row = campaign::Model::from_state(folded.state.clone(), folded.row.clone()).map_err(Error::internal)?;
    let days = Days { first: row.starts_on, last: row.ends_on };
    let rules = campaigns::store::rule_set_of(conn, &row, round).await?;
    let labels = campaigns::store::definition_of(conn, &row).await?.labels(round);
    Ok(Said { rules, labels, days })
}
