//! Sends the browser on a tour and reads its report.

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Server, node, pictures, run_judge, tell};

/// A tour of one server's pages.
pub(super) struct Tour {
    job: Value,
}

/// What a tour reports.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    /// Everything that is wrong.
    findings: Vec<Finding>,
    /// What was done, in order.
    steps: Vec<String>,
    /// What a crawl saw.
    pages: Vec<Page>,
    /// Facts by name.
    seen: Value,
}

#[derive(Debug, Deserialize)]
struct Finding {
    check: String,
    #[serde(rename = "where")]
    place: String,
    what: String,
}

/// A page a crawl saw.
#[derive(Debug, Deserialize)]
struct Page {
    /// Its address without ids and values.
    shape: String,
}

impl Tour {
    /// The tour of that name, in `tests/node/browser/tours`.
    pub(super) fn new(name: &str, server: &Server) -> Self {
        let job = json!({
            "tour": name,
            "base": format!("http://{}", server.address()),
            "token": server.api().token(),
            "pictures": pictures(),
        });
        Self { job }
    }

    /// Tells the tour something.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.job[name] = value.into();
        self
    }

    /// Does the tour. The browser's profile is new, and gone afterwards.
    pub(super) async fn go(self) -> Report {
        let profile = TempDir::new().expect("a folder can be made");
        let mut judge = node("browser/main.js");
        judge.env("TMPDIR", profile.path());
        let said = run_judge(judge, &self.job.to_string()).await;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

impl Report {
    /// Holds the tour to have found nothing wrong.
    ///
    /// # Panics
    ///
    /// With every finding.
    pub(super) fn expect_nothing_wrong(&self) {
        if self.findings.is_empty() {
            return;
        }
        tell(&format!("done before: {:?}", self.steps));
        let line = |finding: &Finding| {
            let Finding { check, place, what } = finding;
            format!("{check} at {place}: {what}")
        };
        let lines: Vec<_> = self.findings.iter().map(line).collect();
        panic!("{} findings:\n  {}", lines.len(), lines.join("\n  "));
    }

    /// Holds a crawl to have come by pages of these shapes, so that it can't grow blind.
    pub(super) fn expect_shapes(&self, expected: &[&str]) {
        let mut shapes: Vec<_> = self.pages.iter().map(|page| page.shape.as_str()).collect();
        shapes.sort_unstable();
        shapes.dedup();
        for expected in expected {
            let found = shapes.contains(expected);
            assert!(found, "no page of {expected} among {shapes:#?}");
        }
    }

    /// Holds a long tour to have come to its last step.
    pub(super) fn expect_end(&self, last: &str) {
        let done = self.steps.last().map(String::as_str);
        assert_eq!(done, Some(last), "what was done: {:?}", self.steps);
    }

    /// Holds a tour to have come to its end.
    pub(super) fn expect_steps(&self, expected: &[&str]) {
        assert_eq!(self.steps, expected, "what was done");
    }

    /// The texts a tour noted under a name.
    pub(super) fn found_at(&self, name: &str) -> Vec<&str> {
        let noted = self.seen[name].as_array();
        let noted = noted.unwrap_or_else(|| panic!("nothing was noted of {name}"));
        noted.iter().filter_map(Value::as_str).collect()
    }
}
