//! Makes a live answer steady: what differs from one run to the next is replaced by something of the same shape, and
//! the same thing by the same wherever it stands. Nothing else is touched.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use thidua::clock::{Micros, civil_date, now, parse_rfc3339};
use uuid::Uuid;

const TIME: &str = "2026-01-01T02:03:04.000000Z";
const DAY: &str = "2026-01-01";
const DAY_BEFORE: &str = "2025-12-31";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A SHA-256 in base64url: of nothing.
const DIGEST: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

/// As many random bits as a salt has, none of them set.
const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAA";

pub struct Steady {
    began: Micros,
    /// Ids that were made since then, in order of first appearance.
    ids: Vec<Uuid>,
}

impl Steady {
    /// For answers of a world that was begun then.
    pub fn since(began: Micros) -> Self {
        Self { began, ids: Vec::new() }
    }

    pub fn json(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(members) => members.iter_mut().for_each(|(name, member)| match (name.as_str(), member) {
                ("$c", digests) => commitment(digests),
                ("prev" | "digest" | "digests_sha256", Value::String(digest)) => *digest = DIGEST.into(),
                ("digests_sha256", Value::Array(sides)) => sides.iter_mut().for_each(commitment),
                ("salt", Value::String(salt)) => *salt = SALT.into(),
                ("request_id" | "corr" | "trace_id" | "correlationid", Value::String(trace)) if trace.len() == 32 => {
                    *trace = TRACE_ID.into()
                }
                ("next_cursor" | "prev_cursor", Value::String(cursor)) => *cursor = self.cursor(cursor),
                ("current_etag", Value::String(etag)) => {
                    // The version stays; the digest is of times and ids as well.
                    let version = etag.split('.').next().unwrap();
                    *etag = format!("{version}.997d7877ad9d7bc1\"");
                }
                ("leaf", Value::String(leaf)) => *leaf = self.leaf(leaf),
                (_, member) => self.json(member),
            }),
            Value::String(text) => *text = self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Each line for itself.
    pub fn lines(&mut self, text: &str) -> String {
        text.split_inclusive('\n').map(|line| self.text(line)).collect()
    }

    /// Leaves, one a line.
    pub fn leaves(&mut self, text: &str) -> String {
        let mut line = |line: &str| {
            let mut leaf: Value = serde_json::from_str(line).unwrap();
            self.json(&mut leaf);
            format!("{}\n", thidua::canonical::canonical(&leaf).unwrap())
        };
        text.lines().map(&mut line).collect()
    }

    /// Server-sent events.
    pub fn stream(&mut self, text: &str) -> String {
        let mut line = |line: &str| match line.strip_prefix("data: ") {
            Some(data) => {
                let mut data: Value = serde_json::from_str(data).unwrap();
                self.json(&mut data);
                format!("data: {data}\n")
            }
            None => format!("{line}\n"),
        };
        text.lines().map(&mut line).collect()
    }

    /// A table whose last column alone has commas in it.
    pub fn table(&mut self, text: &str) -> String {
        let is_trace = |cell: &str| cell.len() == 32 && cell.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut cell = |cell: &str| if is_trace(cell) { TRACE_ID.to_owned() } else { self.text(cell) };
        let mut line = |line: &str| line.split(',').map(&mut cell).collect::<Vec<_>>().join(",") + "\r\n";
        text.split_terminator("\r\n").map(&mut line).collect()
    }

    /// Times, days and ids, these also inside a longer text.
    fn text(&mut self, text: &str) -> String {
        if parse_rfc3339(text).is_some_and(|time| (self.began..=now()).contains(&time)) {
            return TIME.into();
        }
        let days = [self.began, now()].map(civil_date);
        if days.iter().any(|day| day.to_string() == text) {
            return DAY.into();
        }
        // What ends at once had its last day yesterday.
        if days.iter().any(|day| day.pred_opt().unwrap().to_string() == text) {
            return DAY_BEFORE.into();
        }
        let (mut steady, mut rest) = (String::new(), text);
        while let Some(letter) = rest.chars().next() {
            let id = rest.get(..36).and_then(|window| Uuid::try_parse(window).ok());
            steady.push_str(&id.map_or(letter.to_string(), |id| self.id(id).to_string()));
            rest = &rest[id.map_or(letter.len_utf8(), |_| 36)..];
        }
        steady
    }

    /// An id that was made in this world says when; those of the world's units and of the campaign are fixed.
    fn id(&mut self, id: Uuid) -> Uuid {
        let made = Micros::try_from(id.as_u128() >> 80).unwrap();
        if !(self.began / 1000..=now() / 1000).contains(&made) {
            return id;
        }
        let index = self.ids.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.ids.push(id);
            self.ids.len() - 1
        });
        Uuid::from_u128(0x0190_0000_0001_7000_8000_0000_0000_0001 + u128::try_from(index).unwrap())
    }

    /// The place that a cursor names stays; its signature goes.
    fn cursor(&mut self, cursor: &str) -> String {
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
        let place = self.id(Uuid::from_slice(&bytes[..16]).unwrap());
        bytes[..16].copy_from_slice(place.as_bytes());
        bytes[17..].fill(0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A leaf says again, in canonical bytes, what stands around it.
    fn leaf(&mut self, leaf: &str) -> String {
        let mut leaf: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(leaf).unwrap()).unwrap();
        self.json(&mut leaf);
        URL_SAFE_NO_PAD.encode(thidua::canonical::canonical(&leaf).unwrap())
    }
}

/// A digest, or that of the old and of the new value; each is salted.
fn commitment(digests: &mut Value) {
    match digests {
        Value::Array(sides) => sides.iter_mut().for_each(commitment),
        Value::String(digest) => *digest = DIGEST.into(),
        _ => {}
    }
}

/// A text of the log: hashes, and signatures of them.
pub fn note(text: &str) -> String {
    let word = |line: &str, word: &str| match word.len() {
        44 if word.ends_with('=') => "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        92 if line.starts_with("— ") => format!("{}==", "A".repeat(90)),
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(|each| word(line, each)).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

/// Metrics as if each request had taken three milliseconds.
pub fn metrics(text: &str) -> String {
    const SECONDS: &str = "thidua_http_request_seconds";
    let count = text.lines().find_map(|line| line.strip_prefix(SECONDS)?.strip_prefix("_count ")).unwrap();
    let steady = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let bound = series.strip_prefix(SECONDS).and_then(|rest| rest.split('"').nth(1));
        let value = match bound {
            // The last bound is `+Inf`.
            Some(bound) if bound.parse::<f64>().unwrap() < 0.003 => "0".to_owned(),
            Some(_) => count.to_owned(),
            // The second of `TIME`.
            None if series.ends_with("_timestamp_seconds") && !line.starts_with('#') => "1767232984".to_owned(),
            None if series.ends_with("_sum") => (0.003 * count.parse::<f64>().unwrap()).to_string(),
            None => value.to_owned(),
        };
        format!("{series} {value}\n")
    };
    text.lines().map(steady).collect()
}
