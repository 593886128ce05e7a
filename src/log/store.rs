//! Sealed events in SQL, by position.

use sea_orm::sea_query::{Alias, CaseStatement, Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Order, Statement};
use serde_json::json;
use uuid::Uuid;

use crate::auth::Scope;
use crate::db::conn::{self, Conn};
use crate::db::constraint::{placeholders, translate};
use crate::db::event::Disclosure;
use crate::db::sealed::{Place, SubjectKey};
use crate::error::Error;

/// What a reader of the log asks for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The event with this id.
    pub event: Option<Uuid>,
    /// Events of this record.
    pub record: Option<Uuid>,
    /// Events of this type; `figure.*` is every type of the record.
    pub kind: Option<String>,
    /// Events of the request with this trace id.
    pub request: Option<String>,
    /// Events by this account.
    pub actor: Option<Uuid>,
    /// Events that concern this unit.
    pub unit: Option<Uuid>,
    /// Events of this campaign.
    pub campaign: Option<Uuid>,
    /// Events that changed this field. Has no index: it goes with a record, a type or a campaign.
    pub field: Option<String>,
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
    /// When it got its position, µs.
    pub sealed_at: i64,
    /// The canonical bytes.
    pub leaf: String,
}

/// Streams whose events every grant holder may read: they are not reports about anyone.
const OPEN_STREAMS: [&str; 4] = ["unit", "succession", "campaign", "log_key"];

/// What a read found, and whether it looked everywhere.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The events, in the order asked for.
    pub rows: Vec<EventRow>,
    /// The last position looked at, where the read stopped for having looked at enough; further on there may be more.
    pub stopped: Option<i64>,
}

/// Entries of an index that one read looks at before it answers with what it has: a page never takes long, however few
/// events are what was asked for.
pub const BUDGET: u64 = 20_000;

/// Entries that are looked at first; four times as many each time nothing comes of it.
const FIRST: u64 = 250;

/// One entry that was looked at; its leaf only if it is what was asked for.
#[derive(FromQueryResult)]
struct Looked {
    seq: i64,
    sealed_at: i64,
    leaf: Option<String>,
}

fn column(name: &str) -> Expr {
    Expr::col((Alias::new("audit_event"), Alias::new(name)))
}

/// Sealed events, in the order asked for, at most [`BUDGET`] entries far.
///
/// One filter picks the index that is walked, the narrowest; each has its own in the order of positions. The others are
/// asked of every entry on the way; where times can be is for [`super::spans`] to say before.
pub async fn read(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    scope: &Scope,
    mut range: Range,
) -> Result<Found, Error> {
    let (walked, asked) = conditions(conn.get_database_backend(), filter, scope);
    let (mut rows, mut looked) = (Vec::new(), 0);
    let wanted = usize::try_from(range.limit).map_err(Error::internal)?;
    let mut step = if asked.is_none() { range.limit } else { Ord::max(range.limit, FIRST) };
    loop {
        let step_now = if asked.is_none() { step } else { Ord::min(step, BUDGET - looked) };
        let entries = look(conn, walked.as_ref(), asked.as_ref(), Range { limit: step_now, ..range }).await?;
        let (last, number) = (entries.last().map(|entry| entry.seq), entries.len());
        let fitting = entries
            .into_iter()
            .filter_map(|Looked { seq, sealed_at, leaf }| Some(EventRow { seq, sealed_at, leaf: leaf? }));
        rows.extend(fitting.take(wanted - rows.len()));
        looked += u64::try_from(number).map_err(Error::internal)?;
        let Some(last) = last.filter(|_| rows.len() < wanted && u64::try_from(number) == Ok(step_now)) else {
            return Ok(Found { rows, stopped: None });
        };
        if looked >= BUDGET {
            return Ok(Found { rows, stopped: Some(last) });
        }
        if range.descending {
            range.before = Some(last);
        } else {
            range.after = Some(last);
        }
        step *= 4;
    }
}

/// The next entries of the index, whether they are what was asked for or not.
async fn look(
    conn: &impl ConnectionTrait,
    walked: Option<&SimpleExpr>,
    asked: Option<&SimpleExpr>,
    range: Range,
) -> Result<Vec<Looked>, Error> {
    let statement = conn.get_database_backend().build(&walk(walked, asked, range));
    Looked::find_by_statement(statement).all(conn).await.map_err(translate)
}

