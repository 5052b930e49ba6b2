//! `make demo` shows what Watchfire does, and ends.

use crate::harness::{Ended, Setup, watchfire};

#[tokio::test]
async fn the_demo_shows_every_kind_of_outcome_and_how_to_go_on() {
    let data = Setup::new();
    let folder = data.data().display().to_string();
    let arguments = [
        "demo",
        "--seconds",
        "12",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &folder,
    ];
    let shown = Ended::of(&mut watchfire(&arguments)).await.success();
    for expected in [
        "accepted   threat.created",
        "delivered  threat.created",
        "retry      threat.created",
        "at attempt 3",
        "timed out",
        "403",
        "it can be replayed",
        "curl http://127.0.0.1:",
        "/products/dfend",
        "/products/defectdojo",
    ] {
        assert!(shown.contains(expected), "no {expected:?} in:\n{shown}");
    }
}
