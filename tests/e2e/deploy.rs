//! The files people deploy with, judged by the programs that will read them.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{in_checkout, python, ready, run_judge};

fn read(path: &str) -> String {
    std::fs::read_to_string(in_checkout(path)).expect("the file is there")
}

async fn promtool(arguments: &[&str]) {
    let mut promtool = Command::new("promtool");
    promtool
        .args(arguments)
        .current_dir(in_checkout("deploy/prometheus"));
    run_judge(ready(promtool), "").await;
}

#[tokio::test]
async fn alerts_fire_when_they_should() {
    promtool(&["check", "config", "prometheus.yml"]).await;
    promtool(&["check", "rules", "alerts.yml"]).await;
    promtool(&["test", "rules", "alerts_test.yml"]).await;
}

/// Words of a text that are names of metrics, without what histograms add to them.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    let ours = words.filter(|word| word.starts_with("watchfire_") || word.starts_with("process_"));
    let plain = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| word.strip_suffix(part));
        part.unwrap_or(word).to_owned()
    };
    ours.map(plain).collect()
}

#[test]
fn alerts_and_the_dashboard_name_metrics_there_are() {
    let known = metrics_in(&read("docs/reference/metrics.md"));
    assert!(known.len() > 20, "{known:?}");
    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/watchfire.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let expressions = targets.map(|target| target["expr"].to_string());
    let mut used: Vec<String> = expressions.collect();
    used.push(read("deploy/prometheus/alerts.yml"));
    let used = metrics_in(&used.join(" "));
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // What nobody looks at need not be measured.
    let unused: Vec<_> = known.difference(&used).collect();
    let details = [
        "watchfire_attempts_retried_total",
        "watchfire_build_info",
        "watchfire_messages_with_schema_faults_total",
    ];
    assert_eq!(unused, details);
}

#[test]
fn every_alert_says_what_to_do() {
    let rules = read("deploy/prometheus/alerts.yml");
    let page = read("docs/operating/alerts.md");
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut count = 0;
    for name in names {
        let section = format!("docs/operating/alerts.md#{}", name.to_ascii_lowercase());
        assert!(rules.contains(&section), "{name} names no section");
        assert!(
            page.contains(&format!("\n## {name}\n")),
            "{name} has no section"
        );
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

#[tokio::test]
async fn the_chart_and_the_compose_file_fit_together() {
    let mut judge = python("svix1", "chart.py");
    judge.arg(in_checkout("deploy/helm/watchfire"));
    run_judge(judge, "").await;
}

#[tokio::test]
async fn the_unit_is_understood_and_confined() {
    let unit = in_checkout("deploy/systemd/watchfire.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&unit);
    run_judge(ready(analyze), "").await;
    // The program is not installed on a machine that tests it; whatever else is said is a fault.
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg(&unit);
    let output = ready(verify).output().await.expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let faults = said
        .lines()
        .filter(|line| !line.contains("is not executable"));
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<&str>::new());
}
