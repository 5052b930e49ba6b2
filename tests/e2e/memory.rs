//! Memory does not grow with the backlog.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::task::JoinSet;
use watchfire_domain::limit;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Server, Setup, eventually, tell};

/// Messages for an endpoint that takes none.
const MESSAGES: usize = 20_000;
/// Messages before the first measurement, so that what is allocated once is not counted.
const WARM_UP: usize = 2_000;
const PAYLOAD_BYTES: usize = 2_048;
/// Posted at the same time.
const PRODUCERS: usize = 32;
/// The backlog's payloads alone would take 37 MB.
const GROWTH_BYTES_MAX: usize = 24 * 1024 * 1024;

#[tokio::test]
async fn memory_stays_flat_while_a_hanging_endpoint_piles_up_a_backlog() {
    let hanging = Receiver::start(Script::always(Reply::hang())).await;
    let server = Setup::new().flag("--attempt-timeout", "2m").start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&hanging.url("/")).await;
    post(&app, WARM_UP).await;
    let before = resident_bytes(&server);
    post(&app, MESSAGES - WARM_UP).await;
    let after = resident_bytes(&server);
    let growth = after.saturating_sub(before);
    tell(&format!("{before} bytes, then {after}"));
    assert!(
        growth < GROWTH_BYTES_MAX,
        "grew by {growth} bytes from {before}"
    );

    // What is in memory, in flight or about to be, is bounded too; the rest is owed.
    let in_memory_max = limit::FRESH_PER_ENDPOINT_MAX + limit::CONCURRENCY_PER_ENDPOINT_MAX;
    eventually("the backlog is visible", async || {
        let pending = app.stats_of(&endpoint).await["pending"].as_u64()?;
        (usize::try_from(pending).ok()? >= MESSAGES - in_memory_max).then_some(())
    })
    .await;
    let path = app.path(&format!("/endpoint/{endpoint}/msg?status=1&limit=250"));
    let page = app.api.get(&path).await.expect(200);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(250));
    server.kill().await;
}

async fn post(app: &Application, messages: usize) {
    let left = Arc::new(AtomicUsize::new(messages));
    let mut producers = JoinSet::new();
    for _ in 0..PRODUCERS {
        let (app, left) = (app.clone(), Arc::clone(&left));
        producers.spawn(async move {
            let path = app.path("/msg?with_content=false");
            let payload = json!({ "text": "x".repeat(PAYLOAD_BYTES) });
            let event = json!({ "eventType": "threat.created", "payload": payload });
            let take = || {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
            };
            while take().is_ok() {
                app.api.post(&path, &event).await.expect(202);
            }
        });
    }
    producers.join_all().await;
}

/// Memory the server holds, as the system counts it.
fn resident_bytes(server: &Server) -> usize {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).expect("the server runs");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.expect("Linux says").trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().expect("a number") * 1024
}
