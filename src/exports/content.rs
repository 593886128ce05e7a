//! The leaves of a stretch of the log, one a line, read as fast as they are taken and never all at once.

use actix_web::web::Bytes;
use futures_util::{Stream, stream};

use crate::error::Error;
use crate::http::{App, Shared};
use crate::log::store::{self, Leaf};

/// Leaves, each followed by a newline, which none contains.
pub const NDJSON: &str = "application/x-ndjson";

/// Leaves that are held at a time: at most 64 KiB each, mostly less than one.
pub const CHUNK: i64 = 512;

/// The lines of the positions after `after` and before `to`.
pub fn lines(app: App, after: i64, to: i64) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(after, move |after| {
        let app = app.clone();
        async move {
            let leaves = stretch(&app, after, to).await.inspect_err(cut)?;
            Ok(leaves.last().map(|last| last.seq).map(|last| (Bytes::from(joined(&leaves)), last)))
        }
    })
}

/// The next leaves, without a gap; none at the end.
pub async fn stretch(app: &Shared, after: i64, to: i64) -> Result<Vec<Leaf>, Error> {
    let number = CHUNK.min(to - 1 - after);
    let Ok(limit) = u64::try_from(number) else { return Ok(Vec::new()) };
    let leaves = store::leaves(app.db.reader().conn(), after, limit).await?;
    let dense = leaves.iter().zip(after + 1..).all(|(leaf, position)| leaf.seq == position);
    if u64::try_from(leaves.len()) == Ok(limit) && dense {
        Ok(leaves)
    } else {
        Err(Error::internal("the log has fewer events than were signed"))
    }
}

fn joined(leaves: &[Leaf]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.iter().map(|leaf| leaf.leaf.len() + 1).sum());
    for leaf in leaves {
        bytes.extend_from_slice(&leaf.leaf);
        bytes.push(b'\n');
    }
    bytes
}

/// A download that has begun can only be cut; whoever reads it sees that its end is missing.
pub fn cut(error: &Error) {
    tracing::error!(%error, "an export was cut");
}
