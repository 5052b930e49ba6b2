//! A browser goes through the dashboard and the portal as people would.
//!
//! `WATCHFIRE_SCREENSHOTS` names a folder for pictures of every page at both widths, light and
//! dark.

use std::net::TcpListener;

use crate::harness::{Ended, Setup, node, run_judge, watchfire};

/// A port that nobody listens on: it has to be known before the server starts.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

#[tokio::test]
async fn people_find_their_way_from_the_first_run_to_the_portal() {
    let port = free_port();
    let parent = format!("http://127.0.0.1:{port}");
    let setup = Setup::new()
        .flag("--retry-schedule", "200ms,200ms")
        .env("WATCHFIRE_PORTAL_FRAME_ANCESTORS", &parent)
        .config("[contracts.standard.health]\nsuspend_after = 2\ncooldown = '1h'\n");
    let server = setup.start().await;
    let data = setup.data().display().to_string();
    let link = Ended::of(&mut watchfire(&["login", "--data", &data])).await;
    let link = link.success().trim().to_owned();
    let (_, key) = link.split_once("#key=").expect("a code in the fragment");
    let mut judge = node("pages.js");
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
