//! Keys that took over, in SQL.

use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::Value;

use crate::db::constraint::translate;
use crate::db::{self, Conn, Event, WriteTx};
use crate::error::Error;
use crate::log::proof::key::VerifierKey;
use crate::log::proof::rotation::{self, EVENT, Kin, Rotation};
use crate::{id, record};

record! {
    /// A key of the log that took over from another, with the statement that both signed.
    log_key in "log_key", unit: |_| None, campaign: |_| None, day: |_| None, {
        public old_key: String,
        public new_key: String,
        public statement: String,
    }
}

/// Records a rotation, with its signed statement.
pub async fn rotate(tx: &WriteTx<'_>, rotation: &Rotation, statement: &str) -> Result<log_key::Model, Error> {
    let key = log_key::Model {
        id: id::new_id(),
        version: 0,
        tip: Vec::new(),
        commitments: Value::Null,
        created_at: 0,
        updated_at: 0,
        old_key: rotation.old.to_string(),
        new_key: rotation.new.to_string(),
        statement: statement.to_owned(),
    };
    tx.insert(key, Event::new(EVENT)).await
}

/// Where a rotation stands in the log; behind all others as long as it has no position.
const PLACE: &str = "coalesce((SELECT e.seq FROM audit_event e WHERE e.stream_id = log_key.id AND e.stream_ver = 1), \
                     9223372036854775807)";

/// Every rotation, oldest first: in the order of the log, whatever the clock said that the ids are made of.
pub async fn rotations(conn: &impl Conn) -> Result<Vec<log_key::Model>, Error> {
    db::all(conn, log_key::Entity::find().order_by_asc(Expr::cust(PLACE)).order_by_asc(log_key::Column::Id))
        .await
        .map_err(translate)
}

/// Who these keys took over from and handed on to.
pub async fn kin(conn: &impl Conn, keys: &[VerifierKey]) -> Result<Kin, Error> {
    let rotations = rotations(conn).await?;
    Ok(rotation::kin(rotations.iter().map(|row| row.statement.as_str()), keys))
}
