//! Rows of `owed`, and what moves them between waiting, leased, parked and gone.
//!
//! ```text
//!            put                 claim                  settle
//!   (none) ───────▶ waiting ───────────────▶ leased ───────────────▶ (none)
//!                    ▲   │ blocked            │  │
//!                    │   ▼                    │  │ asked for again meanwhile
//!                    │ parked ◀───────────────┘  │
//!                    └────┴──── retry, return ◀──┘
//! ```
//!
//! A **parked** row has no due time: an earlier delivery of its endpoint and record is not settled.
//! Whoever settles that one wakes the next.
//!
//! # Problem
//!
//! What a write does depends on rows that the write before it may have changed, and a batch holds
//! thousands of writes: asking the server for each would take as many round trips.
//!
//! # Idea
//!
//! A [`Book`] holds the rows that a batch can touch. They are read at once, under the locks of
//! their endpoints, changed in memory write by write, and written back at once.
//!
//! # Which rows a batch can touch
//!
//! Those of its deliveries, and the first ones of their records: a batch that removes `n` rows of a
//! record can see at most the first `n + 1` of them come first.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use watchfire_domain::attempt::Trigger;
use watchfire_domain::id::MessageId;
use watchfire_domain::message::Urgency;
use watchfire_domain::time::Timestamp;
use watchfire_store::{DeliveryRef, EndpointKey, FenceToken, NewOwed, OwedReason, Seq, Series};

pub(crate) use rows::{Wanted, lock_endpoints};

/// Names a row.
pub(crate) type Place = (EndpointKey, Seq);

/// What [`Book::put`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Inserted,
    /// It was owed already.
    Merged,
    /// The application has no such message.
    Missing,
}

/// What a fenced write found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fenced {
    Done,
    /// A person asked for the delivery meanwhile, so it is owed again.
    Again,
    Stale,
}

/// A row that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    /// The record it was about.
    pub(crate) record: Option<i64>,
}

/// A row of `owed`, but for what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) message: MessageId,
    /// `None` waits for its turn.
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) reason: OwedReason,
    pub(crate) series: Series,
    pub(crate) urgency: Urgency,
    pub(crate) record: Option<i64>,
    pub(crate) lease: Option<Lease>,
    /// A person asked for it while it was leased.
    pub(crate) again_at: Option<Timestamp>,
}

/// Who works on a row, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) node: i64,
    pub(crate) until: Timestamp,
    pub(crate) token: FenceToken,
}

/// The rows a batch can touch, as they stand after what was done to them so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// `None`: there is no such row, or not any more.
    rows: BTreeMap<Place, Option<Row>>,
    touched: BTreeSet<Place>,
    /// The first places of each record that stands in the book.
    records: HashMap<(EndpointKey, i64), BTreeSet<Seq>>,
}

impl Book {
    fn enter(&mut self, place: Place, row: Row) {
        self.index(place, &row);
        self.rows.insert(place, Some(row));
    }

    fn index(&mut self, (endpoint, seq): Place, row: &Row) {
        if let Some(record) = row.record {
            let places = self.records.entry((endpoint, record)).or_default();
            places.insert(seq);
        }
    }

    pub(crate) fn row(&self, place: Place) -> Option<&Row> {
        self.rows.get(&place).and_then(Option::as_ref)
    }

    fn set(&mut self, place: Place, row: Row) {
        self.index(place, &row);
        self.touched.insert(place);
        self.rows.insert(place, Some(row));
    }

    fn delete(&mut self, place: Place) {
        let (endpoint, seq) = place;
        let record = self.row(place).and_then(|row| row.record);
        if let Some(places) = record.and_then(|record| self.records.get_mut(&(endpoint, record))) {
            places.remove(&seq);
        }
        self.touched.insert(place);
        self.rows.insert(place, None);
    }

    /// Makes a delivery owed. If it is owed already, the earlier due time wins, together with its
    /// series; if it is leased, its own attempt decides, unless a person asks: then it becomes due
    /// again afterwards. One that would be due, but is blocked by its record, is parked.
    pub(crate) fn put(
        &mut self,
        owed: &NewOwed,
        now: Timestamp,
        message: Option<MessageId>,
    ) -> Put {
        let place = (owed.delivery.endpoint, owed.delivery.seq);
        let parks = self.parks(owed, now);
        let due_at = if parks { None } else { owed.due_at };
        let Some(stands) = self.row(place).cloned() else {
            let Some(message) = message else {
                return Put::Missing;
            };
            let row = Row {
                message,
                due_at,
                reason: reason_of(owed.reason, due_at),
                series: owed.series,
                urgency: owed.urgency,
                record: owed.record,
                lease: None,
                again_at: None,
            };
            self.set(place, row);
            return Put::Inserted;
        };
        if stands.lease.is_some() {
            if owed.reason == OwedReason::Requested {
                let at = owed.due_at.unwrap_or(now);
                let again_at = stands.again_at.map_or(at, |before| before.min(at));
                let row = Row {
                    again_at: Some(again_at),
                    ..stands
                };
                self.set(place, row);
            }
            return Put::Merged;
        }
        let wins = match (stands.due_at, owed.due_at) {
            (None, Some(_)) => true,
            (Some(stands), Some(new)) => new < stands,
            (_, None) => false,
        };
        if wins {
            let row = Row {
                due_at,
                reason: reason_of(owed.reason, due_at),
                series: owed.series,
                ..stands
            };
            self.set(place, row);
        }
        Put::Merged
    }

