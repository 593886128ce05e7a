//! `thidua log rebuild --check`: replays the log into a fresh database, through its guards, and
//! names every difference to the tables that are served.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::{BoxFuture, FutureExt};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, Statement, Value as SqlValue};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::erased::{self, Commitments};
use super::fold::{Folded, stream};
use super::proof::tree::{self, Frontier};
use super::replayed::Replayed;
use super::seal::{Floor, seal_all};
use super::store::{self, Leaf, Unsealed};
use super::tiles;
use crate::canonical::{canonical, hex, sha256};
use crate::clock::{civil_date, rfc3339};
use crate::db::constraint::{placeholders, translate};
use crate::db::event::{Disclosure, leaf_hash};
use crate::db::{Class, Db, Erased, Field, Keyed, Record, WriteTx, search};
use crate::error::Error;
use crate::rooms;
use crate::units;

/// A kind of record, as the replay needs it.
pub struct Kind {
    /// The stream's type.
    pub stream: &'static str,
    /// The event with which a record's personal values go.
    pub erased: &'static str,
    /// The columns that events state.
    pub fields: &'static [Field],
    write: for<'a> fn(&'a DatabaseTransaction, &'a Folded, &'a str) -> BoxFuture<'a, Result<(), Error>>,
    rows: for<'a> fn(&'a Keyed<DatabaseTransaction>) -> BoxFuture<'a, Result<Rows, Error>>,
    /// One row, as [`Kind::folded`] has it.
    pub row: OneRow,
    /// The row that events say, with its personal values.
    pub folded: fn(&Folded) -> Result<Value, Error>,
    /// By what the records after this one are found, a stretch at a time.
    pub entries: Entries,
    /// Takes the personal values out of one record.
    pub erase: Erase,
}

type OneRow = for<'a> fn(&'a Keyed<DatabaseTransaction>, Uuid) -> BoxFuture<'a, Result<Option<Value>, Error>>;

type Erase = for<'a, 'b> fn(&'a WriteTx<'b>, Uuid) -> BoxFuture<'a, Result<Option<Erased>, Error>>;

type Entries = for<'a> fn(
    &'a Keyed<DatabaseTransaction>,
    Option<Uuid>,
) -> BoxFuture<'a, Result<Vec<(Uuid, search::Entry)>, Error>>;

impl Kind {
    /// The kind of this record.
    pub const fn of<R: Record>() -> Self {
        Self {
            stream: R::STREAM,
            erased: R::ERASED,
            fields: R::FIELDS,
            write: |conn, folded, leaf| write::<R>(conn, folded, leaf).boxed(),
            rows: |conn| rows::<R>(conn).boxed(),
            row: |conn, id| row::<R>(conn, id).boxed(),
            folded: |folded| {
                // The cause would quote what it met, personal values as well.
                let record = R::from_state(folded.state.clone(), folded.row.clone());
                as_json(&record.map_err(|_| Error::internal("the events do not make a row of this version"))?)
            },
            entries: |conn, after| search::entries::<R>(conn, after).boxed(),
            erase: |tx, id| tx.erase::<R>(id).boxed(),
        }
    }

    /// True if records of this kind say something that can be erased.
    pub fn is_personal(&self) -> bool {
        self.fields.iter().any(|field| field.class == Class::Personal)
    }
}

/// Personal values that are disclosed, by event and path.
type Disclosed = HashMap<(Uuid, String), Disclosure>;

/// Every row of a kind as JSON, by id.
type Rows = BTreeMap<Uuid, Value>;

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Report {
    /// Events replayed.
    pub events: usize,
    /// Records compared.
    pub records: usize,
    /// One line a difference.
    pub differences: Vec<String>,
    /// What is no difference, but somebody should know, a line each: an event in quarantine, on which nothing stands; words
    /// that could not be compared.
    pub remarks: Vec<String>,
}

const CHUNK: u64 = 500;

