//! Addresses that an endpoint must not lead to are refused when it is saved.

use serde_json::json;
use watchfire_testkit::{Receiver, Script};

use crate::harness::{Application, Setup};

/// URLs no tenant may name, each with what the refusal has to say.
const REFUSED: &[(&str, &str)] = &[
    ("http://10.1.2.3/", "private"),
    ("http://192.168.0.1/", "private"),
    ("http://172.16.0.1/", "private"),
    ("http://[fd00::1]/", "unique local"),
    ("http://[::1]/", "loopback"),
    ("http://169.254.1.1/", "link"),
    ("http://100.64.0.1/", "carrier"),
    ("http://224.0.0.1/", "multicast"),
    ("http://169.254.169.254/latest/meta-data/", "metadata"),
    ("http://[::ffff:a9fe:a9fe]/", "metadata"),
    // Spellings that hide where they lead.
    ("http://[::ffff:169.254.169.254]/", "write it that way"),
    ("http://0xa9fea9fe/", "write it that way"),
    ("http://2852039166/", "write it that way"),
    ("http://metadata.google.internal/", "metadata"),
    ("http://0.0.0.0/", "unspecified"),
    ("http://user:secret@example.com/", "user"),
    ("http://example.com:22/", "port"),
    ("ftp://example.com/", "http"),
];

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_with_the_reason() {
    let server = Setup::new().start().await;
    let app = Application::create(server.api()).await;
    for (url, reason) in REFUSED {
        let path = app.path("/endpoint");
        let answer = app.api.post(&path, &json!({ "url": url })).await;
        let fault = &answer.expect(422)["detail"][0];
        assert_eq!(fault["loc"], json!(["body", "url"]), "{url}");
        let message = fault["msg"].as_str().unwrap_or_default();
        assert!(message.contains(reason), "{url}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
    let endpoints = app.api.all(&app.path("/endpoint")).await;
    assert!(endpoints.is_empty(), "{endpoints:#?}");
}

#[tokio::test]
async fn loopback_is_refused_unless_the_operator_allows_it() {
    let receiver = Receiver::start(Script::silence()).await;
    let setup = Setup::new().without("--allow-cidr");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let url = json!({ "url": receiver.url("/") });
    let answer = app.api.post(&app.path("/endpoint"), &url).await;
    let fault = answer.expect(422).to_string();
    assert!(fault.contains("loopback"), "{fault}");
}

#[tokio::test]
async fn the_servers_own_address_is_refused_although_its_network_is_allowed() {
    let server = Setup::new().start().await;
    let app = Application::create(server.api()).await;
    let own = json!({ "url": format!("http://{}/api/v1/app", server.address()) });
    let answer = app.api.post(&app.path("/endpoint"), &own).await;
    let fault = answer.expect(422).to_string();
    assert!(fault.contains("own"), "{fault}");
}
