//! What goes wrong on our side is never charged to an endpoint.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Setup, eventually};

/// Lets a server open no further files, or as many as it may.
fn limit_open_files(server: Pid, current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: current.or(maximum),
        maximum,
    };
    prlimit(Some(server), Resource::Nofile, limit).expect("the server is ours");
}

/// Files below this number are standard input and outputs: with it as the limit, no other can be
/// opened, and those that are open stay so.
const NO_MORE: u64 = 3;

#[tokio::test]
async fn a_server_out_of_files_charges_no_endpoint() {
    let receiver = Receiver::start(Script::statuses([204])).await;
    // A failed attempt would be the last.
    let setup = Setup::new().flag("--retry-schedule", "");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    limit_open_files(server.pid(), Some(NO_MORE));
    let message = app.send(&json!({})).await;
    eventually("the delivery rests", async || {
        server.log().contains("out of files").then_some(())
    })
    .await;
    assert!(app.attempts_at(&endpoint).await.is_empty());
    limit_open_files(server.pid(), None);
    receiver.wait_for_count(1).await;
    let attempts = eventually("the delivery is recorded", async || {
        let attempts = app.attempts_of(&message).await;
        (!attempts.is_empty()).then_some(attempts)
    })
    .await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["statusText"], "success");
    assert_eq!(
        app.endpoint_now(&endpoint).await["health"]["state"],
        "active"
    );
}

#[tokio::test]
async fn an_attempt_that_a_stop_interrupts_does_not_count() {
    let receiver = Receiver::start(Script::replies([Reply::hang(), Reply::status(204)])).await;
    let setup = Setup::new()
        .flag("--attempt-timeout", "2m")
        .flag("--retry-schedule", "");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    app.endpoint(&receiver.url("/")).await;
    let message = app.send(&json!({})).await;
    receiver.wait_for_count(1).await;
    let log = server.stopped_log().await;
    assert!(!log.contains("ERROR"), "nobody has to act on a stop: {log}");

    let server = setup.start().await;
    let app = app.at(server.api());
    let attempts = eventually("the message is delivered", async || {
        let attempts = app.attempts_of(&message).await;
        (!attempts.is_empty()).then_some(attempts)
    })
    .await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["attemptNumber"], 1);
}
