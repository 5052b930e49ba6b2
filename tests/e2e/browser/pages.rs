//! Every page that links lead to, held to what any page must be.

use serde_json::json;
use watchfire_testkit::{Receiver, Reply, Request, Script};

use super::driver::Tour;
use super::seed::Seeded;
use crate::harness::{Application, Setup, eventually};

#[tokio::test]
async fn every_page_of_the_dashboard_is_sound() {
    let seeded = Seeded::start().await;
    let report = Tour::new("pages", &seeded.server).go().await;
    report.expect_shapes(&[
        "/dashboard",
        "/dashboard/apps",
        "/dashboard/apps/new",
        "/dashboard/apps/{app}/edit",
        "/dashboard/apps/{app}/endpoints",
    ]);
    report.expect_nothing_wrong();
}

#[tokio::test]
async fn every_page_of_a_portal_is_sound() {
    let seeded = Seeded::start().await;
    let link = seeded.portal(&seeded.busy, &json!({})).await;
    let tour = Tour::new("pages", &seeded.server).with("link", link);
    let report = tour.go().await;
    report.expect_shapes(&["/portal/{app}/endpoints"]);
    report.expect_nothing_wrong();
}

#[tokio::test]
async fn an_empty_server_has_sound_pages_too() {
    let server = Setup::new().start().await;
    let report = Tour::new("pages", &server).with("name", "empty").go().await;
    report.expect_shapes(&["/dashboard", "/dashboard/apps"]);
    report.expect_nothing_wrong();
}

#[tokio::test]
async fn all_pages_work_without_javascript() {
    let seeded = Seeded::start().await;
    let report = Tour::new("unscripted", &seeded.server).go().await;
    report.expect_shapes(&["/dashboard", "/dashboard/apps/{app}/endpoints"]);
    report.expect_nothing_wrong();
}

#[tokio::test]
async fn everything_can_be_done_without_javascript() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let server = Setup::new().start().await;
    let tour = Tour::new("plain", &server).with("receiver", receiver.url("/"));
    let report = tour.go().await;
    report.expect_nothing_wrong();
    report.expect_end("signed out");
}

#[tokio::test]
async fn a_live_page_stays_where_it_is_while_events_arrive() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let server = Setup::new().start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    // More than a page shows, so that what is new takes the place of what is old.
    for number in 0..60 {
        app.send(&json!({ "number": number })).await;
    }
    let tour = Tour::new("still", &server).with("app", app.id.as_str());
    let report = tour.with("endpoint", endpoint.as_str()).go().await;
    report.expect_nothing_wrong();
    report.expect_end("/dashboard/apps/app/endpoints/endpoint");
}

#[tokio::test]
async fn a_list_is_held_an_event_is_tried_and_what_is_ticked_is_acted_upon() {
    let script = Script::choose(|request: &Request| match request.path() {
        "/stuck" => Reply::status(503),
        _ => Reply::status(204),
    });
    let receiver = Receiver::start(script).await;
    let server = Setup::new().flag("--retry-schedule", "10m").start().await;
    let app = Application::create(server.api()).await;
    let threat = json!({ "name": "threat.created", "description": "A threat" });
    app.api.post("/event-type", &threat).await.expect(201);
    let fine = app.endpoint(&receiver.url("/fine")).await;
    let stuck = app.endpoint(&receiver.url("/stuck")).await;
    let delivered = async |count: u64| {
        eventually("all is delivered", async || {
            let stats = app.stats_of(&fine).await;
            (stats["success"] == count).then_some(())
        })
        .await;
    };
    app.send(&json!({ "number": 1 })).await;
    app.send(&json!({ "number": 2 })).await;
    delivered(2).await;
    let report = Tour::new("hands", &server)
        .with("app", app.id.as_str())
        .go()
        .await;
    report.expect_nothing_wrong();
    report.expect_end("sent again");
    // Two from before, two while a list was held, one that was tried; each sent again.
    delivered(10).await;
    assert_eq!(app.stats_of(&stuck).await["canceled"], 5);
    let tried =
        |request: &&Request| request.path() == "/fine" && *request.body == *br#"{"tried":true}"#;
    let requests = receiver.requests();
    let ids: Vec<_> = requests
        .iter()
        .filter(tried)
        .map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_eq!(ids[0], ids[1], "the same message");
}
