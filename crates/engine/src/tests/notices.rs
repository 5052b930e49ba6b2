//! Notices, in simulated time.

use watchfire_domain::id::{NoticeId, OrganizationId};
use watchfire_domain::notice::NoticeKind;
use watchfire_store::{AppKey, Change, InboxLine, InboxPlace, NewNotice, Order, Range, Reading};
use watchfire_testkit::SeededEntropy;

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
    let endpoint = harness.endpoint(app, "down", &[]).await;
    listening(&harness).await;
    let now = harness.now();
    let snapshot = harness.engine.application_by_key(app).await.expect("read");
    let snapshot = snapshot.expect("there");
    let endpoint_id = snapshot.endpoints[0].stored.endpoint.identity.id;
    // What stands on disk when the process dies between an attempt's record and its webhook.
    let notice = NewNotice {
        id: NoticeId::new(now, &SeededEntropy::new(9)),
        org: org(),
        at: now,
        kind: NoticeKind::AttemptExhausted,
        data: r#"{"msgId":"msg_2"}"#.to_owned(),
        webhook: true,
        inbox: Some(InboxPlace {
            application: snapshot.stored.application.id,
            endpoint,
            endpoint_id,
            mail_at: None,
        }),
    };
    let harness = harness
        .die_after_writing(Change::Tell(notice.clone()))
        .await;
    let expect = "message.attempt.exhausted";
    harness.until(async || kinds(&harness) == [expect]).await;
    assert_eq!(told(&harness)[0]["data"]["msgId"], "msg_2");
    let lines = inbox(&harness).await;
    assert_eq!(
        (lines.len(), lines[0].id, lines[0].count),
        (1, notice.id, 1)
    );
    // It is told once: nothing of it is left to tell after another start.
    let harness = harness.die_and_restart().await;
    let untold = harness.engine.store().untold(10).await.expect("read");
    assert!(untold.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_storm_makes_one_line() {
    const MESSAGES: usize = 100;
    let harness = Harness::start().await;
    // A contract that gives up at once and never suspends.
    let app = harness.application_of("website-defender").await;
    let endpoint = harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(500));
    for _ in 0..MESSAGES {
        harness.post(app, "auto_ban", None).await;
    }
    harness
        .until(async || harness.attempts(endpoint).await.len() == MESSAGES)
        .await;
    let lines = inbox(&harness).await;
    let lines: Vec<_> = lines.iter().map(|line| (line.kind, line.count)).collect();
    assert_eq!(lines, [(NoticeKind::AttemptExhausted, 100)]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_makes_a_line() {
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
