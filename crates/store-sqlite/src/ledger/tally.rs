//! Counts what a batch settles and owes, so that each roll-up row is written once a batch.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::hour_of;
use watchfire_store::{ActivityCounts, AppKey, DeliveryRef, EndpointKey, Owner, Step};

use crate::activity::{self, Table};
use crate::fault::FaultResult;
use crate::writer::Tx;

/// Changes of the roll-ups, not yet written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    settled: HashMap<(EndpointKey, i64), Settled>,
    owed: HashMap<EndpointKey, i64>,
    /// By application and minute.
    activity: HashMap<(AppKey, i64), ActivityCounts>,
}

#[derive(Debug, Default)]
struct Settled {
    delivered: i64,
    failed: i64,
    cancelled: i64,
}

impl Tally {
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

    pub(crate) fn write(self, tx: &Tx<'_>) -> FaultResult<()> {
        for ((endpoint, hour), settled) in self.settled {
            let sql = "INSERT INTO endpoint_hour (endpoint, hour, delivered, failed, cancelled) \
                 VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (endpoint, hour) DO UPDATE SET \
                 delivered = delivered + excluded.delivered, \
                 failed = failed + excluded.failed, \
                 cancelled = cancelled + excluded.cancelled";
            let Settled {
                delivered,
                failed,
                cancelled,
            } = settled;
            tx.execute(sql, params![endpoint.0, hour, delivered, failed, cancelled])?;
        }
        for (endpoint, change) in self.owed {
            let sql = "INSERT INTO endpoint_owed (endpoint, owed) VALUES (?1, ?2) \
                 ON CONFLICT (endpoint) DO UPDATE SET owed = owed + excluded.owed";
            if change != 0 {
                tx.execute(sql, params![endpoint.0, change])?;
            }
        }
        write_activity(tx, self.activity)
    }
}

/// One row for each application and minute, and one for each organization.
fn write_activity(
    tx: &Tx<'_>,
    activity: HashMap<(AppKey, i64), ActivityCounts>,
) -> FaultResult<()> {
    let mut of_orgs: HashMap<(String, i64), ActivityCounts> = HashMap::new();
    for ((app, minute), counts) in activity {
        let owner = activity::name_of(&Owner::Application(app));
        activity::add(tx, Table::Minute, (minute, &owner), &counts)?;
        if let Some(org) = org_of(tx, app)? {
            of_orgs.entry((org, minute)).or_default().merge(&counts);
        }
    }
    for ((org, minute), counts) in of_orgs {
        activity::add(tx, Table::Minute, (minute, &org), &counts)?;
    }
    Ok(())
}

/// An application's organization, as [`activity::name_of`] names it.
fn org_of(tx: &Tx<'_>, app: AppKey) -> FaultResult<Option<String>> {
    let sql = "SELECT 'o:' || org FROM application WHERE key = ?1";
    let org = tx
        .prepare(sql)?
        .query_row([app.0], |row| row.get(0))
        .optional()?;
    Ok(org)
}
