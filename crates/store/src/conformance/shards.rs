//! Shards, arrivals, and deliveries that are owed from the start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::races::at_once;
use super::world::{World, at, live};
use crate::{
    Appended, Arrival, Elsewhere, EndpointKey, InTurn, NewMessage, NewOwed, OwedReason, Recorded,
    Seq, Shard, ShardSet, Store, Write,
};

const LONG: Duration = Duration::from_hours(1);

async fn another(world: &World, node: &str) -> World {
    World {
        life: live(&world.store, node, LONG).await,
        ..world.clone()
    }
}

async fn take(world: &World, at_most: usize) -> ShardSet {
    let taken = world.store.take_shards(&world.life, at_most).await;
    taken.expect("take")
}

async fn give_back(world: &World, shards: ShardSet) {
    let given = world.store.give_back(&world.life, shards).await;
    given.expect("give back");
}

async fn arrivals(world: &World) -> Vec<Arrival> {
    let arrivals = world.store.take_arrivals(&world.life, 1_000).await;
    let mut arrivals = arrivals.expect("take them");
    arrivals.sort();
    arrivals
}

fn arrival(world: &World, endpoint: EndpointKey) -> Arrival {
    Arrival {
        endpoint,
        app: world.app,
    }
}

/// A message for the first endpoint, which another node is to deliver.
fn elsewhere(world: &World, record: Option<i64>) -> NewMessage {
    let endpoint = world.endpoints[0];
    NewMessage {
        elsewhere: vec![Elsewhere {
            endpoint,
            record,
            due_at: at(0),
            reason: OwedReason::Spilled,
        }],
        matched: vec![endpoint],
        ..world.message()
    }
}

/// A message for the first endpoint, which this node is to deliver in its turn.
fn in_turn(world: &World, record: i64) -> NewMessage {
    let endpoint = world.endpoints[0];
    NewMessage {
        in_turn: vec![InTurn { endpoint, record }],
        matched: vec![endpoint],
        ..world.message()
    }
}

async fn accept(world: &World, new: NewMessage) -> (Seq, Vec<EndpointKey>) {
    placed(world.append(vec![new]).await)
}

fn placed(mut appended: Vec<Appended>) -> (Seq, Vec<EndpointKey>) {
    match appended.remove(0) {
        Appended::At { seq, parked } => (seq, parked),
        other @ (Appended::EventIdTaken(_) | Appended::Repeated(_)) => {
            panic!("expected a place, got {other:?}")
        }
    }
}

pub async fn free_shards_are_taken_up_to_what_is_asked_for(store: Arc<dyn Store>) {
    let one = World::with_endpoints(store, 0).await;
    give_back(&one, ShardSet::ALL).await;
    let two = another(&one, "two").await;
    let first = take(&one, 100).await;
    let second = take(&two, 100).await;
    let third = take(&one, 100).await;
    assert_eq!((first.len(), second.len(), third.len()), (100, 100, 56));
    assert_eq!(first.with(second).with(third), ShardSet::ALL);
    assert_eq!(take(&two, 100).await, ShardSet::NONE);
}

pub async fn no_shard_is_held_twice(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    give_back(&world, ShardSet::ALL).await;
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(another(&world, &format!("node {n}")).await);
    }
    let tasks = nodes.into_iter().map(|node| async move {
        let mut held = ShardSet::NONE;
        for round in 0..20 {
            held = held.with(take(&node, 9).await);
            if round % 3 == 2 {
                let some: ShardSet = held.iter().take(5).collect();
                give_back(&node, some).await;
                held = held.without(some);
            }
        }
        held
    });
    let held = at_once(tasks).await;
    let sum: usize = held.iter().map(ShardSet::len).sum();
    let union = held
        .iter()
        .fold(ShardSet::NONE, |all, some| all.with(*some));
    assert_eq!(sum, union.len(), "{held:?}");
    let members = world.store.members().await.expect("read them").members;
    let stored = members
        .iter()
        .fold(ShardSet::NONE, |all, m| all.with(m.shards));
    assert_eq!(stored, union);
}

pub async fn only_own_shards_are_given_back(store: Arc<dyn Store>) {
    let one = World::with_endpoints(store, 0).await;
    let two = another(&one, "two").await;
    give_back(&two, ShardSet::ALL).await;
    assert_eq!(take(&two, 256).await, ShardSet::NONE);
    let some: ShardSet = [Shard(3), Shard(200)].into_iter().collect();
    give_back(&one, some).await;
    assert_eq!(take(&two, 256).await, some);
}

