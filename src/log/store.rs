//! Sealed events in SQL, by position.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Order, Statement};
use uuid::Uuid;

use crate::auth::Scope;
use crate::db::constraint::translate;
use crate::error::Error;

/// What a reader of the log asks for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Events of this record.
    pub record: Option<Uuid>,
    /// Events of this type; `figure.*` is every type of the record.
    pub kind: Option<String>,
    /// Events by this account.
    pub actor: Option<Uuid>,
    /// Events that concern this unit.
    pub unit: Option<Uuid>,
    /// Events of this campaign.
    pub campaign: Option<Uuid>,
    /// Events that happened at this time or later, µs.
    pub from: Option<i64>,
    /// Events that happened before this time, µs.
    pub until: Option<i64>,
}

/// Where reading starts, in which direction, and how far.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Positions greater than this.
    pub after: Option<i64>,
    /// Positions smaller than this.
    pub before: Option<i64>,
    /// Newest first.
    pub descending: bool,
    /// At most so many.
    pub limit: u64,
}

/// One sealed event.
#[derive(Clone, Debug, FromQueryResult)]
pub struct EventRow {
    /// Position.
    pub seq: i64,
    /// The canonical bytes.
    pub leaf: String,
}

/// Streams whose events every grant holder may read: they are not reports about anyone.
const OPEN_STREAMS: [&str; 3] = ["unit", "succession", "campaign"];

fn column(name: &str) -> Expr {
    Expr::col((Alias::new("audit_event"), Alias::new(name)))
}

/// Sealed events, in the order asked for.
pub async fn read(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    scope: &Scope,
    range: Range,
) -> Result<Vec<EventRow>, Error> {
    let mut select = Query::select();
    select.columns([Alias::new("seq"), Alias::new("leaf")]).from(Alias::new("audit_event")).limit(range.limit);
    for condition in conditions(filter, scope, range) {
        select.and_where(condition);
    }
    select.order_by(Alias::new("seq"), if range.descending { Order::Desc } else { Order::Asc });
    EventRow::find_by_statement(build(conn, &select)).all(conn).await.map_err(translate)
}

fn conditions(filter: &Filter, scope: &Scope, range: Range) -> Vec<SimpleExpr> {
    let mut conditions = Vec::new();
    let ids = [
        ("stream_id", filter.record),
        ("actor_id", filter.actor),
        ("unit_id", filter.unit),
        ("scope_id", filter.campaign),
    ];
    for (name, id) in ids {
        conditions.extend(id.map(|id| column(name).eq(id)));
    }
    if let Some(kind) = &filter.kind {
        conditions.push(match kind.strip_suffix(".*") {
            // `.` to `/`: every type that begins with the record's name and a dot.
            Some(record) => {
                column("event_type").gte(format!("{record}.")).and(column("event_type").lt(format!("{record}/")))
            }
            None => column("event_type").eq(kind.as_str()),
        });
    }
    conditions.extend(filter.from.map(|at| column("at").gte(at)));
    conditions.extend(filter.until.map(|at| column("at").lt(at)));
    conditions.extend(range.after.map(|seq| column("seq").gt(seq)));
    conditions.extend(range.before.map(|seq| column("seq").lt(seq)));
    if *scope != Scope::Everything {
        let open = column("stream_type").is_in(OPEN_STREAMS);
        conditions.push(scope.condition("audit_event", "unit_id", "day").or(open));
        // Who holds which role is for those who may read grants; they see everything.
        conditions.push(column("stream_type").ne("role_grant"));
    }
    conditions
}

fn build(conn: &impl ConnectionTrait, select: &SelectStatement) -> Statement {
    conn.get_database_backend().build(select)
}

/// An expression for a leaf's bytes, which on SQLite need not be text.
pub fn leaf_bytes(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite { "CAST(leaf AS BLOB)" } else { "convert_to(leaf, 'UTF8')" }
}

/// A leaf as it stands there, whoever wrote it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Leaf {
    /// Its position; for one that is not sealed yet, its place in the inbox.
    pub seq: i64,
    /// Its bytes.
    pub leaf: Vec<u8>,
}

/// Sealed leaves from `after` (exclusive), whatever they are.
pub async fn leaves(conn: &impl ConnectionTrait, after: i64, limit: u64) -> Result<Vec<Leaf>, Error> {
    let backend = conn.get_database_backend();
    let leaf = leaf_bytes(backend);
    let sql = format!("SELECT seq, {leaf} AS leaf FROM audit_event WHERE seq > {after} ORDER BY seq LIMIT {limit}");
    Leaf::find_by_statement(Statement::from_string(backend, sql)).all(conn).await.map_err(translate)
}

/// Leaves that wait in the inbox, in the order in which they will be sealed.
pub async fn unsealed(conn: &impl ConnectionTrait) -> Result<Vec<Leaf>, Error> {
    let backend = conn.get_database_backend();
    let leaf = leaf_bytes(backend);
    let sql = format!("SELECT inbox_id AS seq, {leaf} AS leaf FROM audit_inbox ORDER BY inbox_id");
    Leaf::find_by_statement(Statement::from_string(backend, sql)).all(conn).await.map_err(translate)
}

/// An event that never entered the log.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Quarantined {
    /// Its id.
    pub event_id: Uuid,
    /// When the sealer set it aside, µs.
    pub found_at: i64,
}

/// Every event that was set aside.
pub async fn quarantined(conn: &impl ConnectionTrait) -> Result<Vec<Quarantined>, Error> {
    let sql = "SELECT event_id, found_at FROM audit_quarantine ORDER BY found_at, event_id";
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    Quarantined::find_by_statement(statement).all(conn).await.map_err(translate)
}

/// A disclosed personal value.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DisclosureRow {
    /// The event.
    pub event_id: Uuid,
    /// The field.
    pub path: String,
    /// The salt.
    pub salt: String,
    /// The value.
    pub value: serde_json::Value,
}

/// Every disclosure that has not been erased.
pub async fn disclosures(conn: &impl ConnectionTrait) -> Result<Vec<DisclosureRow>, Error> {
    let sql = "SELECT event_id, path, salt, value FROM audit_disclosure ORDER BY event_id, path";
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    DisclosureRow::find_by_statement(statement).all(conn).await.map_err(translate)
}
