//! What keeps a session, an application and a page to itself.

use serde_json::json;
use watchfire_testkit::{Receiver, Reply, Script};

use super::driver::Tour;
use super::seed::{Seeded, portal};
use crate::harness::{Application, Setup, eventually};

const PARENT: &str = "<!DOCTYPE html><title>Parent</title><link rel=icon href=data:,>\
                      <iframe width=1000 height=700></iframe>";

#[tokio::test]
async fn a_session_is_kept_from_others_and_ends_when_it_is_told() {
    let server = Setup::new().start().await;
    let report = Tour::new("sessions", &server).go().await;
    report.expect_nothing_wrong();
    report.expect_steps(&["cookie and headers", "forged forms", "signed out"]);
}

/// A page of another origin, with a frame.
async fn parent() -> Receiver {
    let page = Reply::status(200).header("Content-Type", "text/html");
    Receiver::start(Script::always(page.body(PARENT))).await
}

#[tokio::test]
async fn only_a_listed_parent_shows_the_portal_in_a_frame() {
    let listed = parent().await;
    let other = parent().await;
    let setup = Setup::new().env("WATCHFIRE_PORTAL_FRAME_ANCESTORS", &listed.url(""));
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let link = portal(server.api(), &app, &json!({})).await;
    let tour = Tour::new("frames", &server).with("link", link);
    let tour = tour.with("listed", listed.url("/"));
    let report = tour.with("other", other.url("/")).go().await;
    report.expect_nothing_wrong();
    report.expect_steps(&["listed true", "other false", "listed false", "other false"]);
}

#[tokio::test]
async fn a_portal_leads_to_no_other_customer_and_who_may_only_look_changes_nothing() {
    let seeded = Seeded::start().await;
    let receiver = Receiver::start(Script::always(Reply::status(500))).await;
    let api = seeded.server.api();
    let other = Application::create(api).await;
    let endpoint = other.endpoint(&receiver.url("/theirs")).await;
    other
        .send(&json!({ "secret": "of another customer" }))
        .await;
    eventually("an attempt is made", async || {
        (!other.attempts_at(&endpoint).await.is_empty()).then_some(())
    })
    .await;
    let own = portal(api, &seeded.busy, &json!({})).await;
    let theirs = portal(api, &other, &json!({})).await;
    let looking = portal(api, &seeded.busy, &json!({ "readOnly": true })).await;
    let tour = Tour::new("strangers", &seeded.server);
    let tour = tour.with("own", own).with("other", theirs);
    let report = tour.with("looking", looking).go().await;
    report.expect_nothing_wrong();
    report.expect_steps(&["strangers", "looking"]);
    let tried = report.found_at("tried");
    for part in ["/endpoints/ep_", "/messages/msg_", "/resend"] {
        let found = tried.iter().any(|path| path.contains(part));
        assert!(found, "nothing with {part} was tried: {tried:#?}");
    }
}
