//! Attempts and deliveries.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Script};

use super::harness::Server;

/// A server with one endpoint and one message whose first attempt has ended.
async fn with_attempt(reply: Reply) -> (Server, String) {
    let server = Server::with(Script::always(reply)).await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/hook","uid":"main"}"#)
        .await;
    let body = r#"{"eventType":"threat.created","eventId":"e1","payload":{"a":1}}"#;
    server.message("acme", body).await;
    server.until_attempted("acme", "e1", 1).await;
    let attempts = server.ask("GET /app/acme/attempt/msg/e1", "").await;
    let id = attempts.text("/data/0/id");
    (server, id)
}

#[tokio::test]
async fn a_delivery_that_was_accepted_is_in_every_list() {
    let reply = Reply::status(200).header("x-request", "r1").body("thanks");
    let (mut server, attempt) = with_attempt(reply).await;
    server.show("GET /app/acme/attempt/msg/e1", "").await;
    server.show("GET /app/acme/attempt/endpoint/main", "").await;
    server
        .show(&format!("GET /app/acme/msg/e1/attempt/{attempt}"), "")
        .await;
    server.show("GET /app/acme/msg/e1/endpoint", "").await;
    server.show("GET /app/acme/endpoint/main/msg", "").await;
    server.show("GET /app/acme/endpoint/main/stats", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_refused_delivery_is_tried_again_later() {
    let (mut server, _) = with_attempt(Reply::status(503).body("busy")).await;
    server.show("GET /app/acme/attempt/msg/e1", "").await;
    server.show("GET /app/acme/msg/e1/endpoint", "").await;
    server
        .show("GET /app/acme/endpoint/main/msg?with_content=false", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn an_attempt_without_an_answer_says_why() {
    let (mut server, _) = with_attempt(Reply::close()).await;
    server.show("GET /app/acme/attempt/msg/e1", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn what_a_receiver_answered_can_be_removed() {
    let (mut server, attempt) = with_attempt(Reply::status(200).body("secret")).await;
    let path = format!("/app/acme/msg/e1/attempt/{attempt}");
    server.show(&format!("DELETE {path}/content"), "").await;
    server.show(&format!("GET {path}"), "").await;
    server
        .show("GET /app/acme/attempt/msg/e1?with_content=false", "")
        .await;
    let other = "atmpt_000000000000000000000000000";
    server
        .show(&format!("GET /app/acme/msg/e1/attempt/{other}"), "")
        .await;
    server
        .show(
            &format!("DELETE /app/acme/msg/e1/attempt/{other}/content"),
            "",
        )
        .await;
    server
        .show("GET /app/acme/msg/e1/attempt/nonsense", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn attempts_are_filtered() {
    let (server, _) = with_attempt(Reply::status(503)).await;
    let found = async |query: &str| {
        let mut counts = Vec::new();
        for list in ["msg/e1", "endpoint/main"] {
            let answer = server
                .ask(&format!("GET /app/acme/attempt/{list}?{query}"), "")
                .await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            counts.push(answer.json()["data"].as_array().map_or(0, Vec::len));
        }
        assert_eq!(counts[0], counts[1], "{query}");
        counts[0] == 1
    };
    for query in [
        "status=2",
        "status_code_class=500",
        "event_types=threat.created",
    ] {
        assert!(found(query).await, "{query}");
    }
    for query in [
        "status=0",
        "status_code_class=200",
        "status_code_class=0",
        "event_types=x",
        "channel=a",
    ] {
        assert!(!found(query).await, "{query}");
    }
    let of = async |endpoint: &str| {
        let line = format!("GET /app/acme/attempt/msg/e1?endpoint_id={endpoint}");
        server.ask(&line, "").await
    };
    assert_eq!(
        of("main").await.json()["data"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(of("nobody").await.status, StatusCode::NOT_FOUND);
    for query in [
        "status=5",
        "status=x",
        "status_code_class=600",
        "with_content=maybe",
    ] {
        let answer = server
            .ask(&format!("GET /app/acme/attempt/msg/e1?{query}"), "")
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_message_is_sent_again_on_request() {
    let (mut server, _) = with_attempt(Reply::status(200)).await;
    server
        .show("POST /app/acme/msg/e1/endpoint/main/resend", "")
        .await;
    server.until_attempted("acme", "e1", 2).await;
    let again = server.ask("GET /app/acme/attempt/msg/e1", "").await.json();
    let manual = |attempt: &&Value| attempt["triggerType"] == 1;
    assert_eq!(
        again["data"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(manual)
            .count(),
        1
    );
    server
        .show("POST /app/acme/msg/nobody/endpoint/main/resend", "")
        .await;
    server
        .show("POST /app/acme/msg/e1/endpoint/nobody/resend", "")
        .await;
    server.ask("DELETE /app/acme/msg/e1/content", "").await;
    server
        .show("POST /app/acme/msg/e1/endpoint/main/resend", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn older_paths_answer_alike() {
    let (server, _) = with_attempt(Reply::status(200)).await;
    let now = server.ask("GET /app/acme/attempt/msg/e1", "").await.json();
    for path in ["msg/e1/attempt", "msg/e1/endpoint/main/attempt"] {
        let older = server
            .ask(&format!("GET /app/acme/{path}"), "")
            .await
            .json();
        assert_eq!(older, now, "{path}");
    }
}

#[tokio::test]
async fn attempts_at_a_deleted_endpoint_are_still_listed() {
    let (server, attempt) = with_attempt(Reply::status(200)).await;
    let before = server.ask("GET /app/acme/attempt/msg/e1", "").await.json();
    server.ask("DELETE /app/acme/endpoint/main", "").await;
    let after = server.ask("GET /app/acme/attempt/msg/e1", "").await.json();
    assert_eq!(after, before);
    let one = server
        .ask(&format!("GET /app/acme/msg/e1/attempt/{attempt}"), "")
        .await;
    assert_eq!(one.status, StatusCode::OK);
}

#[tokio::test]
async fn an_example_goes_to_one_endpoint_only() {
    let mut server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint(
            "acme",
            r#"{"url":"https://example.com/a","uid":"a","eventTypes":[]}"#,
        )
        .await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/b","uid":"b"}"#)
        .await;
    let body = r#"{"name":"x","description":"","schemas":{"1":{"examples":[{"old":1}]},"2":{"examples":[{"new":2}]}}}"#;
    server.ask("POST /event-type", body).await;
    let path = "POST /app/acme/endpoint/a/send-example";
    let ping = server
        .show(path, r#"{"eventType":"svix.ping"}"#)
        .await
        .text("/id");
    server.until_attempted("acme", &ping, 1).await;
    server.show(path, r#"{"eventType":"x"}"#).await;
    server.show(path, r#"{"eventType":"y"}"#).await;
    server.show(path, "{}").await;
    server
        .show(
            "POST /app/acme/endpoint/nobody/send-example",
            r#"{"eventType":"x"}"#,
        )
        .await;
    server
        .until("GET /app/acme/attempt/endpoint/a", |list| {
            list["data"].as_array().map(Vec::len) == Some(2)
        })
        .await;
    let other = server
        .ask("GET /app/acme/attempt/endpoint/b", "")
        .await
        .json();
    assert_eq!(other["data"].as_array().map(Vec::len), Some(0));
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn contracts_bring_their_own_examples() {
    let server = Server::start().await;
    server
        .application(r#"{"name":"A","uid":"a","contract":"defguard"}"#)
        .await;
    server
        .endpoint("a", r#"{"url":"https://example.com/a","uid":"a"}"#)
        .await;
    let body = r#"{"eventType":"user_created"}"#;
    let sent = server
        .ask("POST /app/a/endpoint/a/send-example", body)
        .await;
    assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
    assert!(
        sent.json()["payload"]
            .as_object()
            .is_some_and(|payload| !payload.is_empty())
    );
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_until_a_person_enables_it() {
    let (mut server, _) = with_attempt(Reply::status(410)).await;
    let gone = |endpoint: &Value| endpoint["health"]["state"] == "disabled";
    server.until("GET /app/acme/endpoint/main", gone).await;
    server.show("GET /app/acme/endpoint/main", "").await;
    server
        .show(
            "PATCH /app/acme/endpoint/main",
            r#"{"description":"still"}"#,
        )
        .await;
    server.receiver.follow(Script::always(Reply::status(200)));
    server
        .show("PATCH /app/acme/endpoint/main", r#"{"disabled":false}"#)
        .await;
    server.clock.advance(std::time::Duration::from_mins(1));
    server.until_attempted("acme", "e1", 2).await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn what_failed_is_recovered() {
    let mut server = Server::with(Script::always(Reply::status(500))).await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/hook","uid":"main"}"#)
        .await;
    server
        .message("acme", r#"{"eventType":"x","eventId":"e1","payload":{}}"#)
        .await;
    // The default schedule has eight attempts in 28 hours.
    for attempt in 1..=8 {
        server.until_attempted("acme", "e1", attempt).await;
        server.clock.advance(std::time::Duration::from_hours(12));
    }
    server.receiver.follow(Script::always(Reply::status(200)));
    let path = "POST /app/acme/endpoint/main/recover";
    server
        .show(path, r#"{"since":"2026-02-20T10:31:00Z"}"#)
        .await;
    server
        .show(path, r#"{"since":"2026-02-20T10:00:00Z"}"#)
        .await;
    server.until_attempted("acme", "e1", 9).await;
    server
        .show(path, r#"{"since":"2026-02-20T10:00:00Z"}"#)
        .await;
    for body in [
        "{}",
        r#"{"since":"2026-02-10T00:00:00Z"}"#,
        r#"{"since":"2026-02-24T00:00:00Z","until":"2026-02-23T00:00:00Z"}"#,
        r#"{"since":"lately"}"#,
    ] {
        server.show(path, body).await;
    }
    server
        .show(
            "POST /app/acme/endpoint/nobody/recover",
            r#"{"since":"2026-02-24T00:00:00Z"}"#,
        )
        .await;
    insta::assert_snapshot!(server.transcript());
}
