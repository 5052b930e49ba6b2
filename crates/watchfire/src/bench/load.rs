//! Producers: connections that post message after message and time the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::receiver::{content_length, find};

/// What to post, how fast and for how long.
#[derive(Clone)]
pub(super) struct Plan {
    /// Producers take turns on them.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) application: String,
    pub(super) token: String,
    pub(super) producers: usize,
    pub(super) payload_bytes: usize,
    pub(super) duration: Duration,
    /// Messages a second over all producers; as many as possible if absent.
    pub(super) rate: Option<f64>,
    pub(super) messages_max: usize,
}

/// What was posted.
pub(super) struct Posted {
    /// For each message, microseconds from the start to its sending and to its answer.
    pub(super) messages: Vec<(usize, u64, u64)>,
    pub(super) refused: usize,
    pub(super) elapsed: Duration,
}

/// Posts according to plan; message numbers begin at 0.
pub(super) async fn post(plan: Plan, start: Instant) -> Result<Posted> {
    let next = Arc::new(AtomicUsize::new(0));
    let plan = Arc::new(plan);
    let mut tasks = Vec::new();
    for place in 0..plan.producers {
        let (plan, next) = (Arc::clone(&plan), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            produce(&plan, place, &next, start).await
        }));
    }
    let mut posted = Posted {
        messages: Vec::new(),
        refused: 0,
        elapsed: Duration::ZERO,
    };
    for task in tasks {
        let (messages, refused) = task.await.context("a producer died")??;
        posted.messages.extend(messages);
        posted.refused += refused;
    }
    posted.elapsed = start.elapsed();
    Ok(posted)
}

type Produced = (Vec<(usize, u64, u64)>, usize);

async fn produce(
    plan: &Plan,
    place: usize,
    next: &AtomicUsize,
    start: Instant,
) -> Result<Produced> {
    let server = plan.servers[place % plan.servers.len()];
    let mut connection = Connection::open(server).await?;
    let interval = plan.rate.map(|rate| {
        Duration::from_secs_f64(u32::try_from(plan.producers).map_or(1.0, f64::from) / rate)
    });
    let mut due = start
        + interval
            .unwrap_or_default()
            .mul_f64(place_share(place, plan.producers));
    let (mut messages, mut refused) = (Vec::new(), 0);
    while start.elapsed() < plan.duration {
        if let Some(interval) = interval {
            tokio::time::sleep_until(due).await;
            due += interval;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.messages_max {
            break;
        }
        let request = request(plan, number);
        let sent = start.elapsed();
        let status = connection.exchange(&request).await?;
        let answered = start.elapsed();
        match status {
            202 => messages.push((number, micros(sent), micros(answered))),
            503 => refused += 1,
            status => bail!("the server answered {status} to a message"),
        }
    }
    Ok((messages, refused))
}

fn place_share(place: usize, producers: usize) -> f64 {
    let number = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
    number(place) / number(producers).max(1.0)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn request(plan: &Plan, number: usize) -> Vec<u8> {
    let filler = "x".repeat(plan.payload_bytes.saturating_sub(100));
    let body = format!(
        r#"{{"eventType":"threat.created","payload":{{"n":{number},"risk":"high","host":"web-17.example.com","source":"scanner","text":"{filler}"}}}}"#
    );
    format!(
        "POST /api/v1/app/{}/msg?with_content=false HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        plan.application,
        plan.servers[0],
        plan.token,
        body.len()
    )
    .into_bytes()
}

/// A kept-alive connection that does one exchange after the other.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    #[expect(
        clippy::disallowed_methods,
        reason = "the load generator talks to its own server on loopback"
    )]
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request and reads the answer to its end; the answer's status.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let head = head + 4;
            if self.buffer.len() >= head + content_length(&self.buffer[..head]) {
                let status = self
                    .buffer
                    .get(9..12)
                    .and_then(|text| std::str::from_utf8(text).ok());
                return status
                    .and_then(|text| text.parse().ok())
                    .context("the answer has no status");
            }
        }
    }
}
