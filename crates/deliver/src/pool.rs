//! Idle connections, kept for the next request to the same origin.
//!
//! The one used last is used next: a peer's idle timer has had least time to run out on it, and
//! the surplus of a burst ages and goes. Why this is not the pool of the HTTP library's companion
//! crate: `docs/decisions/0002-own-connection-pool.md`.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use watchfire_domain::limit;

use crate::connection::Connection;
use crate::target::Origin;

/// How many connections rest, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// A connection without traffic.
    pub idle_max: Duration,
    /// A connection as a whole: it is a pinned address and must notice a change of DNS.
    pub age_max: Duration,
    pub idle_per_origin_max: usize,
    pub idle_total_max: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle_max: limit::CONNECTION_IDLE_MAX,
            age_max: limit::CONNECTION_AGE_MAX,
            idle_per_origin_max: limit::IDLE_CONNECTIONS_PER_ORIGIN_MAX,
            idle_total_max: limit::IDLE_CONNECTIONS_MAX,
        }
    }
}

/// How connections leave the house: with which client certificate, authorities and proxy. A
/// connection made under one profile is never used under another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct EgressProfile(u32);

/// What two requests must have in common to use the same connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    profile: EgressProfile,
    origin: Origin,
}

impl Key {
    /// For the one profile there is so far.
    pub(crate) fn of(origin: &Origin) -> Self {
        Self {
            profile: EgressProfile::default(),
            origin: origin.clone(),
        }
    }
}

/// The idle connections of a client.
pub(crate) struct Pool {
    limits: PoolLimits,
    shelf: Mutex<Shelf>,
}

struct Resting {
    connection: Box<Connection>,
    since: Instant,
}

#[derive(Default)]
struct Shelf {
    /// Per origin, the one used last on top. No entry is empty.
    idle: HashMap<Key, Vec<Resting>>,
    total: usize,
    /// Whether a task is running that sweeps.
    is_swept: bool,
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            shelf: Mutex::default(),
        }
    }

    /// A connection that can be used at once, and was open a moment ago.
    pub(crate) fn check_out(
        &self,
        key: &Key,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Option<Box<Connection>> {
        loop {
            let mut resting = self.shelf.lock().pop(key)?;
            if self.is_usable(&mut resting, now, cx) {
                return Some(resting.connection);
            }
        }
    }

    /// Keeps a connection for later, or closes it if it can't be used again or there are enough.
    pub(crate) fn check_in(self: &Arc<Self>, key: Key, connection: Box<Connection>) {
        let since = Instant::now();
        if !connection.is_ready() || connection.age(since) >= self.limits.age_max {
            return;
        }
        let resting = Resting { connection, since };
        let must_sweep = self.shelf.lock().push(key, resting, &self.limits);
        if must_sweep {
            let interval = self.sweep_interval();
            tokio::spawn(sweep_until_empty(Arc::downgrade(self), interval));
        }
    }

    fn is_usable(&self, resting: &mut Resting, now: Instant, cx: &mut Context<'_>) -> bool {
        now.saturating_duration_since(resting.since) < self.limits.idle_max
            && resting.connection.age(now) < self.limits.age_max
            && resting.connection.is_still_ready(cx)
    }

    /// Often enough that a connection rests at most a quarter longer than it should.
    fn sweep_interval(&self) -> Duration {
        (self.limits.idle_max / 4).max(Duration::from_millis(10))
    }

    /// Closes connections that are too old or that their peer has closed. Returns whether any
    /// are left.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let keys: Vec<Key> = self.shelf.lock().idle.keys().cloned().collect();
        for key in keys {
            // Off the shelf while they are looked at, so that requests wait for no sweep.
            let mut connections = self.shelf.lock().take_all(&key);
            let mut cx = Context::from_waker(Waker::noop());
            connections.retain_mut(|resting| self.is_usable(resting, now, &mut cx));
            self.shelf.lock().put_below(key, connections, &self.limits);
        }
        self.shelf.lock().end_sweep()
    }
}

/// Connections nobody asks for would otherwise stay open for ever. The task ends with the last
/// idle connection or with the client.
async fn sweep_until_empty(pool: std::sync::Weak<Pool>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.sweep() {
            return;
        }
    }
}

impl Shelf {
    fn pop(&mut self, key: &Key) -> Option<Resting> {
        let connections = self.idle.get_mut(key)?;
        let resting = connections.pop();
        if connections.is_empty() {
            self.idle.remove(key);
        }
        self.total -= usize::from(resting.is_some());
        resting
    }

    /// Returns whether somebody must start to sweep. Beyond a limit the connection is closed;
    /// those that rest will be used or age, so a full shelf does not stay full of idlers.
    fn push(&mut self, key: Key, resting: Resting, limits: &PoolLimits) -> bool {
        let beside = self.idle.get(&key).map_or(0, Vec::len);
        if self.total >= limits.idle_total_max || beside >= limits.idle_per_origin_max {
            return false;
        }
        self.idle.entry(key).or_default().push(resting);
        self.total += 1;
        !std::mem::replace(&mut self.is_swept, true)
    }

    /// Returns whether there is anything left to sweep; if not, the next push says so.
    fn end_sweep(&mut self) -> bool {
        self.is_swept = self.total > 0;
        self.is_swept
    }

    fn take_all(&mut self, key: &Key) -> Vec<Resting> {
        let connections = self.idle.remove(key).unwrap_or_default();
        self.total -= connections.len();
        connections
    }

    /// Returns connections to the bottom: what came meanwhile was used later. What came beyond a
    /// limit meanwhile closes the oldest.
    fn put_below(&mut self, key: Key, mut older: Vec<Resting>, limits: &PoolLimits) {
        older.append(&mut self.take_all(&key));
        let room = limits.idle_total_max.saturating_sub(self.total);
        let kept = older.len().min(room).min(limits.idle_per_origin_max);
        older.drain(..older.len() - kept);
        if !older.is_empty() {
            self.total += older.len();
            self.idle.insert(key, older);
        }
    }
}
