//! A record that is stuck, in simulated time.

use watchfire_domain::attempt::{AfterAttempt, Settlement};
use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_domain::outcome::{Outcome, SkipReason};
use watchfire_store::{
    AppKey, DeliveryStatus, EndpointKey, EndpointRef, MessageFilter, MessageRef, Order, Range, Seq,
};

use super::harness::{Behavior, Harness};
use crate::service::Error;
use crate::service::cancel;
use crate::service::heads::{self, HeadInput};

/// Attempts after which the next is hours away.
const REFUSED: usize = 5;
const RECORD: &str = "threat-1";

fn input(message: Option<MessageId>) -> HeadInput {
    HeadInput {
        record_key: RECORD.to_owned(),
        message,
    }
}

/// Three messages about one record; the first was refused until it rests for hours. From now on
/// everything is accepted.
async fn stuck(harness: &Harness) -> (AppKey, EndpointKey, Vec<Seq>) {
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    harness.always("hook", Behavior::Status(500));
    let mut seqs = Vec::new();
    for _ in 0..3 {
        seqs.push(harness.post(app, "threat.updated", Some(RECORD)).await);
    }
    harness
        .until(async || harness.attempts(endpoint).await.len() >= REFUSED)
        .await;
    harness.always("hook", Behavior::Status(200));
    (app, endpoint, seqs)
}

/// The numbers of the messages that were sent, in their order.
fn numbers(harness: &Harness) -> Vec<u64> {
    let sent = harness.sent_to("hook");
    sent.iter().map(|sent| sent.number).collect()
}

async fn skip(harness: &Harness, app: AppKey, input: &HeadInput) -> Result<MessageId, Error> {
    let (snapshot, reference) = named(harness, app).await;
    let head = heads::skip(&harness.engine, &snapshot, &reference, input).await;
    head.map(|head| head.message)
}

async fn retry(harness: &Harness, app: AppKey, input: &HeadInput) -> Result<MessageId, Error> {
    let (snapshot, reference) = named(harness, app).await;
    let head = heads::retry(&harness.engine, &snapshot, &reference, input).await;
    head.map(|head| head.message)
}

/// The application and its one endpoint.
async fn named(harness: &Harness, app: AppKey) -> (std::sync::Arc<crate::Snapshot>, EndpointRef) {
    let snapshot = harness.engine.application_by_key(app).await.expect("read");
    let snapshot = snapshot.expect("there");
    let id = snapshot.endpoints[0].stored.endpoint.identity.id;
    (snapshot, EndpointRef::Id(id))
}

#[tokio::test(start_paused = true)]
async fn a_skipped_head_lets_its_record_go_on() {
    let harness = Harness::start().await;
    let (app, endpoint, seqs) = stuck(&harness).await;
    let refused = harness.sent_to("hook").len();
    let first = harness.sent_to("hook")[0].id;
    assert_eq!(
        skip(&harness, app, &input(Some(first)))
            .await
            .expect("skipped"),
        first
    );
    for seq in &seqs[1..] {
        harness.until_settled(app, *seq).await;
    }
    assert_eq!(numbers(&harness), [vec![0; refused], vec![1, 2]].concat());
    assert_eq!(
        harness.status(app, seqs[0], endpoint).await,
        DeliveryStatus::Failed
    );
    let attempts = harness.attempts(endpoint).await;
    let skipped = attempts.iter().find(|attempt| {
        let reason = SkipReason::ByOperator;
        attempt.outcome == Outcome::Skipped { reason }
    });
    let skipped = skipped.expect("it stands in the history");
    let settlement = Settlement::Skipped;
    assert_eq!(skipped.next, AfterAttempt::Settled { settlement });
    assert_eq!(skipped.number as usize, refused + 1);
}

