//! Counts what a batch settles and owes, so that each roll-up row is written once a batch.

use std::collections::HashMap;

use rusqlite::params;
use watchfire_domain::attempt::Settlement;
use watchfire_domain::time::Timestamp;
use watchfire_store::EndpointKey;
use watchfire_store::encoding::hour_of;

use crate::fault::FaultResult;
use crate::writer::Tx;

/// Changes of the roll-ups, not yet written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    settled: HashMap<(EndpointKey, i64), Settled>,
    owed: HashMap<EndpointKey, i64>,
}

#[derive(Debug, Default)]
struct Settled {
    delivered: i64,
    failed: i64,
    cancelled: i64,
}

impl Tally {
    pub(crate) fn settled(&mut self, endpoint: EndpointKey, at: Timestamp, how: Settlement) {
        let hour = self.settled.entry((endpoint, hour_of(at))).or_default();
        match how {
            Settlement::Delivered => hour.delivered += 1,
            Settlement::Exhausted | Settlement::Skipped => hour.failed += 1,
            Settlement::Cancelled => hour.cancelled += 1,
        }
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
        Ok(())
    }
}
