//! A receiver as lean as can be: it reads a request to its end and answers 204. What it costs is
//! not the server's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const BUFFER_BYTES: usize = 16 * 1024;
/// Every payload carries its number behind this mark.
pub(super) const MARK: &[u8] = b"\"n\":";

/// When what arrived, for all connections.
pub(super) struct Arrivals {
    start: Instant,
    /// Microseconds from the start to the last arrival of each numbered message; 0 for none.
    last: Vec<AtomicU64>,
    count: AtomicU64,
}

impl Arrivals {
    pub(super) fn new(start: Instant, messages_max: usize) -> Arc<Self> {
        Arc::new(Self {
            start,
            last: std::iter::repeat_with(AtomicU64::default)
                .take(messages_max)
                .collect(),
            count: AtomicU64::new(0),
        })
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Microseconds from the start to the message's last arrival.
    pub(super) fn last_at(&self, number: usize) -> Option<u64> {
        match self.last.get(number)?.load(Ordering::Relaxed) {
            0 => None,
            at => Some(at),
        }
    }

    fn note(&self, number: Option<usize>) {
        let at = u64::try_from(self.start.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        if let Some(place) = number.and_then(|number| self.last.get(number)) {
            place.fetch_max(at, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A running receiver; `arrivals` can be exchanged between runs.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    arrivals: Arc<parking_lot::RwLock<Arc<Arrivals>>>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrivals = Arc::new(parking_lot::RwLock::new(Arrivals::new(Instant::now(), 0)));
        let shared = Arc::clone(&arrivals);
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(tokio::spawn(serve(stream, Arc::clone(&shared))));
            }
        }));
        Ok(Self { address, arrivals })
    }

    pub(super) fn count_into(&self, arrivals: &Arc<Arrivals>) {
        *self.arrivals.write() = Arc::clone(arrivals);
    }
}

async fn serve(mut stream: TcpStream, arrivals: Arc<parking_lot::RwLock<Arc<Arrivals>>>) {
    drop(stream.set_nodelay(true));
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut answers = 0;
        while let Some((length, body)) = whole_request(&buffer) {
            let number = number_in(&buffer[body..length]);
            arrivals.read().note(number);
            buffer.drain(..length);
            answers += 1;
        }
        if answers > 0 && stream.write_all(&ANSWER.repeat(answers)).await.is_err() {
            return;
        }
    }
}

/// The length of the first request if all of it is there, and where its body begins.
fn whole_request(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let length = content_length(&bytes[..head]);
    (bytes.len() >= head + length).then_some((head + length, head))
}

pub(super) fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME));
    let value = line.and_then(|line| std::str::from_utf8(&line[NAME.len()..]).ok());
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

fn number_in(body: &[u8]) -> Option<usize> {
    let digits = &body[find(body, MARK)? + MARK.len()..];
    let end = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    // Most heads are short and end early; a window search is fast enough and has no surprises.
    let first = what[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let one = b"POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\n{\"n\":42}";
        assert_eq!(whole_request(one), Some((one.len(), one.len() - 8)));
        assert_eq!(whole_request(&one[..one.len() - 1]), None);
        assert_eq!(number_in(b"{\"n\":42}"), Some(42));
        assert_eq!(number_in(b"{}"), None);
    }
}
