//! A witness on this machine that follows <https://c2sp.org/tlog-witness>: it remembers the last tree of each log that it
//! knows, and cosigns only what continues it. It can be told to lie.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use thidua::clock::now;
use thidua::log::proof::checkpoint::Checkpoint;
use thidua::log::proof::key::{Algorithm, SigningKey, VerifierKey};
use thidua::log::proof::note::{self, Note};
use thidua::log::proof::tree::{EMPTY_ROOT, Hash, verify_consistency};
use thidua::log::proof::witness::AddCheckpoint;

use super::log_key;

/// What a witness does with whoever asks.
#[derive(Clone, Debug)]
pub enum Manner {
    /// As the specification says.
    Honest,
    /// Cosigns with a key that nobody knows, under its own name.
    OtherKey,
    /// Cosigns another checkpoint.
    OtherText,
    /// Cosigns as of this time.
    At(u64),
    /// Answers this.
    Says(u16, String),
    /// Sends the caller elsewhere.
    Redirect(String),
}

struct State {
    log: VerifierKey,
    key: SigningKey,
    stranger: SigningKey,
    known: Mutex<HashMap<String, (u64, Hash)>>,
    manner: Mutex<Manner>,
    asked: AtomicUsize,
}

pub struct Witness {
    pub url: String,
    state: Arc<State>,
    server: actix_web::dev::ServerHandle,
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&format!("witness{number}.test"), Algorithm::CosignatureV1, &[100 + number; 32]).unwrap()
}

impl Witness {
    /// Knows the log of the tests.
    pub fn new(number: u8) -> Self {
        let stranger =
            SigningKey::from_seed(&format!("witness{number}.test"), Algorithm::CosignatureV1, &[200; 32]).unwrap();
        let state = State {
            log: log_key().verifier().clone(),
            key: key(number),
            stranger,
            known: Mutex::default(),
            manner: Mutex::new(Manner::Honest),
            asked: AtomicUsize::new(0),
        };
        let state = Arc::new(state);
        let shared = web::Data::from(state.clone());
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).route("/w/add-checkpoint", web::post().to(add))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/w", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, state, server: handle }
    }

    /// Its line of a policy.
    pub fn line(&self, name: &str) -> String {
        format!("witness {name} {} {}\n", self.state.key.verifier(), self.url)
    }

    pub fn key(&self) -> &VerifierKey {
        self.state.key.verifier()
    }

    /// From now on.
    pub fn does(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// How often anybody asked.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// The size of the tree that it cosigned last.
    pub fn knows(&self) -> u64 {
        self.state.known.lock().unwrap().values().map(|(size, _)| *size).max().unwrap_or_default()
    }

    /// Goes back to what it knew at some time, as after a restart from an older copy.
    pub fn restart(&self, known: Option<Checkpoint>) {
        let known = known.map(|tree| (tree.origin().to_owned(), (tree.size(), *tree.root())));
        *self.state.known.lock().unwrap() = known.into_iter().collect();
    }

    pub async fn end(self) {
        self.server.stop(false).await;
    }
}

async fn add(state: web::Data<State>, body: String) -> HttpResponse {
    state.asked.fetch_add(1, Ordering::SeqCst);
    let seconds = u64::try_from(now() / 1_000_000).unwrap();
    let manner = state.manner.lock().unwrap().clone();
    let checkpoint = body.parse::<AddCheckpoint>().map(|request| request.checkpoint().to_owned()).unwrap_or_default();
    let text = Note::parse(&checkpoint).map(|note| note.text).unwrap_or_default();
    match manner {
        Manner::Honest => answer(judge(&state, &body), |text| state.key.cosign(text, seconds).unwrap().to_string()),
        Manner::OtherKey => {
            let mut line = state.stranger.cosign(text, seconds).unwrap();
            line.key_id = state.key.verifier().id();
            HttpResponse::Ok().body(line.to_string())
        }
        Manner::OtherText => {
            let other = Checkpoint::new(log_key().verifier().name(), 1, EMPTY_ROOT).unwrap().to_string();
            HttpResponse::Ok().body(state.key.cosign(&other, seconds).unwrap().to_string())
        }
        Manner::At(time) => HttpResponse::Ok().body(state.key.cosign(text, time).unwrap().to_string()),
        Manner::Says(status, text) => {
            HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).body(text)
        }
        Manner::Redirect(to) => HttpResponse::TemporaryRedirect().insert_header(("location", to)).finish(),
    }
}

fn answer(judged: Result<String, (u16, String)>, cosign: impl FnOnce(&str) -> String) -> HttpResponse {
    match judged {
        Ok(text) => HttpResponse::Ok().body(cosign(&text)),
        Err((409, size)) => HttpResponse::Conflict().content_type("text/x.tlog.size").body(size),
        Err((status, _)) => HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish(),
    }
}

/// The text to cosign, or the status with what 409 says.
fn judge(state: &State, body: &str) -> Result<String, (u16, String)> {
    let refused = |status: u16| (status, String::new());
    let request: AddCheckpoint = body.parse().map_err(|_| refused(400))?;
    let text = Note::parse(request.checkpoint()).map_err(|_| refused(400))?.text.to_owned();
    let tree: Checkpoint = text.parse().map_err(|_| refused(400))?;
    if tree.origin() != state.log.name() {
        return Err(refused(404));
    }
    note::open(request.checkpoint(), std::slice::from_ref(&state.log)).map_err(|_| refused(403))?;
    let mut known = state.known.lock().unwrap();
    let (size, root) = known.get(tree.origin()).copied().unwrap_or((0, EMPTY_ROOT));
    if request.old_size() != size || size == tree.size() && root != *tree.root() {
        return Err((409, format!("{size}\n")));
    }
    verify_consistency(size, &root, tree.size(), tree.root(), request.proof()).map_err(|_| refused(422))?;
    known.insert(tree.origin().to_owned(), (tree.size(), *tree.root()));
    Ok(text)
}
