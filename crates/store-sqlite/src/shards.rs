//! Which life makes the deliveries of which endpoints, and what others wrote for it.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use watchfire_store::{
    AppKey, Arrival, DeliveryRef, EndpointKey, Life, Shard, ShardSet, Shards, StoreResult,
};

use crate::fault::{Fault, FaultResult};
use crate::nodes;
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};

#[async_trait]
impl Shards for Sqlite {
    async fn take_shards(&self, life: &Life, at_most: usize) -> StoreResult<ShardSet> {
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| take(tx, &life, at_most);
        Ok(self.writer.run::<_, Fault, _>(Rows(at_most), work).await?)
    }

    async fn give_back(&self, life: &Life, shards: ShardSet) -> StoreResult<()> {
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| give_back(tx, &life, shards);
        let rows = Rows(shards.len());
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn take_arrivals(&self, life: &Life, limit: usize) -> StoreResult<Vec<Arrival>> {
        let reader = life.clone();
        let any = self
            .readers
            .run(move |connection| any_arrivals(connection, &reader))
            .await?;
        if !any {
            return Ok(Vec::new());
        }
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| take_arrivals(tx, &life, limit);
        Ok(self.writer.run::<_, Fault, _>(Rows(limit), work).await?)
    }
}

/// Not neighbours: their endpoints are often those of one customer.
fn take(tx: &Tx<'_>, life: &Life, at_most: usize) -> FaultResult<ShardSet> {
    let key = nodes::key_of(tx.connection(), life)?;
    let sql = "UPDATE shard SET node = ?1 WHERE shard IN \
         (SELECT shard FROM shard WHERE node IS NULL ORDER BY (shard * 97) & 255 LIMIT ?2) \
         RETURNING shard";
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    read_set(tx.connection(), sql, params![key, at_most])
}

fn give_back(tx: &Tx<'_>, life: &Life, shards: ShardSet) -> FaultResult<()> {
    let key = nodes::key_of(tx.connection(), life)?;
    for shard in shards.iter() {
        let sql = "UPDATE shard SET node = NULL WHERE shard = ?1 AND node = ?2";
        tx.execute(sql, params![shard.0, key])?;
    }
    Ok(())
}

/// What the life with this key holds.
pub(crate) fn held_by(connection: &Connection, key: i64) -> FaultResult<ShardSet> {
    let sql = "SELECT shard FROM shard WHERE node = ?1";
    read_set(connection, sql, params![key])
}

fn read_set(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> FaultResult<ShardSet> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut shards = ShardSet::NONE;
    while let Some(row) = rows.next()? {
        shards.insert(Shard(row.get(0)?));
    }
    Ok(shards)
}

/// Whether the life with this key holds an endpoint's shard.
pub(crate) fn holds(connection: &Connection, key: i64, endpoint: EndpointKey) -> FaultResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM shard WHERE shard = ?1 AND node = ?2)";
    let shard = Shard::of(endpoint);
    Ok(connection
        .prepare_cached(sql)?
        .query_row(params![shard.0, key], |row| row.get(0))?)
}

/// Something of this endpoint is due: tells the holder of its shard, if that is another
/// life than the one with this key.
pub(crate) fn tell_holder(tx: &Tx<'_>, key: i64, delivery: DeliveryRef) -> FaultResult<()> {
    tell_holder_of(tx, key, (delivery.app, delivery.endpoint))
}

pub(crate) fn tell_holder_of(
    tx: &Tx<'_>,
    key: i64,
    (app, endpoint): (AppKey, EndpointKey),
) -> FaultResult<()> {
    if holds(tx.connection(), key, endpoint)? {
        return Ok(());
    }
    let sql = "INSERT INTO arrival (endpoint, shard, app) VALUES (?1, ?2, ?3) \
         ON CONFLICT (endpoint) DO NOTHING";
    tx.execute(sql, params![endpoint.0, Shard::of(endpoint).0, app.0])?;
    Ok(())
}

/// Looks without writing: it is asked for many times a second, and mostly there is nothing.
fn any_arrivals(connection: &Connection, life: &Life) -> FaultResult<bool> {
    let key = nodes::key_of(connection, life)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM arrival WHERE shard IN \
         (SELECT shard FROM shard WHERE node = ?1))";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([key], |row| row.get(0))?)
}

fn take_arrivals(tx: &Tx<'_>, life: &Life, limit: usize) -> FaultResult<Vec<Arrival>> {
    let key = nodes::key_of(tx.connection(), life)?;
    let sql = "DELETE FROM arrival WHERE endpoint IN (SELECT endpoint FROM arrival WHERE shard IN \
         (SELECT shard FROM shard WHERE node = ?1) LIMIT ?2) RETURNING endpoint, app";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(params![key, limit])?;
    let mut arrivals = Vec::new();
    while let Some(row) = rows.next()? {
        arrivals.push(Arrival {
            endpoint: EndpointKey(row.get(0)?),
            app: AppKey(row.get(1)?),
        });
    }
    Ok(arrivals)
}