    /// Only what would be due now is parked: parking forgets the due time.
    fn parks(&self, owed: &NewOwed, now: Timestamp) -> bool {
        let due = owed.due_at.is_some_and(|due_at| due_at <= now);
        due && owed.record.is_some_and(|record| {
            self.is_blocked(owed.delivery.endpoint, record, owed.delivery.seq)
        })
    }

    /// Whether an earlier delivery of the same endpoint and record is owed.
    pub(crate) fn is_blocked(&self, endpoint: EndpointKey, record: i64, seq: Seq) -> bool {
        let places = self.records.get(&(endpoint, record));
        places
            .and_then(BTreeSet::first)
            .is_some_and(|first| *first < seq)
    }

    /// Makes the first owed delivery of a record due, if it is parked.
    pub(crate) fn wake_next(&mut self, endpoint: EndpointKey, record: i64, now: Timestamp) {
        let places = self.records.get(&(endpoint, record));
        let Some(first) = places.and_then(BTreeSet::first).copied() else {
            return;
        };
        let place = (endpoint, first);
        match self.row(place).cloned() {
            Some(row) if row.due_at.is_none() => {
                let due_at = Some(now);
                self.set(place, Row { due_at, ..row });
            }
            Some(_) | None => {}
        }
    }

    /// Removes a leased row.
    pub(crate) fn settle(&mut self, delivery: DeliveryRef, token: FenceToken) -> Fenced {
        self.fenced(delivery, token, |_| None)
    }

    /// Ends a lease: the next attempt is due at `due_at`.
    pub(crate) fn retry(
        &mut self,
        delivery: DeliveryRef,
        token: FenceToken,
        due_at: Timestamp,
        series: Series,
    ) -> Fenced {
        self.fenced(delivery, token, |row| {
            Some(Row {
                due_at: Some(due_at),
                reason: OwedReason::Retry,
                series: Series {
                    once: row.series.once,
                    ..series
                },
                lease: None,
                ..row
            })
        })
    }

    /// Ends a lease without an attempt: due at `due_at`, or parked.
    pub(crate) fn give_back(
        &mut self,
        delivery: DeliveryRef,
        token: FenceToken,
        due_at: Option<Timestamp>,
    ) -> Fenced {
        self.fenced(delivery, token, |row| {
            Some(Row {
                due_at,
                reason: reason_of(row.reason, due_at),
                lease: None,
                ..row
            })
        })
    }

    /// Changes or removes a row that is leased under this token. One that a person asked for
    /// meanwhile starts its new series instead.
    fn fenced(
        &mut self,
        delivery: DeliveryRef,
        token: FenceToken,
        change: impl FnOnce(Row) -> Option<Row>,
    ) -> Fenced {
        let place = (delivery.endpoint, delivery.seq);
        let leased = self.row(place).cloned().filter(|row| {
            let token_of = row.lease.map(|lease| lease.token);
            token_of == Some(token)
        });
        let Some(row) = leased else {
            return Fenced::Stale;
        };
        if let Some(again_at) = row.again_at {
            let again = Row {
                due_at: Some(again_at),
                again_at: None,
                reason: OwedReason::Requested,
                series: Series {
                    trigger: Trigger::Manual,
                    ..Series::START
                },
                lease: None,
                ..row
            };
            self.set(place, again);
            return Fenced::Again;
        }
        match change(row) {
            Some(row) => self.set(place, row),
            None => self.delete(place),
        }
        Fenced::Done
    }

    /// Removes a row, unless it is leased.
    pub(crate) fn remove(&mut self, delivery: DeliveryRef) -> Option<Removed> {
        let place = (delivery.endpoint, delivery.seq);
        let row = self.row(place).filter(|row| row.lease.is_none())?;
        let record = row.record;
        self.delete(place);
        Some(Removed { record })
    }
}

/// What has no due time waits for its turn, whatever else was said.
fn reason_of(reason: OwedReason, due_at: Option<Timestamp>) -> OwedReason {
    match due_at {
        Some(_) => reason,
        None => OwedReason::Turn,
    }
}
