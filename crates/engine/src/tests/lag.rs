//! How long deliveries take, as the roll-ups see it.

use std::time::Duration;

use watchfire_domain::time::Timestamp;
use watchfire_store::{ActivityCounts, AppKey, Owner, Step};

use super::harness::{Behavior, Harness};

async fn counts(harness: &Harness, app: AppKey) -> ActivityCounts {
    let span = (Timestamp::EPOCH, Timestamp::MAX);
    let store = harness.engine.store();
    let points = store
        .activity(&Owner::Application(app), span, Step::Hour)
        .await;
    let mut counts = ActivityCounts::default();
    for point in points.expect("read") {
        counts.merge(&point.counts);
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn the_lag_runs_from_acceptance_to_the_answer_of_the_last_attempt() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "flaky", &[]).await;
    harness.script("flaky", [Behavior::Status(500)]);
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let counts = counts(&harness, app).await;
    assert_eq!((counts.accepted, counts.delivered), (1, 1));
    assert_eq!(counts.attempts_failed, 1);
    let longest = counts.lag.quantile(1.0).expect("there is one");
    assert!(
        longest >= Duration::from_secs(2),
        "a retry waits: {longest:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_time_it_was_given_is_no_lag() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "fine", &[]).await;
    let later = harness.now() + Duration::from_hours(2);
    let seq = harness.post_at(app, later).await;
    harness.until_settled(app, seq).await;
    let counts = counts(&harness, app).await;
    let longest = counts.lag.quantile(1.0).expect("there is one");
    assert!(longest < Duration::from_mins(1), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_person_sends_again_has_no_lag() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "fine", &[]).await;
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    tokio::time::sleep(Duration::from_hours(24)).await;
    let resent = harness.engine.resend(app, endpoint, seq).await;
    resent.expect("asked for");
    harness
        .until(async || harness.attempts(endpoint).await.len() == 2)
        .await;
    let counts = counts(&harness, app).await;
    assert_eq!((counts.delivered, counts.lag.total()), (2, 1));
}
