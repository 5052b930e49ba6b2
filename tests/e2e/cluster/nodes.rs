//! Servers that share a database, and what they say of each other.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;
use watchfire_testkit::Postgres;

use crate::harness::{Api, Application, Server, Setup, eventually, tell};
use crate::load::{Endpoint, PERSISTENT, Producers, Stream};
use crate::postgres::refused_at_once;
use crate::verdict::{Verdict, judge_history, judge_identity};

/// All nodes of one database need the same.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Endpoints of the application: enough for each node to send to some.
const ENDPOINTS: usize = 6;
/// Share of its requests that one of the endpoints refuses.
const FLAKY_PERCENT: f64 = 10.0;

/// How long a node is taken to be alive, where a test waits for it to be taken over.
pub(super) const LEASE: Duration = Duration::from_secs(4);
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// What a takeover may take beyond the lease and a beat, on a machine that is busy with other
/// tests. The engine's own tests, whose time is simulated, allow a second.
pub(super) const SLACK: Duration = Duration::from_secs(30);

/// Requests that come to each endpoint between two faults.
pub(super) const BETWEEN: usize = 150;
/// How long nodes are taken to be alive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leases {
    /// Short, so that a lost node is taken over soon.
    Short,
    /// As they are if nobody sets them: nothing in these tests takes so long.
    Usual,
}

/// Servers that share a database.
pub(super) struct Cluster {
    setups: Vec<Setup>,
    /// `None` while one is down.
    nodes: Vec<Option<Server>>,
}

pub(super) async fn shared_database() -> Postgres {
    tokio::task::spawn_blocking(Postgres::shared)
        .await
        .expect("a server")
}

pub(super) async fn private_database() -> Postgres {
    // Only processes are killed, which loses nothing that was not synced.
    tokio::task::spawn_blocking(|| Postgres::private(&["fsync=off"]))
        .await
        .expect("a server")
}

pub(super) fn name(node: usize) -> String {
    format!("node-{node}")
}

/// A node on the database at this URL.
pub(super) fn setup(node: usize, url: &str, leases: Leases) -> Setup {
    let setup = Setup::new()
        .retrying_fast()
        .config(PERSISTENT)
        .env("WATCHFIRE_DATABASE_URL", url)
        .env("WATCHFIRE_MASTER_KEY", KEY)
        .env("WATCHFIRE_NODE", &name(node));
    match leases {
        Leases::Usual => setup,
        Leases::Short => setup
            .env("WATCHFIRE_NODE_BEAT", &format!("{}ms", BEAT.as_millis()))
            .env("WATCHFIRE_NODE_LEASE", &format!("{}s", LEASE.as_secs())),
    }
}

impl Cluster {
    /// So many nodes, that have divided the shards among themselves.
    pub(super) async fn start(count: usize, url: &str, leases: Leases) -> Self {
        let setups = (0..count).map(|node| setup(node, url, leases)).collect();
        Self::of(setups).await
    }

    pub(super) async fn of(setups: Vec<Setup>) -> Self {
        let mut nodes = Vec::new();
        for setup in &setups {
            nodes.push(Some(setup.start().await));
        }
        let cluster = Self { setups, nodes };
        cluster.until_even().await;
        cluster
    }

    pub(super) fn node(&self, node: usize) -> &Server {
        self.nodes[node].as_ref().expect("the node runs")
    }

    pub(super) fn api(&self, node: usize) -> &Api {
        self.node(node).api()
    }

