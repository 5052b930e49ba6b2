//! The engine as a whole: the embedded store in memory, a scripted transport, and time that passes
//! as fast as nothing is left to do.

mod claims;
mod cluster;
mod harness;
mod lag;
mod looking;
mod mail;
mod notices;
mod records;
mod sent;
mod tasks;

use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Settlement};
use watchfire_domain::health::State;
use watchfire_domain::outcome::{Cause, Outcome, SkipReason};
use watchfire_store::DeliveryStatus;

use self::harness::{Behavior, Harness};

#[tokio::test(start_paused = true)]
async fn a_message_reaches_every_endpoint_that_subscribed() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let all = harness.endpoint(app, "all", &[]).await;
    let threats = harness.endpoint(app, "threats", &["threat.*"]).await;
    let logins = harness.endpoint(app, "logins", &["login.failed"]).await;
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    for (endpoint, expected) in [(all, 1), (threats, 1), (logins, 0)] {
        assert_eq!(
            harness.attempts(endpoint).await.len(),
            expected,
            "{endpoint:?}"
        );
    }
    let sent = harness.sent_to("all");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body, harness::PAYLOAD);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_under_the_same_id_until_it_succeeds() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "flaky", &[]).await;
    harness.script(
        "flaky",
        [
            Behavior::Status(500),
            Behavior::Refuses,
            Behavior::Status(204),
        ],
    );
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let attempts = harness.attempts(endpoint).await;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    let refused = Outcome::Refused {
        status: 500,
        retry_after: None,
    };
    let unreachable = Outcome::Unreachable {
        cause: Cause::ConnectionRefused,
    };
    assert_eq!(
        outcomes,
        [refused, unreachable, Outcome::Accepted { status: 204 }]
    );
    assert_eq!(
        attempts
            .iter()
            .map(|attempt| attempt.number)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    for pair in attempts.windows(2) {
        let AfterAttempt::Retry { due_at } = pair[0].next else {
            panic!("it was settled early");
        };
        assert!(
            pair[1].attempted_at >= due_at,
            "it was tried before its time"
        );
    }
    let ids: std::collections::BTreeSet<_> = harness
        .sent_to("flaky")
        .into_iter()
        .map(|sent| sent.id)
        .collect();
    assert_eq!(ids.len(), 1, "every attempt carries the same id");
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_our_own_is_not_charged_to_the_endpoint() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "innocent", &[]).await;
    let lacks = [Behavior::Exhausts; 2 * harness::ATTEMPTS_MAX];
    let answers = lacks.into_iter().chain([Behavior::Status(204)]);
    harness.script("innocent", answers);
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let attempts = harness.attempts(endpoint).await;
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1], "what was never sent is no attempt");
    assert_eq!(harness.health(app, endpoint).await.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_retry_a_delivery_is_exhausted_and_says_so() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(400));
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let attempts = harness.attempts(endpoint).await;
    assert_eq!(attempts.len(), harness::ATTEMPTS_MAX);
    let last = attempts.last().expect("there are some");
    assert_eq!(
        last.next,
        AfterAttempt::Settled {
            settlement: Settlement::Exhausted
        }
    );
    assert_eq!(
        harness.status(app, seq, endpoint).await,
        DeliveryStatus::Failed
    );
}

#[tokio::test(start_paused = true)]
async fn a_resend_begins_a_new_series() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(400));
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    harness.always("down", Behavior::Status(200));
    harness
        .engine
        .resend(app, endpoint, seq)
        .await
        .expect("stored");
    harness
        .until(async || harness.status(app, seq, endpoint).await == DeliveryStatus::Delivered)
        .await;
    let attempts = harness.attempts(endpoint).await;
    let last = attempts.last().expect("there are some");
    assert_eq!(last.number, 1, "the series began again");
    assert_eq!(last.trigger, watchfire_domain::attempt::Trigger::Manual);
}

#[tokio::test(start_paused = true)]
async fn gone_disables_the_endpoint_and_messages_wait_until_it_is_activated() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "gone", &[]).await;
    harness.script("gone", [Behavior::Status(410)]);
    let first = harness.post(app, "threat.created", None).await;
    harness
        .until(async || harness.health(app, endpoint).await.state() == State::Disabled)
        .await;
    let second = harness.post(app, "threat.created", None).await;
    harness
        .until(async || harness.status(app, second, endpoint).await == DeliveryStatus::Pending)
        .await;
    assert_eq!(harness.sent_to("gone").len(), 1);
    harness.activate(endpoint).await;
    harness.until_settled(app, first).await;
    harness.until_settled(app, second).await;
    assert_eq!(
        harness.status(app, second, endpoint).await,
        DeliveryStatus::Delivered
    );
}

