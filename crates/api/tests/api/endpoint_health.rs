//! Pings, activation and deactivation.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Script};

use super::harness::Server;

async fn dojo(script: Script) -> (Server, String) {
    let server = Server::with(script).await;
    let app = server
        .application(r#"{"name":"dojo","uid":"dojo","contract":"defectdojo"}"#)
        .await;
    let body = r#"{"url":"https://example.com/hook","uid":"main"}"#;
    server.endpoint(&app, body).await;
    (server, app)
}

async fn until_pinged(server: &Server, times: usize) -> Value {
    let line = "GET /app/dojo/attempt/endpoint/main";
    let recorded = |answer: &Value| answer["data"].as_array().map(Vec::len) == Some(times);
    server.until(line, recorded).await
}

#[tokio::test]
async fn saving_an_endpoint_pings_it_where_the_contract_says_so() {
    let (server, _) = dojo(Script::always(Reply::status(200))).await;
    until_pinged(&server, 1).await;
    let body = r#"{"description":"edited"}"#;
    server.ask("PATCH /app/dojo/endpoint/main", body).await;
    until_pinged(&server, 2).await;
    let sent = server.ask("GET /app/dojo/msg", "").await.json();
    assert_eq!(sent["data"][0]["eventType"], "ping");
    assert_eq!(
        sent["data"][0]["payload"]["description"],
        "Test webhook notification"
    );
}

#[tokio::test]
async fn other_contracts_do_not_ping_unasked() {
    let server = Server::start().await;
    let app = server.application(r#"{"name":"a"}"#).await;
    let endpoint = server
        .endpoint(&app, r#"{"url":"https://example.com/"}"#)
        .await;
    let line = format!("POST /app/{app}/endpoint/{endpoint}/ping");
    let asked = server.ask(&line, "").await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    assert_eq!(asked.text("/eventType"), "svix.ping");
    server.until_attempted(&app, &asked.text("/id"), 1).await;
    let all = server.ask(&format!("GET /app/{app}/msg"), "").await.json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1), "{all}");
}

#[tokio::test]
async fn an_endpoint_is_deactivated_and_activated_by_people() {
    let (mut server, _) = dojo(Script::always(Reply::status(302))).await;
    until_pinged(&server, 1).await;
    let line = "POST /app/dojo/endpoint/main/deactivate";
    let off = server.ask(line, "").await.json();
    assert_eq!(off["health"]["contractState"], "inactive_permanent");
    assert_eq!(off["health"]["note"], "Deactivate from UI");
    assert_eq!(off["disabled"], true);
    let noted = server.ask(line, r#"{"note":"maintenance"}"#).await.json();
    assert_eq!(noted["health"]["note"], "maintenance");
    server
        .show("POST /app/dojo/endpoint/main/activate", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_refused_ping_leaves_an_endpoint_off() {
    let (mut server, _) = dojo(Script::always(Reply::status(500))).await;
    until_pinged(&server, 1).await;
    let found = server.ask("GET /app/dojo/endpoint/main", "").await.json();
    assert_eq!(
        found["health"]["state"], "active",
        "a ping changes no health"
    );
    server
        .ask("POST /app/dojo/endpoint/main/deactivate", "")
        .await;
    server
        .show("POST /app/dojo/endpoint/main/activate", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_ping_passes_a_gate_that_holds_messages() {
    let server = Server::start().await;
    let app = server.application(r#"{"name":"a","uid":"a"}"#).await;
    server
        .endpoint(&app, r#"{"url":"https://example.com/","uid":"main"}"#)
        .await;
    server.ask("POST /app/a/endpoint/main/deactivate", "").await;
    let held = server
        .message("a", r#"{"eventType":"x","payload":{}}"#)
        .await;
    let ping = server.ask("POST /app/a/endpoint/main/ping", "").await;
    server.until_attempted("a", &ping.text("/id"), 1).await;
    server.until_attempted("a", &held, 0).await;
    let on = server.ask("POST /app/a/endpoint/main/activate", "").await;
    assert_eq!(on.json()["activated"], true);
    assert_eq!(
        on.json()["ping"],
        Value::Null,
        "this contract asks nothing first"
    );
    server.until_attempted("a", &held, 1).await;
}
