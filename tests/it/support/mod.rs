//! A world for a test: a database of its own, a running service, people with roles.

pub mod browser;
pub mod campaign;
pub mod clock;
pub mod cluster;
pub mod contract;
pub mod corpus;
pub mod database;
pub mod demo;
pub mod disk;
pub mod forge;
pub mod http;
pub mod issuer;
pub mod page;
pub mod program;
pub mod proxy;
pub mod watch;
pub mod witness;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpServer, web};
use thidua::auth::Role;
use thidua::auth::keyring::Keyring;
use thidua::auth::keys::Keys;
use thidua::auth::sign::{Claims, SigningKey};
use thidua::auth::token::Verifier;
use thidua::clock::now;
use thidua::commands::grant;
use thidua::db::{Db, Outcome, WriteTx};
use thidua::grants::GrantDraft;
use thidua::http::limits::Limits;
use thidua::http::{App, Shared};
use thidua::log::anchor::Anchor;
use thidua::log::proof::key::{Algorithm, SigningKey as LogKey};
use thidua::log::signer::{self, Signer};
use thidua::units::{Dated, SuccessionDraft, SuccessionKind, UnitDraft, UnitKind, store};
use uuid::Uuid;

pub use database::{Database, Engine};
pub use http::{Answer, Person};

pub const ISSUER: &str = "https://idp.test";
pub const AUDIENCE: &str = "thidua-test";

/// Runs one body on SQLite and on PostgreSQL.
#[macro_export]
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$meta])*
            async fn body($world: &$crate::support::World) $body

            #[actix_web::test]
            async fn sqlite() {
                $crate::support::run($crate::support::Engine::Sqlite, async |world| body(world).await).await;
            }

            #[actix_web::test]
            async fn postgres() {
                $crate::support::run($crate::support::Engine::Postgres, async |world| body(world).await).await;
            }
        }
    )+};
}

/// A started program; dies with the test, however that ends.
pub struct Running(pub std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says in one line, past the test harness's capture, what is not tested here and why.
pub fn not_tested(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "{what} is not tested: {why}");
}

