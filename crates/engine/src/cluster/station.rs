//! What this node may do.

use std::sync::Arc;

use tokio::time::Instant;
use watchfire_store::{EndpointKey, Epoch, Life, NodeId, ShardSet};

/// What this node may do; under the same lock as its lanes.
#[derive(Debug)]
pub(crate) struct Station {
    /// Under which it writes.
    pub(crate) life: Arc<Life>,
    /// Shards whose endpoints it sends to.
    pub(crate) held: ShardSet,
    /// Shards it still holds in the store, but hands over.
    pub(crate) leaving: ShardSet,
    start: Start,
}

/// Until when attempts may start.
#[derive(Clone, Copy, Debug)]
enum Start {
    Always,
    Until(Instant),
    Never,
}

impl Station {
    /// Before the node has joined.
    pub(crate) fn none(node: NodeId) -> Self {
        let epoch = Epoch(0);
        Self {
            life: Arc::new(Life { node, epoch }),
            held: ShardSet::NONE,
            leaving: ShardSet::NONE,
            start: Start::Never,
        }
    }

    /// For a node whose store is its own.
    pub(crate) fn alone(life: Life) -> Self {
        Self {
            life: Arc::new(life),
            held: ShardSet::ALL,
            leaving: ShardSet::NONE,
            start: Start::Always,
        }
    }

    /// For a node among others.
    pub(crate) fn among(life: Life, held: ShardSet, until: Instant) -> Self {
        Self {
            life: Arc::new(life),
            held,
            leaving: ShardSet::NONE,
            start: Start::Until(until),
        }
    }

    pub(crate) fn makes(&self, endpoint: EndpointKey) -> bool {
        self.held.has(endpoint)
    }

    pub(crate) fn may_start(&self, now: Instant) -> bool {
        match self.start {
            Start::Always => true,
            Start::Until(end) => now < end,
            Start::Never => false,
        }
    }

    /// The lease was extended.
    pub(super) fn extend(&mut self, until: Instant) {
        self.start = match self.start {
            Start::Until(before) => Start::Until(before.max(until)),
            stays @ (Start::Always | Start::Never) => stays,
        };
    }

    /// The life has ended.
    pub(super) fn lapse(&mut self) {
        self.start = Start::Never;
    }

    /// Shards begin to be handed over.
    pub(super) fn begin_handover(&mut self, shards: ShardSet) {
        self.held = self.held.without(shards);
        self.leaving = self.leaving.with(shards);
    }
}
