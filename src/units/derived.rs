//! The two tables derived from units: what each was called and was at what time, and which unit covers which. Both are
//! computed of all units whenever one changes, since a parent or a successor moves many; written is only what differs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use sea_orm::{FromQueryResult, Statement, Value as SqlValue};
use uuid::Uuid;

use super::closure::{Cover, closure};
use super::store::{all, edges};
use super::{Dated, UnitDraft};
use crate::db::Conn;
use crate::db::constraint::{placeholders, translate};
use crate::error::Error;
use crate::text::fold;

/// Statements take so many rows or ids.
const CHUNK: usize = 500;

/// One row of `unit_attribute`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromQueryResult)]
struct Attribute {
    unit_id: Uuid,
    attribute: String,
    value: String,
    folded: String,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
}

/// One row of `unit_closure`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromQueryResult)]
struct Covered {
    ancestor_id: Uuid,
    descendant_id: Uuid,
    valid_from: NaiveDate,
    valid_to: NaiveDate,
    effective_from: NaiveDate,
}

/// A row of a derived table. All rows of one key are written together.
trait Derived: FromQueryResult + Ord {
    const TABLE: &'static str;
    const COLUMNS: &'static [&'static str];
    /// The column of the key.
    const KEY: &'static str;

    fn key(&self) -> Uuid;
    fn values(self) -> Vec<SqlValue>;
}

impl Derived for Attribute {
    const TABLE: &'static str = "unit_attribute";
    const COLUMNS: &'static [&'static str] = &["unit_id", "attribute", "value", "folded", "valid_from", "valid_to"];
    const KEY: &'static str = "unit_id";

    fn key(&self) -> Uuid {
        self.unit_id
    }

    fn values(self) -> Vec<SqlValue> {
        let Self { unit_id, attribute, value, folded, valid_from, valid_to } = self;
        vec![unit_id.into(), attribute.into(), value.into(), folded.into(), valid_from.into(), valid_to.into()]
    }
}

impl Derived for Covered {
    const TABLE: &'static str = "unit_closure";
    const COLUMNS: &'static [&'static str] =
        &["ancestor_id", "descendant_id", "valid_from", "valid_to", "effective_from"];
    const KEY: &'static str = "descendant_id";

    fn key(&self) -> Uuid {
        self.descendant_id
    }

    fn values(self) -> Vec<SqlValue> {
        let Self { ancestor_id, descendant_id, valid_from, valid_to, effective_from } = self;
        vec![ancestor_id.into(), descendant_id.into(), valid_from.into(), valid_to.into(), effective_from.into()]
    }
}

impl From<Cover> for Covered {
    fn from(cover: Cover) -> Self {
        let Cover { ancestor, descendant, from, to, effective_from } = cover;
        Self { ancestor_id: ancestor, descendant_id: descendant, valid_from: from, valid_to: to, effective_from }
    }
}

/// Computes both derived tables anew.
pub async fn derive(conn: &impl Conn) -> Result<(), Error> {
    let units = all(conn).await?;
    let mut parents = BTreeMap::new();
    let mut attributes = BTreeSet::new();
    for unit in &units {
        let draft = unit.draft()?;
        attributes.extend(attributes_of(unit.id, &draft));
        parents.insert(unit.id, draft.parents);
    }
    let covers = closure(&parents, &edges(conn).await?).map_err(|cycle| {
        let (vi, en) = ("đơn vị nằm dưới chính nó", "the unit would stand below itself");
        Error::invalid("/parents", vi, en).member("unit", cycle.0.to_string())
    })?;
    replace(conn, attributes).await?;
    replace(conn, covers.into_iter().map(Covered::from).collect()).await
}

fn attributes_of(id: Uuid, draft: &UnitDraft) -> impl Iterator<Item = Attribute> {
    fn row<T>(id: Uuid, attribute: &str, dated: &Dated<T>, value: &str) -> Attribute {
        let (attribute, value, folded) = (attribute.to_owned(), value.to_owned(), fold(value));
        Attribute { unit_id: id, attribute, value, folded, valid_from: dated.from, valid_to: dated.to }
    }
    let codes = draft.codes.iter().map(move |dated| row(id, "code", dated, &dated.value));
    let names = draft.names.iter().map(move |dated| row(id, "name", dated, &dated.value));
    let kinds = draft.kinds.iter().map(move |dated| row(id, "kind", dated, dated.value.as_str()));
    let classes = draft.area_classes.iter().map(move |dated| row(id, "area_class", dated, dated.value.as_str()));
    codes.chain(names).chain(kinds).chain(classes)
}

/// Makes a table have these rows. Where the rows of a key differ, they are written anew.
async fn replace<R: Derived>(conn: &impl Conn, new: BTreeSet<R>) -> Result<(), Error> {
    let old = read::<R>(conn).await?;
    let moved: BTreeSet<Uuid> = old.symmetric_difference(&new).map(R::key).collect();
    let backend = conn.get_database_backend();
    for keys in moved.iter().copied().collect::<Vec<_>>().chunks(CHUNK) {
        let places = placeholders(backend, 1, keys.len());
        let sql = format!("DELETE FROM {} WHERE {} IN ({places})", R::TABLE, R::KEY);
        let keys = keys.iter().map(|key| SqlValue::from(*key));
        conn.execute_raw(Statement::from_sql_and_values(backend, sql, keys)).await.map_err(translate)?;
    }
    let rows = new.into_iter().filter(|row| moved.contains(&row.key())).map(R::values).collect::<Vec<_>>();
    for rows in rows.chunks(CHUNK) {
        let columns = R::COLUMNS.len();
        let groups: Vec<String> =
            (0..rows.len()).map(|n| format!("({})", placeholders(backend, n * columns + 1, columns))).collect();
        let sql = format!("INSERT INTO {} ({}) VALUES {}", R::TABLE, R::COLUMNS.join(", "), groups.join(", "));
        let values: Vec<SqlValue> = rows.iter().flatten().cloned().collect();
        conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map_err(translate)?;
    }
    Ok(())
}

async fn read<R: Derived>(conn: &impl Conn) -> Result<BTreeSet<R>, Error> {
    let sql = format!("SELECT {} FROM {}", R::COLUMNS.join(", "), R::TABLE);
    let rows = R::find_by_statement(Statement::from_string(conn.get_database_backend(), sql)).all(conn).await;
    Ok(rows.map_err(translate)?.into_iter().collect())
}

/// Every row of the derived tables, as a line of text.
pub async fn derived(conn: &impl Conn) -> Result<BTreeSet<String>, Error> {
    fn lines<R: Derived>(rows: BTreeSet<R>) -> impl Iterator<Item = String> {
        rows.into_iter().map(|row| {
            let values: Vec<String> = row.values().iter().map(ToString::to_string).collect();
            format!("{} {}", R::TABLE, values.join(" "))
        })
    }
    Ok(lines(read::<Attribute>(conn).await?).chain(lines(read::<Covered>(conn).await?)).collect())
}
