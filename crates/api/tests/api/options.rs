//! What only some clients ask for: each option does what it says.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Script};

use super::harness::Server;

async fn listed(server: &Server, line: &str) -> Vec<String> {
    let answer = server.ask(line, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let items = json["data"].as_array().expect("a list").iter();
    let mut uids: Vec<_> = items
        .map(|item| item["uid"].as_str().unwrap_or_default().to_owned())
        .collect();
    uids.sort();
    uids
}

#[tokio::test]
async fn applications_are_left_out_by_what_endpoints_they_have() {
    let server = Server::start().await;
    for (uid, url, disabled) in [
        ("none", "", false),
        ("off", "https://example.com/", true),
        ("on", "https://example.com/", false),
        ("play", "https://play.svix.com/in/e_x/", false),
    ] {
        let app = format!(r#"{{"name":"{uid}","uid":"{uid}"}}"#);
        server.application(&app).await;
        if !url.is_empty() {
            let endpoint = format!(r#"{{"url":"{url}","disabled":{disabled}}}"#);
            server.endpoint(uid, &endpoint).await;
        }
    }
    for (query, expect) in [
        ("", vec!["none", "off", "on", "play"]),
        (
            "exclude_apps_with_no_endpoints=true",
            vec!["off", "on", "play"],
        ),
        (
            "exclude_apps_with_disabled_endpoints=true",
            vec!["none", "on", "play"],
        ),
        (
            "exclude_apps_with_svix_play_endpoints=true",
            vec!["none", "off", "on"],
        ),
        (
            "exclude_apps_with_no_endpoints=false",
            vec!["none", "off", "on", "play"],
        ),
    ] {
        let line = format!("GET /app?{query}");
        assert_eq!(listed(&server, &line).await, expect, "{query}");
    }
}

async fn first_attempt(server: &Server, query: &str) -> Value {
    let line = format!("GET /app/acme/attempt/endpoint/hook{query}");
    server.ask(&line, "").await.json()["data"][0].clone()
}

#[tokio::test]
async fn attempts_bring_their_messages_along_if_asked() {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"hook"}"#)
        .await;
    let body = r#"{"eventType":"threat.created","eventId":"e1","payload":{"id":1}}"#;
    let id = server.message("acme", body).await;
    server.until_attempted("acme", "e1", 1).await;
    assert_eq!(first_attempt(&server, "").await.get("msg"), None);
    let message = &first_attempt(&server, "?with_msg=true").await["msg"];
    assert_eq!(message["id"], id.as_str());
    assert_eq!(message["eventId"], "e1");
    assert_eq!(message["payload"], serde_json::json!({}));
}

#[tokio::test]
async fn what_was_cancelled_is_told_to_older_clients_as_delivered() {
    let server = Server::with(Script::always(Reply::status(500))).await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"hook"}"#)
        .await;
    let body = r#"{"eventType":"x","eventId":"e1","payload":{}}"#;
    server.message("acme", body).await;
    server.until_attempted("acme", "e1", 1).await;
    let line = "POST /app/acme/endpoint/hook/cancel-msgs";
    let body = r#"{"createdBefore":"2099-01-01T00:00:00Z"}"#;
    let answer = server.ask(line, body).await;
    assert!(answer.status.is_success(), "{answer:?}");
    let cancelled = |answer: &Value| answer["data"][0]["status"] == 4;
    server
        .until("GET /app/acme/endpoint/hook/msg", cancelled)
        .await;
    let older = "GET /app/acme/endpoint/hook/msg?expanded_statuses=false";
    let older = server.ask(older, "").await.json();
    assert_eq!(older["data"][0]["status"], 0);
    assert_eq!(older["data"][0]["statusText"], "success");
}

#[tokio::test]
async fn a_secret_can_be_set_with_a_patch() {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"hook"}"#)
        .await;
    let line = "PATCH /app/acme/endpoint/hook";
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let body = format!(r#"{{"secret":"{secret}"}}"#);
    assert_eq!(server.ask(line, &body).await.status, StatusCode::OK);
    let read = "GET /app/acme/endpoint/hook/secret";
    assert_eq!(server.ask(read, "").await.text("/key"), secret);
    let answer = server.ask(line, r#"{"secret":"short"}"#).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.text("/detail/0/loc/1"), "secret");
    assert_eq!(server.ask(read, "").await.text("/key"), secret);
}

#[tokio::test]
async fn what_always_has_a_value_can_not_be_cleared() {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"hook"}"#)
        .await;
    let body = r#"{"name":"a","description":"d"}"#;
    server.ask("POST /event-type", body).await;
    for (line, fields) in [
        ("PATCH /app/acme", vec!["name", "metadata"]),
        (
            "PATCH /app/acme/endpoint/hook",
            vec!["url", "description", "disabled", "metadata", "version"],
        ),
        (
            "PATCH /event-type/a",
            vec!["description", "archived", "deprecated"],
        ),
    ] {
        for field in fields {
            let answer = server.ask(line, &format!(r#"{{"{field}":null}}"#)).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
            assert_eq!(answer.text("/detail/0/loc/1"), field);
        }
    }
}
