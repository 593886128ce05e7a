//! Asks witnesses to cosign checkpoints (<https://c2sp.org/tlog-witness>), so that nobody can be shown another history.
//!
//! Each witness of the policy that has a URL is told of every new checkpoint, one request at a time and at most one a
//! second. A witness that is away is no reason to stop: events are written and checkpoints signed, only what the policy
//! asks for is not there yet. What a witness answers is believed only where a signature makes it true: its own under our
//! checkpoint, or ours under a checkpoint that we do not know. An answer without one may be a lie, or a witness that was
//! restored, and only raises an alarm.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url, header, redirect};

use super::proof::key::VerifierKey;
use super::proof::note::Signature;
use super::proof::policy;
use super::proof::witness::AddCheckpoint;
use super::signer::{Signed, Signer};
use super::{checkpoints, prove};
use crate::auth::source::is_loopback;
use crate::clock::now;
use crate::error::Error;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the whole answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// More than any answer has: some signature lines, or a checkpoint.
const MAX_ANSWER: usize = 16 * 1024;
/// At most one request in this time.
const PACE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A witness cosigns now; clocks may differ by so many seconds.
const CLOCKS: u64 = 300;
/// A witness that names another size is asked again with that size, so often.
const ATTEMPTS: usize = 3;

/// Why a witness cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// No URL at all.
    #[error("the URL of the witness {0} cannot be read")]
    NotAUrl(String),
    /// Anybody on the way could answer in its place, and learn who asks.
    #[error(
        "the URL of the witness {0} must begin with https:// (http:// to a loopback address only), without a name or password"
    )]
    NotHttps(String),
    /// The client cannot be made.
    #[error("no client for the witness {0}: {1}")]
    Client(String, String),
}

/// A witness that can be asked.
#[derive(Debug)]
pub struct Witness {
    key: VerifierKey,
    url: Url,
    client: Client,
}

/// What came of a request, if it was not cosigned.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// It cosigned a tree of this size last.
    #[error("it knows {size} events")]
    Knows { size: u64, said: String },
    /// Our proof does not lead from what it knows to what we signed.
    #[error("it finds no consistency with what it knows")]
    Inconsistent { said: String },
    /// It wants to be left alone for a while.
    #[error("it answered {status}")]
    Status { status: u16, pause: Option<Duration> },
    /// What it answered is no cosignature of this checkpoint.
    #[error("{0}")]
    Useless(&'static str),
    /// No whole answer in time.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// Our own failure.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl Witness {
    /// The witness of a policy; none without a URL.
    pub fn of(witness: &policy::Witness) -> Option<Result<Self, WitnessError>> {
        let url = witness.url.as_deref()?;
        Some(Self::at(&witness.key, url))
    }

    fn at(key: &VerifierKey, url: &str) -> Result<Self, WitnessError> {
        let name = || key.name().to_owned();
        let url = Url::parse(&format!("{}/add-checkpoint", url.trim_end_matches('/')));
        let url = url.map_err(|_| WitnessError::NotAUrl(name()))?;
        let secret = !url.username().is_empty() || url.password().is_some();
        if secret || !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err(WitnessError::NotHttps(name()));
        }
        let client = Client::builder()
            .https_only(url.scheme() == "https")
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build();
        let client = client.map_err(|error| WitnessError::Client(name(), error.to_string()))?;
        Ok(Self { key: key.clone(), url, client })
    }

    /// The key by which its cosignatures are known.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Asks to cosign a checkpoint; the line, if it did.
    async fn ask(&self, old: u64, signer: &Signer, signed: &Signed) -> Result<String, Refusal> {
        let reader = signer.db().reader();
        let proof = prove::consistency(reader.conn(), old, signed.checkpoint.size()).await?;
        let body = AddCheckpoint::new(old, proof, &signed.note).map_err(Error::internal)?;
        let (status, pause, said) = self.send(body.to_string()).await?;
        match status {
            StatusCode::OK => self.cosignature(&said, signed),
            StatusCode::CONFLICT => {
                let size = said.lines().next().and_then(|line| line.parse().ok());
                let size = size.ok_or(Refusal::Useless("it answered 409 without a size"))?;
                Err(Refusal::Knows { size, said })
            }
            StatusCode::UNPROCESSABLE_ENTITY => Err(Refusal::Inconsistent { said }),
            other => Err(Refusal::Status { status: other.as_u16(), pause }),
        }
    }

    async fn send(&self, body: String) -> Result<(StatusCode, Option<Duration>, String), Refusal> {
        let unreachable = |error: reqwest::Error| Refusal::Unreachable(error.without_url().to_string());
        let mut response = self.client.post(self.url.clone()).body(body).send().await.map_err(unreachable)?;
        let pause = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut said = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if said.len() + chunk.len() > MAX_ANSWER {
                return Err(Refusal::Useless("its answer is too long"));
            }
            said.extend_from_slice(&chunk);
        }
        let said = String::from_utf8(said).map_err(|_| Refusal::Useless("its answer is no text"))?;
        Ok((response.status(), pause.map(Duration::from_secs), said))
    }

    /// Its own line among those that it answered, verified.
    fn cosignature(&self, said: &str, signed: &Signed) -> Result<String, Refusal> {
        let lines = said.split_inclusive('\n').filter_map(|line| Signature::parse(line.strip_suffix('\n')?));
        let own = |line: &Signature| line.key_id == self.key.id() && line.name == self.key.name();
        let line = lines.into_iter().find(own).ok_or(Refusal::Useless("it answered no cosignature of its key"))?;
        let time = self.key.verify(&signed.checkpoint.to_string(), &line.bytes);
        let time = time.ok().flatten().ok_or(Refusal::Useless("its cosignature is wrong"))?;
        let seconds = u64::try_from(now() / 1_000_000).unwrap_or_default();
        if time.abs_diff(seconds) > CLOCKS {
            return Err(Refusal::Useless("its cosignature is of another time"));
        }
        Ok(line.to_string())
    }
}

