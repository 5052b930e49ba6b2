//! What a receiver answers has the consequences the API shows.

use serde_json::{Value, json};
use watchfire_domain::time::Timestamp;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Setup, eventually};

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    Timestamp::parse(text).expect("RFC 3339")
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::start(Script::silence()).await;
    let moved = Reply::status(307).header("Location", &elsewhere.url("/"));
    let receiver = Receiver::start(Script::replies([moved])).await;
    let setup = Setup::new().flag("--retry-schedule", "");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let message = app.send(&json!({})).await;
    let attempt = eventually("the attempt is recorded", async || {
        app.attempts_at(&endpoint).await.into_iter().next()
    })
    .await;
    assert_eq!(attempt["responseStatusCode"], 307);
    assert_eq!(attempt["statusText"], "fail");
    let destinations = app.destinations_of(&message).await;
    assert_eq!(destinations[0]["statusText"], "fail");
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_messages_to_it_say_so() {
    let receiver = Receiver::start(Script::statuses([410])).await;
    let server = Setup::new().retrying_fast().start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    app.send(&json!({ "n": 1 })).await;
    let disabled = eventually("the endpoint is disabled", async || {
        let now = app.endpoint_now(&endpoint).await;
        (now["health"]["state"] == "disabled").then_some(now)
    })
    .await;
    assert_eq!(disabled["disabled"], true);
    assert!(disabled["health"]["since"].is_string(), "{disabled}");
    let later = app.send(&json!({ "n": 2 })).await;
    let destinations = app.destinations_of(&later).await;
    assert_eq!(destinations.len(), 1, "{destinations:#?}");
    // Sending stopped: the receiver's script has room for one request only.
    drop(server);
    drop(receiver);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let busy = Reply::status(503).header("Retry-After", "3600");
    let receiver = Receiver::start(Script::replies([busy])).await;
    let server = Setup::new().retrying_fast().start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let message = app.send(&json!({})).await;
    let destination = eventually("the retry is scheduled", async || {
        let all = app.destinations_of(&message).await;
        let one = all.into_iter().next()?;
        one["nextAttempt"].is_string().then_some(one)
    })
    .await;
    let attempt = &app.attempts_at(&endpoint).await[0];
    assert_eq!(destination["statusText"], "pending", "{destination}");
    let asked = std::time::Duration::from_hours(1);
    assert!(time(&destination["nextAttempt"]) >= time(&attempt["timestamp"]) + asked);
    assert_eq!(attempt["nextAttemptAt"], destination["nextAttempt"]);
}

#[tokio::test]
async fn a_delivery_that_no_attempt_settles_is_given_up_in_the_open() {
    let receiver = Receiver::start(Script::statuses([500, 500, 500])).await;
    let setup = Setup::new().flag("--retry-schedule", "10ms,10ms");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    app.endpoint(&receiver.url("/")).await;
    let message = app.send(&json!({})).await;
    eventually("the delivery is exhausted", async || {
        let all = app.destinations_of(&message).await;
        (all.first()?["statusText"] == "fail").then_some(())
    })
    .await;
    let attempts = app.attempts_of(&message).await;
    let numbers: Vec<_> = attempts.iter().map(|one| &one["attemptNumber"]).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(attempts[0].get("nextAttemptAt"), None);
}
