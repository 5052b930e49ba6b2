//! Rows of `node`: how a life begins, goes on, is taken over and ends.

use std::collections::BTreeSet;

use watchfire_domain::time::Timestamp;
use watchfire_store::{Beat, EndpointKey, Epoch, Joined, Life, Load, NodeId, Seq, StoreError};

use crate::fault::{Fault, FaultResult};
use crate::mail;
use crate::owed::lock_endpoints;
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;
use crate::shards;

/// The server's clock, in microseconds. It goes on within a transaction.
pub(crate) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The key of a life's row.
pub(crate) async fn find(tx: &Tx, life: &Life) -> FaultResult<i64> {
    key_of(tx, life, "").await?.ok_or_else(fenced)
}

/// The same, for whoever writes in its name: it is not fenced off before the transaction ends.
pub(crate) async fn hold(tx: &Tx, life: &Life) -> FaultResult<i64> {
    key_of(tx, life, " FOR KEY SHARE").await?.ok_or_else(fenced)
}

/// The same, for an append: nor does another append begin.
///
/// The lock among appends is not the row's: an append may wait for what another node holds, and
/// the beat, which writes the row, must not wait with it.
pub(crate) async fn lock(tx: &Tx, life: &Life) -> FaultResult<i64> {
    let key = hold(tx, life).await?;
    lock_key(tx, key).await?;
    Ok(key)
}

/// The same, once all writes in its name have ended; others wait.
pub(crate) async fn fence_off(tx: &Tx, life: &Life) -> FaultResult<i64> {
    key_of(tx, life, " FOR UPDATE").await?.ok_or_else(fenced)
}

async fn key_of(tx: &Tx, life: &Life, lock: &str) -> FaultResult<Option<i64>> {
    let sql = format!("SELECT key FROM node WHERE epoch = $1 AND name = $2{lock}");
    let row = tx.first(&sql, params![life.epoch.0, life.node.0]).await?;
    row.map(|row| Columns::of(&row, "node").get("key"))
        .transpose()
}

fn fenced() -> Fault {
    StoreError::Fenced.into()
}

/// Waits until no append in the name of the life with this key is under way.
pub(crate) async fn lock_key(tx: &Tx, key: i64) -> FaultResult<()> {
    let sql = "SELECT pg_advisory_xact_lock(1464158280, hashtext(current_schema() || $1))";
    tx.query(sql, params![key.to_string()]).await?;
    Ok(())
}

pub(super) async fn join(tx: &Tx, node: &NodeId, beat: &Beat) -> FaultResult<Joined> {
    let sql = "SELECT key FROM node WHERE name = $1 AND undertaker IS NULL FOR UPDATE";
    let again = tx.first(sql, params![node.0]).await?;
    let (key, epoch) = match again {
        Some(row) => {
            let key = Columns::of(&row, "node").get("key")?;
            (key, go_on(tx, key).await?)
        }
        None => begin(tx, node).await?,
    };
    let now = extend(tx, key, beat).await?;
    Ok(Joined {
        life: Life {
            node: node.clone(),
            epoch,
        },
        now,
        shards: shards::held_by(tx, key).await?,
    })
}

/// The life goes on under a new epoch, and what it had claimed is nobody's.
async fn go_on(tx: &Tx, key: i64) -> FaultResult<Epoch> {
    let sql = format!(
        "UPDATE node SET epoch = nextval('node_epoch'), joined_at = {NOW} \
         WHERE key = $1 RETURNING epoch"
    );
    let row = tx.first(&sql, params![key]).await?;
    let row = row.ok_or(Fault::Overtaken)?;
    end_claims(tx, key).await?;
    Columns::of(&row, "node").get("epoch").map(Epoch)
}

/// A new life stands above everything that is stored: none of it is its own.
async fn begin(tx: &Tx, node: &NodeId) -> FaultResult<(i64, Epoch)> {
    let sql = format!(
        "INSERT INTO node (name, epoch, checkpoint, version, joined_at, beaten_at, lease_until, \
         clock_ahead, in_flight, queued, lag) \
         SELECT $1, nextval('node_epoch'), coalesce((SELECT max(seq) FROM message), 0), '', \
         {NOW}, {NOW}, {NOW}, 0, 0, 0, 0 RETURNING key, epoch"
    );
    let inserted = tx.query(&sql, params![node.0]).await;
    let rows = inserted.map_err(|fault| match fault.violated_unique() {
        // The same node is joining elsewhere just now.
        Some(_) => Fault::Overtaken,
        None => fault,
    })?;
    let row = rows.first().ok_or(Fault::Overtaken)?;
    let mut columns = Columns::of(row, "node");
    Ok((columns.get("key")?, Epoch(columns.get("epoch")?)))
}

