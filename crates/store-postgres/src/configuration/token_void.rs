//! Rows of `token_void`.
//!
//! A row that another one implies is removed when that one is written, so a set that is made void
//! over and over keeps the rows that differ in effect, and no others.

use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, Conflict, TokenMark, TokenSet, TokenVoid};

use super::application;
use crate::fault::{FaultResult, Refusal};
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::Tx;

pub(super) async fn write(tx: &Tx, void: &TokenVoid) -> Result<(), Refusal> {
    let names: Vec<String> = void.sets.iter().map(TokenSet::name).collect();
    let everything = void.sets.contains(&TokenSet::Organization);
    let org = void.org.as_str();
    let issued = void.issued_until.unix_micros();
    let implied_from = void.implies_from().unix_micros();
    // What holds for all of an organization's tokens holds for every set of them.
    let sql = "DELETE FROM token_void WHERE org = $1 AND (name = ANY ($2) OR $3) \
         AND issued_until <= $4 AND void_from >= $5";
    tx.execute(sql, params![org, names, everything, issued, implied_from])
        .await?;
    let from = void.void_from.unix_micros();
    let sql = "INSERT INTO token_void (org, name, issued_until, void_from, forget_at) \
         SELECT $1, name, $3, $4, $5 FROM unnest($2) AS new (name) ON CONFLICT DO NOTHING";
    let forget_at = void.forget_at.map(Timestamp::unix_micros);
    tx.execute(sql, params![org, names, issued, from, forget_at])
        .await?;
    // What makes room for itself is never too much.
    if !everything && is_overfull(tx, org).await? {
        return Err(Conflict::TokenVoidLimit.into());
    }
    Ok(())
}

/// Counts up to the limit, on the index.
async fn is_overfull(tx: &Tx, org: &str) -> FaultResult<bool> {
    let most = at_most(limit::TOKEN_VOIDS_PER_ORGANIZATION_MAX);
    let sql = "SELECT count(*) FROM (SELECT 1 FROM token_void WHERE org = $1 LIMIT $2) v";
    let row = tx.first(sql, params![org, most + 1]).await?;
    let found: i64 = row.map_or(Ok(0), |row| Columns::of(&row, "token_void").get("count"))?;
    Ok(found > most)
}

/// Tokens of a deleted application open nothing: what is void of them need not be known.
pub(super) async fn remove_all_of(tx: &Tx, app: AppKey) -> FaultResult<()> {
    let Some(stored) = application::by_key(tx, app).await? else {
        return Ok(());
    };
    let id = stored.application.id;
    let (first, behind) = (TokenSet::Application(id).name(), TokenSet::name_behind(id));
    let sql = "DELETE FROM token_void WHERE org = $1 AND name >= $2 AND name < $3";
    tx.execute(sql, params![stored.org.as_str(), first, behind])
        .await?;
    Ok(())
}

pub(super) async fn void_from(tx: &Tx, token: &TokenMark) -> FaultResult<Option<Timestamp>> {
    let sql = "SELECT min(void_from) FROM token_void \
         WHERE org = $1 AND name = ANY ($2) AND issued_until >= $3";
    let names = token.set_names();
    let key = params![token.org.as_str(), names, token.issued_at.unix_micros()];
    let Some(row) = tx.first(sql, key).await? else {
        return Ok(None);
    };
    Columns::of(&row, "token_void").timestamp_if("void_from")
}
