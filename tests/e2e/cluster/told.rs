//! What the nodes of a cluster say of themselves: to people in the API, to Prometheus in metrics.

use tokio::process::Command;

use super::nodes::{Cluster, Leases, Trial, name, setup, shared_database};
use crate::harness::{ready, run_judge};
use crate::load::seed;
use crate::metrics::scraped;

/// A node's own clock is the database's: they are on one machine. Far more than reading it takes.
const CLOCK_AHEAD_MAX_MICROS: i64 = 60_000_000;

#[tokio::test]
async fn every_node_says_how_it_is() {
    let database = shared_database().await;
    let url = database.fresh_database();
    let setups = (0..2)
        .map(|n| setup(n, &url, Leases::Short).env("WATCHFIRE_METRICS_LISTEN", "127.0.0.1:0"));
    let cluster = Cluster::of(setups.collect()).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(20).await;
    for asked in 0..2 {
        let members = cluster.members(asked).await;
        assert_eq!(members.len(), 2);
        for (n, member) in members.iter().enumerate() {
            assert_eq!(member["name"], *name(n));
            assert_eq!(member["answers"], n == asked);
            assert_eq!(member["version"], env!("CARGO_PKG_VERSION"));
            assert_eq!(member["shards"], 128);
            assert!(member["lag"].is_u64(), "{member}");
            let ahead = member["clockAheadMicros"].as_i64().expect("a number");
            assert!(ahead.abs() < CLOCK_AHEAD_MAX_MICROS, "{member}");
        }
        let metrics = scraped(cluster.node(asked)).await;
        assert!(metrics.contains("watchfire_messages_accepted_total"));
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]);
        run_judge(ready(promtool), &metrics).await;
    }
    trial
        .judge("two nodes that say how they are", &cluster)
        .await;
}
