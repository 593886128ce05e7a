//! The keys of subjects, in a database of their own that no backup of the main one contains: what was erased stays
//! unreadable in old backups, because its key is gone. Optional; shared by every replica.
//!
//! A subject is a record. Its key is made when the first of its personal values is written, and looked up for every write
//! after that, never remembered: an erasure that was committed in between has retired it, under the lock of the same row.
//! A retired key seals nothing more; it is deleted once its erasure is committed, and so whatever fails in between loses
//! nothing. What is read names its key, so those are remembered, for an hour at most.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use migration::{SchemaManager, subject_keys};
use quick_cache::sync::Cache;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, FromQueryResult, Statement,
    TransactionTrait, Value as SqlValue,
};
use uuid::Uuid;

use super::cleaning::{Cleaner, Cleaning};
use super::constraint::{placeholders, translate};
use super::sealed::{KEY, SubjectKey};
use super::{Db, Urls, postgres, sqlite};
use crate::canonical::sha256;
use crate::clock::{Stopwatch, now, steady};
use crate::config::keep_private;
use crate::error::Error;
use crate::{id, rooms};

/// Name of the variable, for whoever has to set it.
pub const KEYS_URL: &str = "THIDUA_SUBJECT_KEYS";

/// Keys that are remembered.
const REMEMBERED: usize = 10_000;

/// Keys or subjects in one query.
const CHUNK: usize = 500;

/// Others may make or retire the key in between, but not for ever.
const ATTEMPTS: usize = 3;

/// The subject of the key that seals nothing and tells one key database from another.
const NOBODY: Uuid = Uuid::nil();

/// Longer than this nobody waits for a key.
const ANSWER: Duration = Duration::from_secs(2);

/// After somebody waited in vain, nobody waits for so long: a request that is tried twice waits once, and those who come
/// together do not wait one after the other, on SQLite with everybody behind them.
const SPARED: Duration = Duration::from_secs(1);

/// The key database, connected.
#[derive(Clone)]
pub struct SubjectKeys(Arc<Inner>);

struct Inner {
    conn: DatabaseConnection,
    /// Of an embedded key database.
    cleaner: Option<Cleaner>,
    remembered: Cache<Uuid, Arc<SubjectKey>>,
    /// When somebody waited in vain last.
    silent: Mutex<Option<Duration>>,
}

impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKeys(…)")
    }
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    key: Vec<u8>,
}

impl SubjectKeys {
    /// Connects to the key database that goes with these; never to one that holds anything else of ours.
    pub(super) async fn connect(url: &str, urls: &Urls) -> Result<Self, Error> {
        let main = [Some(&urls.app), urls.sealer.as_ref(), urls.eraser.as_ref()];
        let is_main =
            || Error::internal(format!("{KEYS_URL} is the main database: its backups would contain the keys"));
        if main.into_iter().flatten().any(|main| main == url) {
            return Err(is_main());
        }
        let conn = if Db::is_embedded(url) {
            let path = url.trim_start_matches("sqlite:").trim_start_matches("//").split('?').next().unwrap_or_default();
            keep_private(Path::new(path))?;
            sqlite::pool(url, 2, false).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            postgres::connect(url, 4, &[]).await?
        } else {
            return Err(Error::internal(format!("{KEYS_URL} must start with sqlite:// or postgres://")));
        };
        if SchemaManager::new(&conn).has_table("audit_head").await.map_err(translate)? {
            return Err(is_main());
        }
        let cleaner = Db::is_embedded(url).then(|| Cleaner::of(url, conn.clone()));
        let (remembered, silent) = (Cache::new(REMEMBERED), Mutex::default());
        Ok(Self(Arc::new(Inner { conn, cleaner, remembered, silent })))
    }

    async fn ask(&self, sql: &str, values: impl IntoIterator<Item = SqlValue>) -> Result<Vec<Row>, DbErr> {
        let statement = Statement::from_sql_and_values(self.0.conn.get_database_backend(), sql, values);
        self.soon(Row::find_by_statement(statement).all(&self.0.conn)).await
    }

    async fn tell(&self, sql: &str, values: impl IntoIterator<Item = SqlValue>) -> Result<u64, DbErr> {
        let statement = Statement::from_sql_and_values(self.0.conn.get_database_backend(), sql, values);
        let told = async {
            let alone = self.0.cleaner.as_ref().map(Cleaner::alone);
            let _alone = match &alone {
                Some(alone) => Some(alone.lock().await),
                None => None,
            };
            self.0.conn.execute_raw(statement).await
        };
        self.soon(told).await.map(|done| done.rows_affected())
    }

