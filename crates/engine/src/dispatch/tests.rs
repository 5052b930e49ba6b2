use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::message::{Details, Message, Urgency};
use watchfire_store::{FenceToken, Series, ShardSet};

use super::*;

const NOW: Timestamp = Timestamp::EPOCH;

fn job(endpoint: i64, seq: i64) -> Job {
    let message = Message {
        id: MessageId::from_ksuid(Ksuid::from_bytes([1; 20])),
        accepted_at: NOW,
        event_type: "threat.created".parse().expect("valid"),
        event_id: None,
        record_key: None,
        urgency: Urgency::Ordinary,
        payload: Some(Bytes::from_static(b"{}")),
        details: Details::default(),
    };
    Job {
        delivery: DeliveryRef {
            app: AppKey(1),
            endpoint: EndpointKey(endpoint),
            seq: Seq(seq),
        },
        standing: Standing::Fresh,
        claimed_until: None,
        message: Arc::new(message),
        series: Series::START,
        record: None,
    }
}

fn keyed(endpoint: i64, seq: i64, record: i64) -> Job {
    Job {
        record: Some(record),
        ..job(endpoint, seq)
    }
}

fn leased(job: Job) -> Job {
    Job {
        standing: Standing::Leased(FenceToken(1)),
        ..job
    }
}

fn dispatcher() -> Dispatcher {
    Dispatcher::new(Bounds::default())
}

fn push(dispatcher: &mut Dispatcher, job: Job) {
    let pushed = dispatcher.push(job, Terms::default());
    assert!(matches!(pushed, Pushed::Queued), "{pushed:?}");
}

fn spilled(dispatcher: &mut Dispatcher, job: Job) -> OwedReason {
    match dispatcher.push(job, Terms::default()) {
        Pushed::Spill(_, reason) => reason,
        Pushed::Queued => panic!("it was queued"),
    }
}

fn seqs(dispatcher: &mut Dispatcher) -> Vec<i64> {
    std::iter::from_fn(|| dispatcher.next(NOW))
        .map(|job| job.delivery.seq.0)
        .collect()
}

fn finish(dispatcher: &mut Dispatcher, job: &Job) {
    dispatcher.answered(job.delivery.endpoint, Pace::Fast);
    dispatcher.settled(job.delivery, job.standing, job.record);
}

#[test]
fn lanes_take_turns() {
    let mut dispatcher = dispatcher();
    for seq in 0..3 {
        push(&mut dispatcher, job(1, seq));
    }
    push(&mut dispatcher, job(2, 100));
    assert_eq!(seqs(&mut dispatcher), [0, 100, 1, 2]);
}

#[test]
fn a_hanging_endpoint_holds_its_window_and_no_more() {
    let mut dispatcher = dispatcher();
    for seq in 0..100 {
        push(&mut dispatcher, job(1, seq));
    }
    push(&mut dispatcher, job(2, 1_000));
    let sent = seqs(&mut dispatcher);
    assert_eq!(sent.len(), limit::CONCURRENCY_PER_ENDPOINT_START + 1);
    assert!(sent.contains(&1_000));
}

#[test]
fn a_fast_endpoint_gets_more_places() {
    let mut dispatcher = dispatcher();
    for seq in 0..500 {
        push(&mut dispatcher, job(1, seq));
    }
    for _ in 0..200 {
        let next = dispatcher.next(NOW).expect("queued");
        finish(&mut dispatcher, &next);
    }
    assert_eq!(
        seqs(&mut dispatcher).len(),
        limit::CONCURRENCY_PER_ENDPOINT_MAX
    );
}

#[test]
fn urgent_ones_go_first() {
    let mut dispatcher = dispatcher();
    push(&mut dispatcher, job(1, 1));
    let mut urgent = job(1, 2);
    Arc::make_mut(&mut urgent.message).urgency = Urgency::Urgent;
    push(&mut dispatcher, urgent);
    assert_eq!(seqs(&mut dispatcher), [2, 1]);
}

