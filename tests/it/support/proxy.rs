//! A line to PostgreSQL that breaks at the moment it is told to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::database::server;

/// Where the line breaks: around COMMIT, or earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// COMMIT does not reach the server.
    Before,
    /// COMMIT reaches the server, and nobody waits for its answer.
    At,
    /// The server has answered COMMIT, and the answer is lost.
    After,
    /// The transaction's message of this number, from 1, does not reach the server.
    Message(usize),
}

/// Whose transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Requests,
    Sealer,
}

/// The next break, if one is still to be made.
type Plan = Arc<Mutex<Option<(Whose, Break)>>>;

pub struct Proxy {
    address: String,
    plan: Plan,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Proxy {
    /// In front of the server where test databases are.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let plan = Plan::default();
        let shared = plan.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let plan = shared.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(host(server().unwrap())).await.unwrap();
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    // Either side may hang up.
                    let _ = Line {
                        client,
                        server,
                        sent: vec![],
                        started: false,
                        sealer: false,
                        whose: Whose::Requests,
                        messages: 0,
                    }
                    .carry(plan)
                    .await;
                });
            }
        });
        Self { address, plan, listening }
    }

    /// The same database, reached over this line; in plain text, so that the line can be read.
    pub fn url(&self, direct: &str) -> String {
        format!("{}?sslmode=disable", direct.replace(host(direct), &self.address))
    }

    /// Breaks at the next COMMIT of these.
    pub fn breaks(&self, whose: Whose, at: Break) {
        *self.plan.lock().unwrap() = Some((whose, at));
    }

    /// True once the break that was asked for has been made.
    pub fn has_broken(&self) -> bool {
        self.plan.lock().unwrap().is_none()
    }
}

fn host(url: &str) -> &str {
    url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap()
}

struct Line {
    client: TcpStream,
    server: TcpStream,
    /// What the client has sent and was not passed on yet.
    sent: Vec<u8>,
    /// The first message has no type.
    started: bool,
    sealer: bool,
    whose: Whose,
    /// Of the transaction that goes on, once it is known whose it is.
    messages: usize,
}

impl Line {
    /// Carries both ways until a side hangs up or the line breaks.
    async fn carry(mut self, plan: Plan) -> std::io::Result<()> {
        let mut answer = vec![0; 64 * 1024];
        loop {
            tokio::select! {
                read = self.client.read_buf(&mut self.sent) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Some(message) = self.message() {
                        let Some(at) = self.breaks(&message, &plan) else {
                            self.server.write_all(&message).await?;
                            continue;
                        };
                        if !matches!(at, Break::Before | Break::Message(_)) {
                            self.server.write_all(&message).await?;
                        }
                        if at == Break::After {
                            self.answered().await?;
                        }
                        return Ok(());
                    }
                }
                read = self.server.read(&mut answer) => {
                    let read = read?;
                    if read == 0 {
                        return Ok(());
                    }
                    self.client.write_all(&answer[..read]).await?;
                }
            }
        }
    }

    /// The next whole message of the client.
    fn message(&mut self) -> Option<Vec<u8>> {
        let kind = usize::from(self.started);
        let length = self.sent.get(kind..kind + 4)?;
        let end = kind + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if self.sent.len() < end {
            return None;
        }
        self.started = true;
        Some(self.sent.drain(..end).collect())
    }

    /// Where the line is to break if this message is the COMMIT that was meant. The sealer's line is known by
    /// what it sets when it is opened.
    fn breaks(&mut self, message: &[u8], plan: &Plan) -> Option<Break> {
        let text = String::from_utf8_lossy(message);
        self.sealer |= text.contains("enable_seqscan");
        if text.contains("BEGIN") {
            (self.whose, self.messages) = (if self.sealer { Whose::Sealer } else { Whose::Requests }, 0);
        }
        self.messages += 1;
        let here = (self.whose, Break::Message(self.messages));
        if let Some((_, at)) = plan.lock().unwrap().take_if(|planned| *planned == here) {
            return Some(at);
        }
        if message.first() != Some(&b'Q') || !text.trim_end_matches(['\0', ';', ' ']).ends_with("COMMIT") {
            return None;
        }
        let mut plan = plan.lock().unwrap();
        plan.take_if(|(whose, at)| *whose == self.whose && !matches!(at, Break::Message(_))).map(|(_, at)| at)
    }

    /// Reads until the server is ready for the next query.
    async fn answered(&mut self) -> std::io::Result<()> {
        let mut answer = Vec::new();
        while !answer.ends_with(b"Z\0\0\0\x05I") {
            if self.server.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        Ok(())
    }
}
