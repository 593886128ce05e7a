//! Units and successions in SQL.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Statement, Value as SqlValue,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::closure::Edge;
pub use super::derived::{derive, derived};
use super::lineage::{Life, Lineage};
use super::succession::Acts;
use super::{AreaClass, SuccessionDraft, SuccessionKind, SuccessionState, UnitDraft, UnitKind};
use crate::auth::Scope;
use crate::clock::civil_date;
use crate::db::constraint::{placeholders, translate};
use crate::db::{self, Conn, Event, Record, WriteTx, list::List};
use crate::error::{Code, Error};
use crate::http::page::{Found, Slice};
use crate::record;
use crate::text::fold;

record! {
    /// A unit with its dated attributes.
    unit in "unit", unit: |row| Some(row.id), campaign: |_| None, day: |_| None, {
        public codes: Json,
        public [searched] names: Json,
        public kinds: Json,
        public parents: Json,
        public area_classes: Json,
        public exists_from: Date,
        public exists_to: Option<Date>,
        public fictitious: bool,
        personal change_reason: Option<String>,
    }
}

record! {
    /// An act by which units follow one another.
    succession in "succession", unit: |_| None, campaign: |_| None, day: |_| None, {
        public kind: String,
        public effective_on: Date,
        public predecessors: Json,
        public successors: Json,
        personal basis: Option<String>,
        public ends: Option<Json>,
        public annulled_on: Option<Date>,
        personal change_reason: Option<String>,
    }
}

/// A unit that an act ended, and the last day that it had before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The unit.
    pub unit: Uuid,
    /// Its last day before the act; open if absent.
    pub before: Option<NaiveDate>,
}

impl unit::Model {
    /// A row that says what the draft says.
    pub fn from_draft(id: Uuid, draft: &UnitDraft) -> Result<Self, Error> {
        Ok(Self {
            id,
            version: 0,
            tip: Vec::new(),
            commitments: Value::Null,
            created_at: 0,
            updated_at: 0,
            codes: json(&draft.codes)?,
            names: json(&draft.names)?,
            kinds: json(&draft.kinds)?,
            parents: json(&draft.parents)?,
            area_classes: json(&draft.area_classes)?,
            exists_from: draft.exists_from,
            exists_to: draft.exists_to,
            fictitious: draft.fictitious,
            change_reason: None,
        })
    }

    /// What the row says.
    pub fn draft(&self) -> Result<UnitDraft, Error> {
        Ok(UnitDraft {
            codes: typed(&self.codes)?,
            names: typed(&self.names)?,
            kinds: typed(&self.kinds)?,
            parents: typed(&self.parents)?,
            area_classes: typed(&self.area_classes)?,
            exists_from: self.exists_from,
            exists_to: self.exists_to,
            fictitious: self.fictitious,
        })
    }
}

impl succession::Model {
    /// A row that says what the draft says.
    pub fn from_draft(id: Uuid, draft: &SuccessionDraft, ends: &[End]) -> Result<Self, Error> {
        Ok(Self {
            id,
            version: 0,
            tip: Vec::new(),
            commitments: Value::Null,
            created_at: 0,
            updated_at: 0,
            kind: draft.kind.as_str().to_owned(),
            effective_on: draft.effective_on,
            predecessors: json(&draft.predecessors)?,
            successors: json(&draft.successors)?,
            basis: Some(draft.basis.clone()),
            ends: if ends.is_empty() { None } else { Some(json(&ends)?) },
            annulled_on: None,
            change_reason: None,
        })
    }

    /// Whether it counts.
    pub fn state(&self) -> SuccessionState {
        if self.annulled_on.is_none() { SuccessionState::Standing } else { SuccessionState::Annulled }
    }

    /// Whose last day the act changed. Units of a file end by the file, not by its acts.
    pub fn ends(&self) -> Result<Vec<End>, Error> {
        self.ends.as_ref().map_or_else(|| Ok(Vec::new()), typed)
    }

    /// What the row says.
    pub fn draft(&self) -> Result<SuccessionDraft, Error> {
        Ok(SuccessionDraft {
            kind: SuccessionKind::parse(&self.kind).ok_or_else(|| Error::internal("an unknown kind of succession"))?,
            effective_on: self.effective_on,
            predecessors: typed(&self.predecessors)?,
            successors: typed(&self.successors)?,
            basis: self.basis.clone().unwrap_or_default(),
        })
    }
}

fn json<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(Error::internal)
}

fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    serde_json::from_value(value.clone()).map_err(Error::internal)
}

/// What a list of units is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this kind on `as_of`.
    pub kind: Option<UnitKind>,
    /// Of this area class on `as_of`.
    pub area_class: Option<AreaClass>,
    /// This one only.
    pub unit: Option<Uuid>,
    /// Covered on `as_of`, succession included.
    pub within: Option<Scope>,
    /// The day on which kind, class and place are judged.
    pub as_of: Option<NaiveDate>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of units.
