//! What records are found by: the words of their names, and their place in Vietnamese order. Two tables that the door
//! itself keeps beside the rows, from the fields that [`record!`](crate::record!) marks as searched: they can say nothing
//! that the row does not say, and forget what the row forgets.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Statement, Value as SqlValue};
use serde_json::Value;
use uuid::Uuid;

use super::conn::{Conn, Keyed};
use super::constraint::{placeholders, translate};
use super::field::Field;
use super::held::Write;
use super::record::Record;
use super::unlogged;
use crate::error::Error;
use crate::rooms;
use crate::text::{after_prefix, sort_key, words};

/// The version of what is stored. Whoever changes folding, words or order (a newer collation library does) counts it up,
/// and the next `migrate` computes the tables anew; a test compares what is computed with what this version said.
const VERSION: i64 = 1;

/// Whoever touches both begins with the first: whoever fills them ([`unlogged`]) then knows what it waits for.
const TABLES: [&str; 2] = ["search_entry", "search_word"];

/// Rows that are read or written at once.
const CHUNK: usize = 500;

/// By what one record is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    words: BTreeSet<String>,
    sort_key: Vec<u8>,
}

impl Entry {
    /// Of these values of the searched fields; the first one gives the place in the order.
    fn of(names: &[Value]) -> Result<Self, Error> {
        let texts = names.iter().flat_map(texts);
        let heading = names.first().map(heading).unwrap_or_default();
        Ok(Self { words: texts.flat_map(words).collect(), sort_key: sort_key(heading)? })
    }
}

/// True if records with these fields are searched.
pub fn is_searched(fields: &[Field]) -> bool {
    fields.iter().any(|field| field.searched)
}

fn names<R: Record>(record: &R) -> Result<Vec<Value>, Error> {
    let mut state = record.state()?;
    let searched = R::FIELDS.iter().filter(|field| field.searched);
    Ok(searched.map(|field| state.remove(field.name).unwrap_or(Value::Null)).collect())
}

/// A searched field is a text, a list of texts, a list of texts with their days, or a text in two languages.
fn texts(name: &Value) -> Vec<&str> {
    match name {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => match members.get("value") {
            Some(value) => texts(value),
            None => members.values().flat_map(texts).collect(),
        },
        _ => vec![],
    }
}

/// The text by which a record is ordered: of several the newest, of two languages Vietnamese.
fn heading(name: &Value) -> &str {
    match name {
        Value::String(text) => text,
        Value::Array(items) => items.last().map(heading).unwrap_or_default(),
        Value::Object(members) => members.get("value").or(members.get("vi")).map(heading).unwrap_or_default(),
        _ => "",
    }
}

/// True if a change leaves the record to be found by something else.
pub(super) fn moves<R: Record>(old: &R, new: &R) -> Result<bool, Error> {
    Ok(is_searched(R::FIELDS) && names(old)? != names(new)?)
}

/// Takes a record out of both tables.
pub(super) async fn forget(conn: &impl ConnectionTrait, record: Uuid) -> Result<(), Error> {
    let place = placeholders(conn.get_database_backend(), 1, 1);
    for table in TABLES {
        run(conn, format!("DELETE FROM {table} WHERE record_id = {place}"), [record.into()]).await?;
    }
    Ok(())
}

/// Takes the records of one kind after the first up to the last out of both tables.
pub(super) async fn forget_stretch(
    conn: &impl ConnectionTrait,
    stream: &str,
    after: Uuid,
    last: Uuid,
) -> Result<(), Error> {
    let [a, b, c] = [1, 2, 3].map(|n| placeholders(conn.get_database_backend(), n, 1));
    for table in TABLES {
        let sql = format!("DELETE FROM {table} WHERE stream_type = {a} AND record_id > {b} AND record_id <= {c}");
        run(conn, sql, [stream.into(), after.into(), last.into()]).await?;
    }
    Ok(())
}

/// What brings a record into both tables.
pub(super) fn enter<R: Record>(backend: DbBackend, record: &R) -> Result<Vec<Write>, Error> {
    if !is_searched(R::FIELDS) {
        return Ok(vec![]);
    }
    let entry = Entry::of(&names(record)?)?;
    let [a, b, c] = [1, 2, 3].map(|n| placeholders(backend, n, 1));
    let place: [SqlValue; 3] = [record.id().into(), R::STREAM.into(), entry.sort_key.into()];
    let place = Write::new(format!("INSERT INTO search_entry {ENTRY_COLUMNS} VALUES ({a}, {b}, {c})"), place, 1);
    let number = entry.words.len() as u64;
    let each = if backend == DbBackend::Postgres { "jsonb_array_elements_text" } else { "json_each" };
    // As one value, so that the statement is the same for any number of words.
    let sql = format!("INSERT INTO search_word {WORD_COLUMNS} SELECT {a}, value, {b} FROM {each}({c})");
    let words: [SqlValue; 3] = [R::STREAM.into(), record.id().into(), serde_json::json!(entry.words).into()];
    Ok(vec![place, Write::new(sql, words, number)])
}

