//! A database that is away, or fails over to its replica.

use tokio::time::Instant;

use super::nodes::{BETWEEN, Cluster, LEASE, Leases, Trial, private_database};
use crate::harness::tell;
use crate::load::seed;

#[tokio::test]
async fn a_database_that_is_away_for_longer_than_a_lease_costs_nothing() {
    let database = private_database().await;
    let url = database.fresh_database();
    let cluster = Cluster::start(2, &url, Leases::Short).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(BETWEEN).await;
    database.crash();
    let away_at = Instant::now();
    for node in 0..2 {
        trial.refused_at_once(&cluster, node).await;
        cluster.until_ready(node, 500).await;
    }
    tokio::time::sleep_until(away_at + LEASE + LEASE).await;
    database.start_again();
    let back_at = Instant::now();
    for node in 0..2 {
        cluster.until_ready(node, 200).await;
    }
    trial.goes_on(BETWEEN).await;
    let pause = trial.longest_pause(back_at);
    tell(&format!(
        "database back: everything goes on within {pause:?}"
    ));
    for node in 0..2 {
        assert_eq!(cluster.said(node, "it joins again"), 0, "nobody was lost");
    }
    let verdict = trial.judge("database away", &cluster).await;
    assert_eq!(verdict.repeats(), 0, "{verdict:?}");
}

#[tokio::test]
async fn a_promoted_replica_is_found_and_nothing_is_lost() {
    let primary = private_database().await;
    primary.run("postgres", "CREATE DATABASE cluster");
    let replicate = move || {
        let replica = primary.replica();
        (primary, replica)
    };
    let (primary, replica) = tokio::task::spawn_blocking(replicate)
        .await
        .expect("a replica");
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), replica.port());
    let url = format!("postgres://watchfire@{hosts}/cluster?target_session_attrs=read-write");
    let cluster = Cluster::start(2, &url, Leases::Usual).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(BETWEEN).await;
    primary.crash();
    let lost_at = Instant::now();
    trial.refused_at_once(&cluster, 0).await;
    replica.promote();
    for node in 0..2 {
        cluster.until_ready(node, 200).await;
    }
    let found = lost_at.elapsed();
    trial.goes_on(BETWEEN).await;
    tell(&format!(
        "fail-over: both nodes work {found:?} after the loss"
    ));
    let verdict = trial.judge("fail-over", &cluster).await;
    verdict.assert_few_repeats(1);
}
