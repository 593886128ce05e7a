//! A load of keep-alive connections that costs little itself: requests are bytes, answers are read up to their length.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thidua::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a load brought.
pub struct Load {
    pub per_second: f64,
    /// Sorted, in microseconds.
    latencies: Vec<u64>,
}

impl Load {
    /// Of these microseconds, which took so long to come.
    pub fn new(mut latencies: Vec<u64>, time: Duration) -> Self {
        latencies.sort_unstable();
        Self { per_second: latencies.len() as f64 / time.as_secs_f64(), latencies }
    }

    /// In milliseconds.
    pub fn millis(&self, part: f64) -> f64 {
        self.quantile(part).as_secs_f64() * 1000.0
    }

    pub fn quantile(&self, part: f64) -> Duration {
        let last = self.latencies.len() - 1;
        Duration::from_micros(self.latencies[(last as f64 * part).round() as usize])
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request; the status and the body of its answer.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let end = head + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
            if self.buffer.len() >= end {
                let status = text[9..12].parse().unwrap();
                return Ok((status, &self.buffer[head + 4..end]));
            }
        }
    }
}

static KEY: AtomicU64 = AtomicU64::new(0);

/// A creating request with a key of its own.
pub fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    let key = KEY.fetch_add(1, Ordering::Relaxed);
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nidempotency-key: bench-{key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// The status of a GET without a token, if anybody answers.
pub async fn status(address: &str, path: &str) -> Option<u16> {
    let mut client = Client::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    Some(client.ask(request.as_bytes()).await.ok()?.0)
}

/// Asks over `clients` connections for a time, each again as soon as it is answered; every answer must have this status.
pub async fn run(
    address: &str,
    clients: usize,
    time: Duration,
    expected: u16,
    request: impl Fn() -> Vec<u8> + Clone + Send + 'static,
) -> Load {
    workers(address, clients, time, expected, request, |_| None).await
}

/// Asks so often a second, however long the answers take: each request is due at a time of its own, and its latency counts
/// from then. The connections take turns.
pub async fn open(
    address: &str,
    clients: usize,
    per_second: f64,
    time: Duration,
    expected: u16,
    request: impl Fn() -> Vec<u8> + Clone + Send + 'static,
) -> Load {
    let due = move |number: usize| Some(Duration::from_secs_f64(number as f64 / per_second));
    workers(address, clients, time, expected, request, due).await
}

/// `due`: when the request of this number is to be sent; none: at once.
async fn workers(
    address: &str,
    clients: usize,
    time: Duration,
    expected: u16,
    request: impl Fn() -> Vec<u8> + Clone + Send + 'static,
    due: impl Fn(usize) -> Option<Duration> + Clone + Send + 'static,
) -> Load {
    let began = Stopwatch::start();
    let workers: Vec<_> = (0..clients)
        .map(|worker| {
            let (address, request, due) = (address.to_owned(), request.clone(), due.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(&address).await.unwrap();
                let mut latencies = Vec::new();
                for number in (worker..).step_by(clients) {
                    let since = due(number).unwrap_or_else(|| began.elapsed());
                    if since >= time {
                        break;
                    }
                    // The timer knows milliseconds only: whoever is late does not wait for one.
                    if let Some(early) = since.checked_sub(began.elapsed()).filter(|early| !early.is_zero()) {
                        tokio::time::sleep(early).await;
                    }
                    let (status, body) = client.ask(&request()).await.unwrap();
                    assert_eq!(status, expected, "{}", String::from_utf8_lossy(body));
                    latencies.push(u64::try_from((began.elapsed() - since).as_micros()).unwrap());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.unwrap());
    }
    Load::new(latencies, began.elapsed())
}