const ENTRY_COLUMNS: &str = "(record_id, stream_type, sort_key)";
const WORD_COLUMNS: &str = "(stream_type, word, record_id)";

/// Brings these records of one kind into both tables.
pub(super) async fn write(conn: &DatabaseTransaction, stream: &str, entries: &[(Uuid, Entry)]) -> Result<(), Error> {
    let place = |(id, entry): &(Uuid, Entry)| [(*id).into(), stream.into(), entry.sort_key.clone().into()];
    insert(conn, &format!("search_entry {ENTRY_COLUMNS}"), entries.iter().map(place)).await?;
    let word = |id: Uuid, word: &String| [stream.into(), word.as_str().into(), id.into()];
    let words = entries.iter().flat_map(|(id, entry)| entry.words.iter().map(move |text| word(*id, text)));
    insert(conn, &format!("search_word {WORD_COLUMNS}"), words).await
}

async fn insert(
    conn: &DatabaseTransaction,
    into: &str,
    rows: impl Iterator<Item = [SqlValue; 3]>,
) -> Result<(), Error> {
    let (backend, rows) = (conn.get_database_backend(), rows.collect::<Vec<_>>());
    for chunk in rows.chunks(CHUNK) {
        let groups = (0..chunk.len()).map(|n| format!("({})", placeholders(backend, n * 3 + 1, 3)));
        let sql = format!("INSERT INTO {into} VALUES {}", groups.collect::<Vec<_>>().join(", "));
        run(conn, sql, chunk.iter().flatten().cloned()).await?;
    }
    Ok(())
}

async fn run(
    conn: &impl ConnectionTrait,
    sql: String,
    values: impl IntoIterator<Item = SqlValue>,
) -> Result<(), Error> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.execute_raw(statement).await.map(drop).map_err(translate)
}

/// By what the records after this one are found, a stretch at a time.
pub async fn entries<R: Record>(
    conn: &Keyed<DatabaseTransaction>,
    after: Option<Uuid>,
) -> Result<Vec<(Uuid, Entry)>, Error> {
    let rows = R::stretch(conn, after, CHUNK as u64).await.map_err(translate)?;
    rows.iter().map(|row| Ok((row.id(), Entry::of(&names(row)?)?))).collect()
}

/// By which version the tables were computed.
async fn version(conn: &impl ConnectionTrait) -> Result<i64, Error> {
    let sql = "SELECT version FROM derived WHERE name = 'search'";
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.map_err(translate)?;
    row.map_or(Ok(0), |row| row.try_get("", "version").map_err(translate))
}

/// True if the tables are of another version of the program.
pub(super) async fn is_stale(conn: &impl ConnectionTrait) -> Result<bool, Error> {
    Ok(version(conn).await? != VERSION)
}

/// Computes both tables anew if they are of another version. Unlogged ones are filled after the migration.
pub(super) async fn renew(conn: &Keyed<DatabaseTransaction>) -> Result<(), Error> {
    let (applies, otherwise) = (unlogged::applies(conn), unlogged::are_otherwise(conn).await?);
    match (applies, otherwise) {
        (true, true) => unlogged::take_out(conn).await?,
        (false, true) => unlogged::take_back(conn).await?,
        _ => {}
    }
    if !is_stale(conn).await? && (applies || !otherwise) {
        return Ok(());
    }
    for table in TABLES {
        run(conn, format!("DELETE FROM {table}"), []).await?;
    }
    if !applies {
        fill(conn).await?;
    }
    run(conn, format!("UPDATE derived SET version = {VERSION} WHERE name = 'search'"), []).await
}

async fn fill(conn: &Keyed<DatabaseTransaction>) -> Result<(), Error> {
    for kind in rooms::kinds().filter(|kind| is_searched(kind.fields)) {
        let mut after = None;
        loop {
            let stretch = (kind.entries)(conn, after).await?;
            let Some((last, _)) = stretch.last() else { break };
            after = Some(*last);
            write(conn, kind.stream, &stretch).await?;
        }
    }
    Ok(())
}

