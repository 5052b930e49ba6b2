//! Writes down what was decided, however long the store takes.

use std::time::Duration;

use watchfire_domain::time::Timestamp;
use watchfire_store::{Life, Recorded, StoreError, Write};

use crate::inner::Inner;
use crate::metrics::Commit;

/// First and longest wait before a failed write is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(50);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);
/// After so long a wait, a single write may be what a store that works can't take.
const SUSPICIOUS_WAIT: Duration = Duration::from_secs(1);

/// Writes until it succeeds: an outcome in hand is not given up because the database is away.
/// `None` if the life has ended, and with it the right to write.
pub(super) async fn write_down(
    inner: &Inner,
    life: &Life,
    now: Timestamp,
    writes: Vec<Write>,
) -> Option<Vec<Recorded>> {
    if writes.is_empty() {
        return Some(Vec::new());
    }
    let mut wait = RETRY_WAIT;
    loop {
        let begun_at = inner.clock.now();
        let recorded = inner.store.record(life, now, writes.clone()).await;
        match inner.mind(life, recorded) {
            Ok(recorded) => {
                let took = inner.clock.now().since(begun_at);
                inner.metrics.committed(Commit::Record, writes.len(), took);
                debug_assert_eq!(recorded.len(), writes.len(), "one answer for each write");
                return Some(recorded);
            }
            Err(StoreError::Fenced) => {
                tracing::warn!(
                    writes = writes.len(),
                    "late outcomes were dropped: another node has taken over"
                );
                return None;
            }
            Err(error) => {
                inner.metrics.store_failed(&error);
                report_waiting(&error, writes.len());
            }
        }
        tokio::time::sleep(wait).await;
        // A store that is away takes nothing, and all of it when it is back.
        if wait >= SUSPICIOUS_WAIT && inner.store.check().await.is_ok() {
            return write_one_by_one(inner, life, now, &writes).await;
        }
        wait = (wait * 2).min(RETRY_WAIT_MAX);
    }
}

/// Writes each alone, so that one that the store can't take does not hold up all others for ever.
async fn write_one_by_one(
    inner: &Inner,
    life: &Life,
    now: Timestamp,
    writes: &[Write],
) -> Option<Vec<Recorded>> {
    let mut recorded = Vec::with_capacity(writes.len());
    for write in writes {
        let mut wait = SUSPICIOUS_WAIT;
        let mut refusals = 0;
        recorded.push(loop {
            let result = inner.store.record(life, now, vec![write.clone()]).await;
            let error = match inner.mind(life, result) {
                Ok(one) => break one.first().copied().unwrap_or(Recorded::Stale),
                Err(StoreError::Fenced) => return None,
                Err(error) => error,
            };
            // A store that is away takes nothing; one that takes something else has refused this.
            if inner.store.check().await.is_ok() {
                refusals += 1;
                if refusals == REFUSALS {
                    give_up(&error);
                    break Recorded::Stale;
                }
                wait = RETRY_WAIT;
            }
            report_waiting(&error, writes.len() - recorded.len());
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
        });
    }
    Some(recorded)
}

/// So often a store that works has to refuse a write before it is given up: it may have come back
/// between the refusal and the question whether it works.
const REFUSALS: usize = 3;

fn give_up(error: &StoreError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "one outcome can't be recorded"
    );
}

fn report_waiting(error: &StoreError, writes: usize) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        writes,
        "outcomes wait to be recorded"
    );
}