    /// The nodes that run.
    fn running(&self) -> Vec<usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter_map(|(node, server)| server.as_ref().map(|_| node))
            .collect()
    }

    pub(super) async fn kill(&mut self, node: usize) {
        self.nodes[node].take().expect("it runs").kill().await;
    }

    /// Asks it to stop, as an operator does.
    pub(super) async fn stop(&mut self, node: usize) {
        let server = self.nodes[node].take().expect("it runs");
        assert_eq!(server.stop().await.code(), Some(0));
    }

    pub(super) async fn start_again(&mut self, node: usize) {
        self.nodes[node] = Some(self.setups[node].start().await);
    }

    pub(super) fn pause(&self, node: usize) {
        kill_process(self.node(node).pid(), Signal::STOP).expect("it runs");
    }

    pub(super) fn resume(&self, node: usize) {
        kill_process(self.node(node).pid(), Signal::CONT).expect("it is there");
    }

    /// What a node says of all.
    pub(super) async fn members(&self, asked: usize) -> Vec<Value> {
        let answer = self.api(asked).get("/node").await.expect(200);
        answer["data"].as_array().expect("a list").clone()
    }

    /// Waits until the nodes that run, and nobody else, hold even shares of everything.
    pub(super) async fn until_even(&self) {
        let running = self.running();
        self.until_even_among(&running).await;
    }

    pub(super) async fn until_even_among(&self, nodes: &[usize]) {
        let names: Vec<_> = nodes.iter().map(|node| name(*node)).collect();
        let share = 256_u64.div_ceil(u64::try_from(nodes.len()).expect("few"));
        eventually("the shards are divided evenly", async || {
            let members = self.members(nodes[0]).await;
            let shards = |member: &Value| member["shards"].as_u64().expect("a number");
            let are_named = members.len() == names.len()
                && members
                    .iter()
                    .zip(&names)
                    .all(|(member, name)| member["name"] == **name && member["state"] == "alive");
            let is_even = members.iter().all(|member| shards(member) <= share)
                && members.iter().map(shards).sum::<u64>() == 256;
            (are_named && is_even).then_some(())
        })
        .await;
    }

    /// Waits until a node is in nobody's list, or there under a new epoch.
    pub(super) async fn until_taken_over(&self, lost: usize, asked: usize, epoch: i64) {
        eventually("the lost node is taken over", async || {
            let members = self.members(asked).await;
            let is_there = |member: &&Value| member["name"] == name(lost);
            let there = members.iter().find(is_there);
            there
                .is_none_or(|member| {
                    member["epoch"].as_i64() > Some(epoch) && member["state"] != "dying"
                })
                .then_some(())
        })
        .await;
    }

    /// The node that has sent most, and another.
    pub(super) fn busiest(&self) -> (usize, usize) {
        let nodes = self.running();
        let busiest = nodes
            .iter()
            .max_by_key(|node| self.said(**node, "attempt endpoint.id"));
        let busiest = *busiest.expect("some node runs");
        let other = nodes.iter().find(|node| **node != busiest);
        (busiest, *other.expect("another node runs"))
    }

    /// Waits until a node says that it works, or that it does not.
    pub(super) async fn until_ready(&self, node: usize, status: u16) {
        eventually("the node says how it is", async || {
            let health = self.api(node).exchange(Method::GET, "/health", None, None);
            (health.await.ok()?.status == status).then_some(())
        })
        .await;
    }

    pub(super) async fn epoch(&self, node: usize) -> i64 {
        let members = self.members(node).await;
        let own = members.iter().find(|member| member["answers"] == true);
        own.expect("it lists itself")["epoch"]
            .as_i64()
            .expect("a number")
    }

    /// How often a node that runs has said this in its log.
    pub(super) fn said(&self, node: usize, what: &str) -> usize {
        self.node(node).log().matches(what).count()
    }
}

/// An application with endpoints that keep ledgers, and producers that post to all nodes.
pub(super) struct Trial {
    app: Application,
    /// Without endpoints: what is refused may be stored all the same, once the database is back.
    empty: Application,
    pub(super) endpoints: Vec<Endpoint>,
    ids: Vec<String>,
    pub(super) producers: Producers,
}

