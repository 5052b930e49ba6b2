//! Leasing what is owed.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use watchfire_domain::limit;
use watchfire_domain::message::Urgency;

use super::world::{LEASE, World, at, live};
use crate::{
    Claim, ClaimedBatch, DeliveryStatus, EndpointDue, EndpointKey, NewOwed, OwedReason,
    PING_DUE_AT, Recorded, Seq, ShardSet, Store, Wanted, Write,
};

fn places(batch: &ClaimedBatch) -> Vec<Seq> {
    let deliveries = batch.deliveries.iter();
    deliveries.map(|claimed| claimed.delivery.seq).collect()
}

/// So many messages, all owed to the first endpoint from a second on.
async fn owing(world: &World, count: usize, due: u64) -> Vec<Seq> {
    let seqs = world.accept_many(count).await;
    let spill = |seq| Write::Spill(world.owed(world.endpoints[0], seq, Some(at(due))));
    world
        .record(at(0), seqs.iter().copied().map(spill).collect())
        .await;
    seqs
}

pub async fn only_what_is_due_is_leased(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let due = owing(&world, 1, 10).await;
    owing(&world, 1, 11).await;
    assert_eq!(places(&world.claim(endpoint, 9, at(9)).await), []);
    assert_eq!(places(&world.claim(endpoint, 9, at(10)).await), due);
}

pub async fn urgent_ones_come_first_then_the_longest_due(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(6).await;
    let plan = [
        (5, Urgency::Ordinary),
        (1, Urgency::Ordinary),
        (9, Urgency::Urgent),
        (3, Urgency::Urgent),
        (1, Urgency::Ordinary),
        (3, Urgency::Urgent),
    ];
    for (seq, (due, urgency)) in seqs.iter().zip(plan) {
        let owed = NewOwed {
            urgency,
            ..world.owed(endpoint, *seq, Some(at(due)))
        };
        world.spill(at(0), owed).await;
    }
    let expected = [3, 5, 2, 1, 4, 0].map(|n: usize| seqs[n]);
    assert_eq!(
        places(&world.claim(endpoint, 4, at(10)).await),
        expected[..4]
    );
    assert_eq!(
        places(&world.claim(endpoint, 4, at(10)).await),
        expected[4..]
    );
}

pub async fn a_leased_delivery_is_not_leased_again(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 3, 0).await;
    assert_eq!(world.claim(endpoint, 2, at(0)).await.deliveries.len(), 2);
    assert_eq!(world.claim(endpoint, 9, at(0)).await.deliveries.len(), 1);
    assert_eq!(world.claim(endpoint, 9, at(0)).await.deliveries.len(), 0);
}

pub async fn a_claim_carries_all_that_is_needed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    let mut record = world.fresh(endpoint, seq, world.refused(at(5)));
    record.record = Some(77);
    record.series.attempts = 3;
    record.series.stale = true;
    world.record_attempt(at(0), record.clone()).await;
    let claimed = world.claim_one(endpoint, at(5)).await;
    assert_eq!(claimed.delivery, world.delivery(endpoint, seq));
    assert_eq!(claimed.message, new.message);
    assert_eq!(claimed.series, record.series);
    assert_eq!(claimed.record, Some(77));
}

pub async fn tokens_rise_with_each_claim(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 1, 0).await;
    let mut last = None;
    for _ in 0..5 {
        let claimed = world.claim_one(endpoint, at(0)).await;
        assert!(
            Some(claimed.token) > last,
            "{:?} after {last:?}",
            claimed.token
        );
        last = Some(claimed.token);
        world.give_back(&claimed, claimed.token, Some(at(0))).await;
    }
}

pub async fn an_expired_lease_counts_as_none(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 1, 0).await;
    let first = world.claim_one(endpoint, at(0)).await;
    let end = at(0) + LEASE;
    let before = world
        .claim(endpoint, 9, end - std::time::Duration::from_micros(1))
        .await;
    assert_eq!(before.deliveries.len(), 0);
    let second = world.claim_one(endpoint, end).await;
    assert!(second.token > first.token);
}

pub async fn late_result_of_expired_lease_is_dropped(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = owing(&world, 1, 0).await[0];
    let first = world.claim_one(endpoint, at(0)).await;
    let second = world.claim_one(endpoint, at(0) + LEASE).await;
    let late = world.leased(&first, world.delivered());
    let id = late.attempt.id;
    assert_eq!(world.record_attempt(at(400), late).await, Recorded::Stale);
    let attempt = world.store.attempt(world.app, seq, id).await;
    assert_eq!(attempt.expect("read it"), None, "it leaves no trace");
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Sending);
    let record = world.leased(&second, world.exhausted());
    assert_eq!(world.record_attempt(at(400), record).await, Recorded::Done);
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Failed);
}

pub async fn a_late_result_counts_while_nobody_took_over(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = owing(&world, 1, 0).await[0];
    let claimed = world.claim_one(endpoint, at(0)).await;
    let record = world.leased(&claimed, world.delivered());
    let late = at(0) + LEASE + LEASE;
    assert_eq!(world.record_attempt(late, record).await, Recorded::Done);
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Delivered);
}

