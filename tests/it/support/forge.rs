//! Events and changes as somebody writes them by hand who knows the tables.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait};
use serde_json::{Value, json};
use thidua::canonical::{canonical, hex};
use thidua::clock::parse_rfc3339;
use thidua::db::event::leaf_hash;
use uuid::Uuid;

use super::{Engine, World};

const AT: &str = "2026-01-01T00:00:00.000000Z";

/// A hand-written event of a unit.
#[derive(Clone)]
pub struct Forged {
    pub engine: Engine,
    pub event: Uuid,
    pub stream: Uuid,
    pub version: i64,
    pub leaf: Vec<u8>,
    pub hash: [u8; 32],
}

/// The next event of this unit, as the service would write it: the unit is not fictitious after all.
pub async fn next(world: &World, raw: &DatabaseConnection, unit: Uuid) -> Forged {
    let engine = world.database.engine;
    let sql = format!("SELECT version, tip FROM unit WHERE id = {}", id(engine, unit));
    let row = raw.query_one_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap().unwrap();
    let (version, tip): (i64, Vec<u8>) = (row.try_get("", "version").unwrap(), row.try_get("", "tip").unwrap());
    forged(engine, unit, version + 1, &tip, [true, false])
}

fn forged(engine: Engine, stream: Uuid, version: i64, tip: &[u8], fictitious: [bool; 2]) -> Forged {
    let event = thidua::id::new_id();
    let prev = (version > 1).then(|| URL_SAFE_NO_PAD.encode(tip));
    let leaf = canonical(&json!({
        "actor": { "id": null, "kind": "console" }, "at": AT, "changes": { "fictitious": fictitious }, "corr": "00",
        "id": event, "prev": prev, "reason": null, "scope": null,
        "stream": format!("unit/{stream}"), "type": "unit.amended", "unit": null, "v": 1, "ver": version,
    }));
    Forged { engine, event, stream, version, leaf: Vec::new(), hash: [0; 32] }.with(leaf.unwrap())
}

impl Forged {
    /// The first event of a record of its own; there is no row that stands on it.
    pub fn first(engine: Engine) -> Self {
        forged(engine, thidua::id::new_id(), 1, &[], [true, false])
    }

    /// With another leaf, and its hash.
    pub fn with(self, leaf: impl Into<Vec<u8>>) -> Self {
        let leaf = leaf.into();
        let hash = match std::str::from_utf8(&leaf) {
            Ok(text) => leaf_hash(text),
            Err(_) => [7; 32],
        };
        Self { leaf, hash, ..self }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.leaf).unwrap()
    }

    /// With the leaf changed as text.
    pub fn rewritten(&self, from: &str, to: &str) -> Self {
        assert!(self.text().contains(from), "{from} in {}", self.text());
        self.clone().with(self.text().replace(from, to))
    }

    /// With a member of the leaf changed, in canonical form.
    pub fn saying(&self, member: &str, value: Value) -> Self {
        let mut leaf: Value = serde_json::from_slice(&self.leaf).unwrap();
        leaf[member] = value;
        self.clone().with(canonical(&leaf).unwrap())
    }

    /// The event that would follow this one, once its row has changed.
    pub fn then(&self) -> Self {
        forged(self.engine, self.stream, self.version + 1, &self.hash, [false, true])
    }

    pub fn insert(&self) -> String {
        Self::insert_all(std::slice::from_ref(self))
    }

    pub fn insert_all(events: &[Self]) -> String {
        format!(
            "INSERT INTO audit_inbox (event_id, stream_type, stream_id, stream_ver, event_type, corr_id, at, day, leaf, \
             leaf_hash) VALUES {}",
            events.iter().map(Self::values).collect::<Vec<_>>().join(", ")
        )
    }

    fn values(&self) -> String {
        format!(
            "({}, 'unit', {}, {}, 'unit.amended', '00', {}, '2026-01-01', {}, {})",
            id(self.engine, self.event),
            id(self.engine, self.stream),
            self.version,
            parse_rfc3339(AT).unwrap(),
            self.literal(),
            bytes(self.engine, &self.hash),
        )
    }

    pub fn change(&self) -> String {
        format!(
            "UPDATE unit SET version = {}, tip = {}, updated_at = {}, fictitious = NOT fictitious WHERE id = {}",
            self.version,
            bytes(self.engine, &self.hash),
            parse_rfc3339(AT).unwrap(),
            id(self.engine, self.stream),
        )
    }

    pub fn quarantine(&self) -> String {
        format!(
            "INSERT INTO audit_quarantine (event_id, found_at, leaf, leaf_hash) \
             SELECT event_id, 0, leaf, leaf_hash FROM audit_inbox WHERE event_id = {}",
            id(self.engine, self.event)
        )
    }

    pub fn throw_away(&self) -> String {
        format!("DELETE FROM audit_inbox WHERE event_id = {}", id(self.engine, self.event))
    }

    /// Into the log, at so many positions behind the last, with this expression for the unit concerned.
    pub fn seal(&self, gap: i64, unit: &str) -> String {
        format!(
            "INSERT INTO audit_event (seq, event_id, stream_type, stream_id, stream_ver, event_type, actor_id, unit_id, \
             scope_id, corr_id, at, day, sealed_at, leaf) SELECT (SELECT size FROM audit_head) + {gap}, event_id, \
             stream_type, stream_id, stream_ver, event_type, actor_id, {unit}, scope_id, corr_id, at, day, 0, leaf \
             FROM audit_inbox WHERE event_id = {}",
            id(self.engine, self.event)
        )
    }

    fn literal(&self) -> String {
        match self.engine {
            // Text of which nobody has looked at the bytes.
            Engine::Sqlite => format!("CAST(x'{}' AS TEXT)", hex(&self.leaf)),
            Engine::Postgres => format!("'{}'", self.text().replace('\'', "''")),
        }
    }
}

pub fn id(engine: Engine, id: Uuid) -> String {
    match engine {
        Engine::Sqlite => format!("x'{}'", id.simple()),
        Engine::Postgres => format!("'{id}'"),
    }
}

fn bytes(engine: Engine, bytes: &[u8]) -> String {
    match engine {
        Engine::Sqlite => format!("x'{}'", hex(bytes)),
        Engine::Postgres => format!("'\\x{}'", hex(bytes)),
    }
}

/// Runs the statements in one transaction, which stays open.
pub async fn in_one_transaction(raw: &DatabaseConnection, statements: &[String]) -> DatabaseTransaction {
    let tx = raw.begin().await.unwrap();
    for sql in statements {
        tx.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    tx
}

/// Runs the statements in one transaction, of which the guard refuses the last.
pub async fn refused_at_last(raw: &DatabaseConnection, statements: &[String]) {
    let (last, before) = statements.split_last().unwrap();
    let tx = in_one_transaction(raw, before).await;
    let result = tx.execute_unprepared(last).await;
    tx.rollback().await.unwrap();
    let text = result.err().unwrap_or_else(|| panic!("went through: {last}")).to_string();
    let known = ["audit guard", "duplicate key"];
    assert!(known.iter().any(|word| text.contains(word)), "{last}: {text}");
}
