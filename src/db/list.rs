//! Lists: one keyset page of a record's table, oldest first.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::constraint::translate;
use crate::error::Error;
use crate::http::page::{Found, Place, Slice};

/// Runs `select` for one slice, ordered by `id`.
pub async fn page<E: EntityTrait>(
    conn: &impl ConnectionTrait,
    select: Select<E>,
    id: impl ColumnTrait,
    slice: Slice,
) -> Result<Found<E::Model>, Error> {
    let select = match slice.place {
        Place::Start => select.order_by_asc(id),
        Place::After(after) => select.filter(id.gt(after)).order_by_asc(id),
        Place::Before(before) => select.filter(id.lt(before)).order_by_desc(id),
    };
    let mut items = select.limit(slice.limit + 1).all(conn).await.map_err(translate)?;
    let limit = usize::try_from(slice.limit).map_err(Error::internal)?;
    let more = items.len() > limit;
    items.truncate(limit);
    if matches!(slice.place, Place::Before(_)) {
        items.reverse();
    }
    Ok(Found { items, more })
}

/// Records of `table` with an event at `position` or later. A position, unlike a time, misses
/// nothing: an event that commits late gets a late position.
pub fn changed_since(table: &str, position: i64) -> SimpleExpr {
    let column = |table: &str, name: &str| Expr::col((Alias::new(table), Alias::new(name)));
    let mut later = Query::select();
    later
        .expr(Expr::val(1))
        .from_as(Alias::new("audit_event"), Alias::new("e"))
        .and_where(column("e", "stream_id").eq(column(table, "id")))
        .and_where(column("e", "seq").gte(position));
    Expr::exists(later)
}