/// Replays the log of `live` into `fresh`, a database of its own, and compares. What is there of an earlier replay
/// that was interrupted is gone on with; `progress` learns how many events were replayed, and may interrupt again.
pub async fn check(
    live: &Db,
    fresh: &Db,
    mut progress: impl FnMut(usize) -> Result<(), Error>,
) -> Result<Report, Error> {
    live.settle().await?;
    let replayed = Replayed::of(live, fresh).await?;
    let mut replayed = replayed.ok_or_else(|| Error::internal("the copy is of another log, or was finished"))?;
    let snapshot = live.snapshot().await?;
    let disclosed = disclosed(snapshot.conn()).await?;
    let mut report = Report::default();
    let mut replay = Replay::new(disclosed);
    let mut after = -1;
    loop {
        let leaves = store::leaves(snapshot.conn(), after, CHUNK).await?;
        let Some(last) = leaves.last() else { break };
        after = last.seq;
        report.events += leaves.len();
        let (old, new) = leaves.split_at(leaves.partition_point(|leaf| leaf.seq < replayed.events));
        replay.pass(old);
        if !new.is_empty() {
            let place = |seq| format!("position {seq}");
            fresh
                .replay(async |conn| {
                    replay.run(conn, new, place, &mut replayed.differences).await?;
                    replayed.write(conn, last.seq + 1, &last.leaf).await
                })
                .await?;
            progress(report.events)?;
        }
    }
    report.differences.append(&mut replayed.differences);
    let found = tiles::head(fresh.reader().conn()).await?;
    report.differences.extend(head(tiles::head(snapshot.conn()).await, &found, report.events));
    // What this snapshot shows in the tables but has not been sealed yet.
    let unsealed = store::unsealed(snapshot.conn()).await?;
    for waits in unsealed.iter().filter(|waits| tree::leaf_hash(&waits.leaf)[..] != waits.leaf_hash[..]) {
        report.differences.push(format!("event {}: not sealed, its leaf has another hash than it had", waits.event_id));
    }
    let leaf = |(seq, Unsealed { leaf, .. })| Leaf { seq, leaf };
    let unsealed: Vec<Leaf> = (after + 1..).zip(unsealed).map(leaf).collect();
    report.events += unsealed.len();
    let place = |seq| format!("position {seq}, not sealed yet");
    fresh
        .replay(async |conn| {
            if !unsealed.is_empty() {
                replayed.forget(conn).await?;
            }
            replay.run(conn, &unsealed, place, &mut report.differences).await?;
            units::store::derive(conn).await
        })
        .await?;
    report.differences.extend(replay.commitments.withheld());
    let replayed = fresh.snapshot().await?;
    compare(snapshot.conn(), replayed.conn(), &mut report).await?;
    days(snapshot.conn(), replayed.conn(), &mut report.differences).await?;
    let set_aside = store::quarantined(snapshot.conn()).await?.into_iter();
    let at = |event: &store::Quarantined| rfc3339(event.found_at);
    let told =
        set_aside.map(|event| format!("event {}: set aside at {}, never in the log", event.event_id, at(&event)));
    report.remarks.extend(told);
    Ok(report)
}

/// What is wrong with the head of a log that has so many events.
fn head(said: Result<Frontier, Error>, found: &Frontier, events: usize) -> Option<String> {
    match said {
        Err(error) => Some(format!("the head cannot be read: {error}")),
        Ok(said) if usize::try_from(said.size()) != Ok(events) => {
            Some(format!("the head: it says {} events, the log has {events}", said.size()))
        }
        // What could not be replayed is told already.
        Ok(said) if said.size() == found.size() && said.root() != found.root() => {
            Some("the head: its root is not that of the events".to_owned())
        }
        Ok(_) => None,
    }
}

pub(super) struct Replay {
    disclosed: Disclosed,
    /// Every record so far, with the personal values that are still disclosed.
    folded: HashMap<Uuid, Folded>,
    commitments: Commitments,
}

impl Replay {
    /// Before the first leaf, with everything that is disclosed.
    pub(super) fn new(disclosed: Disclosed) -> Self {
        Self { disclosed, folded: HashMap::new(), commitments: Commitments::default() }
    }

    async fn run(
        &mut self,
        conn: &DatabaseTransaction,
        leaves: &[Leaf],
        place: impl Fn(i64) -> String,
        differences: &mut Vec<String>,
    ) -> Result<(), Error> {
        for leaf in leaves {
            if let Err(what) = self.step(conn, leaf, differences).await {
                differences.push(format!("{}: {what}", place(leaf.seq)));
            }
        }
        seal_all(conn, &Floor::default(), tiles::head(conn).await?).await
    }

