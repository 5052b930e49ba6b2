//! Lists, a page at a time.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;

use super::harness::Server;

fn names(page: &Value, field: &str) -> Vec<String> {
    let data = page["data"].as_array().expect("a list");
    data.iter()
        .map(|item| item[field].as_str().expect("a text").to_owned())
        .collect()
}

async fn walk(server: &Server, path: &str, field: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut iterator = String::new();
    loop {
        let page = server
            .ask(&format!("GET {path}limit=2{iterator}"), "")
            .await
            .json();
        pages.push(names(&page, field));
        if page["done"] == true {
            break;
        }
        iterator = format!("&iterator={}", page["iterator"].as_str().expect("a text"));
    }
    pages
}

/// Goes to the end and back, and expects the same pages.
async fn there_and_back(server: &Server, path: &str, field: &str, expect: &[&[&str]]) {
    let pages = walk(server, path, field).await;
    assert_eq!(pages, expect, "{path}");
    let last = {
        let mut iterator = String::new();
        let mut page = Value::Null;
        for _ in 0..pages.len() {
            page = server
                .ask(&format!("GET {path}limit=2{iterator}"), "")
                .await
                .json();
            iterator = format!("&iterator={}", page["iterator"].as_str().expect("a text"));
        }
        page
    };
    let mut page = last;
    for earlier in pages.iter().rev().skip(1) {
        let back = page["prevIterator"].as_str().expect("a text").to_owned();
        page = server
            .ask(&format!("GET {path}limit=2&iterator={back}"), "")
            .await
            .json();
        assert_eq!(&names(&page, field), earlier, "back to {back}");
    }
    assert_eq!(page["done"], true, "the start was reached");
}