#[test]
fn a_later_message_of_a_record_waits_until_the_earlier_is_settled() {
    let mut dispatcher = dispatcher();
    for (seq, record) in [(1, 7), (2, 7), (3, 8)] {
        push(&mut dispatcher, keyed(1, seq, record));
    }
    let first = dispatcher.next(NOW).expect("the head");
    assert_eq!(seqs(&mut dispatcher), [3], "another record is not held up");
    dispatcher.answered(first.delivery.endpoint, Pace::Fast);
    assert_eq!(
        seqs(&mut dispatcher),
        [] as [i64; 0],
        "an answer is not yet on disk"
    );
    dispatcher.settled(first.delivery, first.standing, first.record);
    assert_eq!(seqs(&mut dispatcher), [2]);
}

#[test]
fn followers_of_a_failed_record_leave_with_it_and_new_ones_are_spilled() {
    let mut dispatcher = dispatcher();
    for seq in 1..=3 {
        push(&mut dispatcher, keyed(1, seq, 7));
    }
    let head = dispatcher.next(NOW).expect("the head");
    dispatcher.answered(head.delivery.endpoint, Pace::Struggling);
    let moving = Moving::Keyed(7, Seq(1));
    dispatcher.begin_move(EndpointKey(1), AppKey(1), moving);
    let followers = dispatcher.take_followers(EndpointKey(1), 7);
    assert_eq!(
        followers
            .iter()
            .map(|job| job.delivery.seq.0)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(spilled(&mut dispatcher, keyed(1, 4, 7)), OwedReason::Turn);
    push(&mut dispatcher, job(1, 5));
    dispatcher.end_move(EndpointKey(1), moving);
    let marks = dispatcher.asked(EndpointKey(1));
    dispatcher.owes_nothing(EndpointKey(1), marks);
    push(&mut dispatcher, keyed(1, 6, 7));
}

#[test]
fn an_endpoint_that_owes_claimed_deliveries_still_owes() {
    let mut dispatcher = dispatcher();
    dispatcher.owes(EndpointKey(1), AppKey(1));
    push(&mut dispatcher, leased(keyed(1, 1, 7)));
    let marks = dispatcher.asked(EndpointKey(1));
    dispatcher.owes_nothing(EndpointKey(1), marks);
    assert_eq!(spilled(&mut dispatcher, keyed(1, 2, 7)), OwedReason::Turn);
}

#[test]
fn an_answer_older_than_a_failure_does_not_let_others_overtake() {
    let mut dispatcher = dispatcher();
    let (endpoint, app) = (EndpointKey(1), AppKey(1));
    dispatcher.owes(endpoint, app);
    let asked_at = dispatcher.asked(endpoint);
    dispatcher.begin_move(endpoint, app, Moving::Keyed(7, Seq(1)));
    assert!(dispatcher.is_preceded(&keyed(1, 2, 7)));
    dispatcher.end_move(endpoint, Moving::Keyed(7, Seq(1)));
    assert!(
        dispatcher.is_preceded(&keyed(1, 2, 7)),
        "it was asked before"
    );
    dispatcher.owes_nothing(endpoint, asked_at);
    assert_eq!(spilled(&mut dispatcher, keyed(1, 2, 7)), OwedReason::Turn);
    let marks = dispatcher.asked(endpoint);
    dispatcher.owes_nothing(endpoint, marks);
    assert!(!dispatcher.is_preceded(&keyed(1, 2, 7)));
    push(&mut dispatcher, keyed(1, 3, 7));
}

#[test]
fn what_does_not_fit_is_spilled() {
    let mut dispatcher = Dispatcher::new(Bounds {
        fresh_per_endpoint: 2,
        fresh_bytes: 7,
        ..Bounds::default()
    });
    push(&mut dispatcher, job(1, 1));
    push(&mut dispatcher, job(1, 2));
    assert_eq!(
        spilled(&mut dispatcher, job(1, 3)),
        OwedReason::Spilled,
        "too many for one"
    );
    push(&mut dispatcher, job(2, 4));
    assert_eq!(
        spilled(&mut dispatcher, job(3, 5)),
        OwedReason::Spilled,
        "too many bytes in all"
    );
    assert_eq!(seqs(&mut dispatcher).len(), 3);
    push(&mut dispatcher, job(3, 6));
}

#[test]
fn a_closed_lane_takes_nothing_and_sends_nothing() {
    let mut dispatcher = dispatcher();
    push(&mut dispatcher, job(1, 1));
    dispatcher.set_gate(EndpointKey(1), AppKey(1), LaneGate::Closed);
    assert_eq!(seqs(&mut dispatcher), [] as [i64; 0]);
    assert_eq!(dispatcher.room(EndpointKey(1)), 0);
    let closed = Terms {
        gate: LaneGate::Closed,
        ..Terms::default()
    };
    let pushed = dispatcher.push(leased(job(1, 2)), closed);
    assert!(matches!(pushed, Pushed::Spill(_, OwedReason::Held)));
    assert_eq!(dispatcher.take_queued(EndpointKey(1)).len(), 1);
}

#[test]
fn a_probe_is_one_attempt_at_a_time() {
    let mut dispatcher = dispatcher();
    let probe = Terms {
        gate: LaneGate::Probe,
        ..Terms::default()
    };
    for seq in 1..=2 {
        assert!(matches!(
            dispatcher.push(leased(job(1, seq)), probe),
            Pushed::Queued
        ));
    }
    assert_eq!(seqs(&mut dispatcher), [1]);
    assert_eq!(dispatcher.room(EndpointKey(1)), 0);
}

#[test]
fn a_rate_spaces_the_requests() {
    let mut dispatcher = dispatcher();
    let slow = Terms {
        interval: Some(Duration::from_millis(100)),
        ..Terms::default()
    };
    for seq in 1..=3 {
        assert!(matches!(dispatcher.push(job(1, seq), slow), Pushed::Queued));
    }
    push(&mut dispatcher, job(2, 9));
    assert_eq!(
        seqs(&mut dispatcher),
        [1, 9],
        "another endpoint is not slowed down"
    );
    let second = dispatcher.next_wake_at().expect("it waits for its rate");
    assert_eq!(second, NOW + Duration::from_millis(100));
    assert!(dispatcher.next(second - Duration::from_micros(1)).is_none());
    assert_eq!(
        dispatcher.next(second).expect("its turn").delivery.seq,
        Seq(2)
    );
}

#[test]
fn an_application_rate_holds_over_all_its_endpoints() {
    let mut dispatcher = dispatcher();
    let slow = Terms {
        application_interval: Some(Duration::from_millis(100)),
        ..Terms::default()
    };
    for endpoint in 1..=3 {
        assert!(matches!(
            dispatcher.push(job(endpoint, endpoint), slow),
            Pushed::Queued
        ));
    }
    assert_eq!(seqs(&mut dispatcher), [1]);
    let later = dispatcher.next_wake_at().expect("the others wait");
    assert_eq!(
        dispatcher.next(later).expect("its turn").delivery.seq,
        Seq(2)
    );
    assert!(dispatcher.next(later).is_none(), "one at a time");
}

#[test]
fn near_the_bound_in_all_each_endpoint_keeps_its_share() {
    let mut dispatcher = Dispatcher::new(Bounds {
        in_flight: 8,
        ..Bounds::default()
    });
    for seq in 0..20 {
        push(&mut dispatcher, job(1, seq));
        push(&mut dispatcher, job(2, 100 + seq));
    }
    let sent = seqs(&mut dispatcher);
    let of_first = sent.iter().filter(|seq| **seq < 100).count();
    assert_eq!(of_first, sent.len() - of_first, "{sent:?}");
    push(&mut dispatcher, job(3, 900));
    assert_eq!(
        seqs(&mut dispatcher),
        [900],
        "a newcomer still finds a place"
    );
}

#[test]
fn laggards_leave_with_what_waits_behind_them() {
    let mut dispatcher = dispatcher();
    push(&mut dispatcher, keyed(1, 1, 7));
    push(&mut dispatcher, keyed(1, 2, 7));
    push(&mut dispatcher, keyed(1, 50, 7));
    push(&mut dispatcher, job(1, 60));
    let gone: Vec<_> = dispatcher
        .take_fresh_below(Seq(10))
        .iter()
        .map(|job| job.delivery.seq.0)
        .collect();
    assert_eq!(gone, [1, 2, 50]);
    assert_eq!(seqs(&mut dispatcher), [60]);
}

#[test]
fn lanes_without_work_are_forgotten() {
    let mut dispatcher = dispatcher();
    push(&mut dispatcher, job(1, 1));
    dispatcher.sweep(ShardSet::ALL);
    let only = dispatcher.next(NOW).expect("kept");
    finish(&mut dispatcher, &only);
    dispatcher.sweep(ShardSet::ALL);
    assert_eq!(dispatcher.lanes.len(), 0);
}

/// A step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Push { endpoint: i64, record: Option<i64> },
    Send,
    Settle(usize),
    Fail(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3i64, proptest::option::of(0..3i64))
            .prop_map(|(endpoint, record)| Step::Push { endpoint, record }),
        Just(Step::Send),
        any::<usize>().prop_map(Step::Settle),
        any::<usize>().prop_map(Step::Fail),
    ]
}

