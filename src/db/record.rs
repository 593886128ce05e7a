//! Records: how a row and its event are written together, and how a row is read back from events.
//!
//! A record is one row of one audited table. The difference between two rows, as JSON, is the
//! event's `changes`; folding the changes gives the row again. A field's class is declared once,
//! beside the field, by [`record!`](crate::record!).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value as SqlValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::conn::{self, Conn, Personal};
use super::event::{Disclosure, Event, Leaf, MAX_LEAF, leaf_hash};
use super::field::{Class, Field};
use super::held::{Write, WriteConn};
use super::sealed::SubjectKey;
use super::{WriteTx, constraint, search};
use crate::clock::{Micros, civil_date};
use crate::error::{Code, Error};
use crate::id;
use crate::log::store;

/// The columns that every audited row carries and no event states: they follow from the events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The record's identity.
    pub id: Uuid,
    /// 1 for the first event, then one more each.
    pub version: i64,
    /// Hash of the newest leaf.
    pub tip: Vec<u8>,
    /// Personal field to the digest of its present value.
    pub commitments: Map<String, Value>,
    /// Time of the first event.
    pub created_at: Micros,
    /// Time of the newest event.
    pub updated_at: Micros,
}

/// A kind of record; implemented by [`record!`](crate::record!) only.
pub trait Record: Clone + Send + Sync + Sized + Serialize + DeserializeOwned + 'static {
    /// The stream's type: the table's name.
    const STREAM: &'static str;
    /// The event with which the record's personal values go.
    const ERASED: &'static str;
    /// Every column but the common ones.
    const FIELDS: &'static [Field];

    /// The record's identity.
    fn id(&self) -> Uuid;
    /// The version; the ETag's first part.
    fn version(&self) -> i64;
    /// The common columns.
    fn row(&self) -> Row;
    /// Sets the common columns.
    fn set_row(&mut self, row: Row);
    /// The personal columns.
    fn personal(&mut self) -> Vec<(&'static Field, Personal<'_>)>;
    /// The unit that the record concerns.
    fn unit(&self) -> Option<Uuid>;
    /// The campaign that the record belongs to.
    fn campaign(&self) -> Option<Uuid>;
    /// The civil date at which rights over the record are judged, if it has one of its own.
    fn day(&self) -> Option<NaiveDate>;
    /// The statement that writes a new row.
    fn insert_row(self, backend: DbBackend) -> Statement;
    /// The statement that replaces the row if it still has `version`.
    fn update_row(self, backend: DbBackend, version: i64) -> Statement;
    /// Reads one row.
    fn find(conn: &impl Conn, id: Uuid) -> impl Future<Output = Result<Option<Self>, DbErr>> + Send;
    /// Reads one row that is about to change, holding its lock until the transaction ends.
    fn find_locked(conn: &WriteConn<'_>, id: Uuid) -> impl Future<Output = Result<Option<Self>, DbErr>> + Send;
    /// The rows after this one, by id.
    fn stretch(
        conn: &impl Conn,
        after: Option<Uuid>,
        limit: u64,
    ) -> impl Future<Output = Result<Vec<Self>, DbErr>> + Send;
    /// Every row, for the comparison with the log.
    fn all(conn: &impl Conn) -> impl Future<Output = Result<Vec<Self>, DbErr>> + Send;

    /// The state as events state it: every field that is not null.
    fn state(&self) -> Result<Map<String, Value>, Error> {
        match serde_json::to_value(self).map_err(Error::internal)? {
            Value::Object(mut map) => {
                map.retain(|_, value| !value.is_null());
                Ok(map)
            }
            _ => Err(Error::internal("a record is an object")),
        }
    }

    /// The same without a personal value.
    fn blank(&self) -> Result<Self, Error> {
        let mut state = self.state()?;
        for field in Self::FIELDS.iter().filter(|field| field.class == Class::Personal) {
            state.remove(field.name);
        }
        Self::from_state(state, self.row()).map_err(Error::internal)
    }

    /// The row that a state describes; a field that is absent is null.
    fn from_state(mut state: Map<String, Value>, row: Row) -> Result<Self, serde_json::Error> {
        for field in Self::FIELDS {
            state.entry(field.name).or_insert(Value::Null);
        }
        let mut record: Self = serde_json::from_value(Value::Object(state))?;
        record.set_row(row);
        Ok(record)
    }
}

