//! What a measurement lies in: a directory, a database with the campaign and one reporter, a service around it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use thidua::clock::Stopwatch;

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "thidua";
const CAMPAIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/campaigns/quynh-nhai-2021-2025");

/// A directory and the keys in it.
pub struct Bed {
    pub directory: tempfile::TempDir,
    /// May report for the commune.
    pub reporter: String,
    /// May do everything.
    pub administrator: String,
}

/// A database with the campaign, a reporter and an administrator.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub url: String,
    pub campaign: String,
    pub commune: String,
}

/// A started program; dies with the measurement.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// What the kernel says of its memory, in MB: `VmRSS` is resident now, `VmHWM` was at most.
    pub fn memory(&self, what: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
    }

    /// Seconds that it has spent on a core so far. Linux counts them in hundredths on every machine we know.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // Behind the name, which may have spaces: user and system time are the 14th and 15th field of all.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        [fields[11], fields[12]].map(|ticks| ticks.parse::<f64>().unwrap()).iter().sum::<f64>() / 100.0
    }
}

/// Both of them.
pub const ENGINES: [&str; 2] = ["SQLite", "PostgreSQL"];

/// The server where databases can be made.
pub fn server() -> String {
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into())
}

pub fn on_server(database: &str) -> String {
    let server = server();
    format!("{}/{database}", server.rsplit_once('/').unwrap().0)
}

pub async fn execute(url: &str, sql: &str) {
    let conn = Database::connect(url).await.unwrap();
    conn.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    conn.close().await.unwrap();
}

