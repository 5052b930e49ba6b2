//! Records that are stuck.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Request, Script};

use super::harness::Server;

/// A server whose receiver refuses what is numbered 1, and two messages about one record.
async fn stuck() -> Server {
    let script = Script::choose(|request: &Request| {
        let first = request.body.windows(5).any(|part| part == b"\"n\":1");
        Reply::status(if first { 500 } else { 200 })
    });
    let server = Server::with(script).await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/hook","uid":"main"}"#)
        .await;
    for n in [1, 2] {
        let message = format!(
            r#"{{"eventType":"x","eventId":"e{n}","recordKey":"a/1","payload":{{"n":{n}}}}}"#
        );
        server.message("acme", &message).await;
    }
    server.until_attempted("acme", "e1", 1).await;
    server
}

#[tokio::test]
async fn a_head_is_tried_at_once_and_then_skipped() {
    let mut server = stuck().await;
    let path = "POST /app/acme/endpoint/main/record";
    server
        .show(&format!("{path}/retry"), r#"{"recordKey":"a/1"}"#)
        .await;
    server.until_attempted("acme", "e1", 2).await;
    let head = server
        .show(&format!("{path}/skip"), r#"{"recordKey":"a/1"}"#)
        .await;
    assert_eq!(head.json()["waiting"], 1);
    server.until_attempted("acme", "e2", 1).await;
    let list = "GET /app/acme/attempt/msg/e1";
    let skipped = |answer: &Value| answer["data"].as_array().map(Vec::len) == Some(3);
    server.until(list, skipped).await;
    server
        .show(&format!("{path}/skip"), r#"{"recordKey":"a/1"}"#)
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = stuck().await;
    for (body, status) in [
        ("", StatusCode::UNPROCESSABLE_ENTITY),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"recordKey":""}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (
            r#"{"recordKey":"a/1","messageId":"x"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            r#"{"recordKey":"a/1","messageId":"msg_2EnKJyPdPXwWXcIDDtsSYmpHExH"}"#,
            StatusCode::CONFLICT,
        ),
        (r#"{"recordKey":"b"}"#, StatusCode::NOT_FOUND),
    ] {
        for action in ["skip", "retry"] {
            let line = format!("POST /app/acme/endpoint/main/record/{action}");
            let answer = server.show(&line, body).await;
            assert_eq!(answer.status, status, "{line} {body}");
        }
    }
    let elsewhere = "POST /app/acme/endpoint/other/record/skip";
    let answer = server.show(elsewhere, r#"{"recordKey":"a/1"}"#).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
