//! Shards: how endpoints are divided among nodes, and how a node learns what others wrote for it.
//!
//! # Idea
//!
//! An endpoint belongs to one of [`limit::SHARDS`] shards, and a shard is held by one life of a
//! node at a time. That node makes all deliveries of the shard's endpoints, so an endpoint's
//! order, window, rate and health live in one place. A shard has no lease of its own: it is held as
//! long as its holder's life has not been buried ([`crate::Nodes::bury`]) and has not given it back.

use std::fmt;

use async_trait::async_trait;
use watchfire_domain::limit;

use crate::StoreResult;
use crate::keys::{AppKey, EndpointKey};
use crate::nodes::Life;

/// Which node makes the deliveries of which endpoints.
///
/// # Nothing is missed
///
/// A write that makes something due in `owed` leaves an arrival if its own life does not hold the
/// endpoint's shard when it commits. A life that takes a shard sees everything that was written
/// before in [`crate::Ledger::endpoints_owing`], and everything after as an arrival. For this,
/// giving back waits for the life's running writes, as fencing does.
#[async_trait]
pub trait Shards: Send + Sync {
    /// Takes free shards, `at_most` so many, and returns those it took: rather not neighbours,
    /// because keys are given in a row. A shard is free if nobody holds it. [`crate::StoreError::Fenced`] if the life has ended.
    async fn take_shards(&self, life: &Life, at_most: usize) -> StoreResult<ShardSet>;

    /// Gives back shards that the life holds; others are passed over. It waits for writes of the
    /// life that are under way, so that whoever takes a shard finds all that they wrote.
    /// [`crate::StoreError::Fenced`] if the life has ended.
    async fn give_back(&self, life: &Life, shards: ShardSet) -> StoreResult<()>;

    /// Takes note of endpoints whose shard the life holds and for which somebody else has made
    /// something due: they are returned once. An arrival whose transaction is under way is waited
    /// for or returned the next time, never lost. [`crate::StoreError::Fenced`] if the life has
    /// ended.
    async fn take_arrivals(&self, life: &Life, limit: usize) -> StoreResult<Vec<Arrival>>;
}

/// Something of this endpoint was made due by a node that does not hold its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival {
    pub endpoint: EndpointKey,
    pub app: AppKey,
}

/// One of [`limit::SHARDS`] parts of all endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

impl Shard {
    /// The shard of work that must be done by one node, and belongs to no endpoint.
    pub const FIRST: Self = Self(0);

    /// The shard of an endpoint: its key modulo the number of shards. Stores work it out as well.
    pub fn of(endpoint: EndpointKey) -> Self {
        Self(endpoint.0.to_le_bytes()[0])
    }
}

const WORD_BITS: usize = 64;
const WORDS: usize = limit::SHARDS / WORD_BITS;
const _: () = assert!(limit::SHARDS == 1 << u8::BITS, "a shard is one byte");

/// A set of shards.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ShardSet([u64; WORDS]);

impl ShardSet {
    pub const NONE: Self = Self([0; WORDS]);
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    pub fn contains(&self, shard: Shard) -> bool {
        let (word, bit) = place(shard);
        self.0[word] & bit != 0
    }

    /// Whether the endpoint's shard is among them.
    pub fn has(&self, endpoint: EndpointKey) -> bool {
        self.contains(Shard::of(endpoint))
    }

    pub fn insert(&mut self, shard: Shard) {
        let (word, bit) = place(shard);
        self.0[word] |= bit;
    }

    pub fn remove(&mut self, shard: Shard) {
        let (word, bit) = place(shard);
        self.0[word] &= !bit;
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>() as usize
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(others.0) {
            *word |= other;
        }
        self
    }

    #[must_use]
    pub fn without(mut self, others: Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(others.0) {
            *word &= !other;
        }
        self
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = Shard> + use<> {
        let set = *self;
        (0..=u8::MAX)
            .map(Shard)
            .filter(move |shard| set.contains(*shard))
    }
}

fn place(shard: Shard) -> (usize, u64) {
    let number = usize::from(shard.0);
    (number / WORD_BITS, 1 << (number % WORD_BITS))
}

impl FromIterator<Shard> for ShardSet {
    fn from_iter<I: IntoIterator<Item = Shard>>(shards: I) -> Self {
        let mut set = Self::NONE;
        for shard in shards {
            set.insert(shard);
        }
        set
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|shard| shard.0))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_each_shard_by_itself() {
        let mut set = ShardSet::NONE;
        for number in [0, 63, 64, 200, 255] {
            set.insert(Shard(number));
        }
        set.insert(Shard(64));
        set.remove(Shard(200));
        let numbers: Vec<_> = set.iter().map(|shard| shard.0).collect();
        assert_eq!(numbers, [0, 63, 64, 255]);
        assert_eq!(set.len(), 4);
        assert!(!set.contains(Shard(200)) && !set.is_empty());
    }

    #[test]
    fn sets_are_added_and_taken_away() {
        let set = |numbers: &[u8]| -> ShardSet { numbers.iter().copied().map(Shard).collect() };
        assert_eq!(set(&[1, 70]).with(set(&[70, 200])), set(&[1, 70, 200]));
        assert_eq!(set(&[1, 70]).without(set(&[70, 200])), set(&[1]));
        assert_eq!(ShardSet::ALL.len(), limit::SHARDS);
        assert_eq!(ShardSet::ALL.without(ShardSet::ALL), ShardSet::NONE);
    }

    #[test]
    fn endpoints_go_round_the_shards() {
        for (key, shard) in [(0, 0), (1, 1), (255, 255), (256, 0), (1_000_000, 64)] {
            assert_eq!(Shard::of(EndpointKey(key)), Shard(shard), "{key}");
        }
    }
}
