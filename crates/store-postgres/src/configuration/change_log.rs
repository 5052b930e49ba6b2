//! What other processes must forget.
//!
//! A number is drawn under a lock that is held until the commit, so numbers appear in their order:
//! whoever has read up to one has read all below it.
//!
//! Rows have no time of their own: retention notes which number was the newest at its time, and
//! removes up to there when that note is old enough.

use tokio_postgres::Row;
use watchfire_domain::id::{ApplicationId, KeyId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::ChangedCells;
use watchfire_store::{AppKey, Change, ChangeNumber, Changed, EndpointKey, Logged};

use super::application;
use crate::fault::FaultResult;
use crate::hints::Told;
use crate::message::bytes_of;
use crate::nodes::{counter, set_counter};
use crate::parameter::params;
use crate::row::{Columns, at_most, small};
use crate::session::Tx;

/// The lock that transactions with changes take turns under, for the last moment before they
/// commit.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1464158279, hashtext(current_schema()))";

/// Notes what applied changes made stale.
pub(super) async fn note(tx: &Tx, changes: &[Change]) -> FaultResult<()> {
    let mut stale = Vec::new();
    for change in changes {
        stale.extend(made_stale(tx, change).await?);
    }
    if stale.is_empty() {
        return Ok(());
    }
    tx.query(LOCK, params![]).await?;
    tx.concerns(Told::configured);
    write(tx, &stale).await
}

async fn made_stale(tx: &Tx, change: &Change) -> FaultResult<Option<Changed>> {
    Ok(match change {
        Change::UpdateApplication { key, .. } => Some(Changed::Application(*key)),
        Change::DeleteApplication { key, .. } => Some(Changed::ApplicationDeleted(*key)),
        Change::CreateEndpoint { application, .. } => endpoint_added(tx, *application).await?,
        Change::UpdateEndpoint { key, .. }
        | Change::DeleteEndpoint { key, .. }
        | Change::SetHealth { key, .. } => endpoint_changed(tx, *key).await?,
        Change::RevokeApiKey { id, .. } => Some(Changed::ApiKey(*id)),
        Change::VoidTokens(_) => Some(Changed::Tokens),
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
        | Change::Remember { .. } => None,
    })
}

async fn endpoint_added(tx: &Tx, application: ApplicationId) -> FaultResult<Option<Changed>> {
    let app = application::lock(tx, application).await?;
    Ok(app.map(Changed::Application))
}

async fn endpoint_changed(tx: &Tx, endpoint: EndpointKey) -> FaultResult<Option<Changed>> {
    let sql = "SELECT app FROM endpoint WHERE key = $1";
    let Some(row) = tx.first(sql, params![endpoint.0]).await? else {
        return Ok(None);
    };
    let app = AppKey(Columns::of(&row, "endpoint").get("app")?);
    Ok(Some(Changed::Endpoint { app, endpoint }))
}

async fn write(tx: &Tx, stale: &[Changed]) -> FaultResult<()> {
    let mut kinds = Vec::new();
    let mut apps = Vec::new();
    let mut endpoints = Vec::new();
    let mut keys = Vec::new();
    for changed in stale {
        let cells = ChangedCells::from(*changed);
        kinds.push(small(cells.kind));
        apps.push(cells.app);
        endpoints.push(cells.endpoint);
        keys.push(cells.api_key.map(|id| bytes_of(id.ksuid())));
    }
    let sql = "INSERT INTO change_log (kind, app, endpoint, api_key) \
         SELECT * FROM unnest($1, $2, $3, $4)";
    tx.execute(sql, params![kinds, apps, endpoints, keys])
        .await?;
    Ok(())
}

pub(super) async fn after(tx: &Tx, after: ChangeNumber, limit: usize) -> FaultResult<Vec<Logged>> {
    let sql = "SELECT number, kind, app, endpoint, api_key FROM change_log \
         WHERE number > $1 ORDER BY number LIMIT $2";
    let rows = tx.query(sql, params![after.0, at_most(limit)]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> FaultResult<Logged> {
    let mut columns = Columns::of(row, "change_log");
    let number = ChangeNumber(columns.get("number")?);
    let cells = ChangedCells {
        kind: columns.small("kind")?,
        app: columns.get("app")?,
        endpoint: columns.get("endpoint")?,
        api_key: columns.ksuid_if("api_key")?.map(KeyId::from_ksuid),
    };
    let changed = Changed::try_from(cells).map_err(|error| columns.unreadable("kind", error))?;
    Ok(Logged { number, changed })
}

/// The newest that was committed. What retention has removed lies at or below its note.
pub(super) async fn newest(tx: &Tx) -> FaultResult<ChangeNumber> {
    let sql = "SELECT greatest((SELECT max(number) FROM change_log), \
         (SELECT value FROM counter WHERE name = 'change_noted'), 0)";
    let row = tx.first(sql, params![]).await?;
    row.map_or(Ok(ChangeNumber::default()), |row| {
        Columns::of(&row, "change_log")
            .get("number")
            .map(ChangeNumber)
    })
}

/// Removes what everybody has read long ago, at most so many rows, and returns their number.
pub(crate) async fn prune(tx: &Tx, now: Timestamp, rows_max: usize) -> FaultResult<usize> {
    let noted_at = Timestamp::from_unix_micros(counter(tx, "change_noted_at").await?);
    if now.since(noted_at) < limit::CHANGE_LOG_AGE {
        return Ok(0);
    }
    let noted = counter(tx, "change_noted").await?;
    let sql = "DELETE FROM change_log WHERE number = ANY (ARRAY(\
         SELECT number FROM change_log WHERE number <= $1 ORDER BY number LIMIT $2))";
    let removed = tx.execute(sql, params![noted, at_most(rows_max)]).await?;
    if removed == rows_max {
        return Ok(removed);
    }
    set_counter(tx, "change_noted", newest(tx).await?.0).await?;
    set_counter(tx, "change_noted_at", now.unix_micros()).await?;
    Ok(removed)
}
