//! `/metrics` for Prometheus, on a listener of its own.
//!
//! What it says is about the whole server and not about one organization, and Prometheus brings no
//! credential, so it must not be where strangers are: it is off unless an address is set for it,
//! and that address is not the API's.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};
use watchfire_engine::Engine;

/// The format of Prometheus that every version of it reads.
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// Clock ticks a second in /proc; fixed by the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone)]
struct Scraped {
    engine: Engine,
    registry: Arc<Registry>,
}

/// The one route.
pub(crate) fn router(engine: &Engine) -> Router {
    let mut registry = Registry::default();
    engine.metrics().register(&mut registry);
    register_own(&mut registry);
    let scraped = Scraped {
        engine: engine.clone(),
        registry: Arc::new(registry),
    };
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(scraped)
}

async fn scrape(State(scraped): State<Scraped>) -> Response {
    if let Err(error) = scraped.engine.observe().await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "what is owed is not known; the metrics say what was");
    }
    let text = written(&scraped.registry);
    ([(header::CONTENT_TYPE, FORMAT)], text).into_response()
}

/// What is about the process and the build.
fn register_own(registry: &mut Registry) {
    let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("watchfire_build", "The version that runs", build);
    registry.register_collector(Box::new(Process));
}

/// All metrics in the format of Prometheus. The library writes the stricter format that grew out of
/// it, in which a counter is described without the ending that its samples have.
fn written(registry: &Registry) -> String {
    let mut strict = String::with_capacity(16 * 1024);
    encode(&mut strict, registry).expect("a string grows");
    let described = |line: &str| {
        let name = line.strip_prefix("# TYPE ")?;
        name.strip_suffix(" counter").map(ToOwned::to_owned)
    };
    let counters: Vec<_> = strict.lines().filter_map(described).collect();
    let mut text = String::with_capacity(strict.len() + 1024);
    for line in strict.lines() {
        let mut words = line.splitn(4, ' ');
        let (mark, kind, name) = (words.next(), words.next(), words.next().unwrap_or_default());
        let rest = words.next().unwrap_or_default();
        match (mark, kind) {
            (Some("#"), Some("EOF" | "UNIT")) => continue,
            (Some("#"), Some(kind)) if counters.iter().any(|counter| counter == name) => {
                write!(text, "# {kind} {name}_total {rest}").expect("a string grows");
            }
            (Some("#"), Some(kind)) if rest == "info" => {
                write!(text, "# {kind} {name}_info gauge").expect("a string grows");
            }
            (Some("#"), Some("HELP")) if name == "watchfire_build" => {
                write!(text, "# HELP {name}_info {rest}").expect("a string grows");
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// What the system knows about this process, under the names that all programs use.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name, help, value: u64| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        let Usage {
            resident_bytes,
            cpu_seconds,
        } = usage().unwrap_or_default();
        gauge(
            "process_resident_memory_bytes",
            "Memory the process holds.",
            resident_bytes,
        )?;
        gauge(
            "process_open_fds",
            "Files and connections that are open.",
            open_files(),
        )?;
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        gauge(
            "process_max_fds",
            "Files and connections that may be open.",
            most,
        )?;
        let counter = ConstCounter::new(cpu_seconds);
        let (name, help) = ("process_cpu_seconds", "Processor time used.");
        let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
        counter.encode(encoder)
    }
}

#[derive(Default)]
struct Usage {
    resident_bytes: u64,
    cpu_seconds: f64,
}

/// From `/proc`; `None` where there is none.
fn usage() -> Option<Usage> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name that may hold spaces; it ends in the last parenthesis.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)?;
    let pages = number(21)?;
    #[expect(clippy::cast_precision_loss, reason = "ticks of many years fit")]
    let cpu_seconds = ticks as f64 / TICKS_PER_SECOND;
    let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Usage {
        resident_bytes: pages * page_bytes,
        cpu_seconds,
    })
}

fn open_files() -> u64 {
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    u64::try_from(files).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        watchfire_engine::Metrics::default().register(&mut registry);
        register_own(&mut registry);
        registry
    }

    fn page() -> String {
        let mut page = String::from(
            "# Metrics\n\n\
             Generated from `crates/engine/src/metrics.rs` and `crates/watchfire/src/metrics.rs`.\n\n\
             `/metrics` is off until `metrics_listen` names an address for it; it asks for no \
             credential, so that address must not be where strangers are.\n\
             No label names a tenant, an endpoint or an event type.\n\
             Rules and a dashboard that use these names are in `deploy/`.\n\n\
             | metric | kind | what it says |\n|---|---|---|\n",
        );
        let text = written(&registry());
        let mut help = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                rest.split_once(' ')
                    .expect("a name")
                    .1
                    .clone_into(&mut help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name");
                writeln!(page, "| `{name}` | {kind} | {help} |").expect("a string grows");
            }
        }
        page
    }

    #[test]
    fn the_page_of_metrics_is_fresh() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/reference/metrics.md"
        );
        if std::env::var_os("WATCHFIRE_UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).expect("the page can be written");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == page(),
            "metrics.md is out of date; run `make docs` and commit the page"
        );
    }

    #[test]
    fn counters_are_described_by_the_names_of_their_samples() {
        let text = written(&registry());
        assert!(
            text.contains("# TYPE watchfire_messages_accepted_total counter\n"),
            "{text}"
        );
        assert!(
            text.contains("\nwatchfire_messages_accepted_total 0\n"),
            "{text}"
        );
        assert!(
            text.contains("# TYPE watchfire_build_info gauge\n"),
            "{text}"
        );
        assert!(
            text.contains("# TYPE watchfire_delivery_lag_seconds histogram\n"),
            "{text}"
        );
        assert!(!text.contains("EOF"), "{text}");
    }

    #[test]
    fn the_process_knows_what_it_uses() {
        assert!(usage().expect("a system with /proc").resident_bytes > 1_000_000);
        assert!(open_files() > 2);
    }
}