#[tokio::test(start_paused = true)]
async fn messages_to_an_endpoint_that_was_switched_off_are_skipped_with_the_reason() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "flaky", &[]).await;
    harness.always("flaky", Behavior::Status(500));
    let seq = harness.post(app, "threat.created", None).await;
    harness
        .until(async || harness.status(app, seq, endpoint).await == DeliveryStatus::Pending)
        .await;
    harness.switch_off(app, endpoint).await;
    harness.until_settled(app, seq).await;
    let attempts = harness.attempts(endpoint).await;
    let last = attempts.last().expect("there are some");
    assert_eq!(
        last.outcome,
        Outcome::Skipped {
            reason: SkipReason::EndpointDisabled
        }
    );
}

#[tokio::test(start_paused = true)]
async fn messages_about_one_record_arrive_in_order_whatever_fails() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "flaky", &[]).await;
    harness.fail_at_random("flaky", 40);
    let mut seqs = Vec::new();
    for number in 0..60 {
        let record = format!("record-{}", number % 3);
        seqs.push(harness.post(app, "threat.updated", Some(&record)).await);
    }
    for seq in seqs {
        harness.until_settled(app, seq).await;
    }
    let mut last = std::collections::BTreeMap::<String, u64>::new();
    for sent in harness.sent_to("flaky") {
        let record = sent.record.expect("all are about a record");
        let before = last.insert(record, sent.number);
        assert!(
            before.is_none_or(|before| before <= sent.number),
            "{before:?} before {}",
            sent.number
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_endpoint_delays_no_other() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "hangs", &[]).await;
    let healthy = harness.endpoint(app, "healthy", &[]).await;
    harness.always("hangs", Behavior::Hangs);
    let mut seqs = Vec::new();
    for _ in 0..200 {
        seqs.push(harness.post(app, "threat.created", None).await);
    }
    for seq in seqs {
        let delivered =
            async || harness.status(app, seq, healthy).await == DeliveryStatus::Delivered;
        harness.until(delivered).await;
    }
    let waiting = harness.sent_to("hangs").len();
    assert!(
        waiting < 200,
        "{waiting} requests to an endpoint that never answers"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_for_later_is_not_sent_before() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "healthy", &[]).await;
    let at = harness.now() + Duration::from_hours(1);
    let seq = harness.post_at(app, at).await;
    harness.until_settled(app, seq).await;
    let attempts = harness.attempts(endpoint).await;
    assert!(attempts[0].attempted_at >= at);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.throttled_endpoint(app, "slow", 2).await;
    let mut seqs = Vec::new();
    for _ in 0..10 {
        seqs.push(harness.post(app, "threat.created", None).await);
    }
    for seq in seqs {
        harness.until_settled(app, seq).await;
    }
    let attempts = harness.attempts(endpoint).await;
    let first = attempts.first().expect("sent").attempted_at;
    let last = attempts.last().expect("sent").attempted_at;
    assert!(
        last.since(first) >= Duration::from_millis(4_500),
        "{:?}",
        last.since(first)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_before_a_stop_is_delivered_after_it() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hangs", &[]).await;
    harness.always("hangs", Behavior::Hangs);
    let mut seqs = Vec::new();
    for _ in 0..20 {
        seqs.push(harness.post(app, "threat.created", Some("one")).await);
    }
    let harness = harness.restart().await;
    harness.always("hangs", Behavior::Status(200));
    for seq in seqs {
        harness.until_settled(app, seq).await;
        assert_eq!(
            harness.status(app, seq, endpoint).await,
            DeliveryStatus::Delivered
        );
    }
    let attempts = harness.attempts(endpoint).await;
    assert_eq!(attempts.len(), 20, "an interrupted attempt does not count");
}

#[tokio::test(start_paused = true)]
async fn what_was_in_memory_when_the_process_died_is_delivered_after_the_restart() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hangs", &[]).await;
    harness.always("hangs", Behavior::Hangs);
    let mut seqs = Vec::new();
    for _ in 0..20 {
        seqs.push(harness.post(app, "threat.created", None).await);
    }
    let harness = harness.die_and_restart().await;
    harness.always("hangs", Behavior::Status(200));
    for seq in seqs {
        harness.until_settled(app, seq).await;
        assert_eq!(
            harness.status(app, seq, endpoint).await,
            DeliveryStatus::Delivered
        );
    }
}