/// The statement with which a read begins: what its plan is shown with.
pub fn first_look(backend: DbBackend, filter: &Filter, scope: &Scope, range: Range) -> Statement {
    let (walked, asked) = conditions(backend, filter, scope);
    backend.build(&walk(walked.as_ref(), asked.as_ref(), range))
}

fn walk(walked: Option<&SimpleExpr>, asked: Option<&SimpleExpr>, range: Range) -> SelectStatement {
    let mut select = Query::select();
    select.columns([Alias::new("seq"), Alias::new("sealed_at")]).from(Alias::new("audit_event")).limit(range.limit);
    let leaf = match asked {
        Some(asked) => CaseStatement::new().case(asked.clone(), column("leaf")).into(),
        None => column("leaf"),
    };
    select.expr_as(leaf, Alias::new("leaf"));
    let bounds = [range.after.map(|seq| column("seq").gt(seq)), range.before.map(|seq| column("seq").lt(seq))];
    for condition in walked.cloned().into_iter().chain(bounds.into_iter().flatten()) {
        select.and_where(condition);
    }
    select.order_by(Alias::new("seq"), if range.descending { Order::Desc } else { Order::Asc });
    select
}

/// The condition whose index is walked, without one the log itself, and what is asked of each entry.
fn conditions(backend: DbBackend, filter: &Filter, scope: &Scope) -> (Option<SimpleExpr>, Option<SimpleExpr>) {
    let id = |name: &str, id: Option<Uuid>| id.map(|id| column(name).eq(id));
    let narrowest_first = [
        id("event_id", filter.event),
        id("stream_id", filter.record),
        filter.request.as_ref().map(|trace| column("corr_id").eq(trace.as_str())),
        id("actor_id", filter.actor),
        id("unit_id", filter.unit),
        filter.kind.as_deref().map(|kind| of_type(kind, backend)),
        id("scope_id", filter.campaign),
    ];
    let mut conditions = narrowest_first.into_iter().flatten();
    let walked = conditions.next();
    let times = [filter.from.map(|at| column("at").gte(at)), filter.until.map(|at| column("at").lt(at))];
    let field = filter.field.as_deref().map(|field| changes(field, backend));
    let asked = conditions.chain(times.into_iter().flatten()).chain(visible(scope)).chain(field);
    (walked, asked.reduce(ExprTrait::and))
}

/// Of this type, or of the family `figure.*`.
fn of_type(kind: &str, backend: DbBackend) -> SimpleExpr {
    match kind.strip_suffix(".*") {
        Some(family) => Expr::cust(family_of(backend)).eq(family),
        None => column("event_type").eq(kind),
    }
}

/// Whose leaf has this field among its changes, a personal one as well.
fn changes(field: &str, backend: DbBackend) -> SimpleExpr {
    match backend {
        DbBackend::Postgres => Expr::cust_with_values("leaf::json -> 'changes' -> $1 IS NOT NULL", [field]),
        _ => Expr::cust_with_values("json_type(leaf, '$.changes.' || ?) IS NOT NULL", [field]),
    }
}

/// The expression that the index of families is made of, word for word.
fn family_of(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "split_part(event_type, '.', 1)",
        _ => "substr(event_type, 1, instr(event_type, '.') - 1)",
    }
}

/// The condition that a reader may see an event, if not every event may be seen.
pub fn visible(scope: &Scope) -> Option<SimpleExpr> {
    if *scope == Scope::Everything {
        return None;
    }
    let open = column("stream_type").is_in(OPEN_STREAMS);
    let inside = scope.condition("audit_event", "unit_id", "day").or(open);
    // Who holds which role is for those who may read grants; they see everything.
    Some(inside.and(column("stream_type").ne("role_grant")))
}

