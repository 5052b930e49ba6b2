//! Restart: what the last life of this node left fresh becomes fresh again.
//!
//! The endpoints that owe something are learned first, so that a keyed message that is fresh again
//! queues up behind the owed ones of its record instead of overtaking them.

use std::sync::Arc;

use watchfire_store::{DeliveryRef, Seq, Series, ShardSet, Standing, StoreResult, Unfinished};

use crate::dispatch::{FreshMarks, Job};
use crate::inner::Inner;

/// Messages read at a time.
const PAGE: usize = 1_000;

/// Fills the lanes from the store. Returns how many deliveries are fresh again; those of endpoints
/// that are not this node's go to `owed`.
pub(crate) async fn recover(inner: &Arc<Inner>) -> StoreResult<usize> {
    let (life, held) = {
        let shared = inner.shared.lock();
        (Arc::clone(&shared.station.life), shared.station.held)
    };
    learn(inner, held).await?;
    let checkpoint = inner.store.checkpoint(&life).await?;
    inner.shared.lock().fresh = FreshMarks::above(checkpoint);
    let mut after = Some(checkpoint);
    let mut count = 0;
    while let Some(seq) = after {
        let (unfinished, next) = inner.store.unfinished(&life, seq, PAGE).await?;
        for message in unfinished {
            count += message.endpoints.len();
            refresh(inner, message).await?;
        }
        inner.recorder_has_room().await;
        after = next;
    }
    Ok(count)
}

/// Learns which endpoints of these shards owe something or are not well.
pub(crate) async fn learn(inner: &Arc<Inner>, shards: ShardSet) -> StoreResult<()> {
    learn_unwell(inner, shards).await?;
    learn_owed(inner, shards).await
}

/// Endpoints that are not well are looked at once: time may have changed their health.
async fn learn_unwell(inner: &Arc<Inner>, shards: ShardSet) -> StoreResult<()> {
    let mut after = None;
    loop {
        let page = inner.store.endpoints_unwell(shards, after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        for (endpoint, app) in page {
            inner.health.look_at(endpoint, app);
        }
    }
}

pub(crate) async fn learn_owed(inner: &Arc<Inner>, shards: ShardSet) -> StoreResult<()> {
    let mut after = None;
    loop {
        let page = inner.store.endpoints_owing(shards, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.endpoint);
        for due in page {
            inner.shared.lock().dispatcher.owes(due.endpoint, due.app);
            inner.owed.note(due.endpoint, due.app, due.due_at);
        }
    }
}

async fn refresh(inner: &Arc<Inner>, unfinished: Unfinished) -> StoreResult<()> {
    let Unfinished { stored, endpoints } = unfinished;
    let snapshot = inner.catalog.by_key(stored.app).await?;
    let now = inner.clock.now();
    let mut shared = inner.shared.lock();
    shared.fresh.add(stored.seq, endpoints.len());
    for key in endpoints {
        let endpoint = snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.endpoint(key));
        let job = Job {
            delivery: DeliveryRef {
                app: stored.app,
                endpoint: key,
                seq: Seq(stored.seq.0),
            },
            standing: Standing::Fresh,
            claimed_until: None,
            message: Arc::clone(&stored.message),
            series: Series::START,
            record: endpoint.and_then(|endpoint| endpoint.record_of(&stored.message)),
        };
        let held = shared.station.held;
        let terms = endpoint.map(|endpoint| endpoint.terms(now, held));
        inner.push_fresh(&mut shared, job, terms);
    }
    Ok(())
}
