//! Event types.

use super::harness::Server;

#[tokio::test]
async fn an_event_type_lives_from_creation_to_removal() {
    let mut server = Server::start().await;
    let body = r#"{"name":"threat.created","description":"A threat","schemas":{"1":{"type":"object"}},"groupName":"threats"}"#;
    server.show("POST /event-type", body).await;
    server.show("POST /event-type", body).await;
    server.show("GET /event-type/threat.created", "").await;
    server.show("GET /event-type", "").await;
    server.show("GET /event-type?with_content=true", "").await;
    server
        .show(
            "PUT /event-type/threat.created",
            r#"{"description":"Another"}"#,
        )
        .await;
    server
        .show("PATCH /event-type/threat.created", r#"{"deprecated":true}"#)
        .await;
    server.show("DELETE /event-type/threat.created", "").await;
    server.show("GET /event-type", "").await;
    server
        .show("GET /event-type?include_archived=true", "")
        .await;
    server
        .show(
            "POST /event-type",
            r#"{"name":"threat.created","description":"Revived"}"#,
        )
        .await;
    server
        .show("DELETE /event-type/threat.created?expunge=true", "")
        .await;
    server.show("GET /event-type/threat.created", "").await;
    server.show("DELETE /event-type/threat.created", "").await;
    server
        .show("PUT /event-type/threat.created", r#"{"description":"Put"}"#)
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn flagged_event_types_are_seen_by_those_with_the_flag() {
    let mut server = Server::start().await;
    let app = server.application(r#"{"name":"A"}"#).await;
    for (name, flag) in [
        ("a", "null"),
        ("b", "\"beta\""),
        ("c", "\"gamma\""),
        ("d", "null"),
    ] {
        let body = format!(r#"{{"name":"{name}","description":"","featureFlag":{flag}}}"#);
        server.ask("POST /event-type", &body).await;
    }
    server.show("GET /event-type?limit=3", "").await;
    server.speak_as(server.application_token(&app, &["beta"]));
    server.show("GET /event-type?limit=3", "").await;
    server.show("GET /event-type/b", "").await;
    server.show("GET /event-type/c", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = Server::start().await;
    for body in [
        "{}",
        r#"{"name":"a b","description":""}"#,
        r#"{"name":"a"}"#,
        r#"{"name":"a","description":"","featureFlag":"no flag"}"#,
        r#"{"name":"a","description":"","schemas":[]}"#,
        r#"{"name":"a","description":"","schemas":{"1":true}}"#,
    ] {
        server.show("POST /event-type", body).await;
    }
    server
        .show("PUT /event-type/a%20b", r#"{"description":""}"#)
        .await;
    server.show("GET /event-type/a%20b", "").await;
    server.show("PATCH /event-type/nothing", "{}").await;
    insta::assert_snapshot!(server.transcript());
}
