//! Who is running, whose lease has ended, and clean-up.
//!
//! # A node's life
//!
//! ```text
//!            join                lease ends, another undertakes          bury
//!   (none) ────────▶ living ───────────────────────────────▶ dying ──────────▶ (none)
//!                    │   ▲                                    │   ▲
//!              leave │   │ beat; join again under             └───┘ its undertaker dies too,
//!                    ▼   │ a new epoch                              another takes over
//!                  (none)
//! ```
//!
//! Each arrow but `beat` gives the life a new epoch or ends it, so a write that names an older one
//! is refused with [`crate::StoreError::Fenced`] and leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::keys::{NodeId, Seq};
use crate::retention::Retentions;
use crate::shards::ShardSet;

/// Who is running, whose lease has ended, and clean-up.
///
/// # Whose clock
///
/// A lease is written and judged by one clock: where several machines share a store, that is the
/// database's, so that no skew between them can end a lease early or late. The `now` in
/// [`Beat`] is the caller's, kept to show how far its clock is off. A store within the process has
/// no clock of its own and takes the caller's.
///
/// # Fencing
///
/// A write names its [`Life`], and in its transaction the store makes sure that the epoch is still
/// the life's; [`Nodes::undertake`], [`Nodes::join`] and [`crate::Shards::give_back`] wait for
/// writes of the life that are under way. So what a life wrote is whole when somebody else looks.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Enters a node. If the same node's life is there and nobody buries it, that life goes on
    /// under a new epoch, with its shards and its checkpoint; its claims end at once. Otherwise a
    /// new life begins, without shards, above everything that is stored.
    async fn join(&self, node: &NodeId, beat: Beat) -> StoreResult<Joined>;

    /// Extends a life's lease, even if it has ended, and returns the time by the clock that judges
    /// it. [`crate::StoreError::Fenced`] if the life has ended.
    async fn beat(&self, life: &Life, beat: Beat) -> StoreResult<Timestamp>;

    /// Ends a life that has nothing left to do: no fresh delivery, no claim. Its shards are free.
    /// A life that has ended already is no fault.
    async fn leave(&self, life: &Life) -> StoreResult<()>;

    /// Everybody who has joined and not left or been buried, by name.
    async fn members(&self) -> StoreResult<Members>;

    /// Fences off a life whose lease has ended, or whose undertaker's life has, and ends its
    /// claims. Returns it under its new epoch, under which only the caller can write; `None` if
    /// there is none. What it left fresh ([`crate::Ledger::unfinished`]) is to be spilled in its
    /// name, then it is to be buried. Called again by the same life, it returns the one that life
    /// has not buried yet. `now` is the caller's clock, for a store that has none.
    ///
    /// [`crate::StoreError::Fenced`] if the caller's own life has ended.
    async fn undertake(&self, life: &Life, now: Timestamp) -> StoreResult<Option<Life>>;

    /// Ends a life that was undertaken: its shards are free. [`crate::StoreError::Fenced`] if
    /// another undertaker has taken over.
    async fn bury(&self, dead: &Life) -> StoreResult<()>;

    /// Waits until another process may have changed something. Only a hint: whoever waits must
    /// also look by itself from time to time. A back end with one process waits for ever.
    async fn next_hint(&self, life: &Life) -> Hint;

    /// Removes what has outlived its retention, a bounded number of rows at a time.
    async fn prune(&self, order: PruneOrder) -> StoreResult<Pruned>;

    /// Fails if the database can't be read and written.
    async fn check(&self) -> StoreResult<()>;

    /// What the database takes, and which schema it has.
    async fn footprint(&self) -> StoreResult<Footprint>;
}

/// A database from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// What it takes on its disk.
    pub bytes: u64,
    /// What is left on that disk for us; `None` where only its server can know.
    pub free_bytes: Option<u64>,
    /// The newest migration that was applied.
    pub schema: i64,
}

/// A larger one is newer, whichever nodes the two belong to; none is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

/// A node between joining and its end: whoever writes names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Life {
    pub node: NodeId,
    pub epoch: Epoch,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The caller's clock.
    pub now: Timestamp,
    /// The lease ends so long after now.
    pub lease: Duration,
    /// The version of the server.
    pub version: String,
    pub load: Load,
}

/// How busy a node says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Attempts in flight.
    pub in_flight: u32,
    /// Deliveries queued in memory.
    pub queued: u32,
    /// Messages above the checkpoint.
    pub lag: u32,
}

/// What a node finds when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub life: Life,
    /// By the clock that judges leases.
    pub now: Timestamp,
    /// What an earlier life held and nobody has taken.
    pub shards: ShardSet,
}

/// Everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// By the clock that judges leases; where the store has none, the latest it was told.
    pub now: Timestamp,
    pub members: Vec<Member>,
    /// The newest message: a life whose fresh deliveries are all done may move its checkpoint
    /// there, unless it was appending meanwhile.
    pub newest: Seq,
}

/// A node that has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub life: Life,
    pub version: String,
    pub joined_at: Timestamp,
    /// By the clock that judges leases.
    pub beaten_at: Timestamp,
    pub lease_until: Timestamp,
    /// How far the node's clock was ahead of the one that judges leases, in microseconds.
    pub clock_ahead_micros: i64,
    pub load: Load,
    pub shards: ShardSet,
    /// It was fenced off, and what it left is being taken over.
    pub dying: bool,
}

/// What may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// There are arrivals for the life's shards.
    Arrivals,
    /// The configuration was changed.
    Configuration,
}

/// What retention removes.
#[derive(Clone, Debug)]
pub struct PruneOrder {
    pub now: Timestamp,
    /// The default holds for what belongs to no organization's messages as well: tasks, charts and
    /// notices.
    pub retentions: Arc<Retentions>,
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
