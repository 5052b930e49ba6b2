//! Which life makes the deliveries of which endpoints, and what others wrote for it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use watchfire_store::{
    AppKey, Arrival, DeliveryRef, EndpointKey, Life, Shard, ShardSet, Shards, StoreResult,
};

use crate::doubt::{Trace, commit_for_certain};
use crate::fault::FaultResult;
use crate::nodes;
use crate::open::Postgres;
use crate::parameter::{Parameter, params};
use crate::row::{Columns, at_most};
use crate::session::{Mode, Tries, Tx, in_open_transaction, in_transaction};

#[async_trait]
impl Shards for Postgres {
    async fn take_shards(&self, life: &Life, at_most: usize) -> StoreResult<ShardSet> {
        Ok(take_shards(self, life, at_most).await?)
    }

    async fn give_back(&self, life: &Life, shards: ShardSet) -> StoreResult<()> {
        let work = in_transaction!(self.ledger, Mode::Alone, tx => give_back(&tx, life, shards));
        Ok(work.await?)
    }

    async fn take_arrivals(&self, life: &Life, limit: usize) -> StoreResult<Vec<Arrival>> {
        // Looks without writing: it is asked for many times a second, and mostly there is nothing.
        let look = in_transaction!(self.ledger, Mode::Read, tx => any_arrivals(&tx, life));
        if !look.await? {
            return Ok(Vec::new());
        }
        let work = in_transaction!(self.ledger, Mode::Write, tx => take_arrivals(&tx, life, limit));
        Ok(work.await?)
    }
}

/// Shards as a parameter holds them.
pub(crate) fn numbers(shards: ShardSet) -> Vec<i16> {
    shards.iter().map(|shard| i16::from(shard.0)).collect()
}

/// Shards that a life has taken without knowing it would be served by nobody.
async fn take_shards(store: &Postgres, life: &Life, limit: usize) -> FaultResult<ShardSet> {
    let mut tries = Tries::default();
    loop {
        match try_take(store, life, limit).await {
            Err(fault) if tries.again(&fault) => {}
            ended => return ended,
        }
    }
}

async fn try_take(store: &Postgres, life: &Life, limit: usize) -> FaultResult<ShardSet> {
    let worked = in_open_transaction!(store.ledger, Mode::Write, tx => take(&tx, life, limit));
    let (tx, (node, shards)): (Tx, (i64, ShardSet)) = worked.await?;
    let trace = (!shards.is_empty()).then_some(Trace::Shards { node, shards });
    commit_for_certain(&store.ledger, tx, trace).await?;
    Ok(shards)
}

/// Returns the life's key and what it took.
async fn take(tx: &Tx, life: &Life, limit: usize) -> FaultResult<(i64, ShardSet)> {
    let key = nodes::hold(tx, life).await?;
    // Keys are given in a row: whoever takes neighbours takes all of an application's endpoints.
    let sql = "UPDATE shard SET node = $1 WHERE shard IN (\
         SELECT shard FROM shard WHERE node IS NULL ORDER BY (shard * 167) % 256 LIMIT $2 \
         FOR UPDATE SKIP LOCKED) RETURNING shard::bigint";
    let taken = read_set(tx, sql, params![key, at_most(limit)]).await?;
    Ok((key, taken))
}

/// Whether the life with this key holds all of these, once whoever is changing them has ended.
pub(crate) async fn are_held_by(tx: &Tx, key: i64, shards: ShardSet) -> FaultResult<bool> {
    let sql = "SELECT shard::bigint FROM (         SELECT shard, node FROM shard WHERE shard = ANY($1) ORDER BY shard FOR UPDATE) locked          WHERE node = $2";
    let held = read_set(tx, sql, params![numbers(shards), key]).await?;
    Ok(shards.without(held).is_empty())
}

