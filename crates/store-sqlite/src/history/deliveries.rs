//! Where deliveries stand, and their counts.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::hour_of;
use watchfire_store::selection::status_of_settlement;
use watchfire_store::{
    AppKey, DeliveryStatus, DeliveryView, EndpointCounts, EndpointKey, Owed, Seq,
};

use crate::configuration::belongs;
use crate::fault::FaultResult;
use crate::message;
use crate::row::Columns;

pub(super) fn of_message(
    connection: &Connection,
    app: AppKey,
    seq: Seq,
) -> FaultResult<Vec<DeliveryView>> {
    let Some(stored) = message::at(connection, seq)?.filter(|stored| stored.app == app) else {
        return Ok(Vec::new());
    };
    let fresh = |endpoint| DeliveryView {
        endpoint,
        status: DeliveryStatus::Sending,
        owed: None,
    };
    let mut views: BTreeMap<EndpointKey, DeliveryView> = stored
        .matched
        .into_iter()
        .map(|endpoint| (endpoint, fresh(endpoint)))
        .collect();
    for (endpoint, status) in settled(connection, seq)? {
        views
            .entry(endpoint)
            .or_insert_with(|| fresh(endpoint))
            .status = status;
    }
    for view in owed(connection, seq)? {
        views.insert(view.endpoint, view);
    }
    Ok(views.into_values().collect())
}

/// Final attempts, in the order in which they were made: the last one of an endpoint counts.
fn settled(connection: &Connection, seq: Seq) -> FaultResult<Vec<(EndpointKey, DeliveryStatus)>> {
    let sql = "SELECT seq, endpoint, settlement FROM attempt \
         WHERE seq = ?1 AND settlement IS NOT NULL ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([seq.0])?;
    let mut settled = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::at(row, "attempt", 1);
        let endpoint = EndpointKey(columns.get("endpoint")?);
        settled.push((endpoint, status_of_settlement(columns.code("settlement")?)));
    }
    Ok(settled)
}

const OWED_COLUMNS: &str =
    "seq, endpoint, lease_token IS NOT NULL, due_at, reason, trigger, attempts";

fn owed(connection: &Connection, seq: Seq) -> FaultResult<Vec<DeliveryView>> {
    let sql = format!("SELECT {OWED_COLUMNS} FROM owed WHERE seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([seq.0])?;
    let mut views = Vec::new();
    while let Some(row) = rows.next()? {
        views.push(read_owed(row)?);
    }
    Ok(views)
}

/// The owed delivery of a message to an endpoint.
pub(crate) fn owed_to(
    connection: &Connection,
    endpoint: EndpointKey,
    seq: Seq,
) -> FaultResult<Option<DeliveryView>> {
    let sql = format!("SELECT {OWED_COLUMNS} FROM owed WHERE seq = ?1 AND endpoint = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![seq.0, endpoint.0])?;
    rows.next()?.map(read_owed).transpose()
}

fn read_owed(row: &Row<'_>) -> FaultResult<DeliveryView> {
    let mut columns = Columns::at(row, "owed", 1);
    let endpoint = EndpointKey(columns.get("endpoint")?);
    let leased: bool = columns.get("lease_token")?;
    let owed = Owed {
        due_at: columns.timestamp_if("due_at")?,
        reason: columns.code("reason")?,
        trigger: columns.code("trigger")?,
        attempts: columns.get("attempts")?,
    };
    Ok(DeliveryView {
        endpoint,
        status: if leased {
            DeliveryStatus::Sending
        } else {
            DeliveryStatus::Pending
        },
        owed: Some(owed),
    })
}

pub(super) fn counts(
    connection: &Connection,
    (app, endpoint): (AppKey, EndpointKey),
    (since, until): (Timestamp, Timestamp),
) -> FaultResult<EndpointCounts> {
    if !belongs(connection, app, endpoint)? {
        return Ok(EndpointCounts::default());
    }
    let sql = "SELECT ifnull(sum(delivered), 0), ifnull(sum(failed), 0), ifnull(sum(cancelled), 0) \
         FROM endpoint_hour WHERE endpoint = ?1 AND hour BETWEEN ?2 AND ?3";
    let hours = params![endpoint.0, hour_of(since), hour_of(until)];
    let mut counts = connection.prepare_cached(sql)?.query_row(hours, |row| {
        Ok(EndpointCounts {
            delivered: count(row, 0)?,
            failed: count(row, 1)?,
            cancelled: count(row, 2)?,
            pending: 0,
        })
    })?;
    let sql = "SELECT owed FROM endpoint_owed WHERE endpoint = ?1";
    let pending = connection
        .prepare_cached(sql)?
        .query_row([endpoint.0], |row| count(row, 0))
        .optional()?;
    counts.pending = pending.unwrap_or(0);
    Ok(counts)
}

fn count(row: &Row<'_>, place: usize) -> rusqlite::Result<u64> {
    let count: i64 = row.get(place)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
