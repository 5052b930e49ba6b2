//! Waiting for something to become true, never for time to pass.

use std::time::Duration;

/// How long a test waits for what it expects, before it fails. Far more than anything takes, so
/// that a busy machine fails nothing.
const PATIENCE: Duration = Duration::from_secs(90);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds something, and returns that.
///
/// # Panics
///
/// When patience is over, with `expectation`.
pub(crate) async fn eventually<T>(
    expectation: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {expectation}"))
}
