//! The second call of a creating request is safe: the key and the answer are stored in the
//! transaction of the effect, and a repeated call gets the stored answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value as SqlValue};
use uuid::Uuid;

use super::ahead::Job;
use super::conn::{self, Conn};
use super::constraint::{placeholders, translate};
use super::held::Write;
use super::sealed::{Place, is_sealed};
use super::{Context, Db, Outcome, WriteTx};
use crate::clock::Micros;
use crate::error::{Code, Error};

/// How long a stored answer is kept: 72 hours.
pub const KEPT: Micros = 72 * 3600 * 1_000_000;

/// The status of a stored answer whose personal values were erased: the key stays taken, so that nobody makes the same
/// again by repeating a request, and what was asked is as little known as what was answered.
const ERASED: i64 = Code::Erased.status() as i64;

/// One creating request, as the caller identified it.
#[derive(Clone, Debug)]
pub struct Once {
    /// The operation; a key belongs to one operation of one caller.
    pub operation: &'static str,
    /// The caller's Idempotency-Key.
    pub key: String,
    /// SHA-256 of what was asked: the same key with another payload is refused.
    pub payload: [u8; 32],
}

/// What a creating request answers, the first time and every time after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Path of the new record.
    pub location: Option<String>,
    /// Its ETag.
    pub etag: Option<String>,
    /// The JSON body.
    pub body: String,
    /// The record whose key seals the stored body, where there are keys: the new one, unless it shows another's values.
    pub subject: Option<Uuid>,
    /// True if this is the stored answer of an earlier call.
    pub replayed: bool,
}

/// Keys whose first call is still running in this process.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashSet<Claim>>>);

/// Actor, operation, key.
type Claim = (Uuid, &'static str, String);

struct Mark<'a> {
    set: &'a InFlight,
    entry: Claim,
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.set.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry);
    }
}

impl InFlight {
    fn mark(&self, entry: Claim) -> Option<Mark<'_>> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.clone());
        fresh.then_some(Mark { set: self, entry })
    }
}

impl Db {
    /// Runs `f` once for this key; a repeated call gets the stored answer.
    pub async fn record_once<F>(&self, context: &Context, once: &Once, f: F) -> Result<Answer, Error>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Answer, Error>,
    {
        self.may_write()?;
        let actor = match context.actor {
            super::Actor::Account(id) => id,
            super::Actor::Console => Uuid::nil(),
        };
        let entry = (actor, once.operation, once.key.clone());
        let _mark = self.in_flight.mark(entry).ok_or(Code::IdempotencyInFlight)?;
        if let Some(answer) = self.record_ahead(context, actor, once, &f).await {
            return Ok(answer);
        }
        self.record(context, async |tx: &WriteTx<'_>| {
            if !claim(tx, actor, once).await? {
                return stored(tx, actor, once).await.map(Outcome::Unchanged);
            }
            let answer = f(tx).await?;
            keep(tx, actor, once, &answer).await?;
            Ok(Outcome::Changed(answer))
        })
        .await
    }

    /// Runs `f` ahead of a transaction and sends what it wrote whole. Nothing that is not committed is answered here, not
    /// even a refusal: the stored answer of an earlier call goes before it.
    async fn record_ahead<F>(&self, context: &Context, actor: Uuid, once: &Once, f: &F) -> Option<Answer>
    where
        F: AsyncFn(&WriteTx<'_>) -> Result<Answer, Error>,
    {
        if !self.needs.may_go_ahead(once.operation) {
            return None;
        }
        let reader = self.reader();
        let tx = WriteTx::ahead(reader.conn(), context);
        let said = f(&tx).await;
        let (event, backend) = (tx.event.get().is_some(), reader.conn().get_database_backend());
        let body = match &said {
            Ok(answer) => body_to_keep(&tx, actor, once, answer).await.ok(),
            Err(_) => None,
        };
        let Some(mut writes) = tx.conn.taken() else {
            self.needs.a_transaction(once.operation);
            return None;
        };
        let answer = said.ok().filter(|_| event)?;
        writes.push(whole(backend, context.at, actor, once, &answer, body?));
        let (job, committed) = Job::of(writes)?;
        self.engine.post(job).await;
        committed.await.ok().map(|()| answer)
    }

    /// Forgets answers older than [`KEPT`].
    pub async fn forget_old_answers(&self, now: Micros) -> Result<(), Error> {
        let sql = format!("DELETE FROM idempotency WHERE created_at < {}", now - KEPT);
        self.housekeeping(&sql).await
    }
}

/// Operations whose closures asked for what only a transaction does: trying them ahead again would be in vain.
#[derive(Clone, Default)]
pub(super) struct Needs(Arc<Mutex<HashSet<&'static str>>>);

impl Needs {
    fn may_go_ahead(&self, operation: &'static str) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(operation)
    }

    fn a_transaction(&self, operation: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(operation);
    }
}

/// The claim and the answer at once.
fn whole(backend: DbBackend, at: Micros, actor: Uuid, once: &Once, answer: &Answer, body: String) -> Write {
    let sql = format!(
        "INSERT INTO idempotency (actor_id, operation, idempotency_key, payload_hash, created_at, status, location, etag, \
         body) VALUES ({})",
        placeholders(backend, 1, 9)
    );
    let values: [SqlValue; 9] = [
        actor.into(),
        once.operation.into(),
        once.key.clone().into(),
        once.payload.to_vec().into(),
        at.into(),
        i64::from(answer.status).into(),
        answer.location.clone().into(),
        answer.etag.clone().into(),
        body.into(),
    ];
    Write::new(sql, values, 1)
}

impl Once {
    fn place(&self, actor: Uuid) -> Place<'_> {
        Place::Answer { actor, operation: self.operation, key: &self.key }
    }
}

