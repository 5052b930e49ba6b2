//! Retention.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::attempt::Settlement;
use watchfire_domain::id::ApplicationId;
use watchfire_domain::outcome::Outcome;

use super::world::{World, at, name, settled};
use crate::{
    ApplicationRef, Change, DeliveryStatus, MessageFilter, MessageRef, Order, PruneOrder, Range,
    Remembered, Retention, Retentions, Seq, ShardSet, Store, StoredMessage,
};

pub(super) const DAY: u64 = 86_400;

/// At the end of a day: payloads are kept for two days, messages for ten.
pub(super) fn order(day: u64) -> PruneOrder {
    PruneOrder {
        now: at(day * DAY),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::from_secs(2 * DAY),
            messages: Duration::from_secs(10 * DAY),
        })),
        rows_max: 100,
    }
}

/// Prunes until nothing is left to do.
pub(super) async fn prune(world: &World, order: PruneOrder) -> usize {
    let mut rows = 0;
    for _ in 0..1_000 {
        let pruned = world.store.prune(order.clone()).await.expect("prune");
        assert!(pruned.rows <= order.rows_max, "{pruned:?}");
        rows += pruned.rows;
        if !pruned.more {
            return rows;
        }
    }
    panic!("retention never ends");
}

async fn messages(world: &World) -> Vec<StoredMessage> {
    let range = Range::from_start(Order::Ascending, 10_000);
    let listed = world
        .store
        .messages(world.app, &MessageFilter::default(), range)
        .await;
    listed.expect("read them")
}

async fn message(world: &World, seq: Seq) -> Option<StoredMessage> {
    let all = messages(world).await;
    all.into_iter().find(|stored| stored.seq == seq)
}

async fn delivered_on(world: &World, day: u64) -> Seq {
    let new = world.message_with(|message| message.accepted_at = at(day * DAY));
    let seq = world.accept(new).await;
    for endpoint in &world.endpoints {
        world.deliver(*endpoint, seq).await;
    }
    seq
}

pub async fn payloads_go_at_their_age_and_messages_at_theirs(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let old = delivered_on(&world, 0).await;
    let young = delivered_on(&world, 1).await;
    assert_eq!(prune(&world, order(1)).await, 0);
    prune(&world, order(2)).await;
    assert_eq!(
        message(&world, old)
            .await
            .expect("it stays")
            .message
            .payload,
        None
    );
    assert_eq!(
        world.status(world.endpoints[1], old).await,
        DeliveryStatus::Delivered
    );
    let stored = message(&world, young).await.expect("it stays");
    assert!(stored.message.payload.is_some());
    prune(&world, order(9)).await;
    assert!(message(&world, old).await.is_some());
    // Whole days may be dropped at once: they stay until their last message is old.
    prune(&world, order(11)).await;
    assert_eq!(message(&world, old).await, None);
    prune(&world, order(12)).await;
    assert_eq!(messages(&world).await, []);
    assert_eq!(prune(&world, order(12)).await, 0);
}

pub async fn a_message_can_ask_for_less(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = world.message_with(|message| message.details.payload_expires_at = Some(at(60)));
    let seq = world.accept(new).await;
    let at_second = |second| PruneOrder {
        now: at(second),
        ..order(0)
    };
    assert_eq!(prune(&world, at_second(59)).await, 0);
    assert_eq!(prune(&world, at_second(60)).await, 1);
    assert_eq!(
        message(&world, seq)
            .await
            .expect("it stays")
            .message
            .payload,
        None
    );
    assert_eq!(prune(&world, at_second(61)).await, 0);
}

pub async fn what_is_not_settled_everywhere_stays(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let [first, second] = world.endpoints[..] else {
        unreachable!("two endpoints");
    };
    let fresh = world.accept(world.message()).await;
    let owed = world.accept(world.message()).await;
    let retried = world.accept(world.message()).await;
    for seq in [fresh, owed, retried] {
        world.deliver(first, seq).await;
    }
    world.spill(at(0), world.owed(second, owed, None)).await;
    world
        .record_attempt(at(0), world.fresh(second, retried, world.refused(at(9))))
        .await;
    let resent = delivered_on(&world, 0).await;
    world
        .spill(at(0), world.owed(first, resent, Some(at(0))))
        .await;
    let done = delivered_on(&world, 0).await;
    prune(&world, order(100)).await;
    let mut left: Vec<_> = messages(&world)
        .await
        .iter()
        .map(|stored| stored.seq)
        .collect();
    left.sort();
    assert_eq!(left, [fresh, owed, retried, resent]);
    assert_eq!(message(&world, done).await, None);
    let end = world.attempt(Outcome::Malformed, settled(Settlement::Skipped));
    world
        .record_attempt(at(0), world.fresh(second, fresh, end))
        .await;
    prune(&world, order(100)).await;
    assert_eq!(message(&world, fresh).await, None, "it is looked at again");
}