impl WriteTx<'_> {
    /// Writes a new record and its first event. The row's common columns are filled in here.
    pub async fn insert<R: Record>(&self, mut record: R, event: Event<'_>) -> Result<R, Error> {
        let empty = Row { id: record.row().id, created_at: self.at(), ..Row::default() };
        let key = self.key_of(&mut record, 0, event).await?;
        let (row, mut writes) = self.append::<R>(&empty, Map::new(), &record, event, key.as_deref())?;
        record.set_row(row);
        let backend = self.conn().get_database_backend();
        writes.push(Write::row(conn::seal_row(record.clone(), key.as_deref())?.insert_row(backend)));
        writes.extend(search::enter(backend, &record)?);
        self.conn().hold(writes).await.map_err(constraint::translate)?;
        Ok(record)
    }

    /// Changes a record and writes the event. `old` was read with [`Record::find_locked`].
    pub async fn update<R: Record>(&self, old: &R, mut new: R, event: Event<'_>) -> Result<R, Error> {
        let before = old.row();
        let key = self.key_of(&mut new, before.version, event).await?;
        let (row, mut writes) = self.append(&before, old.state()?, &new, event, key.as_deref())?;
        new.set_row(row);
        let backend = self.conn().get_database_backend();
        let row = conn::seal_row(new.clone(), key.as_deref())?;
        writes.push(Write::row(row.update_row(backend, before.version)));
        if search::moves(old, &new)? {
            search::forget(self.conn(), old.id()).await?;
            writes.extend(search::enter(backend, &new)?);
        }
        self.conn().hold(writes).await.map_err(constraint::translate)?;
        Ok(new)
    }

    /// The event and what is disclosed beside it, as they will be written, and the row that stands on it.
    fn append<R: Record>(
        &self,
        before: &Row,
        old: Map<String, Value>,
        record: &R,
        event: Event<'_>,
        key: Option<&SubjectKey>,
    ) -> Result<(Row, Vec<Write>), Error> {
        let event_id = id::new_id();
        let mut commitments = before.commitments.clone();
        let mut disclosures = Vec::new();
        let changes = changes::<R>(old, record.state()?, &mut commitments, &mut disclosures)?;
        let reason = match event.reason {
            Some(text) => Some(commit("reason", json!(text), &mut disclosures)?),
            None => None,
        };
        let version = before.version + 1;
        let leaf = Leaf {
            id: event_id,
            name: event.name,
            stream_type: R::STREAM,
            stream_id: before.id,
            version,
            previous: &before.tip,
            unit: record.unit(),
            campaign: record.campaign(),
            changes,
            reason,
        };
        let leaf = leaf.write(self.context()).map_err(Error::internal)?;
        if leaf.len() > MAX_LEAF {
            return Err(Error::new(Code::BodyTooLarge));
        }
        let tip = leaf_hash(&leaf).to_vec();
        let unsealed = Unsealed { event_id, version, tip: &tip, leaf: &leaf };
        let mut writes = vec![self.post(record, before.id, event.name, unsealed)];
        for disclosure in disclosures {
            writes.push(self.disclose(event_id, before.id, disclosure, key)?);
        }
        self.wrote(event_id);
        let row =
            Row { id: before.id, version, tip, commitments, created_at: before.created_at, updated_at: self.at() };
        Ok((row, writes))
    }

    fn post<R: Record>(&self, record: &R, stream_id: Uuid, name: &'static str, event: Unsealed<'_>) -> Write {
        let values: [SqlValue; 13] = [
            event.event_id.into(),
            R::STREAM.into(),
            stream_id.into(),
            event.version.into(),
            name.into(),
            self.account().into(),
            record.unit().into(),
            record.campaign().into(),
            self.context().request_id.clone().into(),
            self.at().into(),
            record.day().unwrap_or_else(|| civil_date(self.at())).into(),
            event.leaf.into(),
            event.tip.to_vec().into(),
        ];
        self.insertion(
            "audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, \
             corr_id, at, day, leaf, leaf_hash)",
            values,
        )
    }

    fn disclose(
        &self,
        event_id: Uuid,
        stream_id: Uuid,
        disclosure: Disclosure,
        key: Option<&SubjectKey>,
    ) -> Result<Write, Error> {
        let (salt, value) = match key {
            Some(key) => store::sealed_disclosure(key, stream_id, event_id, &disclosure)?,
            None => (disclosure.salt, disclosure.value),
        };
        let values: [SqlValue; 6] =
            [event_id.into(), disclosure.path.into(), stream_id.into(), stream_id.into(), salt.into(), value.into()];
        Ok(self.insertion("audit_disclosure (event_id, path, stream_id, subject_id, salt, value)", values))
    }

    fn insertion<const N: usize>(&self, into: &str, values: [SqlValue; N]) -> Write {
        let places = constraint::placeholders(self.conn().get_database_backend(), 1, N);
        Write::new(format!("INSERT INTO {into} VALUES ({places})"), values, 1)
    }
}