pub async fn lists_are_limited_to_shards(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let seq = world.accept(world.message()).await;
    for endpoint in &world.endpoints {
        let owed = world.owed(*endpoint, seq, Some(at(0)));
        assert_eq!(world.spill(at(0), owed).await, Recorded::Done);
    }
    let second = world.endpoints[1];
    let only: ShardSet = [Shard::of(second)].into_iter().collect();
    for (shards, count) in [(only, 1), (ShardSet::ALL.without(only), 2)] {
        let owing = world.store.endpoints_owing(shards, None, 9).await;
        let owing = owing.expect("read them");
        assert_eq!(owing.len(), count);
        assert!(owing.iter().all(|due| shards.has(due.endpoint)));
    }
}

pub async fn what_is_for_another_node_is_owed_from_the_start(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let endpoint = holder.endpoints[0];
    let other = another(&holder, "two").await;
    let (seq, parked) = accept(&other, elsewhere(&other, None)).await;
    assert_eq!(parked, []);
    assert_eq!(other.unfinished().await, [], "it is not fresh");
    assert_eq!(arrivals(&other).await, [], "it is not its shard");
    assert_eq!(arrivals(&holder).await, [arrival(&holder, endpoint)]);
    assert_eq!(arrivals(&holder).await, [], "once");
    assert_eq!(holder.claim_one(endpoint, at(0)).await.delivery.seq, seq);
    let counts = holder
        .store
        .endpoint_counts(holder.app, endpoint, at(0), at(0));
    assert_eq!(counts.await.expect("read them").pending, 1);
}

pub async fn a_holder_tells_itself_nothing(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let seq = holder.accept(holder.message()).await;
    let owed = holder.owed(holder.endpoints[0], seq, Some(at(0)));
    assert_eq!(holder.spill(at(0), owed).await, Recorded::Done);
    accept(&holder, elsewhere(&holder, None)).await;
    assert_eq!(arrivals(&holder).await, []);
}

pub async fn a_request_of_another_node_arrives(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let endpoint = holder.endpoints[0];
    let other = another(&holder, "two").await;
    let seq = holder.accept(holder.message()).await;
    holder.deliver(endpoint, seq).await;
    let again = NewOwed {
        reason: OwedReason::Requested,
        ..other.owed(endpoint, seq, Some(at(0)))
    };
    assert_eq!(other.spill(at(0), again).await, Recorded::Done);
    assert_eq!(arrivals(&holder).await, [arrival(&holder, endpoint)]);
}

pub async fn what_another_node_hastens_arrives(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let endpoint = holder.endpoints[0];
    let other = another(&holder, "two").await;
    let seq = holder.accept(holder.message()).await;
    let later = holder.owed(endpoint, seq, Some(at(500)));
    holder.spill(at(0), later).await;
    let owner = (holder.app, endpoint);
    let hastened = holder
        .store
        .hasten(&holder.life, owner, Some(seq), at(2))
        .await;
    hastened.expect("hasten");
    assert_eq!(arrivals(&holder).await, [], "it knows");
    let hastened = other
        .store
        .hasten(&other.life, owner, Some(seq), at(1))
        .await;
    hastened.expect("hasten");
    assert_eq!(arrivals(&holder).await, [arrival(&holder, endpoint)]);
    let nothing = other
        .store
        .hasten(&other.life, owner, Some(seq), at(1))
        .await;
    nothing.expect("nothing is to be hastened");
    assert_eq!(arrivals(&holder).await, []);
}

/// Whoever gives shards back waits for the writes that are under way, and not for a lull.
pub async fn shards_are_given_back_during_a_stream_of_writes(store: Arc<dyn Store>) {
    const WRITERS: usize = 4;
    let world = World::with_endpoints(store, WRITERS).await;
    let seqs = world.accept_many(WRITERS).await;
    let writing = Arc::new(AtomicBool::new(true));
    let writers = seqs.into_iter().zip(world.endpoints.clone());
    let writers: Vec<_> = writers
        .map(|(seq, endpoint)| {
            let (world, writing) = (world.clone(), Arc::clone(&writing));
            tokio::spawn(async move {
                while writing.load(Ordering::Relaxed) {
                    let owed = world.owed(endpoint, seq, Some(at(1)));
                    world.spill(at(0), owed).await;
                }
            })
        })
        .collect();
    for _ in 0..5 {
        give_back(&world, ShardSet::ALL).await;
        assert_eq!(take(&world, 256).await, ShardSet::ALL);
    }
    writing.store(false, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("it wrote");
    }
}

