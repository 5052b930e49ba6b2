//! What this node may do.

use std::sync::Arc;

use tokio::time::Instant;
use watchfire_store::{EndpointKey, Epoch, Life, NodeId, ShardSet};

use super::Rhythm;

/// What this node may do; under the same lock as its lanes.
#[derive(Debug)]
pub(crate) struct Station {
    /// Under which it writes.
    pub(crate) life: Arc<Life>,
    /// Shards whose endpoints it sends to.
    pub(crate) held: ShardSet,
    /// Shards it still holds in the store, but hands over.
    pub(crate) leaving: ShardSet,
    /// Shards it holds without having learned yet what waits for them.
    pub(super) unlearned: ShardSet,
    /// Whether it asked for a new life and got no answer.
    asked_to_join: bool,
    start: Start,
    heard: Heard,
}

/// When the store last took this node's beats.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    last_at: Option<Instant>,
    /// The first after a time without.
    again_at: Option<Instant>,
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
            unlearned: ShardSet::NONE,
            asked_to_join: false,
            start: Start::Never,
            heard: Heard::default(),
        }
    }

    /// For a node whose store is its own.
    pub(crate) fn alone(life: Life) -> Self {
        Self {
            life: Arc::new(life),
            held: ShardSet::ALL,
            leaving: ShardSet::NONE,
            unlearned: ShardSet::NONE,
            asked_to_join: false,
            start: Start::Always,
            heard: Heard::default(),
        }
    }

    /// For a node among others.
    pub(crate) fn among(life: Life, held: ShardSet, until: Instant) -> Self {
        let heard = Heard {
            last_at: Some(Instant::now()),
            again_at: None,
        };
        Self {
            life: Arc::new(life),
            held,
            leaving: ShardSet::NONE,
            unlearned: ShardSet::NONE,
            asked_to_join: false,
            start: Start::Until(until),
            heard,
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
    pub(super) fn extend(&mut self, until: Instant, rhythm: Rhythm) {
        let now = Instant::now();
        if !self.heard.is_recent(now, rhythm) {
            self.heard.again_at = Some(now);
        }
        self.heard.last_at = Some(now);
        self.start = match self.start {
            Start::Until(before) => Start::Until(before.max(until)),
            stays @ (Start::Always | Start::Never) => stays,
        };
    }

    /// Whether a node whose lease has ended is lost. While the store was away nobody could beat:
    /// then the others get as long as a lease lasts to be heard again.
    pub(super) fn may_judge_others(&self, rhythm: Rhythm) -> bool {
        let now = Instant::now();
        let had_time = |again_at| now.duration_since(again_at) >= rhythm.lease;
        self.heard.is_recent(now, rhythm) && self.heard.again_at.is_none_or(had_time)
    }

    pub(super) fn has_lapsed(&self) -> bool {
        matches!(self.start, Start::Never)
    }

    /// The life has ended.
    pub(super) fn lapse(&mut self) {
        self.start = Start::Never;
    }

    /// A new life is asked for. Until the answer comes, a life under this node's name may be it.
    pub(super) fn ask_to_join(&mut self) {
        self.asked_to_join = true;
    }

    pub(super) fn has_asked_to_join(&self) -> bool {
        self.asked_to_join
    }

    /// Shards were taken.
    pub(super) fn take(&mut self, shards: ShardSet) {
        self.held = self.held.with(shards);
        self.unlearned = self.unlearned.with(shards);
    }

    /// What waits for these shards is known.
    pub(super) fn learned(&mut self, shards: ShardSet) {
        self.unlearned = self.unlearned.without(shards);
    }

    /// Shards begin to be handed over.
    pub(super) fn begin_handover(&mut self, shards: ShardSet) {
        self.held = self.held.without(shards);
        self.unlearned = self.unlearned.without(shards);
        self.leaving = self.leaving.with(shards);
    }
}

impl Heard {
    /// Recent enough that no other node's lease can have ended for want of a store: it was heard at
    /// most a beat before us, and a lease lasts for three beats or more.
    fn is_recent(self, now: Instant, rhythm: Rhythm) -> bool {
        let since = |last_at| now.duration_since(last_at);
        self.last_at
            .is_some_and(|last_at| since(last_at) <= rhythm.lease / 2)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RHYTHM: Rhythm = Rhythm {
        beat: Duration::from_secs(3),
        lease: Duration::from_secs(15),
    };

    async fn beats(station: &mut Station, count: u32) {
        for _ in 0..count {
            tokio::time::sleep(RHYTHM.beat).await;
            station.extend(Instant::now() + RHYTHM.usable(), RHYTHM);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_time_without_a_store_the_others_get_a_lease_to_be_heard_again() {
        let life = Life {
            node: NodeId("one".to_owned()),
            epoch: Epoch(1),
        };
        let mut station = Station::among(life, ShardSet::ALL, Instant::now() + RHYTHM.usable());
        assert!(station.may_judge_others(RHYTHM));
        beats(&mut station, 3).await;
        assert!(station.may_judge_others(RHYTHM));
        tokio::time::sleep(RHYTHM.lease / 2 + Duration::from_millis(1)).await;
        assert!(!station.may_judge_others(RHYTHM), "it does not know");
        beats(&mut station, 5).await;
        assert!(!station.may_judge_others(RHYTHM), "they had no time");
        beats(&mut station, 1).await;
        assert!(station.may_judge_others(RHYTHM));
    }
}
