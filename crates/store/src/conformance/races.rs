//! Many callers at once.

use std::collections::HashSet;
use std::sync::Arc;

use super::world::{LEASE, World, at, name, place};
use crate::{Appended, Claim, Recorded, Seq, Store, Wanted, Write};

const TASKS: usize = 8;

/// Runs a number of tasks at once and gathers what they return.
pub(super) async fn at_once<T, F>(tasks: impl Iterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = tasks.map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in running {
        results.push(task.await.expect("the task ends"));
    }
    results
}

pub async fn every_append_gets_its_own_place(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let tasks = (0..TASKS).map(|_| {
        let world = world.clone();
        async move {
            let mut seqs = Vec::new();
            for size in 1..=10 {
                seqs.extend(world.accept_many(size).await);
            }
            assert!(seqs.is_sorted(), "one caller's places rise");
            seqs
        }
    });
    let seqs: Vec<Seq> = at_once(tasks).await.concat();
    let distinct: HashSet<_> = seqs.iter().collect();
    assert_eq!(distinct.len(), seqs.len());
    assert_eq!(world.unfinished().await.len(), seqs.len());
}

pub async fn one_of_many_equal_event_ids_wins(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let tasks = (0..TASKS).map(|_| {
        let world = world.clone();
        let new = world.message_with(|message| message.event_id = Some(name("e")));
        async move { world.append(vec![new]).await.remove(0) }
    });
    let appended = at_once(tasks).await;
    let wins = |appended: &&Appended| matches!(appended, Appended::At { .. });
    assert_eq!(appended.iter().filter(wins).count(), 1, "{appended:?}");
}

pub async fn no_delivery_is_leased_twice(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(200).await;
    let spill = |seq| Write::Spill(world.owed(endpoint, seq, Some(at(0))));
    world
        .record(at(0), seqs.iter().copied().map(spill).collect())
        .await;
    let tasks = (0..TASKS).map(|_| {
        let world = world.clone();
        async move {
            let mut leased = Vec::new();
            for _ in 0..10 {
                let claim = Claim {
                    life: world.life.clone(),
                    now: at(0),
                    lease_until: at(0) + LEASE,
                    wanted: vec![Wanted::any(endpoint, 5)],
                };
                let batch = world.store.claim(claim).await.expect("claim");
                leased.extend(batch.deliveries.iter().map(|claimed| claimed.delivery.seq));
            }
            leased
        }
    });
    let leased: Vec<Seq> = at_once(tasks).await.concat();
    let distinct: HashSet<_> = leased.iter().collect();
    assert_eq!((leased.len(), distinct.len()), (200, 200));
}

pub async fn one_of_many_results_of_a_lease_counts(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept_many(1).await[0];
    world
        .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
        .await;
    let claimed = world.claim_one(endpoint, at(0)).await;
    let tasks = (0..TASKS).map(|_| {
        let world = world.clone();
        let record = world.leased(&claimed, world.delivered());
        async move { world.record_attempt(at(0), record).await }
    });
    let recorded = at_once(tasks).await;
    let done = recorded
        .iter()
        .filter(|recorded| **recorded == Recorded::Done);
    assert_eq!(done.count(), 1, "{recorded:?}");
}

pub async fn accepting_delivering_and_claiming_at_once_loses_nothing(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let tasks = (0..TASKS).map(|n| {
        let world = world.clone();
        async move {
            for _ in 0..10 {
                let batch = (0..3).map(|_| world.message()).collect();
                let seqs: Vec<_> = world.append(batch).await.into_iter().map(place).collect();
                let writes = seqs.iter().flat_map(|seq| {
                    let endpoints = world.endpoints.iter();
                    endpoints.map(|endpoint| (*endpoint, *seq))
                });
                let writes = writes.map(|(endpoint, seq)| match seq.0 % 3 {
                    0 => Write::Spill(world.owed(endpoint, seq, Some(at(0)))),
                    _ => Write::Attempt(Arc::new(world.fresh(endpoint, seq, world.delivered()))),
                });
                let writes = writes.collect();
                world.record(at(0), writes).await;
                let endpoint = world.endpoints[n % 3];
                let batch = world.claim(endpoint, 4, at(0)).await;
                let finish = batch.deliveries.iter().map(|claimed| {
                    Write::Attempt(Arc::new(world.leased(claimed, world.delivered())))
                });
                let recorded = world.record(at(0), finish.collect()).await;
                assert!(recorded.iter().all(|recorded| *recorded == Recorded::Done));
            }
        }
    });
    at_once(tasks).await;
    assert_eq!(world.unfinished().await, []);
    settle_the_rest(&world).await;
    let messages = u64::try_from(TASKS * 10 * 3).expect("small");
    for endpoint in &world.endpoints {
        let counts = world
            .store
            .endpoint_counts(world.app, *endpoint, at(0), at(0))
            .await;
        let counts = counts.expect("read them");
        assert_eq!((counts.delivered, counts.pending), (messages, 0));
    }
}

async fn settle_the_rest(world: &World) {
    for endpoint in &world.endpoints {
        loop {
            let batch = world.claim(*endpoint, 100, at(0)).await;
            if batch.deliveries.is_empty() {
                assert!(!batch.endpoints[endpoint].owes);
                break;
            }
            let finish = batch
                .deliveries
                .iter()
                .map(|claimed| Write::Attempt(Arc::new(world.leased(claimed, world.delivered()))));
            world.record(at(0), finish.collect()).await;
        }
    }
}

pub async fn a_caller_that_goes_away_leaves_no_half_work(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    for _ in 0..50 {
        let caller = tokio::spawn({
            let world = world.clone();
            async move { world.accept_many(7).await }
        });
        tokio::task::yield_now().await;
        caller.abort();
        drop(caller.await);
    }
    let count = world.unfinished().await.len();
    assert_eq!(
        count % 7,
        0,
        "{count} messages are not a number of whole batches"
    );
    world.accept_many(1).await;
}
