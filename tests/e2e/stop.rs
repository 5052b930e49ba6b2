//! The server is asked to stop in the middle of its work, as at every upgrade: it ends cleanly,
//! and its successor goes on as if nothing had happened.

use std::collections::BTreeSet;

use watchfire_testkit::SeededEntropy;

use crate::harness::{Application, Setup, eventually};
use crate::load::{Endpoint, PERSISTENT, Producers, draw, seed};

/// How often the server is stopped and started.
const STOPS: usize = 3;
/// Requests that come in between two stops, drawn anew each time.
const REQUESTS_BETWEEN: (usize, usize) = (50, 400);

#[tokio::test]
async fn a_stop_under_load_loses_and_repeats_nothing() {
    let seed = seed();
    let chance = SeededEntropy::new(seed);
    let endpoints = [
        Endpoint::start(seed ^ 1, 0.0).await,
        Endpoint::start(seed ^ 2, 20.0).await,
    ];
    let setup = Setup::new().retrying_fast().config(PERSISTENT);
    let mut server = setup.start().await;
    let app = Application::create(server.api()).await;
    for endpoint in &endpoints {
        app.endpoint(&endpoint.url()).await;
    }
    let producers = Producers::start(&app);
    for _ in 0..STOPS {
        let more = draw(&chance, REQUESTS_BETWEEN.0, REQUESTS_BETWEEN.1);
        endpoints[0].received(endpoints[0].count() + more).await;
        let ended = server.stop().await;
        assert_eq!(ended.code(), Some(0), "{ended}");
        server = setup.start().await;
        producers.follow(server.api());
    }
    let accepted = producers.finish().await;
    for endpoint in &endpoints {
        eventually("everything accepted arrives", async || {
            endpoint.has_all(&accepted).then_some(())
        })
        .await;
    }
    // What is repeated would come before the next stop has ended.
    assert_eq!(server.stop().await.code(), Some(0));
    for endpoint in &endpoints {
        let mut arrived = BTreeSet::new();
        for receipt in endpoint.receipts().iter().filter(|one| one.accepted) {
            let is_first = arrived.insert((receipt.stream, receipt.place));
            assert!(is_first, "repeated: {receipt:?}");
        }
    }
}

#[tokio::test]
async fn an_idle_server_stops_at_once_and_says_so() {
    let setup = Setup::new();
    let server = setup.start().await;
    assert_eq!(server.stop().await.code(), Some(0));
    let server = setup.start().await;
    assert_eq!(server.stop().await.code(), Some(0));
}
