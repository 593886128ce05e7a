//! Giving positions: moves a batch from the inbox behind the head, in insertion order.
//!
//! Why nothing is missed or reordered: a position is given only to a row that is already
//! committed, under the head's row lock, in the transaction that stores it; and an event is
//! inserted only after its record's row lock, so of two events of one record the earlier has the
//! smaller `inbox_id`, and any snapshot that shows the later shows the earlier. Ordering comes
//! before the limit, and what one seal takes beyond that limit is known from one snapshot as well:
//! a batch that only looked behind the one before could see the later event of a record whose
//! earlier one was committed in between. A rollback burns no position.
//!
//! What was not written by this service may be anything. It goes to quarantine and the log goes on; but an event that a
//! row stands on is never set aside (the database refuses): if it can be read and has the hash that was written with it,
//! it is sealed, and if not it waits in the inbox, where `log rebuild --check` names it. What comes after it in its record
//! waits behind it, so that all of it has its place once somebody put the event right.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Statement, Value as SqlValue};
use serde_json::Value;
use uuid::Uuid;

use super::proof::tree::{self, Frontier};
use super::store::leaf_bytes;
use super::{spans, tiles};
use crate::canonical::canonical;
use crate::clock;
use crate::db::constraint::{placeholders, translate};
use crate::db::event::leaf_hash;
use crate::error::Error;

/// Rows moved at a time.
const BATCH: usize = 4000;

/// What to do while another sealer holds the head.
#[derive(Clone, Copy)]
pub enum Lock {
    /// Let it do the work.
    Skip,
    /// Wait for it, then look again.
    Wait,
}

#[derive(FromQueryResult)]
struct InboxRow {
    inbox_id: i64,
    event_id: Uuid,
    stream_id: Uuid,
    stream_ver: i64,
    /// As bytes: SQLite keeps text that is no UTF-8.
    leaf: Vec<u8>,
    leaf_hash: Vec<u8>,
    /// The columns repeat what the leaf says, and the leaf has the members of a leaf. The database says so, because the
    /// guards ask it the same (`migration/src/leaf.rs`).
    true_to_leaf: bool,
    /// The version of the record that was sealed last.
    sealed: i64,
    /// The log has this very event.
    known: bool,
}

/// What the sealer thinks of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// As this service writes it.
    Sound,
    /// It says what its columns say, but it is not canonical.
    Doubtful,
    /// It cannot be read, is not what was hashed when it was written, or its columns lie.
    Worthless,
}

impl InboxRow {
    fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.leaf).map_err(Error::internal)
    }

    fn worth(&self) -> Worth {
        let Ok(text) = self.text() else { return Worth::Worthless };
        let Ok(leaf) = serde_json::from_str::<Value>(text) else { return Worth::Worthless };
        // The second time that it is hashed: a bit that fell over on the disk never enters the tree.
        if !self.true_to_leaf || leaf_hash(text)[..] != self.leaf_hash[..] {
            return Worth::Worthless;
        }
        if canonical(&leaf).is_ok_and(|bytes| bytes == text) { Worth::Sound } else { Worth::Doubtful }
    }
}

/// The transaction (PostgreSQL) before which the inbox has nothing left to seal: all those before it had ended when it
/// was last read. What was sealed stays on the disk until it is vacuumed, behind a long-running reader for as long as
/// that one reads; nobody is to walk over it again and again. Only an index of what is there, so it is kept in memory:
/// whoever starts looks at everything, and after a restore transactions have other numbers.
#[derive(Default)]
pub struct Floor(AtomicU64);

impl Floor {
    /// Everything of transactions before `horizon` was seen.
    pub fn raise(&self, horizon: u64) {
        self.0.fetch_max(horizon, Ordering::Relaxed);
    }

    /// Everything is looked at again.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn xid(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Keeps a statement to what may still wait: the index that it walks begins with the transaction. Asked for once a
    /// seal, since the floor may rise meanwhile.
    fn kept_to(&self, backend: DbBackend) -> Waiting {
        match backend {
            DbBackend::Postgres => Waiting { from: Some(self.xid()) },
            _ => Waiting { from: None },
        }
    }
}

/// What a seal looks at: rows of transactions from this one on, or all where the engine has no such numbers.
#[derive(Clone, Copy)]
struct Waiting {
    from: Option<u64>,
}

impl Waiting {
    /// With the number in the text, for a statement that is said once.
    fn said(self) -> String {
        self.from.map_or_else(String::new, |xid| format!(" AND xid >= '{xid}'::xid8"))
    }

    /// With the number as the only value, for a statement that the server keeps.
    fn bound(self) -> &'static str {
        if self.from.is_some() { " AND xid >= $1::xid8" } else { "" }
    }

    fn values(self) -> Option<SqlValue> {
        self.from.map(|xid| xid.to_string().into())
    }
}

