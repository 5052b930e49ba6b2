//! Rows of `application`.

use tokio_postgres::Row;
use watchfire_domain::id::{ApplicationId, OrganizationId, Uid};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Application, ApplicationFilter, ApplicationRef, Conflict, Range, StoredApplication,
};

use super::{Page, api_key, conflict_over, json_text, token_void};
use crate::fault::{FaultResult, Refusal};
use crate::message::bytes_of;
use crate::parameter::{Parameter, params};
use crate::row::Columns;
use crate::session::Tx;

const COLUMNS: &str = "key, org, revision, id, uid, created_at, updated_at, settings";

pub(super) async fn create(
    tx: &Tx,
    org: &OrganizationId,
    application: &Application,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO application (org, id, uid, created_at, updated_at, settings) \
         VALUES ($1, $2, $3, $4, $5, $6)";
    let parameters = params![
        org.as_str(),
        bytes_of(application.id.ksuid()),
        application.uid.as_ref().map(Uid::as_str),
        application.created_at.unix_micros(),
        application.updated_at.unix_micros(),
        json_text(&application.settings)?,
    ];
    let inserted = tx.execute(sql, parameters).await;
    inserted.map_err(|fault| {
        conflict_over(application.uid.as_ref(), fault, Conflict::ApplicationUid)
    })?;
    Ok(())
}

pub(super) async fn update(
    tx: &Tx,
    key: AppKey,
    revision: i64,
    application: &Application,
) -> Result<(), Refusal> {
    let sql = "UPDATE application SET uid = $3, updated_at = $4, settings = $5, \
         revision = revision + 1 WHERE key = $1 AND revision = $2 AND deleted_at IS NULL";
    let parameters = params![
        key.0,
        revision,
        application.uid.as_ref().map(Uid::as_str),
        application.updated_at.unix_micros(),
        json_text(&application.settings)?,
    ];
    let updated = tx.execute(sql, parameters).await;
    let updated = updated.map_err(|fault| {
        conflict_over(application.uid.as_ref(), fault, Conflict::ApplicationUid)
    })?;
    match updated {
        0 => Err(changed_or_missing(tx, key).await?.into()),
        _ => Ok(()),
    }
}

async fn changed_or_missing(tx: &Tx, key: AppKey) -> FaultResult<Conflict> {
    Ok(match by_key(tx, key).await? {
        Some(_) => Conflict::Changed,
        None => Conflict::Missing,
    })
}

/// Marks it and its endpoints, and revokes its keys.
pub(super) async fn delete(tx: &Tx, key: AppKey, now: Timestamp) -> Result<(), Refusal> {
    token_void::remove_all_of(tx, key).await?;
    let parameters = params![key.0, now.unix_micros()];
    let sql = "UPDATE application SET deleted_at = $2, revision = revision + 1 \
         WHERE key = $1 AND deleted_at IS NULL";
    if tx.execute(sql, parameters).await? == 0 {
        return Err(Conflict::Missing.into());
    }
    let sql = "UPDATE endpoint SET deleted_at = $2, revision = revision + 1 \
         WHERE app = $1 AND deleted_at IS NULL";
    tx.execute(sql, parameters).await?;
    Ok(api_key::revoke_all_of(tx, key).await?)
}

pub(super) async fn find(
    tx: &Tx,
    org: &OrganizationId,
    reference: &ApplicationRef,
) -> FaultResult<Option<StoredApplication>> {
    match reference {
        ApplicationRef::Id(id) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM application \
                 WHERE org = $1 AND id = $2 AND deleted_at IS NULL"
            );
            let id = bytes_of(id.ksuid());
            first(tx, &sql, params![org.as_str(), id]).await
        }
        ApplicationRef::Uid(uid) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM application \
                 WHERE org = $1 AND uid = $2 AND uid IS NOT NULL AND deleted_at IS NULL"
            );
            first(tx, &sql, params![org.as_str(), uid.as_str()]).await
        }
    }
}

pub(super) async fn by_key(tx: &Tx, key: AppKey) -> FaultResult<Option<StoredApplication>> {
    let sql = format!("SELECT {COLUMNS} FROM application WHERE key = $1 AND deleted_at IS NULL");
    first(tx, &sql, params![key.0]).await
}

/// Locks a live application until the transaction ends, so that its endpoints can be counted and it
/// is not deleted meanwhile; its key.
pub(super) async fn lock(tx: &Tx, id: ApplicationId) -> FaultResult<Option<AppKey>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM application WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"
    );
    let found = first(tx, &sql, params![bytes_of(id.ksuid())]).await?;
    Ok(found.map(|application| application.key))
}

pub(super) async fn list(
    tx: &Tx,
    org: &OrganizationId,
    filter: &ApplicationFilter,
    range: &Range<ApplicationId>,
) -> FaultResult<Vec<StoredApplication>> {
    // `OFFSET 0` has each looked up by itself: without it, a page of an organization with many
    // applications would read the endpoints of everybody first.
    const ANY: &str =
        "EXISTS (SELECT 1 FROM endpoint e WHERE e.app = application.key AND e.deleted_at IS NULL";
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let sql = format!(
        "SELECT {COLUMNS} FROM application WHERE org = $1 AND deleted_at IS NULL \
         AND (NOT $2 OR {ANY} OFFSET 0)) AND (NOT $3 OR NOT {ANY} OFFSET 0) OR {ANY} \
         AND (NOT $4 OR NOT (e.settings::json ->> 'disabled')::boolean \
         AND e.health::json ->> 'state' <> 'disabled') \
         AND NOT EXISTS (SELECT 1 FROM unnest($5) AS prefix \
         WHERE starts_with(e.settings::json ->> 'url', prefix)) OFFSET 0)){}",
        page.sql("id", 5)
    );
    let counting = filter.asks_for_endpoints_that_count();
    let parameters = params![
        org.as_str(),
        filter.with_endpoints,
        counting,
        filter.with_enabled_endpoints,
        filter.with_endpoints_elsewhere,
    ];
    let rows = tx.query(&sql, &page.parameters(parameters)).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn contracts_in_use(
    tx: &Tx,
) -> FaultResult<Vec<(OrganizationId, Option<String>)>> {
    let sql = "SELECT DISTINCT org, settings::json ->> 'contract' AS contract FROM application \
         WHERE deleted_at IS NULL ORDER BY 1, 2 NULLS FIRST";
    let rows = tx.query(sql, params![]).await?;
    let used = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "application");
        Ok((columns.parsed("org")?, columns.get("contract")?))
    });
    used.collect()
}

async fn first(
    tx: &Tx,
    sql: &str,
    parameters: &[&dyn Parameter],
) -> FaultResult<Option<StoredApplication>> {
    let row = tx.first(sql, parameters).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> FaultResult<StoredApplication> {
    let mut columns = Columns::of(row, "application");
    Ok(StoredApplication {
        key: AppKey(columns.get("key")?),
        org: columns.parsed("org")?,
        revision: columns.get("revision")?,
        application: Application {
            id: ApplicationId::from_ksuid(columns.ksuid("id")?),
            uid: columns.parsed_if("uid")?,
            created_at: columns.timestamp("created_at")?,
            updated_at: columns.timestamp("updated_at")?,
            settings: columns.json("settings")?,
        },
    })
}
