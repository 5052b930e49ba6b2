//! The server's own health.

use axum::http::StatusCode;

use super::harness::Server;

#[tokio::test]
async fn health_needs_no_token() {
    let mut server = Server::start().await;
    server.speak_as("nobody".into());
    server.show("GET /health", "").await;
    server.show("GET /health/ping", "").await;
    for path in ["/health", "/health/", "/health/ping"] {
        let answer = server.ask(&format!("HEAD {path}"), "").await;
        assert!(answer.status.is_success(), "{path}");
        assert!(answer.body.is_empty());
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn the_document_is_served() {
    let server = Server::start().await;
    let answer = server.ask("GET /openapi.json", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn nodes_are_listed() {
    let mut server = Server::start().await;
    server.show("GET /node", "").await;
    insta::assert_snapshot!(server.transcript());
}