async fn with_five() -> Server {
    let server = Server::start().await;
    for n in 1..=5 {
        server
            .application(&format!(r#"{{"name":"a{n}","uid":"a{n}"}}"#))
            .await;
        let body = format!(r#"{{"url":"https://example.com/","description":"e{n}"}}"#);
        server.endpoint("a1", &body).await;
        let body = format!(r#"{{"eventType":"m{n}","eventId":"m{n}","payload":{{}}}}"#);
        server.message("a1", &body).await;
        let body = format!(r#"{{"name":"t{n}","description":""}}"#);
        server.ask("POST /event-type", &body).await;
        server.clock.advance(Duration::from_secs(1));
    }
    server
}

#[tokio::test]
async fn lists_are_walked_both_ways() {
    let server = with_five().await;
    let up: &[&[&str]] = &[&["a1", "a2"], &["a3", "a4"], &["a5"]];
    there_and_back(&server, "/app?", "name", up).await;
    let down: &[&[&str]] = &[&["a5", "a4"], &["a3", "a2"], &["a1"]];
    there_and_back(&server, "/app?order=descending&", "name", down).await;
    let down: &[&[&str]] = &[&["e5", "e4"], &["e3", "e2"], &["e1"]];
    there_and_back(&server, "/app/a1/endpoint?", "description", down).await;
    let down: &[&[&str]] = &[&["m5", "m4"], &["m3", "m2"], &["m1"]];
    there_and_back(&server, "/app/a1/msg?", "eventType", down).await;
    let up: &[&[&str]] = &[&["t1", "t2"], &["t3", "t4"], &["t5"]];
    there_and_back(&server, "/event-type?", "name", up).await;
    let down: &[&[&str]] = &[&["t5", "t4"], &["t3", "t2"], &["t1"]];
    there_and_back(&server, "/event-type?order=descending&", "name", down).await;
}

#[tokio::test]
async fn destinations_and_attempts_are_walked_both_ways() {
    let server = Server::start().await;
    server.application(r#"{"name":"a","uid":"a"}"#).await;
    for n in 1..=5 {
        let body = format!(r#"{{"url":"https://example.com/{n}","description":"e{n}"}}"#);
        server.endpoint("a", &body).await;
        server.clock.advance(Duration::from_secs(1));
    }
    server
        .message("a", r#"{"eventType":"x","payload":{},"eventId":"m"}"#)
        .await;
    server.until_attempted("a", "m", 5).await;
    let up: &[&[&str]] = &[&["e1", "e2"], &["e3", "e4"], &["e5"]];
    there_and_back(&server, "/app/a/msg/m/endpoint?", "description", up).await;
    let pages = walk(&server, "/app/a/attempt/msg/m?", "id").await;
    let ids: Vec<_> = pages.concat();
    assert!(ids.is_sorted_by(|a, b| a > b) && ids.len() == 5, "{ids:?}");
}

#[tokio::test]
async fn bounds_in_time_are_exclusive() {
    let server = with_five().await;
    let found = async |query: &str| {
        let page = server
            .ask(&format!("GET /app/a1/msg?{query}"), "")
            .await
            .json();
        names(&page, "eventType").concat()
    };
    assert_eq!(found("before=2026-02-20T10:30:02Z").await, "m2m1");
    assert_eq!(found("after=2026-02-20T10:30:02.5Z").await, "m5m4");
    assert_eq!(
        found("after=2026-02-20T10:30:00.5Z&before=2026-02-20T10:30:03Z").await,
        "m3m2"
    );
    assert_eq!(
        found("after=2026-02-20T10:30:00.5Z&limit=2").await,
        "m3m2",
        "upward from the bound"
    );
    assert_eq!(found("before=2026-02-20T12:30:02%2B02:00").await, "m2m1");
    assert_eq!(found("after=2026-02-20T10:31:00Z").await, "");
}

#[tokio::test]
async fn a_list_by_time_looks_at_ninety_days() {
    let server = Server::start().await;
    server.application(r#"{"name":"a","uid":"a"}"#).await;
    let day = Duration::from_hours(24);
    server
        .message("a", r#"{"eventType":"old","payload":{}}"#)
        .await;
    server.clock.advance(89 * day);
    server
        .message("a", r#"{"eventType":"new","payload":{}}"#)
        .await;
    let found = async |query: &str| {
        let page = server
            .ask(&format!("GET /app/a/msg?{query}"), "")
            .await
            .json();
        names(&page, "eventType").join(",")
    };
    assert_eq!(found("").await, "new,old");
    server.clock.advance(2 * day);
    assert_eq!(found("").await, "new");
    assert_eq!(found("before=2026-05-21T00:00:00Z").await, "new,old");
    assert_eq!(found("after=2026-02-01T00:00:00Z").await, "old");
    assert_eq!(
        found("before=2126-05-21T00:00:00Z").await,
        "new",
        "nothing lies far ahead"
    );
}

#[tokio::test]
async fn an_empty_list_has_no_iterators() {
    let server = Server::start().await;
    let page = server.ask("GET /app", "").await.json();
    let expect = serde_json::json!({"data": [], "iterator": null, "done": true});
    assert_eq!(page, expect);
}

#[tokio::test]
async fn a_page_that_ends_with_the_list_is_done() {
    let server = with_five().await;
    let page = server.ask("GET /app?limit=5", "").await.json();
    assert_eq!(page["done"], true);
    let page = server.ask("GET /app?limit=4", "").await.json();
    assert_eq!(page["done"], false);
}

#[tokio::test]
async fn wrong_queries_are_told_apart() {
    let mut server = Server::start().await;
    for query in [
        "limit=0",
        "limit=250",
        "limit=251",
        "limit=many",
        "limit=-1",
        "order=sideways",
        "iterator=ep_1",
        "iterator=app_1",
        "iterator=-",
        "iterator=",
        "unknown=parameter",
    ] {
        server.show(&format!("GET /app?{query}"), "").await;
    }
    server.application(r#"{"name":"a","uid":"a"}"#).await;
    server.show("GET /app/a/msg?before=yesterday", "").await;
    server.show("GET /app/a/msg?event_types=a%20b", "").await;
    assert_eq!(
        server.ask("GET /app?limit=250", "").await.status,
        StatusCode::OK
    );
    insta::assert_snapshot!(server.transcript());
}
