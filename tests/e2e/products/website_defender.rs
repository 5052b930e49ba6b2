//! Website Defender: flat JSON, one attempt, five seconds.

use serde_json::json;
use watchfire_testkit::{Reply, Script};

use super::bodies::Body;
use super::scene::{STRICT, Scene, ok};
use crate::harness::eventually;

const PRODUCT: &str = "website-defender";

#[tokio::test(flavor = "multi_thread")]
async fn every_body_arrives_flat_and_unchanged() {
    let scene = Scene::of(PRODUCT, STRICT, ok()).await;
    scene.endpoint(&scene.http_url(), json!({})).await;
    let posted = |body: &Body| body.payload.clone();
    let check = |_: &Body, request: &watchfire_testkit::Request| {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("user-agent"), Some("Go-http-client/1.1"));
        assert_eq!(request.header("authorization"), None);
    };
    scene.send_all(PRODUCT, posted, check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_is_not_repeated_and_stays_in_the_history() {
    let script = Script::statuses([500]).then_always(ok());
    let scene = Scene::following(PRODUCT, "", script).await;
    scene.endpoint(&scene.http_url(), json!({})).await;
    let payload = r#"{"event_type":"auto_ban","client_ip":"2001:db8::17","reason":"rate limit abuse","banned_for":"2h0m0s","timestamp":"2026-02-20T10:30:00Z"}"#;
    let first = scene.app.send_text("auto_ban", payload).await;
    scene.receiver.wait_for_count(1).await;
    let failed = async || {
        let deliveries = scene.app.destinations_of(&first).await;
        (deliveries[0]["statusText"] == "fail").then_some(())
    };
    eventually("it is given up at once", failed).await;
    // The same client's next event goes out, after the first that was given up.
    scene.app.send_text("auto_ban", payload).await;
    let came = scene.receiver.wait_for_count(2).await;
    assert_eq!(came.len(), 2);
    assert_eq!(scene.app.attempts_of(&first).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_may_have_its_own_deadline() {
    let scene = Scene::following(PRODUCT, "", Script::always(Reply::hang())).await;
    let settings = json!({ "timeoutMs": 200 });
    scene.endpoint(&scene.http_url(), settings).await;
    let message = scene.app.send_text("auto_ban", "{}").await;
    let attempt = eventually("it gives up waiting", async || {
        scene.app.attempts_of(&message).await.pop()
    })
    .await;
    assert_eq!(attempt["outcome"]["kind"], "timed_out");
    for timeout in [0, 120_001] {
        let settings = json!({ "url": scene.http_url(), "timeoutMs": timeout });
        assert_eq!(scene.refused_fields(&settings).await, ["timeoutMs"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variant_as_coded_takes_any_status_below_400_for_success() {
    let config = "[contracts.website-defender]\nvariant = \"as-coded\"\n";
    let scene = Scene::of(PRODUCT, config, Reply::status(304)).await;
    scene.endpoint(&scene.http_url(), json!({})).await;
    let message = scene.app.send_text("scan_detected", "{}").await;
    let attempt = eventually("it is attempted", async || {
        scene.app.attempts_of(&message).await.pop()
    })
    .await;
    assert_eq!(attempt["statusText"], "success");
}