#[tokio::test(start_paused = true)]
async fn a_skip_survives_a_crash() {
    let harness = Harness::start().await;
    let (app, endpoint, seqs) = stuck(&harness).await;
    skip(&harness, app, &input(None)).await.expect("skipped");
    let harness = harness.die_and_restart().await;
    for seq in &seqs[1..] {
        harness.until_settled(app, *seq).await;
    }
    assert!(harness.sent_to("hook").iter().all(|sent| sent.number > 0));
    assert_eq!(
        harness.status(app, seqs[0], endpoint).await,
        DeliveryStatus::Failed
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_can_be_tried_at_once() {
    let harness = Harness::start().await;
    let (app, endpoint, seqs) = stuck(&harness).await;
    let refused = harness.sent_to("hook").len();
    let before = harness.now();
    retry(&harness, app, &input(None)).await.expect("hastened");
    harness.until_settled(app, seqs[2]).await;
    assert_eq!(
        numbers(&harness),
        [vec![0; refused + 1], vec![1, 2]].concat()
    );
    let attempts = harness.attempts(endpoint).await;
    let next = attempts
        .iter()
        .find(|attempt| attempt.number as usize == refused + 1);
    let waited = next.expect("tried again").attempted_at.since(before);
    assert!(waited.as_secs() < 60, "{waited:?}: the schedule says 5 h");
}

#[tokio::test(start_paused = true)]
async fn only_the_message_that_was_named_is_skipped() {
    let harness = Harness::start().await;
    let (app, _, seqs) = stuck(&harness).await;
    let first = harness.sent_to("hook")[0].id;
    let refused = harness.sent_to("hook").len();
    skip(&harness, app, &input(Some(first)))
        .await
        .expect("skipped");
    // The second person pressed the button a moment later.
    let again = skip(&harness, app, &input(Some(first))).await;
    assert!(
        matches!(
            again,
            Err(Error::Contended | Error::NotFound | Error::InFlight)
        ),
        "{again:?}"
    );
    harness.until_settled(app, seqs[2]).await;
    assert_eq!(harness.sent_to("hook").len(), refused + 2);
    let nothing = async || {
        let nothing = skip(&harness, app, &input(None)).await;
        matches!(nothing, Err(Error::NotFound))
    };
    harness.until(nothing).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_being_sent_is_not_skipped() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "hook", &[]).await;
    harness.always("hook", Behavior::Hangs);
    harness.post(app, "threat.updated", Some(RECORD)).await;
    harness
        .until(async || harness.sent_to("hook").len() == 1)
        .await;
    let refused = skip(&harness, app, &input(None)).await;
    assert!(matches!(refused, Err(Error::InFlight)), "{refused:?}");
    let refused = retry(&harness, app, &input(None)).await;
    assert!(matches!(refused, Err(Error::InFlight)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_memory_can_be_skipped_too() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    harness.always("hook", Behavior::Hangs);
    let window = limit::CONCURRENCY_PER_ENDPOINT_START;
    for _ in 0..window {
        harness.post(app, "threat.created", None).await;
    }
    let seq = harness.post(app, "threat.updated", Some(RECORD)).await;
    let sent = || harness.sent_to("hook");
    harness.until(async || sent().len() == window).await;
    skip(&harness, app, &input(None)).await.expect("skipped");
    let status = harness.status(app, seq, endpoint).await;
    assert_eq!(status, DeliveryStatus::Failed);
    assert!(sent().iter().all(|sent| sent.record.is_none()));
}

async fn cancel(harness: &Harness, app: AppKey, seq: Seq) -> Result<(), Error> {
    let (snapshot, endpoint) = named(harness, app).await;
    let (any, newest) = (
        MessageFilter::default(),
        Range::from_start(Order::Descending, 10),
    );
    let messages = harness.store.messages(app, &any, newest).await;
    let messages = messages.expect("read");
    let mut meant = messages.iter().filter(|message| message.seq == seq);
    let message = MessageRef::Id(meant.next().expect("it is stored").message.id);
    cancel::delivery(&harness.engine, &snapshot, &message, &endpoint).await
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_delivery_is_not_sent_and_lets_its_record_go_on() {
    let harness = Harness::start().await;
    let (app, endpoint, seqs) = stuck(&harness).await;
    let refused = harness.sent_to("hook").len();
    cancel(&harness, app, seqs[0]).await.expect("cancelled");
    for seq in &seqs[1..] {
        harness.until_settled(app, *seq).await;
    }
    assert_eq!(numbers(&harness)[refused..], [1, 2]);
    let status = harness.status(app, seqs[0], endpoint).await;
    assert_eq!(status, DeliveryStatus::Cancelled);
    for seq in &seqs {
        let ended = cancel(&harness, app, *seq).await;
        assert!(matches!(ended, Err(Error::Ended)), "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_not_cancelled() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "hook", &[]).await;
    harness.always("hook", Behavior::Hangs);
    let seq = harness.post(app, "threat.updated", None).await;
    harness
        .until(async || harness.sent_to("hook").len() == 1)
        .await;
    let refused = cancel(&harness, app, seq).await;
    assert!(matches!(refused, Err(Error::InFlight)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_in_memory_can_be_cancelled() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.throttled_endpoint(app, "hook", 1).await;
    let mut seqs = Vec::new();
    for _ in 0..3 {
        seqs.push(harness.post(app, "threat.updated", None).await);
    }
    harness
        .until(async || !harness.sent_to("hook").is_empty())
        .await;
    cancel(&harness, app, seqs[2]).await.expect("cancelled");
    for seq in &seqs {
        harness.until_settled(app, *seq).await;
    }
    assert_eq!(numbers(&harness), [0, 1]);
    let status = harness.status(app, seqs[2], endpoint).await;
    assert_eq!(status, DeliveryStatus::Cancelled);
}
