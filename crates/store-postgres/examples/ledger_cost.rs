//! What a message and a delivery cost the database: statements and bytes of its log.
//!
//! `cargo run -p watchfire-store-postgres --example ledger_cost`
//!
//! Counts do not depend on the machine or on how this was compiled, so they are what
//! `docs/operating/scaling.md` reckons with. Each line is one run on a fresh schema of a private
//! server: batches of messages are appended, then the successes of all their deliveries recorded.

#![expect(clippy::print_stdout, reason = "a tool for people")]

use std::sync::Arc;

use bytes::Bytes;
use watchfire_domain::id::MessageId;
use watchfire_store::conformance::world::{World, at, place};
use watchfire_store::{NewMessage, Seq, Write};
use watchfire_store_postgres::{Options, Postgres};
use watchfire_testkit::Postgres as Server;

const PAYLOAD_BYTES: usize = 500;
const BATCHES: usize = 40;

#[tokio::main]
async fn main() {
    let settings = [
        "shared_preload_libraries = 'pg_stat_statements'",
        "pg_stat_statements.track = 'top'",
        // Whole pages go to the log after a checkpoint; how much of that there is depends on how
        // often there is one, so it is left out and said beside the figures.
        "full_page_writes = off",
        "autovacuum = off",
    ];
    let start = move || Server::private(&settings);
    let server = tokio::task::spawn_blocking(start).await.expect("a server");
    server.run("postgres", "CREATE EXTENSION pg_stat_statements");
    println!("endpoints  batch | statements, log bytes per message | per delivery");
    for (endpoints, batch) in [(1, 1), (1, 10), (1, 100), (1, 1_000), (5, 100), (20, 100)] {
        run(&server, endpoints, batch).await;
    }
}

async fn run(server: &Server, endpoints: usize, batch: usize) {
    let address = server.fresh_schema().parse().expect("an address");
    let store = Postgres::open(&address, Options::default()).await;
    let store = store.expect("open it");
    let world = World::with_endpoints(Arc::new(store), endpoints).await;
    // The day's partitions are made by its first message.
    world.accept(message(&world)).await;
    let mut seqs = Vec::new();
    let before = Totals::of(server);
    for _ in 0..BATCHES {
        let messages = (0..batch).map(|_| message(&world)).collect();
        seqs.extend(world.append(messages).await.into_iter().map(place));
    }
    let appended = Totals::of(server).since(&before, seqs.len());
    let writes: Vec<Write> = seqs
        .iter()
        .flat_map(|seq| successes(&world, *seq))
        .collect();
    let deliveries = writes.len();
    let before = Totals::of(server);
    for batch in writes.chunks(batch) {
        world.record(at(0), batch.to_vec()).await;
    }
    let recorded = Totals::of(server).since(&before, deliveries);
    println!("{endpoints:9}  {batch:5} | {appended} | {recorded}");
}

fn message(world: &World) -> NewMessage {
    let id = MessageId::new(at(0), &*world.chance);
    let mut new = world.message_with(|message| {
        message.id = id;
        message.payload = Some(Bytes::from(vec![b'x'; PAYLOAD_BYTES]));
        message.record_key = None;
    });
    new.matched.clone_from(&world.endpoints);
    new
}

fn successes(world: &World, seq: Seq) -> Vec<Write> {
    let endpoints = world.endpoints.iter();
    let writes = endpoints.map(|endpoint| {
        let attempt = world.delivered();
        Write::Attempt(Arc::new(world.fresh(*endpoint, seq, attempt)))
    });
    writes.collect()
}

/// What the server has counted so far.
struct Totals {
    statements: f64,
    log_bytes: f64,
}

impl Totals {
    fn of(server: &Server) -> Self {
        let number = |sql: &str| -> f64 {
            let said = server.run("postgres", sql);
            said.parse().expect("a number")
        };
        let counted = |what: &str| {
            number(&format!(
                "SELECT coalesce(sum({what}), 0) FROM pg_stat_statements s \
                 JOIN pg_database d ON d.oid = s.dbid WHERE query NOT LIKE '%pg_stat%'"
            ))
        };
        Self {
            statements: counted("calls"),
            log_bytes: number("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"),
        }
    }

    fn since(self, before: &Self, count: usize) -> String {
        let count = f64::from(u32::try_from(count).expect("a small count"));
        let each = |now: f64, then: f64| (now - then) / count;
        format!(
            "{:8.3} {:6.0}",
            each(self.statements, before.statements),
            each(self.log_bytes, before.log_bytes)
        )
    }
}
