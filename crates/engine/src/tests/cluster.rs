//! Several nodes on one store: they share the work, and one that is lost loses nothing.

mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchfire_domain::health::State;
use watchfire_domain::message::Details;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, Change, EndpointKey, Seq, ShardSet};

use super::harness::{Behavior, Harness, Sent};
use crate::{Company, Rhythm};

pub(super) const LEASE: Duration = Duration::from_secs(15);
pub(super) const COMPANY: Company = Company::Others(Rhythm {
    beat: Duration::from_secs(3),
    lease: LEASE,
});

/// So many nodes that have divided the shards among themselves.
pub(super) async fn nodes(count: usize) -> Vec<Harness> {
    let mut nodes = vec![Harness::first("node 0", COMPANY).await];
    for n in 1..count {
        let next = nodes[0].joined_by(&format!("node {n}"), COMPANY).await;
        nodes.push(next);
    }
    until_even(&nodes.iter().collect::<Vec<_>>()).await;
    nodes
}

/// Waits until these, and nobody else, hold even shares of everything.
pub(super) async fn until_even(nodes: &[&Harness]) {
    let share = 256usize.div_ceil(nodes.len());
    let is_even = async || {
        let held: Vec<_> = nodes.iter().map(|node| node.held()).collect();
        let all = held
            .iter()
            .fold(ShardSet::NONE, |all, some| all.with(*some));
        all == ShardSet::ALL && held.iter().all(|held| held.len() <= share)
    };
    nodes[0].until(is_even).await;
}

/// An application with so many endpoints, named by their number.
pub(super) async fn endpoints(node: &Harness, count: usize) -> (AppKey, Vec<EndpointKey>) {
    let app = node.application().await;
    let mut endpoints = Vec::new();
    for n in 0..count {
        endpoints.push(node.endpoint(app, &format!("to-{n}"), &[]).await);
    }
    (app, endpoints)
}

pub(super) fn sent_to_all(node: &Harness, count: usize) -> Vec<(usize, Sent)> {
    let of = |n| {
        node.sent_to(&format!("to-{n}"))
            .into_iter()
            .map(move |sent| (n, sent))
    };
    (0..count).flat_map(of).collect()
}

async fn until_all_settled(node: &Harness, app: AppKey, seqs: &[Seq]) {
    for seq in seqs {
        node.until_settled(app, *seq).await;
    }
}

