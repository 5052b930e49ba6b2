//! Many messages in one request.

use axum::http::StatusCode;
use watchfire_domain::limit;

use super::harness::Server;

async fn with_application() -> Server {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_result() {
    let mut server = with_application().await;
    let body = r#"{"messages":[
        {"eventType":"x","eventId":"one","payload":{"n":1}},
        {"eventType":"x","eventId":"one","payload":{"n":2}},
        {"eventType":"no name","payload":{}},
        {"eventType":"x","payload":[]},
        {"eventType":7,"payload":{}},
        ["x",{},null,null,null,null,null,null,null,null,null,null,null,null],
        7,
        {"eventType":"x","eventId":"two","payload":{"n":3}}
    ]}"#;
    server.show("POST /app/acme/msg-batch", body).await;
    server.show("GET /app/acme/msg/two", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_batch_has_bounds() {
    let server = with_application().await;
    let of = |count| {
        let message = r#"{"eventType":"x","payload":{}}"#;
        format!(r#"{{"messages":[{}]}}"#, vec![message; count].join(","))
    };
    for (count, status) in [
        (0, StatusCode::UNPROCESSABLE_ENTITY),
        (limit::BATCH_MESSAGES_MAX, StatusCode::ACCEPTED),
        (
            limit::BATCH_MESSAGES_MAX + 1,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let answer = server.ask("POST /app/acme/msg-batch", &of(count)).await;
        assert_eq!(answer.status, status, "{count}");
    }
}
