//! Rows of `api_key`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Row;
use watchfire_domain::id::{ApplicationId, KeyId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    ApiKey, AppKey, Conflict, Credentials, Range, StoreResult, StoredApiKey, TokenMark,
};

use super::{Page, token_void};
use crate::fault::{FaultResult, Refusal};
use crate::message::bytes_of;
use crate::open::Postgres;
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::{Mode, Tx, in_transaction};

const SELECT: &str = "SELECT k.id, k.org, a.id, k.name, k.scopes, k.created_at, k.expires_at, \
     k.hash, k.last_used_at FROM api_key k LEFT JOIN application a ON a.key = k.app";

#[async_trait]
impl Credentials for Postgres {
    async fn api_key(&self, id: KeyId) -> StoreResult<Option<StoredApiKey>> {
        let work = in_transaction!(self.people, Mode::Read, tx => find(&tx, id));
        Ok(work.await?)
    }

    async fn api_keys(
        &self,
        org: &OrganizationId,
        range: Range<KeyId>,
    ) -> StoreResult<Vec<StoredApiKey>> {
        let work = in_transaction!(self.people, Mode::Read, tx => list(&tx, org, &range));
        Ok(work.await?)
    }

    async fn token_void_from(&self, token: &TokenMark) -> StoreResult<Option<Timestamp>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => token_void::void_from(&tx, token));
        Ok(work.await?)
    }
}

pub(super) async fn create(tx: &Tx, key: &ApiKey) -> Result<(), Refusal> {
    let app = match key.application {
        Some(id) => Some(app_of(tx, &key.org, id).await?.ok_or(Conflict::Missing)?),
        None => None,
    };
    if is_full(tx, &key.org, app).await? {
        return Err(Conflict::ApiKeyLimit.into());
    }
    let sql = "INSERT INTO api_key (id, org, app, name, scopes, created_at, expires_at, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let parameters = params![
        bytes_of(key.id.ksuid()),
        key.org.as_str(),
        app.map(|app| app.0),
        key.name.as_bytes(),
        key.scopes.to_string(),
        key.created_at.unix_micros(),
        key.expires_at.map(Timestamp::unix_micros),
        key.hash.as_slice(),
    ];
    tx.execute(sql, parameters).await?;
    Ok(())
}

/// The key of a live application, which stays live and gets no other keys meanwhile.
async fn app_of(tx: &Tx, org: &OrganizationId, id: ApplicationId) -> FaultResult<Option<AppKey>> {
    let sql = "SELECT key FROM application \
         WHERE org = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE";
    let parameters = params![org.as_str(), bytes_of(id.ksuid())];
    let row = tx.first(sql, parameters).await?;
    row.map(|row| Columns::of(&row, "application").get("key").map(AppKey))
        .transpose()
}

/// Counts up to the limit, on the index.
async fn is_full(tx: &Tx, org: &OrganizationId, app: Option<AppKey>) -> FaultResult<bool> {
    let most = at_most(limit::API_KEYS_PER_OWNER_MAX);
    let row = if let Some(app) = app {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM api_key \
             WHERE app = $1 AND app IS NOT NULL LIMIT $2) k";
        tx.first(sql, params![app.0, most]).await?
    } else {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM api_key \
             WHERE org = $1 AND app IS NULL LIMIT $2) k";
        tx.first(sql, params![org.as_str(), most]).await?
    };
    let found: i64 = row.map_or(Ok(0), |row| Columns::of(&row, "api_key").get("count"))?;
    Ok(found >= most)
}

pub(super) async fn revoke(tx: &Tx, org: &OrganizationId, id: KeyId) -> Result<(), Refusal> {
    let sql = "DELETE FROM api_key WHERE id = $1 AND org = $2";
    let parameters = params![bytes_of(id.ksuid()), org.as_str()];
    match tx.execute(sql, parameters).await? {
        0 => Err(Conflict::Missing.into()),
        _ => Ok(()),
    }
}

pub(super) async fn revoke_all_of(tx: &Tx, app: AppKey) -> FaultResult<()> {
    let sql = "DELETE FROM api_key WHERE app = $1 AND app IS NOT NULL";
    tx.execute(sql, params![app.0]).await?;
    Ok(())
}

/// Moves the last uses forward.
pub(super) async fn note_uses(tx: &Tx, uses: &[(KeyId, Timestamp)]) -> FaultResult<()> {
    let mut last: BTreeMap<KeyId, Timestamp> = BTreeMap::new();
    for (id, at) in uses {
        let noted = last.entry(*id).or_insert(*at);
        *noted = (*at).max(*noted);
    }
    if last.is_empty() {
        return Ok(());
    }
    let ids: Vec<Vec<u8>> = last.keys().map(|id| bytes_of(id.ksuid())).collect();
    let moments: Vec<i64> = last.values().map(|at| at.unix_micros()).collect();
    let sql = "UPDATE api_key k SET last_used_at = new.at FROM unnest($1, $2) AS new (id, at) \
         WHERE k.id = new.id AND (k.last_used_at IS NULL OR k.last_used_at < new.at)";
    tx.execute(sql, params![ids, moments]).await?;
    Ok(())
}

async fn find(tx: &Tx, id: KeyId) -> FaultResult<Option<StoredApiKey>> {
    let sql = format!("{SELECT} WHERE k.id = $1");
    let row = tx.first(&sql, params![bytes_of(id.ksuid())]).await?;
    row.as_ref().map(read).transpose()
}

async fn list(
    tx: &Tx,
    org: &OrganizationId,
    range: &Range<KeyId>,
) -> FaultResult<Vec<StoredApiKey>> {
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let sql = format!("{SELECT} WHERE k.org = $1{}", page.sql("k.id", 1));
    let rows = tx
        .query(&sql, &page.parameters(params![org.as_str()]))
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> FaultResult<StoredApiKey> {
    let mut columns = Columns::of(row, "api_key");
    Ok(StoredApiKey {
        key: ApiKey {
            id: KeyId::from_ksuid(columns.ksuid("id")?),
            org: columns.parsed("org")?,
            application: columns.ksuid_if("app")?.map(ApplicationId::from_ksuid),
            name: columns.free_text_if("name")?.unwrap_or_default(),
            scopes: columns.parsed("scopes")?,
            created_at: columns.timestamp("created_at")?,
            expires_at: columns.timestamp_if("expires_at")?,
            hash: columns.bytes("hash")?,
        },
        last_used_at: columns.timestamp_if("last_used_at")?,
    })
}
