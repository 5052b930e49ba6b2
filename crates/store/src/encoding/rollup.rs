//! Roll-ups: what a batch adds to them, and how counts are written down.

use std::collections::BTreeMap;
use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement};
use watchfire_domain::id::EventType;
use watchfire_domain::lag::{BUCKETS, Histogram};
use watchfire_domain::message::Message;
use watchfire_domain::time::Timestamp;

use super::hour_of;
use crate::{ActivityCounts, AppKey, DeliveryRef, EndpointKey, Owner, Step};

/// Columns of [`ActivityCounts`]: the six counters, then the lag, bucket by bucket.
pub const ACTIVITY_CELLS: usize = 6 + BUCKETS;

/// What a batch settles, owes and counts, so that each row of a roll-up is written once a batch.
/// Sorted: rows are written, and locked, in this order.
#[derive(Debug, Default)]
pub struct Tally {
    /// By endpoint and hour.
    pub settled: BTreeMap<(EndpointKey, i64), HourCells>,
    /// Changes of what is owed.
    pub owed: BTreeMap<EndpointKey, i64>,
    /// By application and minute.
    pub activity: BTreeMap<(AppKey, i64), ActivityCounts>,
    /// Accepted messages by application, event type and hour.
    pub event_types: BTreeMap<(AppKey, EventType, i64), i64>,
}

/// Settled deliveries of an endpoint in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourCells {
    pub delivered: i64,
    /// Exhausted or skipped.
    pub failed: i64,
    pub cancelled: i64,
}

impl Tally {
    /// A message was accepted.
    pub fn accepted(&mut self, app: AppKey, message: &Message) {
        let at = message.accepted_at;
        self.counts(app, at).accepted += 1;
        let of_hour = (app, message.event_type.clone(), hour_of(at));
        *self.event_types.entry(of_hour).or_default() += 1;
    }

    /// An attempt was recorded.
    pub fn attempted(&mut self, delivery: DeliveryRef, attempt: &Attempt, lag: Option<Duration>) {
        let at = attempt.attempted_at;
        self.counts(delivery.app, at).attempted(attempt, lag);
        let AfterAttempt::Settled { settlement } = attempt.next else {
            return;
        };
        let hour = (delivery.endpoint, hour_of(at));
        let hour = self.settled.entry(hour).or_default();
        match settlement {
            Settlement::Delivered => hour.delivered += 1,
            Settlement::Exhausted | Settlement::Skipped => hour.failed += 1,
            Settlement::Cancelled => hour.cancelled += 1,
        }
    }

    pub fn owed(&mut self, endpoint: EndpointKey, change: i64) {
        *self.owed.entry(endpoint).or_default() += change;
    }

    fn counts(&mut self, app: AppKey, at: Timestamp) -> &mut ActivityCounts {
        let minute = Step::Minute.slot_of(at);
        self.activity.entry((app, minute)).or_default()
    }
}

/// How an owner of counts is named.
pub fn owner_cell(owner: &Owner) -> String {
    match owner {
        Owner::Organization(org) => format!("o:{org}"),
        Owner::Application(app) => format!("a:{}", app.0),
    }
}

/// Counts in the order of their columns.
pub fn activity_cells(counts: &ActivityCounts) -> [i64; ACTIVITY_CELLS] {
    let ActivityCounts {
        accepted,
        delivered,
        exhausted,
        skipped,
        cancelled,
        attempts_failed,
        lag,
    } = counts;
    let mut cells = [0; ACTIVITY_CELLS];
    let heads = [
        accepted,
        delivered,
        exhausted,
        skipped,
        cancelled,
        attempts_failed,
    ];
    let all = heads.into_iter().chain(&lag.counts);
    for (cell, count) in cells.iter_mut().zip(all) {
        *cell = i64::try_from(*count).unwrap_or(i64::MAX);
    }
    cells
}

/// Reads counts in the order of their columns; `next` is given the name of each.
pub fn activity_of<E>(
    mut next: impl FnMut(&'static str) -> Result<u64, E>,
) -> Result<ActivityCounts, E> {
    let mut counts = ActivityCounts {
        accepted: next("accepted")?,
        delivered: next("delivered")?,
        exhausted: next("exhausted")?,
        skipped: next("skipped")?,
        cancelled: next("cancelled")?,
        attempts_failed: next("attempts_failed")?,
        lag: Histogram::default(),
    };
    for count in &mut counts.lag.counts {
        *count = next("lag")?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_were_written() {
        let mut counts = ActivityCounts {
            accepted: 1,
            delivered: 2,
            exhausted: 3,
            skipped: 4,
            cancelled: 5,
            attempts_failed: 6,
            lag: Histogram::default(),
        };
        for (bucket, count) in counts.lag.counts.iter_mut().zip(7..) {
            *bucket = count;
        }
        let mut cells = activity_cells(&counts).into_iter();
        let mut next = |_| cells.next().map(i64::unsigned_abs).ok_or("too few cells");
        assert_eq!(activity_of(&mut next), Ok(counts));
        assert_eq!(cells.next(), None);
    }
}
