//! Nobody waits for a stranger: endpoints that hang delay nobody else.

use serde_json::json;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Setup, eventually};

/// Endpoints that never answer.
const HANGING: usize = 100;
/// Messages to each endpoint.
const MESSAGES: usize = 50;

#[tokio::test]
async fn healthy_endpoints_are_served_while_a_hundred_others_hang() {
    let hanging = Receiver::start(Script::always(Reply::hang())).await;
    let healthy = Receiver::start(Script::always(Reply::status(204))).await;
    // No attempt at a hanging endpoint ends while this test runs.
    let server = Setup::new().flag("--attempt-timeout", "2m").start().await;
    let crowded = Application::create(server.api()).await;
    let mut strangers = Vec::new();
    for number in 0..HANGING {
        strangers.push(crowded.endpoint(&hanging.url(&format!("/{number}"))).await);
    }
    crowded.endpoint(&healthy.url("/neighbor")).await;
    let other = Application::create(server.api()).await;
    other.endpoint(&healthy.url("/elsewhere")).await;

    for number in 0..MESSAGES {
        crowded.send(&json!({ "n": number })).await;
        other.send(&json!({ "n": number })).await;
    }
    let requests = healthy.wait_for_count(2 * MESSAGES).await;
    for path in ["/neighbor", "/elsewhere"] {
        let here = requests.iter().filter(|request| request.path() == path);
        assert_eq!(here.count(), MESSAGES, "{path}");
    }

    eventually("all hanging endpoints are being tried", async || {
        (hanging.most_at_once() >= HANGING).then_some(())
    })
    .await;
    for endpoint in &strangers {
        assert!(
            crowded.attempts_at(endpoint).await.is_empty(),
            "an attempt has ended"
        );
    }
    server.kill().await;
}

#[tokio::test]
async fn the_api_answers_while_endpoints_hang() {
    let hanging = Receiver::start(Script::always(Reply::hang())).await;
    let server = Setup::new().flag("--attempt-timeout", "2m").start().await;
    let app = Application::create(server.api()).await;
    app.endpoint(&hanging.url("/")).await;
    let message = app.send(&json!({})).await;
    hanging.wait_for_count(1).await;
    let destinations = app.destinations_of(&message).await;
    assert!(
        ["pending", "sending"].contains(&destinations[0]["statusText"].as_str().unwrap_or("")),
        "{destinations:#?}"
    );
    server.kill().await;
}
