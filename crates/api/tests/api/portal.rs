//! Access to the portal.

use axum::http::StatusCode;

use super::harness::Server;

#[tokio::test]
async fn access_is_to_one_application() {
    let mut server = Server::start().await;
    let id = server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let other = server.application(r#"{"name":"Other"}"#).await;
    let body = r#"{"featureFlags":["beta"]}"#;
    let answer = server.ask("POST /auth/app-portal-access/acme", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let token = answer.text("/token");
    assert_eq!(
        answer.text("/url"),
        format!("https://hooks.example.com/portal#token={token}")
    );
    server.speak_as(token);
    assert_eq!(
        server.ask(&format!("GET /app/{id}"), "").await.status,
        StatusCode::OK
    );
    assert_eq!(
        server.ask(&format!("GET /app/{other}"), "").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        server.ask("GET /app", "").await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_body_is_optional_and_may_bring_the_application() {
    let mut server = Server::start().await;
    server.show("POST /auth/app-portal-access/new", "").await;
    server
        .show(
            "POST /auth/app-portal-access/new",
            r#"{"application":{"name":"N"}}"#,
        )
        .await;
    server
        .show(
            "POST /auth/app-portal-access/new",
            r#"{"application":{"name":"","uid":"new"}}"#,
        )
        .await;
    server
        .show(
            "POST /auth/app-portal-access/new",
            r#"{"featureFlags":["a b"]}"#,
        )
        .await;
    let body = r#"{"application":{"name":"N","uid":"new"}}"#;
    assert_eq!(
        server
            .ask("POST /auth/app-portal-access/new", body)
            .await
            .status,
        StatusCode::OK
    );
    for path in ["app-portal-access", "dashboard-access"] {
        let answer = server.ask(&format!("POST /auth/{path}/new"), "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    server.show("POST /auth/dashboard-access/nobody", "").await;
    server.show("POST /auth/logout", "").await;
    server.show("POST /admin/redrive-dlq", "").await;
    insta::assert_snapshot!(server.transcript());
}