/// Says one line past the test harness's capture: the figures of a run.
pub fn said(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// True if the environment says that whatever this stands for must be there.
pub fn required(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// An address on which nothing listens.
pub fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Runs `body` in a fresh world, unless the engine is not there and need not be.
pub async fn run(engine: Engine, body: impl AsyncFnOnce(&World)) {
    if let Some(database) = Database::create(engine).await {
        let world = World::new(database).await;
        body(&world).await;
        world.end().await;
    }
}

/// A running service around a database of its own.
pub struct World {
    pub db: Db,
    pub database: Database,
    pub base: String,
    pub client: reqwest::Client,
    pub units: Units,
    pub shared: App,
    key: SigningKey,
    pub jwks: String,
    server: actix_web::dev::ServerHandle,
    /// What was signed last is remembered in its file `anchor`.
    pub anchor: tempfile::TempDir,
}

/// The name of a test's log.
pub const ORIGIN: &str = "test.thidua.invalid/log";

/// The key of every test's log.
pub fn log_key() -> LogKey {
    LogKey::from_seed(ORIGIN, Algorithm::Ed25519, &[7; 32]).unwrap()
}

/// Signs the log of this database.
pub async fn signer(db: &Db, anchor: &Path) -> Arc<Signer> {
    let keys = signer::Keys::new(vec![log_key()], Anchor::at(anchor), None).unwrap();
    let signer = Arc::new(Signer::new(db.clone(), keys));
    signer.start().await.unwrap();
    signer
}

/// The units that every world has: a district whose communes A and B became N on 1 July 2025.
#[derive(Clone, Copy)]
pub struct Units {
    pub province: Uuid,
    pub district: Uuid,
    pub commune_a: Uuid,
    pub commune_b: Uuid,
    pub commune_n: Uuid,
    /// Under A until 30 June 2025, then under N.
    pub village_a: Uuid,
    /// Under B until 30 June 2025, then under N.
    pub village_b: Uuid,
    pub home_affairs: Uuid,
    pub front: Uuid,
    pub enterprise: Uuid,
}

impl World {
    pub async fn new(database: Database) -> Self {
        let db = database.connect().await;
        let new = SigningKey::generate().unwrap();
        let key = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        let verifier = verifier(Keys::from_jwks(&new.jwks).unwrap());
        let shared = Shared::new(db.clone(), verifier, Limits::default(), None).await.unwrap();
        let anchor = tempfile::tempdir().unwrap();
        let signer = signer(&db, &anchor.path().join("anchor")).await;
        let shared = web::Data::new(shared.signed_by(signer));
        db.start_sealer();
        let (base, handle) = serve(&shared);
        // Shorter than the server keeps a connection that nobody uses: a request never meets its closing.
        let idle = Duration::from_secs(2);
        let client =
            reqwest::Client::builder().timeout(Duration::from_secs(30)).pool_idle_timeout(idle).build().unwrap();
        let units = units(&db).await;
        Self { db, database, base, client, units, shared, key, jwks: new.jwks, server: handle, anchor }
    }

    /// Another service around the same database, with limits of its own: its address.
    pub async fn beside(&self, limits: Limits) -> (String, actix_web::dev::ServerHandle) {
        let verifier = verifier(Keys::from_jwks(&self.jwks).unwrap());
        let shared = Shared::new(self.db.clone(), verifier, limits, None).await.unwrap();
        serve(&web::Data::new(shared.signed_by(self.shared.signer.clone().unwrap())))
    }

    pub async fn end(self) {
        self.server.stop(false).await;
        self.db.close().await;
        self.database.remove().await;
    }

    /// A person with this role over this unit.
    pub async fn person(&self, role: Role, unit: Option<Uuid>) -> Person<'_> {
        let subject = format!("{role}-{}", unit.map(|unit| unit.to_string()).unwrap_or_default());
        let draft = GrantDraft {
            issuer: ISSUER.into(),
            subject: subject.clone(),
            label: None,
            role,
            unit,
            valid_from: None,
            valid_to: None,
        };
        let account = grant::give(&self.db, &draft).await.unwrap();
        Person { world: self, account, token: Some(self.token(&subject)) }
    }

    /// Somebody without a token.
    pub fn nobody(&self) -> Person<'_> {
        Person { world: self, account: Uuid::nil(), token: None }
    }

    /// A valid token for this subject, whether or not an account stands behind it.
    pub fn token(&self, subject: &str) -> String {
        self.token_for(subject, 600)
    }

    /// A token that lives for so many seconds.
    pub fn token_for(&self, subject: &str, seconds: i64) -> String {
        let iat = now() / 1_000_000;
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: subject.into(),
            iat,
            exp: iat + seconds,
            jti: Uuid::nil().to_string(),
            sid: None,
        };
        self.key.sign(&claims).unwrap()
    }
}

/// Believes this issuer by these keys.
pub fn verifier(keys: impl Into<Keyring>) -> Verifier {
    Verifier {
        keys: keys.into(),
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        max_lifetime: Duration::from_secs(900),
    }
}

/// Serves on an address of its own.
pub fn serve(shared: &App) -> (String, actix_web::dev::ServerHandle) {
    let shared = shared.clone();
    let server = HttpServer::new(move || thidua::app::app(shared.clone()));
    let server = server
        .workers(2)
        .disable_signals()
        .on_connect(|io, _| thidua::http::limits::forget_the_deaf(io))
        .bind("127.0.0.1:0")
        .unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (base, handle)
}

/// Registers so many villages, sealed, at this time or now; a hundred at a time, since a transaction has its limit.
pub async fn many(world: &World, events: usize, at: i64) {
    let console = grant::console();
    let context = thidua::db::Context { at: if at == 0 { console.at } else { at }, ..console };
    let mut left = events;
    while left > 0 {
        let some = left.min(100);
        let written = world.db.record(&context, async |tx: &WriteTx<'_>| {
            for _ in 0..some {
                store::register(tx, thidua::id::new_id(), &unit("Bản", UnitKind::Village, None)).await?;
            }
            Ok(Outcome::Changed(()))
        });
        written.await.unwrap();
        left -= some;
    }
    world.db.settle().await.unwrap();
}

