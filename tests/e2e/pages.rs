//! A browser goes through the dashboard and the portal as people would.
//!
//! `WATCHFIRE_PICTURES=all` takes pictures of every page, as in `browser`.

use std::net::TcpListener;

use crate::harness::{Ended, Setup, node, run_judge, tour, watchfire};

/// A customer's logo: a square and a bar.
const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 120 28\">\
    <rect width=\"28\" height=\"28\" rx=\"6\" fill=\"#28bb93\"/>\
    <rect x=\"38\" y=\"8\" width=\"82\" height=\"12\" rx=\"6\" fill=\"#28bb93\"/></svg>";

/// A port that nobody listens on: it has to be known before the server starts.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

#[tokio::test]
async fn people_find_their_way_from_the_first_run_to_the_portal() {
    let port = free_port();
    let parent = format!("http://127.0.0.1:{port}");
    let folder = tempfile::TempDir::new().expect("a folder can be made");
    let logo = folder.path().join("logo.svg");
    std::fs::write(&logo, LOGO).expect("the folder can be written to");
    let setup = Setup::new()
        .flag("--retry-schedule", "200ms,200ms")
        .env("WATCHFIRE_PORTAL_FRAME_ANCESTORS", &parent)
        .env("WATCHFIRE_PORTAL_TITLE", "Acme webhooks")
        .env("WATCHFIRE_PORTAL_LOGO", &logo.display().to_string())
        .config("[contracts.standard.health]\nsuspend_after = 2\ncooldown = '1h'\n");
    let server = setup.start().await;
    let data = setup.data().display().to_string();
    let link = Ended::of(&mut watchfire(&["login", "--data", &data])).await;
    let link = link.success().trim().to_owned();
    let (_, key) = link.split_once("#key=").expect("a code in the fragment");
    let mut judge = tour("pages.js");
    judge
        .env("WATCHFIRE_URL", format!("http://{}", server.address()))
        .env("WATCHFIRE_TOKEN", server.api().token())
        .env("SIGN_IN_KEY", key)
        .env("PARENT_PORT", port.to_string());
    run_judge(judge, "").await;
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
}

#[tokio::test]
async fn a_session_opens_what_its_credential_opens_and_ends_with_it() {
    let server = Setup::new().start().await;
    let mut judge = node("sessions.js");
    judge
        .env("WATCHFIRE_URL", format!("http://{}", server.address()))
        .env("WATCHFIRE_TOKEN", server.api().token());
    run_judge(judge, "").await;
}
