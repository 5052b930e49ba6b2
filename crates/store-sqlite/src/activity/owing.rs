//! What is owed now, and where endpoints stand.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Params, params};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_store::{AppKey, EndpointKey, EndpointStanding, OwedNow, Owner};

use crate::configuration::belongs;
use crate::fault::FaultResult;
use crate::history::last_attempt;

#[expect(clippy::cast_possible_wrap, reason = "a limit of ours is far below")]
const AT_MOST: i64 = limit::OWING_ENDPOINTS_MAX as i64;

/// Walks the endpoints that owe something: there are few, or somebody must look at them anyway.
pub(super) fn now(connection: &Connection, of: &Owner) -> FaultResult<OwedNow> {
    let at_most = AT_MOST;
    let owing = match of {
        Owner::Organization(org) => {
            let sql = "SELECT o.endpoint, o.owed FROM endpoint_owed o INDEXED BY endpoint_owing \
                 CROSS JOIN endpoint e ON e.key = o.endpoint \
                 CROSS JOIN application a ON a.key = e.app \
                 WHERE o.owed > 0 AND a.org = ?1 LIMIT ?2";
            owing(connection, sql, params![org.as_str(), at_most + 1])?
        }
        Owner::Application(app) => {
            let sql = "SELECT o.endpoint, o.owed FROM endpoint e INDEXED BY endpoint_of_application \
                 CROSS JOIN endpoint_owed o ON o.endpoint = e.key \
                 WHERE o.owed > 0 AND e.app = ?1 LIMIT ?2";
            owing(connection, sql, params![app.0, at_most + 1])?
        }
    };
    summed_up(connection, owing)
}

/// What the endpoints of everyone owe.
pub(super) fn by_all(connection: &Connection) -> FaultResult<OwedNow> {
    let sql = "SELECT endpoint, owed FROM endpoint_owed INDEXED BY endpoint_owing \
         WHERE owed > 0 LIMIT ?1";
    let owing = owing(connection, sql, [AT_MOST + 1])?;
    summed_up(connection, owing)
}

fn summed_up(connection: &Connection, owing: Vec<(EndpointKey, u64)>) -> FaultResult<OwedNow> {
    let mut owed = OwedNow {
        more: owing.len() > limit::OWING_ENDPOINTS_MAX,
        ..OwedNow::default()
    };
    for (endpoint, deliveries) in owing.into_iter().take(limit::OWING_ENDPOINTS_MAX) {
        owed.deliveries += deliveries;
        owed.endpoints += 1;
        if let Some(message) = oldest(connection, endpoint)?
            && owed.oldest.is_none_or(|(before, _)| message < before)
        {
            owed.oldest = Some((message, endpoint));
        }
    }
    Ok(owed)
}

fn owing(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> FaultResult<Vec<(EndpointKey, u64)>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut owing = Vec::new();
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        owing.push((EndpointKey(row.get(0)?), count.unsigned_abs()));
    }
    Ok(owing)
}

/// Ids tell the time, so the first on the index is the oldest.
fn oldest(connection: &Connection, endpoint: EndpointKey) -> FaultResult<Option<MessageId>> {
    let sql = "SELECT message FROM owed INDEXED BY owed_of_endpoint WHERE endpoint = ?1 \
         ORDER BY message LIMIT 1";
    let id = connection
        .prepare_cached(sql)?
        .query_row([endpoint.0], |row| row.get(0))
        .optional()?;
    Ok(id.map(|bytes| MessageId::from_ksuid(Ksuid::from_bytes(bytes))))
}

pub(super) fn standings(
    connection: &Connection,
    app: AppKey,
    endpoints: Vec<EndpointKey>,
) -> FaultResult<BTreeMap<EndpointKey, EndpointStanding>> {
    let mut standings = BTreeMap::new();
    for endpoint in endpoints {
        if !belongs(connection, app, endpoint)? {
            continue;
        }
        let sql = "SELECT owed FROM endpoint_owed WHERE endpoint = ?1";
        let owed: Option<i64> = connection
            .prepare_cached(sql)?
            .query_row([endpoint.0], |row| row.get(0))
            .optional()?;
        let standing = EndpointStanding {
            owed: owed.map_or(0, |owed| u64::try_from(owed).unwrap_or(0)),
            oldest_owed: oldest(connection, endpoint)?,
            last_attempt: last_attempt::of_endpoint(connection, endpoint)?,
        };
        standings.insert(endpoint, standing);
    }
    Ok(standings)
}
