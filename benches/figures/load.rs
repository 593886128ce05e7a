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

/// Asks over `clients` connections for a time; every answer must have this status.
pub async fn run(
    address: &str,
    clients: usize,
    time: Duration,
    expected: u16,
    request: impl Fn() -> Vec<u8> + Clone + Send + 'static,
) -> Load {
    let began = Stopwatch::start();
    let workers: Vec<_> = (0..clients)
        .map(|_| {
            let (address, request) = (address.to_owned(), request.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(&address).await.unwrap();
                let mut latencies = Vec::new();
                while began.elapsed() < time {
                    let sent = Stopwatch::start();
                    let (status, body) = client.ask(&request()).await.unwrap();
                    assert_eq!(status, expected, "{}", String::from_utf8_lossy(body));
                    latencies.push(u64::try_from(sent.elapsed().as_micros()).unwrap());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.unwrap());
    }
    let per_second = latencies.len() as f64 / began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Load { per_second, latencies }
}
