//! Rows of `api_key`.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use watchfire_domain::id::{ApplicationId, KeyId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    ApiKey, AppKey, Conflict, Credentials, Range, StoreResult, StoredApiKey, TokenMark,
};

use super::{page, token_void};
use crate::fault::{FaultResult, Refusal};
use crate::open::Sqlite;
use crate::row::Columns;
use crate::writer::Tx;

const SELECT: &str = "SELECT k.id, k.org, a.id, k.name, k.scopes, k.created_at, k.expires_at, \
     k.hash, k.last_used_at FROM api_key k LEFT JOIN application a ON a.key = k.app";

#[async_trait]
impl Credentials for Sqlite {
    async fn api_key(&self, id: KeyId) -> StoreResult<Option<StoredApiKey>> {
        self.readers
            .run(move |connection| find(connection, id))
            .await
    }

    async fn api_keys(
        &self,
        org: &OrganizationId,
        range: Range<KeyId>,
    ) -> StoreResult<Vec<StoredApiKey>> {
        let org = org.clone();
        self.readers
            .run(move |connection| list(connection, &org, &range))
            .await
    }

    async fn token_void_from(&self, token: &TokenMark) -> StoreResult<Option<Timestamp>> {
        let token = token.clone();
        self.readers
            .run(move |connection| token_void::void_from(connection, &token))
            .await
    }
}

pub(super) fn create(tx: &Tx<'_>, key: &ApiKey) -> Result<(), Refusal> {
    let app = match key.application {
        Some(id) => Some(app_of(tx, &key.org, id)?.ok_or(Conflict::Missing)?),
        None => None,
    };
    if is_full(tx, &key.org, app)? {
        return Err(Conflict::ApiKeyLimit.into());
    }
    let sql = "INSERT INTO api_key (id, org, app, name, scopes, created_at, expires_at, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.execute(
        sql,
        params![
            key.id.ksuid().as_bytes(),
            key.org.as_str(),
            app.map(|app| app.0),
            key.name,
            key.scopes.to_string(),
            key.created_at.unix_micros(),
            key.expires_at.map(Timestamp::unix_micros),
            key.hash,
        ],
    )?;
    Ok(())
}

fn app_of(tx: &Tx<'_>, org: &OrganizationId, id: ApplicationId) -> FaultResult<Option<AppKey>> {
    let sql = "SELECT key FROM application WHERE org = ?1 AND id = ?2 AND deleted_at IS NULL";
    let key: Option<i64> = tx
        .prepare(sql)?
        .query_row(params![org.as_str(), id.ksuid().as_bytes()], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(key.map(AppKey))
}

/// Counts up to the limit, on the index.
fn is_full(tx: &Tx<'_>, org: &OrganizationId, app: Option<AppKey>) -> FaultResult<bool> {
    let most = i64::try_from(limit::API_KEYS_PER_OWNER_MAX).unwrap_or(i64::MAX);
    let of_itself = || Value::Text(org.as_str().to_owned());
    let (owner, of) = match app {
        Some(app) => (Value::Integer(app.0), "app = ?1 AND app IS NOT NULL"),
        None => (of_itself(), "org = ?1 AND app IS NULL"),
    };
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM api_key WHERE {of} LIMIT ?2)");
    let found: i64 = tx
        .prepare(&sql)?
        .query_row(params![owner, most], |row| row.get(0))?;
    Ok(found >= most)
}

pub(super) fn revoke(tx: &Tx<'_>, org: &OrganizationId, id: KeyId) -> Result<(), Refusal> {
    let sql = "DELETE FROM api_key WHERE id = ?1 AND org = ?2";
    match tx.execute(sql, params![id.ksuid().as_bytes(), org.as_str()])? {
        0 => Err(Conflict::Missing.into()),
        _ => Ok(()),
    }
}

pub(super) fn revoke_all_of(tx: &Tx<'_>, app: AppKey) -> FaultResult<()> {
    let sql = "DELETE FROM api_key WHERE app = ?1 AND app IS NOT NULL";
    tx.execute(sql, [app.0])?;
    Ok(())
}

pub(super) fn note_use(tx: &Tx<'_>, id: KeyId, at: Timestamp) -> FaultResult<()> {
    let sql = "UPDATE api_key SET last_used_at = ?2 \
         WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)";
    tx.execute(sql, params![id.ksuid().as_bytes(), at.unix_micros()])?;
    Ok(())
}

fn find(connection: &Connection, id: KeyId) -> FaultResult<Option<StoredApiKey>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE k.id = ?1"))?;
    let mut rows = statement.query([id.ksuid().as_bytes()])?;
    rows.next()?.map(read).transpose()
}

fn list(
    connection: &Connection,
    org: &OrganizationId,
    range: &Range<KeyId>,
) -> FaultResult<Vec<StoredApiKey>> {
    let values = vec![Value::Text(org.as_str().to_owned())];
    let page = page("k.id", range, values, |id| {
        Value::Blob(id.ksuid().as_bytes().to_vec())
    });
    let sql = format!("{SELECT} WHERE k.org = ?1{}", page.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(page.values))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read(row)?);
    }
    Ok(keys)
}

fn read(row: &Row<'_>) -> FaultResult<StoredApiKey> {
    let mut columns = Columns::of(row, "api_key");
    Ok(StoredApiKey {
        key: ApiKey {
            id: KeyId::from_ksuid(columns.ksuid("id")?),
            org: columns.parsed("org")?,
            application: columns.ksuid_if("app")?.map(ApplicationId::from_ksuid),
            name: columns.get("name")?,
            scopes: columns.parsed("scopes")?,
            created_at: columns.timestamp("created_at")?,
            expires_at: columns.timestamp_if("expires_at")?,
            hash: columns.get("hash")?,
        },
        last_used_at: columns.timestamp_if("last_used_at")?,
    })
}
