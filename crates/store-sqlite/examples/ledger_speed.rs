//! What the ledger's hot path costs: appending messages and recording successful attempts.
//!
//! `cargo run --release -p watchfire-store-sqlite --example ledger_speed [folder]`
//!
//! Each line is one run on a fresh database: microseconds of wall clock and of this process's CPU
//! time per row, and per message the bytes that were handed to the disk and those the file takes.

#![expect(clippy::print_stdout, reason = "a tool for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::time::Instant;
use watchfire_domain::attempt::Timing;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::conformance::world::{World, at, place};
use watchfire_store::{NewMessage, Seq, Write};
use watchfire_store_sqlite::{Options, Sqlite};

const MESSAGES: usize = 100_000;
const PAYLOAD_BYTES: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    println!(
        "endpoints  batch  append µs (CPU) p99 call  record µs (CPU) p99 call  written B/msg  file B/msg"
    );
    for (endpoints, batch) in [
        (1, 1),
        (1, 16),
        (1, 64),
        (1, 256),
        (20, 64),
        (20, 256),
        (1_000, 256),
    ] {
        let folder = tempfile::tempdir_in(&parent).expect("a folder");
        run(&folder, endpoints, batch).await;
    }
}

async fn run(folder: &TempDir, endpoints: usize, batch: usize) {
    let messages = MESSAGES.min(batch * 4_000);
    let store = Sqlite::open(folder.path(), Options::default()).expect("open it");
    let world = World::with_endpoints(Arc::new(store.clone()), endpoints).await;
    let batches: Vec<Vec<NewMessage>> = (0..messages / batch)
        .map(|n| (0..batch).map(|m| message(&world, n * batch + m)).collect())
        .collect();
    let written_before = written_bytes();
    let mut seqs = Vec::new();
    let mut append = Measured::start();
    for batch in batches {
        let call = Instant::now();
        seqs.extend(world.append(batch).await.into_iter().map(place));
        append.calls.push(call.elapsed());
    }
    let append = append.per(messages);
    let writes: Vec<Vec<Write>> = seqs
        .chunks(batch)
        .map(|seqs| seqs.iter().map(|seq| success(&world, *seq)).collect())
        .collect();
    let mut record = Measured::start();
    for batch in writes {
        let call = Instant::now();
        world.record(at(0), batch).await;
        record.calls.push(call.elapsed());
    }
    let record = record.per(messages);
    drop(world);
    store.close().await;
    let count = u64::try_from(messages).expect("a small count");
    let written = (written_bytes() - written_before) / count;
    let stored = file_bytes(folder.path()) / count;
    println!("{endpoints:9}  {batch:5}  {append}  {record}  {written:13}  {stored:10}");
}

fn message(world: &World, n: usize) -> NewMessage {
    let id = MessageId::new(moment(n), &*world.chance);
    let mut new = world.message_with(|message| {
        message.id = id;
        message.payload = Some(Bytes::from(vec![b'x'; PAYLOAD_BYTES]));
    });
    new.matched = vec![world.endpoints[n % world.endpoints.len()]];
    new
}

/// Ids are made at a rate of 20,000 a second, so that they rise as they do in earnest.
fn moment(n: usize) -> Timestamp {
    at(0) + Duration::from_micros(50) * u32::try_from(n).expect("a small count")
}

fn success(world: &World, seq: Seq) -> Write {
    let n = usize::try_from(seq.0 - 1).expect("a small count");
    let endpoint = world.endpoints[n % world.endpoints.len()];
    let mut attempt = world.delivered();
    attempt.id = AttemptId::new(moment(n), &*world.chance);
    attempt.timing = Timing {
        first_byte: Some(Duration::from_micros(700)),
        ..attempt.timing
    };
    let response = attempt.response.as_mut().expect("a success has one");
    response.headers.push((
        "date".to_owned(),
        "Fri, 20 Feb 2026 10:30:00 GMT".to_owned(),
    ));
    Write::Attempt(Arc::new(world.fresh(endpoint, seq, attempt)))
}

struct Measured {
    wall: Instant,
    cpu: Duration,
    /// How long each call took.
    calls: Vec<Duration>,
}

impl Measured {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(),
            calls: Vec::new(),
        }
    }

    fn per(mut self, rows: usize) -> String {
        let rows = f64::from(u32::try_from(rows).expect("a small count"));
        let wall = self.wall.elapsed().as_secs_f64() * 1e6 / rows;
        let cpu = cpu_time().saturating_sub(self.cpu).as_secs_f64() * 1e6 / rows;
        self.calls.sort_unstable();
        let slow = self.calls[self.calls.len() * 99 / 100].as_micros();
        format!("{wall:8.1} ({cpu:5.1}) {slow:6}µs")
    }
}

/// User and system time of this process, in steps of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Bytes this process handed to the disk so far.
fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("Linux tells");
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok())
        .expect("a number of bytes")
}

fn file_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("the folder exists");
    files
        .map(|file| {
            file.and_then(|file| file.metadata())
                .map_or(0, |found| found.len())
        })
        .sum()
}