    /// Leaves that were replayed before: what follows stands on them. What is wrong with them was told then.
    fn pass(&mut self, leaves: &[Leaf]) {
        for leaf in leaves {
            if let Ok((.., value)) = self.fold(leaf, &mut Vec::new()) {
                self.commit(leaf.seq, &value);
            }
        }
    }

    /// Replays one leaf, or says what is wrong with it.
    async fn step(
        &mut self,
        conn: &DatabaseTransaction,
        leaf: &Leaf,
        differences: &mut Vec<String>,
    ) -> Result<(), String> {
        let (kind, row, text, value) = self.fold(leaf, differences)?;
        differences.extend(self.commit(leaf.seq, &value));
        let written = (kind.write)(conn, &row, text).await;
        written.map_err(|error| format!("{}/{} cannot be replayed: {error}", kind.stream, row.row.id))?;
        if canonical(&value).is_ok_and(|bytes| bytes == text) {
            Ok(())
        } else {
            Err("the leaf is not canonical".into())
        }
    }

    /// What a leaf says of personal values; an erasure speaks of those of another record.
    fn commit(&mut self, position: i64, leaf: &Value) -> Vec<String> {
        let event: Option<Uuid> = leaf["id"].as_str().and_then(|id| id.parse().ok());
        let disclosed = &self.disclosed;
        let is_disclosed = |path: &str| event.is_some_and(|event| disclosed.contains_key(&(event, path.to_owned())));
        self.commitments.read(position, leaf, is_disclosed)
    }

    /// What a leaf makes of its record: the row, personal values included; with the leaf as it was read.
    pub(super) fn fold<'a>(
        &mut self,
        leaf: &'a Leaf,
        differences: &mut Vec<String>,
    ) -> Result<(&'static Kind, Folded, &'a str, Value), String> {
        let text = std::str::from_utf8(&leaf.leaf).map_err(|_| "the leaf is no UTF-8 text")?;
        let value: Value = serde_json::from_str(text).map_err(|error| format!("the leaf is no JSON: {error}"))?;
        let (name, id) = stream(&value).ok_or("names no record")?;
        let kind = rooms::kinds().find(|kind| kind.stream == name);
        let kind = kind.ok_or_else(|| format!("unknown kind of record {name}"))?;
        let folded = self.folded.entry(id).or_default();
        folded.apply(leaf.seq, text).map_err(|error| error.to_string())?;
        let row = self.with_personal_values(id, &value, differences);
        Ok((kind, row, text, value))
    }

    /// Personal fields keep the value that was disclosed last; an erased one is null.
    fn with_personal_values(&mut self, id: Uuid, leaf: &Value, differences: &mut Vec<String>) -> Folded {
        let Some(folded) = self.folded.get_mut(&id) else { return Folded::default() };
        let event: Option<Uuid> = leaf["id"].as_str().and_then(|id| id.parse().ok());
        for (field, change) in leaf["changes"].as_object().into_iter().flatten() {
            if change.get("$c").is_some() {
                folded.origin.insert(format!("${field}"), Value::Null);
            }
        }
        for (path, digest) in erased::commitments(leaf) {
            let disclosure = event.and_then(|event| self.disclosed.get(&(event, path.to_owned())));
            match disclosure {
                Some(disclosure) if disclosure.digest().ok().as_deref() != Some(digest) => {
                    differences.push(format!("{}: the disclosure of {path} does not match its digest", leaf["stream"]))
                }
                // The reason of an event is no field of its record.
                Some(disclosure) if leaf["changes"].get(path).is_some() => {
                    folded.origin.insert(format!("${path}"), disclosure.value.clone());
                }
                _ => {}
            }
        }
        let mut row = folded.clone();
        let personal = folded.origin.iter().filter_map(|(name, value)| Some((name.strip_prefix('$')?, value)));
        row.state.extend(
            personal.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value.clone())),
        );
        row
    }
}