/// Keeps every witness up to date, for as long as the log is signed.
pub async fn keep_witnessed(signer: Arc<Signer>) {
    futures_util::future::join_all(signer.witnesses().iter().map(|witness| follow(&signer, witness))).await;
}

/// One request at a time to one witness.
async fn follow(signer: &Signer, witness: &Witness) {
    let (mut news, mut failures, mut known) = (signer.news(), 0_u32, None);
    while signer.trouble().is_none() {
        news.borrow_and_update();
        let pause = match turn(signer, witness, &mut known).await {
            Ok(asked) => {
                failures = 0;
                if asked { PACE } else { Duration::ZERO }
            }
            // Nothing is signed yet, or the database is away.
            Err(Refusal::Ours(_)) => PACE,
            Err(refusal) => {
                failures += 1;
                signer.counts().failed(witness.key.name());
                tracing::warn!(witness = witness.key.name(), %refusal, "a witness did not cosign");
                pause(&refusal, failures)
            }
        };
        tokio::time::sleep(pause).await;
        if pause == Duration::ZERO {
            // Another replica may sign without a word.
            let _ = tokio::time::timeout(PACE, news.changed()).await;
        }
    }
}

/// Twice as long after each failure, or as long as the witness asks; whoever does not know this log will not tomorrow.
fn pause(refusal: &Refusal, failures: u32) -> Duration {
    match refusal {
        Refusal::Status { pause: Some(pause), .. } => (*pause).clamp(PACE, LONGEST_PAUSE),
        Refusal::Status { status: 403 | 404, .. } => LONGEST_PAUSE,
        _ => PACE.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE),
    }
}

/// Asks for the newest checkpoint, unless the witness cosigned it already; true if it was asked.
async fn turn(signer: &Signer, witness: &Witness, known: &mut Option<u64>) -> Result<bool, Refusal> {
    let mut signed = signer.newest().await?;
    if signed.signed_by(&witness.key) {
        *known = Some(signed.checkpoint.size());
        return Ok(false);
    }
    let name = witness.key.name();
    for _ in 0..ATTEMPTS {
        let old = match *known {
            Some(known) => known,
            None => last(signer, witness).await?,
        };
        let old = old.min(signed.checkpoint.size());
        match witness.ask(old, signer, &signed).await {
            Ok(line) => {
                signer.cosigned(&signed, &witness.key, &line).await?;
                signer.counts().cosigned(name);
                *known = Some(signed.checkpoint.size());
                return Ok(true);
            }
            Err(Refusal::Knows { size, said }) => {
                // Another replica may have signed more since.
                signed = signer.newest().await?;
                // The very size that it was asked from: it has another root there.
                if size > signed.checkpoint.size() || size == old {
                    *known = None;
                    suspect(signer, name, &said).await?;
                    return Err(Refusal::Knows { size, said });
                }
                *known = Some(size);
            }
            Err(Refusal::Inconsistent { said }) => {
                *known = None;
                suspect(signer, name, &said).await?;
                return Err(Refusal::Inconsistent { said });
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Err(Refusal::Useless("it names another size each time"))
}

/// What it cosigned last, as far as this service knows.
async fn last(signer: &Signer, witness: &Witness) -> Result<u64, Error> {
    let reader = signer.db().reader();
    Ok(checkpoints::last_signed_by(reader.conn(), &witness.key.to_string()).await?.unwrap_or_default())
}

/// A witness says that it knows another history. Its word is an alarm; a checkpoint of our own key that it shows after
/// the size would be certainty, and end signing and writing.
async fn suspect(signer: &Signer, witness: &str, said: &str) -> Result<(), Error> {
    signer.counts().conflict(witness);
    tracing::error!(witness, "a witness says that it knows another history of this log");
    let shown = said.split_once('\n').map_or(said, |(_, rest)| rest);
    for shown in [said, shown] {
        signer.confront(shown).await?;
    }
    Ok(())
}
