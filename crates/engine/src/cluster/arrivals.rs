//! What other nodes have accepted for endpoints of this one.
//!
//! Looking is the truth and hints are a courtesy: this node looks often while something comes, and
//! ever less often while nothing does. Once in a while it looks at everything it holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use watchfire_domain::time::Timestamp;
use watchfire_store::{Hint, StoreError, StoreResult};

use crate::inner::Inner;
use crate::recover;

/// Between two looks, while something comes.
const SHORTEST: Duration = Duration::from_millis(20);
/// Between two looks, while nothing comes.
const LONGEST: Duration = Duration::from_millis(250);
/// Arrivals taken at once.
const TAKEN_TOGETHER: usize = 1_000;
/// Between two looks at everything that is owed: the net below the arrivals.
const FULL_LOOK: Duration = Duration::from_mins(1);

pub(crate) async fn arrival_loop(inner: Arc<Inner>) {
    let mut nap = SHORTEST;
    let mut looked_at = Instant::now();
    let mut missed = false;
    loop {
        if missed || looked_at.elapsed() >= FULL_LOOK {
            looked_at = Instant::now();
            missed = match look_at_everything(&inner).await {
                Ok(()) => false,
                Err(error) => {
                    report(&error);
                    wait(&inner, LONGEST).await;
                    continue;
                }
            };
        }
        nap = match take(&inner).await {
            Ok(TAKEN_TOGETHER) => continue,
            Ok(0) => (nap * 2).min(LONGEST),
            Ok(_) => SHORTEST,
            Err(error) => {
                report(&error);
                // They may be taken all the same, and then nobody else will say so.
                missed = true;
                LONGEST
            }
        };
        wait(&inner, nap).await;
    }
}

/// Sleeps until the next look, or until a hint says that it is worth while.
async fn wait(inner: &Arc<Inner>, nap: Duration) {
    let life = inner.life();
    let nap = sleep(nap);
    tokio::pin!(nap);
    loop {
        tokio::select! {
            () = &mut nap => return,
            hint = inner.store.next_hint(&life) => match hint {
                Hint::Arrivals => return,
                Hint::Configuration => inner.changes_hinted.notify_one(),
            },
        }
    }
}

/// Takes note of endpoints for which something has come. Returns how many.
async fn take(inner: &Arc<Inner>) -> StoreResult<usize> {
    let life = inner.life();
    let arrived = inner.store.take_arrivals(&life, TAKEN_TOGETHER).await;
    let arrived = inner.mind(&life, arrived)?;
    {
        let mut shared = inner.shared.lock();
        for arrival in &arrived {
            shared.dispatcher.owes(arrival.endpoint, arrival.app);
        }
    }
    for arrival in &arrived {
        inner
            .owed
            .note(arrival.endpoint, arrival.app, Some(Timestamp::EPOCH));
    }
    Ok(arrived.len())
}

async fn look_at_everything(inner: &Arc<Inner>) -> StoreResult<()> {
    let held = inner.shared.lock().station.held;
    recover::learn_owed(inner, held).await
}

fn report(error: &StoreError) {
    if !matches!(error, StoreError::Fenced) {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "what other nodes accepted was not looked for"
        );
    }
}
