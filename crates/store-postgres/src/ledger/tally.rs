//! Counts what a batch settles and owes, so that each roll-up row is written once a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::hour_of;
use watchfire_store::{ActivityCounts, AppKey, DeliveryRef, EndpointKey, Step};

use crate::activity;
use crate::fault::FaultResult;
use crate::parameter::params;
use crate::session::Tx;

/// Changes of the roll-ups, not yet written. Sorted: rows are locked in this order.
#[derive(Debug)]
pub(crate) struct Tally {
    part: i64,
    settled: BTreeMap<(EndpointKey, i64), Settled>,
    owed: BTreeMap<EndpointKey, i64>,
    /// By application and minute.
    activity: BTreeMap<(AppKey, i64), ActivityCounts>,
}

/// Who counts. Each has rows of its own for what happens, so that none of them waits for another's
/// commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Append = 0,
    Record = 1,
    Task = 2,
}

const WRITERS: i64 = 3;

#[derive(Debug, Default)]
struct Settled {
    delivered: i64,
    failed: i64,
    cancelled: i64,
}

impl Tally {
    /// For a writer of the life with this key.
    pub(crate) fn of(node: i64, writer: Writer) -> Self {
        Self {
            part: node * WRITERS + writer as i64,
            settled: BTreeMap::new(),
            owed: BTreeMap::new(),
            activity: BTreeMap::new(),
        }
    }

    /// A message was accepted.
    pub(crate) fn accepted(&mut self, app: AppKey, at: Timestamp) {
        self.counts(app, at).accepted += 1;
    }

    /// An attempt was recorded.
    pub(crate) fn attempted(
        &mut self,
        delivery: DeliveryRef,
        attempt: &Attempt,
        lag: Option<Duration>,
    ) {
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

    fn counts(&mut self, app: AppKey, at: Timestamp) -> &mut ActivityCounts {
        let minute = Step::Minute.slot_of(at);
        self.activity.entry((app, minute)).or_default()
    }

    pub(crate) fn owed(&mut self, endpoint: EndpointKey, change: i64) {
        *self.owed.entry(endpoint).or_default() += change;
    }

    /// The endpoints whose count of owed ones changes must be locked.
    pub(crate) async fn write(self, tx: &Tx) -> FaultResult<()> {
        write_owed(tx, self.owed).await?;
        write_hours(tx, self.settled).await?;
        activity::add_minutes(tx, self.part, &self.activity).await
    }
}

async fn write_owed(tx: &Tx, owed: BTreeMap<EndpointKey, i64>) -> FaultResult<()> {
    let changes = owed.into_iter().filter(|(_, change)| *change != 0);
    let (endpoints, changes): (Vec<i64>, Vec<i64>) = changes
        .map(|(endpoint, change)| (endpoint.0, change))
        .unzip();
    if endpoints.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE endpoint_owed e SET owed = e.owed + new.change \
         FROM unnest($1, $2) AS new (endpoint, change) WHERE e.endpoint = new.endpoint";
    tx.execute(sql, params![endpoints, changes]).await?;
    Ok(())
}

async fn write_hours(tx: &Tx, settled: BTreeMap<(EndpointKey, i64), Settled>) -> FaultResult<()> {
    if settled.is_empty() {
        return Ok(());
    }
    let endpoints: Vec<i64> = settled.keys().map(|key| key.0.0).collect();
    let hours: Vec<i64> = settled.keys().map(|key| key.1).collect();
    let delivered: Vec<i64> = settled.values().map(|hour| hour.delivered).collect();
    let failed: Vec<i64> = settled.values().map(|hour| hour.failed).collect();
    let cancelled: Vec<i64> = settled.values().map(|hour| hour.cancelled).collect();
    let sql = "INSERT INTO endpoint_hour AS h (endpoint, hour, delivered, failed, cancelled) \
         SELECT * FROM unnest($1, $2, $3, $4, $5) AS new (endpoint, hour, delivered, failed, \
         cancelled) ORDER BY endpoint, hour \
         ON CONFLICT (endpoint, hour) DO UPDATE SET \
         delivered = h.delivered + excluded.delivered, failed = h.failed + excluded.failed, \
         cancelled = h.cancelled + excluded.cancelled";
    let parameters = params![endpoints, hours, delivered, failed, cancelled];
    tx.execute(sql, parameters).await?;
    Ok(())
}
