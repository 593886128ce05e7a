//! Lists: one keyset page of a record's table, oldest first or in the order of names, narrowed by what the caller asks.

use chrono::NaiveDate;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, JoinType, Order, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Select, Value as SqlValue,
};

use super::conn::{self, Conn};
use super::constraint::translate;
use super::record::Record;
use super::{search, unlogged};
use crate::error::{Code, Error};
use crate::http::page::{Found, Key, Place, Slice};

/// A list of records that is being narrowed; what is `None` narrows nothing.
pub struct List<E: EntityTrait>(Select<E>);

impl<E: EntityTrait<Model: Record>> List<E> {
    /// The records for which `visible` holds.
    pub fn of(visible: SimpleExpr) -> Self {
        Self(E::find().filter(visible))
    }

    /// Every record: for tables whose permission reaches everywhere.
    pub fn all() -> Self {
        Self(E::find())
    }

    /// With this value in `column`.
    #[must_use]
    pub fn equal(self, column: impl ColumnTrait, value: Option<impl Into<SqlValue>>) -> Self {
        Self(self.0.apply_if(value, |select, value| select.filter(column.eq(value))))
    }

    /// Dated up to this day.
    #[must_use]
    pub fn until(self, column: impl ColumnTrait, day: Option<NaiveDate>) -> Self {
        Self(self.0.apply_if(day, |select, day| select.filter(column.lte(day))))
    }

    /// Dated in this year.
    #[must_use]
    pub fn in_year(self, column: impl ColumnTrait, year: Option<i32>) -> Self {
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day);
        let days = year.and_then(|year| Some((day(year, 1, 1)?, day(year, 12, 31)?)));
        Self(self.0.apply_if(days, |select, (from, to)| select.filter(column.between(from, to))))
    }

    /// For which `condition` holds.
    #[must_use]
    pub fn given(self, condition: Option<SimpleExpr>) -> Self {
        Self(self.0.apply_if(condition, |select, condition| select.filter(condition)))
    }

    /// With an event at `position` or later. A position, unlike a time, misses nothing: an event that commits late
    /// gets a late position.
    #[must_use]
    pub fn changed_since(self, position: Option<i64>) -> Self {
        let table = E::default().table_name().to_owned();
        Self(self.0.apply_if(position, |select, position| select.filter(changed_since(&table, position))))
    }

    /// Runs it for one slice: ordered by `id`, or by name if words are looked for.
    pub async fn page(self, conn: &impl Conn, id: impl ColumnTrait, slice: &Slice) -> Result<Found<E::Model>, Error> {
        if !slice.words.is_empty() {
            return self.named(conn, id, slice).await;
        }
        let select = match &slice.place {
            Place::Start => self.0.order_by_asc(id),
            Place::After(after) => self.0.filter(id.gt(after.id)).order_by_asc(id),
            Place::Before(before) => self.0.filter(id.lt(before.id)).order_by_desc(id),
        };
        let rows = conn::all(conn, select.limit(slice.limit + 1)).await.map_err(translate)?;
        let (items, more) = cut(rows, slice)?;
        Ok(Found { items, more, ends: None })
    }

    /// The page of those whose names have the words, ordered by name.
    async fn named(self, conn: &impl Conn, id: impl ColumnTrait, slice: &Slice) -> Result<Found<E::Model>, Error> {
        let stream = E::default().table_name().to_owned();
        let filling = unlogged::filling(conn).await?;
        let plan = search::Plan::of(conn, &stream, &slice.words).await?;
        let place = || [search::entry_column("sort_key"), search::entry_column("record_id")];
        let mut select = self.0;
        let key = |key: &Key| Expr::tuple([Expr::val(key.name.clone()), Expr::val(key.id)]);
        let query = QueryTrait::query(&mut select);
        query.expr_as(search::entry_column("sort_key"), Alias::new(SORT_KEY)).join_as(
            JoinType::InnerJoin,
            Alias::new("search_entry"),
            Alias::new(search::ENTRY),
            search::entry_column("record_id").eq(id.into_expr()),
        );
        for condition in plan.conditions() {
            query.and_where(condition);
        }
        match &slice.place {
            Place::Start => {}
            Place::After(after) => drop(query.and_where(Expr::tuple(place()).gt(key(after)))),
            Place::Before(before) => drop(query.and_where(Expr::tuple(place()).lt(key(before)))),
        }
        let order = if matches!(slice.place, Place::Before(_)) { Order::Desc } else { Order::Asc };
        for column in place() {
            query.order_by_expr(column, order.clone());
        }
        let rows = select.limit(slice.limit + 1).into_model::<Named<E::Model>>().all(conn).await.map_err(translate)?;
        if unlogged::filling(conn).await? != filling {
            return Err(Code::Busy.into());
        }
        let (rows, more) = cut(rows, slice)?;
        let end = |row: Option<&Named<E::Model>>| row.map(|row| row.sort_key.clone()).unwrap_or_default();
        let ends = Some([end(rows.first()), end(rows.last())]);
        let mut items: Vec<E::Model> = rows.into_iter().map(|row| row.record).collect();
        conn::open_rows(conn, &mut items).await.map_err(translate)?;
        Ok(Found { items, more, ends })
    }
}

/// The column in which a page by name has each record's sort key.
const SORT_KEY: &str = "search_sort_key";

/// A record with the sort key of its name.
struct Named<M> {
    record: M,
    sort_key: Vec<u8>,
}

impl<M: FromQueryResult> FromQueryResult for Named<M> {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Ok(Self { record: M::from_query_result(row, prefix)?, sort_key: row.try_get(prefix, SORT_KEY)? })
    }
}

/// One row more than the page has was read; the page is in ascending order.
fn cut<T>(mut rows: Vec<T>, slice: &Slice) -> Result<(Vec<T>, bool), Error> {
    let limit = usize::try_from(slice.limit).map_err(Error::internal)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    if matches!(slice.place, Place::Before(_)) {
        rows.reverse();
    }
    Ok((rows, more))
}

fn changed_since(table: &str, position: i64) -> SimpleExpr {
    let column = |table: &str, name: &str| Expr::col((Alias::new(table), Alias::new(name)));
    let mut later = Query::select();
    later
        .expr(Expr::val(1))
        .from_as(Alias::new("audit_event"), Alias::new("e"))
        .and_where(column("e", "stream_id").eq(column(table, "id")))
        .and_where(column("e", "seq").gte(position));
    Expr::exists(later)
}
