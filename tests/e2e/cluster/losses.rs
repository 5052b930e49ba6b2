//! Nodes that are killed, stopped and paused.

use tokio::time::Instant;

use super::nodes::{BEAT, BETWEEN, Cluster, LEASE, Leases, SLACK, Trial, shared_database};
use crate::harness::tell;
use crate::load::seed;

#[tokio::test]
async fn a_killed_node_loses_nothing_and_nothing_overtakes() {
    let database = shared_database().await;
    let url = database.fresh_database();
    let mut cluster = Cluster::start(3, &url, Leases::Short).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(BETWEEN).await;
    let (lost, other) = cluster.busiest();
    let epoch = cluster.epoch(lost).await;
    cluster.kill(lost).await;
    let killed_at = Instant::now();
    trial.end_life().await;
    cluster.until_taken_over(lost, other, epoch).await;
    cluster.until_even().await;
    let took = killed_at.elapsed();
    let pause = trial.longest_pause(killed_at);
    tell(&format!(
        "taken over {took:?} after the kill; longest pause {pause:?}"
    ));
    assert!(took <= LEASE + BEAT + SLACK, "{took:?}");
    trial.goes_on(BETWEEN).await;
    cluster.start_again(lost).await;
    trial.producers.follow_at(lost, cluster.api(lost));
    cluster.until_even().await;
    trial.goes_on(BETWEEN).await;
    let service = trial.producers.service();
    tell(&format!(
        "{} refused, {} unanswered, {:?} at most until accepted",
        service.refused, service.broken, service.longest
    ));
    let verdict = trial.judge("one of three nodes killed", &cluster).await;
    verdict.assert_few_repeats(1);
}

#[tokio::test]
async fn a_paused_node_is_taken_over_and_joins_again_by_itself() {
    let database = shared_database().await;
    let url = database.fresh_database();
    let cluster = Cluster::start(2, &url, Leases::Short).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(BETWEEN).await;
    let (lost, other) = cluster.busiest();
    let epoch = cluster.epoch(lost).await;
    cluster.pause(lost);
    let paused_at = Instant::now();
    trial.end_life().await;
    cluster.until_taken_over(lost, other, epoch).await;
    cluster.until_even_among(&[other]).await;
    let took = paused_at.elapsed();
    trial.goes_on(BETWEEN).await;
    // What it had asked of others when it was paused, it may still hear, and then asks no more.
    trial.end_life().await;
    cluster.resume(lost);
    cluster.until_even().await;
    assert!(cluster.epoch(lost).await > epoch, "it began a new life");
    trial.goes_on(BETWEEN).await;
    assert_eq!(cluster.said(lost, "it joins again"), 1);
    tell(&format!("taken over {took:?} after the pause"));
    assert!(took <= LEASE + BEAT + SLACK, "{took:?}");
    let verdict = trial.judge("one of two nodes paused", &cluster).await;
    verdict.assert_few_repeats(1);
}
