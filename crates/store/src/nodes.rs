//! Who is running, hints that something changed, and clean-up.

use std::time::Duration;

use async_trait::async_trait;
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::keys::{AppKey, EndpointKey, NodeId};

/// Who is running, hints that something changed, and clean-up.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Enters a node, or the same node again after a restart: leases of its earlier life end at
    /// once, and the epoch rises.
    async fn join(&self, node: &NodeId, now: Timestamp) -> StoreResult<Epoch>;

    /// Extends a node's lease. [`crate::StoreError::Fenced`] if the epoch is not its own any more.
    async fn heartbeat(
        &self,
        node: &NodeId,
        epoch: Epoch,
        now: Timestamp,
        lease: Duration,
    ) -> StoreResult<()>;

    /// Waits until another process may have changed something. Only a hint: whoever waits must
    /// also look by itself from time to time. A back end with one process waits for ever.
    async fn next_hint(&self) -> Hint;

    /// Removes what has outlived its retention, a bounded number of rows at a time.
    async fn prune(&self, order: PruneOrder) -> StoreResult<Pruned>;

    /// Fails if the database can't be read and written.
    async fn check(&self) -> StoreResult<()>;
}

/// Counts the lives of a node; a larger one fences off a smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// What may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The endpoint owes something that is due.
    Owed(EndpointKey),
    /// The application or one of its endpoints was changed.
    Configuration(AppKey),
}

/// What retention removes.
#[derive(Clone, Copy, Debug)]
pub struct PruneOrder {
    pub now: Timestamp,
    /// Age at which payloads go, unless the message says less.
    pub payload_retention: Duration,
    /// Age at which messages and their attempts go, once all their deliveries are settled.
    pub message_retention: Duration,
    /// Rows to remove at most.
    pub rows_max: usize,
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub rows: usize,
    /// There is more to remove.
    pub more: bool,
}
