//! A log of a few hundred events of several kinds, as the service writes it, and what an auditor holds of it.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait};
use serde_json::{Value, json};
use thidua::auth::Role;
use thidua::commands::grant::console;
use thidua::db::{Event as Happened, Outcome, WriteTx};
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::history::Link;
use thidua::log::proof::policy::Policy;
use thidua::log::proof::state::{Consistency, remembered};
use thidua::log::proof::tree::{Hash, leaf_hash};
use thidua::log::store;
use thidua::units::{UnitKind, store as units};
use uuid::Uuid;

use super::given::{self, Given};
use crate::support::{Engine, World, unit};

/// An event as it was written.
#[derive(Clone)]
pub struct Event {
    pub leaf: Vec<u8>,
    pub value: Value,
    pub stream: String,
    pub version: u64,
}

impl Event {
    pub fn of(leaf: &[u8]) -> Self {
        let link = Link::of(leaf).unwrap();
        let (stream, version) = (link.stream.to_owned(), link.version);
        Self { leaf: leaf.to_vec(), value: serde_json::from_slice(leaf).unwrap(), stream, version }
    }

    pub fn kind(&self) -> &str {
        self.stream.split('/').next().unwrap()
    }

    pub fn record(&self) -> Uuid {
        self.stream.split('/').nth(1).unwrap().parse().unwrap()
    }
}

/// The true log, and the database that it stands in, without its guards.
pub struct Story<'w> {
    pub world: &'w World,
    pub raw: DatabaseConnection,
    pub engine: Engine,
    pub policy: Policy,
    pub events: Vec<Event>,
    pub hashes: Vec<Hash>,
    /// Every checkpoint that was signed, the smallest first.
    pub signed: Vec<(Checkpoint, String)>,
    /// What the auditor has, from the middle.
    pub held: Checkpoint,
}

impl<'w> Story<'w> {
    /// Writes it.
    pub async fn tell(world: &'w World) -> Self {
        let mut signed = Vec::new();
        for (year, villages) in [(2022, 40), (2023, 60), (2024, 50)] {
            chapter(world, year, villages).await;
            signed.push(sign(world).await);
        }
        let held = signed[1].0.clone();
        let policy = world.nobody().get("/v1/log/policy").await.is(200).text;
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        chapter(world, 0, 35).await;
        signed.push(sign(world).await);
        for from in [0, 100, signed[1].0.size() + 7] {
            served(world, from, &held, &policy).await;
        }
        chapter(world, 0, 40).await;
        signed.push(sign(world).await);
        let leaves = store::leaves(world.db.reader().conn(), -1, 1_000_000).await.unwrap();
        let events: Vec<Event> = leaves.iter().map(|leaf| Event::of(&leaf.leaf)).collect();
        let hashes: Vec<Hash> = events.iter().map(|event| leaf_hash(&event.leaf)).collect();
        assert_eq!(signed.last().unwrap().0.size(), events.len() as u64);
        let (raw, engine) = (world.database.raw().await, world.database.engine);
        let story = Self { world, raw, engine, policy, events, hashes, signed, held };
        story.without_guards().await;
        let kinds: std::collections::BTreeSet<&str> = story.events.iter().map(Event::kind).collect();
        assert!(kinds.len() >= 7 && story.events.len() > 500, "{kinds:?}, {} events", story.events.len());
        assert!(story.held() > 256, "a tile is full before the middle");
        story
    }

    /// Events of the held checkpoint.
    pub fn held(&self) -> usize {
        usize::try_from(self.held.size()).unwrap()
    }

    pub fn newest(&self) -> &(Checkpoint, String) {
        self.signed.last().unwrap()
    }

    /// Nothing stops whoever owns the database.
    async fn without_guards(&self) {
        if self.engine == Engine::Postgres {
            return;
        }
        let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
        let rows = self.raw.query_all_raw(Statement::from_string(self.raw.get_database_backend(), sql)).await.unwrap();
        for row in rows {
            let name: String = row.try_get("", "name").unwrap();
            self.raw.execute_unprepared(&format!("DROP TRIGGER {name}")).await.unwrap();
        }
    }

    /// Everything that is done here is undone.
    pub async fn begin(&self) -> DatabaseTransaction {
        let tx = self.raw.begin().await.unwrap();
        if self.engine == Engine::Postgres {
            tx.execute_unprepared("SET LOCAL session_replication_role = replica").await.unwrap();
        }
        tx
    }