/// True if what both tables say cannot be compared: they are being filled, or this is a server that follows another.
pub async fn are_not_there(conn: &impl Conn) -> Result<bool, Error> {
    Ok(unlogged::are_elsewhere(conn).await? || unlogged::are_lost(conn).await?)
}

#[derive(FromQueryResult)]
struct EntryRow {
    record_id: Uuid,
    sort_key: Vec<u8>,
}

#[derive(FromQueryResult)]
struct WordRow {
    record_id: Uuid,
    word: String,
}

/// What the tables say of the records of one kind, by record. The words of a record without an entry stand under it too.
pub async fn stored(conn: &impl ConnectionTrait, stream: &str) -> Result<BTreeMap<Uuid, Entry>, Error> {
    let backend = conn.get_database_backend();
    let of = |select: &str| {
        let sql = format!("{select} WHERE stream_type = {}", placeholders(backend, 1, 1));
        Statement::from_sql_and_values(backend, sql, [SqlValue::from(stream)])
    };
    let places = EntryRow::find_by_statement(of("SELECT record_id, sort_key FROM search_entry")).all(conn).await;
    let entry = |row: EntryRow| (row.record_id, Entry { words: BTreeSet::new(), sort_key: row.sort_key });
    let mut stored: BTreeMap<Uuid, Entry> = places.map_err(translate)?.into_iter().map(entry).collect();
    let words = WordRow::find_by_statement(of("SELECT record_id, word FROM search_word")).all(conn).await;
    for row in words.map_err(translate)? {
        let nothing = || Entry { words: BTreeSet::new(), sort_key: Vec::new() };
        stored.entry(row.record_id).or_insert_with(nothing).words.insert(row.word);
    }
    Ok(stored)
}

/// The alias under which a list joins `search_entry`.
pub(super) const ENTRY: &str = "named";

pub(super) fn entry_column(name: &str) -> Expr {
    Expr::col((Alias::new(ENTRY), Alias::new(name)))
}

/// How the records of one word are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the word to its records.
    FromWord,
    /// From a record to its words.
    FromRecord,
    /// From the word to its records, all of them before anything else.
    First,
}

/// How records are looked for that have every word.
pub(super) struct Plan {
    stream: String,
    ways: Vec<(String, Way)>,
    /// True if the records are read in their order until the page is full; else all that are found are sorted.
    in_order: bool,
}

/// A word that more records have than this is common.
const COMMON: u64 = 20_000;

/// Words among which the rarest is looked for.
const WEIGHED: usize = 5;

impl Plan {
    /// PostgreSQL turns one way into the other as its statistics advise. SQLite has none and does as it is told: it
    /// begins with the records of the rarest word, unless that is the only one and common; then a page is soon full. So
    /// does PostgreSQL where there are keys, and so no statistics of words.
    pub(super) async fn of(conn: &impl Conn, stream: &str, words: &[String]) -> Result<Self, Error> {
        let stream = stream.to_owned();
        let ways = |way| words.iter().map(|word| (word.clone(), way)).collect::<Vec<_>>();
        let postgres = conn.get_database_backend() == DbBackend::Postgres;
        if postgres && !unlogged::applies(conn) {
            return Ok(Self { stream, ways: ways(Way::FromWord), in_order: true });
        }
        let (rarest, hits) = rarest(conn, &stream, words).await?;
        match (postgres, hits > COMMON) {
            (true, true) => return Ok(Self { stream, ways: ways(Way::FromWord), in_order: true }),
            (false, true) if words.len() == 1 => {
                return Ok(Self { stream, ways: ways(Way::FromRecord), in_order: true });
            }
            _ => {}
        }
        let mut ways = ways(Way::FromRecord);
        for (_, way) in ways.iter_mut().filter(|(word, _)| *word == rarest) {
            *way = if postgres { Way::First } else { Way::FromWord };
        }
        Ok(Self { stream, ways, in_order: false })
    }

    /// The conditions that some word of the record begins with each word.
    pub(super) fn conditions(&self) -> Vec<SimpleExpr> {
        let mut conditions: Vec<SimpleExpr> = self.ways.iter().map(|(word, way)| self.begins(word, *way)).collect();
        if self.in_order {
            // The index of the order begins with it; SQLite would begin there too, were it said without need.
            conditions.push(entry_column("stream_type").eq(self.stream.as_str()));
        }
        conditions
    }

