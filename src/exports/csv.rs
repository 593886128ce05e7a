//! Events as a table for people: RFC 4180, UTF-8 with a byte order mark, one row an event. It says less than the leaves
//! and proves nothing, and its first line says so.

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use serde_json::Value;

use super::content::{CHUNK, cut};
use crate::auth::Scope;
use crate::error::Error;
use crate::http::{App, Shared};
use crate::log::store::{EventRow, Filter, Found, Range};

/// What the table is.
pub const MEDIA_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// Without it, spreadsheets take Vietnamese for another encoding.
const MARK: &str = "\u{feff}";

const COLUMNS: [&str; 13] = [
    "position",
    "event",
    "type",
    "at",
    "actor_kind",
    "actor",
    "unit",
    "campaign",
    "record_type",
    "record",
    "version",
    "request_id",
    "changes (shortened: only an ndjson export has everything and can be proven)",
];

/// The rows of the positions after `after` and before `to`; with the first line if the table begins here.
pub fn rows(app: App, filter: Filter, after: i64, to: i64, begins: bool) -> impl Stream<Item = Result<Bytes, Error>> {
    let head = begins.then(|| format!("{MARK}{}", line(COLUMNS.map(str::to_owned))));
    let head = stream::iter(head.map(|head| Ok(Bytes::from(head))));
    let rest = stream::try_unfold(Some(after), move |after| {
        let (app, filter) = (app.clone(), filter.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            part(&app, &filter, after, to).await.inspect_err(cut)
        }
    });
    futures_util::StreamExt::chain(head, rest)
}

/// The next rows, and where to go on; never an empty part, which would end the answer.
async fn part(app: &Shared, filter: &Filter, mut after: i64, to: i64) -> Result<Option<(Bytes, Option<i64>)>, Error> {
    loop {
        let (found, next) = next(app, filter, after, to).await?;
        let mut text = String::new();
        for row in &found.rows {
            text.push_str(&line(cells(row)?));
        }
        match next {
            None if text.is_empty() => return Ok(None),
            Some(next) if text.is_empty() => after = next,
            next => return Ok(Some((Bytes::from(text), next))),
        }
    }
}

/// The next events that fit, and the position after which to go on if there may be more.
pub async fn next(app: &Shared, filter: &Filter, after: i64, to: i64) -> Result<(Found, Option<i64>), Error> {
    let limit = u64::try_from(CHUNK).map_err(Error::internal)?;
    let range = Range { after: Some(after), before: Some(to), descending: false, limit };
    let found = app.spans.read(app.db.reader().conn(), filter, &Scope::Everything, range).await?;
    let full = u64::try_from(found.rows.len()) == Ok(limit);
    let last = found.rows.last().map(|row| row.seq).filter(|_| full);
    let next = found.stopped.or(last);
    Ok((found, next))
}

fn cells(row: &EventRow) -> Result<[String; 13], Error> {
    let leaf: Value = serde_json::from_str(&row.leaf).map_err(Error::internal)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, record) = leaf["stream"].as_str().and_then(|stream| stream.split_once('/')).unwrap_or_default();
    Ok([
        row.seq.to_string(),
        text(&leaf["id"]),
        text(&leaf["type"]),
        text(&leaf["at"]),
        text(&leaf["actor"]["kind"]),
        text(&leaf["actor"]["id"]),
        text(&leaf["unit"]),
        text(&leaf["scope"]),
        kind.to_owned(),
        record.to_owned(),
        leaf["ver"].to_string(),
        text(&leaf["corr"]),
        changes(&leaf["changes"]),
    ])
}

/// `state: draft → submitted; title: (personal)`.
fn changes(changes: &Value) -> String {
    let said = |value: &Value| match value {
        Value::Null => "∅".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let changes = changes.as_object().into_iter().flatten();
    let each = changes.map(|(field, change)| match change.get("$c") {
        Some(_) => format!("{field}: (personal)"),
        None => format!("{field}: {} → {}", said(&change[0]), said(&change[1])),
    });
    each.collect::<Vec<_>>().join("; ")
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|text| cell(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell that no spreadsheet takes for a formula, quoted where it must be: also before what some take for the end of a cell.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', ';', '\t', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_cell_stays_one() {
        for (text, expected) in [
            ("Bản Ấ", "Bản Ấ"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+84", "'+84"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("x;=1+1", "\"x;=1+1\""),
            ("x\t=1+1", "\"x\t=1+1\""),
            ("\r=1", "\"'\r=1\""),
            ("a,b", "\"a,b\""),
            ("nói \"vâng\"\nrồi", "\"nói \"\"vâng\"\"\nrồi\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn changes_are_told_in_a_line() {
        let told = changes(&json!({ "state": ["draft", "submitted"], "n": [null, 1], "title": { "$c": [null, "x"] } }));
        assert_eq!(told, "state: draft → submitted; n: ∅ → 1; title: (personal)");
    }
}
