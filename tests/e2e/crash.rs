//! The server is killed again and again in the middle of its work: nothing that was accepted is
//! lost, little is repeated, and records keep their order.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_domain::limit;
use watchfire_testkit::SeededEntropy;

use crate::harness::{Application, Setup, eventually, tell};
use crate::load::{Endpoint, ORDERED_STREAMS, PERSISTENT, Producers, Receipt, Stream, draw, seed};

/// How often the server is killed.
const KILLS: usize = 12;
/// Requests that come in between two kills, drawn anew each time.
const REQUESTS_BETWEEN: (usize, usize) = (1, 400);
/// Share of the starts that are cut short by another kill, some before the server is ready.
const STILLBORN_PERCENT: usize = 40;
/// Milliseconds such a start gets: from before the database is open until after it is ready.
const STILLBORN_MS: (usize, usize) = (1, 250);
/// Share of its requests that the flaky endpoint refuses.
const FLAKY_PERCENT: f64 = 20.0;

#[tokio::test]
async fn nothing_accepted_is_lost_when_the_server_is_killed() {
    let seed = seed();
    let chance = SeededEntropy::new(seed);
    let endpoints = [
        Endpoint::start(seed ^ 1, 0.0).await,
        Endpoint::start(seed ^ 2, 0.0).await,
        Endpoint::start(seed ^ 3, FLAKY_PERCENT).await,
    ];
    let setup = Setup::new().retrying_fast().config(PERSISTENT);
    let mut server = setup.start().await;
    let app = Application::create(server.api()).await;
    let mut ids = Vec::new();
    for endpoint in &endpoints {
        ids.push(app.endpoint(&endpoint.url()).await);
    }
    let producers = Producers::start(&app);
    let mut kills = 0;
    for _ in 0..KILLS {
        let endpoint = &endpoints[draw(&chance, 0, endpoints.len())];
        let more = draw(&chance, REQUESTS_BETWEEN.0, REQUESTS_BETWEEN.1);
        endpoint.received(endpoint.count() + more).await;
        server.kill().await;
        end_life(&endpoints).await;
        while draw(&chance, 0, 100) < STILLBORN_PERCENT {
            let life = draw(&chance, STILLBORN_MS.0, STILLBORN_MS.1);
            setup.stillborn(life).await;
            end_life(&endpoints).await;
            kills += 1;
        }
        server = setup.start().await;
        kills += 1;
        producers.follow(server.api());
    }
    let accepted = producers.finish().await;
    for endpoint in &endpoints {
        eventually("everything accepted arrives", async || {
            endpoint.has_all(&accepted).then_some(())
        })
        .await;
    }
    judge_identity(&endpoints);
    let app = app.at(server.api());
    for (endpoint, id) in endpoints.iter().zip(&ids) {
        judge_receipts(&endpoint.receipts(), kills);
        judge_history(&app, id, &accepted).await;
    }
}

async fn end_life(endpoints: &[Endpoint]) {
    for endpoint in endpoints {
        endpoint.end_life().await;
    }
}

/// Each event became one message, however often it was posted and delivered.
pub(crate) fn judge_identity(endpoints: &[Endpoint]) {
    let mut messages = BTreeMap::new();
    for receipt in endpoints.iter().flat_map(Endpoint::receipts) {
        let event = (receipt.stream, receipt.place);
        let first = messages.entry(event).or_insert(receipt.message.clone());
        assert_eq!(
            *first, receipt.message,
            "two messages of one event: {event:?}"
        );
    }
}

/// Order per record, and how often something came again although it had been accepted.
fn judge_receipts(receipts: &[Receipt], kills: usize) {
    let mut streams = BTreeMap::<Stream, Vec<Receipt>>::new();
    for receipt in receipts {
        let stream = streams.entry(receipt.stream).or_default();
        stream.push(receipt.clone());
    }
    let (mut keyed, mut others) = (0, 0);
    for (stream, receipts) in &streams {
        let repeats = repeats(receipts);
        if stream.is_ordered() {
            judge_order(receipts);
            keyed += repeats;
        } else {
            others += repeats;
        }
    }
    let requests = receipts.len();
    tell(&format!(
        "{kills} kills, {requests} requests, {keyed} + {others} of them repeats"
    ));
    // Records have one delivery under way each.
    assert!(keyed <= kills * ORDERED_STREAMS, "{keyed} repeats");
    assert!(
        others <= kills * limit::ATTEMPTS_IN_FLIGHT_MAX,
        "{others} repeats"
    );
}

/// Deliveries that were made again in a later life although they had been accepted. In the same
/// life that must not be: only a death between the request and the record of its outcome excuses
/// it.
pub(crate) fn repeats(receipts: &[Receipt]) -> usize {
    let mut accepted = BTreeMap::new();
    let mut repeats = BTreeSet::new();
    for receipt in receipts {
        if let Some(life) = accepted.get(&receipt.place) {
            assert!(receipt.life > *life, "repeated without need: {receipt:?}");
            repeats.insert((receipt.place, receipt.life));
        }
        if receipt.accepted {
            accepted.insert(receipt.place, receipt.life);
        }
    }
    repeats.len()
}

/// Places never go back, and go on only when the last one was accepted.
pub(crate) fn judge_order(receipts: &[Receipt]) {
    let mut settled_below = 0;
    for receipt in receipts {
        let is_next = receipt.place == settled_below;
        let is_repeat_of_last = receipt.place + 1 == settled_below;
        assert!(
            is_next || is_repeat_of_last,
            "out of order: {receipt:?} came when all below {settled_below} was settled"
        );
        if is_next && receipt.accepted {
            settled_below += 1;
        }
    }
}

/// The history says of each message that it was delivered, once, and that nothing is owed.
pub(crate) async fn judge_history(
    app: &Application,
    endpoint: &str,
    accepted: &BTreeMap<Stream, u64>,
) {
    let messages: u64 = accepted.values().sum();
    let stats = eventually("every outcome is recorded", async || {
        let stats = app.stats_of(endpoint).await;
        (stats["success"] == messages).then_some(stats)
    })
    .await;
    assert_eq!(
        (&stats["pending"], &stats["fail"]),
        (&0.into(), &0.into()),
        "{stats}"
    );
    let mut delivered = BTreeMap::<String, usize>::new();
    for attempt in app.attempts_at(endpoint).await {
        if attempt["statusText"] == "success" {
            *delivered.entry(attempt["msgId"].to_string()).or_default() += 1;
        }
    }
    assert_eq!(u64::try_from(delivered.len()), Ok(messages));
    let twice: Vec<_> = delivered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "settled twice: {twice:?}");
}
