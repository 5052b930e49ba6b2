//! Messages.

use axum::http::StatusCode;

use super::harness::Server;

async fn with_application() -> Server {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    server
}

#[tokio::test]
async fn a_message_lives_from_creation_to_expunging() {
    let mut server = with_application().await;
    let body = r#"{"eventType":"threat.created","eventId":"e1","payload":{"b":1, "a" : [1.0, "\u00fc"]},"channels":["eu","eu"],"tags":["x"],"recordKey":"t1","deliverAt":"2026-02-20T10:31:00Z"}"#;
    let id = server.show("POST /app/acme/msg", body).await.text("/id");
    server.show("GET /app/acme/msg", "").await;
    server.show(&format!("GET /app/acme/msg/{id}"), "").await;
    server
        .show("GET /app/acme/msg/e1?with_content=false", "")
        .await;
    server.show("DELETE /app/acme/msg/e1/content", "").await;
    server.show("GET /app/acme/msg/e1", "").await;
    server.show("GET /app/acme/msg/nobody", "").await;
    server.show("DELETE /app/acme/msg/nobody/content", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_payload_is_kept_and_answered_byte_for_byte() {
    let server = with_application().await;
    let payload = "{\"b\": 1.50e3,\n\t\"a\":\"\\u00fc\\/\",\"b\":2}";
    let body = format!(r#"{{"eventType":"x", "payload" : {payload} ,"eventId":"e"}}"#);
    let created = server.ask("POST /app/acme/msg", &body).await;
    let found = server.ask("GET /app/acme/msg/e", "").await;
    let listed = server.ask("GET /app/acme/msg", "").await;
    for answer in [created, found, listed] {
        let text = String::from_utf8(answer.body).expect("text");
        assert!(text.contains(payload), "{text}");
    }
}

#[tokio::test]
async fn an_event_id_is_taken_once() {
    let mut server = with_application().await;
    let body = r#"{"eventType":"x","eventId":"e1","payload":{}}"#;
    server.show("POST /app/acme/msg", body).await;
    server.show("POST /app/acme/msg", body).await;
    server.application(r#"{"name":"B","uid":"b"}"#).await;
    assert_eq!(
        server.ask("POST /app/b/msg", body).await.status,
        StatusCode::ACCEPTED
    );
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = with_application().await;
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("\"c{n}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    for body in [
        "{}".to_owned(),
        r#"{"eventType":"x"}"#.to_owned(),
        r#"{"payload":{}}"#.to_owned(),
        r#"{"eventType":"x y","payload":{}}"#.to_owned(),
        r#"{"eventType":"x","payload":[]}"#.to_owned(),
        r#"{"eventType":"x","payload":"{}"}"#.to_owned(),
        r#"{"eventType":"x","payload":{"a"}}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"payload":{}}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"eventId":"msg_1"}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"payloadRetentionPeriod":4}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"payloadRetentionPeriod":91}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"channels":["a b"]}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"recordKey":""}"#.to_owned(),
        r#"{"eventType":"x","payload":{},"deliverAt":"soon"}"#.to_owned(),
        format!(
            r#"{{"eventType":"x","payload":{{}},"channels":[{}]}}"#,
            many(6)
        ),
    ] {
        server.show("POST /app/acme/msg", &body).await;
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn labels_have_the_characters_that_the_sdks_allow() {
    let server = with_application().await;
    let endpoint = r#"{"url":"https://example.com/","channels":["project_1:eu+us"]}"#;
    server.endpoint("acme", endpoint).await;
    let message = |labels: &str| format!(r#"{{"eventType":"x","payload":{{}},{labels}}}"#);
    let both = message(r#""channels":["project_1:eu+us"],"tags":["env/prod\\a#1"]"#);
    let id = server.message("acme", &both).await;
    for query in ["channel=project_1%3Aeu%2Bus", "tag=env%2Fprod%5Ca%231"] {
        let found = server.ask(&format!("GET /app/acme/msg?{query}"), "").await;
        assert_eq!(found.text("/data/0/id"), id, "{query}");
    }
    for labels in [
        r#""channels":["a/b"]"#,
        r#""channels":["a#b"]"#,
        r#""tags":["a:b"]"#,
        r#""tags":["a+b"]"#,
        r#""tags":["a b"]"#,
    ] {
        let refused = server.ask("POST /app/acme/msg", &message(labels)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{labels}");
        assert_eq!(refused.text("/detail/0/loc/2"), "[0]", "{labels}");
    }
}

#[tokio::test]
async fn a_message_can_bring_its_application() {
    let mut server = with_application().await;
    let message = |application: &str| {
        format!(r#"{{"eventType":"x","payload":{{}},"application":{application}}}"#)
    };
    server
        .show("POST /app/new/msg", r#"{"eventType":"x","payload":{}}"#)
        .await;
    server
        .show("POST /app/new/msg", &message(r#"{"name":"New"}"#))
        .await;
    server
        .show(
            "POST /app/new/msg",
            &message(r#"{"name":"New","uid":"other"}"#),
        )
        .await;
    server
        .show("POST /app/new/msg", &message(r#"{"name":"","uid":"new"}"#))
        .await;
    server
        .show(
            "POST /app/new/msg",
            &message(r#"{"name":"New","uid":"new"}"#),
        )
        .await;
    server
        .show(
            "POST /app/new/msg",
            &message(r#"{"name":"Ignored","uid":"other"}"#),
        )
        .await;
    server.show("GET /app/new", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn older_names_and_raw_bodies_are_understood() {
    let mut server = with_application().await;
    let body = r#"{"eventType":"x","data":{"a":1},"transformationsParams":{"rawPayload":"<x/>","headers":{"content-type":"text/xml"}},"unknown":true}"#;
    server
        .show("POST /app/acme/msg?with_content=false", body)
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn messages_are_filtered_by_type_channel_and_tag() {
    let server = with_application().await;
    for (event_type, channel, tag) in [("a", "eu", "t1"), ("b", "us", "t2"), ("c", "eu", "t2")] {
        let body = format!(
            r#"{{"eventType":"{event_type}","payload":{{}},"channels":["{channel}"],"tags":["{tag}"]}}"#
        );
        server.message("acme", &body).await;
    }
    let types = async |query: &str| {
        let answer = server.ask(&format!("GET /app/acme/msg?{query}"), "").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let json = answer.json();
        let data = json["data"].as_array().expect("a list");
        let mut types: Vec<_> = data
            .iter()
            .map(|message| message["eventType"].to_string())
            .collect();
        types.sort();
        types.concat().replace('"', "")
    };
    assert_eq!(types("").await, "abc");
    assert_eq!(types("channel=eu").await, "ac");
    assert_eq!(types("tag=t2").await, "bc");
    assert_eq!(types("event_types=a,b").await, "ab");
    assert_eq!(types("event_types=a&event_types=c").await, "ac");
    assert_eq!(types("event_types[]=a&event_types[]=c").await, "ac");
    assert_eq!(
        types("event_types%5B0%5D=b&event_types%5B1%5D=c").await,
        "bc"
    );
    assert_eq!(types("event_types=&unknown=1").await, "abc");
    assert_eq!(types("event_typesX=a").await, "abc");
}

#[tokio::test]
async fn a_payload_that_breaks_its_schema_is_noted_or_refused() {
    for mut server in [Server::start().await, Server::strict().await] {
        server
            .application(r#"{"name":"A","uid":"a","contract":"defguard"}"#)
            .await;
        server
            .show("POST /app/a/msg", r#"{"eventType":"nobody","payload":{}}"#)
            .await;
        server
            .show(
                "POST /app/a/msg",
                r#"{"eventType":"user_created","payload":{"id":"x"}}"#,
            )
            .await;
        insta::assert_snapshot!(server.transcript());
    }
}

#[tokio::test]
async fn retention_is_given_in_days_or_in_hours() {
    let server = Server::start().await;
    server.application(r#"{"name":"A","uid":"a"}"#).await;
    for (retention, status) in [
        (r#""payloadRetentionPeriod":5"#, StatusCode::ACCEPTED),
        (
            r#""payloadRetentionPeriod":4"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (r#""payloadRetentionPeriod":90"#, StatusCode::ACCEPTED),
        (
            r#""payloadRetentionPeriod":91"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            r#""payloadRetentionHours":0"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (r#""payloadRetentionHours":1"#, StatusCode::ACCEPTED),
        (r#""payloadRetentionHours":2160"#, StatusCode::ACCEPTED),
        (
            r#""payloadRetentionHours":2161"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            r#""payloadRetentionHours":24,"payloadRetentionPeriod":5"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let body = format!(r#"{{"eventType":"x","payload":{{}},{retention}}}"#);
        let answer = server.ask("POST /app/a/msg", &body).await;
        assert_eq!(answer.status, status, "{retention}");
    }
}

#[tokio::test]
async fn a_precheck_says_whether_anybody_subscribes() {
    let server = Server::start().await;
    server.application(r#"{"name":"A","uid":"a"}"#).await;
    let active = async |event_type: &str, channel: &str| {
        let body = format!(r#"{{"eventType":"{event_type}","channels":["{channel}"]}}"#);
        let answer = server.ask("POST /app/a/msg/precheck/active", &body).await;
        answer.json()["active"].as_bool().expect("a bool")
    };
    assert!(!active("threat.created", "x").await);
    let body =
        r#"{"url":"https://example.com/","uid":"e","eventTypes":["threat.*"],"channels":["x"]}"#;
    server.endpoint("a", body).await;
    assert!(active("threat.created", "x").await);
    assert!(!active("threat.created", "y").await);
    assert!(!active("ticket.created", "x").await);
    server
        .ask("PATCH /app/a/endpoint/e", r#"{"disabled":true}"#)
        .await;
    assert!(!active("threat.created", "x").await);
}
