//! A commit whose answer gets lost: the message stands, and its node does not know.

use http::Method;
use serde_json::{Value, json};
use watchfire_testkit::{Postgres, Relay};

use super::nodes::{Cluster, Leases, setup, shared_database};
use crate::harness::{Application, eventually};
use crate::load::{Endpoint, seed};

/// Enough for each of two nodes to send to some.
const ENDPOINTS: u64 = 8;

fn event(place: u64) -> Value {
    json!({
        "eventType": "threat.changed",
        "eventId": format!("event-{place}"),
        "recordKey": "threat-1",
        "payload": { "stream": "0-0", "place": place },
    })
}

async fn post(app: &Application, place: u64) -> u16 {
    let (path, event) = (app.path("/msg"), event(place));
    let posted = app.api.exchange(Method::POST, &path, Some(&event), None);
    posted.await.expect("an answer").status
}

/// How many claimed deliveries a node has in hand.
fn claimed(database: &Postgres, name: &str, node: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM owed WHERE lease_token IS NOT NULL \
         AND lease_node = (SELECT key FROM node WHERE name = '{node}')"
    );
    database.run(name, &sql).trim().parse().expect("a number")
}

#[tokio::test]
async fn what_another_node_accepted_later_does_not_overtake_a_commit_in_doubt() {
    let database = shared_database().await;
    let url = database.fresh_database();
    let name = url.rsplit('/').next().expect("a name").to_owned();
    let relay = Relay::to(database.port()).await;
    let (direct, relayed) = (database.port().to_string(), relay.port().to_string());
    let behind = url.replace(&direct, &relayed);
    let nodes = vec![
        setup(0, &behind, Leases::Usual),
        setup(1, &url, Leases::Usual),
    ];
    let cluster = Cluster::of(nodes).await;
    let app = Application::create(cluster.api(0)).await;
    let mut endpoints = Vec::new();
    let seed = seed();
    for number in 0..ENDPOINTS {
        let endpoint = Endpoint::start(seed ^ number, 0.0).await;
        app.endpoint(&endpoint.url()).await;
        endpoints.push(endpoint);
    }
    let other = app.at(cluster.api(1));
    eventually("the other node knows the endpoints", async || {
        let known = other.api.get(&other.path("/endpoint")).await;
        let all = known.expect(200)["data"].as_array()?.len();
        (u64::try_from(all) == Ok(ENDPOINTS)).then_some(())
    })
    .await;
    let held = relay.hold_commit_of("INSERT INTO message");
    let in_doubt = tokio::spawn({
        let app = app.clone();
        async move { post(&app, 0).await }
    });
    held.stands().await;
    assert_eq!(post(&other, 0).await, 409, "the other node has it");
    for place in 1..4 {
        assert_eq!(post(&other, place).await, 202);
    }
    eventually(
        "the first node has claimed what the other accepted",
        async || (claimed(&database, &name, "node-0") > 0).then_some(()),
    )
    .await;
    held.cut();
    let answered = in_doubt.await.expect("it was posted");
    assert!(matches!(answered, 202 | 503), "{answered}");
    for endpoint in &endpoints {
        endpoint.received(4).await;
        let receipts = endpoint.receipts();
        let places: Vec<_> = receipts.iter().map(|receipt| receipt.place).collect();
        assert_eq!(places, [0, 1, 2, 3], "in order, each once");
    }
}

#[tokio::test]
async fn a_node_that_does_not_hear_that_it_has_joined_keeps_its_name() {
    let database = shared_database().await;
    let url = database.fresh_database();
    let relay = Relay::to(database.port()).await;
    let (direct, relayed) = (database.port().to_string(), relay.port().to_string());
    let behind = url.replace(&direct, &relayed);
    let nodes = vec![
        setup(0, &behind, Leases::Short),
        setup(1, &url, Leases::Short),
    ];
    let cluster = Cluster::of(nodes).await;
    let epoch = cluster.epoch(0).await;
    cluster.pause(0);
    cluster.until_taken_over(0, 1, epoch).await;
    let held = relay.hold_commit_of("INSERT INTO node ");
    cluster.resume(0);
    held.stands().await;
    held.cut();
    cluster.until_even().await;
    assert_eq!(cluster.said(0, "runs under the same name"), 0);
}
