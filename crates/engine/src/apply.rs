//! Changes of the configuration, and what on this node must know of them before they are answered.

use std::sync::Arc;

use watchfire_store::{ApplyError, Change, EndpointKey, StoreError};

use crate::inner::Inner;
use crate::keyring::Stale;

/// Applies changes in a task of their own: a caller that goes away in the middle must not leave
/// caches behind that know less than the store.
pub(crate) async fn to_the_end(inner: Arc<Inner>, changes: Vec<Change>) -> Result<(), ApplyError> {
    let applying = tokio::spawn(async move { inner.apply(changes).await });
    match applying.await {
        Ok(applied) => applied,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_stopped) => Err(StoreError::Closed.into()),
    }
}

impl Inner {
    /// Applies changes; this node sees them before it returns.
    pub(crate) async fn apply(&self, changes: Vec<Change>) -> Result<(), ApplyError> {
        let endpoints: Vec<_> = changes.iter().filter_map(changed_endpoint).collect();
        let tells = changes
            .iter()
            .any(|change| matches!(change, Change::Tell(_)));
        let stale = Stale::after(&changes);
        let voids = |change: &Change| matches!(change, Change::VoidTokens(_));
        let voids = changes.iter().any(voids);
        let new_task = |change: &Change| matches!(change, Change::CreateTask(_));
        let new_task = changes.iter().any(new_task);
        let applied = self.catalog.apply(changes).await;
        self.keyring.forget(&stale);
        if voids {
            self.revocations.forget();
        }
        applied?;
        if tells {
            self.noticed.notify_one();
        }
        if new_task {
            self.new_task.notify_one();
        }
        for endpoint in endpoints {
            self.endpoint_changed(endpoint).await;
        }
        Ok(())
    }
}

fn changed_endpoint(change: &Change) -> Option<EndpointKey> {
    match change {
        Change::UpdateEndpoint { key, .. }
        | Change::DeleteEndpoint { key, .. }
        | Change::SetHealth { key, .. } => Some(*key),
        Change::CreateApplication { .. }
        | Change::UpdateApplication { .. }
        | Change::DeleteApplication { .. }
        | Change::CreateEndpoint { .. }
        | Change::CreateEventType { .. }
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
