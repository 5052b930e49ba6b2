//! Writes down what was decided, however long the store takes.

use std::time::Duration;

use watchfire_domain::time::Timestamp;
use watchfire_store::{Life, Recorded, StoreError, Write};

use crate::inner::Inner;
use crate::metrics::Commit;

/// First and longest wait before a failed write is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(50);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);
/// After so long a wait, a single write may be what the store can't take.
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
        if wait >= SUSPICIOUS_WAIT
            && let Some(recorded) = write_one_by_one(inner, life, now, &writes).await
        {
            return Some(recorded);
        }
        wait = (wait * 2).min(RETRY_WAIT_MAX);
    }
}

/// Writes each alone, so that one that the store can't take does not hold up all others for ever.
/// `None` if it takes none of them: then the store itself is in trouble.
async fn write_one_by_one(
    inner: &Inner,
    life: &Life,
    now: Timestamp,
    writes: &[Write],
) -> Option<Vec<Recorded>> {
    let mut recorded = Vec::with_capacity(writes.len());
    let mut failed = Vec::new();
    for write in writes {
        match inner.store.record(life, now, vec![write.clone()]).await {
            Ok(one) => recorded.extend(one),
            Err(error) => {
                failed.push(error);
                recorded.push(Recorded::Stale);
            }
        }
    }
    if failed.len() == writes.len() {
        return None;
    }
    for error in failed {
        // Still fresh or leased in the store: the next start, or the end of the lease, takes it up.
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "one outcome can't be recorded"
        );
    }
    Some(recorded)
}

fn report_waiting(error: &StoreError, writes: usize) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        writes,
        "outcomes wait to be recorded"
    );
}
