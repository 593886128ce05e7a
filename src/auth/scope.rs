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

/// A unit that covers another, or a kind of a unit, for records of these days.
#[derive(FromQueryResult)]
struct Fact {
    unit_id: Uuid,
    ancestor_id: Option<Uuid>,
    kind: Option<String>,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
}

impl Fact {
    fn holds(&self, day: NaiveDate) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|to| day <= to)
    }
}

/// The place of one record.
pub async fn place(conn: &impl ConnectionTrait, unit: Uuid, day: NaiveDate, today: NaiveDate) -> Result<Place, Error> {
    let mut places = places(conn, &[(unit, day)], today).await?;
    Ok(places.remove(0))
}

/// The places of many records, in their order, with one query.
pub async fn places(
    conn: &impl ConnectionTrait,
    records: &[(Uuid, NaiveDate)],
    today: NaiveDate,
) -> Result<Vec<Place>, Error> {
    let units: HashSet<Uuid> = records.iter().map(|(unit, _)| *unit).collect();
    let units: Vec<Uuid> = units.into_iter().collect();
    let mut facts: HashMap<Uuid, Vec<Fact>> = HashMap::new();
    for chunk in units.chunks(500) {
        for fact in read_facts(conn, chunk, today).await? {
            facts.entry(fact.unit_id).or_default().push(fact);
        }
    }
    let place = |(unit, day): &(Uuid, NaiveDate)| {
        let facts = facts.get(unit).map(Vec::as_slice).unwrap_or_default();
        let covering = facts.iter().filter(|fact| fact.holds(*day)).filter_map(|fact| fact.ancestor_id);
        Place { unit: *unit, kind: kind_at(facts, *day), covered_by: covering.collect() }
    };
    Ok(records.iter().map(place).collect())
}

/// The kind on that day, else the last one before, else the first: a paper may be dated outside
/// the life of its unit.
fn kind_at(facts: &[Fact], day: NaiveDate) -> Option<UnitKind> {
    let kinds = || facts.iter().filter(|fact| fact.kind.is_some());
    let before = || kinds().filter(|fact| fact.valid_from <= day).max_by_key(|fact| fact.valid_from);
    let first = || kinds().min_by_key(|fact| fact.valid_from);
    let fact = kinds().find(|fact| fact.holds(day)).or_else(before).or_else(first)?;
    UnitKind::parse(fact.kind.as_deref()?)
}

async fn read_facts(conn: &impl ConnectionTrait, units: &[Uuid], today: NaiveDate) -> Result<Vec<Fact>, Error> {
    let backend = conn.get_database_backend();
    let (covered, day, kinds) = (
        placeholders(backend, 1, units.len()),
        placeholders(backend, units.len() + 1, 1),
        placeholders(backend, units.len() + 2, units.len()),
    );
    let sql = format!(
        "SELECT descendant_id AS unit_id, ancestor_id, NULL AS kind, valid_from, valid_to FROM unit_closure \
         WHERE descendant_id IN ({covered}) AND effective_from <= {day} \
         UNION ALL SELECT unit_id, NULL, value, valid_from, valid_to FROM unit_attribute \
         WHERE attribute = 'kind' AND unit_id IN ({kinds})"
    );
    let ids = || units.iter().map(|unit| SqlValue::from(*unit));
    let values = ids().chain([today.into()]).chain(ids());
    Fact::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).all(conn).await.map_err(translate)
}