/// The body as it is stored. A body is JSON and never looks sealed. A new record's own answer needs a key only if
/// something of the record did; it shows nothing else.
async fn body_to_keep(tx: &WriteTx<'_>, actor: Uuid, once: &Once, answer: &Answer) -> Result<String, Error> {
    let is_own = |subject: &Uuid| answer.location.as_deref().is_some_and(|path| path.ends_with(&subject.to_string()));
    let subject = answer.subject.filter(|subject| !is_own(subject) || tx.has_sealed(*subject));
    let Some((keys, subject)) = tx.conn().keys().zip(subject) else { return Ok(answer.body.clone()) };
    let key = keys.present(subject, 1).await.map_err(translate)?;
    conn::seal(&key, once.place(actor), &answer.body.as_str().into())
}

/// The body as it was answered; `None` if its key is gone.
async fn kept_body(conn: &impl Conn, actor: Uuid, once: &Once, body: String) -> Result<Option<String>, Error> {
    if !is_sealed(&body) {
        return Ok(Some(body));
    }
    let opened = conn::open(conn.keys(), [(once.place(actor), body.as_str())]).await.map_err(translate)?.pop();
    Ok(opened.flatten().and_then(|body| body.as_str().map(str::to_owned)))
}

/// The claim comes first in the transaction, so that a second runner elsewhere waits for it.
async fn claim(tx: &WriteTx<'_>, actor: Uuid, once: &Once) -> Result<bool, Error> {
    let backend = tx.conn().get_database_backend();
    let sql = format!(
        "INSERT INTO idempotency (actor_id, operation, idempotency_key, payload_hash, created_at) \
         VALUES ({}) ON CONFLICT DO NOTHING",
        placeholders(backend, 1, 5)
    );
    let values: [SqlValue; 5] =
        [actor.into(), once.operation.into(), once.key.clone().into(), once.payload.to_vec().into(), tx.at().into()];
    let claimed = tx.conn().execute_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    Ok(claimed.map_err(translate)?.rows_affected() == 1)
}

async fn stored(tx: &WriteTx<'_>, actor: Uuid, once: &Once) -> Result<Answer, Error> {
    let backend = tx.conn().get_database_backend();
    let [a, b, c] = [1, 2, 3].map(|n| placeholders(backend, n, 1));
    let sql = format!(
        "SELECT payload_hash, status, location, etag, body FROM idempotency \
         WHERE actor_id = {a} AND operation = {b} AND idempotency_key = {c}"
    );
    let values: [SqlValue; 3] = [actor.into(), once.operation.into(), once.key.clone().into()];
    let row = tx.conn().query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    let row = row.map_err(translate)?.ok_or(Code::IdempotencyInFlight)?;
    let status: Option<i64> = row.try_get("", "status").map_err(translate)?;
    let location: Option<String> = row.try_get("", "location").map_err(translate)?;
    if status == Some(ERASED) {
        return Err(Error::new(Code::Erased).member("location", location));
    }
    let payload: Vec<u8> = row.try_get("", "payload_hash").map_err(translate)?;
    if payload != once.payload {
        return Err(Code::IdempotencyKeyReused.into());
    }
    let status = status.and_then(|status| u16::try_from(status).ok()).ok_or(Code::IdempotencyInFlight)?;
    let body: Option<String> = row.try_get("", "body").map_err(translate)?;
    let Some(body) = kept_body(tx.conn(), actor, once, body.unwrap_or_default()).await? else {
        return Err(Error::new(Code::Erased).member("location", location));
    };
    let etag = row.try_get("", "etag").map_err(translate)?;
    Ok(Answer { status, location, etag, body, subject: None, replayed: true })
}

impl WriteTx<'_> {
    /// Takes what was asked and what was answered out of the stored answers that name one of these records. The hash of
    /// what was asked goes as well: it has no salt, and so could be guessed. What is stored is forgotten after 72 hours
    /// anyway, so all of it is read once rather than an index kept for every write.
    pub async fn forget_answers(&self, records: &[Uuid]) -> Result<(), Error> {
        let backend = self.conn().get_database_backend();
        let [a, b, c] = [1, 2, 3].map(|n| placeholders(backend, n, 1));
        let sql = format!(
            "UPDATE idempotency SET payload_hash = {a}, status = {b}, etag = NULL, body = NULL WHERE location LIKE {c}"
        );
        for record in records {
            let values: [SqlValue; 3] = [Vec::<u8>::new().into(), ERASED.into(), format!("%/{record}").into()];
            let forgotten = self.conn().execute_raw(Statement::from_sql_and_values(backend, &sql, values)).await;
            forgotten.map_err(translate)?;
        }
        Ok(())
    }
}

/// Goes along with the effect.
async fn keep(tx: &WriteTx<'_>, actor: Uuid, once: &Once, answer: &Answer) -> Result<(), Error> {
    let body = body_to_keep(tx, actor, once, answer).await?;
    let backend = tx.conn().get_database_backend();
    let p: Vec<String> = (1..=7).map(|n| placeholders(backend, n, 1)).collect();
    let sql = format!(
        "UPDATE idempotency SET status = {}, location = {}, etag = {}, body = {} \
         WHERE actor_id = {} AND operation = {} AND idempotency_key = {}",
        p[0], p[1], p[2], p[3], p[4], p[5], p[6]
    );
    let values: [SqlValue; 7] = [
        i64::from(answer.status).into(),
        answer.location.clone().into(),
        answer.etag.clone().into(),
        body.into(),
        actor.into(),
        once.operation.into(),
        once.key.clone().into(),
    ];
    tx.conn().along([Write::new(sql, values, 1)]);
    Ok(())
}