    fn begins(&self, word: &str, way: Way) -> SimpleExpr {
        let mut found = of_word(&self.stream, word);
        let record = Expr::col((Alias::new("w"), Alias::new("record_id")));
        match way {
            Way::FromWord => entry_column("record_id").in_subquery(found.expr(record).to_owned()),
            Way::First => {
                let found = SimpleExpr::SubQuery(None, Box::new(found.expr(record).to_owned().into()));
                Expr::cust_with_exprs("$1 = ANY (ARRAY $2)", [entry_column("record_id"), found])
            }
            Way::FromRecord => {
                // The limit keeps SQLite from turning it into a join, which it reads in another order.
                found.expr(Expr::val(1)).and_where(record.eq(entry_column("record_id"))).limit(1);
                Expr::exists(found)
            }
        }
    }
}

/// The word that the fewest records have, of the longest few, and how many those are, counted up to what is common.
async fn rarest(conn: &impl ConnectionTrait, stream: &str, words: &[String]) -> Result<(String, u64), Error> {
    let mut longest: Vec<&String> = words.iter().collect();
    longest.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut rarest = (String::new(), u64::MAX);
    for word in longest.into_iter().take(WEIGHED) {
        let mut hits = of_word(stream, word);
        hits.expr(Expr::val(1)).limit(COMMON + 1);
        let mut count = Query::select();
        count.expr_as(Expr::val(1).count(), Alias::new("hits")).from_subquery(hits, Alias::new("hit"));
        let row = conn.query_one(&count).await.map_err(translate)?;
        let hits: i64 = row.map_or(Ok(0), |row| row.try_get("", "hits")).map_err(translate)?;
        let hits = u64::try_from(hits).map_err(Error::internal)?;
        if hits < rarest.1 {
            rarest = (word.clone(), hits);
        }
    }
    Ok(rarest)
}

/// A range, not a pattern: both engines read it from the index, and `%` and `_` are characters like others.
fn of_word(stream: &str, word: &str) -> SelectStatement {
    let column = |name: &str| Expr::col((Alias::new("w"), Alias::new(name)));
    let mut found = Query::select();
    found
        .from_as(Alias::new("search_word"), Alias::new("w"))
        .and_where(column("stream_type").eq(stream))
        .and_where(column("word").gte(word))
        .and_where_option(after_prefix(word).map(|end| column("word").lt(end)));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canonical::{hex, sha256};

    fn entry(names: &[Value]) -> (Vec<String>, Vec<u8>) {
        let entry = Entry::of(names).unwrap();
        (entry.words.into_iter().collect(), entry.sort_key)
    }

    #[test]
    fn names_are_texts_lists_dated_texts_and_texts_in_two_languages() {
        let dated = json!([{ "value": "Bản Ớt", "from": "2021-01-01", "to": "2023-12-31" }, { "value": "Bản Mới",
            "from": "2024-01-01" }]);
        for (names, words, heading) in [
            (
                vec![json!("Giúp hộ bà Lò"), json!(["Cầm Ưởng", null])],
                vec!["ba", "cam", "giup", "ho", "lo", "uong"],
                "Giúp hộ bà Lò",
            ),
            (vec![Value::Null, json!([null, "Cầm Ưởng"])], vec!["cam", "uong"], ""),
            (vec![dated], vec!["ban", "moi", "ot"], "Bản Mới"),
            (
                vec![json!({ "en": "The poor", "vi": "Vì người nghèo" })],
                vec!["ngheo", "nguoi", "poor", "the", "vi"],
                "Vì người nghèo",
            ),
            (vec![Value::Null], vec![], ""),
        ] {
            assert_eq!(entry(&names), (words.into_iter().map(str::to_owned).collect(), sort_key(heading).unwrap()));
        }
    }

    #[test]
    fn this_version_computes_what_it_always_did() {
        let mut said = Vec::new();
        let vowels = "aăâeêioôơuưy".chars();
        let tones = ["", "\u{300}", "\u{309}", "\u{303}", "\u{301}", "\u{323}"];
        let syllables = vowels.flat_map(|vowel| tones.map(|tone| format!("Đ{vowel}{tone}ng")));
        for name in syllables.chain(["Công ty A&B 24/7 (Sơn La)".into(), "ЯΩ ภาษา 한국 Ⅳ ½".into()]) {
            let (words, key) = entry(&[json!(name)]);
            said.extend(words.join(" ").into_bytes());
            said.extend(key);
        }
        let promised = (1, "095beb6b459026aa7f8db3232b79c5f293bcc1cb606403bb2ecd074ba7dc92f5");
        let computed = hex(&sha256(&said));
        let advice = "stored words or sort keys change: count VERSION up, so that `migrate` computes them anew, and";
        assert_eq!((VERSION, computed.as_str()), promised, "{advice} write both here");
    }
}
