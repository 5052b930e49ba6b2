//! This node's view of applications and their endpoints: as fresh as the store for what this node
//! changed, and within a moment for what another did.
//!
//! Every change goes through [`Catalog::apply`], which forgets what it touched before it returns;
//! [`crate::cluster`] has it forget what other nodes touched.
//! A load that began before a change can't put its older rows back: it notices that the generation
//! moved on and reads again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use watchfire_contracts::Contract;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::limit;
use watchfire_store::{
    AppKey, ApplicationRef, ApplyError, Change, EndpointKey, Shard, Store, StoreResult,
    StoredApplication,
};

use crate::endpoint::{Endpoint, Workshop};
use crate::engine::{Config, Parts};

/// An application with its live endpoints, as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub stored: StoredApplication,
    pub contract: Arc<Contract>,
    /// Ascending by key.
    pub endpoints: Vec<Arc<Endpoint>>,
}

impl Snapshot {
    pub fn endpoint(&self, key: EndpointKey) -> Option<&Arc<Endpoint>> {
        let place = self
            .endpoints
            .binary_search_by_key(&key, |endpoint| endpoint.stored.key);
        place.ok().map(|place| &self.endpoints[place])
    }
}

/// The cache and what it is filled from.
pub(crate) struct Catalog {
    store: Arc<dyn Store>,
    workshop: Workshop,
    generation: AtomicU64,
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    by_key: HashMap<AppKey, Arc<Snapshot>>,
    by_ref: HashMap<(OrganizationId, ApplicationRef), AppKey>,
}

impl Catalog {
    pub(crate) fn new(parts: &Parts, config: &Config) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            workshop: Workshop::new(parts, config),
            generation: AtomicU64::new(0),
            cached: Mutex::new(Cached::default()),
        }
    }

    /// Applies changes and forgets what they touched. The caller sees its own change at once.
    pub(crate) async fn apply(&self, changes: Vec<Change>) -> Result<(), ApplyError> {
        let touched: Vec<_> = changes.iter().filter_map(touched_by).collect();
        let applied = self.store.apply(changes).await;
        if !touched.is_empty() {
            self.forget(&touched);
        }
        applied
    }

    /// Another node has changed the application or one of its endpoints.
    pub(crate) fn forget_application(&self, key: AppKey) {
        self.forget(&[Touched::Application(key)]);
    }

    pub(crate) fn forget_all(&self) {
        let mut cached = self.cached.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        *cached = Cached::default();
    }

    fn forget(&self, touched: &[Touched]) {
        let mut cached = self.cached.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let stale = |snapshot: &Snapshot| touched.iter().any(|touched| touched.is_in(snapshot));
        cached.by_key.retain(|_, snapshot| !stale(snapshot));
        cached.by_ref.clear();
    }

    pub(crate) async fn by_ref(
        &self,
        org: &OrganizationId,
        reference: &ApplicationRef,
    ) -> StoreResult<Option<Arc<Snapshot>>> {
        let name = (org.clone(), reference.clone());
        {
            let cached = self.cached.lock();
            let hit = cached
                .by_ref
                .get(&name)
                .and_then(|key| cached.by_key.get(key));
            if let Some(snapshot) = hit {
                return Ok(Some(Arc::clone(snapshot)));
            }
        }
        let generation = self.generation.load(Ordering::Acquire);
        let Some(stored) = self.store.application(org, reference).await? else {
            return Ok(None);
        };
        let key = stored.key;
        let snapshot = self.load(stored, generation).await?;
        let mut cached = self.cached.lock();
        if self.generation.load(Ordering::Acquire) == generation {
            cached.by_ref.insert(name, key);
        }
        Ok(Some(snapshot))
    }

    pub(crate) async fn by_key(&self, key: AppKey) -> StoreResult<Option<Arc<Snapshot>>> {
        if let Some(snapshot) = self.cached.lock().by_key.get(&key) {
            return Ok(Some(Arc::clone(snapshot)));
        }
        let generation = self.generation.load(Ordering::Acquire);
        match self.store.application_by_key(key).await? {
            Some(stored) => self.load(stored, generation).await.map(Some),
            None => Ok(None),
        }
    }

    /// An endpoint of an application, if both are live.
    pub(crate) async fn endpoint(
        &self,
        app: AppKey,
        key: EndpointKey,
    ) -> StoreResult<Option<Arc<Endpoint>>> {
        let snapshot = self.by_key(app).await?;
        Ok(snapshot.and_then(|snapshot| snapshot.endpoint(key).cloned()))
    }

    async fn load(&self, stored: StoredApplication, generation: u64) -> StoreResult<Arc<Snapshot>> {
        let rows = self.store.endpoints_of(stored.key).await?;
        let siblings = rows.iter().map(|row| Shard::of(row.key)).collect();
        let prepare = |row| Arc::new(self.workshop.prepare(&stored, row, &siblings));
        let mut endpoints: Vec<_> = rows.into_iter().map(prepare).collect();
        endpoints.sort_unstable_by_key(|endpoint| endpoint.stored.key);
        let contract = self.workshop.contract_of(&stored);
        let snapshot = Arc::new(Snapshot {
            stored,
            contract,
            endpoints,
        });
        let mut cached = self.cached.lock();
        if self.generation.load(Ordering::Acquire) == generation {
            make_room(&mut cached);
            cached
                .by_key
                .insert(snapshot.stored.key, Arc::clone(&snapshot));
        }
        Ok(snapshot)
    }
}

/// What of the cache a change makes stale.
enum Touched {
    Application(AppKey),
    ApplicationId(ApplicationId),
    Endpoint(EndpointKey),
}

impl Touched {
    fn is_in(&self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Application(key) => snapshot.stored.key == *key,
            Self::ApplicationId(id) => snapshot.stored.application.id == *id,
            Self::Endpoint(key) => snapshot.endpoint(*key).is_some(),
        }
    }
}

fn touched_by(change: &Change) -> Option<Touched> {
    match change {
        Change::CreateApplication { application, .. } => {
            Some(Touched::ApplicationId(application.id))
        }
        Change::UpdateApplication { key, .. } | Change::DeleteApplication { key, .. } => {
            Some(Touched::Application(*key))
        }
        Change::CreateEndpoint { application, .. } => Some(Touched::ApplicationId(*application)),
        Change::UpdateEndpoint { key, .. }
        | Change::DeleteEndpoint { key, .. }
        | Change::SetHealth { key, .. } => Some(Touched::Endpoint(*key)),
        Change::CreateEventType { .. }
        | Change::PutEventType { .. }
        | Change::DeleteEventType { .. }
        | Change::CreateApiKey { .. }
        | Change::RevokeApiKey { .. }
        | Change::NoteApiKeyUse { .. }
        | Change::VoidTokens(_)
        | Change::Tell(_)
        | Change::Audit(_)
        | Change::CreateTask(_)
        | Change::Remember { .. } => None,
    }
}

/// Evicts some application when the cache is full: a hash map's order is as good as chance.
fn make_room(cached: &mut Cached) {
    if cached.by_key.len() < limit::CACHED_APPLICATIONS_MAX {
        return;
    }
    if let Some(victim) = cached.by_key.keys().next().copied() {
        cached.by_key.remove(&victim);
        cached.by_ref.retain(|_, key| *key != victim);
    }
}