/// For each endpoint and record, a later message is sent only after the earlier one's last attempt.
pub(super) fn assert_in_order(node: &Harness, count: usize) {
    let mut last: BTreeMap<(usize, String), u64> = BTreeMap::new();
    let mut sent = sent_to_all(node, count);
    sent.sort_by_key(|(_, sent)| sent.at);
    for (to, sent) in sent {
        let Some(record) = sent.record else { continue };
        let before = last.insert((to, record.clone()), sent.number);
        assert!(
            before.is_none_or(|before| before <= sent.number),
            "{record} at {to}: {} after {before:?}",
            sent.number
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_share_the_shards_evenly() {
    let nodes = nodes(3).await;
    let members = nodes[1].engine.members().await.expect("read");
    let held: Vec<_> = members
        .members
        .iter()
        .map(|member| member.shards.len())
        .collect();
    assert_eq!(held.iter().sum::<usize>(), 256);
    assert!(held.iter().all(|held| (80..=86).contains(held)), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn any_node_accepts_and_one_node_sends_to_an_endpoint() {
    let nodes = nodes(3).await;
    let (app, _) = endpoints(&nodes[0], 12).await;
    let mut seqs = Vec::new();
    for round in 0..30 {
        seqs.push(nodes[round % 3].post(app, "threat.created", None).await);
    }
    until_all_settled(&nodes[0], app, &seqs).await;
    let mut senders = BTreeSet::new();
    for n in 0..12 {
        let sent = nodes[0].sent_to(&format!("to-{n}"));
        assert_eq!(sent.len(), 30, "each message once");
        let by: BTreeSet<_> = sent.iter().map(|sent| sent.by.clone()).collect();
        assert_eq!(by.len(), 1, "one node sends to it: {by:?}");
        senders.extend(by);
    }
    assert_eq!(senders.len(), 3, "all nodes have something to do");
}

#[tokio::test(start_paused = true)]
async fn what_another_node_accepted_is_sent_within_a_moment() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 2).await;
    let begun = nodes[0].now();
    let seq = nodes[1].post(app, "threat.created", None).await;
    nodes[0].until_settled(app, seq).await;
    assert!(nodes[0].now().since(begun) <= Duration::from_millis(300));
    let holder = |key| nodes.iter().position(|node| node.engine.makes(key));
    assert_ne!(holder(endpoints[0]), holder(endpoints[1]));
}

#[tokio::test(start_paused = true)]
async fn order_per_record_holds_whoever_accepts() {
    let nodes = nodes(2).await;
    let (app, _) = endpoints(&nodes[0], 4).await;
    for n in 0..4 {
        nodes[0].fail_at_random(&format!("to-{n}"), 10);
    }
    let mut seqs = Vec::new();
    for round in 0..60 {
        let record = format!("record {}", round % 3);
        let by = &nodes[(round / 3) % 2];
        seqs.push(by.post(app, "threat.created", Some(&record)).await);
    }
    until_all_settled(&nodes[0], app, &seqs).await;
    assert_in_order(&nodes[0], 4);
    assert_eq!(
        nodes[0]
            .sent_to("to-0")
            .iter()
            .map(|sent| sent.number)
            .collect::<BTreeSet<_>>()
            .len(),
        60
    );
}

#[tokio::test(start_paused = true)]
async fn shards_change_hands_under_load_without_loss_or_disorder() {
    let first = Harness::first("node 0", COMPANY).await;
    let (app, _) = endpoints(&first, 6).await;
    for n in 0..6 {
        first.fail_at_random(&format!("to-{n}"), 10);
        let slow = [Behavior::Slow(Duration::from_secs(2)); 10];
        first.script(&format!("to-{n}"), slow);
    }
    let mut seqs = Vec::new();
    let mut others = Vec::new();
    for round in 0..120 {
        if round % 40 == 20 {
            let name = format!("node {}", others.len() + 1);
            others.push(first.joined_by(&name, COMPANY).await);
        }
        let by = others.last().filter(|_| round % 2 == 0).unwrap_or(&first);
        let record = format!("record {}", round % 5);
        seqs.push(by.post(app, "threat.created", Some(&record)).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_all_settled(&first, app, &seqs).await;
    assert_in_order(&first, 6);
    for n in 0..6 {
        let sent = first.sent_to(&format!("to-{n}"));
        let distinct: BTreeSet<_> = sent.iter().map(|sent| sent.number).collect();
        assert_eq!(distinct.len(), 120);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_makes_nobody_wait() {
    let mut nodes = nodes(2).await;
    let (app, _) = endpoints(&nodes[0], 6).await;
    for n in 0..6 {
        nodes[0].always(&format!("to-{n}"), Behavior::Slow(Duration::from_secs(1)));
    }
    let mut seqs = Vec::new();
    for _ in 0..20 {
        seqs.push(nodes[1].post(app, "threat.created", None).await);
    }
    let leaving = nodes.remove(1);
    let begun = leaving.now();
    leaving.engine.shut_down(Duration::from_secs(30)).await;
    until_even(&[&nodes[0]]).await;
    assert!(nodes[0].now().since(begun) < Duration::from_secs(8));
    until_all_settled(&nodes[0], app, &seqs).await;
    let members = nodes[0].engine.members().await.expect("read").members;
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(sent_to_all(&nodes[0], 6).len(), 6 * 20, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_resend_reaches_the_node_that_sends() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 2).await;
    let seq = nodes[0].post(app, "threat.created", None).await;
    nodes[0].until_settled(app, seq).await;
    for endpoint in endpoints {
        let other = nodes.iter().find(|node| !node.engine.makes(endpoint));
        let other = other.expect("one of the two does not");
        other
            .engine
            .resend(app, endpoint, seq)
            .await
            .expect("asked");
        let twice = async || other.attempts(endpoint).await.len() == 2;
        other.until(twice).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_done_whoever_created_it() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 2).await;
    for endpoint in endpoints {
        let failed = nodes[0].store_failed(app, endpoint, 5).await;
        let other = nodes.iter().find(|node| !node.engine.makes(endpoint));
        let other = other.expect("one of the two does not");
        super::tasks::recover(other, app, endpoint).await;
        until_all_settled(other, app, &failed).await;
        let sent_again = async || other.attempts(endpoint).await.len() == 10;
        other.until(sent_again).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_by_every_node() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 2).await;
    let seq = nodes[1].post(app, "threat.created", None).await;
    nodes[0].until_settled(app, seq).await;
    for endpoint in &endpoints {
        let other = nodes.iter().find(|node| !node.engine.makes(*endpoint));
        other
            .expect("one does not")
            .switch_off(app, *endpoint)
            .await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for node in &nodes {
        let seq = node.post(app, "threat.created", None).await;
        node.until_settled(app, seq).await;
    }
    assert_eq!(sent_to_all(&nodes[0], 2).len(), 2, "nothing more was sent");
    let third = nodes[0].endpoint(app, "to-2", &[]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seq = nodes[1].post(app, "threat.created", None).await;
    nodes[0].until_settled(app, seq).await;
    assert_eq!(nodes[0].attempts(third).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_health_set_on_another_node_counts() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 1).await;
    let endpoint = endpoints[0];
    nodes[0].always("to-0", Behavior::Status(410));
    let seq = nodes[0].post(app, "threat.created", None).await;
    let is_disabled = async || nodes[0].health(app, endpoint).await.state() == State::Disabled;
    nodes[0].until(is_disabled).await;
    nodes[0].always("to-0", Behavior::Status(200));
    let other = nodes.iter().find(|node| !node.engine.makes(endpoint));
    other.expect("one does not").activate(endpoint).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let next = nodes[0].post(app, "threat.created", None).await;
    nodes[0].until_settled(app, next).await;
    assert_eq!(nodes[0].health(app, endpoint).await.state(), State::Active);
    let delivered = nodes[0].sent_to("to-0").len();
    assert!(delivered >= 2, "{seq:?} and {next:?} were sent");
}

#[tokio::test(start_paused = true)]
async fn a_ping_does_not_wait_for_health_whoever_accepts_it() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 1).await;
    nodes[0].always("to-0", Behavior::Status(410));
    nodes[0].post(app, "threat.created", None).await;
    let is_disabled = async || nodes[0].health(app, endpoints[0]).await.state() == State::Disabled;
    nodes[0].until(is_disabled).await;
    // One node makes it, and the other has to leave it to that one.
    for node in &nodes {
        let held = node.post(app, "threat.created", None).await;
        let before = node.sent_to("to-0").len();
        let ping = Details {
            ping: true,
            ..Details::default()
        };
        let event = ("threat.created", None);
        let ping = node
            .try_to_accept(app, event, ping)
            .await
            .expect("accepted");
        node.until_settled(app, ping.seq).await;
        assert_eq!(node.sent_to("to-0").len(), before + 1, "the ping alone");
        assert!(held < ping.seq, "what was held is held");
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_an_application_holds_over_all_nodes() {
    let nodes = nodes(2).await;
    let (app, _) = endpoints(&nodes[0], 6).await;
    nodes[0].throttle_application(app, RATE).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = nodes[0].now();
    let mut seqs = Vec::new();
    for round in 0..20 {
        seqs.push(nodes[round % 2].post(app, "threat.created", None).await);
    }
    until_all_settled(&nodes[0], app, &seqs).await;
    assert_rate_was_kept_by_two(&nodes[0], begun, Duration::from_secs(14));
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_an_application_holds_while_shards_change_hands() {
    let first = Harness::first("node 0", COMPANY).await;
    let (app, _) = endpoints(&first, 6).await;
    first.throttle_application(app, RATE).await;
    let begun = first.now();
    let mut seqs = Vec::new();
    for _ in 0..20 {
        seqs.push(first.post(app, "threat.created", None).await);
    }
    // No message comes any more that would tell a node of its new part.
    let second = first.joined_by("node 1", COMPANY).await;
    until_even(&[&first, &second]).await;
    until_all_settled(&first, app, &seqs).await;
    // Some seconds pass until the second has its part.
    assert_rate_was_kept_by_two(&first, begun, Duration::from_secs(18));
}

const RATE: u32 = 10;

/// 120 requests of two nodes to one application with the rate, since then.
fn assert_rate_was_kept_by_two(node: &Harness, begun: Timestamp, most: Duration) {
    let mut sent: Vec<_> = sent_to_all(node, 6)
        .into_iter()
        .map(|(_, sent)| sent.at)
        .collect();
    sent.sort();
    assert_eq!(sent.len(), 120);
    for second in sent.windows(RATE as usize + 3) {
        let span = second[second.len() - 1].since(second[0]);
        assert!(span >= Duration::from_millis(900), "too many in {span:?}");
    }
    let took = node.now().since(begun);
    assert!(took <= most, "the rate is used: {took:?}");
    let senders: BTreeSet<_> = sent_to_all(node, 6)
        .into_iter()
        .map(|(_, sent)| sent.by)
        .collect();
    assert_eq!(senders.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_endpoint_is_cancelled_on_every_node() {
    let nodes = nodes(2).await;
    let (app, endpoints) = endpoints(&nodes[0], 1).await;
    let endpoint = endpoints[0];
    let other = nodes
        .iter()
        .find(|node| !node.engine.makes(endpoint))
        .expect("one does not");
    // Both have read the application.
    for node in &nodes {
        let seq = node.post(app, "threat.created", None).await;
        node.until_settled(app, seq).await;
    }
    let delete = Change::DeleteEndpoint {
        key: endpoint,
        now: other.now(),
    };
    other.engine.apply(vec![delete]).await.expect("deleted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    for node in &nodes {
        let seq = node.post(app, "threat.created", None).await;
        node.until_settled(app, seq).await;
    }
    assert_eq!(nodes[0].sent_to("to-0").len(), 2);
}
