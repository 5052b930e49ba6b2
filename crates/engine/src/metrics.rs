//! Counters of what happened since the start. Read by whoever shows them; nothing decides on them.

use std::sync::atomic::{AtomicU64, Ordering};

use watchfire_domain::outcome::Outcome;

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages accepted.
    pub accepted: Counter,
    /// Messages accepted although their payload breaks its schema.
    pub schema_faults: Counter,
    /// Deliveries settled as delivered.
    pub delivered: Counter,
    /// Deliveries settled without success.
    pub failed: Counter,
    /// Attempts that failed and are tried again.
    pub retried: Counter,
    /// Mails the mail server took.
    pub mails_sent: Counter,
    /// Times a mail was not taken; most are tried again.
    pub mails_failed: Counter,
}

impl Metrics {
    pub(crate) fn settled(&self, outcome: &Outcome) {
        let counter = if outcome.is_accepted() {
            &self.delivered
        } else {
            &self.failed
        };
        counter.add(1);
    }
}
