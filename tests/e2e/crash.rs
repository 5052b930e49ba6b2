//! The server is killed again and again in the middle of its work: nothing that was accepted is
//! lost, little is repeated, and records keep their order.

use watchfire_testkit::SeededEntropy;

use crate::harness::{Application, Setup, eventually, tell};
use crate::load::{Endpoint, PERSISTENT, Producers, Receipt, draw, seed};
use crate::verdict::{Verdict, judge_history, judge_identity};

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

/// Order per record, and how often something came again although it had been accepted.
fn judge_receipts(receipts: &[Receipt], kills: usize) {
    let verdict = Verdict::of(receipts);
    tell(&format!("{kills} kills, {verdict:?}"));
    assert_eq!((verdict.out_of_order, verdict.late_repeats), (0, 0));
    assert_eq!(verdict.unexcused, 0, "repeated without need");
    verdict.assert_few_repeats(kills);
}
