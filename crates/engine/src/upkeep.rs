//! What is done every second: the checkpoint follows, laggards are spilled, uses of API keys are
//! noted, retention removes.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::limit;
use watchfire_store::{PruneOrder, Seq, Shard};

use crate::inner::Inner;

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds between two looks at the node's lease and the lanes' leftovers.
const SLOW_ROUNDS: u32 = 30;
/// Rounds between two removals of old rows.
const PRUNE_ROUNDS: u32 = 60;

pub(crate) async fn upkeep_loop(inner: Arc<Inner>) {
    let mut saved = Seq(0);
    for round in 0u32.. {
        tokio::time::sleep(ROUND).await;
        saved = follow_checkpoint(&inner, saved).await;
        note_key_uses(&inner).await;
        if round % SLOW_ROUNDS == 0 {
            sweep(&inner);
            inner.say_how_it_is().await;
        }
        // One node is enough.
        let prunes = inner.shared.lock().station.held.contains(Shard::FIRST);
        if round % PRUNE_ROUNDS == 0 && prunes {
            prune(&inner).await;
        }
    }
}

fn sweep(inner: &Inner) {
    let mut shared = inner.shared.lock();
    let own = shared.station.held.with(shared.station.leaving);
    shared.dispatcher.sweep(own);
}

/// Stores how far everything is settled or owed, if that moved.
async fn follow_checkpoint(inner: &Arc<Inner>, saved: Seq) -> Seq {
    let (life, checkpoint, laggards) = {
        let mut shared = inner.shared.lock();
        let checkpoint = shared.fresh.checkpoint();
        let too_many = shared.fresh.lag() > limit::CHECKPOINT_LAG_MAX;
        let kept = limit::CHECKPOINT_LAG_MAX / 2;
        let laggards = shared.fresh.place_before_newest(kept);
        let life = Arc::clone(&shared.station.life);
        (life, checkpoint, laggards.filter(|_| too_many))
    };
    if let Some(seq) = laggards {
        inner.spill_below(seq);
    }
    if checkpoint <= saved {
        return saved;
    }
    let moved = inner.store.move_checkpoint(&life, checkpoint).await;
    match inner.mind(&life, moved) {
        Ok(()) => checkpoint,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the checkpoint stays behind"
            );
            saved
        }
    }
}

/// Stores the checkpoint at the end of a clean stop, so that the next start reads nothing.
pub(crate) async fn save_checkpoint(inner: &Arc<Inner>) {
    follow_checkpoint(inner, Seq(0)).await;
}

/// Stores when API keys were last used.
pub(crate) async fn note_key_uses(inner: &Arc<Inner>) {
    let mut uses = inner.keyring.take_uses();
    while !uses.is_empty() {
        let rest = uses.split_off(uses.len().min(limit::COMMIT_ROWS_MAX));
        if let Err(error) = inner.apply(uses).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "uses of API keys were not noted"
            );
            return;
        }
        uses = rest;
    }
}

/// Removes in small steps until nothing is left to remove, letting deliveries go between them.
async fn prune(inner: &Inner) {
    loop {
        let order = PruneOrder {
            now: inner.clock.now(),
            retentions: Arc::clone(&inner.config.retentions),
            rows_max: limit::PRUNE_ROWS_MAX,
        };
        match inner.store.prune(order).await {
            Ok(pruned) if pruned.more => tokio::task::yield_now().await,
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "old rows were not removed"
                );
                return;
            }
        }
    }
}
