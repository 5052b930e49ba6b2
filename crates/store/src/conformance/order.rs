//! The order of messages about one record.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_domain::message::Urgency;

use super::world::{Chance, LEASE, World, at};
use crate::{
    ClaimedDelivery, DeliveryStatus, EndpointKey, NewOwed, OwedReason, Recorded, Seq, Standing,
    Store, Write,
};

pub(super) fn keyed(world: &World, seq: Seq, record: i64, due: Option<u64>) -> NewOwed {
    NewOwed {
        record: Some(record),
        ..world.owed(world.endpoints[0], seq, due.map(at))
    }
}

pub(super) async fn owed(world: &World, seq: Seq) -> crate::Owed {
    let views = world
        .store
        .deliveries_of(world.app, seq)
        .await
        .expect("read it");
    views[0].owed.expect("it is owed")
}

/// So many messages about one record, spilled in their order.
pub(super) async fn line(world: &World, count: usize) -> Vec<Seq> {
    let seqs = world.accept_many(count).await;
    for seq in &seqs {
        world.spill(at(0), keyed(world, *seq, 7, Some(0))).await;
    }
    seqs
}

pub async fn a_later_one_is_parked_behind_an_earlier_one(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = line(&world, 3).await;
    assert_eq!(owed(&world, seqs[0]).await.due_at, Some(at(0)));
    for seq in &seqs[1..] {
        let owed = owed(&world, *seq).await;
        assert_eq!((owed.due_at, owed.reason), (None, OwedReason::Turn));
    }
    let claimed = world.claim_one(world.endpoints[0], at(0)).await;
    assert_eq!(claimed.delivery.seq, seqs[0]);
}

pub async fn a_fixed_time_is_not_lost_to_a_turn(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    world.spill(at(0), keyed(&world, seqs[0], 7, Some(0))).await;
    world
        .spill(at(0), keyed(&world, seqs[1], 7, Some(100)))
        .await;
    let first = world.claim_one(endpoint, at(0)).await;
    world
        .record_attempt(at(1), world.leased(&first, world.delivered()))
        .await;
    assert_eq!(owed(&world, seqs[1]).await.due_at, Some(at(100)));
    assert_eq!(world.claim(endpoint, 9, at(99)).await.deliveries.len(), 0);
    assert_eq!(
        world.claim_one(endpoint, at(100)).await.delivery.seq,
        seqs[1]
    );
}

pub async fn a_claim_parks_what_is_blocked(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    world
        .spill(at(0), keyed(&world, seqs[0], 7, Some(50)))
        .await;
    world
        .spill(at(0), keyed(&world, seqs[1], 7, Some(10)))
        .await;
    let batch = world.claim(endpoint, 9, at(10)).await;
    assert_eq!(batch.deliveries.len(), 0);
    assert_eq!(batch.endpoints[&endpoint].due_at, Some(at(50)));
    let parked = owed(&world, seqs[1]).await;
    assert_eq!((parked.due_at, parked.reason), (None, OwedReason::Turn));
}

pub async fn urgency_does_not_overtake_a_record(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    let urgent = NewOwed {
        urgency: Urgency::Urgent,
        ..keyed(&world, seqs[1], 7, Some(0))
    };
    world.spill(at(0), urgent).await;
    world.spill(at(0), keyed(&world, seqs[0], 7, Some(0))).await;
    assert_eq!(world.claim_one(endpoint, at(0)).await.delivery.seq, seqs[0]);
}

pub async fn settling_wakes_the_next_and_only_it(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = line(&world, 3).await;
    for (n, seq) in seqs.iter().enumerate() {
        let now = at(u64::try_from(n).expect("small") * 10);
        let claimed = world.claim_one(endpoint, now).await;
        assert_eq!(claimed.delivery.seq, *seq);
        let attempt = if n == 0 {
            world.exhausted()
        } else {
            world.delivered()
        };
        let end = now + std::time::Duration::from_secs(10);
        world
            .record_attempt(end, world.leased(&claimed, attempt))
            .await;
        if let Some(next) = seqs.get(n + 1) {
            assert_eq!(owed(&world, *next).await.due_at, Some(end));
        }
        if let Some(after) = seqs.get(n + 2) {
            assert_eq!(owed(&world, *after).await.due_at, None);
        }
    }
}

