//! Limits, each at, below and above its value.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use watchfire_api::{ClientAddress, RateLimits};
use watchfire_domain::limit;

use super::harness::Server;

async fn with_application() -> Server {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
}

fn message_with_payload_of(bytes: usize) -> String {
    let text = "x".repeat(bytes - r#"{"a":""}"#.len());
    format!(r#"{{"eventType":"x","payload":{{"a":"{text}"}}}}"#)
}

#[tokio::test]
async fn a_payload_has_a_largest_size() {
    let server = with_application().await;
    let send = async |bytes: usize| {
        server
            .ask(
                "POST /app/acme/msg?with_content=false",
                &message_with_payload_of(bytes),
            )
            .await
    };
    assert_eq!(
        send(limit::PAYLOAD_BYTES_MAX).await.status,
        StatusCode::ACCEPTED
    );
    let refused = send(limit::PAYLOAD_BYTES_MAX + 1).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused.text("/code"), "payload_too_large");
    assert_eq!(
        send(2 * limit::PAYLOAD_BYTES_MAX).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn other_bodies_have_a_largest_size() {
    let server = with_application().await;
    let padded = |bytes: usize| {
        let body = r#"{"name":"A"}"#;
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    let send = async |bytes| server.ask("POST /app", &padded(bytes)).await.status;
    assert_eq!(
        send(limit::REQUEST_BODY_BYTES_MAX).await,
        StatusCode::CREATED
    );
    assert_eq!(
        send(limit::REQUEST_BODY_BYTES_MAX + 1).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_off_as_well() {
    let server = with_application().await;
    let request = server.request("POST /app", "");
    let chunk = || Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![b' '; 64 * 1024]));
    let body = Body::new(Endless(chunk().expect("a chunk")));
    let answer = server.send(request.map(|_| body)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A body that never ends.
struct Endless(axum::body::Bytes);

impl http_body::Body for Endless {
    type Data = axum::body::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(self.0.clone()))))
    }
}

/// A body that fails the test if anybody reads it.
struct Unread;

impl http_body::Body for Unread {
    type Data = axum::body::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        panic!("the body was read before it was known who is calling")
    }
}

#[tokio::test]
async fn nothing_is_read_from_those_who_may_not_speak() {
    let mut server = with_application().await;
    server.speak_as("nobody".into());
    for line in ["POST /app", "POST /app/acme/msg", "POST /app/acme/endpoint"] {
        let request = server.request(line, "").map(|_| Body::new(Unread));
        assert_eq!(
            server.send(request).await.status,
            StatusCode::UNAUTHORIZED,
            "{line}"
        );
    }
}

#[tokio::test]
async fn nothing_is_read_of_a_body_that_is_announced_too_large_or_compressed() {
    let server = with_application().await;
    let with = |name: header::HeaderName, value: &str| {
        let mut request = server
            .request("POST /app/acme/msg", "")
            .map(|_| Body::new(Unread));
        request
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
        request
    };
    let large = server
        .send(with(header::CONTENT_LENGTH, "1073741824"))
        .await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let packed = server.send(with(header::CONTENT_ENCODING, "gzip")).await;
    assert_eq!(packed.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(packed.text("/code"), "unsupported_encoding");
}

#[tokio::test]
async fn nesting_has_a_largest_depth() {
    let server = with_application().await;
    let send = async |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        let body = format!(r#"{{"eventType":"x","payload":{{"a":{open}{close}}}}}"#);
        server.ask("POST /app/acme/msg", &body).await
    };
    assert_eq!(
        send(limit::JSON_DEPTH_MAX - 1).await.status,
        StatusCode::ACCEPTED
    );
    let refused = send(limit::JSON_DEPTH_MAX).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.text("/detail/0/loc/1"), "payload");
    let deepest = send(500_000).await;
    assert_eq!(deepest.status, StatusCode::UNPROCESSABLE_ENTITY);
    let deep = format!(r#"{{"name":"A","metadata":{}}}"#, "[".repeat(500_000));
    let refused = server.ask("POST /app", &deep).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn lists_of_an_endpoint_have_limits() {
    let server = with_application().await;
    let names = |count: usize| {
        (0..count)
            .map(|n| format!("\"c{n}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    let send = async |field: &str, count: usize| {
        let body = format!(
            r#"{{"url":"https://example.com/","{field}":[{}]}}"#,
            names(count)
        );
        server.ask("POST /app/acme/endpoint", &body).await
    };
    let max = limit::CHANNELS_PER_ENDPOINT_MAX;
    assert_eq!(send("channels", max).await.status, StatusCode::CREATED);
    let refused = send("channels", max + 1).await;
    assert_eq!(refused.text("/detail/0/loc/1"), "channels");
    let refused = send("eventTypes", limit::EVENT_TYPES_PER_ENDPOINT_MAX + 1).await;
    assert_eq!(refused.text("/detail/0/loc/1"), "eventTypes");
}

#[tokio::test]
async fn names_and_values_have_limits() {
    let server = with_application().await;
    let send = async |body: String| server.ask("POST /app", &body).await.status;
    let named = |chars: usize| format!(r#"{{"name":"{}"}}"#, "ü".repeat(chars));
    assert_eq!(
        send(named(limit::NAME_CHARS_MAX)).await,
        StatusCode::CREATED
    );
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    assert_eq!(send(named(limit::NAME_CHARS_MAX + 1)).await, refused);
    let uid = |chars: usize| format!(r#"{{"name":"A","uid":"{}"}}"#, "u".repeat(chars));
    assert_eq!(send(uid(limit::NAME_CHARS_MAX)).await, StatusCode::CREATED);
    assert_eq!(send(uid(limit::NAME_CHARS_MAX + 1)).await, refused);
    let data = |entries: usize, chars: usize| {
        let value = "v".repeat(chars);
        let entry = |n: usize| format!(r#""k{n}":"{value}""#);
        let entries = (0..entries).map(entry).collect::<Vec<_>>().join(",");
        format!(r#"{{"name":"A","metadata":{{{entries}}}}}"#)
    };
    assert_eq!(
        send(data(limit::METADATA_ENTRIES_MAX, 1)).await,
        StatusCode::CREATED
    );
    assert_eq!(
        send(data(limit::METADATA_ENTRIES_MAX + 1, 1)).await,
        refused
    );
    assert_eq!(
        send(data(1, limit::METADATA_VALUE_CHARS_MAX)).await,
        StatusCode::CREATED
    );
    assert_eq!(
        send(data(1, limit::METADATA_VALUE_CHARS_MAX + 1)).await,
        refused
    );
}

#[tokio::test]
async fn headers_of_an_endpoint_have_limits() {
    let server = with_application().await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"main"}"#)
        .await;
    let send = async |headers: usize, chars: usize| {
        let value = "v".repeat(chars);
        let header = |n: usize| format!(r#""h{n}":"{value}""#);
        let headers = (0..headers).map(header).collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"headers":{{{headers}}}}}"#);
        server
            .ask("PUT /app/acme/endpoint/main/headers", &body)
            .await
            .status
    };
    let refused = StatusCode::UNPROCESSABLE_ENTITY;
    assert_eq!(
        send(limit::HEADERS_PER_ENDPOINT_MAX, 1).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(send(limit::HEADERS_PER_ENDPOINT_MAX + 1, 1).await, refused);
    assert_eq!(
        send(1, limit::HEADER_VALUE_CHARS_MAX).await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(send(1, limit::HEADER_VALUE_CHARS_MAX + 1).await, refused);
    assert_eq!(
        send(2, limit::HEADER_VALUE_CHARS_MAX).await,
        refused,
        "too many bytes in all"
    );
}

#[tokio::test]
async fn who_asks_too_often_waits_and_learns_how_long() {
    let limits = RateLimits {
        per_credential: NonZeroU32::new(2),
        ..RateLimits::default()
    };
    let server = Server::limited(limits).await;
    for _ in 0..4 {
        let answer = server.ask("GET /app", "").await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let answer = server.ask("GET /app", "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.text("/code"), "rate_limited");
    assert_eq!(answer.headers["retry-after"], "1");
    let open = server.ask("GET /health/ping", "").await;
    assert_eq!(open.status, StatusCode::NO_CONTENT);
    server.clock.advance(Duration::from_millis(500));
    let answer = server.ask("GET /app", "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_guesses_is_not_listened_to() {
    let limits = RateLimits {
        refusals_per_address: NonZeroU32::new(3),
        ..RateLimits::default()
    };
    let server = Server::limited(limits).await;
    let ask = async |credential: Option<&str>, address: [u8; 4]| {
        let mut request = server.request("GET /app", "");
        if let Some(credential) = credential {
            let value = format!("Bearer {credential}").parse().expect("a value");
            request.headers_mut().insert("authorization", value);
        }
        let from = ClientAddress(address.into());
        request.extensions_mut().insert(from);
        server.send(request).await.status
    };
    let (guesser, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    assert_eq!(ask(None, guesser).await, StatusCode::OK, "it is good");
    for _ in 0..3 {
        assert_eq!(ask(Some("guess"), guesser).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        ask(Some("guess"), guesser).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        ask(None, guesser).await,
        StatusCode::OK,
        "it was good before"
    );
    assert_eq!(ask(Some("guess"), other).await, StatusCode::UNAUTHORIZED);
    server.clock.advance(Duration::from_secs(20));
    assert_eq!(ask(Some("guess"), guesser).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_whoever_sends_it() {
    let server = with_application().await;
    for (line, max) in [
        ("POST /app", limit::REQUEST_BODY_BYTES_MAX),
        ("POST /app/acme/msg", limit::MESSAGE_BODY_BYTES_MAX),
        ("POST /app/acme/msg/", limit::MESSAGE_BODY_BYTES_MAX),
        ("POST /app/acme/msg-batch", limit::BATCH_BYTES_MAX),
    ] {
        for (bytes, expected) in [
            (max, StatusCode::UNAUTHORIZED),
            (max + 1, StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let mut request = server.request(line, "").map(|_| Body::new(Unread));
            let headers = request.headers_mut();
            headers.insert(header::CONTENT_LENGTH, bytes.into());
            headers.insert(
                header::AUTHORIZATION,
                "Bearer nonsense".parse().expect("text"),
            );
            let answer = server.send(request).await;
            assert_eq!(answer.status, expected, "{line} with {bytes} bytes");
            // Its body was not read: the connection can't be used again.
            assert_eq!(answer.headers[header::CONNECTION], "close");
        }
    }
    let read = server.ask("POST /app", r#"{"name":"B"}"#).await;
    assert!(!read.headers.contains_key(header::CONNECTION));
}