async fn write<R: Record>(conn: &DatabaseTransaction, folded: &Folded, leaf: &str) -> Result<(), Error> {
    let record = R::from_state(folded.state.clone(), folded.row.clone()).map_err(Error::internal)?;
    let day = record.day().unwrap_or_else(|| civil_date(folded.row.updated_at));
    post(conn, leaf, folded, day).await?;
    let backend = conn.get_database_backend();
    let statement = match folded.row.version {
        1 => record.insert_row(backend),
        version => record.update_row(backend, version - 1),
    };
    match conn.execute_raw(statement).await.map_err(translate)?.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::internal("the version before is not there")),
    }
}

async fn post(conn: &DatabaseTransaction, text: &str, folded: &Folded, day: chrono::NaiveDate) -> Result<(), Error> {
    let leaf: Value = serde_json::from_str(text).map_err(Error::internal)?;
    let id = |value: &Value| value.as_str().and_then(|id| Uuid::parse_str(id).ok());
    let (kind, stream_id) = stream(&leaf).ok_or_else(|| Error::internal("a leaf names no record"))?;
    let backend = conn.get_database_backend();
    let sql = format!(
        "INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, scope_id, \
         corr_id, at, day, leaf, leaf_hash) VALUES ({})",
        placeholders(backend, 1, 13)
    );
    let values: [SqlValue; 13] = [
        id(&leaf["id"]).into(),
        kind.into(),
        stream_id.into(),
        folded.row.version.into(),
        leaf["type"].as_str().unwrap_or_default().into(),
        id(&leaf["actor"]["id"]).into(),
        id(&leaf["unit"]).into(),
        id(&leaf["scope"]).into(),
        leaf["corr"].as_str().unwrap_or_default().into(),
        folded.row.updated_at.into(),
        day.into(),
        text.into(),
        leaf_hash(text).to_vec().into(),
    ];
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(drop).map_err(translate)
}

async fn rows<R: Record>(conn: &Keyed<DatabaseTransaction>) -> Result<Rows, Error> {
    let records = R::all(conn).await.map_err(translate)?;
    records.iter().map(|record| Ok((record.id(), as_json(record)?))).collect()
}

async fn row<R: Record>(conn: &Keyed<DatabaseTransaction>, id: Uuid) -> Result<Option<Value>, Error> {
    R::find(conn, id).await.map_err(translate)?.as_ref().map(as_json).transpose()
}

/// A row as one JSON object; a `$` before the common columns keeps them apart.
fn as_json<R: Record>(record: &R) -> Result<Value, Error> {
    let (row, mut state) = (record.row(), record.state()?);
    let common: [(&str, Value); 5] = [
        ("$version", row.version.into()),
        ("$tip", hex(&row.tip).into()),
        ("$commitments", row.commitments.into()),
        ("$created_at", row.created_at.into()),
        ("$updated_at", row.updated_at.into()),
    ];
    state.extend(common.map(|(name, value)| (name.to_owned(), value)));
    Ok(Value::Object(state))
}

async fn compare(
    live: &Keyed<DatabaseTransaction>,
    fresh: &Keyed<DatabaseTransaction>,
    report: &mut Report,
) -> Result<(), Error> {
    for kind in rooms::kinds() {
        let (served, rebuilt) = ((kind.rows)(live).await?, (kind.rows)(fresh).await?);
        report.records += rebuilt.len();
        let ids: BTreeSet<Uuid> = served.keys().chain(rebuilt.keys()).copied().collect();
        for id in ids {
            let name = format!("{}/{id}", kind.stream);
            match (served.get(&id), rebuilt.get(&id)) {
                (Some(table), Some(log)) => differing(&name, table, log, &mut report.differences),
                (Some(_), None) => report.differences.push(format!("{name}: in the table, not in the log")),
                _ => report.differences.push(format!("{name}: in the log, not in the table")),
            }
        }
    }
    let (served, rebuilt) = (units::store::derived(live).await?, units::store::derived(fresh).await?);
    for row in served.symmetric_difference(&rebuilt) {
        let place =
            if served.contains(row) { "in the table, not derived from the log" } else { "missing from the table" };
        report.differences.push(format!("{row}: {place}"));
    }
    if search::are_not_there(live).await? {
        report.remarks.push("search: the words of all names are being computed anew and were not compared".to_owned());
        return documents(live, &mut report.differences).await;
    }
    for kind in rooms::kinds().filter(|kind| search::is_searched(kind.fields)) {
        found_by(kind, live, fresh, &mut report.differences).await?;
    }
    documents(live, &mut report.differences).await
}

