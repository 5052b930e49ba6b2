//! A rate of requests, kept by spacing them evenly.

use std::time::Duration;

use watchfire_domain::time::Timestamp;

/// The least time between two requests, and when the next may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    interval: Option<Duration>,
    free_at: Timestamp,
}

impl Rate {
    pub(super) const UNLIMITED: Self = Self {
        interval: None,
        free_at: Timestamp::EPOCH,
    };

    pub(super) fn set(&mut self, interval: Option<Duration>) {
        self.interval = interval;
    }

    /// When the next request may go, if not now.
    pub(super) fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        (self.interval.is_some() && self.free_at > now).then_some(self.free_at)
    }

    /// A request goes now.
    pub(super) fn take(&mut self, now: Timestamp) {
        if let Some(interval) = self.interval {
            self.free_at = self.free_at.max(now) + interval;
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.interval.is_some()
    }
}
