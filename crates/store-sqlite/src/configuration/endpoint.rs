//! Rows of `endpoint`.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row, params, params_from_iter};
use watchfire_domain::endpoint::Identity;
use watchfire_domain::health::Health;
use watchfire_domain::id::{ApplicationId, EndpointId, Uid};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::is_unwell;
use watchfire_store::{
    AppKey, Conflict, Endpoint, EndpointKey, EndpointRef, Range, ShardSet, StoredEndpoint,
};

use super::{application, conflict_over, json_text, page};
use crate::fault::{FaultResult, Refusal};
use crate::row::Columns;
use crate::writer::Tx;

const COLUMNS: &str = "key, app, revision, id, uid, created_at, updated_at, settings, sealed, health, \
     health_revision";

pub(super) fn create(
    tx: &Tx<'_>,
    application: ApplicationId,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    let app = application::key_of(tx, application)?.ok_or(Conflict::Missing)?;
    if is_full(tx, app)? {
        return Err(Conflict::EndpointLimit.into());
    }
    let sql = "INSERT INTO endpoint (app, id, uid, created_at, updated_at, settings, sealed, \
         health, unwell) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let health = Health::default();
    let identity = &endpoint.identity;
    let inserted = tx.prepare(sql)?.execute(params![
        app.0,
        identity.id.ksuid().as_bytes(),
        identity.uid.as_ref().map(Uid::as_str),
        identity.created_at.unix_micros(),
        identity.updated_at.unix_micros(),
        json_text(&endpoint.settings)?,
        endpoint.sealed,
        json_text(&health)?,
        is_unwell(&health),
    ]);
    inserted.map_err(|error| {
        conflict_over(endpoint.identity.uid.as_ref(), error, Conflict::EndpointUid)
    })?;
    Ok(())
}

/// Counts up to the limit, on the index.
fn is_full(tx: &Tx<'_>, app: AppKey) -> FaultResult<bool> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM endpoint \
         WHERE app = ?1 AND deleted_at IS NULL LIMIT ?2)";
    let most = i64::try_from(limit::ENDPOINTS_PER_APPLICATION_MAX).unwrap_or(i64::MAX);
    let count: i64 = tx
        .prepare(sql)?
        .query_row(params![app.0, most], |row| row.get(0))?;
    Ok(count >= most)
}

pub(super) fn update(
    tx: &Tx<'_>,
    key: EndpointKey,
    revision: i64,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    let sql = "UPDATE endpoint SET uid = ?3, updated_at = ?4, settings = ?5, sealed = ?6, \
         revision = revision + 1 WHERE key = ?1 AND revision = ?2 AND deleted_at IS NULL";
    let updated = tx.prepare(sql)?.execute(params![
        key.0,
        revision,
        endpoint.identity.uid.as_ref().map(Uid::as_str),
        endpoint.identity.updated_at.unix_micros(),
        json_text(&endpoint.settings)?,
        endpoint.sealed,
    ]);
    match updated.map_err(|error| {
        conflict_over(endpoint.identity.uid.as_ref(), error, Conflict::EndpointUid)
    })? {
        0 => Err(changed_or_missing(tx, key)?.into()),
        _ => Ok(()),
    }
}

fn changed_or_missing(tx: &Tx<'_>, key: EndpointKey) -> FaultResult<Conflict> {
    let sql = "SELECT EXISTS (SELECT 1 FROM endpoint WHERE key = ?1 AND deleted_at IS NULL)";
    let exists = tx.prepare(sql)?.query_row([key.0], |row| row.get(0))?;
    Ok(if exists {
        Conflict::Changed
    } else {
        Conflict::Missing
    })
}

pub(super) fn delete(tx: &Tx<'_>, key: EndpointKey, now: Timestamp) -> Result<(), Refusal> {
    let sql = "UPDATE endpoint SET deleted_at = ?2, revision = revision + 1 \
         WHERE key = ?1 AND deleted_at IS NULL";
    match tx.execute(sql, params![key.0, now.unix_micros()])? {
        0 => Err(Conflict::Missing.into()),
        _ => Ok(()),
    }
}

pub(super) fn set_health(
    tx: &Tx<'_>,
    key: EndpointKey,
    health: &Health,
    revision: Option<i64>,
) -> Result<(), Refusal> {
    let changed = match revision {
        Some(revision) => write_health(tx, key, health, revision)?,
        None => set_health_by_hand(tx, key, health)?,
    };
    match changed {
        0 => Err(changed_or_missing(tx, key)?.into()),
        _ => Ok(()),
    }
}

fn set_health_by_hand(tx: &Tx<'_>, key: EndpointKey, health: &Health) -> FaultResult<usize> {
    let sql = "UPDATE endpoint SET health = ?2, unwell = ?3, health_revision = health_revision + 1 \
         WHERE key = ?1 AND deleted_at IS NULL";
    tx.execute(sql, params![key.0, json_text(health)?, is_unwell(health)])
}