    /// The answer of the key database, within a time: on SQLite the one writer waits for it.
    async fn soon<T>(&self, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let silent = *self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.is_some_and(|since| steady().saturating_sub(since) < SPARED) {
            return Err(unavailable(DbErr::Custom("no answer just now".to_owned())));
        }
        let waited = Stopwatch::start();
        let answer = tokio::time::timeout(ANSWER, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(DbErr::Custom("no answer in time".to_owned())));
        // A server that is gone is looked for until the pool gives up; an error that comes at once keeps nobody waiting.
        if answer.is_ok() || waited.elapsed() > ANSWER / 2 {
            let silent = answer.is_err().then(steady);
            *self.0.silent.lock().unwrap_or_else(PoisonError::into_inner) = silent;
        }
        answer.map_err(unavailable)
    }

    fn places<const N: usize>(&self) -> [String; N] {
        std::array::from_fn(|n| placeholders(self.0.conn.get_database_backend(), n + 1, 1))
    }

    /// The key that seals what is written of this subject now, made if there is none. `since` is the record's version
    /// before this write: 0 for a new one. The record's row is locked, or is not there yet.
    pub(super) async fn present(&self, subject: Uuid, since: i64) -> Result<Arc<SubjectKey>, DbErr> {
        for attempt in 0..ATTEMPTS {
            let is_new = since == 0 && attempt == 0;
            if !is_new && let Some(key) = self.find(subject).await? {
                return Ok(key);
            }
            if let Some(key) = self.make(subject, since).await? {
                return Ok(key);
            }
        }
        Err(unavailable(DbErr::Custom("a subject's key came and went".to_owned())))
    }

    async fn find(&self, subject: Uuid) -> Result<Option<Arc<SubjectKey>>, DbErr> {
        let [a] = self.places();
        let sql = format!("SELECT id, key FROM subject_key WHERE subject_id = {a} AND retired_at IS NULL");
        let row = self.ask(&sql, [subject.into()]).await?.pop();
        row.map(|row| self.remember(row.id, &row.key)).transpose()
    }

    /// `None` if somebody else was faster.
    async fn make(&self, subject: Uuid, since: i64) -> Result<Option<Arc<SubjectKey>>, DbErr> {
        let (name, bytes) = (id::new_id(), id::random::<KEY>());
        let [a, b, c, d, e] = self.places();
        let sql = format!(
            "INSERT INTO subject_key (id, subject_id, key, since, created_at) VALUES ({a}, {b}, {c}, {d}, {e}) \
             ON CONFLICT DO NOTHING"
        );
        let values: [SqlValue; 5] = [name.into(), subject.into(), bytes.to_vec().into(), since.into(), now().into()];
        let made = self.tell(&sql, values).await? == 1;
        made.then(|| self.remember(name, &bytes)).transpose()
    }

    fn remember(&self, name: Uuid, bytes: &[u8]) -> Result<Arc<SubjectKey>, DbErr> {
        let key = SubjectKey::new(name, bytes).map_err(|error| DbErr::Custom(error.to_string()))?;
        let key = Arc::new(key);
        self.0.remembered.insert(name, key.clone());
        Ok(key)
    }

    /// The keys of these names that are still there, in one query for those that are not remembered.
    pub(super) async fn named(&self, names: &BTreeSet<Uuid>) -> Result<HashMap<Uuid, Arc<SubjectKey>>, DbErr> {
        let mut found: HashMap<Uuid, Arc<SubjectKey>> =
            names.iter().filter_map(|name| Some((*name, self.0.remembered.get(name)?))).collect();
        let unknown: Vec<Uuid> = names.iter().filter(|name| !found.contains_key(name)).copied().collect();
        for chunk in unknown.chunks(CHUNK) {
            let places = placeholders(self.0.conn.get_database_backend(), 1, chunk.len());
            let sql = format!("SELECT id, key FROM subject_key WHERE id IN ({places})");
            for row in self.ask(&sql, chunk.iter().map(|name| (*name).into())).await? {
                found.insert(row.id, self.remember(row.id, &row.key)?);
            }
        }
        Ok(found)
    }

    /// From now on nothing more of this subject is sealed with the keys that it has, and its next erasure ends them. Its
    /// row is locked and has this version; a key that says it is younger was made before the main database was restored.
    pub(super) async fn retire(&self, subject: Uuid, version: i64) -> Result<(), DbErr> {
        let [a, b, c, d] = self.places();
        let sql = format!(
            "UPDATE subject_key SET retired_at = COALESCE(retired_at, {a}), \
             since = CASE WHEN since > {b} THEN {c} ELSE since END WHERE subject_id = {d}"
        );
        let values: [SqlValue; 4] = [now().into(), version.into(), version.into(), subject.into()];
        self.tell(&sql, values).await.map(drop)
    }

