//! What the server measures about itself, declared once. Nothing decides on it.
//!
//! No label names a tenant, an endpoint or an event type: the number of series stays the same
//! however many customers there are, and a scrape tells nobody who they are. What belongs to a
//! tenant is in the store's roll-ups.
//!
//! Counters and histograms are written where things happen; gauges are filled in by
//! [`crate::Engine::observe`] when somebody looks.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use watchfire_domain::attempt::Settlement;
use watchfire_domain::lag;
use watchfire_domain::outcome::Outcome;
use watchfire_store::StoreError;

/// What all names begin with.
const PREFIX: &str = "watchfire";
/// Rows of one transaction.
const ROWS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1_000.0];
/// Seconds of one transaction, or of one request of the API.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// Labels whose names and values come from fixed lists.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Histograms = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// A transaction that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Commit {
    /// Messages are accepted.
    Accept,
    /// Outcomes and what follows from them are recorded.
    Record,
}

/// What kind of request the API was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteClass {
    /// Messages are sent.
    Publish,
    Read,
    Write,
    /// Pages, health checks, and paths there are none of.
    Other,
}

/// What the server measures about itself.
#[derive(Debug)]
pub struct Metrics {
    /// Messages accepted.
    pub accepted: Counter,
    /// Messages accepted although their payload breaks its schema.
    pub schema_faults: Counter,
    /// Attempts that failed and are tried again.
    pub retried: Counter,
    /// Mails the mail server took.
    pub mails_sent: Counter,
    /// Times a mail was not taken; most are tried again.
    pub mails_failed: Counter,
    pub(crate) notices: Counter,
    pub(crate) task_deliveries: Counter,
    attempts: Counters<1>,
    settled: Counters<1>,
    lag: Histogram,
    commit_rows: Histograms,
    commit_seconds: Histograms,
    store_faults: Counters<1>,
    requests: Counters<2>,
    request_seconds: Histograms,
    pub(crate) gauges: Gauges,
}

/// How things stand when somebody looks.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) in_flight: Gauge,
    pub(crate) queued: Gauge,
    pub(crate) lanes: Gauge,
    pub(crate) recording: Gauge,
    pub(crate) owed: Gauge,
    pub(crate) owing_endpoints: Gauge,
    pub(crate) oldest_owed_seconds: Gauge,
    pub(crate) overdue_seconds: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let rows: fn() -> Histogram = || Histogram::new(ROWS);
        let bounds = lag::BOUNDS.map(|bound| bound.as_secs_f64());
        let metrics = Self {
            accepted: Counter::default(),
            schema_faults: Counter::default(),
            retried: Counter::default(),
            mails_sent: Counter::default(),
            mails_failed: Counter::default(),
            notices: Counter::default(),
            task_deliveries: Counter::default(),
            attempts: Family::default(),
            settled: Family::default(),
            lag: Histogram::new(bounds),
            commit_rows: Family::new_with_constructor(rows),
            commit_seconds: Family::new_with_constructor(seconds),
            store_faults: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            gauges: Gauges::default(),
        };
        metrics.begin_at_zero();
        metrics
    }
}

/// Registers metrics one a line: where, its name behind the prefix, its help, the metric.
macro_rules! register {
    ($registry:ident, $metrics:expr; $($name:literal, $help:literal, $($field:ident).+;)+) => {
        $($registry.register($name, $help, $metrics.$($field).+.clone());)+
    };
}

