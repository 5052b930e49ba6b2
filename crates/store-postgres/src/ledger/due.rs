//! When endpoints have something to claim.

use std::collections::BTreeSet;

use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, EndpointDue, EndpointKey, Life, OwedReason, Seq, ShardSet};

use crate::fault::FaultResult;
use crate::nodes;
use crate::owed::lock_endpoints;
use crate::parameter::params;
use crate::row::{Columns, at_most, small_code};
use crate::session::Tx;
use crate::shards::{Arrivals, numbers};

/// What some endpoints owe, ascending; those that do not exist are left out.
pub(super) async fn of(
    tx: &Tx,
    endpoints: &BTreeSet<EndpointKey>,
) -> FaultResult<Vec<EndpointDue>> {
    let keys: Vec<i64> = endpoints.iter().map(|key| key.0).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT e.key, e.app, least(\
         (SELECT due_at FROM owed WHERE endpoint = e.key AND urgency = 1 \
          AND lease_token IS NULL AND due_at IS NOT NULL ORDER BY due_at LIMIT 1), \
         (SELECT due_at FROM owed WHERE endpoint = e.key AND urgency = 0 \
          AND lease_token IS NULL AND due_at IS NOT NULL ORDER BY due_at LIMIT 1), \
         (SELECT lease_until FROM owed WHERE endpoint = e.key \
          AND lease_token IS NOT NULL ORDER BY lease_until LIMIT 1)), \
         EXISTS (SELECT 1 FROM owed WHERE endpoint = e.key) \
         FROM endpoint e WHERE e.key = ANY($1) ORDER BY e.key";
    let rows = tx.query(sql, params![keys]).await?;
    let due = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "owed");
        Ok(EndpointDue {
            endpoint: EndpointKey(columns.get("endpoint")?),
            app: AppKey(columns.get("app")?),
            due_at: columns.timestamp_if("due_at")?,
            owes: columns.get("owes")?,
        })
    });
    due.collect()
}

/// Steps from endpoint to endpoint on the index, over all deliveries in between.
pub(super) async fn owing(
    tx: &Tx,
    shards: ShardSet,
    after: Option<EndpointKey>,
    limit: usize,
) -> FaultResult<Vec<EndpointDue>> {
    let sql = "WITH RECURSIVE step (endpoint) AS (\
         (SELECT endpoint FROM owed WHERE endpoint > $1 ORDER BY endpoint LIMIT 1) \
         UNION ALL SELECT (SELECT o.endpoint FROM owed o WHERE o.endpoint > step.endpoint \
         ORDER BY o.endpoint LIMIT 1) FROM step WHERE step.endpoint IS NOT NULL) \
         SELECT endpoint FROM step WHERE endpoint IS NOT NULL \
         AND (endpoint & 255)::smallint = ANY($3) LIMIT $2";
    let held = numbers(shards);
    let mut after = after.map_or(i64::MIN, |key| key.0);
    let mut owing = Vec::new();
    // What an endpoint that is gone for good still owes is stepped over.
    while owing.len() < limit {
        let wanted = limit - owing.len();
        let rows = tx.query(sql, params![after, at_most(wanted), held]).await?;
        let keys = rows.iter().map(|row| {
            let key = Columns::of(row, "owed").get("endpoint")?;
            Ok(EndpointKey(key))
        });
        let keys: BTreeSet<EndpointKey> = keys.collect::<FaultResult<_>>()?;
        let Some(last) = keys.last() else { break };
        after = last.0;
        let end = keys.len() < wanted;
        owing.extend(of(tx, &keys).await?);
        if end {
            break;
        }
    }
    Ok(owing)
}

/// Makes deliveries due that wait for a time, at most [`limit::COMMIT_ROWS_MAX`] of them, and
/// returns how many there were. Without a `seq`, messages that are not to be delivered before a
/// time keep it.
pub(super) async fn hasten(
    tx: &Tx,
    life: &Life,
    (app, endpoint): (AppKey, EndpointKey),
    (seq, now): (Option<Seq>, Timestamp),
) -> FaultResult<usize> {
    let node = nodes::hold(tx, life).await?;
    lock_endpoints(tx, &BTreeSet::from([endpoint])).await?;
    let hastened = advance(tx, endpoint, (seq, now.unix_micros())).await?;
    if hastened > 0 {
        let mut arrivals = Arrivals::default();
        arrivals.note_endpoint(endpoint, app);
        arrivals.tell_holders(tx, node).await?;
    }
    Ok(hastened)
}

async fn advance(
    tx: &Tx,
    endpoint: EndpointKey,
    (seq, now): (Option<Seq>, i64),
) -> FaultResult<usize> {
    let Some(seq) = seq else {
        let sql = "UPDATE owed SET due_at = $2 WHERE endpoint = $1 AND seq = ANY (ARRAY(\
             SELECT seq FROM owed WHERE endpoint = $1 AND urgency IN (0, 1) \
             AND lease_token IS NULL AND due_at > $2 AND due_at IS NOT NULL AND reason <> $3 \
             LIMIT $4))";
        let scheduled = small_code(OwedReason::Scheduled);
        let most = at_most(limit::COMMIT_ROWS_MAX);
        return tx
            .execute(sql, params![endpoint.0, now, scheduled, most])
            .await;
    };
    let sql = "UPDATE owed SET due_at = $3 WHERE seq = $1 AND endpoint = $2 \
         AND lease_token IS NULL AND due_at > $3";
    tx.execute(sql, params![seq.0, endpoint.0, now]).await
}