impl Trial {
    pub(super) async fn begin(cluster: &Cluster, seed: u64) -> Self {
        let app = Application::create(cluster.api(0)).await;
        let empty = Application::create(cluster.api(0)).await;
        let mut endpoints = Vec::new();
        let mut ids = Vec::new();
        for number in 0..ENDPOINTS {
            let fails = if number == 0 { FLAKY_PERCENT } else { 0.0 };
            let number = u64::try_from(number).expect("few");
            let endpoint = Endpoint::start(seed ^ number, fails).await;
            ids.push(app.endpoint(&endpoint.url()).await);
            endpoints.push(endpoint);
        }
        let mut servers = Vec::new();
        for node in cluster.running() {
            let there = app.at(cluster.api(node));
            eventually("the node knows the application", async || {
                let known = there.api.get(&there.path("/endpoint")).await;
                (known.status == 200 && known.expect(200)["data"].as_array()?.len() == ENDPOINTS)
                    .then_some(())
            })
            .await;
            servers.push(there);
        }
        let producers = Producers::start_at(servers);
        Self {
            app,
            empty,
            endpoints,
            ids,
            producers,
        }
    }

    /// Waits until so many more requests have come to an endpoint.
    pub(super) async fn goes_on(&self, requests: usize) {
        let wanted = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.count() + requests);
        let wanted: Vec<_> = wanted.collect();
        for (endpoint, wanted) in self.endpoints.iter().zip(wanted) {
            endpoint.received(wanted).await;
        }
    }

    /// A node refuses a message and says when to try again, in a time in which nobody gives up.
    pub(super) async fn refused_at_once(&self, cluster: &Cluster, node: usize) {
        let app = self.empty.at(cluster.api(node));
        refused_at_once(&app, 0).await;
    }

    /// What came before may come again from now on.
    pub(super) async fn end_life(&self) {
        for endpoint in &self.endpoints {
            endpoint.end_life().await;
        }
    }

    /// The longest time since then in which an endpoint was sent nothing.
    pub(super) fn longest_pause(&self, since: Instant) -> Duration {
        let pauses = self.endpoints.iter().map(|endpoint| {
            let receipts = endpoint.receipts();
            let came = receipts.iter().map(|receipt| receipt.came_at);
            let came: Vec<_> = came.filter(|at| *at >= since).collect();
            let between = came.windows(2).map(|pair| pair[1] - pair[0]);
            let first = came.first().map(|first| *first - since);
            between.chain(first).max().unwrap_or_default()
        });
        pauses.max().unwrap_or_default()
    }

    /// Everything accepted arrives everywhere, is recorded once, and in order.
    pub(super) async fn judge(self, what: &str, cluster: &Cluster) -> Verdict {
        let accepted = self.producers.finish().await;
        let asked = cluster.running()[0];
        let app = self.app.at(cluster.api(asked));
        for (endpoint, id) in self.endpoints.iter().zip(&self.ids) {
            if until_arrived(endpoint, &accepted).await.is_none() {
                let amiss = endpoint.amiss(&accepted);
                panic!(
                    "lost or uncalled for: {amiss:?}; {}",
                    app.stats_of(id).await
                );
            }
        }
        judge_identity(&self.endpoints);
        let mut verdict = Verdict::default();
        for (endpoint, id) in self.endpoints.iter().zip(&self.ids) {
            judge_history(&app, id, &accepted).await;
            verdict = verdict.with(Verdict::of(&endpoint.receipts()));
        }
        let messages: u64 = accepted.values().sum();
        tell(&format!(
            "{what}: {messages} messages, none lost; {verdict:?}"
        ));
        assert_eq!(verdict.out_of_order, 0, "{verdict:?}");
        assert_eq!(verdict.unexcused, 0, "repeated without need: {verdict:?}");
        verdict
    }
}

/// How long what was accepted may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(90);

async fn until_arrived(endpoint: &Endpoint, accepted: &BTreeMap<Stream, u64>) -> Option<()> {
    let arriving = async {
        while !endpoint.has_all(accepted) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(ARRIVES_WITHIN, arriving).await.ok()
}