/// A dated value from the first day of 2021.
pub fn since<T>(value: T) -> Vec<Dated<T>> {
    vec![Dated::new(value, day("2021-01-01"), None)]
}

pub fn day(text: &str) -> chrono::NaiveDate {
    text.parse().unwrap()
}

/// A draft of a unit known since 2021.
pub fn unit(name: &str, kind: UnitKind, parent: Option<Uuid>) -> UnitDraft {
    UnitDraft {
        codes: vec![],
        names: since(name.to_owned()),
        kinds: since(kind),
        parents: parent.map(since).unwrap_or_default(),
        area_classes: vec![],
        exists_from: day("2021-01-01"),
        exists_to: None,
        fictitious: true,
    }
}

async fn units(db: &Db) -> Units {
    let first: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0000;
    let ids: Vec<Uuid> = (1..=10).map(|n| Uuid::from_u128(first + n)).collect();
    let units = Units {
        province: ids[0],
        district: ids[1],
        commune_a: ids[2],
        commune_b: ids[3],
        commune_n: ids[4],
        village_a: ids[5],
        village_b: ids[6],
        home_affairs: ids[7],
        front: ids[8],
        enterprise: ids[9],
    };
    let last_day = Some(day("2025-06-30"));
    let ended = |draft: UnitDraft| UnitDraft { exists_to: last_day, ..draft };
    let coded = |mut draft: UnitDraft, code: &str| {
        let to = draft.exists_to;
        draft.codes = vec![Dated::new(code.to_owned(), draft.exists_from, to)];
        draft
    };
    let moving = |name: &str, before: Uuid| {
        let mut draft = unit(name, UnitKind::Village, Some(before));
        draft.parents[0].to = last_day;
        draft.parents.push(Dated::new(units.commune_n, day("2025-07-01"), None));
        draft
    };
    let mut new = unit("Xã Mới", UnitKind::Commune, Some(units.province));
    for list_from in [&mut new.names[0].from, &mut new.kinds[0].from, &mut new.parents[0].from, &mut new.exists_from] {
        *list_from = day("2025-07-01");
    }
    let drafts = [
        (units.province, unit("Tỉnh Thử", UnitKind::Province, None)),
        (units.district, ended(unit("Huyện Thử", UnitKind::District, Some(units.province)))),
        (units.commune_a, coded(ended(unit("Xã Ấ", UnitKind::Commune, Some(units.district))), "03688")),
        (units.commune_b, coded(ended(unit("Xã Bê", UnitKind::Commune, Some(units.district))), "03682")),
        (units.commune_n, coded(new, "03688")),
        (units.village_a, moving("Bản Ấ", units.commune_a)),
        (units.village_b, moving("Bản Bê", units.commune_b)),
        (units.home_affairs, unit("Phòng Nội vụ", UnitKind::Agency, Some(units.district))),
        (units.front, unit("Mặt trận Tổ quốc", UnitKind::FrontOrMassOrg, Some(units.district))),
        (units.enterprise, unit("Công ty Thử", UnitKind::Enterprise, Some(units.district))),
    ];
    let merger = SuccessionDraft {
        kind: SuccessionKind::Merge,
        effective_on: day("2025-07-01"),
        predecessors: vec![units.commune_a, units.commune_b],
        successors: vec![units.commune_n],
        basis: "Nghị quyết thử".into(),
    };
    db.record(&grant::console(), async |tx: &WriteTx<'_>| {
        store::lock_room(tx).await?;
        for (id, draft) in &drafts {
            store::register(tx, *id, draft).await?;
        }
        store::record_succession(tx, thidua::id::new_id(), &merger, &[]).await?;
        store::derive(tx.conn()).await?;
        Ok(Outcome::Changed(()))
    })
    .await
    .unwrap();
    units
}
