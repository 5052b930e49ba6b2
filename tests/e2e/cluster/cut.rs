//! A node whose network to the database is cut: another takes over, and when the cable is mended it
//! joins again by itself.

use std::net::TcpListener;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::nodes::{BEAT, Cluster, Leases, SLACK, Trial, private_database, setup};
use crate::harness::{Peer, eventually, is_apart, tell};
use crate::load::seed;

/// So long that the node has stopped by its own clock seconds before it is taken over, also where the
/// machine is busy: what came twice for want of its outcomes is told apart by that moment.
const LEASE: Duration = Duration::from_secs(30);

/// Carries what comes at a listener to the database, for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "a cable to the database, not a delivery"
)]
async fn carry(listener: TcpListener, port: u16) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((mut client, _)) = listener.accept().await {
        drop(tokio::spawn(async move {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
            copy_bidirectional(&mut client, &mut server).await
        }));
    }
}

/// Requests that come to each endpoint between two steps.
const SOME: usize = 40;

#[tokio::test]
async fn a_node_cut_off_from_the_database_is_taken_over_and_comes_back() {
    let name = "a_node_cut_off_from_the_database_is_taken_over_and_comes_back";
    if !is_apart(&["--net"], module_path!(), name).await {
        return;
    }
    let peer = Peer::connect().await;
    let database = private_database().await;
    let url = database.fresh_database();
    let listener = peer.listen();
    let there = listener.local_addr().expect("an address").to_string();
    drop(tokio::spawn(carry(listener, database.port())));
    let behind = url.replace(&format!("127.0.0.1:{}", database.port()), &there);
    let (cut, other) = (0, 1);
    let lease = format!("{}s", LEASE.as_secs());
    let setups = [&behind, &url].into_iter().enumerate();
    let setups =
        setups.map(|(n, url)| setup(n, url, Leases::Short).env("WATCHFIRE_NODE_LEASE", &lease));
    let cluster = Cluster::of(setups.collect()).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(SOME).await;
    let epoch = cluster.epoch(other).await;

    peer.cut().await;
    let cut_at = Instant::now();
    trial.refused_at_once(&cluster, cut).await;
    eventually("the node knows that its lease has ended", async || {
        (cluster.api(cut).get("/health").await.status == 500).then_some(())
    })
    .await;
    trial.end_life().await;
    cluster.until_even_among(&[other]).await;
    let took = cut_at.elapsed();
    tell(&format!("taken over {took:?} after the cut"));
    assert!(took <= LEASE + BEAT + SLACK, "{took:?}");
    assert_eq!(cluster.epoch(other).await, epoch);
    trial.goes_on(SOME).await;

    peer.mend().await;
    cluster.until_even().await;
    trial.goes_on(SOME).await;
    assert_eq!(cluster.said(cut, "it joins again"), 1);
    let verdict = trial.judge("one of two nodes cut off", &cluster).await;
    verdict.assert_few_repeats(1);
}
