//! Taking shards, and handing them over without dropping or overtaking anything.

use std::sync::Arc;

use tokio::time::sleep;
use watchfire_store::{AppKey, Life, OwedReason, Seq, ShardSet, StoreError, StoreResult};

use super::Rhythm;
use crate::inner::Inner;
use crate::recover;

/// Takes free shards, `at_most` so many, and learns what waits for them.
///
/// They are this node's before it looks: a delivery that is written after the look finds a holder
/// that is told of it.
pub(super) async fn take_over(inner: &Arc<Inner>, at_most: usize) -> StoreResult<()> {
    let life = inner.life();
    let taken = inner.store.take_shards(&life, at_most).await?;
    if taken.is_empty() {
        return Ok(());
    }
    // Their endpoints' health was somebody else's to change.
    inner.catalog.forget_all();
    {
        let mut shared = inner.shared.lock();
        if shared.station.life != life {
            return Ok(());
        }
        shared.station.take(taken);
    }
    tracing::info!(shards = taken.len(), "took shards over");
    learn_what_was_taken(inner).await
}

/// Learns what waits for shards that were taken. If that fails, it is tried again in the next round:
/// until then nothing that is owed to their endpoints would be sent.
pub(super) async fn learn_what_was_taken(inner: &Arc<Inner>) -> StoreResult<()> {
    let taken = inner.shared.lock().station.unlearned;
    if taken.is_empty() {
        return Ok(());
    }
    inner.share_rates().await;
    recover::learn(inner, taken).await?;
    inner.shared.lock().station.learned(taken);
    inner.new_task.notify_one();
    Ok(())
}

/// This node stops: others may take each of its shards as soon as nothing of it is in flight.
pub(crate) async fn hand_everything_over(inner: &Arc<Inner>) {
    if let Some(rhythm) = inner.rhythm() {
        let held = inner.shared.lock().station.held;
        hand_over(Arc::clone(inner), held, rhythm).await;
    }
}

/// Hands shards over: nothing more starts for their endpoints, what is queued goes to `owed`, what
/// runs ends and is recorded. Each shard is free as soon as that is done for it.
pub(super) async fn hand_over(inner: Arc<Inner>, shards: ShardSet, rhythm: Rhythm) {
    let life = inner.life();
    {
        let mut shared = inner.shared.lock();
        if shared.station.life != life {
            return;
        }
        shared.station.begin_handover(shards);
    }
    inner.share_rates().await;
    // Whatever was on its way into the lanes arrives there, and finds the shard gone.
    drop(inner.appending.lock().await);
    drop(inner.claiming.lock().await);
    inner.spill_shards(shards);
    while let Some(ready) = inner.until_some_are_idle(&life).await {
        inner.everything_so_far_is_recorded().await;
        match inner.store.give_back(&life, ready).await {
            Ok(()) => inner.forget_shards(&life, ready),
            Err(StoreError::Fenced) => return inner.fenced(&life),
            Err(error) => {
                super::membership::report(&error, "shards were not handed over");
                sleep(rhythm.beat).await;
            }
        }
    }
}

impl Inner {
    /// Works out anew this node's parts of the applications' rates. Whoever hands shards over does it
    /// before they are free, whoever takes them afterwards, so the whole is never exceeded.
    async fn share_rates(&self) {
        let rated = self.shared.lock().dispatcher.rated();
        for app in rated {
            self.share_rate_of(app).await;
        }
    }

    async fn share_rate_of(&self, app: AppKey) {
        // One that can't be read keeps its part until its next message.
        let Ok(Some(snapshot)) = self.catalog.by_key(app).await else {
            return;
        };
        let mut shared = self.shared.lock();
        let held = shared.station.held;
        let any = snapshot.endpoints.first();
        let interval = any.and_then(|endpoint| endpoint.application_interval(held));
        shared.dispatcher.set_rate(app, interval);
    }

    /// With nothing fresh and nothing on its way, the checkpoint follows the store's newest message.
    pub(super) fn rest_at(&self, newest: Seq) {
        if let Ok(_nothing_is_appended) = self.appending.try_lock() {
            self.shared.lock().fresh.rest_at(newest);
        }
    }

    /// Has everything queued for endpoints of these shards written to `owed`.
    pub(crate) fn spill_shards(&self, shards: ShardSet) {
        let now = self.clock.now();
        let mut shared = self.shared.lock();
        for job in shared.dispatcher.take_shards(shards) {
            self.spill(&mut shared, job, OwedReason::Spilled, now);
        }
    }

    /// Waits until some of the shards that are handed over have nothing in flight. `None` if there
    /// are none any more.
    async fn until_some_are_idle(&self, life: &Life) -> Option<ShardSet> {
        loop {
            let recorded = self.something_is_recorded();
            {
                let shared = self.shared.lock();
                let leaving = shared.station.leaving;
                if *shared.station.life != *life || leaving.is_empty() {
                    return None;
                }
                let idle = leaving.without(shared.dispatcher.busy_shards());
                if !idle.is_empty() {
                    return Some(idle);
                }
            }
            recorded.await;
        }
    }

    fn forget_shards(&self, life: &Life, shards: ShardSet) {
        {
            let mut shared = self.shared.lock();
            if *shared.station.life != *life {
                return;
            }
            shared.station.leaving = shared.station.leaving.without(shards);
            shared.dispatcher.forget(shards);
        }
        self.owed.forget(shards);
        self.health.forget(shards);
        tracing::info!(shards = shards.len(), "handed shards over");
    }
}
