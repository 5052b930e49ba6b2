//! What a lost node left: fenced off, written to `owed`, and only then free.

use std::sync::Arc;

use watchfire_domain::limit;
use watchfire_store::{
    DeliveryRef, Life, NewOwed, OwedReason, Series, StoreError, StoreResult, Unfinished, Write,
};

use crate::dispatch::due_at;
use crate::inner::Inner;

/// Messages read at a time.
const PAGE: usize = 500;

/// Takes over from every life whose lease has ended.
///
/// Everything is written in the dead life's name, under an epoch only this node knows. If this
/// node hangs over it, another takes over with a newer epoch, and what this one writes late is
/// refused.
pub(super) async fn bury_the_dead(inner: &Arc<Inner>) -> StoreResult<()> {
    let life = inner.life();
    loop {
        let now = inner.clock.now();
        let Some(dead) = inner.store.undertake(&life, now).await? else {
            return Ok(());
        };
        tracing::warn!(node = %dead.node.0, "a node is lost; taking over what it left");
        match bury(inner, &dead).await {
            Ok(deliveries) => {
                tracing::warn!(node = %dead.node.0, deliveries, "took over from a lost node");
            }
            Err(StoreError::Fenced) => {
                tracing::warn!(node = %dead.node.0, "another node goes on with the lost one");
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns how many deliveries it left.
async fn bury(inner: &Arc<Inner>, dead: &Life) -> StoreResult<usize> {
    let mut count = 0;
    let mut after = Some(inner.store.checkpoint(dead).await?);
    while let Some(seq) = after {
        let (unfinished, next) = inner.store.unfinished(dead, seq, PAGE).await?;
        let mut writes = Vec::new();
        for message in unfinished {
            writes.extend(spills(inner, message).await?);
        }
        count += writes.len();
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(limit::COMMIT_ROWS_MAX));
            let now = inner.clock.now();
            inner.store.record(dead, now, writes).await?;
            writes = rest;
        }
        if let Some(next) = next {
            inner.store.move_checkpoint(dead, next).await?;
        }
        after = next;
    }
    inner.store.bury(dead).await?;
    Ok(count)
}

/// What was in a lost node's memory becomes owed, as it would have been spilled.
async fn spills(inner: &Arc<Inner>, unfinished: Unfinished) -> StoreResult<Vec<Write>> {
    let Unfinished { stored, endpoints } = unfinished;
    let snapshot = inner.catalog.by_key(stored.app).await?;
    let now = inner.clock.now();
    let later = stored.message.details.deliver_at.filter(|at| *at > now);
    let (due_at, reason) = match later {
        Some(at) => (at, OwedReason::Scheduled),
        None => (due_at(&stored.message, now), OwedReason::Spilled),
    };
    let spill = |key| {
        let endpoint = snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.endpoint(key));
        Write::Spill(NewOwed {
            delivery: DeliveryRef {
                app: stored.app,
                endpoint: key,
                seq: stored.seq,
            },
            due_at: Some(due_at),
            reason,
            series: Series::START,
            urgency: stored.message.urgency,
            record: endpoint.and_then(|endpoint| endpoint.record_of(&stored.message)),
        })
    };
    Ok(endpoints.into_iter().map(spill).collect())
}