pub async fn page(
    conn: &impl Conn,
    filter: &Filter,
    today: NaiveDate,
    slice: &Slice,
) -> Result<Found<unit::Model>, Error> {
    let day = filter.as_of.unwrap_or(today);
    let unit = || Expr::col((unit::Entity, unit::Column::Id));
    let exists =
        || unit::Column::ExistsFrom.lte(day).and(unit::Column::ExistsTo.is_null().or(unit::Column::ExistsTo.gte(day)));
    List::<unit::Entity>::all()
        .equal(unit::Column::Id, filter.unit)
        .given(filter.kind.map(|kind| has_attribute("kind", kind.as_str(), day)))
        .given(filter.area_class.map(|class| has_attribute("area_class", class.as_str(), day)))
        .given(filter.within.as_ref().map(|within| within.covers(unit(), Expr::val(day))))
        .given(filter.as_of.map(|_| exists()))
        .changed_since(filter.changed_since)
        .page(conn, unit::Column::Id, slice)
        .await
}

fn has_attribute(attribute: &str, value: &str, day: NaiveDate) -> SimpleExpr {
    let column = |name: &str| Expr::col((Alias::new("a"), Alias::new(name)));
    let mut query = Query::select();
    query
        .expr(Expr::val(1))
        .from_as(Alias::new("unit_attribute"), Alias::new("a"))
        .and_where(column("unit_id").eq(Expr::col((Alias::new("unit"), Alias::new("id")))))
        .and_where(column("attribute").eq(attribute))
        .and_where(column("value").eq(value))
        .and_where(column("valid_from").lte(day))
        .and_where(column("valid_to").is_null().or(column("valid_to").gte(day)));
    Expr::exists(query)
}

/// One way in which a code or name stands for a unit.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Candidate {
    /// The unit.
    pub unit_id: Uuid,
    /// First day.
    pub valid_from: NaiveDate,
    /// Last day; open if null.
    pub valid_to: Option<NaiveDate>,
}