    /// Deletes the keys of these subjects that were made before the version of their last erasure.
    async fn delete(&self, erased: &BTreeMap<Uuid, i64>) -> Result<u64, DbErr> {
        let subjects: Vec<Uuid> = erased.keys().copied().collect();
        let (mut deleted, [a]) = (0, self.places());
        for chunk in subjects.chunks(CHUNK) {
            let places = placeholders(self.0.conn.get_database_backend(), 1, chunk.len());
            let sql = format!("SELECT id, subject_id, since FROM subject_key WHERE subject_id IN ({places})");
            let values = chunk.iter().map(|subject| SqlValue::from(*subject));
            let statement = Statement::from_sql_and_values(self.0.conn.get_database_backend(), sql, values);
            let keys = self.soon(Age::find_by_statement(statement).all(&self.0.conn)).await?;
            for key in keys.iter().filter(|key| erased.get(&key.subject_id).is_some_and(|last| key.since < *last)) {
                deleted += self.tell(&format!("DELETE FROM subject_key WHERE id = {a}"), [key.id.into()]).await?;
                self.0.remembered.remove(&key.id);
            }
        }
        Ok(deleted)
    }

    /// Leaves nothing of deleted keys in the files of an embedded key database.
    pub(super) async fn scrub(&self) {
        if let Some(cleaner) = &self.0.cleaner {
            cleaner.clean(Cleaning::File).await;
        }
    }

    /// What tells this key database from another; `None` before `thidua migrate` has made it.
    async fn name(&self) -> Result<Option<i64>, DbErr> {
        let is_there = SchemaManager::new(&self.0.conn).has_table("subject_key").await.map_err(unavailable)?;
        let key = if is_there { self.find(NOBODY).await? } else { None };
        Ok(key.map(|key| i64::from_be_bytes(std::array::from_fn(|n| sha256(key.id.as_bytes())[n])) >> 1))
    }

    /// Makes the table; several processes may do so at once.
    pub(super) async fn create(&self) -> Result<(), DbErr> {
        let tx = self.0.conn.begin().await?;
        if tx.get_database_backend() == DbBackend::Postgres {
            tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({})", postgres::MIGRATION_LOCK)).await?;
        }
        subject_keys::create(&SchemaManager::new(&tx)).await?;
        tx.commit().await
    }

    pub(super) async fn close(self) {
        // Others may hold the same connections; they are gone as well.
        let _ = self.0.conn.clone().close().await;
    }
}

#[derive(FromQueryResult)]
struct Age {
    id: Uuid,
    subject_id: Uuid,
    since: i64,
}

#[derive(FromQueryResult)]
struct Last {
    stream_id: Uuid,
    version: i64,
}

/// Whatever is wrong with the key database, the caller may try again; only the log says what it was.
fn unavailable(error: DbErr) -> DbErr {
    tracing::warn!(%error, "the key database does not answer");
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
}

