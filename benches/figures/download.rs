//! Takes an answer of any length without keeping it: what comes is counted and hashed.

use aws_lc_rs::digest::{Context, SHA256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came.
pub struct Tally {
    pub lines: u64,
    pub bytes: u64,
    hash: Context,
}

impl Default for Tally {
    fn default() -> Self {
        Self { lines: 0, bytes: 0, hash: Context::new(&SHA256) }
    }
}

impl Tally {
    pub fn add(&mut self, bytes: &[u8]) {
        // The optimiser makes this wide; it costs next to nothing beside the hash.
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    pub fn hash(&self) -> [u8; 32] {
        self.hash.clone().finish().as_ref().try_into().unwrap()
    }
}

/// Sends a request; its answer must be 200 and come in chunks (RFC 9112, 7.1).
pub async fn download(address: &str, request: &[u8]) -> Tally {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let (mut tally, mut buffer) = (Tally::default(), Vec::with_capacity(256 * 1024));
    let head = loop {
        more(&mut stream, &mut buffer).await;
        if let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break head + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200") && text.contains("transfer-encoding: chunked"), "{text}");
    buffer.drain(..head);
    loop {
        let size = loop {
            let line = buffer.windows(2).position(|two| two == b"\r\n");
            let Some(end) = line else {
                more(&mut stream, &mut buffer).await;
                continue;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).unwrap(), 16).unwrap();
            buffer.drain(..end + 2);
            break size;
        };
        while buffer.len() < size + 2 {
            more(&mut stream, &mut buffer).await;
        }
        assert_eq!(&buffer[size..size + 2], b"\r\n");
        if size == 0 {
            return tally;
        }
        tally.add(&buffer[..size]);
        buffer.drain(..size + 2);
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.reserve(64 * 1024);
    assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the answer was cut");
}
