//! How far a replay is, kept in the copy that it fills: an interrupted comparison of log and tables goes on there. It is
//! written in the transactions that write the events, so that no event is replayed twice.

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};

use super::proof::tree::leaf_hash;
use super::{store, tiles};
use crate::canonical::hex;
use crate::db::Db;
use crate::db::constraint::{placeholders, translate};
use crate::error::Error;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS replayed \
                     (events BIGINT NOT NULL, tip TEXT NOT NULL, differences TEXT NOT NULL)";

/// What was replayed so far.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Sealed events.
    pub events: i64,
    /// The hash of the last one's leaf, hexadecimal; empty before there is one.
    tip: String,
    /// What did not fit.
    pub differences: Vec<String>,
}

impl Replayed {
    /// What the copy of this log says, from the beginning if it is new; none if it cannot be gone on with.
    pub async fn of(live: &Db, fresh: &Db) -> Result<Option<Self>, Error> {
        fresh.migrate().await?;
        fresh.replay(async |conn| conn.execute_unprepared(TABLE).await.map(drop).map_err(translate)).await?;
        let reader = fresh.reader();
        let conn = reader.conn();
        let asked =
            Statement::from_string(conn.get_database_backend(), "SELECT events, tip, differences FROM replayed");
        let Some(row) = conn.query_one_raw(asked).await.map_err(translate)? else {
            let is_new = tiles::head(conn).await?.size() == 0;
            return Ok(is_new.then(Self::default));
        };
        let differences: String = row.try_get("", "differences").map_err(translate)?;
        let replayed = Self {
            events: row.try_get("", "events").map_err(translate)?,
            tip: row.try_get("", "tip").map_err(translate)?,
            differences: serde_json::from_str(&differences).map_err(Error::internal)?,
        };
        Ok(replayed.is_of(live).await?.then_some(replayed))
    }

    /// True if this log still begins with what was replayed.
    async fn is_of(&self, live: &Db) -> Result<bool, Error> {
        let last = store::leaves(live.reader().conn(), self.events - 2, 1).await?.pop();
        Ok(last.is_some_and(|leaf| leaf.seq == self.events - 1 && hex(&leaf_hash(&leaf.leaf)) == self.tip))
    }

    /// So many events now, up to this leaf.
    pub async fn write(&mut self, conn: &DatabaseTransaction, events: i64, leaf: &[u8]) -> Result<(), Error> {
        (self.events, self.tip) = (events, hex(&leaf_hash(leaf)));
        self.forget(conn).await?;
        let backend = conn.get_database_backend();
        let sql = format!("INSERT INTO replayed (events, tip, differences) VALUES ({})", placeholders(backend, 1, 3));
        let differences = serde_json::to_string(&self.differences).map_err(Error::internal)?;
        let values = [self.events.into(), self.tip.clone().into(), differences.into()];
        let written = Statement::from_sql_and_values(backend, sql, values);
        conn.execute_raw(written).await.map(drop).map_err(translate)
    }

    /// From here on the copy holds more than can be gone on with: whoever finds it begins anew.
    pub async fn forget(&self, conn: &DatabaseTransaction) -> Result<(), Error> {
        conn.execute_unprepared("DELETE FROM replayed").await.map(drop).map_err(translate)
    }
}
