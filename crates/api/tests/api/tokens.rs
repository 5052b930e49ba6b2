//! Signed tokens that are ended before their time.

use std::time::Duration;

use axum::http::StatusCode;

use super::harness::Server;

const MOMENT: Duration = Duration::from_micros(1);

/// A token for `acme`, made by the API.
async fn portal_token(server: &Server, body: &str) -> String {
    let made = server.ask("POST /auth/app-portal-access/acme", body).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    server.clock.advance(MOMENT);
    made.text("/token")
}

/// A server with the application `acme`, and its organization's token.
async fn server() -> (Server, String) {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    let owner = server.organization_token(watchfire_api::DEFAULT_ORGANIZATION);
    server.clock.advance(MOMENT);
    (server, owner)
}

/// What the application's own objects answer to somebody.
async fn status(server: &mut Server, token: &str) -> StatusCode {
    server.speak_as(token.to_owned());
    server.ask("GET /app/acme", "").await.status
}

async fn check(server: &mut Server, tokens: &[(&str, StatusCode)]) {
    for (index, (token, expect)) in tokens.iter().enumerate() {
        assert_eq!(status(server, token).await, *expect, "token {index}");
    }
}

const WORKS: StatusCode = StatusCode::OK;
const ENDED: StatusCode = StatusCode::UNAUTHORIZED;

#[tokio::test]
async fn a_token_that_signs_out_is_ended_alone() {
    let (mut server, owner) = server().await;
    let one = portal_token(&server, "").await;
    let other = portal_token(&server, "").await;
    check(&mut server, &[(&one, WORKS), (&other, WORKS)]).await;
    server.speak_as(one.clone());
    let answer = server.ask("POST /auth/logout", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    check(
        &mut server,
        &[(&one, ENDED), (&other, WORKS), (&owner, WORKS)],
    )
    .await;
    server.speak_as(one);
    assert_eq!(server.ask("POST /auth/logout", "").await.status, ENDED);
}

#[tokio::test]
async fn what_programs_are_set_up_with_does_not_sign_out() {
    let (mut server, owner) = server().await;
    let (_, key) = server.key(r#"{"name":"k","scopes":["admin"]}"#).await;
    for credential in [owner, key] {
        server.speak_as(credential);
        server.show("POST /auth/logout", "").await;
        assert_eq!(server.ask("GET /app", "").await.status, WORKS);
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn all_tokens_of_an_application_are_ended_and_later_ones_are_not() {
    let (mut server, owner) = server().await;
    let (_, key) = server
        .key(r#"{"name":"k","scopes":["admin"],"applicationId":"acme"}"#)
        .await;
    let before = portal_token(&server, "").await;
    let answer = server.ask("POST /auth/app/acme/expire-all", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    server.clock.advance(MOMENT);
    let after = portal_token(&server, "").await;
    let expect = [
        (before.as_str(), ENDED),
        (&after, WORKS),
        (&owner, WORKS),
        (&key, WORKS),
    ];
    check(&mut server, &expect).await;
}

#[tokio::test]
async fn tokens_of_a_session_are_ended_after_their_grace() {
    let (mut server, owner) = server().await;
    let laptop = portal_token(&server, r#"{"sessionId":"laptop"}"#).await;
    let phone = portal_token(&server, r#"{"sessionId":"phone"}"#).await;
    let none = portal_token(&server, "").await;
    let body = r#"{"expiry":60,"sessionIds":["laptop","desk"]}"#;
    server.ask("POST /auth/app/acme/expire-all", body).await;
    server.clock.advance(Duration::from_micros(59_999_999));
    check(&mut server, &[(&laptop, WORKS), (&phone, WORKS)]).await;
    server.clock.advance(MOMENT);
    let expect = [
        (laptop.as_str(), ENDED),
        (&phone, WORKS),
        (&none, WORKS),
        (&owner, WORKS),
    ];
    check(&mut server, &expect).await;
}

#[tokio::test]
async fn an_organization_ends_all_its_tokens() {
    let (mut server, owner) = server().await;
    let (_, key) = server.key(r#"{"name":"k","scopes":["admin"]}"#).await;
    let portal = portal_token(&server, "").await;
    let answer = server.ask("POST /auth/expire-all", "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    server.clock.advance(MOMENT);
    let new = server.organization_token(watchfire_api::DEFAULT_ORGANIZATION);
    let expect = [
        (owner.as_str(), ENDED),
        (&portal, ENDED),
        (&key, WORKS),
        (&new, WORKS),
    ];
    check(&mut server, &expect).await;
    server.speak_as(server.organization_token("org_other"));
    assert_eq!(server.ask("GET /app", "").await.status, WORKS);
}

#[tokio::test]
async fn what_is_ended_is_named_within_limits() {
    let (mut server, _) = server().await;
    for body in [
        r#"{"expiry":259201}"#,
        r#"{"expiry":-1}"#,
        r#"{"sessionIds":["a b",""]}"#,
    ] {
        server.show("POST /auth/app/acme/expire-all", body).await;
    }
    let line = "POST /auth/app-portal-access/acme";
    server.show(line, r#"{"sessionId":"a b"}"#).await;
    server.show("POST /auth/app/nobody/expire-all", "").await;
    insta::assert_snapshot!(server.transcript());
    let sessions =
        |count: usize| format!(r#"{{"sessionIds":["x"{}]}}"#, r#","x""#.repeat(count - 1));
    for (count, expect) in [
        (1_000, StatusCode::NO_CONTENT),
        (1_001, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let line = "POST /auth/app/acme/expire-all";
        let answer = server.ask(line, &sessions(count)).await;
        assert_eq!(answer.status, expect, "{count}");
    }
}
