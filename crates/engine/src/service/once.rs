//! Requests that must take effect once, however often they are sent.

use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Change, Remembered};

/// Names a request, so that a repetition of it is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Hash over organization, path and idempotency key.
    pub key: [u8; 32],
    /// Hash over what was asked: another request under the same key is a mistake.
    pub request: [u8; 32],
}

impl Once {
    /// What is kept in the transaction that does what was asked.
    pub fn remember(self, now: Timestamp, answer: Vec<u8>) -> Remembered {
        Remembered {
            key: self.key,
            request: self.request,
            answer,
            expires_at: now + limit::IDEMPOTENCY_RETENTION,
        }
    }
}

/// A request to do once, and how its answer is written down.
#[derive(Clone, Copy)]
pub struct Repeatable<'a, T> {
    pub once: Once,
    pub answer: &'a (dyn Fn(&T) -> Vec<u8> + Send + Sync),
}

impl<T> Repeatable<'_, T> {
    /// Keeps the answer in the transaction that makes `made`.
    pub(super) fn remember(&self, now: Timestamp, made: &T) -> Change {
        Change::Remember {
            answer: self.once.remember(now, (self.answer)(made)),
            now,
        }
    }
}
