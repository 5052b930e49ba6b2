//! What other processes must forget.
//!
//! Rows have no time of their own, since the store has no clock: retention notes which number was
//! the newest at its time, and removes up to there when that note is old enough.

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchfire_domain::id::{ApplicationId, KeyId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::ChangedCells;
use watchfire_store::{AppKey, Change, ChangeNumber, Changed, EndpointKey, Logged};

use super::application;
use crate::fault::FaultResult;
use crate::nodes::{counter, set_counter};
use crate::row::Columns;
use crate::writer::Tx;

/// Notes what an applied change made stale.
pub(super) fn note(tx: &Tx<'_>, change: &Change) -> FaultResult<()> {
    match change {
        Change::UpdateApplication { key, .. } => write(tx, Changed::Application(*key)),
        Change::DeleteApplication { key, .. } => write(tx, Changed::ApplicationDeleted(*key)),
        Change::CreateEndpoint { application, .. } => endpoint_added(tx, *application),
        Change::UpdateEndpoint { key, .. }
        | Change::DeleteEndpoint { key, .. }
        | Change::SetHealth { key, .. } => endpoint_changed(tx, *key),
        Change::RevokeApiKey { id, .. } => write(tx, Changed::ApiKey(*id)),
        Change::VoidTokens(_) => write(tx, Changed::Tokens),
        // Nobody remembers that something is not there.
        Change::CreateApplication { .. }
        | Change::CreateApiKey { .. }
        | Change::CreateEventType { .. }
        | Change::PutEventType { .. }
        | Change::DeleteEventType { .. }
        | Change::NoteApiKeyUse { .. }
        | Change::Tell(_)
        | Change::Audit(_)
        | Change::CreateTask(_)
        | Change::Remember { .. } => Ok(()),
    }
}

fn endpoint_added(tx: &Tx<'_>, application: ApplicationId) -> FaultResult<()> {
    match application::key_of(tx, application)? {
        Some(app) => write(tx, Changed::Application(app)),
        None => Ok(()),
    }
}

fn endpoint_changed(tx: &Tx<'_>, endpoint: EndpointKey) -> FaultResult<()> {
    let sql = "SELECT app FROM endpoint WHERE key = ?1";
    let app: Option<i64> = tx
        .prepare(sql)?
        .query_row([endpoint.0], |row| row.get(0))
        .optional()?;
    let changed = app.map(|app| Changed::Endpoint {
        app: AppKey(app),
        endpoint,
    });
    changed.map_or(Ok(()), |changed| write(tx, changed))
}

fn write(tx: &Tx<'_>, changed: Changed) -> FaultResult<()> {
    let sql = "INSERT INTO change_log (kind, app, endpoint, api_key) VALUES (?1, ?2, ?3, ?4)";
    let cells = ChangedCells::from(changed);
    let key = cells.api_key.map(|id| *id.ksuid().as_bytes());
    tx.execute(sql, params![cells.kind, cells.app, cells.endpoint, key])?;
    Ok(())
}

pub(super) fn after(
    connection: &Connection,
    after: ChangeNumber,
    limit: usize,
) -> FaultResult<Vec<Logged>> {
    let sql = "SELECT number, kind, app, endpoint, api_key FROM change_log \
         WHERE number > ?1 ORDER BY number LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![after.0, limit])?;
    let mut logged = Vec::new();
    while let Some(row) = rows.next()? {
        logged.push(read(row)?);
    }
    Ok(logged)
}

fn read(row: &Row<'_>) -> FaultResult<Logged> {
    let mut columns = Columns::of(row, "change_log");
    let number = ChangeNumber(columns.get("number")?);
    let cells = ChangedCells {
        kind: columns.get("kind")?,
        app: columns.get("app")?,
        endpoint: columns.get("endpoint")?,
        api_key: columns.ksuid_if("api_key")?.map(KeyId::from_ksuid),
    };
    let changed = Changed::try_from(cells).map_err(|error| columns.unreadable("kind", error))?;
    Ok(Logged { number, changed })
}

pub(super) fn newest(connection: &Connection) -> FaultResult<ChangeNumber> {
    // Kept by AUTOINCREMENT, also when retention has removed the rows.
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'change_log'";
    let newest = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(ChangeNumber(newest.unwrap_or(0)))
}

/// Removes what everybody has read long ago, at most so many rows, and returns their number.
pub(crate) fn prune(tx: &Tx<'_>, now: Timestamp, rows_max: usize) -> FaultResult<usize> {
    let noted_at = Timestamp::from_unix_micros(counter(tx.connection(), "change_noted_at")?);
    if now.since(noted_at) < limit::CHANGE_LOG_AGE {
        return Ok(0);
    }
    let noted = counter(tx.connection(), "change_noted")?;
    let sql = "DELETE FROM change_log WHERE number IN \
         (SELECT number FROM change_log WHERE number <= ?1 LIMIT ?2)";
    let most = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let removed = tx.execute(sql, params![noted, most])?;
    if removed == rows_max {
        return Ok(removed);
    }
    set_counter(tx, "change_noted", newest(tx.connection())?.0)?;
    set_counter(tx, "change_noted_at", now.unix_micros())?;
    Ok(removed)
}
