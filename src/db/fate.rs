//! What became of a transaction whose COMMIT was sent and not answered (PostgreSQL).
//!
//! Its event tells: it stands in the inbox, or sealed in the log, if and only if the transaction was committed. That it
//! stands in neither means something only once the transaction has ended, whose server process may still be at it; so
//! first everything must have ended that had begun when we asked. The transaction's own id would tell less, and knowing
//! it would cost each write something: after a crash of the server, an id that never reached the disk is given again.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, Value as SqlValue};
use uuid::Uuid;

use super::constraint::{by_database, database_error, translate};
use crate::error::{Code, Error};

/// How long to ask, a restart of the server included.
const LONGEST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    RolledBack,
}

/// True unless the error is PostgreSQL's own word that it did not commit: a session that is ended from outside may have
/// committed just before.
pub(super) fn is_open(error: &DbErr) -> bool {
    database_error(error).is_none_or(|error| by_database(error) == Code::Busy)
}

/// Asks until it is certain what became of the transaction that wrote this event.
pub(super) async fn learn(pool: &DatabaseConnection, event: Uuid) -> Result<Fate, Error> {
    let learnt = async {
        let mut horizon = None;
        loop {
            match ask(pool, event, &mut horizon).await {
                Ok(Some(fate)) => return fate,
                Ok(None) => {}
                // A server that restarts refuses connections for a while, and may give ids anew afterwards.
                Err(_) => horizon = None,
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LONGEST, learnt).await.map_err(|_| Error::new(Code::OutcomeUnknown))
}

/// `horizon` is a transaction id that was given after the transaction had its own.
async fn ask(pool: &DatabaseConnection, event: Uuid, horizon: &mut Option<String>) -> Result<Option<Fate>, Error> {
    let row = async |sql: &str, values: Vec<SqlValue>| {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = pool.query_one_raw(statement).await.map_err(translate)?;
        row.ok_or_else(|| Error::internal("a query without FROM has a row"))
    };
    let known = match horizon {
        Some(known) => known.clone(),
        None => {
            let given = row("SELECT pg_current_xact_id()::text AS given", vec![]).await?;
            horizon.insert(given.try_get("", "given").map_err(translate)?).clone()
        }
    };
    // One statement, one view: what moves from the inbox to the log is seen in one of them.
    let sql = "SELECT EXISTS (SELECT 1 FROM audit_inbox WHERE event_id = $1) \
               OR EXISTS (SELECT 1 FROM audit_event WHERE event_id = $1) AS committed, \
               pg_snapshot_xmin(pg_current_snapshot()) >= $2::xid8 AS over";
    let seen = row(sql, vec![event.into(), known.into()]).await?;
    let (committed, over): (bool, bool) =
        (seen.try_get("", "committed").map_err(translate)?, seen.try_get("", "over").map_err(translate)?);
    Ok(match (committed, over) {
        (true, _) => Some(Fate::Committed),
        (false, true) => Some(Fate::RolledBack),
        (false, false) => None,
    })
}
