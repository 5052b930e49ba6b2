//! What is about all of an application or organization: reports, removals, imports.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::harness::{Answer, Server};

async fn with_message() -> Server {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"main"}"#)
        .await;
    for id in ["e1", "e2"] {
        let body = json!({"eventType": "x", "eventId": id, "payload": {"a": 1}});
        server.message("acme", &body.to_string()).await;
        server.until_attempted("acme", id, 1).await;
    }
    server
}

/// The task that was answered, as it is when it has finished.
async fn finished(server: &Server, asked: &Answer) -> Value {
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let line = format!("GET /background-task/{}", asked.text("/id"));
    server
        .until(&line, |task| task["status"] == "finished")
        .await
}

const ALL_TIME: &str = r#""since":"2020-01-01T00:00:00Z","until":"2100-01-01T00:00:00Z""#;

#[tokio::test]
async fn usage_is_reported_by_application() {
    let server = with_message().await;
    let other = server.application(r#"{"name":"Other"}"#).await;
    let asked = server
        .ask("POST /stats/usage/app", &format!("{{{ALL_TIME}}}"))
        .await;
    assert_eq!(asked.json()["unresolvedAppIds"], json!([]));
    let task = finished(&server, &asked).await;
    assert_eq!(task["task"], "application.stats");
    let stats = task["data"]["appStats"].as_array().expect("a list");
    let of = |wanted: &dyn Fn(&Value) -> bool| {
        let found = stats.iter().find(|one| wanted(one)).expect("it is there");
        found["messageDestinations"].clone()
    };
    assert_eq!(of(&|one| one["appUid"] == "acme"), 2);
    assert_eq!(of(&|one| one["appId"] == other.as_str()), 0);
    let body = format!(r#"{{{ALL_TIME},"appIds":["acme","nobody"]}}"#);
    let asked = server.ask("POST /stats/usage/app", &body).await;
    assert_eq!(asked.json()["unresolvedAppIds"], json!(["nobody"]));
    let task = finished(&server, &asked).await;
    assert_eq!(task["data"]["appStats"].as_array().map(Vec::len), Some(1));
    assert_eq!(task["data"]["applicationsSeen"], 1);
}

#[tokio::test]
async fn usage_of_nobody_is_refused() {
    let server = Server::start().await;
    for body in [
        format!(r#"{{{ALL_TIME},"appIds":["nobody"]}}"#),
        format!(r#"{{{ALL_TIME},"appIds":[]}}"#),
        r#"{"since":"2026-01-02T00:00:00Z","until":"2026-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"since":"2026-01-02T00:00:00Z"}"#.to_owned(),
    ] {
        let refused = server.ask("POST /stats/usage/app", &body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}

#[tokio::test]
async fn subscriptions_are_reported_by_application() {
    let server = with_message().await;
    for name in ["a.b", "c.d"] {
        let body = json!({"name": name, "description": ""}).to_string();
        server.ask("POST /event-type", &body).await;
    }
    server.application(r#"{"name":"B","uid":"b"}"#).await;
    for types in [r#"["c.d","a.*"]"#, r#"["c.d"]"#] {
        let body = format!(r#"{{"url":"https://example.com/","eventTypes":{types}}}"#);
        server.endpoint("b", &body).await;
    }
    let asked = server.ask("PUT /stats/usage/event-types", "").await;
    let task = finished(&server, &asked).await;
    assert_eq!(task["task"], "event-type.aggregate");
    let found = task["data"]["event_types"].as_array().expect("a list");
    // Applications made at the same moment stand in any order.
    let mut said: Vec<_> = found
        .iter()
        .map(|one| {
            let types = &one["explicitlySubscribedEventTypes"];
            (types.clone(), one["hasCatchAllEndpoint"].clone())
        })
        .collect();
    said.sort_by_key(|(types, _)| types.to_string());
    let expected = [
        (json!(["a.*", "c.d"]), json!(false)),
        (json!([]), json!(true)),
    ];
    assert_eq!(said, expected);
}

async fn payload(server: &Server, id: &str) -> Value {
    let message = server.ask(&format!("GET /app/acme/msg/{id}"), "").await;
    message.json()["payload"].clone()
}

#[tokio::test]
async fn payloads_are_removed_by_name() {
    let server = with_message().await;
    let body = r#"{"ids":["e1","nobody"]}"#;
    let removed = server.ask("POST /app/acme/msg/bulk-expunge", body).await;
    assert_eq!(removed.status, StatusCode::OK);
    let expected = json!({"results": {"e1": "expunged", "nobody": "not-found"}});
    assert_eq!(removed.json(), expected);
    assert_eq!(payload(&server, "e1").await, json!({"expired": true}));
    assert_eq!(payload(&server, "e2").await, json!({"a": 1}));
    for body in ["{}", r#"{"ids":[]}"#] {
        let refused = server.ask("POST /app/acme/msg/bulk-expunge", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}

#[tokio::test]
async fn all_payloads_of_an_application_are_removed() {
    let server = with_message().await;
    let asked = server
        .ask("POST /app/acme/msg/expunge-all-contents", "")
        .await;
    let task = finished(&server, &asked).await;
    assert_eq!(task["task"], "application.purge_content");
    assert_eq!(task["data"]["messagesPurged"], 2);
    for id in ["e1", "e2"] {
        assert_eq!(payload(&server, id).await, json!({"expired": true}));
    }
    // What is accepted afterwards is kept.
    let later = r#"{"eventType":"x","eventId":"e3","payload":{"a":3}}"#;
    server.message("acme", later).await;
    assert_eq!(payload(&server, "e3").await, json!({"a": 3}));
}

#[tokio::test]
async fn messages_are_searched_by_a_body() {
    let server = with_message().await;
    let tagged = r#"{"eventType":"y","eventId":"e3","payload":{"b":2},"tags":["t"]}"#;
    server.message("acme", tagged).await;
    let found = async |body: &str| {
        let found = server.ask("POST /app/acme/msg/search", body).await;
        assert_eq!(found.status, StatusCode::OK, "{found:?}");
        let data = found.json()["data"].as_array().expect("a list").clone();
        data.iter()
            .map(|one| (one["eventId"].clone(), one["payload"].clone()))
            .collect::<Vec<_>>()
    };
    let bare = |id: &str| (json!(id), json!({}));
    assert_eq!(found("{}").await.len(), 3);
    assert_eq!(found(r#"{"tag":"t"}"#).await, [bare("e3")]);
    let whole = found(r#"{"event_types":["y"],"with_content":true}"#).await;
    assert_eq!(whole, [(json!("e3"), json!({"b": 2}))]);
    assert_eq!(found(r#"{"limit":1}"#).await.len(), 1);
    assert_eq!(found(r#"{"before":"2020-01-01T00:00:00Z"}"#).await, []);
}

const DOCUMENT: &str = r#"{"webhooks":{
    "pet.new":{"post":{"description":"A pet came.","requestBody":{"content":{
        "application/json":{"schema":{"type":"object"}}}}}},
    "pet.gone":{"post":{}}}}"#;

async fn event_types(server: &Server) -> Vec<(String, bool)> {
    let listed = server
        .ask("GET /event-type?include_archived=true", "")
        .await;
    let listed = listed.json()["data"].as_array().expect("a list").clone();
    let one = |one: &Value| {
        let name = one["name"].as_str().expect("a name").to_owned();
        (name, one["archived"] == true)
    };
    listed.iter().map(one).collect()
}

#[tokio::test]
async fn event_types_are_imported_from_an_openapi_document() {
    let server = Server::start().await;
    let old = r#"{"name":"old","description":""}"#;
    server.ask("POST /event-type", old).await;
    let import = async |more: &str| {
        let body = format!(r#"{{"spec":{DOCUMENT}{more}}}"#);
        let imported = server.ask("POST /event-type/import/openapi", &body).await;
        assert_eq!(imported.status, StatusCode::OK, "{imported:?}");
        imported.json()["data"].clone()
    };
    let asked = import(r#","dryRun":true,"replaceAll":true"#).await;
    assert_eq!(asked["modified"], json!([]));
    assert_eq!(asked["to_archive"], json!(["old"]));
    assert_eq!(asked["to_modify"][1]["description"], "A pet came.");
    assert_eq!(event_types(&server).await, [("old".to_owned(), false)]);
    let done = import("").await;
    assert_eq!(done, json!({"modified": ["pet.gone", "pet.new"]}));
    assert_eq!(import("").await["modified"], json!([]), "nothing is new");
    let replaced = import(r#","replaceAll":true"#).await;
    assert_eq!(replaced["modified"], json!(["old"]));
    let named = |name: &str, archived| (name.to_owned(), archived);
    assert_eq!(
        event_types(&server).await,
        [
            named("old", true),
            named("pet.gone", false),
            named("pet.new", false)
        ]
    );
}

#[tokio::test]
async fn an_import_with_a_fault_changes_nothing() {
    let server = Server::start().await;
    for (body, status) in [
        ("{}", StatusCode::BAD_REQUEST),
        (r#"{"spec":{},"specRaw":""}"#, StatusCode::BAD_REQUEST),
        (r#"{"spec":{}}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (
            r#"{"specRaw":"webhooks: {good: {post: {}}, bad name: {post: {}}}"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            r#"{"spec":{"webhooks":{"good":{"post":{}},"bad":{"post":{"requestBody":{"content":
                {"application/json":{"schema":{"type":"nonsense"}}}}}}}}}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let refused = server.ask("POST /event-type/import/openapi", body).await;
        assert_eq!(refused.status, status, "{body}: {refused:?}");
    }
    assert_eq!(event_types(&server).await, []);
}

#[tokio::test]
async fn what_one_organization_exports_another_imports() {
    let mut server = Server::start().await;
    let body = r#"{"name":"a.b","description":"A","schemas":{"1":{"type":"object"}}}"#;
    server.ask("POST /event-type", body).await;
    let exported = server.ask("POST /environment/export", "").await;
    assert_eq!(exported.status, StatusCode::OK);
    assert_eq!(exported.json()["connectors"], json!([]));
    server.speak_as(server.organization_token("org_other"));
    let body = exported.json().to_string();
    let imported = server.ask("POST /environment/import", &body).await;
    assert_eq!(imported.status, StatusCode::NO_CONTENT, "{imported:?}");
    let found = server.ask("GET /event-type/a.b", "").await;
    assert_eq!(found.json()["schemas"], json!({"1": {"type": "object"}}));
    for body in [r#"{"settings":{"a":1}}"#, r#"{"connectors":[{}]}"#] {
        let refused = server.ask("POST /environment/import", body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
}

#[tokio::test]
async fn what_no_sdk_can_read_is_listed_only_where_it_is_asked_for() {
    let server = with_message().await;
    let body = r#"{"createdBefore":"2100-01-01T00:00:00Z"}"#;
    let cancel = server
        .ask("POST /app/acme/endpoint/main/cancel-msgs", body)
        .await;
    assert_eq!(cancel.status, StatusCode::NO_CONTENT, "{cancel:?}");
    let listed = server.ask("GET /background-task", "").await;
    assert_eq!(listed.json()["data"], json!([]));
    let line = "GET /background-task?task=endpoint.cancel-msgs";
    let listed = server.ask(line, "").await;
    assert_eq!(listed.text("/data/0/task"), "endpoint.cancel-msgs");
}
