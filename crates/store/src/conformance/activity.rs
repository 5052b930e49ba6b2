//! Roll-ups: what happened by the minute and hour, and what is owed now.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Settlement};
use watchfire_domain::lag::Histogram;
use watchfire_domain::outcome::{Outcome, SkipReason};
use watchfire_domain::time::Timestamp;

use super::world::{World, at, settled};
use crate::{
    ActivityCounts, ActivityPoint, AttemptRecord, EndpointHour, EndpointStanding, EventTypeHour,
    OwedNow, Owner, PruneOrder, Recorded, Retention, Retentions, Step, Store, Write,
};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

async fn points(world: &World, of: &Owner, step: Step) -> Vec<ActivityPoint> {
    let span = (at(0), at(10 * DAY));
    let read = world.store.activity(of, span, step).await;
    read.expect("read it")
}

async fn total(world: &World, of: &Owner) -> ActivityCounts {
    let mut total = ActivityCounts::default();
    for point in points(world, of, Step::Hour).await {
        total.merge(&point.counts);
    }
    total
}

fn of(world: &World) -> Owner {
    Owner::Application(world.app)
}

fn of_org(world: &World) -> Owner {
    Owner::Organization(world.org.clone())
}

/// An attempt of a fresh delivery that began then.
fn began(
    world: &World,
    (endpoint, seq): (usize, crate::Seq),
    when: Timestamp,
    (outcome, next): (Outcome, AfterAttempt),
) -> AttemptRecord {
    let mut attempt = world.attempt(outcome, next);
    attempt.attempted_at = when;
    world.fresh(world.endpoints[endpoint], seq, attempt)
}

fn delivered() -> (Outcome, AfterAttempt) {
    (
        Outcome::Accepted { status: 204 },
        settled(Settlement::Delivered),
    )
}

async fn record(world: &World, records: Vec<AttemptRecord>) {
    let batch = records
        .into_iter()
        .map(|record| Write::Attempt(Arc::new(record)))
        .collect::<Vec<_>>();
    let count = batch.len();
    let recorded = world.record(at(0), batch).await;
    assert_eq!(recorded, vec![Recorded::Done; count]);
}

async fn prune(world: &World, now: Timestamp) {
    let order = PruneOrder {
        now,
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::from_secs(90 * DAY),
            messages: Duration::from_secs(90 * DAY),
        })),
        rows_max: 10_000,
    };
    while world.store.prune(order.clone()).await.expect("prune").more {}
}

pub async fn what_is_accepted_and_settled_is_counted(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 5).await;
    let seq = world.accept(world.message()).await;
    let refused = Outcome::Refused {
        status: 503,
        retry_after: None,
    };
    let skipped = |reason| Outcome::Skipped { reason };
    let retry = AfterAttempt::Retry { due_at: at(60) };
    let ends = [
        delivered(),
        (refused, settled(Settlement::Exhausted)),
        (
            skipped(SkipReason::EndpointDisabled),
            settled(Settlement::Skipped),
        ),
        (
            skipped(SkipReason::Cancelled),
            settled(Settlement::Cancelled),
        ),
        (refused, retry),
    ];
    let records = ends.into_iter().enumerate();
    let records = records.map(|(place, end)| began(&world, (place, seq), at(1), end));
    record(&world, records.collect()).await;
    let expected = ActivityCounts {
        accepted: 1,
        delivered: 1,
        exhausted: 1,
        skipped: 1,
        cancelled: 1,
        attempts_failed: 2,
        lag: Histogram::default(),
    };
    assert_eq!(total(&world, &of(&world)).await, expected);
    assert_eq!(total(&world, &of_org(&world)).await, expected);
}

pub async fn a_repeated_or_late_result_counts_nothing(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seq = world.accept(world.message()).await;
    let once = began(&world, (0, seq), at(1), delivered());
    for _ in 0..2 {
        record(&world, vec![once.clone()]).await;
    }
    assert_eq!(total(&world, &of(&world)).await.delivered, 1);
    let owed = world.owed(world.endpoints[0], seq, Some(at(0)));
    world.spill(at(0), owed).await;
    let first = world.claim_one(world.endpoints[0], at(0)).await;
    world.claim_one(world.endpoints[0], at(600)).await;
    let late = world.leased(&first, world.delivered());
    assert_eq!(world.record_attempt(at(601), late).await, Recorded::Stale);
    assert_eq!(total(&world, &of(&world)).await.delivered, 1);
}

pub async fn an_event_that_conflicts_is_not_counted(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    for _ in 0..2 {
        let new = world.message_with(|message| message.event_id = Some(super::world::name("e1")));
        world.append(vec![new]).await;
    }
    assert_eq!(total(&world, &of(&world)).await.accepted, 1);
}

