//! The judge is judged: a page with a fault is noticed for that fault.

use super::driver::Tour;
use crate::harness::Setup;

/// Faults of a page, and what at least one of the findings about it says.
const FAULTS: [(&str, &str); 22] = [
    ("inline style", "markup: inline style or script"),
    ("inline script", "markup: inline style or script"),
    ("inline handler", "markup: inline handler"),
    ("script address", "markup: leads nowhere we know"),
    ("script injected", "script injected: img"),
    ("dialog", "dialog: 1"),
    ("uncaught error", "uncaught error: "),
    ("console", "console: x"),
    (
        "request to a stranger",
        "request to a stranger: http://watchfire.example/x.png",
    ),
    ("two headings", "page: 2 headings"),
    ("no heading", "page: 0 headings"),
    ("no label", "page: no label"),
    ("same id", "markup: the id a is there twice"),
    ("repaired markup", "markup: the browser repairs the markup"),
    ("form without a token", "page: a form without a token"),
    ("form without a button", "page: no button sends this form"),
    ("too wide", "layout: phone: scrolls sideways"),
    ("too heavy", "weight: "),
    ("bad contrast", "axe: light: color-contrast"),
    ("unreachable", "keyboard: Tab doesn't get there"),
    ("invisible focus", "keyboard: the focus can't be seen"),
    ("policy broken", "content security policy: script-src"),
];

#[tokio::test]
async fn every_kind_of_fault_is_noticed() {
    let server = Setup::new().start().await;
    let report = Tour::new("sick", &server).go().await;
    report.expect_nothing_wrong();
    assert_eq!(report.found_at("good"), [""; 0], "a good page");
    for (fault, expected) in FAULTS {
        let found = report.found_at(fault);
        let noticed = found.iter().any(|finding| finding.starts_with(expected));
        assert!(noticed, "{fault}: no {expected:?} in {found:#?}");
    }
}