/// True if no committed event waits for its position (PostgreSQL).
pub async fn inbox_is_empty(conn: &impl ConnectionTrait, floor: &Floor) -> Result<bool, Error> {
    let backend = conn.get_database_backend();
    let sql = "SELECT audit_inbox_waits($1::xid8) AS waits";
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, [floor.xid().to_string().into()])).await;
    let row = row.map_err(translate)?.ok_or_else(|| Error::internal("nobody knows the inbox"))?;
    row.try_get::<bool>("", "waits").map(|waits| !waits).map_err(translate)
}

/// Takes the head's row lock (PostgreSQL) and answers with the transaction before which all others have ended: the
/// floor, once this seal is committed. None: another sealer has the lock.
pub async fn take_head(conn: &DatabaseTransaction, lock: Lock) -> Result<Option<(u64, Frontier)>, Error> {
    let skip = match lock {
        Lock::Skip => "SKIP LOCKED",
        Lock::Wait => "",
    };
    // Known before the inbox is read, by a later snapshot: that one sees whatever those transactions committed.
    let sql = format!(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, size, frontier FROM audit_head \
         WHERE log_id = 1 FOR UPDATE {skip}"
    );
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
    let Some(row) = row.map_err(translate)? else { return Ok(None) };
    let horizon: String = row.try_get("", "horizon").map_err(translate)?;
    Ok(Some((horizon.parse().map_err(Error::internal)?, tiles::head_in(&row)?)))
}

/// Seals everything visible behind `head`, in batches, in the caller's transaction. Afterwards all that was visible at the
/// beginning has its position, but for what has to wait.
pub async fn seal_all(conn: &DatabaseTransaction, floor: &Floor, mut head: Frontier) -> Result<(), Error> {
    let waiting = floor.kept_to(conn.get_database_backend());
    let oldest = read_inbox(conn, waiting, None).await?;
    let full = oldest.len() == BATCH;
    seal_batch(conn, waiting, oldest, &mut head).await?;
    if !full {
        return Ok(());
    }
    // Rows of the first batch that have to wait are among them once more; whatever is committed from here on is not.
    let rest = waiting_ids(conn, waiting).await?;
    for ids in rest.chunks(BATCH) {
        let mut rows = read_inbox(conn, waiting, ids.first().zip(ids.last())).await?;
        rows.retain(|row| ids.binary_search(&row.inbox_id).is_ok());
        seal_batch(conn, waiting, rows, &mut head).await?;
    }
    Ok(())
}

async fn seal_batch(
    conn: &DatabaseTransaction,
    waiting: Waiting,
    rows: Vec<InboxRow>,
    head: &mut Frontier,
) -> Result<(), Error> {
    let mut refused = HashSet::new();
    let (mut good, mut bad, mut last) = (Vec::with_capacity(rows.len()), Vec::new(), HashMap::new());
    for row in rows {
        let worth = row.worth();
        let before = last.get(&row.stream_id).copied().unwrap_or(row.sealed);
        if worth == Worth::Worthless || row.known || row.stream_ver != before + 1 {
            let behind = worth != Worth::Worthless && !row.known && row.stream_ver > before;
            bad.push((row, behind));
        } else if worth == Worth::Sound || !set_aside(conn, &row).await? {
            last.insert(row.stream_id, row.stream_ver);
            good.push(row);
        }
    }
    append(conn, waiting, &good, head).await?;
    // After the good ones: of two events of one version the second is only superfluous once the first is sealed.
    for (row, behind) in bad {
        // What waits behind another waits as long as that one; it is not tried one by one.
        if behind && refused.contains(&row.stream_id) {
            continue;
        }
        if !set_aside(conn, &row).await? {
            refused.insert(row.stream_id);
            let (event_id, stream_id) = (row.event_id, row.stream_id);
            let version = row.stream_ver;
            tracing::error!(%event_id, %stream_id, version, "an event that a row stands on cannot be sealed");
        }
    }
    Ok(())
}

/// The rows from one number to another, or the oldest.
///
/// With what the log has of them already, which a forgery repeats. Asked with LIMIT: an EXISTS would be answered out of a
/// hash of the whole log wherever PostgreSQL takes the inbox for long.
async fn read_inbox(
    conn: &DatabaseTransaction,
    waiting: Waiting,
    between: Option<(&i64, &i64)>,
) -> Result<Vec<InboxRow>, Error> {
    let backend = conn.get_database_backend();
    let (leaf, kept_to) = (leaf_bytes(backend), waiting.bound());
    let place = |n| placeholders(backend, n, 1);
    let next = waiting.values().into_iter().len() + 1;
    let which = match between {
        Some(_) => {
            format!("AND i.inbox_id >= {} AND i.inbox_id <= {} ORDER BY i.inbox_id", place(next), place(next + 1))
        }
        None => format!("ORDER BY i.inbox_id LIMIT {BATCH}"),
    };
    let sql = format!(
        "SELECT i.inbox_id, i.event_id, i.stream_id, i.stream_ver, {leaf} AS leaf, i.leaf_hash, i.true_to_leaf, \
         coalesce((SELECT e.stream_ver FROM audit_event e WHERE e.stream_id = i.stream_id \
         ORDER BY e.stream_ver DESC LIMIT 1), 0) AS sealed, \
         coalesce((SELECT TRUE FROM audit_event e WHERE e.event_id = i.event_id LIMIT 1), FALSE) AS known \
         FROM audit_inbox i WHERE TRUE{kept_to} {which}"
    );
    let bounds = between.into_iter().flat_map(|(first, last)| [*first, *last]).map(SqlValue::from);
    let statement = Statement::from_sql_and_values(backend, sql, waiting.values().into_iter().chain(bounds));
    InboxRow::find_by_statement(statement).all(conn).await.map_err(translate)
}

