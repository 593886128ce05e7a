//! A database for one test: a file, or a copy of a migrated template on the PostgreSQL server.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, Database as Sea, DatabaseConnection, DbBackend, Statement};
use thidua::db::{Db, Roles, Urls};
use tokio::sync::OnceCell;

use super::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

pub struct Database {
    pub engine: Engine,
    pub url: String,
    /// Removed with the test.
    _directory: Option<tempfile::TempDir>,
    name: String,
    /// Who serves it in place of its owner.
    pub roles: Option<Roles>,
    /// Where the keys are that seal its personal values.
    pub keys: Option<Box<Database>>,
}

/// Where test databases can be created, if anywhere.
pub fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    let found = SERVER.get_or_init(|| {
        let url =
            std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
        let address =
            url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("127.0.0.1:5432").to_owned();
        let there = std::net::TcpStream::connect(address).is_ok() && lets_in(&url);
        let required = std::env::var("REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
        assert!(there || !required, "REQUIRE_POSTGRES=1, but no PostgreSQL answers at {url}");
        // Past the test harness's capture, so that a plain `cargo test` says it in one line.
        let engines = if there { "SQLite and PostgreSQL" } else { "SQLite only (no PostgreSQL found)" };
        let _ = writeln!(std::io::stderr(), "engines: {engines}");
        there.then_some(url)
    });
    found.as_deref()
}

/// True if somebody may log in there: a server that asks for a password is not ours to test with.
fn lets_in(url: &str) -> bool {
    let url = url.to_owned();
    // In a thread of its own: whoever asks first may be inside a runtime.
    let login = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Sea::connect(url).await.is_ok() })
    });
    login.join().unwrap_or(false)
}

impl Database {
    /// Migrated. The test that has it is watched from here on.
    pub async fn create(engine: Engine) -> Option<Self> {
        watch::watch(watch::LONGEST);
        let database = match engine {
            Engine::Sqlite => Self::sqlite().await,
            Engine::Postgres => match server()? {
                server if super::required("TEST_ROLES") => Self::postgres(server).await.served_by_roles().await,
                server => Self::postgres(server).await,
            },
        };
        Some(if super::required("TEST_SUBJECT_KEYS") { database.sealing().await } else { database })
    }

    /// With a key database beside it; `TEST_SUBJECT_KEYS=1` does that for every test.
    pub async fn sealing(mut self) -> Self {
        if self.keys.is_none() {
            self.keys = Box::pin(Self::empty(self.engine)).await.map(Box::new);
            let db = Db::connect(Urls { keys: self.urls().keys, ..Urls::from(&self.url) }).await.unwrap();
            db.migrate().await.unwrap();
            db.close().await;
        }
        self
    }

    /// PostgreSQL: with roles of its own, which go with it. `TEST_ROLES=1` does that for every test.
    pub async fn served_by_roles(mut self) -> Self {
        if self.roles.is_some() {
            return self;
        }
        let name = |part: &str| format!("{}_{part}", self.name);
        let roles =
            Roles { app: name("app"), sealer: name("sealer"), auditor: name("auditor"), eraser: name("eraser") };
        let raw = self.raw().await;
        for role in roles.names() {
            execute(&raw, &format!("CREATE ROLE {role} LOGIN PASSWORD 'test'")).await;
        }
        raw.close().await.unwrap();
        let db = Db::connect(Urls { keys: self.urls().keys, ..Urls::from(&self.url) }).await.unwrap();
        db.migrate_for(&roles).await.unwrap();
        db.close().await;
        self.roles = Some(roles);
        self
    }

    /// As whom the service connects.
    pub fn urls(&self) -> Urls {
        let keys = self.keys.as_ref().map(|keys| keys.url.clone());
        let Some(roles) = &self.roles else { return Urls { keys, ..Urls::from(&self.url) } };
        let (sealer, eraser) = (self.url_of(&roles.sealer), self.url_of(&roles.eraser));
        Urls { app: self.url_of(&roles.app), sealer: Some(sealer), eraser: Some(eraser), keys }
    }