pub async fn arrivals_wait_for_whoever_takes_the_shard(store: Arc<dyn Store>) {
    let before = World::with_endpoints(store, 1).await;
    give_back(&before, ShardSet::ALL).await;
    accept(&before, elsewhere(&before, None)).await;
    assert_eq!(arrivals(&before).await, []);
    let after = another(&before, "two").await;
    assert_eq!(take(&after, 256).await, ShardSet::ALL);
    let endpoint = before.endpoints[0];
    assert_eq!(arrivals(&after).await, [arrival(&after, endpoint)]);
}

pub async fn a_message_in_conflict_owes_nothing(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let other = another(&holder, "two").await;
    let taken = || {
        let mut new = elsewhere(&other, None);
        let message = Arc::get_mut(&mut new.message).expect("not shared yet");
        message.event_id = Some(super::world::name("e"));
        new
    };
    accept(&other, taken()).await;
    arrivals(&holder).await;
    let again = other.append(vec![taken()]).await;
    assert!(
        matches!(again[..], [Appended::EventIdTaken(_)]),
        "{again:?}"
    );
    assert_eq!(arrivals(&holder).await, []);
    let claimed = holder.claim(holder.endpoints[0], 9, at(0)).await;
    assert_eq!(claimed.deliveries.len(), 1);
}

pub async fn an_own_one_waits_for_an_earlier_one_of_its_record(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let endpoint = holder.endpoints[0];
    let other = another(&holder, "two").await;
    let (_, parked) = accept(&holder, in_turn(&holder, 7)).await;
    assert_eq!(parked, [], "nothing is owed");
    let (first, _) = accept(&other, elsewhere(&other, Some(7))).await;
    let (second, parked) = accept(&holder, in_turn(&holder, 7)).await;
    assert_eq!(parked, [endpoint]);
    let (_, parked) = accept(&holder, in_turn(&holder, 8)).await;
    assert_eq!(parked, [], "another record");
    let claimed = holder.claim_one(endpoint, at(0)).await;
    assert_eq!(claimed.delivery.seq, first);
    let record = holder.leased(&claimed, holder.delivered());
    assert_eq!(holder.record_attempt(at(0), record).await, Recorded::Done);
    assert_eq!(holder.claim_one(endpoint, at(0)).await.delivery.seq, second);
}

pub async fn another_nodes_later_one_waits_for_its_turn(store: Arc<dyn Store>) {
    let holder = World::with_endpoints(store, 1).await;
    let endpoint = holder.endpoints[0];
    let other = another(&holder, "two").await;
    let batch = vec![elsewhere(&other, Some(7)), elsewhere(&other, Some(7))];
    let appended = other.append(batch).await;
    let seqs: Vec<_> = appended.into_iter().map(super::world::place).collect();
    let claimed = holder.claim_one(endpoint, at(0)).await;
    assert_eq!(claimed.delivery.seq, seqs[0]);
    let record = holder.leased(&claimed, holder.delivered());
    assert_eq!(holder.record_attempt(at(0), record).await, Recorded::Done);
    assert_eq!(
        holder.claim_one(endpoint, at(0)).await.delivery.seq,
        seqs[1]
    );
}

