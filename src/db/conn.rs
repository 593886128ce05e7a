//! Connections that open what they read, and the writes that seal it: the one place where a personal value is readable on
//! one side and sealed on the other. Rooms know nothing of it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, PoisonError};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult,
    Select, Statement,
};
use serde_json::Value;
use uuid::Uuid;

use super::constraint::translate;
use super::keys::{KEYS_URL, SubjectKeys};
use super::sealed::{Place, Sealed, SubjectKey, is_sealed};
use super::{Class, Event, Record, WriteTx};
use crate::error::Error;
use crate::id;

/// A connection that opens what it reads.
pub trait Conn: ConnectionTrait {
    /// The keys, if values are sealed here.
    fn keys(&self) -> Option<&SubjectKeys>;
}

/// A connection with its keys.
#[derive(Clone, Debug)]
pub struct Keyed<C> {
    conn: C,
    keys: Option<SubjectKeys>,
}

impl<C> Keyed<C> {
    pub(super) fn new(conn: C, keys: Option<SubjectKeys>) -> Self {
        Self { conn, keys }
    }

    /// The connection alone.
    pub(super) fn into_inner(self) -> C {
        self.conn
    }
}

impl<C> Deref for Keyed<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.conn
    }
}

impl<C: ConnectionTrait + Sync> Conn for Keyed<C> {
    fn keys(&self) -> Option<&SubjectKeys> {
        self.keys.as_ref()
    }
}

/// Without keys nothing that is sealed can be read.
impl Conn for DatabaseConnection {
    fn keys(&self) -> Option<&SubjectKeys> {
        None
    }
}

/// Without keys nothing that is sealed can be read.
impl Conn for DatabaseTransaction {
    fn keys(&self) -> Option<&SubjectKeys> {
        None
    }
}

#[async_trait]
impl<C: ConnectionTrait + Sync> ConnectionTrait for Keyed<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.conn.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.conn.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.conn.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.conn.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.conn.query_all_raw(statement).await
    }
}

/// A personal column of a row in hand.
pub enum Personal<'a> {
    /// A text.
    Text(&'a mut Option<String>),
    /// A list of texts.
    Json(&'a mut Option<Value>),
}

impl<'a> From<&'a mut Option<String>> for Personal<'a> {
    fn from(text: &'a mut Option<String>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a mut Option<Value>> for Personal<'a> {
    fn from(json: &'a mut Option<Value>) -> Self {
        Self::Json(json)
    }
}

impl Personal<'_> {
    /// What stands there, if it is a text that is sealed or pretends to be.
    fn sealed(&self) -> Option<&str> {
        let text = match self {
            Self::Text(text) => text.as_deref(),
            Self::Json(json) => json.as_ref().and_then(Value::as_str),
        };
        text.filter(|text| is_sealed(text))
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Text(text) => text.is_some(),
            Self::Json(json) => json.as_ref().is_some_and(|value| !value.is_null()),
        }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Self::Text(text) => text.as_deref().map(Value::from),
            Self::Json(json) => (*json).clone().filter(|value| !value.is_null()),
        }
    }

    fn set(&mut self, value: Option<Value>) {
        match self {
            Self::Text(text) => **text = value.and_then(|value| value.as_str().map(str::to_owned)),
            Self::Json(json) => **json = value,
        }
    }
}

