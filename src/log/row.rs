//! One record's row against what its events say: the sampler's part of what [`rebuild`](super::rebuild) does of all.

use sea_orm::DatabaseTransaction;
use serde_json::Value;
use uuid::Uuid;

use super::fold::Folded;
use super::rebuild::{Kind, Replay, differing};
use super::store;
use crate::db::Keyed;
use crate::error::Error;

const CHUNK: u64 = 500;

/// Where a record's row is not what its events say, a line each, without a personal value. Nothing if it has changed since
/// its last sealed event: what it says then is not in the log yet.
pub async fn differences(conn: &Keyed<DatabaseTransaction>, record: Uuid) -> Result<Vec<String>, Error> {
    let disclosed = store::disclosures_of(conn, record).await?;
    let disclosed = disclosed.into_iter().map(|row| ((row.event_id, row.path.clone()), row.disclosure())).collect();
    let (mut replay, mut differences, mut last) = (Replay::new(disclosed), Vec::new(), None);
    let mut after = -1;
    loop {
        let leaves = store::leaves_of(conn, record, after, CHUNK).await?;
        let Some(end) = leaves.last() else { break };
        after = end.seq;
        for leaf in &leaves {
            match replay.fold(leaf, &mut differences) {
                Ok((kind, folded, ..)) => last = Some((kind, folded)),
                // It is behind this one that nothing can be said any more.
                Err(what) => return Ok(vec![what]),
            }
        }
    }
    let Some((kind, folded)) = last else { return Ok(Vec::new()) };
    let row = (kind.row)(conn, record).await?;
    if row.as_ref().is_some_and(|row| row["$version"].as_i64() > Some(folded.row.version)) {
        return Ok(Vec::new());
    }
    differences.extend(replay.withheld());
    compare(kind, record, row, &folded, &mut differences)?;
    Ok(differences)
}

fn compare(
    kind: &Kind,
    record: Uuid,
    row: Option<Value>,
    folded: &Folded,
    differences: &mut Vec<String>,
) -> Result<(), Error> {
    let name = format!("{}/{record}", kind.stream);
    match row {
        Some(row) => differing(&name, &row, &(kind.folded)(folded)?, differences),
        None => differences.push(format!("{name}: in the log, not in the table")),
    }
    Ok(())
}
