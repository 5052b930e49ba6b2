//! Rows of `endpoint`.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use watchfire_domain::endpoint::Identity;
use watchfire_domain::health::Health;
use watchfire_domain::id::{ApplicationId, EndpointId, Uid};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::is_unwell;
use watchfire_store::{
    AppKey, Conflict, Endpoint, EndpointKey, EndpointRef, Order, Range, ShardSet, StoredEndpoint,
};

use super::{Page, application, conflict_over, json_text};
use crate::fault::{FaultResult, Refusal};
use crate::message::bytes_of;
use crate::parameter::{Parameter, params};
use crate::row::{Columns, at_most};
use crate::session::Tx;
use crate::shards::numbers;

const COLUMNS: &str = "key, app, revision, id, uid, created_at, updated_at, settings, sealed, \
     health, health_revision";

pub(super) async fn create(
    tx: &Tx,
    application: ApplicationId,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    let app = application::lock(tx, application).await?;
    let app = app.ok_or(Conflict::Missing)?;
    if is_full(tx, app).await? {
        return Err(Conflict::EndpointLimit.into());
    }
    let sql = "WITH new AS (INSERT INTO endpoint (app, id, uid, created_at, updated_at, settings, \
         sealed, health, unwell) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING key) \
         INSERT INTO endpoint_owed (endpoint, owed) SELECT key, 0 FROM new";
    let health = Health::default();
    let identity = &endpoint.identity;
    let parameters = params![
        app.0,
        bytes_of(identity.id.ksuid()),
        identity.uid.as_ref().map(Uid::as_str),
        identity.created_at.unix_micros(),
        identity.updated_at.unix_micros(),
        json_text(&endpoint.settings)?,
        endpoint.sealed,
        json_text(&health)?,
        is_unwell(&health),
    ];
    let inserted = tx.execute(sql, parameters).await;
    inserted.map_err(|fault| conflict_over(identity.uid.as_ref(), fault, Conflict::EndpointUid))?;
    Ok(())
}

/// Counts up to the limit, on the index.
async fn is_full(tx: &Tx, app: AppKey) -> FaultResult<bool> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM endpoint \
         WHERE app = $1 AND deleted_at IS NULL LIMIT $2) e";
    let most = at_most(limit::ENDPOINTS_PER_APPLICATION_MAX);
    let row = tx.first(sql, params![app.0, most]).await?;
    let count: i64 = row.map_or(Ok(0), |row| Columns::of(&row, "endpoint").get("count"))?;
    Ok(count >= most)
}

pub(super) async fn update(
    tx: &Tx,
    key: EndpointKey,
    revision: i64,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    let sql = "UPDATE endpoint SET uid = $3, updated_at = $4, settings = $5, sealed = $6, \
         revision = revision + 1 WHERE key = $1 AND revision = $2 AND deleted_at IS NULL";
    let uid = endpoint.identity.uid.as_ref();
    let parameters = params![
        key.0,
        revision,
        uid.map(Uid::as_str),
        endpoint.identity.updated_at.unix_micros(),
        json_text(&endpoint.settings)?,
        endpoint.sealed,
    ];
    let updated = tx.execute(sql, parameters).await;
    match updated.map_err(|fault| conflict_over(uid, fault, Conflict::EndpointUid))? {
        0 => Err(changed_or_missing(tx, key).await?.into()),
        _ => Ok(()),
    }
}

async fn changed_or_missing(tx: &Tx, key: EndpointKey) -> FaultResult<Conflict> {
    let sql = "SELECT 1 FROM endpoint WHERE key = $1 AND deleted_at IS NULL";
    Ok(if tx.exists(sql, params![key.0]).await? {
        Conflict::Changed
    } else {
        Conflict::Missing
    })
}

pub(super) async fn delete(tx: &Tx, key: EndpointKey, now: Timestamp) -> Result<(), Refusal> {
    let sql = "UPDATE endpoint SET deleted_at = $2, revision = revision + 1 \
         WHERE key = $1 AND deleted_at IS NULL";
    match tx.execute(sql, params![key.0, now.unix_micros()]).await? {
        0 => Err(Conflict::Missing.into()),
        _ => Ok(()),
    }
}

pub(super) async fn set_health(
    tx: &Tx,
    key: EndpointKey,
    health: &Health,
    revision: Option<i64>,
) -> Result<(), Refusal> {
    let by_hand = i64::from(revision.is_none());
    let sql = "UPDATE endpoint SET health = $2, unwell = $3, \
         health_revision = health_revision + $4 \
         WHERE key = $1 AND deleted_at IS NULL AND ($5 IS NULL OR health_revision = $5)";
    let text = json_text(health)?;
    let parameters = params![key.0, text, is_unwell(health), by_hand, revision];
    match tx.execute(sql, parameters).await? {
        0 => Err(changed_or_missing(tx, key).await?.into()),
        _ => Ok(()),
    }
}

