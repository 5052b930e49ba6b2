//! Endpoints, their secrets and their headers.

use axum::http::StatusCode;
use serde_json::Value;
use watchfire_testkit::{Reply, Script};

use super::harness::Server;

async fn with_application() -> Server {
    let server = Server::start().await;
    server.application(r#"{"name":"Acme","uid":"acme"}"#).await;
    for name in ["threat.created", "threat.closed"] {
        let body = format!(r#"{{"name":"{name}","description":""}}"#);
        server.ask("POST /event-type", &body).await;
    }
    server
}

#[tokio::test]
async fn an_endpoint_lives_from_creation_to_deletion() {
    let mut server = with_application().await;
    server.show("GET /app/acme/endpoint", "").await;
    let body = r#"{"url":"https://example.com/hook","uid":"main","description":"ours","eventTypes":["threat.created","threat.created"],"channels":["eu"],"throttleRate":5,"metadata":{"a":"b"},"version":3}"#;
    let id = server
        .show("POST /app/acme/endpoint", body)
        .await
        .text("/id");
    server
        .show(&format!("GET /app/acme/endpoint/{id}"), "")
        .await;
    server.show("GET /app/acme/endpoint/main", "").await;
    server.show("GET /app/acme/endpoint", "").await;
    server
        .show(
            "PUT /app/acme/endpoint/main",
            r#"{"url":"https://example.com/new","uid":"main"}"#,
        )
        .await;
    server
        .show(
            "PATCH /app/acme/endpoint/main",
            r#"{"eventTypes":["threat.*"],"disabled":true}"#,
        )
        .await;
    server
        .show(
            "PATCH /app/acme/endpoint/main",
            r#"{"eventTypes":null,"disabled":false}"#,
        )
        .await;
    server
        .show(
            "PUT /app/acme/endpoint/other",
            r#"{"url":"https://example.com/other"}"#,
        )
        .await;
    server.show("DELETE /app/acme/endpoint/main", "").await;
    server.show("GET /app/acme/endpoint/main", "").await;
    server.show("DELETE /app/acme/endpoint/main", "").await;
    server.show("PATCH /app/acme/endpoint/main", "{}").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_uid_belongs_to_one_endpoint_of_an_application() {
    let mut server = with_application().await;
    server.application(r#"{"name":"B","uid":"b"}"#).await;
    let body = r#"{"url":"https://example.com/","uid":"main"}"#;
    server.show("POST /app/acme/endpoint", body).await;
    server.show("POST /app/acme/endpoint", body).await;
    let other = server.ask("POST /app/b/endpoint", body).await;
    assert_eq!(other.status, StatusCode::CREATED);
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn names_of_older_clients_are_understood() {
    let mut server = with_application().await;
    let body = r#"{"url":"https://example.com/","filterTypes":["threat.closed"],"rateLimit":7}"#;
    let id = server
        .show("POST /app/acme/endpoint", body)
        .await
        .text("/id");
    let body = r#"{"filterTypes":["threat.created"],"rateLimit":8}"#;
    server
        .show(&format!("PATCH /app/acme/endpoint/{id}"), body)
        .await;
    let body = r#"{"url":"https://example.com/","filterTypes":["threat.closed"],"eventTypes":["threat.created"]}"#;
    server
        .show(&format!("PUT /app/acme/endpoint/{id}"), body)
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn an_empty_list_of_event_types_means_all() {
    let mut server = with_application().await;
    let body = r#"{"url":"https://example.com/","eventTypes":[],"channels":[]}"#;
    server.show("POST /app/acme/endpoint", body).await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = with_application().await;
    for body in [
        "{}",
        r#"{"url":"ftp://example.com/"}"#,
        r#"{"url":"https://user:pass@example.com/"}"#,
        r#"{"url":"http://127.0.0.1/"}"#,
        r#"{"url":"http://169.254.169.254/latest"}"#,
        r#"{"url":"http://0x7f.1/"}"#,
        r#"{"url":"https://example.com/","eventTypes":["nobody"]}"#,
        r#"{"url":"https://example.com/","eventTypes":["a b","*","th*eat"]}"#,
        r#"{"url":"https://example.com/","eventTypes":"threat.created"}"#,
        r#"{"url":"https://example.com/","eventTypes":["threat.created",5]}"#,
        r#"{"url":"https://example.com/","channels":["a b",""]}"#,
        r#"{"url":"https://example.com/","uid":"ep_x"}"#,
        r#"{"url":"https://example.com/","secret":"short"}"#,
        r#"{"url":"https://example.com/","version":0}"#,
        r#"{"url":"https://example.com/","method":"DELETE"}"#,
        r#"{"url":"https://example.com/","method":"PUT"}"#,
        r#"{"url":"https://example.com/","auth":{"type":"magic"}}"#,
        r#"{"url":"https://example.com/","auth":{"type":"basic","username":"a:b","password":"c"}}"#,
        r#"{"url":"https://example.com/","auth":{"type":"bearer","token":"a\nb"}}"#,
        r#"{"url":"https://example.com/","auth":{"type":"header","name":"webhook-id","value":"x"}}"#,
    ] {
        server.show("POST /app/acme/endpoint", body).await;
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_credential_goes_in_and_never_comes_out() {
    let mut server = with_application().await;
    for auth in [
        r#"{"type":"basic","username":"ann","password":"swordfish"}"#,
        r#"{"type":"bearer","token":"swordfish"}"#,
        r#"{"type":"header","name":"X-Api-Key","value":"swordfish"}"#,
        r#"{"type":"none"}"#,
    ] {
        let body = format!(r#"{{"url":"https://example.com/","auth":{auth}}}"#);
        let answer = server.ask("PUT /app/acme/endpoint/main", &body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let text = String::from_utf8(answer.body.clone()).expect("text");
        assert!(!text.contains("swordfish"), "{text}");
        let json = &answer.json()["auth"];
        assert_eq!(
            json["type"],
            serde_json::from_str::<Value>(auth).expect("JSON")["type"]
        );
        assert_eq!(json["fingerprint"].is_string(), json["type"] != "none");
    }
    let put =
        r#"{"url":"https://example.com/","uid":"main","auth":{"type":"bearer","token":"one"}}"#;
    let print = server
        .ask("PUT /app/acme/endpoint/main", put)
        .await
        .text("/auth/fingerprint");
    let kept = server
        .ask(
            "PUT /app/acme/endpoint/main",
            r#"{"url":"https://example.com/2","uid":"main"}"#,
        )
        .await;
    assert_eq!(
        kept.text("/auth/fingerprint"),
        print,
        "a client that knows no auth keeps it"
    );
    server
        .show(
            "PATCH /app/acme/endpoint/main",
            r#"{"auth":null,"ordered":false,"owner":"ann"}"#,
        )
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn the_secret_can_be_given_read_and_rotated() {
    let mut server = with_application().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = format!(r#"{{"url":"https://example.com/","uid":"main","secret":"{secret}"}}"#);
    server.endpoint("acme", &body).await;
    server.show("GET /app/acme/endpoint/main/secret", "").await;
    let rotate = "POST /app/acme/endpoint/main/secret/rotate";
    let body = r#"{"key":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}"#;
    server.show(rotate, body).await;
    server.show("GET /app/acme/endpoint/main/secret", "").await;
    let answer = server.ask(rotate, r#"{"gracePeriodSeconds":604800}"#).await;
    let now = server.ask("GET /app/acme/endpoint/main/secret", "").await;
    assert_eq!(answer.json(), now.json(), "the new secret is answered");
    server
        .show(rotate, r#"{"gracePeriodSeconds":604801}"#)
        .await;
    server.show(rotate, r#"{"key":"whpk_AAAA"}"#).await;
    server.show(rotate, r#"{"gracePeriodSeconds":-1}"#).await;
    for _ in 0..8 {
        let answer = server.ask(rotate, "{}").await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    server.show(rotate, "").await;
    let body = r#"{"gracePeriodSeconds":0,"key":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}"#;
    server.show(rotate, body).await;
    server
        .show("GET /app/acme/endpoint/nobody/secret", "")
        .await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn headers_are_replaced_merged_and_masked() {
    let mut server = with_application().await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"main"}"#)
        .await;
    let path = "/app/acme/endpoint/main/headers";
    server.show(&format!("GET {path}"), "").await;
    let body = r#"{"headers":{"X-Tenant":"acme","Authorization":"Bearer abc"}}"#;
    server.show(&format!("PUT {path}"), body).await;
    server.show(&format!("GET {path}"), "").await;
    let body = r#"{"headers":{"x-tenant":"other","X-New":"1","authorization":null}}"#;
    server.show(&format!("PATCH {path}"), body).await;
    server.show(&format!("GET {path}"), "").await;
    for body in [
        "{}",
        r#"{"headers":{"Host":"evil"}}"#,
        r#"{"headers":{"svix-id":"x"}}"#,
        r#"{"headers":{"X-A":"a\r\nb: c"}}"#,
        r#"{"headers":{"X A":"a"}}"#,
        r#"{"headers":{"X-A":null}}"#,
    ] {
        server.show(&format!("PUT {path}"), body).await;
    }
    server.show(&format!("GET {path}"), "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_contract_limits_what_its_endpoints_may_be() {
    let mut server = Server::start().await;
    for contract in [
        "dfend",
        "defectdojo",
        "defense-com",
        "defguard",
        "website-defender",
    ] {
        let body = format!(r#"{{"name":"A","uid":"{contract}","contract":"{contract}"}}"#);
        server.application(&body).await;
        let path = format!("POST /app/{contract}/endpoint");
        server
            .show(&path, r#"{"url":"http://example.com/","method":"PUT"}"#)
            .await;
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn statistics_are_bounded_in_time() {
    let mut server = with_application().await;
    server
        .endpoint("acme", r#"{"url":"https://example.com/","uid":"main"}"#)
        .await;
    let path = "GET /app/acme/endpoint/main/stats";
    server.show(path, "").await;
    for query in [
        "since=2026-01-24T10:30:00Z",
        "since=2026-01-23T10:20:00Z",
        "until=2026-02-20T10:34:59Z",
        "until=2026-02-20T10:36:00Z",
        "since=2026-02-19T00:00:00Z&until=2026-02-18T00:00:00Z",
        "since=yesterday",
    ] {
        server.show(&format!("{path}?{query}"), "").await;
    }
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn headers_come_with_the_endpoint_and_go_by_name() {
    let mut server = Server::start().await;
    server.application(r#"{"name":"A","uid":"a"}"#).await;
    let body = r#"{"url":"https://example.com/","uid":"e","headers":{"X-One":"1","X-Two":"2"}}"#;
    server.endpoint("a", body).await;
    let line = "/app/a/endpoint/e/headers";
    server.show(&format!("GET {line}"), "").await;
    let patch = r#"{"headers":{"X-Three":"3"},"deleteHeaders":["x-one","x-none"]}"#;
    server.show(&format!("PATCH {line}"), patch).await;
    server.show(&format!("GET {line}"), "").await;
    let both = r#"{"headers":{"X-Two":"3"},"deleteHeaders":["x-two"]}"#;
    server.show(&format!("PATCH {line}"), both).await;
    // A replacement that does not mention them leaves them alone.
    let put = r#"{"url":"https://example.com/","uid":"e"}"#;
    server.ask("PUT /app/a/endpoint/e", put).await;
    server.show(&format!("GET {line}"), "").await;
    let reserved = r#"{"url":"https://example.com/","headers":{"webhook-id":"1"}}"#;
    server.show("POST /app/a/endpoint", reserved).await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn endpoints_are_searched_filtered_and_sorted() {
    let server = Server::with(Script::choose(|request| match request.path() {
        "/gone" => Reply::status(410),
        _ => Reply::status(200),
    }))
    .await;
    let app = r#"{"name":"Acme","uid":"acme","contract":"defectdojo"}"#;
    server.application(app).await;
    for body in [
        r#"{"url":"https://a.example/gone","uid":"gone","description":"Zulu"}"#,
        r#"{"url":"https://b.example/","uid":"blue","description":"alpha","owner":"ann"}"#,
        r#"{"url":"https://c.example/","uid":"off","disabled":true}"#,
    ] {
        server.endpoint("acme", body).await;
        server.clock.advance(std::time::Duration::from_secs(1));
    }
    let message = r#"{"eventType":"product_added","payload":{}}"#;
    server.message("acme", message).await;
    let is_gone = |answer: &Value| answer["data"][0]["uid"] == "gone";
    server
        .until("GET /app/acme/endpoint?state=disabled", is_gone)
        .await;
    for (query, expected) in [
        ("search=B.EXAMPLE", vec!["blue"]),
        ("search=zulu", vec!["gone"]),
        ("owner=ann", vec!["blue"]),
        ("owner=bob", vec![]),
        ("state=off", vec!["off"]),
        ("eventType=product_added", vec!["off", "blue", "gone"]),
        ("sort=name&order=ascending", vec!["blue", "off", "gone"]),
        ("sort=failing", vec!["off", "gone", "blue"]),
        ("sort=created&order=ascending", vec!["gone", "blue", "off"]),
        ("sort=name&order=ascending&limit=1", vec!["blue"]),
    ] {
        let line = format!("GET /app/acme/endpoint?{query}");
        let answer = server.ask(&line, "").await.json();
        let found = answer["data"].as_array().expect("a list");
        let uids: Vec<_> = found.iter().map(|found| &found["uid"]).collect();
        assert_eq!(uids, expected, "{query}");
    }
    let first = "GET /app/acme/endpoint?sort=name&order=ascending&limit=2";
    let first = server.ask(first, "").await;
    let rest = format!(
        "GET /app/acme/endpoint?sort=name&order=ascending&iterator={}",
        first.text("/iterator")
    );
    let rest = server.ask(&rest, "").await.json();
    assert_eq!(rest["data"][0]["uid"], "gone", "{rest}");
    for wrong in ["state=sleepy", "sort=size"] {
        let line = format!("GET /app/acme/endpoint?{wrong}");
        let answer = server.ask(&line, "").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}
