//! A creating request that needs no transaction of its own: its closure runs ahead with a connection that only reads, and
//! what it writes, the stored answer included, travels whole, together with whatever else is waiting.
//!
//! Only a closure that takes no lock and reads nothing that it wrote comes this way. Its reads see what was committed
//! before each of them on PostgreSQL (READ COMMITTED), before the first of them on SQLite; neither keeps others from
//! writing in between, so a rule over several rows takes [`WriteTx::lock`](super::WriteTx::lock) on either engine.
//! Whatever goes wrong on this way, nothing is lost and nothing doubled: the closure runs again in a transaction, which
//! claims its key first, and says there what it has to say.

use sea_orm::{ConnectionTrait, DbErr};
use tokio::sync::oneshot;

use super::held::{self, Write};

/// The most jobs that travel together.
pub(super) const MOST: usize = 16;

/// What one closure writes: new rows only.
pub(super) struct Job {
    writes: Vec<Write>,
    /// Told once all of it is committed; dropped otherwise.
    done: oneshot::Sender<()>,
}

impl Job {
    /// A job and where its commit will be told. A change of what is there already is none: how many rows it meets shows
    /// only when it is done.
    pub(super) fn of(writes: Vec<Write>) -> Option<(Self, oneshot::Receiver<()>)> {
        let is_new = |write: &Write| write.sql.starts_with("INSERT INTO ") && !write.sql.contains(" ON CONFLICT ");
        let (done, committed) = oneshot::channel();
        writes.iter().all(is_new).then_some((Self { writes, done }, committed))
    }

    fn is_like(&self, other: &Self) -> bool {
        let each = self.writes.iter().map(|write| &write.sql);
        each.eq(other.writes.iter().map(|write| &write.sql))
    }
}

/// Jobs that travel in one statement.
pub(super) struct Load {
    writes: Vec<Write>,
    done: Vec<oneshot::Sender<()>>,
}

impl Load {
    /// Writes all of it, or none.
    pub(super) async fn write(&mut self, conn: &impl ConnectionTrait) -> Result<(), DbErr> {
        held::write_all(conn, std::mem::take(&mut self.writes)).await
    }

    /// Tells that it is committed.
    pub(super) fn committed(self) {
        for done in self.done {
            // Whoever left in between finds the stored answer when asking again.
            let _ = done.send(());
        }
    }

    /// One of it cannot be written, or none: each finds out for itself.
    pub(super) fn refused(self, error: &DbErr) {
        tracing::debug!(%error, jobs = self.done.len(), "to be written one by one");
    }
}

/// Puts jobs together that say the same statements, in numbers that are powers of two: databases keep what they have
/// prepared by its text, and so there are few texts.
pub(super) fn loads(mut jobs: Vec<Job>) -> Vec<Load> {
    let mut loads = Vec::new();
    while let Some(first) = jobs.pop() {
        let (mut same, rest): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.is_like(&first));
        same.push(first);
        jobs = rest;
        while !same.is_empty() {
            let size = 1 << same.len().ilog2();
            loads.push(load(same.drain(..size).collect()));
        }
    }
    loads
}

fn load(jobs: Vec<Job>) -> Load {
    let number = jobs.first().map_or(0, |job| job.writes.len());
    let mut merged: Vec<Vec<Write>> = (0..number).map(|_| Vec::new()).collect();
    let mut done = Vec::new();
    for job in jobs {
        done.push(job.done);
        for (place, write) in merged.iter_mut().zip(job.writes) {
            place.push(write);
        }
    }
    Load { writes: merged.into_iter().flat_map(rows).collect(), done }
}

/// Several writes of the same text as one statement with several rows, if rows are what it is given.
fn rows(writes: Vec<Write>) -> Vec<Write> {
    let Some(first) = writes.first() else { return writes };
    let Some((into, row)) = first.sql.split_once(" VALUES ") else { return writes };
    if writes.len() == 1 || !row.starts_with('(') || row.find(')') != Some(row.len() - 1) {
        return writes;
    }
    let given = |n: usize| held::renumbered(row, n * first.values.len());
    let all: Vec<String> = (0..writes.len()).map(given).collect();
    let (sql, number) = (format!("{into} VALUES {}", all.join(", ")), writes.iter().map(|write| write.rows).sum());
    vec![Write::new(sql, writes.into_iter().flat_map(|write| write.values), number)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(table: &str) -> (Job, oneshot::Receiver<()>) {
        let row = Write::new(format!("INSERT INTO {table} (a, b) VALUES ($1, $2)"), [1.into(), 2.into()], 1);
        let words = Write::new("INSERT INTO words SELECT value FROM each($1)".to_owned(), [3.into()], 2);
        Job::of(vec![row, words]).unwrap()
    }

    #[test]
    fn rows_are_put_together_and_the_rest_goes_beside_them() {
        let jobs = (0..3).map(|_| job("t").0).chain([job("other").0]).collect();
        let loads = loads(jobs);
        let told: Vec<(usize, usize)> = loads.iter().map(|load| (load.done.len(), load.writes.len())).collect();
        assert_eq!(told, [(1, 2), (2, 3), (1, 2)], "powers of two");
        let pair = &loads[1].writes;
        assert_eq!(pair[0].sql, "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)");
        assert_eq!((pair[0].values.len(), pair[0].rows), (4, 2));
        assert_eq!((pair[1].sql.as_str(), pair[2].rows), ("INSERT INTO words SELECT value FROM each($1)", 2));
    }

    #[test]
    fn only_new_rows_are_a_job() {
        let one = |sql: &str| Job::of(vec![Write::new(sql.to_owned(), [], 1)]).is_some();
        assert!(one("INSERT INTO t VALUES (1)"));
        assert!(!one("UPDATE t SET a = 1"));
        assert!(!one("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"));
    }
}
