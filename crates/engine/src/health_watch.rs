//! Health that changes with time alone: a cool-down ends, probation is passed.

use std::sync::Arc;

use parking_lot::Mutex;
use watchfire_domain::health::{Decision, Effect};
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, Change, EndpointKey, ShardSet, StoreError, StoreResult};

use crate::endpoint::Endpoint;
use crate::inner::Inner;
use crate::notices::{About, By};
use crate::owed::UNREADABLE_REST;
use crate::timers::Timers;

/// When which endpoint's health changes by itself.
#[derive(Default)]
pub(crate) struct HealthWatch(Mutex<Timers>);

impl HealthWatch {
    /// Looks at an endpoint when its health next changes by itself. An instant that has passed
    /// needs no look: the gate is open for a probe, and its outcome decides.
    pub(crate) fn follow(&self, endpoint: &Endpoint, now: Timestamp) {
        let (key, app) = (endpoint.stored.key, endpoint.stored.app);
        match endpoint.next_health_tick_at().filter(|at| *at > now) {
            Some(at) => self.0.lock().set(key, app, at),
            None => self.0.lock().clear(key),
        }
    }

    /// Looks at an endpoint at once.
    pub(crate) fn look_at(&self, endpoint: EndpointKey, app: AppKey) {
        self.0.lock().set(endpoint, app, Timestamp::EPOCH);
    }

    /// These are another node's now.
    pub(crate) fn forget(&self, shards: ShardSet) {
        self.0.lock().forget(shards);
    }

    pub(crate) fn forget_all(&self) {
        self.forget(ShardSet::ALL);
    }

    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.lock().next_after(now)
    }
}

/// Lets time pass for every endpoint whose health it changes. Returns whether there was any.
pub(crate) async fn tick(inner: &Arc<Inner>, now: Timestamp) -> StoreResult<bool> {
    let due = inner.health.0.lock().due(now);
    for (key, app) in &due {
        if !inner.makes(*key) {
            inner.health.0.lock().clear(*key);
            continue;
        }
        match inner.catalog.endpoint(*app, *key).await {
            Ok(Some(endpoint)) => pass_time(inner, &endpoint, now).await?,
            Ok(None) => inner.health.0.lock().clear(*key),
            Err(error @ StoreError::Inconsistent { .. }) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    endpoint = key.0,
                    "the health of this endpoint is not looked at"
                );
                let later = now + UNREADABLE_REST;
                inner.health.0.lock().set(*key, *app, later);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(!due.is_empty())
}

async fn pass_time(inner: &Arc<Inner>, endpoint: &Endpoint, now: Timestamp) -> StoreResult<()> {
    let Decision {
        next,
        effect,
        notices,
    } = endpoint.tick(now);
    if effect == Effect::Changed {
        let change = Change::SetHealth {
            key: endpoint.stored.key,
            health: next.clone(),
            revision: Some(endpoint.stored.health_revision),
        };
        let about = About {
            entropy: inner.entropy.as_ref(),
            endpoint,
            now,
            mail_gather: inner.mail_gather,
        };
        let told = about.health(&next, &notices, By::Outcome).into_iter();
        let changes = std::iter::once(change).chain(told.map(Change::Tell));
        match inner.store.apply(changes.collect()).await {
            Ok(()) => {
                inner.noticed.notify_one();
                inner.mail_wanted.notify_one();
            }
            Err(watchfire_store::ApplyError::Store(error)) => return Err(error),
            // The endpoint was deleted meanwhile, or a person has set its health: whoever did it
            // has this node look again.
            Err(watchfire_store::ApplyError::Conflict(_)) => {
                inner.health.0.lock().clear(endpoint.stored.key);
                return Ok(());
            }
        }
        inner.announce(endpoint, &next, notices);
    }
    let mut shared = inner.shared.lock();
    inner.adopt_health(&mut shared, endpoint, &next);
    drop(shared);
    inner
        .owed
        .note(endpoint.stored.key, endpoint.stored.app, Some(now));
    Ok(())
}
