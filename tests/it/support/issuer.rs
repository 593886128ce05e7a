//! An issuer on this machine, which publishes its keys as it is told, and a service that believes it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web;
use serde_json::{Value, json};
use thidua::auth::keyring::{Ages, Keyring};
use thidua::auth::sign::{Claims, SigningKey};
use thidua::auth::source::{Remote, Source, Transport};
use thidua::clock::now;
use thidua::http::Shared;
use thidua::http::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::http::send;
use super::{AUDIENCE, Answer, ISSUER, World, serve, verifier};

/// What the issuer does with whoever asks for its keys.
#[derive(Clone)]
pub enum Manner {
    /// Answers with this status and body.
    Answer(u16, Vec<u8>),
    /// Answers so after a while.
    Late(Duration, Vec<u8>),
    /// Sends the caller elsewhere.
    Redirect(String),
    /// Sends these bytes as they are, and hangs up.
    Raw(Vec<u8>),
    /// Sends a good head and then a byte in a while, for ever.
    Drip,
    /// Takes the request and says nothing.
    Hang,
}

impl Manner {
    /// A good answer with this text.
    pub fn good(text: impl Into<String>) -> Self {
        Self::Answer(200, text.into().into_bytes())
    }
}

pub struct Issuer {
    pub url: String,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Issuer {
    pub async fn new(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let manner = Arc::new(Mutex::new(manner));
        let counters: [Arc<AtomicUsize>; 3] = Default::default();
        let (shared, [asked, _, most_at_once]) = (manner.clone(), counters.clone());
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manner, [asked, at_once, most]) = (shared.clone(), counters.clone());
                tokio::spawn(async move {
                    asked.fetch_add(1, Ordering::SeqCst);
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let manner = manner.lock().unwrap().clone();
                    // Whoever is refused a redirect or a huge body hangs up first.
                    let _ = meet(stream, manner).await;
                    at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, manner, asked, most_at_once, listening }
    }

    /// From now on.
    pub fn does(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How often anybody asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The most that asked at the same time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    pub fn source(&self) -> Source {
        Source::Url(Remote::new(&self.url, None, Transport::HttpOnLoopback).unwrap())
    }

    pub fn keyring(&self, ages: Ages) -> Keyring {
        Keyring::of(self.source(), ages)
    }
}

async fn meet(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    match manner {
        Manner::Answer(status, body) => answer(&mut stream, status, &body).await,
        Manner::Late(pause, body) => {
            tokio::time::sleep(pause).await;
            answer(&mut stream, 200, &body).await
        }
        Manner::Redirect(to) => {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Manner::Raw(bytes) => stream.write_all(&bytes).await,
        Manner::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n").await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Manner::Hang => {
            stream.read_u8().await?;
            Ok(())
        }
    }
}

async fn answer(stream: &mut TcpStream, status: u16, body: &[u8]) -> std::io::Result<()> {
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

/// A key of the issuer, and its public half as it stands in a key set.
#[derive(Clone)]
pub struct Key {
    pub private: SigningKey,
    pub public: Value,
}

impl Key {
    pub fn new() -> Self {
        let new = SigningKey::generate().unwrap();
        let private = SigningKey::from_pem(new.private_pem.expose(), &new.kid).unwrap();
        let set: Value = serde_json::from_str(&new.jwks).unwrap();
        Self { private, public: set["keys"][0].clone() }
    }

    /// A fresh token for this person.
    pub fn token(&self, person: &str) -> String {
        let iat = now() / 1_000_000;
        let jti = thidua::id::new_id().to_string();
        let (iss, aud, sub) = (ISSUER.into(), AUDIENCE.into(), person.into());
        self.private.sign(&Claims { iss, aud, sub, iat, exp: iat + 600, jti, sid: None }).unwrap()
    }
}

/// The key set of these keys.
pub fn key_set(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| &key.public).collect::<Vec<_>>() }).to_string()
}

/// A second service on a world's database, which believes whom it is told to.
pub struct Service {
    pub base: String,
    pub keyring: Keyring,
    client: reqwest::Client,
    server: actix_web::dev::ServerHandle,
    keeping: tokio::task::JoinHandle<()>,
}

impl Service {
    pub async fn new(world: &World, keyring: Keyring) -> Self {
        let verifier = verifier(keyring.clone());
        let shared = Shared::new(world.db.clone(), verifier, Limits::default(), None).await.unwrap();
        let (base, server) = serve(&web::Data::new(shared));
        let keeping = tokio::spawn(keyring.clone().keep());
        Self { base, keyring, client: world.client.clone(), server, keeping }
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        let request = self.client.get(format!("{}{path}", self.base));
        send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    /// Waits until `path` answers with this status.
    pub async fn becomes(&self, path: &str, token: Option<&str>, status: u16) -> Answer {
        for _ in 0..400 {
            let answer = self.get(path, token).await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} never answered {status}");
    }

    pub async fn end(self) {
        self.keeping.abort();
        self.server.stop(false).await;
    }
}
