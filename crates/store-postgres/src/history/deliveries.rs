//! Where deliveries stand, and their counts.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;
use watchfire_domain::attempt::Settlement;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::hour_of;
use watchfire_store::selection::status_of_settlement;
use watchfire_store::{
    AppKey, DeliveryStatus, DeliveryView, EndpointCounts, EndpointKey, Owed, Seq,
};

use crate::configuration::belongs;
use crate::fault::FaultResult;
use crate::message::{Content, at_places, numbers};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

pub(super) async fn of_message(tx: &Tx, app: AppKey, seq: Seq) -> FaultResult<Vec<DeliveryView>> {
    let mut found = at_places(tx, &[seq], Content::LeftOut).await?;
    let Some(stored) = found.remove(&seq).filter(|stored| stored.app == app) else {
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
    for (endpoint, status) in settled(tx, seq).await? {
        views
            .entry(endpoint)
            .or_insert_with(|| fresh(endpoint))
            .status = status;
    }
    for view in owed_of(tx, &[seq]).await?.into_values() {
        views.insert(view.endpoint, view);
    }
    Ok(views.into_values().collect())
}

/// Final attempts, in the order in which they were made: the last one of an endpoint counts.
async fn settled(tx: &Tx, seq: Seq) -> FaultResult<Vec<(EndpointKey, DeliveryStatus)>> {
    let sql = "SELECT seq, endpoint, settlement FROM attempt \
         WHERE seq = $1 AND settlement IS NOT NULL ORDER BY id";
    let rows = tx.query(sql, params![seq.0]).await?;
    let settled = rows.iter().map(|row| {
        let mut columns = Columns::at(row, "attempt", 1);
        let endpoint = EndpointKey(columns.get("endpoint")?);
        Ok((endpoint, status_of_settlement(columns.code("settlement")?)))
    });
    settled.collect()
}

const OWED_COLUMNS: &str =
    "seq, endpoint, lease_token IS NOT NULL, due_at, reason, trigger, attempts";

/// The owed deliveries of some messages.
pub(crate) async fn owed_of(
    tx: &Tx,
    seqs: &[Seq],
) -> FaultResult<HashMap<(Seq, EndpointKey), DeliveryView>> {
    let sql = format!("SELECT {OWED_COLUMNS} FROM owed WHERE seq = ANY($1)");
    let rows = tx.query(&sql, params![numbers(seqs)]).await?;
    let views = rows.iter().map(|row| {
        let (seq, view) = read_owed(row)?;
        Ok(((seq, view.endpoint), view))
    });
    views.collect()
}

/// The owed deliveries of some messages to an endpoint.
pub(crate) async fn owed_to(
    tx: &Tx,
    endpoint: EndpointKey,
    seqs: &[Seq],
) -> FaultResult<HashMap<Seq, DeliveryView>> {
    let sql = format!("SELECT {OWED_COLUMNS} FROM owed WHERE seq = ANY($1) AND endpoint = $2");
    let rows = tx.query(&sql, params![numbers(seqs), endpoint.0]).await?;
    rows.iter().map(read_owed).collect()
}

fn read_owed(row: &Row) -> FaultResult<(Seq, DeliveryView)> {
    let mut columns = Columns::of(row, "owed");
    let seq = Seq(columns.get("seq")?);
    let endpoint = EndpointKey(columns.get("endpoint")?);
    let leased: bool = columns.get("lease_token")?;
    let owed = Owed {
        due_at: columns.timestamp_if("due_at")?,
        reason: columns.code("reason")?,
        trigger: columns.code("trigger")?,
        attempts: columns.number("attempts")?,
    };
    let view = DeliveryView {
        endpoint,
        status: if leased {
            DeliveryStatus::Sending
        } else {
            DeliveryStatus::Pending
        },
        owed: Some(owed),
    };
    Ok((seq, view))
}

/// How the endpoint's last final attempts for some messages ended, and what was answered.
pub(crate) async fn last_settlements(
    tx: &Tx,
    endpoint: EndpointKey,
    seqs: &[Seq],
) -> FaultResult<HashMap<Seq, (Settlement, Option<u16>)>> {
    let sql = "SELECT DISTINCT ON (seq) seq, settlement, status FROM attempt \
         WHERE seq = ANY($1) AND endpoint = $2 AND settlement IS NOT NULL \
         ORDER BY seq, id DESC";
    let rows = tx.query(sql, params![numbers(seqs), endpoint.0]).await?;
    let last = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "attempt");
        let seq = Seq(columns.get("seq")?);
        let settlement = columns.code("settlement")?;
        Ok((seq, (settlement, columns.status_if("status")?)))
    });
    last.collect()
}

pub(super) async fn counts(
    tx: &Tx,
    (app, endpoint): (AppKey, EndpointKey),
    (since, until): (Timestamp, Timestamp),
) -> FaultResult<EndpointCounts> {
    if !belongs(tx, app, endpoint).await? {
        return Ok(EndpointCounts::default());
    }
    let sql = "SELECT coalesce(sum(delivered), 0)::bigint, coalesce(sum(failed), 0)::bigint, \
         coalesce(sum(cancelled), 0)::bigint, \
         coalesce((SELECT owed FROM endpoint_owed WHERE endpoint = $1), 0) \
         FROM endpoint_hour WHERE endpoint = $1 AND hour BETWEEN $2 AND $3";
    let hours = params![endpoint.0, hour_of(since), hour_of(until)];
    let Some(row) = tx.first(sql, hours).await? else {
        return Ok(EndpointCounts::default());
    };
    let mut columns = Columns::of(&row, "endpoint_hour");
    Ok(EndpointCounts {
        delivered: columns.number("delivered")?,
        failed: columns.number("failed")?,
        cancelled: columns.number("cancelled")?,
        pending: columns.number("owed")?,
    })
}