pub async fn a_run_removes_a_bounded_number_of_rows(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let held = world.accept_many(60).await;
    for _ in 0..60 {
        delivered_on(&world, 0).await;
    }
    let small = PruneOrder {
        rows_max: 7,
        ..order(100)
    };
    let pruned = world.store.prune(small.clone()).await.expect("prune");
    assert_eq!((pruned.rows, pruned.more), (7, true));
    prune(&world, small).await;
    assert_eq!(messages(&world).await.len(), held.len());
}

pub async fn a_message_with_many_attempts_goes_in_parts(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seq = world.accept(world.message()).await;
    for _ in 0..50 {
        let record = world.fresh(world.endpoints[0], seq, world.exhausted());
        world.record_attempt(at(0), record).await;
    }
    let small = PruneOrder {
        rows_max: 7,
        ..order(100)
    };
    prune(&world, small).await;
    assert_eq!(messages(&world).await, []);
}

pub async fn places_are_not_given_again(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let last = delivered_on(&world, 0).await;
    prune(&world, order(100)).await;
    assert_eq!(messages(&world).await, []);
    let next = world.accept(world.message()).await;
    assert!(next > last, "{next:?} after {last:?}");
}

pub async fn an_event_id_is_free_once_its_message_is_gone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let new = || world.message_with(|message| message.event_id = Some(name("e")));
    world.accept(new()).await;
    prune(&world, order(100)).await;
    world.accept(new()).await;
}

pub async fn expired_answers_go(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let answer = Remembered {
        key: [1; 32],
        request: [2; 32],
        answer: vec![3],
        expires_at: at(60),
    };
    let remember = Change::Remember { answer, now: at(0) };
    world.store.apply(vec![remember]).await.expect("apply");
    let order = |second| PruneOrder {
        now: at(second),
        ..order(0)
    };
    assert_eq!(prune(&world, order(59)).await, 0);
    assert_eq!(prune(&world, order(60)).await, 1);
}

async fn delete(world: &World) -> ApplicationId {
    let delete = Change::DeleteApplication {
        key: world.app,
        now: at(0),
    };
    world.store.apply(vec![delete]).await.expect("apply");
    world.app_id
}

pub async fn a_deleted_application_loses_all_it_had(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let kept = world.another_application(1).await;
    kept.accept_many(3).await;
    let seqs = world.accept_many(30).await;
    for seq in &seqs[..10] {
        world.deliver(world.endpoints[0], *seq).await;
    }
    for seq in &seqs[10..] {
        world
            .spill(at(0), world.owed(world.endpoints[1], *seq, Some(at(0))))
            .await;
    }
    delete(&world).await;
    let small = PruneOrder {
        rows_max: 9,
        now: at(1),
        ..order(0)
    };
    prune(&world, small).await;
    assert_eq!(messages(&world).await, []);
    let unfinished: Vec<_> = world.unfinished().await;
    assert_eq!(unfinished.len(), 3, "the other application's");
    let owing = world
        .store
        .endpoints_owing(ShardSet::ALL, None, 9)
        .await
        .expect("read them");
    assert!(owing.is_empty(), "{owing:?}");
    assert_eq!(messages(&kept).await.len(), 3);
    let late = world.fresh(world.endpoints[0], seqs[29], world.delivered());
    let recorded = world.record_attempt(at(2), late).await;
    assert_eq!(recorded, crate::Recorded::Stale, "it has nowhere to go");
    prune(&world, order(100)).await;
    let gone = world
        .store
        .application(&world.org, &ApplicationRef::Id(world.app_id))
        .await;
    assert_eq!(gone.expect("read it"), None);
}

pub async fn a_deleted_endpoints_history_lives_as_long_as_its_messages(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seq = delivered_on(&world, 5).await;
    let delete = Change::DeleteEndpoint {
        key: world.endpoints[0],
        now: at(0),
    };
    world.store.apply(vec![delete]).await.expect("apply");
    prune(&world, order(14)).await;
    assert_eq!(
        world.status(world.endpoints[0], seq).await,
        DeliveryStatus::Delivered
    );
    prune(&world, order(16)).await;
    assert_eq!(messages(&world).await, []);
}

pub async fn old_counts_go_and_young_ones_stay(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    for day in [0, 5] {
        let mut attempt = world.delivered();
        attempt.attempted_at = at(day * DAY);
        world
            .record_attempt(at(0), world.fresh(endpoint, seq, attempt))
            .await;
    }
    prune(&world, order(12)).await;
    let counts = world
        .store
        .endpoint_counts(world.app, endpoint, at(0), at(20 * DAY))
        .await;
    assert_eq!(counts.expect("read them").delivered, 1);
}

pub async fn a_payload_is_removed_while_the_delivery_is_owed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    world
        .spill(at(0), world.owed(world.endpoints[0], seq, Some(at(0))))
        .await;
    prune(&world, order(5)).await;
    let claimed = world.claim_one(world.endpoints[0], at(5 * DAY)).await;
    assert_eq!(claimed.message.payload, None);
    let reference = MessageRef::Id(new.message.id);
    let stored = world
        .store
        .message(world.app, &reference)
        .await
        .expect("read it");
    assert!(stored.is_some());
}
