//! How often each of many names may do something, in bounded memory.
//!
//! # Idea
//!
//! For each name there is one instant: when it will have used up what it was given, if it asked no
//! more. Who asks moves the instant on by one interval, and is refused while it is further ahead
//! than a burst. So a name costs one number, and nothing has to run to refill anything.
//!
//! Names are kept in two generations of a bounded size. A name that is forgotten may ask anew.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

/// Where a request comes from, as the listener knows it: the peer, or whom a trusted proxy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Who commands an address of version 6 commands all of its network.
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(six) => match six.to_ipv4_mapped() {
                Some(four) => IpAddr::V4(four),
                None => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
            },
        }
    }
}

/// One instant a name: when it will have used up what it was given.
#[derive(Debug)]
pub struct Meter<K> {
    interval: Duration,
    burst: Duration,
    used_up_at: Generations<HashMap<K, Timestamp>>,
}

impl<K: Clone + Eq + Hash> Meter<K> {
    /// One each interval, in bursts of so much time.
    pub fn new(interval: Duration, burst: Duration) -> Self {
        Self {
            interval,
            // One request always fits.
            burst: burst.max(interval),
            used_up_at: Generations::default(),
        }
    }

    /// How long a name must wait; `None` if it need not.
    pub fn wait(&self, name: &K, now: Timestamp) -> Option<Duration> {
        let used_up_at = *self.used_up_at.get(name)?;
        let ahead = used_up_at.since(now) + self.interval;
        ahead.checked_sub(self.burst).filter(|wait| !wait.is_zero())
    }

    /// Counts one, whatever that leads to.
    pub fn take(&mut self, name: K, now: Timestamp) {
        let used_up_at = self.used_up_at.get(&name).copied();
        let used_up_at = used_up_at.map_or(now, |at| at.max(now)) + self.interval;
        self.used_up_at.insert(name, used_up_at);
    }

    /// Counts one unless it must wait.
    pub fn ask(&mut self, name: K, now: Timestamp) -> Option<Duration> {
        let wait = self.wait(&name, now);
        if wait.is_none() {
            self.take(name, now);
        }
        wait
    }
}

/// What was seen lately, in two generations: when the young one is full, the old one is forgotten.
#[derive(Debug, Default)]
struct Generations<T> {
    young: T,
    old: T,
}

const GENERATION: usize = limit::THROTTLED_NAMES_MAX / 2;

impl<K: Eq + Hash> Generations<HashMap<K, Timestamp>> {
    fn get(&self, name: &K) -> Option<&Timestamp> {
        self.young.get(name).or_else(|| self.old.get(name))
    }

    fn insert(&mut self, name: K, at: Timestamp) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&name) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, at);
    }
}

/// Names that were seen lately.
#[derive(Debug)]
pub struct Known<K>(Generations<HashSet<K>>);

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self(Generations {
            young: HashSet::new(),
            old: HashSet::new(),
        })
    }
}

impl<K: Eq + Hash> Known<K> {
    pub fn knows(&self, name: &K) -> bool {
        self.0.young.contains(name) || self.0.old.contains(name)
    }

    pub fn learn(&mut self, name: K) {
        if self.0.young.contains(&name) {
            return;
        }
        if self.0.young.len() >= GENERATION {
            self.0.old = std::mem::take(&mut self.0.young);
        }
        self.0.young.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_not_grow_with_the_names() {
        let second = Duration::from_secs(1);
        let (mut meter, mut known) = (Meter::new(second, second), Known::default());
        for name in 0..limit::THROTTLED_NAMES_MAX * 3 {
            meter.take(name, Timestamp::EPOCH);
            known.learn(name);
            let Generations { young, old } = &meter.used_up_at;
            assert!(young.len() + old.len() <= limit::THROTTLED_NAMES_MAX);
            assert!(known.0.young.len() + known.0.old.len() <= limit::THROTTLED_NAMES_MAX);
            assert!(known.knows(&name));
        }
    }
}