/// Records are found by the names that the log says, and by no others. The words stay out of the report.
async fn found_by(
    kind: &Kind,
    live: &Keyed<DatabaseTransaction>,
    fresh: &Keyed<DatabaseTransaction>,
    differences: &mut Vec<String>,
) -> Result<(), Error> {
    let mut served = search::stored(live, kind.stream).await?;
    let mut after = None;
    loop {
        let stretch = (kind.entries)(fresh, after).await?;
        let Some((last, _)) = stretch.last() else { break };
        after = Some(*last);
        for (id, entry) in stretch {
            if served.remove(&id) != Some(entry) {
                differences.push(format!("search {}/{id}: is not found by the names in the log", kind.stream));
            }
        }
    }
    let strangers = served.keys().map(|id| format!("search {}/{id}: is found and not in the log", kind.stream));
    differences.extend(strangers);
    Ok(())
}

#[derive(FromQueryResult, PartialEq)]
struct Day {
    seq: i64,
    event_id: Uuid,
    day: chrono::NaiveDate,
}

/// The day of each event decides who may see it. No leaf says it: it is that of the record, as it was then.
async fn days(
    live: &Keyed<DatabaseTransaction>,
    fresh: &Keyed<DatabaseTransaction>,
    differences: &mut Vec<String>,
) -> Result<(), Error> {
    let mut after = -1;
    loop {
        let sql = format!("SELECT seq, event_id, day FROM audit_event WHERE seq > {after} ORDER BY seq LIMIT {CHUNK}");
        let read = async |conn: &DatabaseTransaction| {
            let statement = Statement::from_string(conn.get_database_backend(), sql.clone());
            Day::find_by_statement(statement).all(conn).await.map_err(translate)
        };
        let served = read(live).await?;
        let Some(last) = served.last() else { return Ok(()) };
        after = last.seq;
        // What could not be replayed is told already, and shifts all that follows.
        let pairs = served.iter().zip(read(fresh).await?);
        let false_days = pairs.filter(|(served, replayed)| served.event_id == replayed.event_id && *served != replayed);
        differences
            .extend(false_days.map(|(served, _)| format!("position {}: its day is not that of the log", served.seq)));
    }
}

pub(super) fn differing(name: &str, table: &Value, log: &Value, differences: &mut Vec<String>) {
    let empty = Map::new();
    let (table, log) = (table.as_object().unwrap_or(&empty), log.as_object().unwrap_or(&empty));
    let fields: BTreeSet<&String> = table.keys().chain(log.keys()).collect();
    for field in fields {
        let (in_table, in_log) = (table.get(field), log.get(field));
        if in_table != in_log {
            // Personal values stay out of the report: whether they differ is enough.
            let field = field.trim_start_matches('$');
            differences.push(format!("{name}: {field} differs between table and log"));
        }
    }
}

#[derive(FromQueryResult)]
struct DocumentRow {
    sha256: String,
    body: String,
}

/// A document is named by its hash.
async fn documents(conn: &DatabaseTransaction, differences: &mut Vec<String>) -> Result<(), Error> {
    let statement = Statement::from_string(conn.get_database_backend(), "SELECT sha256, body FROM document");
    for row in DocumentRow::find_by_statement(statement).all(conn).await.map_err(translate)? {
        if hex(&sha256(row.body.as_bytes())) != row.sha256 {
            differences.push(format!("document/{}: its content has another hash", row.sha256));
        }
    }
    Ok(())
}

async fn disclosed(conn: &Keyed<DatabaseTransaction>) -> Result<Disclosed, Error> {
    let rows = store::disclosures(conn).await?;
    let entry = |row: store::DisclosureRow| ((row.event_id, row.path.clone()), row.disclosure());
    Ok(rows.into_iter().map(entry).collect())
}
