//! This node's view of API keys.
//!
//! # Problem
//!
//! A key is looked up for every request, and a revoked one must not work once more.
//!
//! # Idea
//!
//! Keys are kept as they were read. Every change goes through [`crate::Engine::apply`], which has
//! this cache forget what it touched before the change is answered. A look-up that began before a
//! change can't put its older row back: it notices that the generation moved on. What another
//! node changed is found when the row is read again, [`limit::CACHED_API_KEY_AGE_MAX`] later.
//!
//! Uses are collected here and written by the upkeep loop, each key's at most once in
//! [`limit::API_KEY_USE_INTERVAL`]. A crash loses the last second of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use watchfire_domain::id::KeyId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Change, Store, StoreResult, StoredApiKey};

/// The cache and what it is filled from.
pub(crate) struct Keyring {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    generation: u64,
    keys: HashMap<KeyId, Entry>,
    /// Uses to be written.
    uses: HashMap<KeyId, Timestamp>,
}

struct Entry {
    key: Arc<StoredApiKey>,
    read_at: Timestamp,
}

/// What of the cache a list of changes makes stale.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    keys: Vec<KeyId>,
    /// An application was deleted: its keys are not known one by one.
    all: bool,
}

impl Stale {
    pub(crate) fn after(changes: &[Change]) -> Self {
        let mut stale = Self::default();
        for change in changes {
            match change {
                Change::DeleteApplication { .. } => stale.all = true,
                Change::CreateApiKey { key } => stale.keys.push(key.id),
                Change::RevokeApiKey { id, .. } | Change::NoteApiKeyUse { id, .. } => {
                    stale.keys.push(*id);
                }
                Change::CreateApplication { .. }
                | Change::UpdateApplication { .. }
                | Change::CreateEndpoint { .. }
                | Change::UpdateEndpoint { .. }
                | Change::DeleteEndpoint { .. }
                | Change::SetHealth { .. }
                | Change::CreateEventType { .. }
                | Change::VoidTokens(_)
                | Change::Tell(_)
                | Change::Audit(_)
                | Change::PutEventType { .. }
                | Change::DeleteEventType { .. }
                | Change::CreateTask(_)
                | Change::Remember { .. } => {}
            }
        }
        stale
    }
}

impl Keyring {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// A key that was not revoked; it may have expired.
    pub(crate) async fn find(
        &self,
        id: KeyId,
        now: Timestamp,
    ) -> StoreResult<Option<Arc<StoredApiKey>>> {
        let generation = {
            let known = self.known.lock();
            let entry = known.keys.get(&id);
            let fresh =
                entry.filter(|entry| now.since(entry.read_at) < limit::CACHED_API_KEY_AGE_MAX);
            if let Some(entry) = fresh {
                return Ok(Some(Arc::clone(&entry.key)));
            }
            known.generation
        };
        let found = self.store.api_key(id).await?.map(Arc::new);
        let mut known = self.known.lock();
        if known.generation == generation {
            known.keep(id, found.clone(), now);
        }
        Ok(found)
    }

    /// Called after a change, whether it was applied or not.
    pub(crate) fn forget(&self, stale: &Stale) {
        if !stale.all && stale.keys.is_empty() {
            return;
        }
        let mut known = self.known.lock();
        known.generation += 1;
        if stale.all {
            known.keys.clear();
        }
        for id in &stale.keys {
            known.keys.remove(id);
        }
    }

    pub(crate) fn forget_all(&self) {
        self.forget(&Stale {
            all: true,
            ..Stale::default()
        });
    }

    pub(crate) fn forget_one(&self, id: KeyId) {
        self.forget(&Stale {
            keys: vec![id],
            ..Stale::default()
        });
    }

    /// Notes that a key was used, if the last note is old enough.
    pub(crate) fn note_use(&self, key: &StoredApiKey, now: Timestamp) {
        let noted = key
            .last_used_at
            .is_some_and(|at| now.since(at) < limit::API_KEY_USE_INTERVAL);
        if noted {
            return;
        }
        let mut known = self.known.lock();
        if known.uses.len() < limit::CACHED_API_KEYS_MAX {
            known.uses.entry(key.key.id).or_insert(now);
        }
    }

    /// The uses to write, as changes.
    pub(crate) fn take_uses(&self) -> Vec<Change> {
        let uses = std::mem::take(&mut self.known.lock().uses);
        uses.into_iter()
            .map(|(id, at)| Change::NoteApiKeyUse { id, at })
            .collect()
    }
}

impl Known {
    fn keep(&mut self, id: KeyId, found: Option<Arc<StoredApiKey>>, now: Timestamp) {
        let Some(key) = found else {
            self.keys.remove(&id);
            return;
        };
        if self.keys.len() >= limit::CACHED_API_KEYS_MAX {
            // A hash map's order is as good as chance.
            let victim = self.keys.keys().next().copied();
            victim.map(|victim| self.keys.remove(&victim));
        }
        self.keys.insert(id, Entry { key, read_at: now });
    }
}
