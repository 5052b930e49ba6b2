//! The audit log: who changed what.

use axum::http::StatusCode;
use serde_json::{Value, json};
use watchfire_api::ClientAddress;

use super::harness::Server;

async fn lines(server: &Server, query: &str) -> Vec<Value> {
    let answer = server.ask(&format!("GET /audit?{query}"), "").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["data"].as_array().expect("a list").clone()
}

fn actions(lines: &[Value]) -> Vec<&str> {
    let actions = lines.iter().map(|line| line["action"].as_str());
    actions.map(|action| action.expect("a text")).collect()
}

#[tokio::test]
async fn every_change_stands_in_the_log_with_who_made_it() {
    let mut server = Server::start().await;
    let app = server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let endpoint = server
        .endpoint("acme", r#"{"url":"https://example.com/a","uid":"main"}"#)
        .await;
    let (id, key) = server
        .key(r#"{"name":"CI","scopes":["endpoints:write","secrets:read"]}"#)
        .await;
    let owner = server.organization_token("org_23rb8YdGqMT0qIzpgGwdXfHirMu");
    server.speak_as(key.clone());
    for (line, body) in [
        (
            "PATCH /app/acme/endpoint/main",
            r#"{"url":"https://example.com/b"}"#,
        ),
        (
            "PUT /app/acme/endpoint/main/headers",
            r#"{"headers":{"X-Tenant":"private-7"}}"#,
        ),
        ("GET /app/acme/endpoint/main/secret", ""),
        (
            "POST /app/acme/endpoint/main/secret/rotate",
            r#"{"key":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}"#,
        ),
        ("POST /app/acme/endpoint/main/deactivate", ""),
        ("POST /app/acme/endpoint/main/activate", ""),
        ("DELETE /app/acme/endpoint/main", ""),
    ] {
        server.clock.advance(std::time::Duration::from_secs(1));
        let answer = server.ask(line, body).await;
        assert!(answer.status.is_success(), "{line}: {answer:?}");
    }
    server.speak_as(owner);
    let made = lines(&server, &format!("object={endpoint}")).await;
    assert_eq!(
        actions(&made),
        [
            "endpoint.deleted",
            "endpoint.activated",
            "endpoint.deactivated",
            "endpoint.secret_rotated",
            "endpoint.secret_read",
            "endpoint.headers_changed",
            "endpoint.updated",
            "endpoint.created",
        ]
        .into_iter()
        .collect::<Vec<_>>()
    );
    let by_key = json!({"type": "key", "id": id, "name": "CI"});
    assert!(made[..7].iter().all(|line| line["actor"] == by_key));
    assert_eq!(made[7]["actor"]["type"], "token");
    let updated = &made[6];
    assert_eq!(updated["before"], json!({"url": "https://example.com/a"}));
    assert_eq!(updated["after"], json!({"url": "https://example.com/b"}));
    assert_eq!(updated["appId"], app);
    assert_eq!(made[5]["after"], json!({"headers": ["X-Tenant"]}));
    assert_eq!(made[2]["after"]["health"], "disabled");
    let whole = json!(lines(&server, "limit=250").await).to_string();
    for secret in ["private-7", "C2FVsBQIhrsc", "whsec_", key.as_str()] {
        assert!(!whole.contains(secret), "{secret} stands in the log");
    }
}

#[tokio::test]
async fn the_log_is_listed_by_application_and_page_by_page() {
    let server = Server::start().await;
    let acme = server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let other = server
        .application(r#"{"name":"Other","uid":"other"}"#)
        .await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/a"}"#)
        .await;
    let of = |app: &str| format!("app_id={app}");
    let made = lines(&server, &of(&acme)).await;
    assert_eq!(actions(&made), ["endpoint.created", "application.created"]);
    assert_eq!(lines(&server, &of(&other)).await.len(), 1);
    let first = server.ask("GET /audit?limit=1", "").await;
    let rest = format!("GET /audit?limit=250&iterator={}", first.text("/iterator"));
    let rest = server.ask(&rest, "").await.json();
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(2), "{rest}");
    let wrong = server.ask("GET /audit?app_id=acme", "").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_change_that_was_refused_is_not_in_the_log() {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let before = lines(&server, "").await;
    let again = server
        .ask("POST /app", r#"{"name":"B","uid":"acme"}"#)
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(lines(&server, "").await, before);
}

#[tokio::test]
async fn an_organization_sees_its_own_log_only() {
    let mut server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    assert_eq!(lines(&server, "").await.len(), 1);
    let stranger = server.organization_token("org_stranger");
    server.speak_as(stranger);
    assert!(lines(&server, "").await.is_empty());
}

#[tokio::test]
async fn a_line_says_where_the_request_came_from() {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let mut request = server.request("PATCH /app/acme", r#"{"name":"Apex"}"#);
    let address = ClientAddress([192, 0, 2, 7].into());
    request.extensions_mut().insert(address);
    assert!(server.send(request).await.status.is_success());
    let lines = lines(&server, "").await;
    assert_eq!(
        actions(&lines),
        ["application.updated", "application.created"]
    );
    assert_eq!(lines[0]["address"], "192.0.2.7");
    assert_eq!(lines[1].get("address"), None, "nobody knows");
}
