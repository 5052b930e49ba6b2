//! A clock that moves only when a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use watchfire_domain::ambient::Clock;
use watchfire_domain::time::Timestamp;

/// Tells the time it was set to. Clones share that time.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// 2026-02-20T10:30:00Z, in microseconds: an ordinary moment, and a whole second.
    const START: i64 = 1_771_583_400_000_000;

    pub fn new() -> Self {
        Self::at(Timestamp::from_unix_micros(Self::START))
    }

    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_micros())))
    }

    /// Moves on by `time`, and tells the new time.
    pub fn advance(&self, time: Duration) -> Timestamp {
        let now = self.now() + time;
        self.set(now);
        now
    }

    /// Jumps to `now`, which may be earlier: clocks of machines do that too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_micros(), Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_until_it_is_moved() {
        let clock = FakeClock::new();
        assert_eq!(clock.now().to_string(), "2026-02-20T10:30:00Z");
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().to_string(), "2026-02-20T10:30:01.500000Z");
    }

    #[test]
    fn clones_share_the_time_and_may_set_it_back() {
        let clock = FakeClock::new();
        clock.clone().set(Timestamp::EPOCH);
        assert_eq!(clock.now(), Timestamp::EPOCH);
    }
}
