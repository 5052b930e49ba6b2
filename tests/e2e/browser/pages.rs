//! Every page that links lead to, held to what any page must be.

use serde_json::json;

use super::driver::Tour;
use super::seed::Seeded;

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
    let server = crate::harness::Setup::new().start().await;
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