pub async fn lags_are_kept_by_bucket(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut expected = Histogram::default();
    let mut records = Vec::new();
    for (n, seq) in world.accept_many(6).await.into_iter().enumerate() {
        let lag = Duration::from_millis(7_u64.pow(u32::try_from(n).expect("small")));
        expected.add(lag);
        records.push(AttemptRecord {
            lag: Some(lag),
            ..began(&world, (0, seq), at(1), delivered())
        });
    }
    record(&world, records).await;
    assert_eq!(total(&world, &of(&world)).await.lag, expected);
    // A failure has no lag, whoever says so.
    let seq = world.accept(world.message()).await;
    let failed = AttemptRecord {
        lag: Some(Duration::from_secs(1)),
        ..world.fresh(world.endpoints[0], seq, world.exhausted())
    };
    record(&world, vec![failed]).await;
    assert_eq!(total(&world, &of(&world)).await.lag, expected);
}

pub async fn activity_is_read_by_the_minute_and_by_the_hour(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let begin = Step::Hour.begin_of(Step::Hour.slot_of(at(0)) + 1);
    let seconds = [0, 59, 60, HOUR - 1, HOUR, HOUR + 61];
    let seqs = world.accept_many(seconds.len()).await;
    let records = seqs.into_iter().zip(seconds).map(|(seq, second)| {
        let when = begin + Duration::from_secs(second);
        began(&world, (0, seq), when, delivered())
    });
    record(&world, records.collect()).await;
    let read = |step, until| {
        let (store, of) = (world.store.clone(), of(&world));
        async move {
            let span = (begin, begin + Duration::from_secs(until));
            let points = store.activity(&of, span, step).await.expect("read it");
            let offset = |point: &ActivityPoint| point.begins_at.since(begin).as_secs();
            points
                .iter()
                .map(|point| (offset(point), point.counts.delivered))
                .collect::<Vec<_>>()
        }
    };
    let by_minute = [(0, 2), (60, 1), (HOUR - 60, 1), (HOUR, 1), (HOUR + 60, 1)];
    assert_eq!(read(Step::Minute, 2 * HOUR).await, by_minute);
    assert_eq!(read(Step::Minute, HOUR).await, by_minute[..3]);
    assert_eq!(read(Step::Hour, 2 * HOUR).await, [(0, 4), (HOUR, 2)]);
    assert_eq!(read(Step::Hour, HOUR).await, [(0, 4)]);
    assert_eq!(read(Step::Hour, 0).await, []);
}

pub async fn minutes_become_hours_and_no_count_is_lost(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    for step in 0..12 {
        for world in [&world, &other] {
            let seq = world.accept(world.message()).await;
            let when = at(step * 20 * 60);
            let lag = Some(Duration::from_millis(3));
            let end = began(world, (0, seq), when, delivered());
            record(world, vec![AttemptRecord { lag, ..end }]).await;
        }
    }
    let before = points(&world, &of(&world), Step::Hour).await;
    let all = total(&world, &of_org(&world)).await;
    assert_eq!((all.accepted, all.delivered), (24, 24));
    for hours in [5, 6, 7, 30] {
        prune(&world, at(hours * HOUR)).await;
        assert_eq!(points(&world, &of(&world), Step::Hour).await, before);
        assert_eq!(total(&world, &of_org(&world)).await, all);
    }
    assert!(points(&world, &of(&world), Step::Minute).await.is_empty());
    // What comes late for an hour that was summed up is added to it.
    let seq = world.accept(world.message()).await;
    record(&world, vec![began(&world, (0, seq), at(1), delivered())]).await;
    prune(&world, at(30 * HOUR)).await;
    assert_eq!(total(&world, &of(&world)).await.delivered, 13);
}

pub async fn old_activity_goes(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seq = world.accept(world.message()).await;
    record(&world, vec![began(&world, (0, seq), at(1), delivered())]).await;
    prune(&world, at(80 * DAY)).await;
    assert_eq!(total(&world, &of(&world)).await.delivered, 1);
    prune(&world, at(91 * DAY)).await;
    assert_eq!(total(&world, &of(&world)).await, ActivityCounts::default());
}

pub async fn nobody_sees_anothers_activity(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    let seq = world.accept(world.message()).await;
    record(&world, vec![began(&world, (0, seq), at(1), delivered())]).await;
    assert!(points(&other, &of(&other), Step::Hour).await.is_empty());
    let nobody = Owner::Organization(super::world::name("org_two"));
    assert!(points(&world, &nobody, Step::Hour).await.is_empty());
    let span = (at(0), at(DAY));
    let hours = other
        .store
        .endpoint_hours(other.app, world.endpoints.clone(), span)
        .await;
    assert!(hours.expect("read it").is_empty());
    let standings = other.store.standings(other.app, world.endpoints.clone());
    assert!(standings.await.expect("read it").is_empty());
}

pub async fn an_endpoints_hours_are_listed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let begin = Step::Hour.begin_of(Step::Hour.slot_of(at(0)) + 1);
    let seqs = world.accept_many(3).await;
    let ends = [
        (0, 0, delivered()),
        (1, 0, delivered()),
        (
            2,
            2 * HOUR,
            (Outcome::Malformed, settled(Settlement::Exhausted)),
        ),
    ];
    for (n, second, end) in ends {
        let when = begin + Duration::from_secs(second);
        record(&world, vec![began(&world, (0, seqs[n]), when, end)]).await;
    }
    let span = (begin, begin + Duration::from_secs(DAY));
    let hours = world
        .store
        .endpoint_hours(world.app, world.endpoints.clone(), span)
        .await
        .expect("read it");
    let hour = |offset, delivered, failed| EndpointHour {
        endpoint: world.endpoints[0],
        begins_at: begin + Duration::from_secs(offset),
        delivered,
        failed,
        cancelled: 0,
    };
    assert_eq!(hours, [hour(0, 2, 0), hour(2 * HOUR, 0, 1)]);
}

