//! Lives of server processes, their checkpoints, and counters that survive a restart.

mod member;

use std::path::Path;
use std::{fs, future};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    Beat, Epoch, Footprint, Hint, Joined, Life, Load, Members, NodeId, Nodes, PruneOrder, Pruned,
    Seq, StoreError, StoreResult,
};

use crate::fault::{Fault, FaultResult};
use crate::mail;
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};
use crate::{folder, prune, shards};

#[async_trait]
impl Nodes for Sqlite {
    async fn join(&self, node: &NodeId, beat: Beat) -> StoreResult<Joined> {
        let node = node.clone();
        let work = move |tx: &mut Tx<'_>| join(tx, node, &beat);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn beat(&self, life: &Life, beat: Beat) -> StoreResult<Timestamp> {
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| {
            let key = key_of(tx.connection(), &life)?;
            extend(tx, key, &beat)?;
            Ok(beat.now)
        };
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn leave(&self, life: &Life) -> StoreResult<()> {
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| match find(tx.connection(), &life)? {
            Some(key) => remove(tx, key),
            None => Ok(()),
        };
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn members(&self) -> StoreResult<Members> {
        self.readers.run(member::members).await
    }

    async fn undertake(&self, life: &Life, now: Timestamp) -> StoreResult<Option<Life>> {
        let life = life.clone();
        let work = move |tx: &mut Tx<'_>| undertake(tx, &life, now);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    async fn bury(&self, dead: &Life) -> StoreResult<()> {
        let dead = dead.clone();
        let work = move |tx: &mut Tx<'_>| {
            let key = key_of(tx.connection(), &dead)?;
            remove(tx, key)
        };
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }

    /// Never returns: nobody else writes this file.
    async fn next_hint(&self, _: &Life) -> Hint {
        future::pending().await
    }

    async fn prune(&self, order: PruneOrder) -> StoreResult<Pruned> {
        prune::prune(self, order).await
    }

    async fn footprint(&self) -> StoreResult<Footprint> {
        self.readers.run(footprint).await
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

/// The key of a life's row. Whoever writes asks for it first: a life that was fenced off is not
/// found, and one thread carries out a write after the other, so it stays found until the end.
pub(crate) fn key_of(connection: &Connection, life: &Life) -> FaultResult<i64> {
    find(connection, life)?.ok_or_else(|| StoreError::Fenced.into())
}

fn find(connection: &Connection, life: &Life) -> FaultResult<Option<i64>> {
    let key = connection
        .prepare_cached("SELECT key FROM node WHERE epoch = ?1 AND name = ?2")?
        .query_row(params![life.epoch.0, life.node.0], |row| row.get(0))
        .optional()?;
    Ok(key)
}

fn join(tx: &Tx<'_>, node: NodeId, beat: &Beat) -> FaultResult<Joined> {
    let epoch = next_epoch(tx)?;
    let sql = "UPDATE node SET epoch = ?2, joined_at = ?3 \
         WHERE name = ?1 AND undertaker IS NULL RETURNING key";
    let now = beat.now.unix_micros();
    let again: Option<i64> = tx
        .prepare(sql)?
        .query_row(params![node.0, epoch.0, now], |row| row.get(0))
        .optional()?;
    let key = if let Some(key) = again {
        end_claims(tx, key)?;
        key
    } else {
        begin(tx, &node, epoch, beat)?
    };
    extend(tx, key, beat)?;
    Ok(Joined {
        life: Life { node, epoch },
        now: beat.now,
        shards: shards::held_by(tx.connection(), key)?,
    })
}

/// A new life stands above everything that is stored: none of it is its own.
fn begin(tx: &Tx<'_>, node: &NodeId, epoch: Epoch, beat: &Beat) -> FaultResult<i64> {
    let sql = "INSERT INTO node (name, epoch, checkpoint, version, joined_at, beaten_at, \
         lease_until, clock_ahead, in_flight, queued, lag) \
         VALUES (?1, ?2, ?3, '', ?4, ?4, ?4, 0, 0, 0, 0)";
    let now = beat.now.unix_micros();
    tx.execute(sql, params![node.0, epoch.0, tx.last_seq().0, now])?;
    Ok(tx.connection().last_insert_rowid())
}

/// One process has one clock, so nobody's is off.
fn extend(tx: &Tx<'_>, key: i64, beat: &Beat) -> FaultResult<()> {
    let sql = "UPDATE node SET version = ?2, beaten_at = ?3, lease_until = ?4, in_flight = ?5, \
         queued = ?6, lag = ?7 WHERE key = ?1";
    let Load {
        in_flight,
        queued,
        lag,
    } = beat.load;
    let until = (beat.now + beat.lease).unix_micros();
    let now = beat.now.unix_micros();
    tx.execute(
        sql,
        params![key, beat.version, now, until, in_flight, queued, lag],
    )?;
    Ok(())
}

/// With its write-ahead log, whose pages come on top until they are copied.
fn footprint(connection: &Connection) -> FaultResult<Footprint> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")?;
    let database = pages.unsigned_abs() * number("PRAGMA page_size")?.unsigned_abs();
    let file = connection.path().filter(|path| !path.is_empty());
    let log = file.and_then(|path| fs::metadata(format!("{path}-wal")).ok());
    Ok(Footprint {
        bytes: database + log.map_or(0, |log| log.len()),
        free_bytes: file.and_then(|path| folder::free_bytes(Path::new(path))),
        schema: number("SELECT max(version) FROM migration")?,
    })
}

fn undertake(tx: &Tx<'_>, life: &Life, now: Timestamp) -> FaultResult<Option<Life>> {
    key_of(tx.connection(), life)?;
    // A life that was fenced off has another epoch, so its undertakings are found by nobody's.
    let sql = "SELECT key, name FROM node WHERE epoch <> ?1 AND ( \
         (undertaker IS NULL AND lease_until <= ?2) OR undertaker = ?1 \
         OR undertaker NOT IN (SELECT epoch FROM node)) LIMIT 1";
    let found: Option<(i64, String)> = tx
        .prepare(sql)?
        .query_row(params![life.epoch.0, now.unix_micros()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((key, name)) = found else {
        return Ok(None);
    };
    let epoch = next_epoch(tx)?;
    let sql = "UPDATE node SET epoch = ?2, undertaker = ?3 WHERE key = ?1";
    tx.execute(sql, params![key, epoch.0, life.epoch.0])?;
    end_claims(tx, key)?;
    let node = NodeId(name);
    Ok(Some(Life { node, epoch }))
}

/// What a life had claimed is nobody's.
fn end_claims(tx: &Tx<'_>, key: i64) -> FaultResult<()> {
    let sql = "UPDATE owed SET lease_node = NULL, lease_until = NULL, lease_token = NULL, \
         again_at = NULL WHERE lease_node = ?1 AND lease_token IS NOT NULL";
    tx.execute(sql, [key])?;
    mail::end_claims(tx, key)
}

fn remove(tx: &Tx<'_>, key: i64) -> FaultResult<()> {
    mail::end_claims(tx, key)?;
    tx.execute("UPDATE shard SET node = NULL WHERE node = ?1", [key])?;
    // The row may be the last that knows how far places were drawn.
    set_counter(tx, "seq", tx.last_seq().0)?;
    tx.execute("DELETE FROM node WHERE key = ?1", [key])?;
    Ok(())
}

pub(crate) fn move_checkpoint(tx: &Tx<'_>, life: &Life, seq: Seq) -> FaultResult<()> {
    let key = key_of(tx.connection(), life)?;
    let sql = "UPDATE node SET checkpoint = max(checkpoint, ?2) WHERE key = ?1";
    tx.execute(sql, params![key, seq.0])?;
    Ok(())
}

pub(crate) fn checkpoint(connection: &Connection, life: &Life) -> FaultResult<Seq> {
    let key = key_of(connection, life)?;
    let checkpoint = connection
        .prepare_cached("SELECT checkpoint FROM node WHERE key = ?1")?
        .query_row([key], |row| row.get(0))?;
    Ok(Seq(checkpoint))
}

fn next_epoch(tx: &Tx<'_>) -> FaultResult<Epoch> {
    Ok(Epoch(count_up(tx, "epoch")?))
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