pub async fn a_result_counts_once(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 1, 0).await;
    let claimed = world.claim_one(endpoint, at(0)).await;
    let first = world.leased(&claimed, world.delivered());
    let second = world.leased(&claimed, world.delivered());
    assert_eq!(world.record_attempt(at(0), first).await, Recorded::Done);
    assert_eq!(world.record_attempt(at(0), second).await, Recorded::Stale);
}

pub async fn a_stale_write_is_dropped_alone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = owing(&world, 3, 0).await;
    let batch = world.claim(endpoint, 3, at(0)).await;
    let write = |n: usize, stale: bool| {
        let mut claimed = batch.deliveries[n].clone();
        claimed.token.0 += i64::from(stale);
        Write::Attempt(Arc::new(world.leased(&claimed, world.delivered())))
    };
    let recorded = world
        .record(
            at(0),
            vec![write(0, false), write(1, true), write(2, false)],
        )
        .await;
    assert_eq!(recorded, [Recorded::Done, Recorded::Stale, Recorded::Done]);
    assert_eq!(
        world.status(endpoint, seqs[1]).await,
        DeliveryStatus::Sending
    );
    assert_eq!(
        world.status(endpoint, seqs[2]).await,
        DeliveryStatus::Delivered
    );
}

pub async fn a_retry_ends_the_lease(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 1, 0).await;
    let claimed = world.claim_one(endpoint, at(0)).await;
    world
        .record_attempt(at(0), world.leased(&claimed, world.refused(at(20))))
        .await;
    assert_eq!(world.claim(endpoint, 9, at(19)).await.deliveries.len(), 0);
    let again = world.claim_one(endpoint, at(20)).await;
    assert_eq!(again.series.attempts, 1);
}

pub async fn a_returned_delivery_is_due_again(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 1, 0).await;
    let claimed = world.claim_one(endpoint, at(0)).await;
    let mut stale = claimed.token;
    stale.0 += 1;
    assert_eq!(
        world.give_back(&claimed, stale, None).await,
        Recorded::Stale
    );
    let recorded = world.give_back(&claimed, claimed.token, Some(at(7))).await;
    assert_eq!(recorded, Recorded::Done);
    assert_eq!(world.claim(endpoint, 9, at(6)).await.deliveries.len(), 0);
    assert_eq!(world.claim_one(endpoint, at(7)).await.series.attempts, 0);
}

pub async fn a_claim_says_what_is_still_owed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let [endpoint, idle] = world.endpoints[..] else {
        unreachable!("two endpoints");
    };
    owing(&world, 2, 5).await;
    owing(&world, 1, 50).await;
    let claim = async |limit, now| {
        let claim = Claim {
            life: world.life.clone(),
            now,
            lease_until: now + LEASE,
            wanted: [endpoint, idle]
                .map(|endpoint| Wanted::any(endpoint, limit))
                .into(),
        };
        world.store.claim(claim).await.expect("claim").endpoints
    };
    let due = |endpoint, due_at, owes| EndpointDue {
        endpoint,
        app: world.app,
        due_at,
        owes,
    };
    let endpoints = claim(1, at(5)).await;
    assert_eq!(endpoints[&endpoint], due(endpoint, Some(at(5)), true));
    assert_eq!(endpoints[&idle], due(idle, None, false));
    assert_eq!(claim(1, at(6)).await[&endpoint].due_at, Some(at(50)));
    let last = claim(1, at(60)).await[&endpoint];
    assert_eq!(last.due_at, Some(at(5) + LEASE), "the earliest lease ends");
}

pub async fn a_claim_for_pings_takes_nothing_else(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let mut seqs = Vec::new();
    for due_at in [at(1), PING_DUE_AT, at(0)] {
        let seq = world.accept(world.message()).await;
        world
            .spill(at(2), world.owed(endpoint, seq, Some(due_at)))
            .await;
        seqs.push(seq);
    }
    let claim = async |wanted| {
        let claim = Claim {
            life: world.life.clone(),
            now: at(5),
            lease_until: at(5) + LEASE,
            wanted: vec![wanted],
        };
        let claimed = world.store.claim(claim).await.expect("claim");
        let found = claimed.deliveries.iter().map(|one| one.delivery.seq);
        (
            found.collect::<Vec<_>>(),
            claimed.endpoints[&endpoint].due_at,
        )
    };
    let pings = claim(Wanted::pings(endpoint, 9)).await;
    assert_eq!(pings, (vec![seqs[1]], Some(at(0))));
    let none = claim(Wanted::pings(endpoint, 9)).await;
    assert_eq!(none, (vec![], Some(at(0))));
    let rest = claim(Wanted::any(endpoint, 9)).await;
    assert_eq!(rest.0, [seqs[2], seqs[0]]);
}

