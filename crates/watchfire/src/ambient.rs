//! The one place where the program reads the time of day and draws chance.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use watchfire_domain::ambient::{Clock, Entropy};
use watchfire_domain::time::Timestamp;

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's source of chance.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws chance")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system supplies random bytes");
    }
}

/// The same source, asked for many bytes at once: a delivery draws four times, and each draw would
/// be a system call.
///
/// What is as long as a secret always comes from the system, so that no secret ever stood here.
pub(crate) struct StockedEntropy {
    stock: Mutex<Stock>,
}

/// Bytes drawn together: for some hundred ids, in one call.
const STOCK_BYTES: usize = 4_096;
/// The chance in an id has 15 bytes, the shortest secret 24.
const SHORT_BYTES_MAX: usize = 16;

/// Drawn bytes that nobody has had. Those that somebody had are overwritten with zeros.
struct Stock {
    bytes: [u8; STOCK_BYTES],
    used: usize,
}

impl StockedEntropy {
    pub(crate) fn new() -> Self {
        let empty = Stock {
            bytes: [0; STOCK_BYTES],
            used: STOCK_BYTES,
        };
        Self {
            stock: Mutex::new(empty),
        }
    }
}

impl Entropy for StockedEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > SHORT_BYTES_MAX {
            return SystemEntropy.fill(bytes);
        }
        self.stock.lock().take(bytes);
    }
}

impl Stock {
    fn take(&mut self, bytes: &mut [u8]) {
        if bytes.len() > STOCK_BYTES - self.used {
            SystemEntropy.fill(&mut self.bytes);
            self.used = 0;
        }
        let taken = &mut self.bytes[self.used..][..bytes.len()];
        bytes.copy_from_slice(taken);
        taken.fill(0);
        self.used += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Draws `len` bytes until the stock was filled several times.
    fn draws(len: usize) -> Vec<Vec<u8>> {
        let entropy = StockedEntropy::new();
        let draw = || {
            let mut bytes = vec![0; len];
            entropy.fill(&mut bytes);
            bytes
        };
        (0..3 * STOCK_BYTES / len).map(|_| draw()).collect()
    }

    #[test]
    fn no_bytes_are_given_out_twice() {
        // 15 does not divide the stock; 17 is more than it gives out.
        for len in [8, 15, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1] {
            let draws = draws(len);
            let distinct: HashSet<_> = draws.iter().collect();
            assert_eq!(distinct.len(), draws.len(), "{len} bytes");
            assert!(!distinct.contains(&vec![0; len]), "{len} bytes");
        }
    }

    #[test]
    fn what_was_given_out_is_not_kept() {
        let entropy = StockedEntropy::new();
        entropy.fill(&mut [0; SHORT_BYTES_MAX]);
        let stock = entropy.stock.lock();
        assert_eq!(stock.used, SHORT_BYTES_MAX);
        assert_eq!(stock.bytes[..SHORT_BYTES_MAX], [0; SHORT_BYTES_MAX]);
        assert_ne!(stock.bytes[SHORT_BYTES_MAX..][..8], [0; 8]);
    }

    #[test]
    fn secrets_come_from_the_system() {
        let entropy = StockedEntropy::new();
        entropy.fill(&mut [0; SHORT_BYTES_MAX + 1]);
        assert_eq!(
            entropy.stock.lock().used,
            STOCK_BYTES,
            "nothing was stocked"
        );
    }
}
