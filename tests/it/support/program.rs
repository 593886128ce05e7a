//! `thidua` as a program of its own around any database, and an administrator who calls it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use thidua::auth::sign::{Claims, SigningKey};
use thidua::clock::now;
use thidua::config::write_secret;

use super::watch::ended;
use super::{AUDIENCE, Answer, ISSUER, Running, free_address, log_key};

/// Who calls, in the issuer's words.
pub const CALLER: &str = "caller";

pub struct Program {
    pub url: String,
    pub base: String,
    /// Set for every process that is started, e.g. another clock.
    pub environment: Vec<(String, String)>,
    directory: tempfile::TempDir,
    listen: String,
    key: SigningKey,
    token: String,
    client: reqwest::Client,
}

impl Program {
    /// Around this database, which is migrated, with an administrator who calls.
    pub async fn new(url: &str) -> Self {
        let program = Self::around(url);
        program.begin();
        program
    }

    /// Around this database, as it is.
    pub fn around(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = SigningKey::generate().unwrap();
        std::fs::write(directory.path().join("jwks.json"), &new.jwks).unwrap();
        let key = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        let listen = free_address();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        let (base, token) = (format!("http://{listen}"), signed(&key, now() / 1_000_000));
        let url = url.to_owned();
        Self { url, base, environment: vec![], directory, listen, key, token, client }
    }

    /// Migrates, and lets the administrator in.
    pub fn begin(&self) {
        self.does(&["migrate"]);
        self.does(&["grant", "--issuer", ISSUER, "--subject", CALLER, "--role", "administrator"]);
    }

    /// From now on the log is signed, and what was signed is remembered in this file.
    pub fn signs(&mut self) -> PathBuf {
        let (key, anchor) = (self.directory.path().join("log.key"), self.anchor());
        write_secret(&key, &log_key().to_skey().unwrap()).unwrap();
        for (name, file) in [("THIDUA_LOG_KEY_FILE", &key), ("THIDUA_LOG_ANCHOR_FILE", &anchor)] {
            self.environment.push((name.to_owned(), file.display().to_string()));
        }
        anchor
    }

    /// The file in which it is remembered what was signed, once something is.
    pub fn anchor(&self) -> PathBuf {
        self.directory.path().join("anchor")
    }

    /// The command that runs it with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thidua"));
        command.args(words).env("THIDUA_DATABASE_URL", &self.url).env("RUST_LOG", "error");
        command.env("THIDUA_RATE_PER_CALLER", "0").env("THIDUA_RATE_PER_ADDRESS", "0");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a command that ends by itself; true if it succeeds.
    pub fn succeeds(&self, words: &[&str]) -> bool {
        ended(&mut self.command(words).spawn().unwrap()).success()
    }

    pub fn does(&self, words: &[&str]) {
        assert!(self.succeeds(words), "thidua {}", words.join(" "));
    }

    /// The command that serves.
    pub fn serving(&self) -> Command {
        let mut command = self.command(&["serve", "--listen", &self.listen]);
        command.env("THIDUA_JWKS_FILE", self.directory.path().join("jwks.json"));
        command.env("THIDUA_ISSUER", ISSUER).env("THIDUA_AUDIENCE", AUDIENCE);
        command.env("THIDUA_TOKEN_MAX_LIFETIME", "86400");
        command
    }

    /// Starts the service, and waits until it is ready.
    pub async fn serve(&self) -> Running {
        let running = Running(self.serving().spawn().unwrap());
        for _ in 0..400 {
            if self.client.get(format!("{}/readyz", self.base)).send().await.is_ok_and(|answer| answer.status() == 200)
            {
                return running;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the service did not become ready");
    }

    /// The caller's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// From now on the caller's token is of this time, in seconds.
    pub fn sign_at(&mut self, iat: i64) {
        self.token = signed(&self.key, iat);
    }

    /// The answer, or nothing if the connection broke first.
    pub async fn send(&self, request: RequestBuilder) -> Option<Answer> {
        let response = request.bearer_auth(&self.token).send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, text: response.text().await.ok()? })
    }

    pub async fn get(&self, path: &str) -> Option<Answer> {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// A request with a body that creates and changes nothing.
    pub async fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// A creating request.
    pub async fn create(&self, path: &str, key: &str, body: &Value) -> Option<Answer> {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.header("Idempotency-Key", key).json(body)).await
    }

    /// A changing request.
    pub async fn change(&self, path: &str, etag: &str, body: &Value) -> Option<Answer> {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.header("If-Match", etag).json(body)).await
    }

    /// Registers a village of this name.
    pub async fn register(&self, key: &str, name: &str) -> Option<Answer> {
        self.create("/v1/units", key, &village(name)).await
    }

    /// Gives a village another name.
    pub async fn rename(&self, id: &str, etag: &str, name: &str) -> Option<Answer> {
        let body = json!({ "unit": village(name), "reason": "Đổi tên" });
        self.change(&format!("/v1/units/{id}:amend"), etag, &body).await
    }
}

fn signed(key: &SigningKey, iat: i64) -> String {
    let (iss, aud, sub, jti) = (ISSUER.into(), AUDIENCE.into(), CALLER.into(), "j".into());
    key.sign(&Claims { iss, aud, sub, iat, exp: iat + 86_400, jti, sid: None }).unwrap()
}

/// A village known since 2021, as a client describes it.
pub fn village(name: &str) -> Value {
    json!({ "names": [{ "value": name, "from": "2021-01-01" }],
        "kinds": [{ "value": "village", "from": "2021-01-01" }], "exists_from": "2021-01-01" })
}