/// An event on its way into the inbox.
struct Unsealed<'a> {
    event_id: Uuid,
    version: i64,
    tip: &'a [u8],
    leaf: &'a str,
}

/// What differs between two states, field by field, in the form of the leaf.
fn changes<R: Record>(
    mut old: Map<String, Value>,
    mut new: Map<String, Value>,
    commitments: &mut Map<String, Value>,
    disclosures: &mut Vec<Disclosure>,
) -> Result<Map<String, Value>, Error> {
    let mut changes = Map::new();
    for field in R::FIELDS {
        let before = old.remove(field.name).unwrap_or(Value::Null);
        let after = new.remove(field.name).unwrap_or(Value::Null);
        if before == after {
            continue;
        }
        let change = if field.class == Class::Personal {
            let old_digest = commitments.remove(field.name).unwrap_or(Value::Null);
            let new_digest = match after {
                Value::Null => Value::Null,
                value => Value::String(commit(field.name, value, disclosures)?),
            };
            if !new_digest.is_null() {
                commitments.insert(field.name.to_owned(), new_digest.clone());
            }
            json!({ "$c": [old_digest, new_digest] })
        } else {
            json!([before, after])
        };
        changes.insert(field.name.to_owned(), change);
    }
    Ok(changes)
}

fn commit(path: &str, value: Value, disclosures: &mut Vec<Disclosure>) -> Result<String, Error> {
    let salt = URL_SAFE_NO_PAD.encode(id::random::<16>());
    let disclosure = Disclosure { salt, path: path.to_owned(), value };
    let digest = disclosure.digest().map_err(Error::internal)?;
    disclosures.push(disclosure);
    Ok(digest)
}

