//! Contracts, and the event types that come from them.

use serde_json::Value;

use super::harness::Server;

#[tokio::test]
async fn contracts_are_listed_and_answered_whole() {
    let mut server = Server::start().await;
    server.show("GET /contract", "").await;
    server.show("GET /contract/nothing", "").await;
    let contract = server.ask("GET /contract/defectdojo", "").await.json();
    assert_eq!(contract["retry"], serde_json::json!([]));
    assert_eq!(contract["timeout"], "10s");
    assert_eq!(contract["ping"]["success"], "below400");
    assert_eq!(contract["health"]["cooldown"], "60s");
    assert_eq!(
        contract["request"]["user_agent"],
        "DefectDojo-{product_version}"
    );
    for event_type in contract["eventTypes"].as_array().expect("a list") {
        assert!(event_type["schema"].is_object(), "{event_type}");
        assert!(event_type["sample"].is_object(), "{event_type}");
    }
    insta::assert_snapshot!(server.transcript());
}

async fn names(server: &Server) -> Vec<String> {
    let list = server.ask("GET /event-type?limit=250", "").await.json();
    let names = list["data"].as_array().expect("a list").iter();
    names
        .map(|event_type| event_type["name"].as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn an_application_brings_the_event_types_of_its_contract() {
    let server = Server::start().await;
    assert!(names(&server).await.is_empty());
    let app = r#"{"name":"waf","contract":"website-defender"}"#;
    server.application(app).await;
    server.application(app).await;
    let own = server
        .ask("GET /contract/website-defender", "")
        .await
        .json();
    let listed: Vec<_> = own["eventTypes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event_type| event_type["name"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(names(&server).await, listed);
    let made = server.ask("GET /event-type/auto_ban", "").await.json();
    assert_eq!(made["contract"], "website-defender");
    assert!(
        made["schemas"]["1"]["examples"][0]["client_ip"].is_string(),
        "{made}"
    );
}

#[tokio::test]
async fn what_people_made_is_not_overwritten_by_a_contract() {
    let server = Server::start().await;
    let own = r#"{"name":"auto_ban","description":"ours"}"#;
    server.ask("POST /event-type", own).await;
    let app = server.application(r#"{"name":"waf"}"#).await;
    let named = r#"{"contract":"website-defender"}"#;
    server.ask(&format!("PATCH /app/{app}"), named).await;
    let kept = server.ask("GET /event-type/auto_ban", "").await.json();
    assert_eq!(kept["description"], "ours");
    assert_eq!(kept["contract"], Value::Null);
    assert!(names(&server).await.contains(&"brute_force".to_owned()));
}