impl Db {
    /// Deletes the keys of what was erased, of one subject or of all; an erasure that could not do it is made up for.
    pub async fn bury_keys(&self, subject: Option<Uuid>) -> Result<(), Error> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let erased = self.last_erasures(subject).await?;
        if keys.delete(&erased).await.map_err(translate)? > 0 {
            keys.scrub().await;
        }
        Ok(())
    }

    /// Forgets the keys that were looked up: another replica may have deleted some.
    pub fn forget_keys(&self) {
        if let Some(keys) = &self.keys {
            keys.0.remembered.clear();
        }
    }

    /// The version of each record's last erasure.
    async fn last_erasures(&self, subject: Option<Uuid>) -> Result<BTreeMap<Uuid, i64>, Error> {
        let (reader, kinds) = (self.reader(), rooms::kinds().filter(|kind| kind.is_personal()));
        let backend = reader.conn().get_database_backend();
        let events: Vec<String> = kinds.map(|kind| format!("'{}'", kind.erased)).collect();
        let (mut values, mut arms) = (Vec::<SqlValue>::new(), Vec::new());
        for table in ["audit_event", "audit_inbox"] {
            let mut arm =
                format!("SELECT stream_id, stream_ver FROM {table} WHERE event_type IN ({})", events.join(", "));
            if let Some(subject) = subject {
                values.push(subject.into());
                arm.push_str(&format!(" AND stream_id = {}", placeholders(backend, values.len(), 1)));
            }
            arms.push(arm);
        }
        let sql = format!(
            "SELECT stream_id, max(stream_ver) AS version FROM ({}) erased GROUP BY stream_id",
            arms.join(" UNION ALL ")
        );
        let rows =
            Last::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).all(reader.conn()).await;
        Ok(rows.map_err(translate)?.into_iter().map(|row| (row.stream_id, row.version)).collect())
    }

    /// Makes the key database, and remembers in the main one which it is.
    pub(super) async fn migrate_keys(&self) -> Result<(), Error> {
        let Some(keys) = &self.keys else { return Ok(()) };
        if self.keys_are_there().await? {
            return Ok(());
        }
        keys.create().await.map_err(translate)?;
        // As if it were there already: whoever migrates at the same time makes the same.
        keys.present(NOBODY, 1).await.map_err(translate)?;
        let name = keys.name().await.map_err(translate)?.ok_or_else(|| Error::internal("no key database"))?;
        self.housekeeping(&format!(
            "INSERT INTO derived (name, version) VALUES ('subject_keys', {name}) ON CONFLICT DO NOTHING"
        ))
        .await
    }

    /// True if the key database is the one that this database's values are sealed with, or none is meant to be; an error
    /// if it is another, or values are sealed and no key database was named. The main database is migrated.
    pub(super) async fn keys_are_there(&self) -> Result<bool, Error> {
        let reader = self.reader();
        let sql = "SELECT version FROM derived WHERE name = 'subject_keys'";
        let row = reader.conn().query_one_raw(Statement::from_string(reader.conn().get_database_backend(), sql)).await;
        let meant: Option<i64> = match row.map_err(translate)? {
            Some(row) => row.try_get("", "version").map_err(translate)?,
            None => None,
        };
        let found = match &self.keys {
            Some(keys) => Some(keys.name().await.map_err(translate)?),
            None => None,
        };
        match (meant, found) {
            (None, None) => Ok(true),
            (None, Some(_)) => Ok(false),
            (Some(_), None) => {
                Err(Error::internal(format!("this database's personal values are sealed: set {KEYS_URL}")))
            }
            (meant, Some(found)) if meant == found => Ok(true),
            (Some(_), Some(_)) => Err(Error::internal(format!(
                "{KEYS_URL} is not the key database that this database's personal values are sealed with"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use sea_orm::Database;

    use super::*;

    /// What several replicas do at once with a key database that was just made.
    async fn agree(url: &str) {
        let main = Urls::from("sqlite://elsewhere.db");
        let replicas = join_all((0..4).map(|_| SubjectKeys::connect(url, &main))).await;
        let replicas: Vec<SubjectKeys> = replicas.into_iter().map(Result::unwrap).collect();
        join_all(replicas.iter().map(SubjectKeys::create)).await.into_iter().for_each(Result::unwrap);
        for (subject, since) in [(1, 0), (2, 7)] {
            let subject = Uuid::from_u128(subject);
            let asked = (0..8).flat_map(|_| &replicas).map(|keys| keys.present(subject, since));
            let keys: BTreeSet<Uuid> = join_all(asked).await.into_iter().map(|key| key.unwrap().id).collect();
            assert_eq!(keys.len(), 1, "one key of each subject");
            replicas[0].retire(subject, since).await.unwrap();
            let next = replicas[1].present(subject, since + 1).await.unwrap();
            assert!(!keys.contains(&next.id), "a retired key seals nothing more");
            let both = keys.into_iter().chain([next.id]).collect();
            assert_eq!(replicas[2].named(&both).await.unwrap().len(), 2, "and still opens what it sealed");
            assert_eq!(replicas[3].delete(&BTreeMap::from([(subject, since + 1)])).await.unwrap(), 1);
            replicas[2].0.remembered.clear();
            let left: Vec<Uuid> = replicas[2].named(&both).await.unwrap().into_keys().collect();
            assert_eq!(left, [next.id], "an erasure ends the keys from before it, and no other");
            // The main database was restored: its record is younger than the key.
            replicas[0].retire(subject, since - 3).await.unwrap();
            assert_eq!(replicas[0].delete(&BTreeMap::from([(subject, since - 2)])).await.unwrap(), 1);
        }
        for keys in replicas {
            keys.close().await;
        }
    }

    #[tokio::test]
    async fn replicas_agree_on_sqlite() {
        let directory = tempfile::tempdir().unwrap();
        agree(&format!("sqlite://{}", directory.path().join("keys.db").display())).await;
    }

    #[tokio::test]
    async fn replicas_agree_on_postgres() {
        let server = std::env::var("TEST_DATABASE_URL");
        let server = server.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let Ok(admin) = Database::connect(&server).await else {
            assert!(std::env::var("REQUIRE_POSTGRES").is_err(), "no PostgreSQL answers");
            return;
        };
        let name = format!("thidua_test_{}", id::new_id().simple());
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        agree(&format!("{}/{name}", server.rsplit_once('/').unwrap().0)).await;
        admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    }
}