/// Locks live endpoints, in their order, until the transaction ends; how often people have set the
/// health of each.
pub(crate) async fn lock_health(
    tx: &Tx,
    endpoints: BTreeSet<EndpointKey>,
) -> FaultResult<BTreeMap<EndpointKey, i64>> {
    let keys: Vec<i64> = endpoints.into_iter().map(|key| key.0).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT key, health_revision FROM endpoint \
         WHERE key = ANY($1) AND deleted_at IS NULL ORDER BY key FOR NO KEY UPDATE";
    let rows = tx.query(sql, params![keys]).await?;
    let revisions = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "endpoint");
        let key = EndpointKey(columns.get("key")?);
        Ok((key, columns.get("health_revision")?))
    });
    revisions.collect()
}

/// Stores the healths of endpoints that are locked. Neither revision rises.
pub(crate) async fn write_health(
    tx: &Tx,
    healths: &BTreeMap<EndpointKey, &Health>,
) -> FaultResult<()> {
    if healths.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = healths.keys().map(|key| key.0).collect();
    let texts: FaultResult<Vec<String>> = healths.values().map(json_text).collect();
    let unwell: Vec<bool> = healths.values().map(|health| is_unwell(health)).collect();
    let sql = "UPDATE endpoint e SET health = new.health, unwell = new.unwell \
         FROM unnest($1, $2, $3) AS new (key, health, unwell) WHERE e.key = new.key";
    tx.execute(sql, params![keys, texts?, unwell]).await?;
    Ok(())
}

/// Live endpoints that are not active.
pub(super) async fn unwell(
    tx: &Tx,
    shards: ShardSet,
    after: Option<EndpointKey>,
    limit: usize,
) -> FaultResult<Vec<(EndpointKey, AppKey)>> {
    let sql = "SELECT key, app FROM endpoint \
         WHERE key > $1 AND unwell AND deleted_at IS NULL \
         AND (key & 255)::smallint = ANY($3) ORDER BY key LIMIT $2";
    let held = numbers(shards);
    let after = after.map_or(i64::MIN, |key| key.0);
    let rows = tx.query(sql, params![after, at_most(limit), held]).await?;
    let unwell = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "endpoint");
        let key = EndpointKey(columns.get("key")?);
        Ok((key, AppKey(columns.get("app")?)))
    });
    unwell.collect()
}

pub(super) async fn find(
    tx: &Tx,
    app: AppKey,
    reference: &EndpointRef,
) -> FaultResult<Option<StoredEndpoint>> {
    match reference {
        EndpointRef::Id(id) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM endpoint WHERE app = $1 AND id = $2 AND deleted_at IS NULL"
            );
            first(tx, &sql, params![app.0, bytes_of(id.ksuid())]).await
        }
        EndpointRef::Uid(uid) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM endpoint \
                 WHERE app = $1 AND uid = $2 AND uid IS NOT NULL AND deleted_at IS NULL"
            );
            first(tx, &sql, params![app.0, uid.as_str()]).await
        }
    }
}

/// Ids by key, of deleted endpoints too.
pub(crate) async fn ids_of(
    tx: &Tx,
    app: AppKey,
    keys: &[EndpointKey],
) -> FaultResult<BTreeMap<EndpointKey, EndpointId>> {
    let keys: Vec<i64> = keys.iter().map(|key| key.0).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = "SELECT key, id FROM endpoint WHERE key = ANY($1) AND app = $2";
    let rows = tx.query(sql, params![keys, app.0]).await?;
    let ids = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "endpoint");
        let key = EndpointKey(columns.get("key")?);
        Ok((key, EndpointId::from_ksuid(columns.ksuid("id")?)))
    });
    ids.collect()
}

/// Whether the application has, or had, this endpoint.
pub(crate) async fn belongs(tx: &Tx, app: AppKey, key: EndpointKey) -> FaultResult<bool> {
    let sql = "SELECT 1 FROM endpoint WHERE key = $1 AND app = $2";
    tx.exists(sql, params![key.0, app.0]).await
}

pub(super) async fn all(tx: &Tx, app: AppKey) -> FaultResult<Vec<StoredEndpoint>> {
    let range = Range::from_start(Order::Ascending, limit::ENDPOINTS_PER_APPLICATION_MAX);
    list(tx, app, &range).await
}

pub(super) async fn list(
    tx: &Tx,
    app: AppKey,
    range: &Range<EndpointId>,
) -> FaultResult<Vec<StoredEndpoint>> {
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let sql = format!(
        "SELECT {COLUMNS} FROM endpoint WHERE app = $1 AND deleted_at IS NULL{}",
        page.sql("id", 1)
    );
    let rows = tx.query(&sql, &page.parameters(params![app.0])).await?;
    rows.iter().map(read).collect()
}

async fn first(
    tx: &Tx,
    sql: &str,
    parameters: &[&dyn Parameter],
) -> FaultResult<Option<StoredEndpoint>> {
    let row = tx.first(sql, parameters).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> FaultResult<StoredEndpoint> {
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
