//! Rows of `application`.

use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row, params, params_from_iter};
use watchfire_domain::id::{ApplicationId, OrganizationId, Uid};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Application, ApplicationFilter, ApplicationRef, Conflict, Range, StoredApplication,
};

use super::{api_key, conflict_over, json_text, page, token_void};
use crate::fault::{FaultResult, Refusal};
use crate::row::Columns;
use crate::writer::Tx;

const COLUMNS: &str = "key, org, revision, id, uid, created_at, updated_at, settings";

pub(super) fn create(
    tx: &Tx<'_>,
    org: &OrganizationId,
    application: &Application,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO application (org, id, uid, created_at, updated_at, settings) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let inserted = tx.prepare(sql)?.execute(params![
        org.as_str(),
        application.id.ksuid().as_bytes(),
        application.uid.as_ref().map(Uid::as_str),
        application.created_at.unix_micros(),
        application.updated_at.unix_micros(),
        json_text(&application.settings)?,
    ]);
    inserted.map_err(|error| {
        conflict_over(application.uid.as_ref(), error, Conflict::ApplicationUid)
    })?;
    Ok(())
}

pub(super) fn update(
    tx: &Tx<'_>,
    key: AppKey,
    revision: i64,
    application: &Application,
) -> Result<(), Refusal> {
    let sql = "UPDATE application SET uid = ?3, updated_at = ?4, settings = ?5, \
         revision = revision + 1 WHERE key = ?1 AND revision = ?2 AND deleted_at IS NULL";
    let updated = tx.prepare(sql)?.execute(params![
        key.0,
        revision,
        application.uid.as_ref().map(Uid::as_str),
        application.updated_at.unix_micros(),
        json_text(&application.settings)?,
    ]);
    match updated
        .map_err(|error| conflict_over(application.uid.as_ref(), error, Conflict::ApplicationUid))?
    {
        0 => Err(changed_or_missing(tx, key)?.into()),
        _ => Ok(()),
    }
}

fn changed_or_missing(tx: &Tx<'_>, key: AppKey) -> FaultResult<Conflict> {
    Ok(match by_key(tx.connection(), key)? {
        Some(_) => Conflict::Changed,
        None => Conflict::Missing,
    })
}

/// Marks it and its endpoints, and revokes its keys.
pub(super) fn delete(tx: &Tx<'_>, key: AppKey, now: Timestamp) -> Result<(), Refusal> {
    token_void::remove_all_of(tx, key)?;
    let sql = "UPDATE application SET deleted_at = ?2, revision = revision + 1 \
         WHERE key = ?1 AND deleted_at IS NULL";
    if tx.execute(sql, params![key.0, now.unix_micros()])? == 0 {
        return Err(Conflict::Missing.into());
    }
    let sql = "UPDATE endpoint SET deleted_at = ?2, revision = revision + 1 \
         WHERE app = ?1 AND deleted_at IS NULL";
    tx.execute(sql, params![key.0, now.unix_micros()])?;
    Ok(api_key::revoke_all_of(tx, key)?)
}

pub(super) fn find(
    connection: &Connection,
    org: &OrganizationId,
    reference: &ApplicationRef,
) -> FaultResult<Option<StoredApplication>> {
    match reference {
        ApplicationRef::Id(id) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM application \
                 WHERE org = ?1 AND id = ?2 AND deleted_at IS NULL"
            );
            first(
                connection,
                &sql,
                params![org.as_str(), id.ksuid().as_bytes()],
            )
        }
        ApplicationRef::Uid(uid) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM application \
                 WHERE org = ?1 AND uid = ?2 AND uid IS NOT NULL AND deleted_at IS NULL"
            );
            first(connection, &sql, params![org.as_str(), uid.as_str()])
        }
    }
}

pub(super) fn by_key(
    connection: &Connection,
    key: AppKey,
) -> FaultResult<Option<StoredApplication>> {
    let sql = format!("SELECT {COLUMNS} FROM application WHERE key = ?1 AND deleted_at IS NULL");
    first(connection, &sql, [key.0])
}

/// The key of a live application.
pub(super) fn key_of(tx: &Tx<'_>, id: ApplicationId) -> FaultResult<Option<AppKey>> {
    let sql = format!("SELECT {COLUMNS} FROM application WHERE id = ?1 AND deleted_at IS NULL");
    let found = first(tx.connection(), &sql, [id.ksuid().as_bytes()])?;
    Ok(found.map(|application| application.key))
}

pub(super) fn list(
    connection: &Connection,
    org: &OrganizationId,
    filter: &ApplicationFilter,
    range: &Range<ApplicationId>,
) -> FaultResult<Vec<StoredApplication>> {
    let mut values = vec![Value::Text(org.as_str().to_owned())];
    let wanted = wanted(filter, &mut values);
    let page = page("id", range, values, |id| {
        Value::Blob(id.ksuid().as_bytes().to_vec())
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM application WHERE org = ?1 AND deleted_at IS NULL{wanted}{}",
        page.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(page.values))?;
    let mut applications = Vec::new();
    while let Some(row) = rows.next()? {
        applications.push(read(row)?);
    }
    Ok(applications)
}

/// The conditions of a filter, each beginning with ` AND`. Their parameters follow those in
/// `values`.
fn wanted(filter: &ApplicationFilter, values: &mut Vec<Value>) -> String {
    const ANY: &str =
        "EXISTS (SELECT 1 FROM endpoint e WHERE e.app = application.key AND e.deleted_at IS NULL";
    let any = if filter.with_endpoints {
        format!(" AND {ANY})")
    } else {
        String::new()
    };
    if !filter.asks_for_endpoints_that_count() {
        return any;
    }
    let enabled = if filter.with_enabled_endpoints {
        " AND NOT e.settings ->> '$.disabled' AND e.health ->> '$.state' <> 'disabled'"
    } else {
        ""
    };
    let mut elsewhere = Vec::new();
    for prefix in &filter.with_endpoints_elsewhere {
        values.push(Value::Text(prefix.clone()));
        let place = values.len();
        elsewhere.push(format!(
            " AND substr(e.settings ->> '$.url', 1, length(?{place})) <> ?{place}"
        ));
    }
    let elsewhere = elsewhere.concat();
    format!("{any} AND (NOT {ANY}) OR {ANY}{enabled}{elsewhere}))")
}

pub(super) fn contracts_in_use(
    connection: &Connection,
) -> FaultResult<Vec<(OrganizationId, Option<String>)>> {
    let sql = "SELECT DISTINCT org, settings ->> '$.contract' AS contract FROM application \
         WHERE deleted_at IS NULL ORDER BY 1, 2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut used = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row, "application");
        used.push((columns.parsed("org")?, columns.get("contract")?));
    }
    Ok(used)
}

fn first(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> FaultResult<Option<StoredApplication>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> FaultResult<StoredApplication> {
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