/// Two nodes accept, a third holds the shards: each delivery is claimed because of an arrival.
pub async fn no_arrival_is_missed(store: Arc<dyn Store>) {
    const BATCHES: usize = 20;
    let holder = World::with_endpoints(store, 5).await;
    let accepting = Arc::new(AtomicBool::new(true));
    let taking = tokio::spawn({
        let (holder, accepting) = (holder.clone(), Arc::clone(&accepting));
        async move {
            let mut claimed = BTreeSet::new();
            loop {
                let last = !accepting.load(Ordering::Acquire);
                let arrived = arrivals(&holder).await;
                for Arrival { endpoint, .. } in &arrived {
                    let batch = holder.claim(*endpoint, 1_000, at(0)).await;
                    let deliveries = batch.deliveries.iter();
                    claimed.extend(deliveries.map(|claimed| (claimed.delivery.seq, *endpoint)));
                }
                if last && arrived.is_empty() {
                    return claimed;
                }
            }
        }
    });
    let mut nodes = Vec::new();
    for n in 0..2 {
        nodes.push(another(&holder, &format!("node {n}")).await);
    }
    let tasks = nodes.into_iter().map(|node| async move {
        let mut given = Vec::new();
        for batch in 0..BATCHES {
            let endpoint = node.endpoints[batch % 5];
            let new = || NewMessage {
                elsewhere: vec![Elsewhere {
                    endpoint,
                    record: None,
                    due_at: at(0),
                    reason: OwedReason::Spilled,
                }],
                matched: vec![endpoint],
                ..node.message()
            };
            let appended = node.append(vec![new(), new()]).await;
            let seqs = appended.into_iter().map(super::world::place);
            given.extend(seqs.map(|seq| (seq, endpoint)));
        }
        given
    });
    let given: BTreeSet<_> = at_once(tasks).await.concat().into_iter().collect();
    accepting.store(false, Ordering::Release);
    let claimed = taking.await.expect("it ends");
    assert_eq!(claimed, given);
}

/// One node settles while another appends behind: whatever was parked is woken.
pub async fn nothing_is_parked_behind_what_is_settled(store: Arc<dyn Store>) {
    const ROUNDS: i64 = 40;
    let holder = World::with_endpoints(store, 1).await;
    let endpoint = holder.endpoints[0];
    let other = another(&holder, "two").await;
    for record in 0..ROUNDS {
        accept(&other, elsewhere(&other, Some(record))).await;
        let claimed = holder.claim_one(endpoint, at(0)).await;
        let settle = Arc::new(holder.leased(&claimed, holder.delivered()));
        let appending = tokio::spawn({
            let holder = holder.clone();
            async move { holder.append(vec![in_turn(&holder, record)]).await }
        });
        let behind = tokio::spawn({
            let other = other.clone();
            async move { accept(&other, elsewhere(&other, Some(record))).await }
        });
        let recorded = holder.record(at(0), vec![Write::Attempt(settle)]).await;
        let mine = appending.await.expect("it ends");
        behind.await.expect("it ends");
        assert_eq!(recorded, [Recorded::Done]);
        let (seq, parked) = placed(mine);
        if parked.is_empty() {
            // Delivered from memory, which wakes those behind it.
            holder.deliver_keyed(endpoint, seq, record).await;
        }
        let mut left = if parked.is_empty() { 1 } else { 2 };
        while left > 0 {
            let batch = holder.claim(endpoint, 9, at(0)).await;
            assert_ne!(batch.deliveries.len(), 0, "{left} wait for ever");
            for claimed in &batch.deliveries {
                let done = holder.leased(claimed, holder.delivered());
                assert_eq!(holder.record_attempt(at(0), done).await, Recorded::Done);
                left -= 1;
            }
        }
    }
}

/// What is written while its shard changes hands is found by whoever holds it in the end.
pub async fn nothing_is_lost_while_a_shard_changes_hands(store: Arc<dyn Store>) {
    let one = World::with_endpoints(store, 1).await;
    let endpoint = one.endpoints[0];
    let two = another(&one, "two").await;
    for _ in 0..20 {
        let seq = one.accept(one.message()).await;
        let again = NewOwed {
            reason: OwedReason::Requested,
            ..one.owed(endpoint, seq, Some(at(0)))
        };
        let spilling = tokio::spawn({
            let one = one.clone();
            async move { one.spill(at(0), again).await }
        });
        give_back(&one, ShardSet::ALL).await;
        take(&two, 256).await;
        let owing = two.store.endpoints_owing(ShardSet::ALL, None, 9).await;
        let owing = !owing.expect("read them").is_empty();
        assert_eq!(spilling.await.expect("it ends"), Recorded::Done);
        assert!(
            owing || !arrivals(&two).await.is_empty(),
            "{seq:?} is missed"
        );
        let claimed = two.claim_one(endpoint, at(0)).await;
        let done = two.leased(&claimed, two.delivered());
        assert_eq!(two.record_attempt(at(0), done).await, Recorded::Done);
        arrivals(&two).await;
        give_back(&two, ShardSet::ALL).await;
        take(&one, 256).await;
        arrivals(&one).await;
    }
}
