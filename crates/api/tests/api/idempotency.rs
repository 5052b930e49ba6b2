//! Requests with an idempotency key.

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use watchfire_domain::limit;

use super::harness::{Answer, Server};

fn keyed(server: &Server, line: &str, body: &str, key: &str) -> Request<Body> {
    let mut request = server.request(line, body);
    let key = HeaderValue::from_str(key).expect("a value");
    request.headers_mut().insert("idempotency-key", key);
    request
}

async fn ask(server: &Server, line: &str, body: &str, key: &str) -> Answer {
    server.send(keyed(server, line, body, key)).await
}

async fn with_endpoint() -> Server {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"main"}"#)
        .await;
    server
}

/// Every POST that changes something, with a body that it accepts.
const POSTS: &[(&str, &str)] = &[
    ("POST /app", r#"{"name":"A"}"#),
    (
        "POST /app/acme/endpoint",
        r#"{"url":"https://example.com/2"}"#,
    ),
    ("POST /event-type", r#"{"name":"x","description":""}"#),
    (
        "POST /app/acme/msg",
        r#"{"eventType":"x","payload":{"a":1},"eventId":"e"}"#,
    ),
    ("POST /app/acme/endpoint/main/secret/rotate", "{}"),
    (
        "POST /app/acme/endpoint/main/send-example",
        r#"{"eventType":"svix.ping"}"#,
    ),
    (
        "POST /app/acme/endpoint/main/recover",
        r#"{"since":"2026-02-20T10:00:00Z"}"#,
    ),
    (
        "POST /app/acme/endpoint/main/replay-missing",
        r#"{"since":"2026-02-20T10:00:00Z"}"#,
    ),
    (
        "POST /app/acme/endpoint/main/bulk-replay",
        r#"{"since":"2026-02-20T10:00:00Z"}"#,
    ),
    (
        "POST /app/acme/endpoint/main/cancel-msgs",
        r#"{"createdBefore":"2026-02-20T10:00:00Z"}"#,
    ),
];

#[tokio::test]
async fn a_repetition_is_answered_like_the_first() {
    let server = with_endpoint().await;
    for (line, body) in POSTS {
        let first = ask(&server, line, body, "k1").await;
        assert!(first.status.is_success(), "{line}: {first:?}");
        let again = ask(&server, line, body, "k1").await;
        assert_eq!(
            (again.status, again.body),
            (first.status, first.body),
            "{line}"
        );
    }
    let messages = server.ask("GET /app/acme/msg", "").await.json();
    assert_eq!(
        messages["data"].as_array().map(Vec::len),
        Some(2),
        "{messages}"
    );
    let endpoints = server.ask("GET /app/acme/endpoint", "").await.json();
    assert_eq!(endpoints["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_key_names_one_request() {
    let server = with_endpoint().await;
    for (line, body) in POSTS {
        ask(&server, line, body, "k1").await;
        let other = format!("{body} ");
        let refused = ask(&server, line, &other, "k1").await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{line}");
        assert_eq!(refused.text("/code"), "idempotency_key_reused", "{line}");
    }
}

#[tokio::test]
async fn other_keys_paths_and_organizations_are_other_requests() {
    let mut server = with_endpoint().await;
    let body = r#"{"name":"A"}"#;
    let first = ask(&server, "POST /app", body, "k1").await.text("/id");
    let other = ask(&server, "POST /app", body, "k2").await.text("/id");
    assert_ne!(first, other);
    let slash = ask(&server, "POST /app/", body, "k1").await.text("/id");
    assert_eq!(slash, first);
    server.speak_as(server.organization_token("org_other"));
    let elsewhere = ask(&server, "POST /app", body, "k1").await;
    assert_eq!(elsewhere.status, StatusCode::CREATED);
    assert_ne!(elsewhere.text("/id"), first);
}

#[tokio::test]
async fn repetitions_at_the_same_time_do_it_once() {
    let server = with_endpoint().await;
    let body = r#"{"eventType":"x","payload":{"n":1}}"#;
    let send = || ask(&server, "POST /app/acme/msg", body, "k1");
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    for answer in [&a, &b, &c, &d] {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(answer.text("/id"), a.text("/id"));
    }
}

#[tokio::test]
async fn a_refused_request_may_be_corrected_under_its_key() {
    let server = with_endpoint().await;
    let refused = ask(&server, "POST /app", r#"{"name":""}"#, "k1").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let corrected = ask(&server, "POST /app", r#"{"name":"A"}"#, "k1").await;
    assert_eq!(corrected.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_resend_is_made_once() {
    let server = with_endpoint().await;
    server
        .message("acme", r#"{"eventType":"x","payload":{},"eventId":"e"}"#)
        .await;
    server.until_attempted("acme", "e", 1).await;
    let line = "POST /app/acme/msg/e/endpoint/main/resend";
    assert_eq!(
        ask(&server, line, "", "k1").await.status,
        StatusCode::ACCEPTED
    );
    server.until_attempted("acme", "e", 2).await;
    let again = ask(&server, line, "", "k1").await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(
        ask(&server, line, "", "k2").await.status,
        StatusCode::ACCEPTED
    );
    server.until_attempted("acme", "e", 3).await;
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let server = with_endpoint().await;
    let body = r#"{"name":"A"}"#;
    let first = ask(&server, "POST /app", body, "k1").await.text("/id");
    server.clock.advance(limit::IDEMPOTENCY_RETENTION);
    let later = ask(&server, "POST /app", body, "k1").await.text("/id");
    assert_ne!(first, later);
}

#[tokio::test]
async fn keys_have_a_form() {
    let server = with_endpoint().await;
    let max = limit::IDEMPOTENCY_KEY_CHARS_MAX;
    let status = async |key: &str| {
        ask(&server, "POST /app", r#"{"name":"A"}"#, key)
            .await
            .status
    };
    assert_eq!(status(&"k".repeat(max)).await, StatusCode::CREATED);
    for key in ["", "a b", &"k".repeat(max + 1)] {
        assert_eq!(status(key).await, StatusCode::BAD_REQUEST, "{key}");
    }
}
