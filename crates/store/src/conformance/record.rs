//! Recording attempts, and what becomes of a delivery.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use watchfire_domain::attempt::{
    AfterAttempt, RecipeNumber, Response, Sent, Settlement, Timing, Trigger,
};
use watchfire_domain::health::{DisableCause, Health};
use watchfire_domain::outcome::{Cause, Outcome, Phase, SkipReason, Verdict};

use super::world::{World, at, settled};
use crate::{
    AttemptRecord, DeliveryRef, DeliveryStatus, EndpointKey, HealthChange, OwedReason, Recorded,
    Seq, Series, ShardSet, Store, Write,
};

pub async fn a_delivery_that_succeeds_at_once_is_settled(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let seq = world.accept(world.message()).await;
    world.deliver(world.endpoints[0], seq).await;
    let status = world.status(world.endpoints[0], seq).await;
    assert_eq!(status, DeliveryStatus::Delivered);
    let status = world.status(world.endpoints[1], seq).await;
    assert_eq!(status, DeliveryStatus::Sending);
    assert_eq!(world.unfinished().await, [(seq, vec![world.endpoints[1]])]);
}

pub async fn every_outcome_is_kept(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let refused = |retry_after| Outcome::Refused {
        status: 429,
        retry_after,
    };
    let outcomes = [
        Outcome::Accepted { status: 200 },
        Outcome::Accepted { status: 302 },
        refused(None),
        refused(Some(Duration::from_secs(90))),
        Outcome::TimedOut { phase: Phase::Tls },
        Outcome::Unreachable {
            cause: Cause::StaleConnection,
        },
        Outcome::Blocked {
            verdict: Verdict::Metadata,
        },
        Outcome::Oversize,
        Outcome::Malformed,
        Outcome::Skipped {
            reason: SkipReason::Cancelled,
        },
    ];
    for outcome in outcomes {
        let seq = world.accept(world.message()).await;
        for next in [
            AfterAttempt::Retry { due_at: at(9) },
            settled(Settlement::Exhausted),
        ] {
            let attempt = world.attempt(outcome, next);
            let record = world.fresh(endpoint, seq, attempt.clone());
            world.record_attempt(at(0), record).await;
            let stored = world.store.attempt(world.app, seq, attempt.id).await;
            let stored = stored.expect("read it").expect("it exists");
            assert_eq!(stored.attempt, attempt);
            assert_eq!((stored.seq, stored.endpoint), (seq, endpoint));
        }
    }
}

pub async fn everything_an_attempt_can_have_is_kept(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    let mut attempt = world.attempt(
        Outcome::Accepted { status: 200 },
        settled(Settlement::Delivered),
    );
    attempt.number = 7;
    attempt.trigger = Trigger::Probe;
    attempt.address = Some("[2001:db8::7]:8443".parse().expect("an address"));
    attempt.timing = Timing {
        resolve: Some(Duration::from_nanos(1)),
        connect: Some(Duration::from_micros(2)),
        tls: Some(Duration::from_millis(3)),
        first_byte: Some(Duration::ZERO),
        total: Duration::from_secs(4),
    };
    attempt.response = Some(Response {
        headers: vec![
            ("x-twice".to_owned(), "1".to_owned()),
            ("x-twice".to_owned(), "\u{fffd}\"".to_owned()),
        ],
        body: Bytes::from(vec![0; 64 * 1024]),
        truncated: true,
    });
    attempt.sent = Some(Sent {
        recipe: RecipeNumber(3),
        signature: "v1,c2lnbmVk v1a,dHdpY2U=".to_owned(),
    });
    let record = world.fresh(world.endpoints[0], seq, attempt.clone());
    world.record_attempt(at(0), record).await;
    let stored = world.store.attempt(world.app, seq, attempt.id).await;
    let stored = stored.expect("read it").expect("it exists");
    assert_eq!(stored.attempt, attempt);
    assert_eq!(stored.message_id, new.message.id);
    assert_eq!(stored.event_type, new.message.event_type);
    let endpoints = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them");
    assert_eq!(stored.endpoint_id, endpoints[0].endpoint.identity.id);
}

pub async fn a_failed_attempt_makes_the_delivery_owed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let record = world.fresh(endpoint, seq, world.refused(at(10)));
    assert_eq!(world.record_attempt(at(0), record).await, Recorded::Done);
    let views = world
        .store
        .deliveries_of(world.app, seq)
        .await
        .expect("read it");
    let owed = views[0].owed.expect("it is owed");
    assert_eq!(views[0].status, DeliveryStatus::Pending);
    assert_eq!(owed.due_at, Some(at(10)));
    assert_eq!(owed.reason, OwedReason::Retry);
    assert_eq!((owed.attempts, owed.trigger), (1, Trigger::Scheduled));
    assert_eq!(world.unfinished().await, []);
}