pub async fn settling_a_fresh_one_wakes_the_next(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    world.spill(at(0), keyed(&world, seqs[1], 7, None)).await;
    assert_eq!(world.claim(endpoint, 9, at(5)).await.deliveries.len(), 0);
    let mut record = world.fresh(endpoint, seqs[0], world.delivered());
    record.record = Some(7);
    world.record_attempt(at(6), record).await;
    assert_eq!(world.claim_one(endpoint, at(6)).await.delivery.seq, seqs[1]);
}

pub async fn a_retry_goes_on_blocking(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = line(&world, 2).await;
    let claimed = world.claim_one(endpoint, at(0)).await;
    world
        .record_attempt(at(1), world.leased(&claimed, world.refused(at(60))))
        .await;
    assert_eq!(world.claim(endpoint, 9, at(59)).await.deliveries.len(), 0);
    assert_eq!(
        world.claim_one(endpoint, at(60)).await.delivery.seq,
        seqs[0]
    );
}

pub async fn an_expired_lease_goes_on_blocking(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = line(&world, 2).await;
    world.claim_one(endpoint, at(0)).await;
    let claimed = world.claim_one(endpoint, at(0) + LEASE).await;
    assert_eq!(claimed.delivery.seq, seqs[0]);
}

pub async fn other_records_and_endpoints_are_not_held_up(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let seqs = world.accept_many(4).await;
    world
        .spill(at(0), keyed(&world, seqs[0], 7, Some(900)))
        .await;
    world.spill(at(0), keyed(&world, seqs[1], 8, Some(0))).await;
    world
        .spill(at(0), world.owed(world.endpoints[0], seqs[2], Some(at(0))))
        .await;
    let elsewhere = NewOwed {
        delivery: world.delivery(world.endpoints[1], seqs[3]),
        ..keyed(&world, seqs[3], 7, Some(0))
    };
    world.spill(at(0), elsewhere).await;
    assert_eq!(
        world
            .claim(world.endpoints[0], 9, at(0))
            .await
            .deliveries
            .len(),
        2
    );
    assert_eq!(
        world
            .claim(world.endpoints[1], 9, at(0))
            .await
            .deliveries
            .len(),
        1
    );
}

pub async fn a_returned_one_can_wait_for_its_turn(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    world.spill(at(0), keyed(&world, seqs[1], 7, Some(0))).await;
    let claimed = world.claim_one(endpoint, at(0)).await;
    let recorded = world.give_back(&claimed, claimed.token, None).await;
    assert_eq!(recorded, Recorded::Done);
    let parked = owed(&world, seqs[1]).await;
    assert_eq!((parked.due_at, parked.reason), (None, OwedReason::Turn));
    let mut record = world.fresh(endpoint, seqs[0], world.exhausted());
    record.record = Some(7);
    world.record_attempt(at(3), record).await;
    assert_eq!(world.claim_one(endpoint, at(3)).await.delivery.seq, seqs[1]);
}

pub async fn a_resend_of_an_earlier_one_goes_first(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    world.deliver(endpoint, seqs[0]).await;
    world.spill(at(0), keyed(&world, seqs[1], 7, Some(0))).await;
    let resend = NewOwed {
        reason: OwedReason::Requested,
        ..keyed(&world, seqs[0], 7, Some(0))
    };
    world.spill(at(0), resend).await;
    let claimed = world.claim_one(endpoint, at(1)).await;
    assert_eq!(claimed.delivery.seq, seqs[0]);
    world
        .record_attempt(at(2), world.leased(&claimed, world.delivered()))
        .await;
    assert_eq!(world.claim_one(endpoint, at(2)).await.delivery.seq, seqs[1]);
}

/// Random spills, claims, failures, returns and expired leases: within one record of one endpoint,
/// nothing is leased while something earlier is owed, and in the end everything is settled once.
pub async fn records_stay_in_order_whatever_happens(store: Arc<dyn Store>) {
    let mut world = World::with_endpoints(store, 2).await;
    for seed in 0..8 {
        world.chance = Arc::new(Chance::seeded(seed));
        Play::new(&world, seed).run().await;
    }
}

/// One random run.
struct Play<'w> {
    world: &'w World,
    seed: u64,
    now: u64,
    /// What is owed, by endpoint and record.
    owed: HashMap<(EndpointKey, i64), Vec<Seq>>,
    /// Since when each is leased.
    leased: Vec<(u64, ClaimedDelivery)>,
    settled: usize,
}