/// Declares a record: its table, what it concerns, and each column with its class. Records are found by the words of
/// the columns marked `[searched]`, and ordered by the first of them; `[looked_up]` is a personal column that no key seals.
///
/// Makes a module with the sea-orm `Model`, `Entity` and `Column`, and implements
/// [`Record`](crate::db::Record).
#[macro_export]
macro_rules! record {
    ($(#[$meta:meta])* $name:ident in $table:literal, unit: $unit:expr, campaign: $campaign:expr, day: $day:expr, {
        $($(#[$fmeta:meta])* $class:ident $([$mark:ident])? $field:ident: $ty:ty),+ $(,)?
    }) => {
        $(#[$meta])*
        pub mod $name {
            #[allow(unused_imports)]
            use super::*;
            use sea_orm::entity::prelude::*;
            use sea_orm::{ActiveValue, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait};
            use $crate::db::{self, Conn, Field, Personal, Record, Row, WriteConn};

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, serde::Deserialize)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                /// The record's identity.
                #[sea_orm(primary_key, auto_increment = false)]
                #[serde(skip)]
                pub id: Uuid,
                /// Version; the ETag's first part.
                #[serde(skip)]
                pub version: i64,
                /// Hash of the newest leaf.
                #[serde(skip)]
                pub tip: Vec<u8>,
                /// Digests of the personal fields.
                #[serde(skip)]
                pub commitments: Json,
                /// Time of the first event, µs.
                #[serde(skip)]
                pub created_at: i64,
                /// Time of the newest event, µs.
                #[serde(skip)]
                pub updated_at: i64,
                $($(#[$fmeta])* pub $field: $ty,)+
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            impl Record for Model {
                const STREAM: &'static str = $table;
                const ERASED: &'static str = concat!($table, ".erased");
                const FIELDS: &'static [Field] = &[$(Field {
                    name: stringify!($field),
                    class: $crate::class!($class),
                    searched: $crate::searched!($($mark)?),
                    looked_up: $crate::looked_up!($($mark)?),
                }),+];

                fn id(&self) -> Uuid {
                    self.id
                }

                fn version(&self) -> i64 {
                    self.version
                }

                fn row(&self) -> Row {
                    Row {
                        id: self.id,
                        version: self.version,
                        tip: self.tip.clone(),
                        commitments: self.commitments.as_object().cloned().unwrap_or_default(),
                        created_at: self.created_at,
                        updated_at: self.updated_at,
                    }
                }

                fn set_row(&mut self, row: Row) {
                    self.id = row.id;
                    self.version = row.version;
                    self.tip = row.tip;
                    self.commitments = Json::Object(row.commitments);
                    self.created_at = row.created_at;
                    self.updated_at = row.updated_at;
                }

                fn personal(&mut self) -> Vec<(&'static Field, Personal<'_>)> {
                    let places = [$($crate::personal!($class, self.$field)),+];
                    Self::FIELDS.iter().zip(places).filter_map(|(field, place)| Some((field, place?))).collect()
                }

                fn unit(&self) -> Option<Uuid> {
                    let unit: fn(&Model) -> Option<Uuid> = $unit;
                    unit(self)
                }

                fn campaign(&self) -> Option<Uuid> {
                    let campaign: fn(&Model) -> Option<Uuid> = $campaign;
                    campaign(self)
                }

                fn day(&self) -> Option<chrono::NaiveDate> {
                    let day: fn(&Model) -> Option<chrono::NaiveDate> = $day;
                    day(self)
                }

                fn insert_row(self, backend: sea_orm::DbBackend) -> sea_orm::Statement {
                    Entity::insert(self.into_active_model().reset_all()).build(backend)
                }

                fn update_row(self, backend: sea_orm::DbBackend, version: i64) -> sea_orm::Statement {
                    let id = self.id;
                    let mut active = self.into_active_model().reset_all();
                    active.id = ActiveValue::NotSet;
                    let update = Entity::update_many().set(active);
                    update.filter(Column::Id.eq(id)).filter(Column::Version.eq(version)).build(backend)
                }

                async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<Self>, DbErr> {
                    db::one(conn, Entity::find_by_id(id)).await
                }

                async fn find_locked(conn: &WriteConn<'_>, id: Uuid) -> Result<Option<Self>, DbErr> {
                    conn.find_locked(Entity::find_by_id(id)).await
                }

                async fn stretch(
                    conn: &impl Conn,
                    after: Option<Uuid>,
                    limit: u64,
                ) -> Result<Vec<Self>, DbErr> {
                    let rows = Entity::find().order_by_asc(Column::Id).limit(limit);
                    let rows = if let Some(after) = after { rows.filter(Column::Id.gt(after)) } else { rows };
                    db::all(conn, rows).await
                }

                async fn all(conn: &impl Conn) -> Result<Vec<Self>, DbErr> {
                    db::all(conn, Entity::find()).await
                }
            }
        }
    };
}