pub async fn every_settlement_ends_the_delivery(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    for (settlement, status) in [
        (Settlement::Delivered, DeliveryStatus::Delivered),
        (Settlement::Exhausted, DeliveryStatus::Failed),
        (Settlement::Skipped, DeliveryStatus::Failed),
        (Settlement::Cancelled, DeliveryStatus::Cancelled),
    ] {
        let seq = world.accept(world.message()).await;
        let attempt = world.attempt(Outcome::Malformed, settled(settlement));
        world
            .record_attempt(at(0), world.fresh(endpoint, seq, attempt))
            .await;
        assert_eq!(world.status(endpoint, seq).await, status);
    }
    assert_eq!(world.unfinished().await, []);
}

pub async fn the_same_record_twice_counts_once(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let record = world.fresh(endpoint, seq, world.delivered());
    for _ in 0..2 {
        let recorded = world.record_attempt(at(0), record.clone()).await;
        assert_eq!(recorded, Recorded::Done);
    }
    assert_eq!(delivered_count(&world, endpoint).await, 1);
}

async fn delivered_count(world: &World, endpoint: EndpointKey) -> u64 {
    let counts = world
        .store
        .endpoint_counts(world.app, endpoint, at(0), at(0))
        .await;
    counts.expect("read them").delivered
}

pub async fn writes_about_a_message_that_is_gone_are_dropped_alone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let gone = Seq(seq.0 + 1_000);
    let attempt = |seq, attempt| Write::Attempt(Arc::new(world.fresh(endpoint, seq, attempt)));
    let batch = vec![
        attempt(gone, world.delivered()),
        attempt(gone, world.refused(at(9))),
        Write::Spill(world.owed(endpoint, gone, Some(at(0)))),
        attempt(seq, world.delivered()),
    ];
    let recorded = world.record(at(0), batch).await;
    assert_eq!(recorded[..3], [Recorded::Stale; 3]);
    assert_eq!(recorded[3], Recorded::Done);
    assert_eq!(delivered_count(&world, endpoint).await, 1);
    assert!(!world.claim(endpoint, 1, at(100)).await.endpoints[&endpoint].owes);
}

pub async fn a_message_of_another_application_takes_no_attempt(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    let seq = world.accept(world.message()).await;
    let record = AttemptRecord {
        delivery: DeliveryRef {
            app: other.app,
            ..world.delivery(world.endpoints[0], seq)
        },
        ..world.fresh(world.endpoints[0], seq, world.delivered())
    };
    assert_eq!(world.record_attempt(at(0), record).await, Recorded::Stale);
    assert_eq!(
        world.status(world.endpoints[0], seq).await,
        DeliveryStatus::Sending
    );
}

fn gone_health() -> Health {
    Health::Disabled {
        since: at(3),
        cause: DisableCause::Gone,
        trouble: None,
        note: None,
    }
}

async fn health(world: &World) -> Health {
    let endpoints = world.store.endpoints_of(world.app).await;
    endpoints.expect("read them")[0].health.clone()
}

pub async fn health_changes_together_with_the_attempt(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let record = AttemptRecord {
        health: Some(HealthChange {
            revision: 0,
            notices: Vec::new(),
            endpoint,
            health: gone_health(),
        }),
        ..world.fresh(endpoint, seq, world.refused(at(9)))
    };
    world.record_attempt(at(0), record).await;
    assert_eq!(health(&world).await, gone_health());
    let unwell = world.store.endpoints_unwell(ShardSet::ALL, None, 10).await;
    assert_eq!(unwell.expect("read them"), [(endpoint, world.app)]);
}

pub async fn a_stale_write_changes_no_health(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    world
        .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
        .await;
    let mut claimed = world.claim_one(endpoint, at(0)).await;
    claimed.token.0 += 1;
    let record = AttemptRecord {
        health: Some(HealthChange {
            revision: 0,
            notices: Vec::new(),
            endpoint,
            health: gone_health(),
        }),
        ..world.leased(&claimed, world.refused(at(9)))
    };
    assert_eq!(world.record_attempt(at(0), record).await, Recorded::Stale);
    assert_eq!(health(&world).await, Health::default());
}

pub async fn counts_follow_what_was_recorded(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(6).await;
    let hour = 3_600;
    let settle = |seq, settlement, seconds| {
        let mut attempt = world.attempt(Outcome::Malformed, settled(settlement));
        attempt.attempted_at = at(seconds);
        Write::Attempt(Arc::new(world.fresh(endpoint, seq, attempt)))
    };
    let batch = vec![
        settle(seqs[0], Settlement::Delivered, 0),
        settle(seqs[1], Settlement::Exhausted, 0),
        settle(seqs[2], Settlement::Skipped, hour),
        settle(seqs[3], Settlement::Cancelled, hour),
        settle(seqs[4], Settlement::Delivered, 2 * hour),
        Write::Spill(world.owed(endpoint, seqs[5], Some(at(0)))),
    ];
    world.record(at(0), batch).await;
    let counts = async |since, until| {
        let counts = world
            .store
            .endpoint_counts(world.app, endpoint, at(since), at(until))
            .await;
        let counts = counts.expect("read them");
        (
            counts.delivered,
            counts.failed,
            counts.cancelled,
            counts.pending,
        )
    };
    assert_eq!(counts(0, 2 * hour).await, (2, 2, 1, 1));
    assert_eq!(counts(0, 0).await, (1, 1, 0, 1));
    assert_eq!(counts(hour, hour).await, (0, 1, 1, 1));
    let claimed = world.claim_one(endpoint, at(0)).await;
    assert_eq!(counts(0, 0).await, (1, 1, 0, 1), "leased is owed");
    world
        .record_attempt(at(0), world.leased(&claimed, world.delivered()))
        .await;
    assert_eq!(counts(0, 0).await, (2, 1, 0, 0));
}

