//! Defense.com: threats and tickets over https, five retries, and administrators who are told.

use serde_json::json;
use watchfire_domain::time::Timestamp;
use watchfire_testkit::{Reply, Request, Script};

use super::bodies::Body;
use super::proof::{assert_shown, attempt_of};
use super::scene::{STRICT, Scene, ok};
use crate::harness::{MailServer, eventually};

const PRODUCT: &str = "defense-com";
const ADMIN: &str = "admin@customer.example";
/// As many as the minutes of the document.
const QUICK: &str = "[contracts.defense-com.delivery]\njitter_permille = 0\n\
                     retry = [\"100ms\", \"200ms\", \"300ms\", \"400ms\", \"500ms\"]\n";
const THREAT: &str = r#"{"record_type":"Threat","id":"t-1","company_id":"c","trigger_action":"create","title":"Outdated software","description":"d","risk":"high","state":"detected","type":"Scanner::Site","url":"https://my.defense.com/threats/t-1","created_at":"2026-06-19T09:30:00Z"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_body_arrives_flat_with_basic_authentication() {
    let scene = Scene::of(PRODUCT, STRICT, ok()).await;
    let auth = json!({ "auth": { "type": "basic", "username": "user", "password": "pass" } });
    scene.endpoint(&scene.https_url(), auth).await;
    let posted = |body: &Body| body.payload.clone();
    let check = |_: &Body, request: &Request| {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwYXNz"));
    };
    scene.send_all(PRODUCT, posted, check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_chooses_its_records_and_their_events() {
    let scene = Scene::of(PRODUCT, "", ok()).await;
    let plain = json!({ "url": scene.http_url() });
    assert_eq!(scene.refused_fields(&plain).await, ["url"]);
    let chosen = json!({ "eventTypes": ["threat.closed", "support_ticket.*"] });
    scene.endpoint(&scene.https_url(), chosen).await;
    for event in [
        "threat.create",
        "threat.update",
        "threat.closed",
        "threat.reopen",
        "support_ticket.create",
        "support_ticket.update",
        "support_ticket.closed",
    ] {
        scene
            .app
            .send_text(event, &format!(r#"{{"id":"{event}"}}"#))
            .await;
    }
    let came = scene.receiver.wait_for_count(4).await;
    let mut ids: Vec<_> = came
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    ids.sort_unstable();
    let expect = [
        "support_ticket.closed",
        "support_ticket.create",
        "support_ticket.update",
        "threat.closed",
    ];
    assert_eq!(ids, expect.map(|event| format!(r#"{{"id":"{event}"}}"#)));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_retries_wait_longer_each_then_the_administrators_are_told() {
    let mail = MailServer::plain().await;
    let smtp = format!(
        "[smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
         from = \"watch@hooks.example\"\ngather = \"100ms\"\n",
        mail.port
    );
    let refusing = Script::always(Reply::status(500).header("x-trace", "42").body("try later"));
    let scene = Scene::following(PRODUCT, &format!("{QUICK}{smtp}"), refusing).await;
    let api = scene.server.api();
    let administrators = json!({ "administrators": [ADMIN] });
    let path = scene.app.path("");
    let patched = api.exchange(http::Method::PATCH, &path, Some(&administrators), None);
    patched.await.expect("an answer").expect(200);
    let endpoint = scene.endpoint(&scene.https_url(), json!({})).await;
    let message = scene.app.send_text("threat.create", THREAT).await;

    let mails = mail.until(1).await;
    assert_eq!(mails[0].to(), ADMIN);
    assert!(mails[0].text().contains(&message), "{}", mails[0].text());
    let notices = eventually("the inbox has it", async || {
        let notices = api.all("/notice").await;
        let exhausted = |notice: &&serde_json::Value| notice["type"] == "message.attempt.exhausted";
        notices.iter().find(exhausted).cloned()
    })
    .await;
    assert_eq!(notices["endpointId"], endpoint.as_str());

    let mut attempts = scene.app.attempts_of(&message).await;
    attempts.reverse();
    assert_eq!(attempts.len(), 6, "the first and five retries");
    let requests = scene.receiver.requests();
    assert_eq!(requests.len(), 6);
    for (number, (attempt, request)) in attempts.iter().zip(&requests).enumerate() {
        assert_eq!(attempt["attemptNumber"], number + 1);
        assert_eq!(attempt["url"], scene.https_url());
        assert_eq!(attempt["responseStatusCode"], 500);
        assert_eq!(attempt["response"], "try later");
        assert!(attempt["responseHeaders"].to_string().contains("x-trace"));
        assert_eq!(request.body, THREAT);
        assert_eq!(request.header("webhook-id"), Some(message.as_str()));
    }
    let due = |at: usize| attempts[at]["nextAttemptAt"].as_str().map(milliseconds);
    let began = |at: usize| milliseconds(attempts[at]["timestamp"].as_str().expect("a time"));
    for at in 0..5 {
        let waited = due(at).expect("it is tried again") - began(at);
        let minutes = i128::try_from(at + 1).expect("small") * 100;
        assert!(waited >= minutes, "{waited} ms after attempt {at}");
        assert!(began(at + 1) >= due(at).expect("a time"));
    }
    assert_eq!(due(5), None, "the last one");
    // The webhook stays as it is, and so does what was sent.
    assert_eq!(
        scene.app.endpoint_now(&endpoint).await["health"]["state"],
        "active"
    );
    let stored = api.get(&scene.app.path(&format!("/msg/{message}"))).await;
    let posted: serde_json::Value = serde_json::from_str(THREAT).expect("JSON");
    assert_eq!(stored.expect(200)["payload"], posted);
}

fn milliseconds(time: &str) -> i128 {
    let time: Timestamp = serde_json::from_value(json!(time)).expect("a time");
    i128::try_from(time.since(Timestamp::EPOCH).as_millis()).expect("small")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_threat_never_overtakes_its_creation() {
    let slow = Script::statuses([500, 500]).then_always(ok());
    let scene = Scene::following(PRODUCT, QUICK, slow).await;
    scene.endpoint(&scene.https_url(), json!({})).await;
    scene.app.send_text("threat.create", THREAT).await;
    let closed = THREAT.replace("\"create\"", "\"closed\"");
    scene.app.send_text("threat.closed", &closed).await;
    let came = scene.receiver.wait_for_count(4).await;
    let bodies: Vec<_> = came.iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, [THREAT, THREAT, THREAT, &closed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_shows_what_was_sent_without_its_secrets() {
    let scene = Scene::of(PRODUCT, "", ok()).await;
    let secret = json!({
        "auth": { "type": "basic", "username": "user", "password": "pass" },
        "headers": { "X-Key": "k3y" },
    });
    scene.endpoint(&scene.https_url(), secret).await;
    let message = scene.app.send_text("threat.create", THREAT).await;
    let came = scene.receiver.wait_for_count(1).await.remove(0);
    let whole = attempt_of(&scene.app, &message).await;
    let hidden = assert_shown(&whole["request"], &came);
    assert_eq!(hidden, ["X-Key", "authorization"]);
    for secret in ["pass", "dXNlcjpwYXNz", "k3y"] {
        assert!(!whole.to_string().contains(secret), "{whole}");
    }
}