/// The numbers of all that is visible now, oldest first.
async fn waiting_ids(conn: &DatabaseTransaction, waiting: Waiting) -> Result<Vec<i64>, Error> {
    let sql = format!("SELECT inbox_id FROM audit_inbox WHERE TRUE{} ORDER BY inbox_id", waiting.bound());
    let rows = conn.query_all_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, waiting.values()));
    rows.await.map_err(translate)?.iter().map(|row| row.try_get("", "inbox_id").map_err(translate)).collect()
}

fn listed<'a>(ids: impl Iterator<Item = &'a i64>) -> String {
    ids.map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// What was read and found good moves by its number, without coming back from here: the database copies it. All in one
/// trip, unless there is something to be hashed or counted in between.
async fn append(
    conn: &DatabaseTransaction,
    waiting: Waiting,
    rows: &[InboxRow],
    head: &mut Frontier,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let run =
        async |sql: String| conn.execute_unprepared(&sql).await.map(|done| done.rows_affected()).map_err(translate);
    let (size, sealed_at, waiting) = (head.size(), clock::now(), waiting.said());
    for row in rows {
        head.push(tree::leaf_hash(&row.leaf)).map_err(Error::internal)?;
    }
    let number = u64::try_from(rows.len()).map_err(Error::internal)?;
    let ids = listed(rows.iter().map(|row| &row.inbox_id));
    let copy = format!(
        "INSERT INTO audit_event (seq, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, \
         scope_id, corr_id, at, day, sealed_at, leaf) \
         SELECT {size} + row_number() OVER (ORDER BY inbox_id) - 1, event_id, stream_type, stream_id, stream_ver, \
         event_type, actor_id, unit_id, scope_id, corr_id, at, day, {sealed_at}, leaf \
         FROM audit_inbox WHERE inbox_id IN ({ids}){waiting}"
    );
    let advance = tiles::advance(conn.get_database_backend(), size, head)?;
    let take = format!("DELETE FROM audit_inbox WHERE inbox_id IN ({ids}){waiting}");
    let changed = if tiles::become_full(size, head.size()) {
        let copied = run(copy).await?;
        spans::keep(conn, size, head.size()).await?;
        tiles::keep(conn, size, head.size()).await?;
        copied + run(format!("{advance}; {take}")).await?
    } else {
        run(format!("{copy}; {advance}; {take}")).await?
    };
    // A guard refuses what leaves the inbox without having entered the log: the sum can only be this if each part is.
    if changed != 2 * number + 1 {
        return Err(Error::internal("the inbox or the head moved during a seal"));
    }
    Ok(())
}

/// Moves a row to quarantine, where it is kept. False: the database refuses, because a row stands on the event.
async fn set_aside(conn: &DatabaseTransaction, row: &InboxRow) -> Result<bool, Error> {
    let (id, now) = (row.inbox_id, clock::now());
    let run = async |sql: &str| conn.execute_unprepared(sql).await.map_err(translate);
    let moved = async {
        run(&format!(
            "INSERT INTO audit_quarantine (event_id, found_at, leaf, leaf_hash) \
             SELECT event_id, {now}, leaf, leaf_hash FROM audit_inbox i WHERE inbox_id = {id} \
             AND NOT EXISTS (SELECT 1 FROM audit_quarantine q WHERE q.event_id = i.event_id)"
        ))
        .await?;
        run(&format!("DELETE FROM audit_inbox WHERE inbox_id = {id}")).await
    };
    run("SAVEPOINT set_aside").await?;
    let moved = moved.await;
    if moved.is_err() {
        run("ROLLBACK TO SAVEPOINT set_aside").await?;
    }
    run("RELEASE SAVEPOINT set_aside").await?;
    if moved.is_ok() {
        tracing::error!(event_id = %row.event_id, stream_id = %row.stream_id, "an event was quarantined");
    }
    Ok(moved.is_ok())
}

/// The number of sealed events: the next position.
pub async fn size(conn: &impl ConnectionTrait) -> Result<i64, Error> {
    let backend: DbBackend = conn.get_database_backend();
    let row = conn.query_one_raw(Statement::from_string(backend, "SELECT size FROM audit_head WHERE log_id = 1")).await;
    let row = row.map_err(translate)?.ok_or_else(|| Error::internal("the log has no head"))?;
    row.try_get("", "size").map_err(translate)
}
