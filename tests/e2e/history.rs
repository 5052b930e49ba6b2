//! A browser looks for one delivery among many, at a record, at a replay, and at what was changed.
//!
//! `WATCHFIRE_PICTURES=all` takes pictures of every page, as in `browser`.

use serde_json::{Value, json};
use watchfire_testkit::{Receiver, Reply, Request, Script};

use crate::harness::{Application, Ended, Setup, eventually, run_judge, tour, watchfire};

/// Endpoints that are switched off: what they would get is skipped, and kept in the history.
const IDLE: usize = 20;
/// Messages to each: [`IDLE`] times as many deliveries.
const MESSAGES: usize = 5_000;
/// Messages of one request.
const BATCH: usize = 1_000;

/// Answers 503 below `/stuck`, and 204 everywhere else.
fn script() -> Script {
    Script::choose(|request: &Request| match request.path() {
        "/stuck" => Reply::status(503).body("not now"),
        _ => Reply::status(204),
    })
}

async fn post(application: &Application, messages: Vec<Value>) {
    let body = json!({ "messages": messages });
    let path = application.path("/msg-batch");
    let answer = application.api.post(&path, &body).await;
    assert!(answer.status < 300, "{}", answer.status);
}

fn event(record: usize, note: &str) -> Value {
    let record = format!("T-{record}");
    let payload = json!({ "id": record, "note": note, "severity": "high" });
    json!({ "eventType": "threat.created", "recordKey": record, "payload": payload })
}

async fn link_into(setup: &Setup) -> String {
    let data = setup.data().display().to_string();
    let link = Ended::of(&mut watchfire(&["login", "--data", &data])).await;
    let link = link.success().trim().to_owned();
    let (_, key) = link.split_once("#key=").expect("a code in the fragment");
    key.to_owned()
}

#[tokio::test]
async fn people_find_one_delivery_among_a_hundred_thousand() {
    let receiver = Receiver::start(script()).await;
    let setup = Setup::new().flag("--retry-schedule", "10m");
    let server = setup.start().await;
    let application = Application::create(server.api()).await;
    let threat = json!({ "name": "threat.created", "description": "A threat" });
    application
        .api
        .post("/event-type", &threat)
        .await
        .expect(201);
    let endpoint = json!({ "url": receiver.url("/siem"), "description": "SIEM", "uid": "siem" });
    application.endpoint_with(&endpoint).await;
    post(&application, vec![event(1, "needle-4711 lateral movement")]).await;
    for n in 0..IDLE {
        let url = receiver.url(&format!("/idle/{n}"));
        let id = application.endpoint(&url).await;
        let path = application.path(&format!("/endpoint/{id}/deactivate"));
        application.api.post(&path, &json!({})).await.expect(200);
    }
    for _ in 0..MESSAGES / BATCH {
        let batch = (0..BATCH).map(|n| event(100 + n % 50, "routine")).collect();
        post(&application, batch).await;
    }
    let stuck = json!({ "url": receiver.url("/stuck"), "description": "Pager", "uid": "stuck" });
    application.endpoint_with(&stuck).await;
    post(&application, (0..4).map(|_| event(7, "stuck")).collect()).await;
    eventually("the history is written", async || {
        let path = application.path("/endpoint/siem/stats");
        let stats = application.api.get(&path).await.expect(200);
        (stats["success"].as_u64() >= Some(5_000)).then_some(())
    })
    .await;
    let mut judge = tour("history.js");
    judge
        .env("WATCHFIRE_URL", format!("http://{}", server.address()))
        .env("SIGN_IN_KEY", link_into(&setup).await)
        .env("APPLICATION", &application.id);
    run_judge(judge, "").await;
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
}
