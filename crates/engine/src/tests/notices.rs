//! Notices, in simulated time.

use watchfire_domain::id::OrganizationId;
use watchfire_store::{AppKey, InboxLine, Order, Range, Reading};

use super::harness::{Behavior, Harness};
use crate::service::notices;

fn org() -> OrganizationId {
    "org_test".parse().expect("valid")
}

/// The application that gets operational webhooks, with one endpoint.
async fn listening(harness: &Harness) -> AppKey {
    let found = notices::operational(&harness.engine, &org()).await;
    let app = found.expect("made").stored.key;
    harness.endpoint(app, "ops", &[]).await;
    app
}

async fn inbox(harness: &Harness) -> Vec<InboxLine> {
    let range = Range::from_start(Order::Ascending, 100);
    let lines = notices::inbox(&harness.engine, &org(), Reading::Unread, range).await;
    lines.expect("read")
}

/// What the operational endpoint was sent, as JSON.
fn told(harness: &Harness) -> Vec<serde_json::Value> {
    let sent = harness.sent_to("ops").into_iter();
    sent.map(|sent| serde_json::from_str(&sent.body).expect("JSON"))
        .collect()
}

fn kinds(harness: &Harness) -> Vec<String> {
    let told = told(harness).into_iter();
    told.map(|told| told["type"].as_str().expect("a text").to_owned())
        .filter(|kind| kind.starts_with("message."))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_fourth_failure_is_told_and_so_is_the_success_after_it() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    listening(&harness).await;
    harness.endpoint(app, "flaky", &[]).await;
    harness.script("flaky", [Behavior::Status(400); 5]);
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let expect = [
        "message.attempt.failing",
        "message.attempt.failing",
        "message.attempt.recovered",
    ];
    harness
        .until(async || kinds(&harness).len() == expect.len())
        .await;
    assert_eq!(kinds(&harness), expect);
    let failing = told(&harness)
        .into_iter()
        .find(|told| told["type"] == "message.attempt.failing")
        .expect("told");
    let members: Vec<_> = failing["data"]
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(members, ["appId", "endpointId", "lastAttempt", "msgId"]);
    assert_eq!(failing["data"]["lastAttempt"]["responseStatusCode"], 400);
}

#[tokio::test(start_paused = true)]
async fn three_failures_are_nothing_to_tell() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    listening(&harness).await;
    harness.endpoint(app, "flaky", &[]).await;
    harness.script("flaky", [Behavior::Status(400); 3]);
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    assert!(inbox(&harness).await.is_empty());
    assert!(kinds(&harness).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_message_is_told_even_after_a_crash() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(400));
    // Nobody can be told while the process dies: the operational endpoint hangs.
    listening(&harness).await;
    harness.always("ops", Behavior::Hangs);
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let harness = harness.die_and_restart().await;
    harness
        .until(async || kinds(&harness).contains(&"message.attempt.exhausted".to_owned()))
        .await;
    let exhausted = inbox(&harness).await;
    let line = exhausted
        .iter()
        .find(|line| line.kind.event_type() == "message.attempt.exhausted");
    assert_eq!(line.expect("a line").count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_storm_makes_one_line() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(410));
    harness.post(app, "threat.created", None).await;
    harness
        .until(async || !inbox(&harness).await.is_empty())
        .await;
    let lines = inbox(&harness).await;
    let kinds: Vec<_> = lines.iter().map(|line| line.kind.event_type()).collect();
    assert_eq!(kinds, ["endpoint.disabled"]);
}

#[tokio::test(start_paused = true)]
async fn an_operational_endpoint_that_fails_makes_a_line_and_no_webhook() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    listening(&harness).await;
    harness.always("ops", Behavior::Status(400));
    harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(400));
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    harness
        .until(async || {
            let lines = inbox(&harness).await;
            let about = lines.iter().filter(|line| {
                line.kind.event_type() == "message.attempt.exhausted" && line.count > 0
            });
            about.count() == 2
        })
        .await;
    let about_itself = told(&harness).into_iter().filter(|told| {
        let endpoint = told["data"]["appUid"].as_str();
        endpoint == Some("org_test")
    });
    assert_eq!(about_itself.count(), 0);
}
