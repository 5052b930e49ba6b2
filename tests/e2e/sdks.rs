//! Svix's own SDKs use the server as they would use Svix's.

use tokio::process::Command;
use watchfire_testkit::{Receiver, Reply, Request, Script};

use crate::harness::{Server, Setup, node, python, run_judge, rust_sdk, tell};

/// Answers 204, but 503 to the first request below `/flaky`.
fn tour_script() -> Script {
    let mut has_failed = false;
    Script::choose(move |request: &Request| {
        let fails = request.path() == "/flaky" && !has_failed;
        has_failed |= fails;
        if fails {
            Reply::status(503).body("not now")
        } else {
            Reply::status(204)
        }
    })
}

/// Has a foreign SDK go through everything it can do.
async fn tour(judge: impl FnOnce() -> Command) {
    let receiver = Receiver::start(tour_script()).await;
    let server = Setup::new().retrying_fast().start().await;
    let mut judge = judge();
    judge
        .env("WATCHFIRE_URL", format!("http://{}", server.address()))
        .env("WATCHFIRE_TOKEN", server.api().token())
        .env("RECEIVER_URL", receiver.url(""));
    run_judge(judge, "").await;
    assert_nothing_went_wrong(&server);
}

fn assert_nothing_went_wrong(server: &Server) {
    let log = server.log();
    let is_bad = |line: &&str| line.contains(" ERROR ") || line.contains("panicked");
    let bad: Vec<_> = log.lines().filter(is_bad).collect();
    assert!(bad.is_empty(), "the server complains: {bad:#?}");
}

#[tokio::test]
async fn the_first_generation_of_the_python_sdk_is_at_home() {
    tour(|| python("svix1", "tour.py")).await;
}

#[tokio::test]
async fn the_second_generation_of_the_python_sdk_is_at_home() {
    tour(|| python("svix2", "tour.py")).await;
}

/// Has a foreign SDK call everything it has.
async fn every_method(environment: &str) {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let server = Setup::new().start().await;
    let mut judge = python(environment, "every_method.py");
    judge
        .env("WATCHFIRE_URL", format!("http://{}", server.address()))
        .env("WATCHFIRE_TOKEN", server.api().token())
        .env("RECEIVER_URL", receiver.url(""));
    tell(&run_judge(judge, "").await);
    assert_nothing_went_wrong(&server);
}

#[tokio::test]
async fn every_method_of_the_first_generation_is_answered_as_it_expects() {
    every_method("svix1").await;
}

#[tokio::test]
async fn every_method_of_the_second_generation_is_answered_as_it_expects() {
    every_method("svix2").await;
}

#[tokio::test]
async fn the_first_generation_of_the_javascript_sdk_is_at_home() {
    tour(|| node("tour.js")).await;
}

#[tokio::test]
async fn the_second_generation_of_the_javascript_sdk_is_at_home() {
    let judge = || {
        let mut judge = node("tour.js");
        judge.env("SDK", "svix2");
        judge
    };
    tour(judge).await;
}

#[tokio::test]
async fn the_rust_sdk_is_at_home() {
    tour(rust_sdk).await;
}

/// Has an SDK judge the snippets of the reference page.
async fn judge_snippets(mut judge: Command) {
    let server = Setup::new().start().await;
    judge.env("WATCHFIRE_URL", format!("http://{}", server.address()));
    run_judge(judge, "").await;
}

#[tokio::test]
async fn the_python_sdk_knows_what_the_reference_page_calls() {
    judge_snippets(python("svix2", "snippets.py")).await;
}

#[tokio::test]
async fn the_javascript_sdk_knows_what_the_reference_page_calls() {
    judge_snippets(node("snippets.js")).await;
}
