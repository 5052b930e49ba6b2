//! Nodes that are stopped and started one after the other, as at an upgrade.

use std::time::Duration;

use tokio::time::Instant;

use super::nodes::{Cluster, Leases, SLACK, Trial, setup, shared_database};
use crate::harness::tell;
use crate::load::seed;

/// So long that whoever had to wait for the end of a lease would be seen to wait.
const LEASE: Duration = Duration::from_mins(4);

/// Requests that come to each endpoint between two steps.
const SOME: usize = 40;

#[tokio::test]
async fn nodes_that_are_restarted_in_turn_make_nobody_wait() {
    const { assert!(LEASE.as_secs() > 2 * SLACK.as_secs()) };
    let database = shared_database().await;
    let url = database.fresh_database();
    let lease = format!("{}s", LEASE.as_secs());
    let setups = (0..3).map(|node| {
        let setup = setup(node, &url, Leases::Usual);
        setup.env("WATCHFIRE_NODE_LEASE", &lease)
    });
    let mut cluster = Cluster::of(setups.collect()).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(SOME).await;
    let begun = Instant::now();
    for node in 0..3 {
        cluster.stop(node).await;
        trial.goes_on(SOME).await;
        cluster.start_again(node).await;
        trial.producers.follow_at(node, cluster.api(node));
        cluster.until_even().await;
        trial.goes_on(SOME).await;
    }
    let pause = trial.longest_pause(begun);
    let service = trial.producers.service();
    tell(&format!(
        "longest pause of an endpoint {pause:?}; {:?} at most until accepted",
        service.longest
    ));
    assert!(pause < SLACK, "nobody waits for a lease to end: {pause:?}");
    assert!(service.longest < SLACK, "{service:?}");
    let verdict = trial.judge("three nodes restarted in turn", &cluster).await;
    assert_eq!(verdict.repeats(), 0, "{verdict:?}");
}
