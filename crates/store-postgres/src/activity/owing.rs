//! What is owed now.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_store::{AppKey, EndpointKey, EndpointStanding, OwedNow, Owner};

use crate::attempt::{self, COLUMNS_WITHOUT_RESPONSE};
use crate::configuration::ids_of;
use crate::fault::FaultResult;
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::Tx;

/// Steps from endpoint to endpoint on the index, over all deliveries in between.
const OWING: &str = "WITH RECURSIVE step (endpoint) AS (\
     (SELECT endpoint FROM owed ORDER BY endpoint LIMIT 1) \
     UNION ALL SELECT (SELECT o.endpoint FROM owed o WHERE o.endpoint > step.endpoint \
     ORDER BY o.endpoint LIMIT 1) FROM step WHERE step.endpoint IS NOT NULL)";

/// The oldest message that is owed: ids tell the time, so the first on the index.
const OLDEST: &str = "(SELECT message FROM owed WHERE endpoint = e.key ORDER BY message LIMIT 1)";

pub(super) async fn now(tx: &Tx, of: &Owner) -> FaultResult<OwedNow> {
    let most = at_most(limit::OWING_ENDPOINTS_MAX + 1);
    let rows = match of {
        Owner::Organization(org) => {
            let sql = format!(
                "{OWING} SELECT e.key, c.owed, {OLDEST} FROM step \
                 JOIN endpoint e ON e.key = step.endpoint \
                 JOIN application a ON a.key = e.app \
                 JOIN endpoint_owed c ON c.endpoint = e.key \
                 WHERE a.org = $1 AND c.owed > 0 LIMIT $2"
            );
            tx.query(&sql, params![org.as_str(), most]).await?
        }
        Owner::Application(app) => {
            let sql = format!(
                "SELECT e.key, c.owed, {OLDEST} FROM endpoint e \
                 JOIN endpoint_owed c ON c.endpoint = e.key \
                 WHERE e.app = $1 AND c.owed > 0 LIMIT $2"
            );
            tx.query(&sql, params![app.0, most]).await?
        }
    };
    summed_up(&rows)
}

pub(super) async fn by_all(tx: &Tx) -> FaultResult<OwedNow> {
    let sql = format!(
        "{OWING} SELECT e.endpoint, e.owed, \
         (SELECT message FROM owed WHERE endpoint = e.endpoint ORDER BY message LIMIT 1) \
         FROM step JOIN endpoint_owed e ON e.endpoint = step.endpoint \
         WHERE e.owed > 0 LIMIT $1"
    );
    let most = at_most(limit::OWING_ENDPOINTS_MAX + 1);
    summed_up(&tx.query(&sql, params![most]).await?)
}

fn summed_up(rows: &[Row]) -> FaultResult<OwedNow> {
    let mut owed = OwedNow {
        more: rows.len() > limit::OWING_ENDPOINTS_MAX,
        ..OwedNow::default()
    };
    for row in rows.iter().take(limit::OWING_ENDPOINTS_MAX) {
        let mut columns = Columns::of(row, "endpoint_owed");
        let endpoint = EndpointKey(columns.get("endpoint")?);
        owed.deliveries += columns.number::<u64>("owed")?;
        owed.endpoints += 1;
        let oldest = columns.ksuid_if("message")?.map(MessageId::from_ksuid);
        if let Some(message) = oldest
            && owed.oldest.is_none_or(|(before, _)| message < before)
        {
            owed.oldest = Some((message, endpoint));
        }
    }
    Ok(owed)
}

pub(super) async fn standings(
    tx: &Tx,
    app: AppKey,
    endpoints: &[EndpointKey],
) -> FaultResult<BTreeMap<EndpointKey, EndpointStanding>> {
    let own: Vec<EndpointKey> = ids_of(tx, app, endpoints).await?.into_keys().collect();
    let keys: Vec<i64> = own.iter().map(|key| key.0).collect();
    let mut standings: BTreeMap<EndpointKey, EndpointStanding> = own
        .into_iter()
        .map(|key| (key, EndpointStanding::default()))
        .collect();
    let sql = format!(
        "SELECT e.key, coalesce(c.owed, 0), {OLDEST} FROM endpoint e \
         LEFT JOIN endpoint_owed c ON c.endpoint = e.key WHERE e.key = ANY($1)"
    );
    for row in &tx.query(&sql, params![keys.clone()]).await? {
        let mut columns = Columns::of(row, "endpoint_owed");
        if let Some(standing) = standings.get_mut(&EndpointKey(columns.get("endpoint")?)) {
            standing.owed = columns.number("owed")?;
            standing.oldest_owed = columns.ksuid_if("message")?.map(MessageId::from_ksuid);
        }
    }
    let sql = format!(
        "SELECT a.* FROM unnest($1) AS want (endpoint) CROSS JOIN LATERAL (\
         SELECT endpoint, {COLUMNS_WITHOUT_RESPONSE} FROM attempt \
         WHERE endpoint = want.endpoint ORDER BY id DESC LIMIT 1) a"
    );
    for row in &tx.query(&sql, params![keys]).await? {
        let mut columns = Columns::of(row, "attempt");
        if let Some(standing) = standings.get_mut(&EndpointKey(columns.get("endpoint")?)) {
            standing.last_attempt = Some(attempt::read(&mut columns)?);
        }
    }
    Ok(standings)
}
