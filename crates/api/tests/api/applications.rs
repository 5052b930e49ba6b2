//! Applications.

use super::harness::Server;

#[tokio::test]
async fn an_application_lives_from_creation_to_deletion() {
    let mut server = Server::start().await;
    server.show("GET /app", "").await;
    let body = r#"{"name":"Acme","uid":"acme","throttleRate":10,"metadata":{"plan":"gold"}}"#;
    let id = server.show("POST /app", body).await.text("/id");
    server.show(&format!("GET /app/{id}"), "").await;
    server.show("GET /app/acme", "").await;
    server
        .show("PUT /app/acme", r#"{"name":"Acme Ltd","uid":"acme"}"#)
        .await;
    server
        .show(
            "PATCH /app/acme",
            r#"{"metadata":{"a":"b"},"throttleRate":5}"#,
        )
        .await;
    server
        .show("PATCH /app/acme", r#"{"throttleRate":null,"uid":null}"#)
        .await;
    server.show("GET /app/acme", "").await;
    server.show(&format!("DELETE /app/{id}"), "").await;
    server.show(&format!("GET /app/{id}"), "").await;
    server.show(&format!("DELETE /app/{id}"), "").await;
    server.show(&format!("PATCH /app/{id}"), "{}").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_uid_belongs_to_one_application() {
    let mut server = Server::start().await;
    server
        .show("POST /app", r#"{"name":"A","uid":"one"}"#)
        .await;
    server
        .show("POST /app", r#"{"name":"B","uid":"one"}"#)
        .await;
    server
        .show(
            "POST /app?get_if_exists=true",
            r#"{"name":"B","uid":"one"}"#,
        )
        .await;
    server
        .show(
            "POST /app?get_if_exists=true",
            r#"{"name":"B","uid":"two"}"#,
        )
        .await;
    server.show("PATCH /app/two", r#"{"uid":"one"}"#).await;
    server.show("DELETE /app/one", "").await;
    server.show("PATCH /app/two", r#"{"uid":"one"}"#).await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn a_put_creates_what_is_not_there() {
    let mut server = Server::start().await;
    server.show("PUT /app/new", r#"{"name":"New"}"#).await;
    server
        .show("PUT /app/new", r#"{"name":"Newer","uid":"new"}"#)
        .await;
    server.show("GET /app", "").await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn faults_name_their_fields() {
    let mut server = Server::start().await;
    for body in [
        "",
        "[]",
        "{",
        "{}",
        r#"{"name":""}"#,
        r#"{"name":5}"#,
        r#"{"name":"A","uid":"a b"}"#,
        r#"{"name":"A","uid":"app_x"}"#,
        r#"{"name":"","uid":"","throttleRate":0}"#,
        r#"{"name":"A","throttleRate":70000}"#,
        r#"{"name":"A","metadata":{"a":5}}"#,
        r#"{"name":"A","contract":"nobody"}"#,
    ] {
        server.show("POST /app", body).await;
    }
    server.show("PATCH /app/x", r#"{"name":null}"#).await;
    server.application(r#"{"name":"A","uid":"a"}"#).await;
    server.show("PATCH /app/a", r#"{"name":null}"#).await;
    insta::assert_snapshot!(server.transcript());
}

#[tokio::test]
async fn what_other_servers_clients_do_not_know_survives_their_put() {
    let mut server = Server::start().await;
    let body = r#"{"name":"A","uid":"a","contract":"defectdojo","instance":{"instance_url":"https://dojo.example.com"}}"#;
    server.show("POST /app", body).await;
    server.show("PUT /app/a", r#"{"name":"B","uid":"a"}"#).await;
    server
        .show(
            "PUT /app/a",
            r#"{"name":"B","uid":"a","contract":null,"instance":null}"#,
        )
        .await;
    insta::assert_snapshot!(server.transcript());
}
