//! One record's row against what its events say: the sampler's part of what [`rebuild`](super::rebuild) does of all.

use sea_orm::DatabaseTransaction;
use serde_json::Value;
use uuid::Uuid;

use super::fold::stream;
use super::rebuild::{Replay, differing};
use super::store::{self, Leaf};
use crate::db::Keyed;
use crate::error::Error;
use crate::rooms;

const CHUNK: u64 = 500;

/// Where a record's row is not what its events say, a line each, without a personal value. Nothing if it has changed since
/// its last sealed event: what it says then is not in the log yet. What became of missing personal values only all records
/// together tell.
pub async fn differences(conn: &Keyed<DatabaseTransaction>, record: Uuid) -> Result<Vec<String>, Error> {
    let first = store::leaves_of(conn, record, -1, 1).await?;
    // While replicas are replaced one by one, the newer ones write what this one has no table of.
    if first.first().is_some_and(is_strange) {
        return Ok(Vec::new());
    }
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
    let name = format!("{}/{record}", kind.stream);
    match (row, (kind.folded)(&folded)) {
        (Some(row), Ok(said)) => differing(&name, &row, &said, &mut differences),
        (Some(_), Err(error)) => differences.push(format!("{name}: {error}")),
        (None, _) => differences.push(format!("{name}: in the log, not in the table")),
    }
    Ok(differences)
}

/// True if the leaf is of a kind of record that this version knows nothing of.
fn is_strange(leaf: &Leaf) -> bool {
    let leaf: Option<Value> = serde_json::from_slice(&leaf.leaf).ok();
    let name = leaf.as_ref().and_then(stream).map(|(name, _)| name);
    name.is_some_and(|name| rooms::kinds().all(|kind| kind.stream != name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_record_of_another_kind_is_strange() {
        let of = |text: &str| is_strange(&Leaf { seq: 0, leaf: text.into() });
        let id = Uuid::nil();
        assert!(of(&format!(r#"{{"stream":"invented/{id}"}}"#)));
        for text in [&format!(r#"{{"stream":"unit/{id}"}}"#), r#"{"stream":"invented"}"#, "{}", "no JSON"] {
            assert!(!of(text), "{text}");
        }
    }
}