async fn extend(tx: &Tx, key: i64, beat: &Beat) -> FaultResult<Timestamp> {
    let sql = format!(
        "UPDATE node n SET version = $2, beaten_at = clock.now, lease_until = clock.now + $3, \
         clock_ahead = $4 - clock.now, in_flight = $5, queued = $6, lag = $7 \
         FROM (SELECT {NOW} AS now) clock WHERE n.key = $1 RETURNING clock.now"
    );
    let Load {
        in_flight,
        queued,
        lag,
    } = beat.load;
    let lease = i64::try_from(beat.lease.as_micros()).unwrap_or(i64::MAX / 2);
    let parameters = params![
        key,
        beat.version,
        lease,
        beat.now.unix_micros(),
        i64::from(in_flight),
        i64::from(queued),
        i64::from(lag),
    ];
    let row = tx.first(&sql, parameters).await?;
    let row = row.ok_or_else(fenced)?;
    Columns::of(&row, "node").timestamp("now")
}

pub(super) async fn beat(tx: &Tx, life: &Life, beat: &Beat) -> FaultResult<Timestamp> {
    let key = find(tx, life).await?;
    let now = extend(tx, key, beat).await?;
    // The row was locked by the update: a life that was fenced off before that has another epoch.
    find(tx, life).await?;
    Ok(now)
}

pub(super) async fn leave(tx: &Tx, life: &Life) -> FaultResult<()> {
    match key_of(tx, life, " FOR UPDATE").await? {
        Some(key) => remove(tx, key).await,
        None => Ok(()),
    }
}

pub(super) async fn bury(tx: &Tx, dead: &Life) -> FaultResult<()> {
    let key = fence_off(tx, dead).await?;
    remove(tx, key).await
}

async fn remove(tx: &Tx, key: i64) -> FaultResult<()> {
    mail::end_claims(tx, key).await?;
    let sql = "UPDATE shard SET node = NULL WHERE node = $1";
    tx.execute(sql, params![key]).await?;
    tx.execute("DELETE FROM node WHERE key = $1", params![key])
        .await?;
    Ok(())
}

pub(super) async fn undertake(tx: &Tx, life: &Life) -> FaultResult<Option<Life>> {
    hold(tx, life).await?;
    // A life that was fenced off has another epoch, so its undertakings are found by nobody's.
    let dead = format!(
        "epoch <> $1 AND ((undertaker IS NULL AND lease_until <= {NOW}) OR undertaker = $1 \
         OR undertaker NOT IN (SELECT epoch FROM node))"
    );
    let sql = format!("SELECT key, name FROM node WHERE {dead} ORDER BY key LIMIT 1");
    let Some(row) = tx.first(&sql, params![life.epoch.0]).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row, "node");
    let key: i64 = columns.get("key")?;
    let node = NodeId(columns.get("name")?);
    // Waits for its writes. It may have said that it lives since we looked.
    let sql = "SELECT 1 FROM node WHERE key = $1 FOR UPDATE";
    tx.query(sql, params![key]).await?;
    let sql = format!(
        "UPDATE node SET epoch = nextval('node_epoch'), undertaker = $1 \
         WHERE key = $2 AND {dead} RETURNING epoch"
    );
    let row = tx.first(&sql, params![life.epoch.0, key]).await?;
    let row = row.ok_or(Fault::Overtaken)?;
    let epoch = Epoch(Columns::of(&row, "node").get("epoch")?);
    end_claims(tx, key).await?;
    Ok(Some(Life { node, epoch }))
}

/// What a life had claimed is nobody's.
async fn end_claims(tx: &Tx, key: i64) -> FaultResult<()> {
    let sql = "SELECT DISTINCT endpoint FROM owed \
         WHERE lease_node = $1 AND lease_token IS NOT NULL";
    let rows = tx.query(sql, params![key]).await?;
    let endpoints = rows.iter().map(|row| {
        let endpoint = Columns::of(row, "owed").get("endpoint")?;
        Ok(EndpointKey(endpoint))
    });
    let endpoints: BTreeSet<EndpointKey> = endpoints.collect::<FaultResult<_>>()?;
    if endpoints.is_empty() {
        return mail::end_claims(tx, key).await;
    }
    lock_endpoints(tx, &endpoints).await?;
    let sql = "UPDATE owed SET lease_node = NULL, lease_until = NULL, lease_token = NULL, \
         again_at = NULL WHERE lease_node = $1 AND lease_token IS NOT NULL";
    tx.execute(sql, params![key]).await?;
    mail::end_claims(tx, key).await
}

pub(crate) async fn move_checkpoint(tx: &Tx, life: &Life, seq: Seq) -> FaultResult<()> {
    let key = hold(tx, life).await?;
    let sql = "UPDATE node SET checkpoint = greatest(checkpoint, $2) WHERE key = $1";
    tx.execute(sql, params![key, seq.0]).await?;
    Ok(())
}

pub(crate) async fn checkpoint(tx: &Tx, life: &Life) -> FaultResult<Seq> {
    let key = find(tx, life).await?;
    let sql = "SELECT checkpoint FROM node WHERE key = $1";
    let row = tx.first(sql, params![key]).await?;
    row.map_or(Ok(Seq(0)), |row| {
        Columns::of(&row, "node").get("checkpoint").map(Seq)
    })
}