/// Waits for the life's running writes, so that whoever takes a shard finds all that they wrote.
async fn give_back(tx: &Tx, life: &Life, shards: ShardSet) -> FaultResult<()> {
    let key = nodes::fence_off(tx, life).await?;
    let sql = "UPDATE shard SET node = NULL WHERE node = $1 AND shard = ANY($2)";
    tx.execute(sql, params![key, numbers(shards)]).await?;
    Ok(())
}

/// What the life with this key holds.
pub(crate) async fn held_by(tx: &Tx, key: i64) -> FaultResult<ShardSet> {
    let sql = "SELECT shard::bigint FROM shard WHERE node = $1";
    read_set(tx, sql, params![key]).await
}

async fn read_set(tx: &Tx, sql: &str, parameters: &[&dyn Parameter]) -> FaultResult<ShardSet> {
    let rows = tx.query(sql, parameters).await?;
    let shards = rows
        .iter()
        .map(|row| Columns::of(row, "shard").number("shard").map(Shard));
    shards.collect()
}

/// Endpoints for which a transaction makes something due.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(BTreeMap<EndpointKey, AppKey>);

impl Arrivals {
    pub(crate) fn note(&mut self, delivery: DeliveryRef) {
        self.note_endpoint(delivery.endpoint, delivery.app);
    }

    pub(crate) fn note_endpoint(&mut self, endpoint: EndpointKey, app: AppKey) {
        self.0.insert(endpoint, app);
    }

    /// Tells the holders of their shards, if these are other lives than the one with this key. That
    /// one must be held: then it does not give back a shard meanwhile.
    ///
    /// A row that is there already is written again: whoever wants to take it waits for our commit,
    /// and then sees what we made due.
    pub(crate) async fn tell_holders(self, tx: &Tx, key: i64) -> FaultResult<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let held = held_by(tx, key).await?;
        let others = self
            .0
            .into_iter()
            .filter(|(endpoint, _)| !held.has(*endpoint));
        let mut endpoints = Vec::new();
        let mut shards = Vec::new();
        let mut apps = Vec::new();
        for (endpoint, app) in others {
            let shard = Shard::of(endpoint);
            endpoints.push(endpoint.0);
            shards.push(i16::from(shard.0));
            tx.concerns(|told| told.arrived_at(shard));
            apps.push(app.0);
        }
        if endpoints.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO arrival (endpoint, shard, app) \
             SELECT * FROM unnest($1, $2, $3) AS new (endpoint, shard, app) ORDER BY endpoint \
             ON CONFLICT (endpoint) DO UPDATE SET app = excluded.app";
        tx.execute(sql, params![endpoints, shards, apps]).await?;
        Ok(())
    }
}

async fn any_arrivals(tx: &Tx, life: &Life) -> FaultResult<bool> {
    let key = nodes::find(tx, life).await?;
    let sql = "SELECT 1 FROM arrival a JOIN shard s ON s.shard = a.shard \
         WHERE s.node = $1 LIMIT 1";
    tx.exists(sql, params![key]).await
}

async fn take_arrivals(tx: &Tx, life: &Life, limit: usize) -> FaultResult<Vec<Arrival>> {
    let key = nodes::hold(tx, life).await?;
    let held = numbers(held_by(tx, key).await?);
    // Locked in the order in which they are written.
    let lock = "SELECT endpoint FROM arrival WHERE shard = ANY($1) ORDER BY endpoint LIMIT $2 \
         FOR UPDATE";
    let rows = tx.query(lock, params![held, at_most(limit)]).await?;
    let endpoints = rows
        .iter()
        .map(|row| Columns::of(row, "arrival").get("endpoint"));
    let endpoints: Vec<i64> = endpoints.collect::<FaultResult<_>>()?;
    let sql = "DELETE FROM arrival WHERE endpoint = ANY($1) RETURNING endpoint, app";
    let rows = tx.query(sql, params![endpoints]).await?;
    let arrivals = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "arrival");
        Ok(Arrival {
            endpoint: EndpointKey(columns.get("endpoint")?),
            app: AppKey(columns.get("app")?),
        })
    });
    arrivals.collect()
}
