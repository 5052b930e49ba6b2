//! Commits that nobody acknowledged.
//!
//! If the connection breaks after a commit was sent, what it wrote may stand or not, and neither may
//! be guessed. A message that stands and is in nobody's memory would not be delivered before the
//! next restart, while a retried request would be told that it was accepted; a delivery that is
//! claimed and in nobody's memory would wait until its claim ends, and its record with it; shards
//! that a node has taken unknowingly would be served by nobody. So those who write such things go on
//! asking until the database answers.
//!
//! A lock that the broken transaction held tells that it has ended; then its trace is there or it is
//! not.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::warn;
use watchfire_domain::limit;
use watchfire_store::{EndpointKey, FenceToken, Seq, ShardSet, StoreError};

use crate::fault::{Fault, FaultResult};
use crate::nodes;
use crate::owed::lock_endpoints;
use crate::parameter::params;
use crate::pool::Pool;
use crate::session::{Mode, Tx, in_transaction};
use crate::shards;

/// What shows that a commit stands.
#[derive(Debug)]
pub(crate) enum Trace {
    /// A message at a place that a node has drawn.
    Message { node: i64, place: Seq },
    /// A claim of deliveries of these endpoints.
    Claim {
        endpoints: BTreeSet<EndpointKey>,
        token: FenceToken,
    },
    /// Shards that a node has taken.
    Shards { node: i64, shards: ShardSet },
}

impl Trace {
    async fn is_there(&self, tx: &Tx) -> FaultResult<bool> {
        match self {
            Self::Message { node, place } => {
                nodes::lock_key(tx, *node).await?;
                // A place that was drawn and lost in a crash of the database is drawn again, maybe by
                // another node.
                let sql = "SELECT 1 FROM message WHERE seq = $1 AND node = $2";
                tx.exists(sql, params![place.0, *node]).await
            }
            Self::Claim { endpoints, token } => {
                lock_endpoints(tx, endpoints).await?;
                let endpoints: Vec<i64> = endpoints.iter().map(|key| key.0).collect();
                let sql = "SELECT 1 FROM owed WHERE endpoint = ANY($1) \
                     AND lease_token IS NOT NULL AND lease_token = $2 LIMIT 1";
                tx.exists(sql, params![endpoints, token.0]).await
            }
            Self::Shards { node, shards } => shards::are_held_by(tx, *node, *shards).await,
        }
    }
}

/// Commits a transaction. If nobody says whether it stands, asks until it is known; without a trace
/// it had nothing to leave that matters.
pub(crate) async fn commit_for_certain(
    pool: &Pool,
    tx: Tx,
    trace: Option<Trace>,
) -> FaultResult<()> {
    let commit = tokio::time::timeout(limit::DATABASE_TIMEOUT, tx.commit()).await;
    match (commit.unwrap_or(Err(Fault::Doubtful)), trace) {
        (Err(Fault::Doubtful), None) => Ok(()),
        (Err(Fault::Doubtful), Some(trace)) => {
            let stands = find_out(pool, &trace).await?;
            stands.then_some(()).ok_or(Fault::Late)
        }
        (settled, _) => settled,
    }
}

/// First and longest wait between two looks.
const LOOK_WAIT: Duration = Duration::from_millis(50);
const LOOK_WAIT_MAX: Duration = Duration::from_millis(500);

async fn find_out(pool: &Pool, trace: &Trace) -> FaultResult<bool> {
    let mut wait = LOOK_WAIT;
    loop {
        let look = in_transaction!(pool, Mode::Write, tx => trace.is_there(&tx));
        match look.await.map_err(StoreError::from) {
            Ok(stands) => {
                warn!(
                    stands,
                    "a commit was not acknowledged; its outcome is known now"
                );
                return Ok(stands);
            }
            Err(closed @ StoreError::Closed) => return Err(closed.into()),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(
                    error,
                    "a commit was not acknowledged; its outcome is not known yet"
                );
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOK_WAIT_MAX);
    }
}

#[cfg(test)]
mod tests;
