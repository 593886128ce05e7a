//! Which records a caller may see and touch: in SQL for lists, as a [`Place`] for one record.
//!
//! `unit_closure` says which units cover which, for records of which days, and since when. It
//! includes succession: a successor covers what its predecessors covered.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value as SqlValue};
use uuid::Uuid;

use crate::db::constraint::{placeholders, translate};
use crate::error::Error;
use crate::units::UnitKind;

/// The records that a list may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every record.
    Everything,
    /// Records of units that one of these covers at the record's day.
    Units {
        /// The units of the caller's grants.
        units: Vec<Uuid>,
        /// The caller's civil date: rows that take effect later do not count yet.
        today: NaiveDate,
    },
}

impl Scope {
    /// The condition for a table with `unit_id` and a civil-date column `day`.
    pub fn condition(&self, table: &str, unit: &str, day: &str) -> SimpleExpr {
        let column = |name: &str| Expr::col((Alias::new(table), Alias::new(name)));
        self.covers(column(unit), column(day))
    }

    /// The condition that `unit` is covered on `day`.
    pub fn covers(&self, unit: impl Into<SimpleExpr>, day: impl Into<SimpleExpr>) -> SimpleExpr {
        let Scope::Units { units, today } = self else { return Expr::val(1).eq(1) };
        let column = |name: &str| Expr::col((Alias::new("c"), Alias::new(name)));
        let day = day.into();
        let mut covered = Query::select();
        covered
            .expr(Expr::val(1))
            .from_as(Alias::new("unit_closure"), Alias::new("c"))
            .and_where(column("descendant_id").eq(unit))
            .and_where(column("ancestor_id").is_in(units.iter().copied()))
            .and_where(column("valid_from").lte(day.clone()))
            .and_where(column("valid_to").gte(day))
            .and_where(column("effective_from").lte(*today));
        Expr::exists(covered)
    }
}

/// Where a record stands: its unit's kind and every unit that covers it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The record's unit.
    pub unit: Uuid,
    /// The unit's kind at the record's day.
    pub kind: Option<UnitKind>,
    /// The units whose grant holders reach the record; the unit itself included.
    pub covered_by: HashSet<Uuid>,
}

#[derive(FromQueryResult)]
struct Covering {
    ancestor_id: Uuid,
    descendant_id: Uuid,
    valid_from: NaiveDate,
    valid_to: NaiveDate,
}

#[derive(FromQueryResult)]
struct KindRow {
    unit_id: Uuid,
    value: String,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
}

/// The place of one record.
pub async fn place(conn: &impl ConnectionTrait, unit: Uuid, day: NaiveDate, today: NaiveDate) -> Result<Place, Error> {
    let mut places = places(conn, &[(unit, day)], today).await?;
    Ok(places.remove(0))
}

/// The places of many records, in their order, with two queries.
pub async fn places(
    conn: &impl ConnectionTrait,
    records: &[(Uuid, NaiveDate)],
    today: NaiveDate,
) -> Result<Vec<Place>, Error> {
    let units: HashSet<Uuid> = records.iter().map(|(unit, _)| *unit).collect();
    let units: Vec<Uuid> = units.into_iter().collect();
    let mut covering: HashMap<Uuid, Vec<Covering>> = HashMap::new();
    let mut kinds: HashMap<Uuid, Vec<KindRow>> = HashMap::new();
    for chunk in units.chunks(500) {
        for row in read_covering(conn, chunk, today).await? {
            covering.entry(row.descendant_id).or_default().push(row);
        }
        for row in read_kinds(conn, chunk).await? {
            kinds.entry(row.unit_id).or_default().push(row);
        }
    }
    let place = |(unit, day): &(Uuid, NaiveDate)| {
        let rows = covering.get(unit).map(Vec::as_slice).unwrap_or_default();
        let valid = rows.iter().filter(|row| row.valid_from <= *day && *day <= row.valid_to);
        let kinds = kinds.get(unit).map(Vec::as_slice).unwrap_or_default();
        Place { unit: *unit, kind: kind_at(kinds, *day), covered_by: valid.map(|row| row.ancestor_id).collect() }
    };
    Ok(records.iter().map(place).collect())
}

/// The kind on that day, else the last one before, else the first: a paper may be dated outside
/// the life of its unit.
fn kind_at(rows: &[KindRow], day: NaiveDate) -> Option<UnitKind> {
    let holds = |row: &&KindRow| row.valid_from <= day && row.valid_to.is_none_or(|to| day <= to);
    let row = rows.iter().find(holds).or_else(|| rows.iter().rfind(|row| row.valid_from <= day)).or(rows.first());
    row.and_then(|row| UnitKind::parse(&row.value))
}

async fn read_covering(conn: &impl ConnectionTrait, units: &[Uuid], today: NaiveDate) -> Result<Vec<Covering>, Error> {
    let backend = conn.get_database_backend();
    let sql = format!(
        "SELECT ancestor_id, descendant_id, valid_from, valid_to FROM unit_closure \
         WHERE descendant_id IN ({}) AND effective_from <= {}",
        placeholders(backend, 1, units.len()),
        placeholders(backend, units.len() + 1, 1)
    );
    let values = units.iter().map(|unit| SqlValue::from(*unit)).chain([today.into()]);
    Covering::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).all(conn).await.map_err(translate)
}

async fn read_kinds(conn: &impl ConnectionTrait, units: &[Uuid]) -> Result<Vec<KindRow>, Error> {
    let backend = conn.get_database_backend();
    let sql = format!(
        "SELECT unit_id, value, valid_from, valid_to FROM unit_attribute \
         WHERE attribute = 'kind' AND unit_id IN ({}) ORDER BY valid_from",
        placeholders(backend, 1, units.len())
    );
    let values = units.iter().map(|unit| SqlValue::from(*unit));
    KindRow::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).all(conn).await.map_err(translate)
}