impl Metrics {
    /// Enters all metrics into a registry, under the names people will look for.
    #[rustfmt::skip]
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix(PREFIX);
        register! { registry, self;
            "messages_accepted", "Messages that were accepted: they are on disk", accepted;
            "messages_with_schema_faults", "Accepted messages whose payload breaks its schema", schema_faults;
            "attempts", "Attempts by their outcome", attempts;
            "attempts_retried", "Attempts that failed and are tried again", retried;
            "deliveries_settled", "Deliveries that were settled, by how", settled;
            "delivery_lag_seconds", "Time from when a message could be sent to the end of the attempt that delivered it", lag;
            "commit_rows", "Rows of one transaction of the hot path", commit_rows;
            "commit_duration_seconds", "Time one transaction of the hot path took, waiting included", commit_seconds;
            "store_faults", "Transactions the database did not take, by why", store_faults;
            "notices", "Notices handed over as operational webhooks", notices;
            "task_deliveries", "Deliveries that background tasks set going or cancelled", task_deliveries;
            "mails_sent", "Mails the mail server took", mails_sent;
            "mails_failed", "Times a mail was not taken; most are tried again", mails_failed;
            "api_requests", "Requests of the API by class and answer", requests;
            "api_request_duration_seconds", "Time until an answer began", request_seconds;
            "attempts_in_flight", "Attempts that run or whose outcome is not on disk yet", gauges.in_flight;
            "deliveries_queued", "Deliveries in memory that wait for their turn", gauges.queued;
            "lanes", "Endpoints with anything in memory", gauges.lanes;
            "outcomes_waiting", "Outcomes and spills that wait to be recorded", gauges.recording;
            "deliveries_owed", "Deliveries on disk that are not settled: retries, held, spilled, scheduled", gauges.owed;
            "endpoints_owing", "Endpoints that owe any", gauges.owing_endpoints;
            "oldest_owed_age_seconds", "Age of the oldest message that is owed to an endpoint", gauges.oldest_owed_seconds;
            "overdue_seconds", "How long the delivery that is due longest waits for a place; 0 if none does", gauges.overdue_seconds;
        }
    }

    /// Series that are there from the beginning do not have to be guessed by an alert.
    fn begin_at_zero(&self) {
        for outcome in OUTCOMES {
            drop(self.attempts.get_or_create(&[("outcome", outcome)]));
        }
        for settlement in SETTLEMENTS {
            drop(self.settled.get_or_create(&[("settlement", settlement)]));
        }
        for kind in ["full", "unavailable", "fenced", "closed", "inconsistent"] {
            drop(self.store_faults.get_or_create(&[("kind", kind)]));
        }
        for class in RouteClass::ALL {
            let class = ("class", class.name());
            drop(self.request_seconds.get_or_create(&[class]));
            for status in STATUSES {
                drop(self.requests.get_or_create(&[class, ("status", status)]));
            }
        }
        for commit in [Commit::Accept, Commit::Record] {
            drop(self.commit_rows.get_or_create(&commit.labels()));
            drop(self.commit_seconds.get_or_create(&commit.labels()));
        }
    }

    /// Deliveries settled as delivered.
    pub fn delivered(&self) -> u64 {
        self.settled_as(Settlement::Delivered)
    }

    /// Deliveries settled without success.
    pub fn failed(&self) -> u64 {
        let others = [
            Settlement::Exhausted,
            Settlement::Skipped,
            Settlement::Cancelled,
        ];
        others.map(|other| self.settled_as(other)).iter().sum()
    }

    fn settled_as(&self, settlement: Settlement) -> u64 {
        let labels = [("settlement", settlement_name(settlement))];
        self.settled.get_or_create(&labels).get()
    }

    pub(crate) fn attempted(&self, outcome: &Outcome) {
        let outcome = outcome_name(outcome);
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn settled(&self, settlement: Settlement, lag: Option<Duration>) {
        let name = settlement_name(settlement);
        self.settled.get_or_create(&[("settlement", name)]).inc();
        if let Some(lag) = lag {
            self.lag.observe(lag.as_secs_f64());
        }
    }

    pub(crate) fn committed(&self, commit: Commit, rows: usize, took: Duration) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let labels = commit.labels();
        self.commit_rows.get_or_create(&labels).observe(rows.into());
        let seconds = took.as_secs_f64();
        self.commit_seconds.get_or_create(&labels).observe(seconds);
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        let kind = match error {
            StoreError::Full => "full",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Fenced => "fenced",
            StoreError::Closed => "closed",
            StoreError::Inconsistent { .. } => "inconsistent",
        };
        self.store_faults.get_or_create(&[("kind", kind)]).inc();
    }

    /// A request of the API was answered.
    pub fn answered(&self, class: RouteClass, status: u16, took: Duration) {
        let class = ("class", class.name());
        let labels = [class, ("status", status_name(status))];
        self.requests.get_or_create(&labels).inc();
        let seconds = took.as_secs_f64();
        self.request_seconds
            .get_or_create(&[class])
            .observe(seconds);
    }
}

