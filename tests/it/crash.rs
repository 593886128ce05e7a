//! The process is killed under load, again and again: no acknowledged write is lost, none is doubled when it
//! is retried with its key, and the log still rebuilds.
//!
//! Four cycles here; `THIDUA_CRASH_CYCLES=1000` for a long run.

use std::collections::HashMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use thidua::auth::sign::{Claims, SigningKey};
use thidua::clock::now;

use crate::support::{AUDIENCE, Database, Engine, ISSUER, Running};

struct Service<'a> {
    database: &'a Database,
    jwks: std::path::PathBuf,
    port: u16,
    token: String,
    client: reqwest::Client,
}

impl<'a> Service<'a> {
    fn new(database: &'a Database, directory: &std::path::Path) -> Self {
        let new = SigningKey::generate().unwrap();
        let jwks = directory.join("jwks.json");
        std::fs::write(&jwks, &new.jwks).unwrap();
        let iat = now() / 1_000_000;
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: "crash".into(),
            iat,
            exp: iat + 86_400,
            jti: "j".into(),
            sid: None,
        };
        let token = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap().sign(&claims).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { database, jwks, port, token, client: reqwest::Client::new() }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.args(words).env("THIDUA_DATABASE_URL", &self.database.url).env("RUST_LOG", "error");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn serve(&self) -> Running {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = self.command(&["serve", "--listen", &listen]);
        command.env("THIDUA_JWKS_FILE", &self.jwks).env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE);
        command.env("THIDUA_RATE_PER_CALLER", "0").env("THIDUA_RATE_PER_ADDRESS", "0");
        Running(command.env("THIDUA_TOKEN_MAX_LIFETIME", "86400").spawn().unwrap())
    }

    async fn post(&self, key: &str) -> Option<(u16, Value)> {
        let body = json!({ "names": [{ "value": format!("Bản {key}"), "from": "2021-01-01" }],
            "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" });
        let request = self.client.post(format!("http://127.0.0.1:{}/v1/units", self.port));
        let request = request.bearer_auth(&self.token).header("Idempotency-Key", key).json(&body);
        let response = request.timeout(Duration::from_secs(20)).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    async fn ready(&self) {
        for _ in 0..200 {
            let answer = self.client.get(format!("http://127.0.0.1:{}/readyz", self.port)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the service did not become ready");
    }
}

/// Writes until the connection breaks; every acknowledged id goes into the ledger.
async fn write(service: &Service<'_>, worker: u32, cycle: u32, ledger: &Mutex<HashMap<String, Option<String>>>) {
    for n in 0.. {
        let key = format!("c{cycle}w{worker}n{n}");
        ledger.lock().unwrap().insert(key.clone(), None);
        match service.post(&key).await {
            Some((201, body)) => {
                let id = body["id"].as_str().unwrap().to_owned();
                ledger.lock().unwrap().insert(key, Some(id));
            }
            Some((503 | 409, _)) => {}
            Some((status, body)) => panic!("{status} {body}"),
            None => return,
        }
    }
}

async fn crash(engine: Engine) {
    let Some(database) = Database::create(engine).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let service = Service::new(&database, directory.path());
    let granted = ["grant", "--issuer", ISSUER, "--subject", "crash", "--role", "administrator"];
    assert!(service.command(&granted).status().unwrap().success());
    let ledger = Mutex::new(HashMap::new());
    let cycles = std::env::var("THIDUA_CRASH_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_u32);
    for cycle in 0..cycles {
        let mut child = service.serve();
        service.ready().await;
        let workers = (0..8).map(|worker| write(&service, worker, cycle, &ledger));
        let enough = 8 * (usize::try_from(cycle).unwrap() + 1);
        let kill = async {
            // Under load: only once writes are being acknowledged, and then at an odd moment.
            while ledger.lock().unwrap().values().flatten().count() < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_micros(u64::from(cycle * 977 % 5_000))).await;
            child.0.kill().unwrap();
        };
        futures_util::future::join(futures_util::future::join_all(workers), kill).await;
        child.0.wait().unwrap();
    }
    let mut child = service.serve();
    service.ready().await;
    let ledger = ledger.into_inner().unwrap();
    let acknowledged = ledger.values().flatten().count();
    assert!(acknowledged >= 8 * usize::try_from(cycles).unwrap(), "the load was a load: {acknowledged}");
    let mut ids = std::collections::HashSet::new();
    for (key, id) in &ledger {
        let (status, body) = service.post(key).await.unwrap();
        assert_eq!(status, 201, "{body}");
        let now = body["id"].as_str().unwrap().to_owned();
        assert!(id.as_ref().is_none_or(|id| *id == now), "{key} was acknowledged and then done again");
        assert!(ids.insert(now), "two keys, one record");
    }
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let db = database.connect().await;
    let fresh_url = format!("sqlite://{}", directory.path().join("fresh.db").display());
    let fresh = thidua::db::Db::connect(&fresh_url).await.unwrap();
    let report = thidua::log::rebuild::check(&db, &fresh, |_| {}).await.unwrap();
    assert_eq!(report.differences, Vec::<String>::new());
    // The grant's two events, then one an effect: nothing lost, nothing doubled.
    assert_eq!(report.events, ledger.len() + 2);
    db.close().await;
    database.remove().await;
}

#[actix_web::test]
async fn killed_under_load_on_sqlite() {
    crash(Engine::Sqlite).await;
}

#[actix_web::test]
async fn killed_under_load_on_postgres() {
    crash(Engine::Postgres).await;
}