pub async fn scalar(conn: &DatabaseConnection, backend: DbBackend, sql: &str) -> String {
    let row = conn.query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// A fresh PostgreSQL database, copied from a template if one is given.
pub async fn create(name: &str, template: Option<&str>) -> String {
    drop_database(name).await;
    let from = template.map(|template| format!(" TEMPLATE {template}")).unwrap_or_default();
    execute(&server(), &format!("CREATE DATABASE {name}{from}")).await;
    on_server(name)
}

pub async fn drop_database(name: &str) {
    execute(&server(), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

impl Bed {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (private, jwks) = (directory.path().join("private.pem"), directory.path().join("jwks.json"));
        thidua(&["token", "new-key", "--private", text(&private), "--jwks", text(&jwks)]);
        let sign = |subject| {
            let words = ["token", "sign", "--private", text(&private), "--issuer", ISSUER, "--audience", AUDIENCE];
            let more = ["--subject", subject, "--lifetime", "86000"];
            thidua(&[&words[..], &more[..]].concat()).trim().to_owned()
        };
        Self { reporter: sign("reporter"), administrator: sign("administrator"), directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn sqlite(&self, name: &str) -> String {
        format!("sqlite://{}", text(&self.path(name)))
    }

    /// An empty database on one of [`ENGINES`]; what had its name before is gone.
    pub async fn database(&self, engine: &str, name: &str) -> String {
        self.discard(engine, name).await;
        match engine {
            "SQLite" => self.sqlite(&format!("{name}.db")),
            _ => create(&format!("thidua_figures_{name}"), None).await,
        }
    }

    /// Gives its disk back.
    pub async fn discard(&self, engine: &str, name: &str) {
        if engine != "SQLite" {
            return drop_database(&format!("thidua_figures_{name}")).await;
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.path(&format!("{name}.db{end}")));
        }
    }

    /// What a service is told so that it signs the log of this database, with a key of its own.
    pub fn log_key(&self, database: &str) -> [(&'static str, String); 2] {
        let (key, anchor) = (self.path(&format!("{database}.key")), self.path(&format!("{database}.anchor")));
        thidua(&["log", "new-key", "--origin", "figures.thidua.invalid/log", "--private", text(&key)]);
        [("THIDUA_LOG_KEY_FILE", text(&key).to_owned()), ("THIDUA_LOG_ANCHOR_FILE", text(&anchor).to_owned())]
    }

    /// Migrates, loads the campaign, gives the roles.
    pub async fn prepare(&self, url: &str) -> Prepared {
        let run = |words: &[&str]| thidua(&[words, &["--database-url", url]].concat());
        run(&["migrate"]);
        run(&["campaign", "load", CAMPAIGN]);
        let conn = Database::connect(url).await.unwrap();
        let backend = conn.get_database_backend();
        let hex = |column: &str| match backend {
            DbBackend::Postgres => format!("{column}::text"),
            _ => format!("lower(hex({column}))"),
        };
        let campaign = scalar(&conn, backend, &format!("SELECT {} FROM campaign", hex("id"))).await;
        let commune =
            format!("SELECT {} FROM unit_attribute WHERE attribute = 'kind' AND value = 'commune'", hex("unit_id"));
        let commune = scalar(&conn, backend, &format!("{commune} AND valid_to IS NOT NULL ORDER BY unit_id")).await;
        conn.close().await.unwrap();
        let (campaign, commune) = (dashed(&campaign), dashed(&commune));
        let grant = |subject, role, unit: &[&str]| {
            run(&[&["grant", "--issuer", ISSUER, "--subject", subject, "--role", role], unit].concat());
        };
        grant("administrator", "administrator", &[]);
        grant("reporter", "unit_reporter", &["--unit", &commune]);
        Prepared { url: url.to_owned(), campaign, commune }
    }

    /// The released service with a log that it signs.
    pub async fn serve_signed(&self, url: &str, key: &[(&str, String)]) -> (Running, String) {
        let key: Vec<(&str, &str)> = key.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (running, address, _) = self.serve(url, &key).await;
        (running, address)
    }

    /// The released service, once it is ready; also how long that took.
    pub async fn serve(&self, url: &str, more: &[(&str, &str)]) -> (Running, String, Duration) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.args(["serve", "--database-url", url]);
        self.start(command, more).await
    }

    /// One of the rivals.
    pub async fn rival(&self, kind: &str, url: &str, more: &[(&str, &str)]) -> (Running, String) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["rival", kind, "--database-url", url]);
        let (running, address, _) = self.start(command, more).await;
        (running, address)
    }

    async fn start(&self, mut command: Command, more: &[(&str, &str)]) -> (Running, String, Duration) {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        command.env("THIDUA_JWKS_FILE", self.path("jwks.json")).env("THIDUA_ISSUER", ISSUER);
        command.env("THIDUA_AUDIENCE", AUDIENCE).env("THIDUA_TOKEN_MAX_LIFETIME", "86400");
        command.env("THIDUA_RATE_PER_ADDRESS", "0").env("THIDUA_RATE_PER_CALLER", "0");
        command.env("THIDUA_LISTEN", &address).envs(more.iter().copied()).stdout(Stdio::null());
        // An answer that is cut off is met by whoever reads it.
        command.env("RUST_LOG", "error,actix_http=off");
        let began = Stopwatch::start();
        let running = Running(command.spawn().unwrap());
        while began.elapsed() < Duration::from_secs(60) {
            if super::load::status(&address, "/readyz").await == Some(200) {
                return (running, address, began.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("never ready");
    }
}

pub fn thidua(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_thidua")).args(words).env("RUST_LOG", "error").output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn dashed(id: &str) -> String {
    id.parse::<uuid::Uuid>().unwrap().to_string()
}

impl Prepared {
    /// A report of an activity: a write that reads units, the campaign and rights first.
    pub fn activity(&self) -> Value {
        json!({ "campaign": self.campaign, "unit": self.commune, "content": {
            "clause_kind": "II.b", "support_kind": "technique", "held_on": "2023-03-15",
            "title": "Tập huấn nuôi cá lồng", "resources": [], "households_helped": 1, "pupils_helped": 0,
            "beneficiary_area": "poor_person", "evidence": [] } })
    }
}

/// A revocation: a write that reads nothing but who calls.
pub fn revocation() -> Value {
    json!({ "jti": "c0ffee00-0000-4000-8000-000000000000", "reason": "Mất máy tính", "expires_at": "2200-01-01T00:00:00Z" })
}