/// True if the record has events and each of them may be seen.
pub async fn sees_all_of(conn: &impl ConnectionTrait, record: Uuid, scope: &Scope) -> Result<bool, Error> {
    let there = async |condition: Option<SimpleExpr>| {
        let mut select = Query::select();
        select.column(Alias::new("seq")).from(Alias::new("audit_event")).limit(1);
        select.and_where(column("stream_id").eq(record)).and_where_option(condition);
        let row = conn.query_one_raw(conn.get_database_backend().build(&select)).await;
        row.map(|row| row.is_some()).map_err(translate)
    };
    Ok(there(None).await? && !there(Some(visible(scope).map_or(Expr::val(1).eq(0), ExprTrait::not))).await?)
}

/// An expression for a leaf's bytes, which on SQLite need not be text.
pub fn leaf_bytes(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite { "CAST(leaf AS BLOB)" } else { "convert_to(leaf, 'UTF8')" }
}

/// A leaf as it stands there, whoever wrote it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Leaf {
    /// Its position; for one that is not sealed yet, the one that it would have.
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

/// Sealed leaves of a record from `after` (exclusive).
pub async fn leaves_of(conn: &impl ConnectionTrait, record: Uuid, after: i64, limit: u64) -> Result<Vec<Leaf>, Error> {
    let backend = conn.get_database_backend();
    let (leaf, places) = (leaf_bytes(backend), [1, 2].map(|n| placeholders(backend, n, 1)));
    let sql = format!(
        "SELECT seq, {leaf} AS leaf FROM audit_event WHERE stream_id = {} AND seq > {} ORDER BY seq LIMIT {limit}",
        places[0], places[1]
    );
    let values: [sea_orm::Value; 2] = [record.into(), after.into()];
    Leaf::find_by_statement(Statement::from_sql_and_values(backend, sql, values)).all(conn).await.map_err(translate)
}

/// A sealed event with everything that stands beside its leaf.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Sealed {
    /// Its position.
    pub seq: i64,
    /// Its id.
    pub event_id: Uuid,
    /// The record's type.
    pub stream_type: String,
    /// The record.
    pub stream_id: Uuid,
    /// The record's version.
    pub stream_ver: i64,
    /// What happened.
    pub event_type: String,
    /// Who acted.
    pub actor_id: Option<Uuid>,
    /// The unit concerned.
    pub unit_id: Option<Uuid>,
    /// The campaign concerned.
    pub scope_id: Option<Uuid>,
    /// Trace id of the request.
    pub corr_id: Option<String>,
    /// When, µs.
    pub at: i64,
    /// The leaf's bytes, whatever they are.
    pub leaf: Vec<u8>,
}

/// Sealed events from `after` (exclusive), whatever stands there.
pub async fn sealed(conn: &impl ConnectionTrait, after: i64, limit: u64) -> Result<Vec<Sealed>, Error> {
    let backend = conn.get_database_backend();
    let leaf = leaf_bytes(backend);
    let sql = format!(
        "SELECT seq, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, corr_id, at, \
         {leaf} AS leaf FROM audit_event WHERE seq > {after} ORDER BY seq LIMIT {limit}"
    );
    Sealed::find_by_statement(Statement::from_string(backend, sql)).all(conn).await.map_err(translate)
}

/// A leaf that waits in the inbox.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unsealed {
    /// Its event.
    pub event_id: Uuid,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// The hash that was written with it.
    pub leaf_hash: Vec<u8>,
}

/// Leaves that wait in the inbox, in the order in which they will be sealed.
pub async fn unsealed(conn: &impl ConnectionTrait) -> Result<Vec<Unsealed>, Error> {
    let backend = conn.get_database_backend();
    let leaf = leaf_bytes(backend);
    let sql = format!("SELECT event_id, {leaf} AS leaf, leaf_hash FROM audit_inbox ORDER BY inbox_id");
    Unsealed::find_by_statement(Statement::from_string(backend, sql)).all(conn).await.map_err(translate)
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

/// Where the event of a version of a record stands.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Standing {
    /// Its position.
    pub seq: i64,
    /// Its id.
    pub event_id: Uuid,
}

/// The event that gave a record this version, if it is sealed.
pub async fn event_of(conn: &impl ConnectionTrait, record: Uuid, version: i64) -> Result<Option<Standing>, Error> {
    let mut select = Query::select();
    select.columns([Alias::new("seq"), Alias::new("event_id")]).from(Alias::new("audit_event"));
    select.and_where(column("stream_id").eq(record)).and_where(column("stream_ver").eq(version));
    Standing::find_by_statement(conn.get_database_backend().build(&select)).one(conn).await.map_err(translate)
}

