//! Requests that must take effect once, however often they are sent.

use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Change, Remembered};

use super::{Error, Result};
use crate::Engine;

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

/// Does work that is harmless to do twice, and remembers its answer afterwards: if the process dies
/// in between, a repetition does it again rather than never.
pub(super) async fn done_once<T>(
    engine: &Engine,
    repeatable: Option<Repeatable<'_, T>>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(repeatable) = repeatable else {
        return work.await;
    };
    let now = engine.clock().now();
    if let Some(first) = engine.store().remembered(repeatable.once.key, now).await? {
        return Err(Error::Repeated(first));
    }
    let done = work.await?;
    let remember = repeatable.remember(now, &done);
    match engine.apply(vec![remember]).await.map_err(Error::from) {
        // The same request at the same moment: it was done, whoever remembers it.
        Ok(()) | Err(Error::Repeated(_)) => Ok(done),
        Err(error) => Err(error),
    }
}
