//! Rows of `token_void`.
//!
//! A row that another one implies is removed when that one is written, so a set that is made void
//! over and over keeps the rows that differ in effect, and no others.

use rusqlite::{Connection, params};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, Conflict, TokenMark, TokenSet, TokenVoid};

use super::application;
use crate::fault::{FaultResult, Refusal};
use crate::writer::Tx;

pub(super) fn write(tx: &Tx<'_>, void: &TokenVoid) -> Result<(), Refusal> {
    for set in &void.sets {
        remove_implied(tx, void, set)?;
        insert(tx, void, set)?;
    }
    if is_overfull(tx, void)? {
        return Err(Conflict::TokenVoidLimit.into());
    }
    Ok(())
}

/// What holds for all of an organization's tokens holds for every set of them.
fn remove_implied(tx: &Tx<'_>, void: &TokenVoid, set: &TokenSet) -> FaultResult<()> {
    let org = void.org.as_str();
    let issued = void.issued_until.unix_micros();
    let from = void.implies_from().unix_micros();
    if *set == TokenSet::Organization {
        let sql = "DELETE FROM token_void \
             WHERE org = ?1 AND issued_until <= ?2 AND void_from >= ?3";
        tx.execute(sql, params![org, issued, from])?;
    }
    let sql = "DELETE FROM token_void \
         WHERE org = ?1 AND name = ?2 AND issued_until <= ?3 AND void_from >= ?4";
    tx.execute(sql, params![org, set.name(), issued, from])?;
    Ok(())
}

fn insert(tx: &Tx<'_>, void: &TokenVoid, set: &TokenSet) -> FaultResult<()> {
    let sql = "INSERT INTO token_void (org, name, issued_until, void_from, forget_at) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let forget_at = void.forget_at.map(Timestamp::unix_micros);
    let row = params![
        void.org.as_str(),
        set.name(),
        void.issued_until.unix_micros(),
        void.void_from.unix_micros(),
        forget_at,
    ];
    tx.execute(sql, row)?;
    Ok(())
}

/// Counts up to the limit, on the index. What makes room for itself is never too much.
fn is_overfull(tx: &Tx<'_>, void: &TokenVoid) -> FaultResult<bool> {
    if void.sets.contains(&TokenSet::Organization) {
        return Ok(false);
    }
    let most = i64::try_from(limit::TOKEN_VOIDS_PER_ORGANIZATION_MAX).unwrap_or(i64::MAX);
    let sql = "SELECT count(*) FROM (SELECT 1 FROM token_void WHERE org = ?1 LIMIT ?2)";
    let found: i64 = tx
        .prepare(sql)?
        .query_row(params![void.org.as_str(), most + 1], |row| row.get(0))?;
    Ok(found > most)
}

/// Tokens of a deleted application open nothing: what is void of them need not be known.
pub(super) fn remove_all_of(tx: &Tx<'_>, app: AppKey) -> FaultResult<()> {
    let Some(stored) = application::by_key(tx.connection(), app)? else {
        return Ok(());
    };
    let id = stored.application.id;
    let (first, behind) = (TokenSet::Application(id).name(), TokenSet::name_behind(id));
    let sql = "DELETE FROM token_void WHERE org = ?1 AND name >= ?2 AND name < ?3";
    tx.execute(sql, params![stored.org.as_str(), first, behind])?;
    Ok(())
}

pub(super) fn void_from(
    connection: &Connection,
    token: &TokenMark,
) -> FaultResult<Option<Timestamp>> {
    let sql = "SELECT min(void_from) FROM token_void \
         WHERE org = ?1 AND name = ?2 AND issued_until >= ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut earliest = None;
    for name in token.set_names() {
        let key = params![token.org.as_str(), name, token.issued_at.unix_micros()];
        let from: Option<i64> = statement.query_row(key, |row| row.get(0))?;
        earliest = [earliest, from].into_iter().flatten().min();
    }
    Ok(earliest.map(Timestamp::from_unix_micros))
}