pub async fn a_claim_ends_at_a_number_of_payload_bytes(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let big = Bytes::from(vec![b'x'; limit::CLAIM_BYTES_MAX / 2]);
    for _ in 0..3 {
        let new = world.message_with(|message| message.payload = Some(big.clone()));
        let seq = world.accept(new).await;
        world
            .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
            .await;
    }
    let first = world.claim(endpoint, 9, at(0)).await;
    assert_eq!(first.deliveries.len(), 2);
    assert_eq!(
        first.endpoints[&endpoint].due_at,
        Some(at(0)),
        "there is more"
    );
    assert_eq!(world.claim(endpoint, 9, at(0)).await.deliveries.len(), 1);
}

pub async fn endpoints_that_owe_are_listed_by_key(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 4).await;
    let seq = world.accept(world.message()).await;
    for (n, endpoint) in world.endpoints.iter().enumerate().skip(1) {
        let due = at(u64::try_from(n).expect("small"));
        world
            .spill(at(0), world.owed(*endpoint, seq, Some(due)))
            .await;
    }
    let list = async |after, limit| {
        let owing = world
            .store
            .endpoints_owing(ShardSet::ALL, after, limit)
            .await;
        let owing = owing.expect("read them").into_iter();
        owing
            .map(|due| (due.endpoint, due.due_at))
            .collect::<Vec<_>>()
    };
    let expected: Vec<(EndpointKey, _)> = (1..4_u8)
        .map(|n| (world.endpoints[usize::from(n)], Some(at(u64::from(n)))))
        .collect();
    assert_eq!(list(None, 10).await, expected);
    assert_eq!(list(None, 2).await, expected[..2]);
    assert_eq!(list(Some(expected[1].0), 10).await, expected[2..]);
    assert_eq!(list(Some(expected[2].0), 10).await, []);
}

pub async fn hasten_makes_an_endpoints_deliveries_due(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let endpoint = world.endpoints[0];
    let seqs = owing(&world, 3, 500).await;
    world
        .spill(
            at(0),
            world.owed(world.endpoints[1], seqs[0], Some(at(500))),
        )
        .await;
    world
        .store
        .hasten(&world.life, (world.app, endpoint), Some(seqs[1]), at(1))
        .await
        .expect("hasten");
    assert_eq!(places(&world.claim(endpoint, 9, at(1)).await), [seqs[1]]);
    world
        .store
        .hasten(&world.life, (world.app, endpoint), None, at(2))
        .await
        .expect("hasten");
    assert_eq!(
        places(&world.claim(endpoint, 9, at(2)).await),
        [seqs[0], seqs[2]]
    );
    let other = world.claim(world.endpoints[1], 9, at(2)).await;
    assert_eq!(other.deliveries.len(), 0);
}

pub async fn hasten_leaves_turns_and_fixed_times_alone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    world
        .spill(at(0), world.owed(endpoint, seqs[0], None))
        .await;
    let scheduled = NewOwed {
        reason: OwedReason::Scheduled,
        ..world.owed(endpoint, seqs[1], Some(at(500)))
    };
    world.spill(at(0), scheduled).await;
    world
        .store
        .hasten(&world.life, (world.app, endpoint), None, at(1))
        .await
        .expect("hasten");
    assert_eq!(world.claim(endpoint, 9, at(1)).await.deliveries.len(), 0);
    for seq in seqs {
        world
            .store
            .hasten(&world.life, (world.app, endpoint), Some(seq), at(1))
            .await
            .expect("hasten");
    }
    assert_eq!(
        world.claim_one(endpoint, at(1)).await.delivery,
        scheduled.delivery
    );
}

pub async fn a_large_backlog_is_hastened_whole(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let count = limit::COMMIT_ROWS_MAX + 10;
    owing(&world, count, 500).await;
    world
        .store
        .hasten(&world.life, (world.app, endpoint), None, at(1))
        .await
        .expect("hasten");
    let mut seen = HashSet::new();
    while seen.len() < count {
        let batch = world.claim(endpoint, 500, at(1)).await;
        assert!(
            !batch.deliveries.is_empty(),
            "{} of {count} were due",
            seen.len()
        );
        seen.extend(places(&batch));
    }
}

pub async fn joining_again_ends_the_nodes_own_claims(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 1, 0).await;
    let before = world.claim_one(endpoint, at(0)).await;
    let again = World {
        life: live(&world.store, "one", LEASE).await,
        ..world
    };
    let record = again.leased(&before, again.delivered());
    assert_eq!(again.record_attempt(at(1), record).await, Recorded::Stale);
    let claimed = again.claim_one(endpoint, at(1)).await;
    assert_eq!(claimed.delivery, before.delivery);
}

pub async fn an_endpoint_of_another_node_yields_nothing(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    owing(&world, 2, 0).await;
    let two = World {
        life: live(&world.store, "two", LEASE).await,
        ..world.clone()
    };
    let batch = two.claim(endpoint, 2, at(0)).await;
    assert!(batch.deliveries.is_empty() && batch.endpoints.is_empty());
    assert_eq!(world.claim(endpoint, 2, at(0)).await.deliveries.len(), 2);
}
