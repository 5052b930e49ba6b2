//! Server processes, their checkpoints, and counters that survive a restart.

use std::future;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    Epoch, Hint, NodeId, Nodes, PruneOrder, Pruned, Seq, StoreError, StoreResult,
};

use crate::fault::{Fault, FaultResult};
use crate::open::Sqlite;
use crate::prune;
use crate::writer::{Rows, Tx};

#[async_trait]
impl Nodes for Sqlite {
    async fn join(&self, node: &NodeId, now: Timestamp) -> StoreResult<Epoch> {
        let node = node.clone();
        let work = move |tx: &mut Tx<'_>| join(tx, &node, now);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn heartbeat(
        &self,
        node: &NodeId,
        epoch: Epoch,
        now: Timestamp,
        lease: Duration,
    ) -> StoreResult<()> {
        let node = node.clone();
        let work = move |tx: &mut Tx<'_>| heartbeat(tx, &node, epoch, now + lease);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    /// Never returns: nobody else writes this file.
    async fn next_hint(&self) -> Hint {
        future::pending().await
    }

    async fn prune(&self, order: PruneOrder) -> StoreResult<Pruned> {
        prune::prune(self, order).await
    }

    async fn check(&self) -> StoreResult<()> {
        let write = |tx: &mut Tx<'_>| count_up(tx, "check").map(drop);
        self.writer.run::<_, Fault, _>(Rows(1), write).await?;
        let sql = "SELECT value FROM counter WHERE name = 'check'";
        self.readers
            .run(move |connection| Ok(connection.query_row(sql, [], |_| Ok(()))?))
            .await
    }
}

/// The key of a node's row, which is made if it is missing.
pub(crate) fn key_of(tx: &Tx<'_>, node: &NodeId) -> FaultResult<i64> {
    if let Some(key) = find(tx.connection(), node)? {
        return Ok(key);
    }
    tx.execute("INSERT INTO node (name) VALUES (?1)", [&node.0])?;
    Ok(tx.connection().last_insert_rowid())
}

pub(crate) fn find(connection: &Connection, node: &NodeId) -> FaultResult<Option<i64>> {
    let key = connection
        .prepare_cached("SELECT key FROM node WHERE name = ?1")?
        .query_row([&node.0], |row| row.get(0))
        .optional()?;
    Ok(key)
}

fn join(tx: &Tx<'_>, node: &NodeId, now: Timestamp) -> FaultResult<Epoch> {
    let key = key_of(tx, node)?;
    let sql = "UPDATE node SET epoch = epoch + 1, lease_until = ?2 WHERE key = ?1 RETURNING epoch";
    let epoch = tx
        .prepare(sql)?
        .query_row(params![key, now.unix_micros()], |row| row.get(0))?;
    let sql = "UPDATE owed SET lease_node = NULL, lease_until = NULL, lease_token = NULL, \
         again_at = NULL WHERE lease_node = ?1 AND lease_token IS NOT NULL";
    tx.execute(sql, [key])?;
    Ok(Epoch(epoch))
}

fn heartbeat(tx: &Tx<'_>, node: &NodeId, epoch: Epoch, until: Timestamp) -> FaultResult<()> {
    let sql = "UPDATE node SET lease_until = ?3 WHERE name = ?1 AND epoch = ?2";
    let changed = tx.execute(sql, params![node.0, epoch.0, until.unix_micros()])?;
    fenced_unless(changed > 0)
}

pub(crate) fn move_checkpoint(
    tx: &Tx<'_>,
    node: &NodeId,
    epoch: Epoch,
    seq: Seq,
) -> FaultResult<()> {
    let sql = "UPDATE node SET checkpoint = max(checkpoint, ?3) WHERE name = ?1 AND epoch = ?2";
    let changed = tx.execute(sql, params![node.0, epoch.0, seq.0])?;
    fenced_unless(changed > 0)
}

fn fenced_unless(own: bool) -> FaultResult<()> {
    if own {
        Ok(())
    } else {
        Err(StoreError::Fenced.into())
    }
}

pub(crate) fn checkpoint(connection: &Connection, node: &NodeId) -> FaultResult<Seq> {
    let checkpoint = connection
        .prepare_cached("SELECT checkpoint FROM node WHERE name = ?1")?
        .query_row([&node.0], |row| row.get(0))
        .optional()?;
    Ok(Seq(checkpoint.unwrap_or(0)))
}

/// The next number of a counter; 1 is the first.
pub(crate) fn count_up(tx: &Tx<'_>, name: &str) -> FaultResult<i64> {
    let sql = "INSERT INTO counter (name, value) VALUES (?1, 1) \
         ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value";
    Ok(tx.prepare(sql)?.query_row([name], |row| row.get(0))?)
}

/// Where a counter stands; 0 if it never moved.
pub(crate) fn counter(connection: &Connection, name: &str) -> FaultResult<i64> {
    let value = connection
        .prepare_cached("SELECT value FROM counter WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

pub(crate) fn set_counter(tx: &Tx<'_>, name: &str, value: i64) -> FaultResult<()> {
    let sql = "INSERT INTO counter (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, params![name, value])?;
    Ok(())
}
