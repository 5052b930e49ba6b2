//! Writes what a batch counted, each row of a roll-up once.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};
use watchfire_domain::id::EventType;
use watchfire_store::encoding::{HourCells, Tally, owner_cell};
use watchfire_store::{ActivityCounts, AppKey, EndpointKey, Owner};

use crate::activity::{self, Table};
use crate::fault::FaultResult;
use crate::writer::Tx;

pub(crate) fn write_tally(tx: &Tx<'_>, tally: Tally) -> FaultResult<()> {
    write_hours(tx, tally.settled)?;
    write_owed(tx, tally.owed)?;
    write_activity(tx, tally.activity)?;
    write_event_types(tx, tally.event_types)
}

fn write_hours(tx: &Tx<'_>, settled: BTreeMap<(EndpointKey, i64), HourCells>) -> FaultResult<()> {
    let sql = "INSERT INTO endpoint_hour (endpoint, hour, delivered, failed, cancelled) \
         VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (endpoint, hour) DO UPDATE SET \
         delivered = delivered + excluded.delivered, \
         failed = failed + excluded.failed, \
         cancelled = cancelled + excluded.cancelled";
    for ((endpoint, hour), settled) in settled {
        let HourCells {
            delivered,
            failed,
            cancelled,
        } = settled;
        tx.execute(sql, params![endpoint.0, hour, delivered, failed, cancelled])?;
    }
    Ok(())
}

fn write_owed(tx: &Tx<'_>, owed: BTreeMap<EndpointKey, i64>) -> FaultResult<()> {
    let sql = "INSERT INTO endpoint_owed (endpoint, owed) VALUES (?1, ?2) \
         ON CONFLICT (endpoint) DO UPDATE SET owed = owed + excluded.owed";
    for (endpoint, change) in owed {
        if change != 0 {
            tx.execute(sql, params![endpoint.0, change])?;
        }
    }
    Ok(())
}

fn write_event_types(
    tx: &Tx<'_>,
    accepted: BTreeMap<(AppKey, EventType, i64), i64>,
) -> FaultResult<()> {
    let sql = "INSERT INTO event_type_hour (app, hour, event_type, accepted) \
         VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (app, hour, event_type) DO UPDATE SET accepted = accepted + excluded.accepted";
    for ((app, event_type, hour), count) in accepted {
        tx.execute(sql, params![app.0, hour, event_type.as_str(), count])?;
    }
    Ok(())
}

/// One row for each application and minute, and one for each organization.
fn write_activity(
    tx: &Tx<'_>,
    activity: BTreeMap<(AppKey, i64), ActivityCounts>,
) -> FaultResult<()> {
    let mut of_orgs: BTreeMap<(String, i64), ActivityCounts> = BTreeMap::new();
    for ((app, minute), counts) in activity {
        let owner = owner_cell(&Owner::Application(app));
        activity::add(tx, Table::Minute, (minute, &owner), &counts)?;
        if let Some(org) = org_of(tx, app)? {
            of_orgs.entry((org, minute)).or_default().merge(&counts);
        }
    }
    for ((org, minute), counts) in of_orgs {
        activity::add(tx, Table::Minute, (minute, &org), &counts)?;
    }
    Ok(())
}

/// An application's organization, as [`owner_cell`] names it.
fn org_of(tx: &Tx<'_>, app: AppKey) -> FaultResult<Option<String>> {
    let sql = "SELECT 'o:' || org FROM application WHERE key = ?1";
    let org = tx
        .prepare(sql)?
        .query_row([app.0], |row| row.get(0))
        .optional()?;
    Ok(org)
}
