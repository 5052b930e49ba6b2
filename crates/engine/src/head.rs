//! A delivery that a person takes hold of: the first of a record that is stuck, to skip it or to
//! have it tried at once, and any that is pending, to cancel it.
//!
//! # Order
//!
//! What is queued in memory goes to the store first, which alone knows what is owed and what is the
//! first of a record. What is in flight decides for itself: nobody can take a request back.

use std::time::Duration;

use watchfire_domain::id::MessageId;
use watchfire_store::{AppKey, DeliveryRef, EndpointKey, OwedReason, Recorded, StoreResult, Write};

use crate::inner::Inner;

/// How long it waits for what was queued in memory to be on disk.
const SPILL_WAIT: Duration = Duration::from_secs(1);

/// How long a delivery that was taken from memory rests, so that whoever asked finds it.
const HEAD_REST: Duration = Duration::from_secs(3);

impl Inner {
    /// Has what is queued for an endpoint written to `owed`, if it holds a delivery of the record,
    /// and waits until it is. Returns whether one is in flight: that can't be taken back.
    pub(crate) async fn release_record(&self, key: EndpointKey, record: i64) -> bool {
        {
            let now = self.clock.now();
            let mut shared = self.shared.lock();
            if !shared.dispatcher.holds_record(key, record) {
                return false;
            }
            for job in shared.dispatcher.take_queued(key) {
                // Claimed again at once, it could not be taken hold of.
                let rest = if job.record == Some(record) {
                    HEAD_REST
                } else {
                    Duration::ZERO
                };
                self.spill(&mut shared, job, OwedReason::Spilled, now + rest);
            }
            if shared.dispatcher.holds_record(key, record) {
                return true;
            }
        }
        // If the disk is slower, the record has no head yet, and whoever asks may ask again.
        drop(tokio::time::timeout(SPILL_WAIT, self.everything_is_recorded()).await);
        false
    }

    /// Has what is queued for an endpoint written to `owed`, if a message is among it, and waits
    /// until it is.
    pub(crate) async fn release_message(&self, key: EndpointKey, message: MessageId) {
        {
            let now = self.clock.now();
            let mut shared = self.shared.lock();
            if !shared.dispatcher.queues_any_of(key, |id| id == message) {
                return;
            }
            for job in shared.dispatcher.take_queued(key) {
                let rest = if job.message.id == message {
                    HEAD_REST
                } else {
                    Duration::ZERO
                };
                self.spill(&mut shared, job, OwedReason::Spilled, now + rest);
            }
        }
        // If the disk is slower, it counts as being sent, and whoever asks may ask again.
        drop(tokio::time::timeout(SPILL_WAIT, self.everything_is_recorded()).await);
    }

    /// Settles an owed delivery without a request. `Stale` if it is not what the write says any
    /// more, or leased.
    pub(crate) async fn settle_by_hand(
        &self,
        (app, endpoint): (AppKey, EndpointKey),
        write: Write,
    ) -> StoreResult<Recorded> {
        let now = self.clock.now();
        let life = self.life();
        let recorded = self.store.record(&life, now, vec![write]).await;
        let recorded = self.mind(&life, recorded)?;
        // The turn of the next may have come.
        self.owed.note(endpoint, app, Some(now));
        Ok(recorded.first().copied().unwrap_or(Recorded::Stale))
    }

    /// Makes an owed delivery due at once, unless it waits for its turn.
    pub(crate) async fn hasten(&self, delivery: DeliveryRef) -> StoreResult<()> {
        let now = self.clock.now();
        let DeliveryRef { app, endpoint, seq } = delivery;
        let life = self.life();
        let hastened = self
            .store
            .hasten(&life, (app, endpoint), Some(seq), now)
            .await;
        self.mind(&life, hastened)?;
        // If it is another node's, the store has told that one.
        self.owed.note(endpoint, app, Some(now));
        Ok(())
    }
}
