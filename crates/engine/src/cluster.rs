//! Several nodes on one store: who is alive, who sends to which endpoints, and what happens when a
//! node is lost.
//!
//! # Problem
//!
//! Deliveries of one endpoint must be made by one node at a time, or their order, their window and
//! their rate mean nothing. Nodes come and go, hang, and lose the database; what a lost node had
//! accepted must be delivered, and what it still does must do no harm.
//!
//! # Idea
//!
//! Endpoints belong to shards, and a shard is held by one life of a node. Every node beats; one
//! whose lease has ended is fenced off by any other, which writes what it left to `owed` and frees
//! its shards ([`burial`]). Each round a node works out its even share of the shards, takes free
//! ones up to it and hands over what it holds above it ([`handover`]). Any node accepts: what is for
//! another's endpoint is owed from the start, and the holder is told ([`arrivals`]). There is no
//! leader: each of these steps is one transaction that only one node can win.
//!
//! # What a node may believe
//!
//! Only [`Station`], which stands under the lock of the lanes. A write is refused once its life was
//! fenced off, whatever the node believes. Starting an attempt is no write, so a node also stops
//! starting them before its lease can have ended, by a clock that no one sets back.
//!
//! # Limits
//!
//! A node that was paused in the middle of a request may finish it after another has taken over:
//! that is one of the requests in flight, and the receiver sees it twice under one id.

mod arrivals;
mod burial;
mod changes;
mod handover;
mod membership;
mod station;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use watchfire_domain::limit;
use watchfire_store::{Beat, EndpointKey, Epoch, Life, Load, StoreError, StoreResult};

pub(crate) use self::arrivals::arrival_loop;
pub(crate) use self::changes::change_loop;
pub(crate) use self::handover::hand_everything_over;
#[cfg(test)]
pub(crate) use self::membership::{beat, round};
pub(crate) use self::membership::{beat_loop, begin, leave, membership_loop};
pub(crate) use self::station::Station;
use crate::inner::Inner;

/// The version that a node tells the others.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whom this node shares its store with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nobody: the store belongs to this process, and all shards are its own for ever.
    Alone,
    /// Other nodes, which may come and go at any time.
    Others(Rhythm),
}

/// How often a node beats, and how long it is taken to be alive without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    pub beat: Duration,
    pub lease: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            beat: limit::NODE_BEAT,
            lease: limit::NODE_LEASE,
        }
    }
}

/// The part of the lease after which no attempt starts: what is left is for an attempt that was
/// about to start, and for clocks that do not run alike.
const USED_OF_LEASE: f64 = 0.8;

impl Inner {
    pub(crate) fn rhythm(&self) -> Option<Rhythm> {
        match self.config.company {
            Company::Alone => None,
            Company::Others(rhythm) => Some(rhythm),
        }
    }

    /// The life under which this node writes.
    pub(crate) fn life(&self) -> Arc<Life> {
        Arc::clone(&self.shared.lock().station.life)
    }

    /// Whether an attempt may start that was handed out under this epoch.
    pub(crate) fn may_start(&self, epoch: Epoch) -> bool {
        if self.config.company == Company::Alone {
            return true;
        }
        let shared = self.shared.lock();
        shared.station.life.epoch == epoch && shared.station.may_start(Instant::now())
    }

    /// Whether this node has a lease, or needs none.
    pub(crate) fn has_lease(&self) -> bool {
        self.config.company == Company::Alone
            || self.shared.lock().station.may_start(Instant::now())
    }

    /// Whether this node sends to an endpoint.
    pub(crate) fn makes(&self, endpoint: EndpointKey) -> bool {
        self.shared.lock().station.makes(endpoint)
    }

    /// Looks whether a life has ended: then the node must begin another.
    pub(crate) fn mind<T>(&self, life: &Life, result: StoreResult<T>) -> StoreResult<T> {
        if let Err(StoreError::Fenced) = &result {
            self.fenced(life);
        }
        result
    }

    /// A node that is alone needs no lease; it says now and then how it is, for whoever asks.
    pub(crate) async fn say_how_it_is(&self) {
        if self.config.company != Company::Alone {
            return;
        }
        let beat = self.sign_of_life(Rhythm::default());
        if let Err(error) = self.store.beat(&self.life(), beat).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "this node did not say how it is");
        }
    }

    fn fenced(&self, life: &Life) {
        let mut shared = self.shared.lock();
        if shared.station.life.epoch == life.epoch {
            shared.station.lapse();
            self.fence_seen.notify_one();
        }
    }

    fn sign_of_life(&self, rhythm: Rhythm) -> Beat {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let shared = self.shared.lock();
        Beat {
            now: self.clock.now(),
            lease: rhythm.lease,
            version: VERSION.to_owned(),
            load: Load {
                in_flight: count(shared.dispatcher.in_flight()),
                queued: count(shared.dispatcher.queued()),
                lag: count(shared.fresh.lag()),
            },
        }
    }
}

impl Rhythm {
    /// How long attempts may start after a beat was sent.
    fn usable(self) -> Duration {
        self.lease.mul_f64(USED_OF_LEASE)
    }
}
