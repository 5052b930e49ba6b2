//! Writes what a batch counted, each row of a roll-up once.

use std::collections::BTreeMap;

use watchfire_domain::id::EventType;
use watchfire_store::encoding::{HourCells, Tally};
use watchfire_store::{AppKey, EndpointKey};

use crate::activity;
use crate::fault::FaultResult;
use crate::parameter::params;
use crate::session::Tx;

/// Who counts. Each has rows of its own for what happens, so that none of them waits for another's
/// commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Append = 0,
    Record = 1,
    Task = 2,
}

const WRITERS: i64 = 3;

impl Writer {
    /// Names its rows, in the life of a node with this key.
    fn part(self, node: i64) -> i64 {
        node * WRITERS + self as i64
    }
}

/// The endpoints whose count of owed ones changes must be locked.
pub(crate) async fn write_tally(
    tx: &Tx,
    (node, writer): (i64, Writer),
    tally: Tally,
) -> FaultResult<()> {
    write_owed(tx, tally.owed).await?;
    write_hours(tx, tally.settled).await?;
    let part = writer.part(node);
    activity::add_minutes(tx, part, &tally.activity).await?;
    write_event_types(tx, part, tally.event_types).await
}

async fn write_event_types(
    tx: &Tx,
    part: i64,
    accepted: BTreeMap<(AppKey, EventType, i64), i64>,
) -> FaultResult<()> {
    if accepted.is_empty() {
        return Ok(());
    }
    let apps: Vec<i64> = accepted.keys().map(|(app, _, _)| app.0).collect();
    let types: Vec<&str> = accepted.keys().map(|(_, name, _)| name.as_str()).collect();
    let hours: Vec<i64> = accepted.keys().map(|(_, _, hour)| *hour).collect();
    let counts: Vec<i64> = accepted.values().copied().collect();
    let sql = "INSERT INTO event_type_hour AS h (app, hour, event_type, part, accepted) \
         SELECT app, hour, event_type, $1, accepted FROM unnest($2, $3, $4, $5) \
         AS new (app, hour, event_type, accepted) ORDER BY app, hour, event_type \
         ON CONFLICT (app, hour, event_type, part) \
         DO UPDATE SET accepted = h.accepted + excluded.accepted";
    tx.execute(sql, params![part, apps, hours, types, counts])
        .await?;
    Ok(())
}

async fn write_owed(tx: &Tx, owed: BTreeMap<EndpointKey, i64>) -> FaultResult<()> {
    let changes = owed.into_iter().filter(|(_, change)| *change != 0);
    let (endpoints, changes): (Vec<i64>, Vec<i64>) = changes
        .map(|(endpoint, change)| (endpoint.0, change))
        .unzip();
    if endpoints.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE endpoint_owed e SET owed = e.owed + new.change \
         FROM unnest($1, $2) AS new (endpoint, change) WHERE e.endpoint = new.endpoint";
    tx.execute(sql, params![endpoints, changes]).await?;
    Ok(())
}

async fn write_hours(tx: &Tx, settled: BTreeMap<(EndpointKey, i64), HourCells>) -> FaultResult<()> {
    if settled.is_empty() {
        return Ok(());
    }
    let endpoints: Vec<i64> = settled.keys().map(|key| key.0.0).collect();
    let hours: Vec<i64> = settled.keys().map(|key| key.1).collect();
    let delivered: Vec<i64> = settled.values().map(|hour| hour.delivered).collect();
    let failed: Vec<i64> = settled.values().map(|hour| hour.failed).collect();
    let cancelled: Vec<i64> = settled.values().map(|hour| hour.cancelled).collect();
    let sql = "INSERT INTO endpoint_hour AS h (endpoint, hour, delivered, failed, cancelled) \
         SELECT * FROM unnest($1, $2, $3, $4, $5) AS new (endpoint, hour, delivered, failed, \
         cancelled) ORDER BY endpoint, hour \
         ON CONFLICT (endpoint, hour) DO UPDATE SET \
         delivered = h.delivered + excluded.delivered, failed = h.failed + excluded.failed, \
         cancelled = h.cancelled + excluded.cancelled";
    let parameters = params![endpoints, hours, delivered, failed, cancelled];
    tx.execute(sql, parameters).await?;
    Ok(())
}