/// Opens what is sealed, of many values with one question for their keys. What has lost its key, or was changed since it
/// was sealed, is not there: nobody can read it any more.
pub async fn open<'a>(
    keys: Option<&SubjectKeys>,
    values: impl IntoIterator<Item = (Place<'a>, &'a str)>,
) -> Result<Vec<Option<Value>>, DbErr> {
    let values: Vec<(Place<'a>, Option<Sealed>)> =
        values.into_iter().map(|(place, text)| (place, Sealed::parse(text))).collect();
    if values.is_empty() {
        return Ok(vec![]);
    }
    let keys = keys.ok_or_else(|| DbErr::Custom(format!("a personal value is sealed, and {KEYS_URL} is not set")))?;
    let names: BTreeSet<Uuid> = values.iter().filter_map(|(_, sealed)| Some(sealed.as_ref()?.key)).collect();
    let keys = keys.named(&names).await?;
    Ok(values.iter().map(|(place, sealed)| opened(&keys, *place, sealed.as_ref())).collect())
}

fn opened(keys: &HashMap<Uuid, Arc<SubjectKey>>, place: Place<'_>, sealed: Option<&Sealed>) -> Option<Value> {
    let key = sealed.and_then(|sealed| keys.get(&sealed.key));
    let value = key.zip(sealed).and_then(|(key, sealed)| key.open(place, sealed));
    let value = value.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match (&value, key) {
        (Some(_), _) => {}
        (None, Some(_)) => tracing::error!(?place, "a sealed value was changed"),
        (None, None) => tracing::warn!(?place, "a value whose key is gone"),
    }
    value
}

/// Seals a value for its place.
pub fn seal(key: &SubjectKey, place: Place<'_>, value: &Value) -> Result<String, Error> {
    let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
    key.seal(place, &bytes, id::random())
}

/// Rows that are opened at once.
const CHUNK: usize = 500;

/// The columns that a key seals, by name.
fn sealable<R: Record>(row: &mut R) -> impl Iterator<Item = (&'static str, Personal<'_>)> {
    row.personal().into_iter().filter(|(field, _)| !field.looked_up).map(|(field, column)| (field.name, column))
}

/// Opens the personal columns of rows.
pub async fn open_rows<R: Record>(conn: &impl Conn, rows: &mut [R]) -> Result<(), DbErr> {
    if !R::FIELDS.iter().any(|field| field.class == Class::Personal) {
        return Ok(());
    }
    for chunk in rows.chunks_mut(CHUNK) {
        let mut columns: Vec<(Uuid, &str, Personal<'_>)> = Vec::new();
        for row in chunk {
            let subject = row.id();
            let sealed = sealable(row).filter(|(_, column)| column.sealed().is_some());
            columns.extend(sealed.map(|(name, column)| (subject, name, column)));
        }
        let place = |subject: &Uuid, name| Place::Column { subject: *subject, name };
        let texts = columns.iter().filter_map(|(id, name, column)| Some((place(id, name), column.sealed()?)));
        let values = open(conn.keys(), texts).await?;
        for ((_, _, column), value) in columns.iter_mut().zip(values) {
            column.set(value);
        }
    }
    Ok(())
}

/// The first row, opened.
pub async fn one<E>(conn: &impl Conn, select: Select<E>) -> Result<Option<E::Model>, DbErr>
where
    E: EntityTrait<Model: Record>,
{
    let mut row = select.one(conn).await?;
    open_rows(conn, row.as_mut_slice()).await?;
    Ok(row)
}

/// Every row, opened.
pub async fn all<E>(conn: &impl Conn, select: Select<E>) -> Result<Vec<E::Model>, DbErr>
where
    E: EntityTrait<Model: Record>,
{
    let mut rows = select.all(conn).await?;
    open_rows(conn, &mut rows).await?;
    Ok(rows)
}

impl WriteTx<'_> {
    /// The key that seals what an event writes of a record, if anything of it is personal and there are keys. A value
    /// that looks sealed is refused, so that what is read and looks so is.
    pub(super) async fn key_of<R: Record>(
        &self,
        record: &mut R,
        since: i64,
        event: Event<'_>,
    ) -> Result<Option<Arc<SubjectKey>>, Error> {
        let subject = record.row().id;
        if let Some((name, _)) = sealable(record).find(|(_, column)| column.sealed().is_some()) {
            let (vi, en) = ("có ký tự không được phép", "has a character that is not allowed");
            return Err(Error::invalid(format!("/{name}"), vi, en));
        }
        let is_personal = event.reason.is_some() || record.personal().iter().any(|(_, column)| column.is_there());
        match self.conn().keys().filter(|_| is_personal) {
            Some(keys) => {
                let key = keys.present(subject, since).await.map_err(translate)?;
                self.sealed.lock().unwrap_or_else(PoisonError::into_inner).insert(subject);
                Ok(Some(key))
            }
            None => Ok(None),
        }
    }

    /// True if something of this record was sealed in this transaction.
    pub(super) fn has_sealed(&self, subject: Uuid) -> bool {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner).contains(&subject)
    }
}

/// The row as it is written: with a key, its personal columns sealed.
pub(super) fn seal_row<R: Record>(mut record: R, key: Option<&SubjectKey>) -> Result<R, Error> {
    let Some(key) = key else { return Ok(record) };
    let subject = record.id();
    for (name, mut column) in sealable(&mut record) {
        if let Some(value) = column.value() {
            column.set(Some(seal(key, Place::Column { subject, name }, &value)?.into()));
        }
    }
    Ok(record)
}