const RECORDS: usize = 3;
const MESSAGES: usize = 24;
const STEPS_MAX: usize = 4_000;

impl<'w> Play<'w> {
    fn new(world: &'w World, seed: u64) -> Self {
        Self {
            world,
            seed,
            now: seed * 100_000,
            owed: HashMap::new(),
            leased: Vec::new(),
            settled: 0,
        }
    }

    async fn run(mut self) {
        let seqs = self.world.accept_many(MESSAGES).await;
        let mut spills: Vec<_> = seqs
            .iter()
            .flat_map(|seq| {
                self.world
                    .endpoints
                    .iter()
                    .map(|endpoint| (*endpoint, *seq))
            })
            .collect();
        spills.reverse();
        let total = spills.len();
        for _ in 0..STEPS_MAX {
            if self.settled == total {
                return;
            }
            match self.world.chance.below(4) {
                0 => {
                    if let Some((endpoint, seq)) = spills.pop() {
                        self.spill(endpoint, seq).await;
                    }
                }
                1 => self.claim().await,
                2 => self.finish().await,
                _ => self.now += u64::try_from(self.world.chance.below(200)).expect("small"),
            }
        }
        panic!(
            "seed {}: {} of {total} were settled",
            self.seed, self.settled
        );
    }

    async fn spill(&mut self, endpoint: EndpointKey, seq: Seq) {
        let record = i64::try_from(self.world.chance.below(RECORDS)).expect("small");
        let owed = NewOwed {
            delivery: self.world.delivery(endpoint, seq),
            ..keyed(self.world, seq, record, Some(self.now))
        };
        self.world.spill(at(self.now), owed).await;
        self.owed.entry((endpoint, record)).or_default().push(seq);
    }

    async fn claim(&mut self) {
        let endpoint = self.world.endpoints[self.world.chance.below(2)];
        let limit = 1 + self.world.chance.below(4);
        let batch = self.world.claim(endpoint, limit, at(self.now)).await;
        // A claim ends the leases that have expired, whether it takes them over or not.
        let expired = self.now.saturating_sub(LEASE.as_secs());
        self.leased
            .retain(|(since, other)| *since > expired || other.delivery.endpoint != endpoint);
        for claimed in batch.deliveries {
            let record = claimed.record.expect("all are keyed");
            let line = &self.owed[&(endpoint, record)];
            let first = line.iter().min().copied();
            assert_eq!(
                Some(claimed.delivery.seq),
                first,
                "seed {}: {line:?}",
                self.seed
            );
            self.leased.push((self.now, claimed));
        }
    }

    async fn finish(&mut self) {
        if self.leased.is_empty() {
            return;
        }
        let n = self.world.chance.below(self.leased.len());
        let (_, claimed) = self.leased.swap_remove(n);
        let now = at(self.now);
        let retry_at = at(self.now + 30);
        let write = match self.world.chance.below(6) {
            0 => Write::Return {
                delivery: claimed.delivery,
                token: claimed.token,
                due_at: Some(retry_at),
            },
            1 => {
                let attempt = self.world.refused(retry_at);
                Write::Attempt(Arc::new(self.world.leased(&claimed, attempt)))
            }
            _ => {
                let attempt = self.world.delivered();
                Write::Attempt(Arc::new(self.world.leased(&claimed, attempt)))
            }
        };
        let settles = matches!(&write, Write::Attempt(record)
            if record.standing == Standing::Leased(claimed.token)
                && record.attempt.outcome.is_accepted());
        assert_eq!(self.world.record(now, vec![write]).await, [Recorded::Done]);
        if settles {
            self.settle(&claimed).await;
        }
    }

    async fn settle(&mut self, claimed: &ClaimedDelivery) {
        let (endpoint, seq) = (claimed.delivery.endpoint, claimed.delivery.seq);
        let record = claimed.record.expect("all are keyed");
        let line = self.owed.get_mut(&(endpoint, record)).expect("it was owed");
        line.retain(|other| *other != seq);
        self.settled += 1;
        assert_eq!(
            self.world.status(endpoint, seq).await,
            DeliveryStatus::Delivered
        );
    }
}
