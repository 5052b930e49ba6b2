//! Operational webhooks and the inbox.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Script};

use super::harness::Server;

/// The customer's endpoint is gone, everybody else's works.
async fn with_a_gone_endpoint() -> Server {
    let script = Script::choose(|request| match request.path() {
        "/gone" => Reply::status(410),
        _ => Reply::status(200),
    });
    Server::with(script).await
}

/// The operational webhooks that were sent, in their order.
fn told(server: &Server) -> Vec<Value> {
    let requests = server.receiver.requests().into_iter();
    let told = requests.filter(|request| request.path() == "/ops");
    told.map(|request| serde_json::from_slice(&request.body).expect("JSON"))
        .collect()
}

async fn until_told(server: &Server, kind: &str) -> Value {
    let told = || told(server).into_iter().find(|told| told["type"] == kind);
    // Asking anything lets the time pass that deliveries need.
    server.until("GET /app", |_| told().is_some()).await;
    told().expect("it was told")
}

async fn disabled(server: &Server) -> (String, String) {
    let app = server
        .application(r#"{"name":"Acme","uid":"acme","contract":"defectdojo"}"#)
        .await;
    let endpoint = server
        .endpoint("acme", r#"{"url":"https://example.com/gone","uid":"main"}"#)
        .await;
    let message = r#"{"eventType":"product_added","payload":{},"eventId":"e1"}"#;
    server.message("acme", message).await;
    (app, endpoint)
}

#[tokio::test]
async fn what_happens_to_endpoints_and_messages_is_told() {
    let server = with_a_gone_endpoint().await;
    let listener = r#"{"url":"https://example.com/ops","uid":"ops"}"#;
    let made = server
        .ask("POST /operational-webhook/endpoint", listener)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let (app, endpoint) = disabled(&server).await;
    let created = until_told(&server, "endpoint.created").await;
    let about = serde_json::json!({
        "appId": app, "appUid": "acme", "endpointId": endpoint, "endpointUid": "main",
    });
    assert_eq!(created["data"], about);
    let exhausted = until_told(&server, "message.attempt.exhausted").await;
    assert_eq!(exhausted["data"]["msgEventId"], "e1");
    assert_eq!(exhausted["data"]["lastAttempt"]["responseStatusCode"], 410);
    let disabled = until_told(&server, "endpoint.disabled").await;
    assert!(disabled["data"]["failSince"].is_string(), "{disabled}");
    server.ask("DELETE /app/acme/endpoint/main", "").await;
    assert_eq!(until_told(&server, "endpoint.deleted").await["data"], about);
}

#[tokio::test]
async fn endpoints_of_operational_webhooks_are_managed_like_others() {
    let mut server = Server::start().await;
    let body =
        r#"{"url":"https://example.com/ops","uid":"ops","eventTypes":["endpoint.disabled"]}"#;
    server
        .show("POST /operational-webhook/endpoint", body)
        .await;
    server.show("GET /operational-webhook/endpoint", "").await;
    let unknown = r#"{"url":"https://example.com/","eventTypes":["endpoint.unheard"]}"#;
    server
        .show("POST /operational-webhook/endpoint", unknown)
        .await;
    let headers = r#"{"headers":{"X-One":"1"}}"#;
    let line = "PUT /operational-webhook/endpoint/ops/headers";
    server.show(line, headers).await;
    server
        .show("GET /operational-webhook/endpoint/ops/headers", "")
        .await;
    let secret = server
        .ask("GET /operational-webhook/endpoint/ops/secret", "")
        .await;
    assert!(secret.text("/key").starts_with("whsec_"));
    server
        .show("DELETE /operational-webhook/endpoint/ops", "")
        .await;
    let apps = server.ask("GET /app", "").await.json();
    assert_eq!(apps["data"].as_array().map(Vec::len), Some(0), "{apps}");
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn the_inbox_has_a_line_for_each_kind_until_it_is_read() {
    let mut server = with_a_gone_endpoint().await;
    disabled(&server).await;
    let two = |answer: &Value| answer["data"].as_array().map(Vec::len) == Some(2);
    let inbox = server.until("GET /notice?unread=true", two).await;
    // Both were made at the same instant, so either may come first.
    let lines = inbox["data"].as_array().expect("a list");
    let disabled = lines
        .iter()
        .find(|line| line["type"] == "endpoint.disabled");
    let id = disabled.expect("one of them")["id"].as_str();
    let id = id.expect("a text");
    let line = format!("POST /notice/{id}/read");
    let read = server.ask(&line, "").await.json();
    assert!(read["readAt"].is_string(), "{read}");
    server.show("GET /notice?unread=true", "").await;
    let all = server.ask("GET /notice", "").await.json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2));
    let nothing = "POST /notice/notice_1srOrx2ZWZBpBUvZwXKQmoEYga2/read";
    assert_eq!(server.ask(nothing, "").await.status, StatusCode::NOT_FOUND);
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn edits_of_secrets_headers_and_the_switch_are_told() {
    let server = Server::start().await;
    let listener = r#"{"url":"https://example.com/ops","eventTypes":["endpoint.updated"]}"#;
    server
        .ask("POST /operational-webhook/endpoint", listener)
        .await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/x","uid":"main"}"#)
        .await;
    let edits = [
        (
            "PUT /app/acme/endpoint/main/headers",
            r#"{"headers":{"x-a":"1"}}"#,
        ),
        (
            "PATCH /app/acme/endpoint/main/headers",
            r#"{"headers":{},"deleteHeaders":["X-A"]}"#,
        ),
        ("POST /app/acme/endpoint/main/secret/rotate", "{}"),
        ("PATCH /app/acme/endpoint/main", r#"{"disabled":true}"#),
        ("PATCH /app/acme/endpoint/main", r#"{"disabled":false}"#),
    ];
    for (index, (line, body)) in edits.into_iter().enumerate() {
        let answer = server.ask(line, body).await;
        assert!(answer.status.is_success(), "{line}: {answer:?}");
        server
            .until("GET /app", |_| told(&server).len() > index)
            .await;
    }
    let told = told(&server);
    assert_eq!(told.len(), 5);
    for notice in told {
        assert_eq!(notice["type"], "endpoint.updated");
        assert_eq!(notice["data"]["endpointUid"], "main");
    }
}
