//! dfend: `{"event": …}` over https, retried with growing delays for some minutes.

use serde_json::{Value, json};
use watchfire_testkit::{Reply, Script};

use super::scene::{STRICT, Scene};
use crate::harness::eventually;

const PRODUCT: &str = "dfend";

/// The documentation's sample: `const { event } = req.body`, then 200 `{"message":"ok"}`.
fn sample() -> Reply {
    Reply::status(200)
        .header("content-type", "application/json; charset=utf-8")
        .body("{\"message\":\"ok\"}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_arrives_in_one_event_field() {
    let scene = Scene::of(PRODUCT, STRICT, sample()).await;
    scene.endpoint(&scene.https_url(), json!({})).await;
    let wire = |body: &super::bodies::Body| format!("{{\"event\":{}}}", body.payload);
    let check = |body: &super::bodies::Body, request: &watchfire_testkit::Request| {
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("authorization"), None);
        // As `express.json()` and the sample read it.
        let parsed: Value = match serde_json::from_slice(&request.body) {
            Ok(parsed) => parsed,
            // No 64-bit number holds 1e400, and the sample's parser makes it infinite.
            Err(error) => return assert!(error.to_string().contains("number out of range")),
        };
        assert_eq!(parsed.as_object().expect("an object").len(), 1);
        assert_eq!(parsed["event"]["type"], body.event_type);
    };
    scene.send_all(PRODUCT, wire, check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_is_the_users_choice_and_the_scheme_is_not() {
    let scene = Scene::of(PRODUCT, "", sample()).await;
    for method in ["PUT", "PATCH"] {
        let settings = json!({ "method": method, "eventTypes": ["NEW_IDENTITY"] });
        scene.endpoint(&scene.https_url(), settings).await;
    }
    scene.app.send_text("NEW_IDENTITY", "{}").await;
    let came = scene.receiver.wait_for_count(2).await;
    let mut methods: Vec<_> = came.iter().map(|request| request.method.as_str()).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["PATCH", "PUT"]);
    let plain = json!({ "url": scene.http_url() });
    assert_eq!(scene.refused_fields(&plain).await, ["url"]);
    let get = json!({ "url": scene.https_url(), "method": "GET" });
    assert_eq!(scene.refused_fields(&get).await, ["method"]);
    let auth = json!({ "url": scene.https_url(), "auth": { "type": "bearer", "token": "t" } });
    assert_eq!(scene.refused_fields(&auth).await, ["auth"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_double_until_it_is_given_up_and_then_it_can_be_replayed() {
    let quick = "[contracts.dfend.delivery]\njitter_permille = 0\n\
                 retry = [\"50ms\", \"100ms\", \"200ms\", \"400ms\", \"800ms\", \"1600ms\"]\n";
    let script = Script::always(Reply::status(503));
    let scene = Scene::following(PRODUCT, quick, script).await;
    let endpoint = scene.endpoint(&scene.https_url(), json!({})).await;
    let message = scene
        .app
        .send_text("BAD_ACTOR", r#"{"identity":"idn_1"}"#)
        .await;
    let exhausted = async || {
        let deliveries = scene.app.destinations_of(&message).await;
        (deliveries[0]["statusText"] == "fail").then_some(())
    };
    eventually("it is given up", exhausted).await;
    assert_eq!(scene.app.attempts_of(&message).await.len(), 7);
    assert_eq!(
        scene.app.endpoint_now(&endpoint).await["health"]["state"],
        "active"
    );

    scene.receiver.follow(Script::always(sample()));
    let path = format!("/msg/{message}/endpoint/{endpoint}/resend");
    let api = scene.server.api();
    api.post(&scene.app.path(&path), &json!({}))
        .await
        .expect(202);
    let delivered = async || {
        let deliveries = scene.app.destinations_of(&message).await;
        (deliveries[0]["statusText"] == "success").then_some(())
    };
    eventually("it is delivered after all", delivered).await;
    let requests = scene.receiver.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.body == requests[0].body)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_new_is_no_fault() {
    let scene = Scene::of(PRODUCT, "", sample()).await;
    let payload = r#"{"account":"a","identity":"i","subscription":"s","signals":[{"id":"1","data":"{}","immediateResults":[{"id":"1","subscription":"s","type":"SOMETHING_NEW","level":"FATAL"}],"trusted":true}],"type":"NEW_DEVICE","level":"WARNING","recommendations":[{"type":"CALL_THE_USER","description":"d"}],"values":{},"config":"","time":"1"}"#;
    assert_eq!(scene.faults_of("NEW_DEVICE", payload).await, Value::Null);
    let without_time = payload.replace(r#","time":"1""#, "");
    let faults = scene.faults_of("NEW_DEVICE", &without_time).await;
    assert_eq!(faults.as_array().map(Vec::len), Some(1), "{faults}");
}