/// Every unit that ever bore this code or name (without regard to case and diacritics).
pub async fn candidates(conn: &impl Conn, attribute: &str, value: &str) -> Result<Vec<Candidate>, Error> {
    let backend = conn.get_database_backend();
    let [a, b] = [1, 2].map(|n| placeholders(backend, n, 1));
    let sql = format!(
        "SELECT unit_id, valid_from, valid_to FROM unit_attribute \
         WHERE attribute = {a} AND folded = {b} ORDER BY valid_from, unit_id LIMIT 100"
    );
    let values: [SqlValue; 2] = [attribute.into(), fold(value).into()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    Candidate::find_by_statement(statement).all(conn).await.map_err(translate)
}

/// The row, to be changed in this transaction.
pub async fn locked(tx: &WriteTx<'_>, id: Uuid) -> Result<unit::Model, Error> {
    unit::Model::find_locked(tx.conn(), id).await.map_err(translate)?.ok_or_else(|| Code::NotFound.into())
}

/// One unit.
pub async fn find(conn: &impl Conn, id: Uuid) -> Result<Option<unit::Model>, Error> {
    unit::Model::find(conn, id).await.map_err(translate)
}

/// The units of these ids.
pub async fn of(conn: &impl Conn, ids: impl IntoIterator<Item = Uuid>) -> Result<Vec<unit::Model>, Error> {
    db::all(conn, unit::Entity::find().filter(unit::Column::Id.is_in(ids))).await.map_err(translate)
}

/// Those of `ids` that name a unit which existed on `day`.
pub async fn alive(conn: &impl Conn, ids: &[Uuid], day: NaiveDate) -> Result<BTreeSet<Uuid>, Error> {
    let select = unit::Entity::find()
        .filter(unit::Column::Id.is_in(ids.iter().copied()))
        .filter(unit::Column::ExistsFrom.lte(day))
        .filter(unit::Column::ExistsTo.is_null().or(unit::Column::ExistsTo.gte(day)));
    let ids = select.select_only().column(unit::Column::Id).into_tuple::<Uuid>().all(conn).await;
    Ok(ids.map_err(translate)?.into_iter().collect())
}

/// Every unit, by id.
pub async fn all(conn: &impl Conn) -> Result<Vec<unit::Model>, Error> {
    db::all(conn, unit::Entity::find().order_by_asc(unit::Column::Id)).await.map_err(translate)
}

/// One succession.
pub async fn find_succession(conn: &impl Conn, id: Uuid) -> Result<Option<succession::Model>, Error> {
    succession::Model::find(conn, id).await.map_err(translate)
}

/// What a list of successions is narrowed to.
#[derive(Clone, Copy, Debug, Default)]
pub struct SuccessionFilter {
    /// With this unit among the predecessors or the successors.
    pub unit: Option<Uuid>,
    /// In this state.
    pub state: Option<SuccessionState>,
    /// With an event at this position or later.
    pub changed_since: Option<i64>,
}

/// One page of successions.
pub async fn succession_page(
    conn: &impl Conn,
    filter: &SuccessionFilter,
    slice: &Slice,
) -> Result<Found<succession::Model>, Error> {
    List::<succession::Entity>::all()
        .given(filter.unit.map(names_unit))
        .given(filter.state.map(|state| match state {
            SuccessionState::Standing => succession::Column::AnnulledOn.is_null(),
            SuccessionState::Annulled => succession::Column::AnnulledOn.is_not_null(),
        }))
        .changed_since(filter.changed_since)
        .page(conn, succession::Column::Id, slice)
        .await
}

/// Predecessors and successors are JSON lists of ids. An id in quotes is found in their text and nowhere else in it, on
/// both engines alike.
fn names_unit(unit: Uuid) -> SimpleExpr {
    let names = |column: succession::Column| column.into_expr().cast_as("text").like(format!("%\"{unit}\"%"));
    names(succession::Column::Predecessors).or(names(succession::Column::Successors))
}

/// Every succession, by id.
pub async fn successions(conn: &impl Conn) -> Result<Vec<succession::Model>, Error> {
    db::all(conn, succession::Entity::find().order_by_asc(succession::Column::Id)).await.map_err(translate)
}

/// Acts that were not annulled.
pub async fn standing(conn: &impl Conn) -> Result<Acts, Error> {
    let standing = successions(conn).await?.into_iter().filter(|row| row.annulled_on.is_none());
    standing.map(|row| Ok((row.id, row.draft()?))).collect()
}

/// Who follows whom, by acts that were not annulled.
pub async fn edges(conn: &impl Conn) -> Result<Vec<Edge>, Error> {
    Ok(standing(conn).await?.values().flat_map(SuccessionDraft::edges).collect())
}

/// Units are changed one after another: the derived tables depend on all of them.
pub async fn lock_room(tx: &WriteTx<'_>) -> Result<(), Error> {
    tx.lock("units").await
}

/// Writes a new unit. Call [`derive`] once afterwards.
pub async fn register(tx: &WriteTx<'_>, id: Uuid, draft: &UnitDraft) -> Result<unit::Model, Error> {
    tx.insert(unit::Model::from_draft(id, draft)?, Event::new("unit.registered")).await
}

/// Replaces what is said of a unit; a change without a reason leaves the last one. Call [`derive`] once afterwards.
pub async fn amend(
    tx: &WriteTx<'_>,
    old: &unit::Model,
    draft: &UnitDraft,
    event: Event<'_>,
) -> Result<unit::Model, Error> {
    let change_reason = event.reason.map(str::to_owned).or_else(|| old.change_reason.clone());
    let new = unit::Model { change_reason, ..unit::Model::from_draft(old.id, draft)? };
    tx.update(old, new, event).await
}

/// Writes a new succession. Call [`derive`] once afterwards.
pub async fn record_succession(
    tx: &WriteTx<'_>,
    id: Uuid,
    draft: &SuccessionDraft,
    ends: &[End],
) -> Result<succession::Model, Error> {
    tx.insert(succession::Model::from_draft(id, draft, ends)?, Event::new("succession.recorded")).await
}

/// The row, to be changed in this transaction.
pub async fn locked_succession(tx: &WriteTx<'_>, id: Uuid) -> Result<succession::Model, Error> {
    succession::Model::find_locked(tx.conn(), id).await.map_err(translate)?.ok_or_else(|| Code::NotFound.into())
}

/// Marks a succession as one that never took effect. Call [`derive`] once afterwards.
pub async fn annul(tx: &WriteTx<'_>, old: &succession::Model, reason: &str) -> Result<succession::Model, Error> {
    let annulled_on = Some(civil_date(tx.at()));
    let new = succession::Model { annulled_on, change_reason: Some(reason.to_owned()), ..old.clone() };
    tx.update(old, new, Event::because("succession.annulled", reason)).await
}

/// Every unit's life and every succession.
pub async fn lineage(conn: &impl Conn) -> Result<Lineage, Error> {
    let mut lineage = Lineage::default();
    for row in all(conn).await? {
        let draft = row.draft()?;
        let life = Life { kinds: draft.kinds, parents: draft.parents, from: draft.exists_from, to: draft.exists_to };
        lineage.lives.insert(row.id, life);
    }
    lineage.edges = edges(conn).await?;
    Ok(lineage)
}