/// Stores the health of a live endpoint, unless a person has set it since `revision`, and returns
/// the number of rows that changed. Neither revision rises.
pub(crate) fn write_health(
    tx: &Tx<'_>,
    key: EndpointKey,
    health: &Health,
    revision: i64,
) -> FaultResult<usize> {
    let sql = "UPDATE endpoint SET health = ?2, unwell = ?3 \
         WHERE key = ?1 AND health_revision = ?4 AND deleted_at IS NULL";
    let unwell = is_unwell(health);
    tx.execute(sql, params![key.0, json_text(health)?, unwell, revision])
}

/// Live endpoints that are not active.
pub(super) fn unwell(
    connection: &Connection,
    shards: ShardSet,
    after: Option<EndpointKey>,
    limit: usize,
) -> FaultResult<Vec<(EndpointKey, AppKey)>> {
    let sql = "SELECT key, app FROM endpoint \
         WHERE key > ?1 AND unwell = 1 AND deleted_at IS NULL ORDER BY key";
    let after = after.map_or(i64::MIN, |key| key.0);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([after])?;
    let mut unwell = Vec::new();
    while unwell.len() < limit
        && let Some(row) = rows.next()?
    {
        let key = EndpointKey(row.get(0)?);
        if shards.has(key) {
            unwell.push((key, AppKey(row.get(1)?)));
        }
    }
    Ok(unwell)
}

pub(super) fn find(
    connection: &Connection,
    app: AppKey,
    reference: &EndpointRef,
) -> FaultResult<Option<StoredEndpoint>> {
    match reference {
        EndpointRef::Id(id) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM endpoint WHERE app = ?1 AND id = ?2 AND deleted_at IS NULL"
            );
            first(connection, &sql, params![app.0, id.ksuid().as_bytes()])
        }
        EndpointRef::Uid(uid) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM endpoint \
                 WHERE app = ?1 AND uid = ?2 AND uid IS NOT NULL AND deleted_at IS NULL"
            );
            first(connection, &sql, params![app.0, uid.as_str()])
        }
    }
}

/// Ids by key, of deleted endpoints too.
pub(super) fn ids(
    connection: &Connection,
    app: AppKey,
    keys: &[EndpointKey],
) -> FaultResult<BTreeMap<EndpointKey, EndpointId>> {
    let sql = "SELECT id FROM endpoint WHERE key = ?1 AND app = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut ids = BTreeMap::new();
    for key in keys {
        let mut rows = statement.query(params![key.0, app.0])?;
        if let Some(row) = rows.next()? {
            let id = Columns::of(row, "endpoint").ksuid("id")?;
            ids.insert(*key, EndpointId::from_ksuid(id));
        }
    }
    Ok(ids)
}

/// Whether the application has, or had, this endpoint.
pub(crate) fn belongs(connection: &Connection, app: AppKey, key: EndpointKey) -> FaultResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM endpoint WHERE key = ?1 AND app = ?2)";
    let belongs = connection
        .prepare_cached(sql)?
        .query_row(params![key.0, app.0], |row| row.get(0))?;
    Ok(belongs)
}

pub(super) fn all(connection: &Connection, app: AppKey) -> FaultResult<Vec<StoredEndpoint>> {
    let range = Range::from_start(
        watchfire_store::Order::Ascending,
        limit::ENDPOINTS_PER_APPLICATION_MAX,
    );
    list(connection, app, &range)
}

pub(super) fn list(
    connection: &Connection,
    app: AppKey,
    range: &Range<EndpointId>,
) -> FaultResult<Vec<StoredEndpoint>> {
    let values = vec![Value::Integer(app.0)];
    let page = page("id", range, values, |id| {
        Value::Blob(id.ksuid().as_bytes().to_vec())
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM endpoint WHERE app = ?1 AND deleted_at IS NULL{}",
        page.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(page.values))?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        endpoints.push(read(row)?);
    }
    Ok(endpoints)
}

fn first(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> FaultResult<Option<StoredEndpoint>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> FaultResult<StoredEndpoint> {
    let mut columns = Columns::of(row, "endpoint");
    Ok(StoredEndpoint {
        key: EndpointKey(columns.get("key")?),
        app: AppKey(columns.get("app")?),
        revision: columns.get("revision")?,
        endpoint: Endpoint {
            identity: Identity {
                id: EndpointId::from_ksuid(columns.ksuid("id")?),
                uid: columns.parsed_if("uid")?,
                created_at: columns.timestamp("created_at")?,
                updated_at: columns.timestamp("updated_at")?,
            },
            settings: columns.json("settings")?,
            sealed: columns.get("sealed")?,
        },
        health: columns.json("health")?,
        health_revision: columns.get("health_revision")?,
    })
}
