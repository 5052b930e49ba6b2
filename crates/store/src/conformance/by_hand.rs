//! What a person settles by hand: the first of a record that is stuck, and any that is pending.

use std::sync::Arc;

use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement};
use watchfire_domain::outcome::{Outcome, SkipReason};

use super::order::{line, owed};
use super::world::{World, at};
use crate::{AttemptRecord, DeliveryRef, DeliveryStatus, NewOwed, Recorded, Seq, Store, Write};

/// What stands in the history of a delivery that was skipped.
fn skip(world: &World, delivery: DeliveryRef, seconds: u64) -> Write {
    let mut attempt = world.exhausted();
    attempt.attempted_at = at(seconds);
    attempt.outcome = Outcome::Skipped {
        reason: SkipReason::ByOperator,
    };
    attempt.response = None;
    attempt.next = AfterAttempt::Settled {
        settlement: Settlement::Skipped,
    };
    Write::SkipHead(Arc::new(AttemptRecord {
        record: Some(7),
        ..world.fresh(delivery.endpoint, delivery.seq, attempt)
    }))
}

pub async fn a_skipped_head_is_settled_and_wakes_the_next(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = line(&world, 3).await;
    let done = world
        .record(
            at(5),
            vec![skip(&world, world.delivery(world.endpoints[0], seqs[0]), 5)],
        )
        .await;
    assert_eq!(done, [Recorded::Done]);
    let views = world.store.deliveries_of(world.app, seqs[0]).await;
    let view = &views.expect("read it")[0];
    assert_eq!((view.status, view.owed), (DeliveryStatus::Failed, None));
    assert_eq!(owed(&world, seqs[1]).await.due_at, Some(at(5)));
    assert_eq!(owed(&world, seqs[2]).await.due_at, None);
    let next = world.claim_one(world.endpoints[0], at(5)).await;
    assert_eq!(next.delivery.seq, seqs[1]);
    // Asked twice, it is skipped once.
    let again = world
        .record(
            at(6),
            vec![skip(&world, world.delivery(world.endpoints[0], seqs[0]), 6)],
        )
        .await;
    assert_eq!(again, [Recorded::Stale]);
}

pub async fn only_a_head_nobody_has_leased_is_skipped(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = line(&world, 3).await;
    let second = world
        .record(
            at(1),
            vec![skip(&world, world.delivery(world.endpoints[0], seqs[1]), 1)],
        )
        .await;
    assert_eq!(second, [Recorded::Stale], "it is not the first");
    let claimed = world.claim_one(endpoint, at(1)).await;
    let leased = world
        .record(
            at(2),
            vec![skip(&world, world.delivery(world.endpoints[0], seqs[0]), 2)],
        )
        .await;
    assert_eq!(leased, [Recorded::Stale], "it is being sent");
    let unkeyed = world.accept(world.message()).await;
    world
        .spill(at(2), world.owed(endpoint, unkeyed, Some(at(2))))
        .await;
    let unkeyed = world
        .record(
            at(3),
            vec![skip(&world, world.delivery(world.endpoints[0], unkeyed), 3)],
        )
        .await;
    assert_eq!(unkeyed, [Recorded::Stale], "it is about no record");
    // Its own attempt decides, as if nobody had asked.
    let delivered = world.leased(&claimed, world.delivered());
    assert_eq!(world.record_attempt(at(4), delivered).await, Recorded::Done);
    assert_eq!(owed(&world, seqs[1]).await.due_at, Some(at(4)));
}

pub async fn a_skip_and_a_claim_do_not_both_win(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 20).await;
    for endpoint in world.endpoints.clone() {
        let head = world.accept(world.message()).await;
        let owed = NewOwed {
            record: Some(7),
            ..world.owed(endpoint, head, Some(at(0)))
        };
        world.spill(at(0), owed).await;
        let skip = skip(&world, world.delivery(endpoint, head), 9);
        let skipping = world.record(at(9), vec![skip]);
        let (skipped, claimed) = tokio::join!(skipping, world.claim(endpoint, 1, at(9)));
        let is_skipped = skipped == [Recorded::Done];
        assert_ne!(
            is_skipped,
            !claimed.deliveries.is_empty(),
            "one of them has it"
        );
    }
}

/// A person cancels a delivery; which record it is about, they do not know.
fn cancel(world: &World, seq: Seq) -> Write {
    let attempt = Attempt::settled_by_hand(
        (world.delivered().id, at(5)),
        "https://example.com/".to_owned(),
        (SkipReason::Cancelled, Settlement::Cancelled),
    );
    let delivery = world.delivery(world.endpoints[0], seq);
    Write::Cancel(Arc::new(AttemptRecord::by_hand(delivery, attempt)))
}

pub async fn a_delivery_cancelled_by_hand_wakes_the_next(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = line(&world, 4).await;
    let record = async |now, writes| world.record(at(now), writes).await;
    let middle = record(5, vec![cancel(&world, seqs[1])]).await;
    assert_eq!(middle, [Recorded::Done], "it need not be the first");
    assert_eq!(
        owed(&world, seqs[2]).await.due_at,
        None,
        "the first is owed"
    );
    let first = record(6, vec![cancel(&world, seqs[0])]).await;
    assert_eq!(first, [Recorded::Done]);
    assert_eq!(owed(&world, seqs[2]).await.due_at, Some(at(6)));
    assert_eq!(owed(&world, seqs[3]).await.due_at, None);
    for seq in &seqs[..2] {
        let views = world.store.deliveries_of(world.app, *seq).await;
        let view = &views.expect("read it")[0];
        assert_eq!((view.status, view.owed), (DeliveryStatus::Cancelled, None));
    }
    let again = record(7, vec![cancel(&world, seqs[0])]).await;
    assert_eq!(again, [Recorded::Stale], "asked twice, it ends once");
    let next = world.claim_one(world.endpoints[0], at(7)).await;
    assert_eq!(next.delivery.seq, seqs[2]);
}

pub async fn only_what_nobody_has_leased_is_cancelled_by_hand(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(3).await;
    for (seq, due) in seqs.iter().zip([0, 50]) {
        let owed = world.owed(endpoint, *seq, Some(at(due)));
        world.spill(at(0), owed).await;
    }
    let claimed = world.claim_one(endpoint, at(1)).await;
    assert_eq!(claimed.delivery.seq, seqs[0]);
    let batch = seqs.iter().map(|seq| cancel(&world, *seq)).collect();
    let recorded = world.record(at(2), batch).await;
    let fresh = "the third is in memory, nobody owes it";
    assert_eq!(
        recorded,
        [Recorded::Stale, Recorded::Done, Recorded::Stale],
        "{fresh}"
    );
    // Its own attempt decides, as if nobody had asked.
    let delivered = world.leased(&claimed, world.delivered());
    assert_eq!(world.record_attempt(at(4), delivered).await, Recorded::Done);
    let elsewhere = world.another_application(0).await;
    let spilled = world.owed(endpoint, seqs[2], Some(at(9)));
    world.spill(at(4), spilled).await;
    let Write::Cancel(record) = cancel(&world, seqs[2]) else {
        unreachable!("it cancels")
    };
    let mut foreign = (*record).clone();
    foreign.delivery.app = elsewhere.app;
    let refused = world
        .record(at(5), vec![Write::Cancel(Arc::new(foreign))])
        .await;
    assert_eq!(refused, [Recorded::Stale], "another's application");
}