pub async fn an_event_types_messages_are_counted_by_the_hour(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    let begin = Step::Hour.begin_of(Step::Hour.slot_of(at(0)) + 1);
    let sent = [("b.made", 0), ("a.made", 0), ("b.made", 59), ("b.made", 61)];
    for (name, minute) in sent {
        let new = world.message_with(|message| {
            message.event_type = super::world::name(name);
            message.accepted_at = begin + Duration::from_secs(60 * minute);
        });
        world.accept(new).await;
    }
    let read = async |world: &World, (since, until): (u64, u64)| {
        let span = (
            begin + Duration::from_secs(since),
            begin + Duration::from_secs(until),
        );
        let store = &world.store;
        let hours = store.event_type_hours(world.app, span);
        hours.await.expect("read it")
    };
    let hour = |name, hour, accepted| EventTypeHour {
        event_type: super::world::name(name),
        begins_at: begin + Duration::from_secs(hour * HOUR),
        accepted,
    };
    let all = [
        hour("b.made", 1, 1),
        hour("b.made", 0, 2),
        hour("a.made", 0, 1),
    ];
    assert_eq!(read(&world, (0, DAY)).await, all);
    assert_eq!(read(&world, (1, DAY)).await, all[..1]);
    assert_eq!(read(&world, (0, HOUR)).await, all[1..]);
    assert_eq!(read(&other, (0, DAY)).await, []);
    prune(&world, at(91 * DAY)).await;
    assert_eq!(read(&world, (0, DAY)).await, []);
}

pub async fn what_is_owed_now_is_known(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let quiet = world.another_application(1).await;
    assert_eq!(owed(&world, &of_org(&world)).await, OwedNow::default());
    let mut ids = Vec::new();
    let mut seqs = Vec::new();
    for second in [30, 10, 20] {
        let new = world.message_with(|message| {
            message.id = watchfire_domain::id::MessageId::new(at(second), &*world.chance);
        });
        ids.push(new.message.id);
        seqs.push(world.accept(new).await);
    }
    let [a, b, c] = world.endpoints[..] else {
        panic!("three endpoints")
    };
    for (endpoint, seq) in [(a, 0), (a, 1), (b, 2)] {
        let owed = world.owed(endpoint, seqs[seq], Some(at(0)));
        world.spill(at(0), owed).await;
    }
    let expected = OwedNow {
        deliveries: 3,
        endpoints: 2,
        oldest: Some((ids[1], a)),
        more: false,
    };
    assert_eq!(owed(&world, &of(&world)).await, expected);
    assert_eq!(owed(&world, &of_org(&world)).await, expected);
    assert_eq!(owed(&quiet, &of(&quiet)).await, OwedNow::default());
    let by_all = world.store.owed_by_all().await.expect("read it");
    assert_eq!(by_all, expected);
    let standings = world
        .store
        .standings(world.app, vec![a, b, c])
        .await
        .expect("read it");
    let stands = |endpoint| {
        let EndpointStanding {
            owed, oldest_owed, ..
        } = standings[endpoint];
        (owed, oldest_owed)
    };
    assert_eq!(stands(&a), (2, Some(ids[1])));
    assert_eq!(stands(&b), (1, Some(ids[2])));
    assert_eq!(stands(&c), (0, None));
    let claimed = world.claim(a, 10, at(1)).await.deliveries;
    for claimed in &claimed {
        let done = world.leased(claimed, world.delivered());
        world.record_attempt(at(1), done).await;
    }
    let left = owed(&world, &of_org(&world)).await;
    assert_eq!((left.deliveries, left.oldest), (1, Some((ids[2], b))));
}

async fn owed(world: &World, of: &Owner) -> OwedNow {
    world.store.owed_now(of).await.expect("read it")
}

pub async fn an_endpoints_last_attempt_is_known(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let seqs = world.accept_many(2).await;
    let mut last = None;
    for (second, seq) in [(1, seqs[0]), (2, seqs[1])] {
        let mut attempt = world.delivered();
        attempt.id = watchfire_domain::id::AttemptId::new(at(second), &*world.chance);
        last = Some(attempt.clone());
        record(&world, vec![world.fresh(world.endpoints[0], seq, attempt)]).await;
    }
    let standings = world
        .store
        .standings(world.app, world.endpoints.clone())
        .await
        .expect("read it");
    let expected = last.map(|attempt| watchfire_domain::attempt::Attempt {
        response: None,
        ..attempt
    });
    assert_eq!(standings[&world.endpoints[0]].last_attempt, expected);
    assert_eq!(standings[&world.endpoints[1]].last_attempt, None);
}