/// A disclosed personal value.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DisclosureRow {
    /// The event.
    pub event_id: Uuid,
    /// The field.
    pub path: String,
    /// The record.
    pub subject_id: Uuid,
    /// The salt.
    pub salt: String,
    /// The value.
    pub value: serde_json::Value,
}

impl DisclosureRow {
    /// What the digest in the leaf is computed from.
    pub fn disclosure(self) -> Disclosure {
        Disclosure { salt: self.salt, path: self.path, value: self.value }
    }
}

/// Salt and value as a row has them under a subject's key. Every salt has 22 characters: none says that value and salt are
/// sealed, and no value can say so itself.
pub fn sealed_disclosure(
    key: &SubjectKey,
    subject: Uuid,
    event: Uuid,
    disclosure: &Disclosure,
) -> Result<(String, serde_json::Value), Error> {
    let place = Place::Disclosure { subject, event, path: &disclosure.path };
    let sealed = conn::seal(key, place, &json!([disclosure.salt, disclosure.value]))?;
    Ok((String::new(), sealed.into()))
}

/// The one place where disclosures are read: those that are sealed are opened. Those that cannot be are not there.
async fn opened(conn: &impl Conn, rows: Vec<DisclosureRow>) -> Result<Vec<DisclosureRow>, Error> {
    let is_sealed = |row: &DisclosureRow| row.salt.is_empty();
    let sealed = rows.iter().filter(|row| is_sealed(row)).map(|row| {
        let place = Place::Disclosure { subject: row.subject_id, event: row.event_id, path: &row.path };
        (place, row.value.as_str().unwrap_or_default())
    });
    let mut values = conn::open(conn.keys(), sealed).await.map_err(translate)?.into_iter();
    let open = |row: DisclosureRow| {
        if !is_sealed(&row) {
            return Some(row);
        }
        let (salt, value) = serde_json::from_value(values.next()??).ok()?;
        Some(DisclosureRow { salt, value, ..row })
    };
    Ok(rows.into_iter().filter_map(open).collect())
}

const DISCLOSURES: &str = "SELECT event_id, path, subject_id, salt, value FROM audit_disclosure";

async fn disclosed(conn: &impl Conn, column: &str, id: Uuid) -> Result<Vec<DisclosureRow>, Error> {
    let backend = conn.get_database_backend();
    let sql = format!("{DISCLOSURES} WHERE {column} = {} ORDER BY event_id, path", placeholders(backend, 1, 1));
    let statement = Statement::from_sql_and_values(backend, sql, [id.into()]);
    opened(conn, DisclosureRow::find_by_statement(statement).all(conn).await.map_err(translate)?).await
}

/// What has not been erased of a record, in all its versions.
pub async fn disclosures_of(conn: &impl Conn, record: Uuid) -> Result<Vec<DisclosureRow>, Error> {
    disclosed(conn, "stream_id", record).await
}

/// What has not been erased of an event.
pub async fn disclosures_at(conn: &impl Conn, event: Uuid) -> Result<Vec<DisclosureRow>, Error> {
    disclosed(conn, "event_id", event).await
}

/// Whether the record's log has such an event after this version.
pub async fn is_followed(conn: &impl ConnectionTrait, record: Uuid, version: i64, kind: &str) -> Result<bool, Error> {
    let backend = conn.get_database_backend();
    let [a, b, c] = [1, 2, 3].map(|n| placeholders(backend, n, 1));
    let sql = format!(
        "SELECT 1 AS one FROM audit_event WHERE stream_id = {a} AND stream_ver > {b} AND event_type = {c} LIMIT 1"
    );
    let values: [sea_orm::Value; 3] = [record.into(), version.into(), kind.into()];
    let row = conn.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await;
    Ok(row.map_err(translate)?.is_some())
}

/// Every disclosure that has not been erased.
pub async fn disclosures(conn: &impl Conn) -> Result<Vec<DisclosureRow>, Error> {
    let sql = format!("{DISCLOSURES} ORDER BY event_id, path");
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    opened(conn, DisclosureRow::find_by_statement(statement).all(conn).await.map_err(translate)?).await
}
