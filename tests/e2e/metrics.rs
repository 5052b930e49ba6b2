//! What Prometheus sees, judged by its own tool.

use serde_json::json;
use tokio::process::Command;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Api, Application, Server, Setup, eventually, ready, run_judge};

const LISTENS: &str = "metrics are at /metrics address=";

/// Where the server says its metrics are.
fn address(server: &Server) -> std::net::SocketAddr {
    let log = server.log();
    let line = log.lines().find_map(|line| line.split_once(LISTENS));
    let (_, address) = line.expect("the log says where metrics are");
    address.trim().parse().expect("an address")
}

pub(crate) async fn scraped(server: &Server) -> String {
    Api::new(address(server), "").page("/metrics").await
}

#[tokio::test]
async fn metrics_are_as_prometheus_wants_them_and_count_what_happens() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let setup = Setup::new().env("WATCHFIRE_METRICS_LISTEN", "127.0.0.1:0");
    let server = setup.start().await;
    let application = Application::create(server.api()).await;
    application.endpoint(&receiver.url("/hook")).await;
    for number in 0..3 {
        application.send(&json!({"number": number})).await;
    }
    let delivered = "watchfire_deliveries_settled_total{settlement=\"delivered\"} 3\n";
    let text = eventually("all are delivered", async || {
        let text = scraped(&server).await;
        text.contains(delivered).then_some(text)
    })
    .await;
    for line in [
        "watchfire_messages_accepted_total 3",
        "watchfire_attempts_total{outcome=\"accepted\"} 3",
        "watchfire_delivery_lag_seconds_count 3",
        "watchfire_api_requests_total{class=\"publish\",status=\"2xx\"} 3",
        "watchfire_deliveries_owed 0",
        "watchfire_store_faults_total{kind=\"full\"} 0",
    ] {
        assert!(
            text.contains(&format!("{line}\n")),
            "{line} is not in\n{text}"
        );
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    run_judge(ready(promtool), &text).await;
}

#[tokio::test]
async fn metrics_are_off_unless_they_are_asked_for_and_never_where_the_api_is() {
    let server = Setup::new().start().await;
    assert!(!server.log().contains(LISTENS));
    let text = server.api().page("/metrics").await;
    assert!(!text.contains("watchfire_"), "{text}");
}
