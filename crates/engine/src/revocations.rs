//! This node's view of signed tokens that were ended before their time.
//!
//! # Problem
//!
//! A token proves by itself who is calling, so nothing is read for it; and yet one that was ended
//! must not work once more.
//!
//! # Idea
//!
//! What the store said about a token is kept with the generation it was asked in. Every change of
//! what is void raises the generation, on this node before the change is answered and on others
//! when they follow the log of changes, and so everything kept counts no more. Ending tokens is
//! rare, so asking again about each one in use is cheap.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Store, StoreResult, TokenMark};

/// What is known of tokens, and what it is read from.
pub(crate) struct Revocations {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    generation: u64,
    tokens: HashMap<[u8; 32], Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    void_from: Option<Timestamp>,
    read_at: Timestamp,
}

impl Revocations {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// Whether a token was ended.
    pub(crate) async fn is_void(&self, token: &TokenMark, now: Timestamp) -> StoreResult<bool> {
        let void_from = self.void_from(token, now).await?;
        Ok(void_from.is_some_and(|from| from <= now))
    }

    async fn void_from(&self, token: &TokenMark, now: Timestamp) -> StoreResult<Option<Timestamp>> {
        let generation = {
            let known = self.known.lock();
            let entry = known.tokens.get(&token.hash);
            let fresh =
                entry.filter(|entry| now.since(entry.read_at) < limit::CACHED_API_KEY_AGE_MAX);
            if let Some(entry) = fresh {
                return Ok(entry.void_from);
            }
            known.generation
        };
        let void_from = self.store.token_void_from(token).await?;
        let mut known = self.known.lock();
        if known.generation == generation {
            let read_at = now;
            known.keep(token.hash, Entry { void_from, read_at });
        }
        Ok(void_from)
    }

    /// Called after a change, whether it was applied or not.
    pub(crate) fn forget(&self) {
        let mut known = self.known.lock();
        known.generation += 1;
        known.tokens.clear();
    }
}

impl Known {
    fn keep(&mut self, token: [u8; 32], entry: Entry) {
        if self.tokens.len() >= limit::CACHED_TOKENS_MAX {
            // A hash map's order is as good as chance.
            let victim = self.tokens.keys().next().copied();
            victim.map(|victim| self.tokens.remove(&victim));
        }
        self.tokens.insert(token, entry);
    }
}
