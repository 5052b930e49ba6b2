//! Nodes that die, hang or lose touch: nothing accepted is lost, late results do not count.

use std::collections::BTreeSet;
use std::time::Duration;

use watchfire_domain::message::Details;

use super::{
    COMPANY, LEASE, assert_in_order, endpoints, nodes, sent_to_all, until_all_settled, until_even,
};
use crate::tests::harness::{Behavior, Harness};
use crate::{AcceptError, Company, Rhythm};

/// It beats once, when it joins, and then no more, as if it were paused.
const MUTE: Company = Company::Others(Rhythm {
    beat: Duration::from_hours(24),
    lease: LEASE,
});

#[tokio::test(start_paused = true)]
async fn a_lost_node_is_taken_over_from() {
    let mut nodes = nodes(2).await;
    let (app, _) = endpoints(&nodes[0], 8).await;
    for n in 0..8 {
        nodes[0].always(&format!("to-{n}"), Behavior::Slow(Duration::from_secs(20)));
    }
    let mut seqs = Vec::new();
    for round in 0..20 {
        let record = (round % 2 == 0).then(|| format!("record {}", round % 3));
        let by = &nodes[round % 2];
        seqs.push(by.post(app, "threat.created", record.as_deref()).await);
    }
    let lost = nodes.remove(1);
    let died_at = lost.now();
    drop(lost.engine);
    for n in 0..8 {
        nodes[0].always(&format!("to-{n}"), Behavior::Status(200));
    }
    until_even(&[&nodes[0]]).await;
    let took = nodes[0].now().since(died_at);
    assert!(took <= LEASE + Duration::from_secs(4), "it took {took:?}");
    until_all_settled(&nodes[0], app, &seqs).await;
    let mut twice = 0;
    for n in 0..8 {
        let sent = nodes[0].sent_to(&format!("to-{n}"));
        let distinct: BTreeSet<_> = sent.iter().map(|sent| sent.number).collect();
        assert_eq!(distinct.len(), 20);
        let by_lost = sent.iter().filter(|sent| sent.by == "node 1");
        twice += sent.len() - 20;
        assert!(
            sent.len() - 20 <= by_lost.count(),
            "only what was in flight came twice"
        );
    }
    assert_ne!(twice, 0, "the lost node had something in flight");
    assert_in_order(&nodes[0], 8);
}

