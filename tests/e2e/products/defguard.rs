//! defguard: `GET` with a JSON body, the event's name in a header, a bearer token.

use serde_json::json;
use watchfire_testkit::{Reply, Request, Script};

use super::bodies::Body;
use super::scene::{STRICT, Scene, ok};
use crate::harness::eventually;

const PRODUCT: &str = "defguard";

fn header_as_spelled<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    headers
        .find(|(spelled, _)| spelled == name)
        .map(|(_, value)| value.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_arrives_in_a_get_with_the_events_name() {
    let scene = Scene::of(PRODUCT, STRICT, ok()).await;
    let auth = json!({ "auth": { "type": "bearer", "token": "s3cret" } });
    scene.endpoint(&scene.http_url(), auth).await;
    let posted = |body: &Body| body.payload.clone();
    let check = |body: &Body, request: &Request| {
        assert_eq!(request.method, "GET");
        let event = header_as_spelled(request, "X-Defguard-Event");
        assert_eq!(event, Some(body.event_type.as_str()));
        assert_eq!(request.header("authorization"), Some("Bearer s3cret"));
        let length = body.payload.len().to_string();
        assert_eq!(request.header("content-length"), Some(length.as_str()));
    };
    scene.send_all(PRODUCT, posted, check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_webhook_chooses_its_method_its_token_and_its_triggers() {
    let scene = Scene::of(PRODUCT, "", ok()).await;
    let url = |path: &str| scene.receiver.url(path);
    let post = json!({
        "method": "POST", "description": "Greets new users", "eventTypes": ["user_created"],
        "auth": { "type": "bearer", "token": "" },
    });
    let created = scene.endpoint(&url("/created"), post).await;
    let keys = json!({ "eventTypes": ["user_keys", "user_deleted"] });
    scene.endpoint(&url("/keys"), keys).await;
    let off = json!({ "disabled": true });
    scene.endpoint(&url("/off"), off).await;
    for trigger in ["user_created", "user_modified", "user_deleted", "user_keys"] {
        scene.app.send_text(trigger, r#"{"username":"jdoe"}"#).await;
    }
    let came = scene.receiver.wait_for_count(3).await;
    let mut seen: Vec<_> = came
        .iter()
        .map(|request| {
            assert_eq!(request.header("authorization"), None, "no token, no header");
            let event = header_as_spelled(request, "X-Defguard-Event");
            (
                request.path(),
                request.method.as_str(),
                event.expect("named"),
            )
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("/created", "POST", "user_created"),
            ("/keys", "GET", "user_deleted"),
            ("/keys", "GET", "user_keys"),
        ]
    );
    let endpoint = scene.app.endpoint_now(&created).await;
    assert_eq!(endpoint["description"], "Greets new users");
    assert_eq!(endpoint["method"], "POST");
    let put = json!({ "url": url("/"), "method": "PUT" });
    assert_eq!(scene.refused_fields(&put).await, ["method"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_answer_is_success_and_none_is_a_failure_that_is_kept() {
    let script = Script::statuses([500]).then_always(Reply::close());
    let scene = Scene::following(PRODUCT, "", script).await;
    scene.endpoint(&scene.http_url(), json!({})).await;
    for expect in ["success", "fail"] {
        let message = scene
            .app
            .send_text("user_deleted", r#"{"username":"jdoe"}"#)
            .await;
        let attempt = eventually("it is attempted", async || {
            scene.app.attempts_of(&message).await.pop()
        })
        .await;
        assert_eq!(attempt["statusText"], expect);
    }
}
