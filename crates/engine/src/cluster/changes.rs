//! What other nodes have changed is forgotten here, within a moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use watchfire_store::{Changed, StoreResult};

use crate::inner::Inner;

/// Between two looks at the log, unless there is a hint.
const LOOK: Duration = Duration::from_millis(250);
/// Changes read at a time.
const PAGE: usize = 1_000;

pub(crate) async fn change_loop(inner: Arc<Inner>) {
    loop {
        drop(timeout(LOOK, inner.changes_hinted.notified()).await);
        if let Err(error) = follow(&inner).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "changes made by other nodes are not seen"
            );
        }
    }
}

/// Forgets what was changed since the last look.
async fn follow(inner: &Arc<Inner>) -> StoreResult<()> {
    loop {
        let seen = *inner.changes_seen.lock();
        let logged = inner.store.changed_after(seen, PAGE).await?;
        let Some(last) = logged.last().map(|logged| logged.number) else {
            return Ok(());
        };
        for logged in logged {
            forget(inner, logged.changed).await;
        }
        // A new life may have begun further on.
        let mut place = inner.changes_seen.lock();
        *place = last.max(*place);
    }
}

/// Its own changes come by as well: what is forgotten twice is read once more, no more than that.
async fn forget(inner: &Arc<Inner>, changed: Changed) {
    match changed {
        Changed::Application(app) => inner.catalog.forget_application(app),
        Changed::ApplicationDeleted(app) => {
            inner.catalog.forget_application(app);
            inner.keyring.forget_all();
        }
        Changed::Endpoint { app, endpoint } => {
            inner.catalog.forget_application(app);
            if inner.makes(endpoint) {
                inner.endpoint_changed_in(app, endpoint).await;
            }
        }
        Changed::ApiKey(id) => inner.keyring.forget_one(id),
        Changed::Tokens => inner.revocations.forget(),
    }
}