pub async fn a_spilled_delivery_is_owed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let owed = world.owed(endpoint, seq, Some(at(1)));
    assert_eq!(world.spill(at(0), owed).await, Recorded::Done);
    assert_eq!(world.unfinished().await, []);
    let claimed = world.claim_one(endpoint, at(1)).await;
    assert_eq!(claimed.series, Series::START);
    assert_eq!(claimed.delivery, world.delivery(endpoint, seq));
}

pub async fn the_earlier_due_time_wins_with_its_series(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    world
        .record_attempt(at(0), world.fresh(endpoint, seq, world.refused(at(10))))
        .await;
    let resend = |seconds| crate::NewOwed {
        reason: OwedReason::Requested,
        series: Series {
            trigger: Trigger::Manual,
            ..Series::START
        },
        ..world.owed(endpoint, seq, Some(at(seconds)))
    };
    world.spill(at(0), resend(20)).await;
    let owed = owed_of(&world, seq).await;
    assert_eq!(
        (owed.due_at, owed.trigger, owed.attempts),
        (Some(at(10)), Trigger::Scheduled, 1)
    );
    world.spill(at(0), resend(5)).await;
    let owed = owed_of(&world, seq).await;
    assert_eq!(
        (owed.due_at, owed.trigger, owed.attempts),
        (Some(at(5)), Trigger::Manual, 0)
    );
    assert_eq!(owed.reason, OwedReason::Requested);
}

async fn owed_of(world: &World, seq: Seq) -> crate::Owed {
    let views = world
        .store
        .deliveries_of(world.app, seq)
        .await
        .expect("read it");
    views[0].owed.expect("it is owed")
}

pub async fn a_late_failure_does_not_postpone_a_resend(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let resend = crate::NewOwed {
        reason: OwedReason::Requested,
        ..world.owed(endpoint, seq, Some(at(1)))
    };
    world.spill(at(0), resend).await;
    world
        .record_attempt(at(0), world.fresh(endpoint, seq, world.refused(at(300))))
        .await;
    assert_eq!(owed_of(&world, seq).await.due_at, Some(at(1)));
    let claimed = world.claim_one(endpoint, at(1)).await;
    world
        .record_attempt(at(1), world.leased(&claimed, world.delivered()))
        .await;
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Delivered);
}

pub async fn a_settled_delivery_can_be_asked_for_again(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    world.deliver(endpoint, seq).await;
    let resend = crate::NewOwed {
        reason: OwedReason::Requested,
        ..world.owed(endpoint, seq, Some(at(1)))
    };
    world.spill(at(1), resend).await;
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Pending);
    let claimed = world.claim_one(endpoint, at(1)).await;
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Sending);
    let mut failed = world.exhausted();
    failed.attempted_at = at(2);
    failed.id = watchfire_domain::id::AttemptId::new(at(2), &*world.chance);
    world
        .record_attempt(at(2), world.leased(&claimed, failed))
        .await;
    assert_eq!(
        world.status(endpoint, seq).await,
        DeliveryStatus::Failed,
        "the last one counts"
    );
}

pub async fn a_resend_asked_for_during_an_attempt_is_not_lost(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let resend = |seq| crate::NewOwed {
        reason: OwedReason::Requested,
        ..world.owed(endpoint, seq, Some(at(2)))
    };
    for attempt in [world.delivered(), world.refused(at(900))] {
        let seq = world.accept(world.message()).await;
        world
            .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
            .await;
        let claimed = world.claim_one(endpoint, at(1)).await;
        world.spill(at(2), resend(seq)).await;
        let recorded = world
            .record_attempt(at(3), world.leased(&claimed, attempt))
            .await;
        assert_eq!(recorded, Recorded::Done);
        let again = world.claim_one(endpoint, at(3)).await;
        assert_eq!(again.delivery.seq, seq);
        assert_eq!(
            (again.series.trigger, again.series.attempts),
            (Trigger::Manual, 0)
        );
        world
            .record_attempt(at(4), world.leased(&again, world.delivered()))
            .await;
        assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Delivered);
    }
}

pub async fn a_spill_during_an_attempt_leaves_it_alone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    world
        .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
        .await;
    let claimed = world.claim_one(endpoint, at(1)).await;
    world
        .spill(at(2), world.owed(endpoint, seq, Some(at(2))))
        .await;
    world
        .record_attempt(at(3), world.leased(&claimed, world.delivered()))
        .await;
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Delivered);
    assert_eq!(world.claim(endpoint, 9, at(99)).await.deliveries.len(), 0);
}
