//! What every request passes through.

use axum::http::{HeaderValue, StatusCode, header};

use super::harness::Server;

#[tokio::test]
async fn a_trailing_slash_makes_no_difference() {
    let server = Server::start().await;
    server.application(r#"{"name":"A","uid":"a"}"#).await;
    let with = server.ask("GET /app/a/", "").await;
    let without = server.ask("GET /app/a", "").await;
    assert_eq!((with.status, with.body), (without.status, without.body));
    assert_eq!(
        server
            .ask("POST /app/a/msg/?x=1", r#"{"eventType":"x","payload":{}}"#)
            .await
            .status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn any_origin_may_ask() {
    let server = Server::start().await;
    let mut request = server.request("OPTIONS /app", "");
    let headers = request.headers_mut();
    headers.insert(
        header::ORIGIN,
        HeaderValue::from_static("https://portal.example.com"),
    );
    headers.insert(
        header::ACCESS_CONTROL_REQUEST_METHOD,
        HeaderValue::from_static("PUT"),
    );
    let asked = HeaderValue::from_static("authorization,idempotency-key");
    headers.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, asked);
    let answer = server.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let allowed = answer.headers[header::ACCESS_CONTROL_ALLOW_METHODS]
        .to_str()
        .expect("text");
    assert!(allowed.contains("PUT"), "{allowed}");
    assert_eq!(
        answer.headers[header::ACCESS_CONTROL_ALLOW_HEADERS],
        "authorization,idempotency-key"
    );
    let plain = server.ask("GET /health/ping", "").await;
    assert_eq!(plain.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = Server::start().await;
    let drawn = server.ask("GET /app", "").await;
    let id = drawn.headers["x-request-id"].to_str().expect("text");
    assert!(id.starts_with("req_"), "{id}");
    let mut request = server.request("GET /nothing", "");
    request
        .headers_mut()
        .insert("x-request-id", HeaderValue::from_static("mine"));
    assert_eq!(server.send(request).await.headers["x-request-id"], "mine");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let mut server = Server::start().await;
    server.show("GET /nothing", "").await;
    server.show("GET /app/a/b/c/d/e", "").await;
    server.show("DELETE /app", "").await;
    insta::assert_snapshot!(server.transcript());
}