    /// The URL of one of its roles.
    pub fn url_of(&self, role: &str) -> String {
        let (_, place) = self.url.split_once('@').unwrap();
        format!("postgres://{role}:test@{place}")
    }

    async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("test.db").display());
        let db = Db::connect(&url).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await;
        Self { engine: Engine::Sqlite, url, _directory: Some(directory), name: String::new(), roles: None, keys: None }
    }

    async fn postgres(server: &str) -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(|| template(server)).await;
        let admin = admin(server).await;
        let name = format!("thidua_test_{}", thidua::id::new_id().simple());
        // Copying needs the template to itself for a moment.
        let sql = "SELECT pg_advisory_lock(740001)";
        execute(&admin, sql).await;
        execute(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        execute(&admin, "SELECT pg_advisory_unlock(740001)").await;
        admin.close().await.unwrap();
        Self {
            engine: Engine::Postgres,
            url: with_database(server, &name),
            _directory: None,
            name,
            roles: None,
            keys: None,
        }
    }

    /// A database without a schema.
    pub async fn empty(engine: Engine) -> Option<Self> {
        watch::watch(watch::LONGEST);
        match (engine, server()) {
            (Engine::Sqlite, _) => {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", directory.path().join("test.db").display());
                Some(Self { engine, url, _directory: Some(directory), name: String::new(), roles: None, keys: None })
            }
            (Engine::Postgres, None) => None,
            (Engine::Postgres, Some(server)) => {
                let admin = admin(server).await;
                let name = format!("thidua_test_{}", thidua::id::new_id().simple());
                execute(&admin, &format!("CREATE DATABASE {name}")).await;
                admin.close().await.unwrap();
                Some(Self {
                    engine,
                    url: with_database(server, &name),
                    _directory: None,
                    name,
                    roles: None,
                    keys: None,
                })
            }
        }
    }

    pub async fn connect(&self) -> Db {
        Db::connect(self.urls()).await.unwrap()
    }

    /// A connection that knows nothing of the door: what a database administrator has.
    pub async fn raw(&self) -> DatabaseConnection {
        Sea::connect(&self.url).await.unwrap()
    }

    pub async fn remove(self) {
        if let Some(keys) = self.keys {
            Box::pin(keys.remove()).await;
        }
        if let (Engine::Postgres, Some(server)) = (self.engine, server()) {
            let admin = admin(server).await;
            execute(&admin, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await;
            for role in self.roles.iter().flat_map(Roles::names) {
                execute(&admin, &format!("DROP ROLE {role}")).await;
            }
            admin.close().await.unwrap();
        }
    }
}

/// The migrated template of this very schema; made once, whoever comes first.
async fn template(server: &str) -> String {
    let name = format!("thidua_template_{}", schema_digest());
    let admin = admin(server).await;
    execute(&admin, "SELECT pg_advisory_lock(740001)").await;
    let exists = format!("SELECT 1 AS one FROM pg_database WHERE datname = '{name}'");
    let statement = Statement::from_string(DbBackend::Postgres, exists);
    if admin.query_one_raw(statement).await.unwrap().is_none() {
        let draft = format!("{name}_draft");
        execute(&admin, &format!("DROP DATABASE IF EXISTS {draft} WITH (FORCE)")).await;
        execute(&admin, &format!("CREATE DATABASE {draft}")).await;
        let db = Db::connect(&with_database(server, &draft)).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await;
        execute(&admin, &format!("ALTER DATABASE {draft} RENAME TO {name}")).await;
    }
    execute(&admin, "SELECT pg_advisory_unlock(740001)").await;
    admin.close().await.unwrap();
    name
}

fn schema_digest() -> String {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migration/src");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    thidua::canonical::hex(&thidua::canonical::sha256(&text))[..16].to_owned()
}

async fn admin(server: &str) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(server);
    options.max_connections(1).sqlx_logging(false);
    Sea::connect(options).await.unwrap()
}

async fn execute(conn: &DatabaseConnection, sql: &str) {
    conn.execute_unprepared(sql).await.unwrap();
}

fn with_database(server: &str, name: &str) -> String {
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