proptest! {
    /// Whatever happens, a job leaves once, a record has at most one in flight, and they leave in order.
    #[test]
    fn order_and_bounds_hold_in_any_run(steps in proptest::collection::vec(step(), 1..200)) {
        let mut dispatcher = dispatcher();
        let mut flying: Vec<Job> = Vec::new();
        let mut last: BTreeMap<(EndpointKey, i64), Seq> = BTreeMap::new();
        for (seq, step) in steps.into_iter().enumerate() {
            let seq = i64::try_from(seq).expect("small");
            match step {
                Step::Push { endpoint, record } => {
                    let job = Job { record, ..job(endpoint, seq) };
                    drop(dispatcher.push(job, Terms::default()));
                }
                Step::Send => flying.extend(dispatcher.next(NOW)),
                Step::Settle(place) if !flying.is_empty() => {
                    let job = flying.swap_remove(place % flying.len());
                    finish(&mut dispatcher, &job);
                }
                Step::Fail(place) if !flying.is_empty() => {
                    let job = flying.swap_remove(place % flying.len());
                    dispatcher.answered(job.delivery.endpoint, Pace::Struggling);
                    if let Some(record) = job.record {
                        dispatcher.owes(job.delivery.endpoint, job.delivery.app);
                        dispatcher.take_followers(job.delivery.endpoint, record);
                    }
                    dispatcher.deferred(job.delivery, job.standing);
                }
                Step::Settle(_) | Step::Fail(_) => {}
            }
            prop_assert_eq!(dispatcher.in_flight(), flying.len());
            for (place, job) in flying.iter().enumerate() {
                let Some(record) = job.record else { continue };
                let twin = flying[..place].iter().any(|other| {
                    other.record == Some(record) && other.delivery.endpoint == job.delivery.endpoint
                });
                prop_assert!(!twin, "two of one record in flight");
            }
            if let Some(job) = flying.last()
                && let Some(record) = job.record
            {
                let before = last.insert((job.delivery.endpoint, record), job.delivery.seq);
                prop_assert!(before.is_none_or(|before| before <= job.delivery.seq));
            }
        }
    }
}