    pub async fn end(self) {
        self.raw.close().await.unwrap();
    }
}

/// Figures with personal notes, units that are amended for a reason, grants, an erasure, an export.
async fn chapter(world: &World, year: i64, villages: usize) {
    if year > 0 {
        for village in [world.units.village_a, world.units.village_b] {
            figure(world, village, year).await;
        }
        world.person(Role::FrontOfficer, Some(world.units.village_a)).await;
    }
    let console = console();
    for part in 0..villages.div_ceil(10) {
        let written = world.db.record(&console, async |tx: &WriteTx<'_>| {
            for number in part * 10..villages.min(part * 10 + 10) {
                let id = thidua::id::new_id();
                units::register(tx, id, &unit("Bản", UnitKind::Village, None)).await?;
                for again in 0..number % 4 {
                    let (old, name) = (units::locked(tx, id).await?, format!("Bản {again}"));
                    let draft = unit(&name, UnitKind::Village, None);
                    units::amend(tx, &old, &draft, Happened::because("unit.amended", "Đổi tên")).await?;
                }
            }
            units::derive(tx.conn()).await?;
            Ok(Outcome::Changed(()))
        });
        written.await.unwrap();
    }
    let auditor = world.person(Role::Auditor, None).await;
    let draft = json!({ "format": "ndjson", "purpose": "audit" });
    auditor.create("/v1/exports", &draft).await.is(201);
}

/// What the service itself gives away is believed.
async fn served(world: &World, from: u64, held: &Checkpoint, policy: &Policy) {
    let auditor = world.person(Role::Auditor, None).await;
    let draft = json!({ "format": "ndjson", "purpose": "audit", "from": from });
    let made = auditor.create("/v1/exports", &draft).await.is(201);
    let read = async |what: &str| auditor.get(&format!("/v1/exports/{}/{what}", made.id())).await.is(200).text;
    let (lines, file) = (read("content").await.into_bytes(), read("manifest").await);
    let to = made.json()["to"].as_u64().unwrap();
    let path = format!("/v1/log/consistency?from={}&to={to}", held.size());
    let consistency = Consistency::parse(&world.nobody().get(&path).await.is(200).text).unwrap();
    let given = Given { lines, file, consistency: Some(consistency), note: String::new() };
    assert_eq!(given::judge(policy, held, &given, None), Ok(to - from), "from {from}");
}

/// Reported, amended, confirmed, corrected; that of the first village is erased.
async fn figure(world: &World, village: Uuid, year: i64) {
    let reporter = world.person(Role::UnitReporter, Some(village)).await;
    let officer = world.person(Role::LabourOffice, Some(world.units.district)).await;
    let commune = if village == world.units.village_a { world.units.commune_a } else { world.units.commune_b };
    let counts = |poor: i64, note: &str| {
        json!({ "poor_households": poor, "recognised_by": commune,
            "decision_number": "15/QĐ-UBND", "note": note })
    };
    let body = json!({ "unit": village, "year": year, "poverty_standard": "2022-2025", "counts": counts(40, "một") });
    let made = reporter.create("/v1/figures", &body).await.is(201);
    let path = made.header("location").unwrap();
    let amended = json!({ "counts": counts(41, "hai") });
    let amended = reporter.change(&format!("{path}:amend"), &made.etag(), &amended).await.is(200);
    let confirmed = officer.change(&format!("{path}:confirm"), &amended.etag(), &json!({})).await.is(200);
    let correction = json!({ "counts": counts(39, "ba"), "reason": "Đếm nhầm" });
    officer.change(&format!("{path}:correct"), &confirmed.etag(), &correction).await.is(200);
    if village == world.units.village_a {
        let administrator = world.person(Role::Administrator, None).await;
        let draft = json!({ "subject": { "type": "figure", "id": made.id() }, "legal_basis": "consent_withdrawn" });
        administrator.create("/v1/erasures", &draft).await.is(201);
    }
}

/// Signs everything that is committed.
async fn sign(world: &World) -> (Checkpoint, String) {
    world.db.settle().await.unwrap();
    let size = thidua::log::seal::size(world.db.reader().conn()).await.unwrap();
    let signer = world.shared.signer.as_ref().unwrap();
    let signed = signer.covering(u64::try_from(size).unwrap()).await.unwrap();
    (remembered(&signed.note).unwrap(), signed.note)
}
