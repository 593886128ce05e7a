//! Followers that cost little: of what they are sent they read the positions, and nothing else.

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use thidua::clock::{Micros, Stopwatch, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// First and last position of what one read brought, and when.
pub type Arrival = (i64, i64, Micros);

/// What one follower has seen.
struct Seen {
    last: AtomicI64,
    /// How often it has left, come back and then been sent an event.
    rounds: AtomicUsize,
    cut: AtomicUsize,
    arrivals: std::sync::Mutex<Vec<Arrival>>,
}

/// How long until all of them were sent something again.
pub struct Storm(pub Duration);

/// Many followers of one service.
pub struct Followed {
    seen: Vec<Arc<Seen>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Moves when all of them are to leave and come back.
    leave: watch::Sender<usize>,
}

impl Followed {
    /// All of them connected, from position `first` on.
    pub async fn start(address: &str, token: &str, number: usize, first: i64) -> Self {
        let leave = watch::Sender::new(0);
        let (mut seen, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..number {
            let one = Arc::new(Seen {
                last: AtomicI64::new(first - 1),
                rounds: AtomicUsize::new(0),
                cut: AtomicUsize::new(0),
                arrivals: std::sync::Mutex::default(),
            });
            let stream = connect(address, token, first - 1).await.unwrap();
            let (address, token) = (address.to_owned(), token.to_owned());
            tasks.push(tokio::spawn(follow(stream, address, token, one.clone(), leave.subscribe())));
            seen.push(one);
        }
        Self { seen, tasks: Mutex::new(tasks), leave }
    }

    /// The position of the one who is furthest behind. Panics if one of them did.
    pub async fn least(&self) -> i64 {
        for task in self.tasks.lock().await.iter_mut().filter(|task| task.is_finished()) {
            task.await.unwrap();
        }
        self.seen.iter().map(|one| one.last.load(Ordering::Relaxed)).min().unwrap()
    }

    /// How often one of them was cut off or refused.
    pub fn cut(&self) -> usize {
        self.seen.iter().map(|one| one.cut.load(Ordering::Relaxed)).sum()
    }

    /// What came so far, in no order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.seen.iter().flat_map(|one| one.arrivals.lock().unwrap().clone()).collect()
    }

    /// All leave and come back at once.
    pub async fn storm(&self, longest: Duration) -> Storm {
        let began = Stopwatch::start();
        let round = *self.leave.borrow() + 1;
        self.leave.send_replace(round);
        while self.seen.iter().any(|one| one.rounds.load(Ordering::Relaxed) < round) {
            self.least().await;
            assert!(began.elapsed() < longest, "not all came back");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Storm(began.elapsed())
    }

    pub async fn stop(self) {
        for task in self.tasks.into_inner() {
            task.abort();
            let _ = task.await;
        }
    }
}

async fn connect(address: &str, token: &str, last: i64) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    // Nothing has the position -1: without the header it is from the first.
    let last = if last < 0 { String::new() } else { format!("last-event-id: {last}\r\n") };
    let request =
        format!("GET /v1/events/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{last}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    if &status == b"HTTP/1.1 200" { Ok(stream) } else { Err(std::io::Error::other(String::from_utf8_lossy(&status))) }
}

async fn follow(
    mut stream: TcpStream,
    address: String,
    token: String,
    seen: Arc<Seen>,
    mut leave: watch::Receiver<usize>,
) {
    let (mut buffer, mut round) = (Vec::with_capacity(64 * 1024), 0);
    loop {
        let left = tokio::select! {
            biased;
            _ = leave.changed() => { round = *leave.borrow_and_update(); true }
            read = stream.read_buf(&mut buffer) => {
                let ended = !matches!(read, Ok(1..));
                if ended {
                    seen.cut.fetch_add(1, Ordering::Relaxed);
                } else if seen.take(&mut buffer) {
                    seen.rounds.store(round, Ordering::Relaxed);
                }
                ended
            }
        };
        if left {
            drop(stream);
            buffer.clear();
            stream = again(&address, &token, &seen).await;
        }
    }
}

/// Comes back behind what was received; whoever is refused tries again, as `EventSource` would.
async fn again(address: &str, token: &str, seen: &Seen) -> TcpStream {
    loop {
        match connect(address, token, seen.last.load(Ordering::Relaxed)).await {
            Ok(stream) => return stream,
            Err(_) => {
                seen.cut.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Seen {
    /// Takes whole events out of the buffer; true if there were any. Each must be the next. What has not ended yet was not
    /// received: whoever comes back asks for it again.
    fn take(&self, buffer: &mut Vec<u8>) -> bool {
        let before = self.last.load(Ordering::Relaxed);
        let (mut last, mut begun, mut rest, mut taken) = (before, None, buffer.as_slice(), 0);
        loop {
            let line = rest;
            let length = rest.skip_until(b'\n').unwrap();
            let Some(line) = line[..length].strip_suffix(b"\n") else { break };
            if let Some(position) = line.strip_prefix(b"id: ") {
                begun = Some(std::str::from_utf8(position).unwrap().parse().unwrap());
            } else if line.is_empty() {
                // Only events end like that; the lines of HTTP's chunks have a return before the newline.
                taken = buffer.len() - rest.len();
                let Some(position) = begun.take() else { continue };
                assert_eq!(position, last + 1, "missed, doubled or out of order");
                last = position;
            }
        }
        buffer.drain(..taken);
        if last > before {
            self.arrivals.lock().unwrap().push((before + 1, last, now()));
            self.last.store(last, Ordering::Relaxed);
        }
        last > before
    }
}
