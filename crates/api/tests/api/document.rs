//! The OpenAPI document, and the surface of the Svix server that clients rely on.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use super::authorization::routes;
use super::harness::Server;

/// Operations and required fields of the Svix server's open API.
const SVIX: &str = include_str!("svix-surface.json");

/// Calls of the SDKs for Rust 2.9, JavaScript 1.99 and Python 1.99.
const SDK_CALLS: &str = include_str!("sdk-calls.json");

fn ours() -> Value {
    serde_json::from_str(&watchfire_api::document()).expect("JSON")
}

/// Compares a page with what the code says, or writes it if `WATCHFIRE_UPDATE_DOCS` is set.
fn expect_fresh(page: &str, expected: &str) {
    let path = format!("{}/../../docs/reference/{page}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("WATCHFIRE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{page} is out of date; run `make docs` and commit the page"
    );
}

#[test]
fn the_stored_document_is_fresh() {
    expect_fresh("openapi.json", &(watchfire_api::document() + "\n"));
}

#[test]
fn the_page_of_errors_is_fresh() {
    expect_fresh("errors.md", &watchfire_api::errors_reference());
}

#[test]
fn the_page_of_scopes_is_fresh() {
    expect_fresh("scopes.md", &watchfire_api::scopes_reference());
}

#[tokio::test]
async fn every_documented_route_is_there() {
    let server = Server::start().await;
    for route in routes() {
        let line = route.replace(['{', '}'], "");
        let answer = server.ask(&line, "{}").await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{route}");
        let detail = answer.json()["detail"].clone();
        assert_ne!(detail, "There is no such path", "{route}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_documented_is_not_there() {
    let server = Server::start().await;
    let routes = routes();
    let paths: BTreeSet<_> = routes
        .iter()
        .filter_map(|route| route.split_once(' '))
        .collect();
    for (_, path) in &paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if paths.contains(&(method, path)) {
                continue;
            }
            let line = format!("{method} {path}").replace(['{', '}'], "");
            let answer = server.ask(&line, "{}").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{line}");
        }
    }
}

#[tokio::test]
async fn the_reference_page_is_served_without_a_credential() {
    let server = Server::start().await;
    for (path, kind) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/", "text/html; charset=utf-8"),
        ("/docs/reference.css", "text/css; charset=utf-8"),
    ] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = server.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers["content-type"], kind);
        let policy = answer.headers["content-security-policy"]
            .to_str()
            .expect("text");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn every_operation_of_the_peer_is_ours() {
    let svix: Value = serde_json::from_str(SVIX).expect("JSON");
    let ours: BTreeSet<_> = routes().into_iter().collect();
    for operation in svix["operations"].as_array().expect("a list") {
        let operation = operation.as_str().expect("a text");
        assert!(ours.contains(operation), "{operation}");
    }
}

#[tokio::test]
async fn every_call_of_the_sdks_is_answered_or_refused_by_name() {
    let calls: Vec<String> = serde_json::from_str(SDK_CALLS).expect("JSON");
    let ours = routes();
    let server = Server::start().await;
    for call in calls {
        let ours = ours.contains(&call.replacen("/api/v1", "", 1));
        let (method, path) = call.split_once(' ').expect("a method and a path");
        let path = path.replace(['{', '}'], "");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty());
        let answer = server.send(request.expect("a request")).await;
        if ours {
            let open = call.ends_with("/health");
            let refused = answer.status == StatusCode::UNAUTHORIZED;
            assert!(refused != open, "{call}: {answer:?}");
        } else {
            assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{call}");
            assert_eq!(answer.text("/code"), "not_implemented");
            let detail = answer.text("/detail");
            assert!(detail.starts_with("This server does not offer"), "{detail}");
        }
    }
}

#[test]
fn every_field_of_the_peer_is_ours() {
    let svix: Value = serde_json::from_str(SVIX).expect("JSON");
    let document = ours();
    for (name, fields) in svix["schemas"].as_object().expect("an object") {
        let schema = &document["components"]["schemas"][name];
        let known = properties(&document, schema);
        for field in fields.as_array().expect("a list") {
            let field = field.as_str().expect("a text");
            assert!(known.contains(field), "{name}.{field}");
        }
    }
}

fn properties(document: &Value, schema: &Value) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    if let Some(own) = schema["properties"].as_object() {
        known.extend(own.keys().cloned());
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        known.extend(properties(document, part));
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        known.extend(properties(
            document,
            &document["components"]["schemas"][name],
        ));
    }
    known
}
