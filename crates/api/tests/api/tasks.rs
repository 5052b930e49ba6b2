//! Background tasks: recover, replay, cancel.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Script};

use super::harness::Server;

/// A server with an endpoint that refuses, and a message that is being retried.
async fn with_retry() -> Server {
    let server = Server::with(Script::always(Reply::status(500))).await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/hook","uid":"main"}"#)
        .await;
    server
        .message("acme", r#"{"eventType":"x","eventId":"e1","payload":{}}"#)
        .await;
    server.until_attempted("acme", "e1", 1).await;
    server
}

async fn until_finished(server: &Server, task: &str) {
    let line = format!("GET /background-task/{task}");
    let finished = |answer: &Value| answer["status"] == "finished";
    server.until(&line, finished).await;
}

#[tokio::test]
async fn what_is_pending_can_be_cancelled_and_replayed() {
    let mut server = with_retry().await;
    server
        .show(
            "POST /app/acme/endpoint/main/cancel-msgs",
            r#"{"createdBefore":"2026-02-21T00:00:00Z"}"#,
        )
        .await;
    let list = "GET /background-task?task=endpoint.cancel-msgs&status=finished";
    let finished = |answer: &Value| answer["data"].as_array().map(Vec::len) == Some(1);
    server.until(list, finished).await;
    server.show(list, "").await;
    server
        .show("GET /app/acme/attempt/msg/e1?status=4", "")
        .await;
    server.receiver.follow(Script::always(Reply::status(200)));
    let replay = server
        .show(
            "POST /app/acme/endpoint/main/bulk-replay",
            r#"{"since":"2026-02-20T10:00:00Z","eventTypes":["x"],"status":4,"retries":false}"#,
        )
        .await;
    until_finished(&server, &replay.text("/id")).await;
    server.until_attempted("acme", "e1", 3).await;
    server
        .show(&format!("GET /background-task/{}", replay.text("/id")), "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn an_endpoint_that_came_late_gets_what_it_missed() {
    let mut server = with_retry().await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/late","uid":"late"}"#)
        .await;
    let replay = server
        .show(
            "POST /app/acme/endpoint/late/replay-missing",
            r#"{"since":"2026-02-20T10:00:00Z"}"#,
        )
        .await;
    let id = replay.text("/id");
    until_finished(&server, &id).await;
    server.show(&format!("GET /background-task/{id}"), "").await;
    server
        .show(&format!("POST /background-task/{id}/cancel"), "")
        .await;
    server.until_attempted("acme", "e1", 2).await;
    insta::assert_snapshot!(server.transcript());
}

/// The id of a task that goes on running: it waits for an endpoint that is switched off.
async fn waiting_task(server: &mut Server) -> String {
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint(
            "acme",
            r#"{"url":"https://example.com/","uid":"off","disabled":true}"#,
        )
        .await;
    let task = server
        .ask(
            "POST /app/acme/endpoint/off/recover",
            r#"{"since":"2026-02-20T10:00:00Z"}"#,
        )
        .await;
    task.text("/id")
}

#[tokio::test]
async fn a_running_task_is_cancelled() {
    let mut server = Server::start().await;
    let id = waiting_task(&mut server).await;
    server.show("GET /background-task?status=running", "").await;
    server
        .show(&format!("POST /background-task/{id}/cancel"), "")
        .await;
    server.show("GET /background-task?status=running", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_running_task_is_paused_and_resumed() {
    let mut server = Server::start().await;
    let id = waiting_task(&mut server).await;
    for deed in ["pause", "pause", "resume", "pause", "cancel", "resume"] {
        let line = format!("POST /background-task/{id}/{deed}");
        server.show(&line, "").await;
        if deed == "pause" {
            let paused = server.ask("GET /background-task?status=paused", "").await;
            assert_eq!(paused.text("/data/0/id"), id);
        }
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn one_pending_delivery_is_cancelled() {
    let mut server = with_retry().await;
    let line = "POST /app/acme/msg/e1/endpoint/main/cancel";
    server.show(line, "").await;
    server.show("GET /app/acme/attempt/msg/e1", "").await;
    server.show(line, "").await;
    server
        .show("POST /app/acme/msg/e2/endpoint/main/cancel", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = with_retry().await;
    for (path, body) in [
        ("replay-missing", "{}"),
        (
            "bulk-replay",
            r#"{"since":"2026-02-20T10:00:00Z","status":1}"#,
        ),
        (
            "bulk-replay",
            r#"{"since":"2026-02-20T10:00:00Z","tag":""}"#,
        ),
        (
            "bulk-replay",
            r#"{"since":"2026-02-20T10:00:00Z","until":"2026-02-19T10:00:00Z"}"#,
        ),
        ("cancel-msgs", "{}"),
    ] {
        let line = format!("POST /app/acme/endpoint/main/{path}");
        let answer = server.show(&line, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    server.show("GET /background-task/qtask_1", "").await;
    server
        .show("GET /background-task?status=sleeping", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn an_application_has_a_limited_number_of_running_tasks() {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint(
            "acme",
            r#"{"url":"https://example.com/","uid":"off","disabled":true}"#,
        )
        .await;
    let create = async || {
        let body = r#"{"since":"2026-02-20T10:00:00Z"}"#;
        let line = "POST /app/acme/endpoint/off/recover";
        server.ask(line, body).await
    };
    for _ in 0..watchfire_domain::limit::TASKS_PER_APPLICATION_MAX {
        assert_eq!(create().await.status, StatusCode::ACCEPTED);
    }
    let refused = create().await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.text("/code"), "limit_reached");
}

#[tokio::test]
async fn an_application_sees_and_cancels_its_own_tasks_and_no_others() {
    let mut server = Server::start().await;
    let mut tasks = Vec::new();
    let mut apps = Vec::new();
    for name in ["own", "other"] {
        let body = format!(r#"{{"name":"{name}","uid":"{name}"}}"#);
        apps.push(server.application(&body).await);
        server
            .endpoint(name, r#"{"url":"https://example.com/","uid":"e"}"#)
            .await;
        let line = format!("POST /app/{name}/endpoint/e/recover");
        let answer = server
            .ask(&line, r#"{"since":"2026-02-20T10:00:00Z"}"#)
            .await;
        tasks.push(answer.text("/id"));
    }
    server.speak_as(server.application_token(&apps[0], &[]));
    let listed = server.ask("GET /background-task", "").await.json();
    let ids: Vec<_> = listed["data"].as_array().expect("a list").iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0]["id"], tasks[0].as_str());
    for (task, status) in tasks.iter().zip([StatusCode::OK, StatusCode::NOT_FOUND]) {
        for line in [
            format!("GET /background-task/{task}"),
            format!("POST /background-task/{task}/pause"),
            format!("POST /background-task/{task}/resume"),
            format!("POST /background-task/{task}/cancel"),
        ] {
            assert_eq!(server.ask(&line, "").await.status, status, "{line}");
        }
    }
}