#[tokio::test(start_paused = true)]
async fn three_nodes_lose_two_at_once() {
    let mut nodes = nodes(3).await;
    let (app, _) = endpoints(&nodes[0], 9).await;
    for n in 0..9 {
        nodes[0].always(
            &format!("to-{n}"),
            Behavior::Slow(Duration::from_millis(300)),
        );
    }
    let mut seqs = Vec::new();
    for round in 0..60 {
        let record = format!("record {}", round % 4);
        seqs.push(
            nodes[round % 3]
                .post(app, "threat.created", Some(&record))
                .await,
        );
    }
    let survivor = nodes.remove(0);
    for lost in nodes {
        drop(lost.engine);
    }
    until_even(&[&survivor]).await;
    until_all_settled(&survivor, app, &seqs).await;
    assert_in_order(&survivor, 9);
    for n in 0..9 {
        let sent = survivor.sent_to(&format!("to-{n}"));
        let distinct: BTreeSet<_> = sent.iter().map(|sent| sent.number).collect();
        assert_eq!(distinct.len(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_is_fenced_off_and_joins_again() {
    let first = Harness::first("node 0", COMPANY).await;
    let (app, _) = endpoints(&first, 6).await;
    let mute = first.joined_by("mute", MUTE).await;
    // It joined too late to take shards by itself: the first hands half of them over.
    let held_by_nobody = async || first.held().len() == 128;
    first.until(held_by_nobody).await;
    mute.keep_house().await;
    assert_eq!(mute.held().len(), 128);
    let before = mute.engine.life();
    for n in 0..6 {
        first.script(
            &format!("to-{n}"),
            [Behavior::Slow(Duration::from_secs(40))],
        );
    }
    let seq = first.post(app, "threat.created", None).await;
    let by_mute = async || {
        sent_to_all(&first, 6)
            .iter()
            .any(|(_, sent)| sent.by == "mute")
    };
    first.until(by_mute).await;
    let has_joined_again = async || mute.engine.life() != before;
    first.until(has_joined_again).await;
    assert_eq!(mute.engine.life().node, before.node, "the name is its own");
    let later = mute.post(app, "threat.created", None).await;
    until_all_settled(&first, app, &[seq, later]).await;
    for n in 0..6 {
        let sent = first.sent_to(&format!("to-{n}"));
        let of_first: Vec<_> = sent.iter().filter(|sent| sent.number == 0).collect();
        let by_mute = of_first.iter().any(|sent| sent.by == "mute");
        assert_eq!(of_first.len(), if by_mute { 2 } else { 1 }, "{of_first:?}");
    }
    // The late results were not recorded.
    tokio::time::sleep(Duration::from_mins(2)).await;
    for endpoint in 1..=6 {
        let attempts = first.attempts(watchfire_store::EndpointKey(endpoint)).await;
        assert_eq!(attempts.len(), 2, "one for each message");
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_and_nothing_is_accepted_without_a_lease() {
    let mute = Harness::first("mute", MUTE).await;
    let (app, _) = endpoints(&mute, 1).await;
    let seq = mute.post(app, "threat.created", None).await;
    mute.until_settled(app, seq).await;
    assert!(mute.engine.has_lease());
    tokio::time::sleep(LEASE).await;
    assert!(!mute.engine.has_lease() && !mute.engine.makes_progress());
    let refused = mute
        .try_to_accept(app, ("threat.created", None), Details::default())
        .await;
    assert!(matches!(refused, Err(AcceptError::NoLease)), "{refused:?}");
    mute.keep_alive().await;
    assert!(mute.engine.has_lease(), "nobody had taken over");
    let seq = mute.post(app, "threat.created", None).await;
    mute.until_settled(app, seq).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_the_lease_ends_is_not_sent_before_it_is_extended() {
    let mute = Harness::first("mute", MUTE).await;
    let (app, _) = endpoints(&mute, 1).await;
    // The second retry is due minutes later.
    mute.script("to-0", [Behavior::Status(500); 2]);
    let seq = mute.post(app, "threat.created", None).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(mute.sent_to("to-0").len(), 2, "the retry waits");
    mute.keep_alive().await;
    mute.until_settled(app, seq).await;
    assert_eq!(mute.sent_to("to-0").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_node_comes_back_under_its_name_at_once() {
    let mut nodes = nodes(2).await;
    let (app, _) = endpoints(&nodes[0], 6).await;
    for n in 0..6 {
        nodes[0].always(&format!("to-{n}"), Behavior::Slow(Duration::from_secs(1)));
    }
    let mut seqs = Vec::new();
    for _ in 0..10 {
        seqs.push(nodes[1].post(app, "threat.created", None).await);
    }
    let lost = nodes.remove(1);
    drop(lost.engine);
    let back = nodes[0].joined_by("node 1", COMPANY).await;
    assert_eq!(back.held().len(), 128, "nobody has taken its shards");
    let begun = back.now();
    until_all_settled(&back, app, &seqs).await;
    assert!(
        back.now().since(begun) < LEASE,
        "nobody waits for a lease to end"
    );
}

#[tokio::test(start_paused = true)]
async fn two_servers_of_one_name_end_as_two_nodes() {
    let one = Harness::first("same", COMPANY).await;
    let two = one.joined_by("same", COMPANY).await;
    until_even(&[&one, &two]).await;
    assert_ne!(one.engine.life().node, two.engine.life().node);
    let (app, _) = endpoints(&one, 4).await;
    for node in [&one, &two] {
        let seq = node.post(app, "threat.created", None).await;
        node.until_settled(app, seq).await;
    }
    assert_eq!(sent_to_all(&one, 4).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_leaves_little_to_read() {
    let nodes = nodes(2).await;
    let (app, _) = endpoints(&nodes[0], 1).await;
    for _ in 0..20 {
        let seq = nodes[0].post(app, "threat.created", None).await;
        nodes[0].until_settled(app, seq).await;
    }
    let idle = nodes[1].engine.life();
    let newest = nodes[1].engine.members().await.expect("read").newest;
    let follows = async || nodes[1].store.checkpoint(&idle).await.expect("read") == newest;
    nodes[1].until(follows).await;
}