impl Commit {
    fn labels(self) -> Labels<1> {
        let name = match self {
            Self::Accept => "accept",
            Self::Record => "record",
        };
        [("kind", name)]
    }
}

impl RouteClass {
    const ALL: [Self; 4] = [Self::Publish, Self::Read, Self::Write, Self::Other];

    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Write => "write",
            Self::Other => "other",
        }
    }
}

const OUTCOMES: [&str; 8] = [
    "accepted",
    "refused",
    "timed_out",
    "unreachable",
    "blocked",
    "oversize",
    "malformed",
    "skipped",
];

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Refused { .. } => "refused",
        Outcome::TimedOut { .. } => "timed_out",
        Outcome::Unreachable { .. } => "unreachable",
        Outcome::Blocked { .. } => "blocked",
        Outcome::Oversize => "oversize",
        Outcome::Malformed => "malformed",
        Outcome::Skipped { .. } => "skipped",
    }
}

const SETTLEMENTS: [&str; 4] = ["delivered", "exhausted", "skipped", "cancelled"];

fn settlement_name(settlement: Settlement) -> &'static str {
    match settlement {
        Settlement::Delivered => "delivered",
        Settlement::Exhausted => "exhausted",
        Settlement::Skipped => "skipped",
        Settlement::Cancelled => "cancelled",
    }
}

const STATUSES: [&str; 9] = [
    "401", "403", "429", "503", "1xx", "2xx", "3xx", "4xx", "5xx",
];

/// Statuses that alerts tell apart; the rest by the hundred.
fn status_name(status: u16) -> &'static str {
    match status {
        401 => "401",
        403 => "403",
        429 => "429",
        503 => "503",
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn text(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string grows");
        text
    }

    #[test]
    fn what_happens_is_counted_under_its_name() {
        let metrics = Metrics::default();
        metrics.attempted(&Outcome::Oversize);
        metrics.settled(Settlement::Delivered, Some(Duration::from_millis(7)));
        metrics.settled(Settlement::Delivered, None);
        metrics.committed(Commit::Record, 12, Duration::from_millis(3));
        metrics.store_failed(&StoreError::Full);
        metrics.answered(RouteClass::Publish, 202, Duration::from_millis(1));
        metrics.answered(RouteClass::Publish, 204, Duration::from_millis(1));
        let text = text(&metrics);
        for line in [
            r#"watchfire_attempts_total{outcome="oversize"} 1"#,
            r#"watchfire_attempts_total{outcome="accepted"} 0"#,
            r#"watchfire_deliveries_settled_total{settlement="delivered"} 2"#,
            r#"watchfire_delivery_lag_seconds_bucket{le="0.005"} 0"#,
            r#"watchfire_delivery_lag_seconds_bucket{le="0.01"} 1"#,
            r#"watchfire_commit_rows_bucket{le="25.0",kind="record"} 1"#,
            r#"watchfire_commit_duration_seconds_count{kind="record"} 1"#,
            r#"watchfire_store_faults_total{kind="full"} 1"#,
            r#"watchfire_api_requests_total{class="publish",status="2xx"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn no_label_can_grow_with_the_tenants() {
        let known = ["outcome", "settlement", "kind", "class", "status", "le"];
        let metrics = Metrics::default();
        metrics.answered(RouteClass::Other, 404, Duration::ZERO);
        for line in text(&metrics).lines().filter(|line| !line.starts_with('#')) {
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'));
            for label in labels.map_or("", |(labels, _)| labels).split(',') {
                let name = label.split('=').next().unwrap_or_default();
                assert!(name.is_empty() || known.contains(&name), "{line}");
            }
        }
    }
}
