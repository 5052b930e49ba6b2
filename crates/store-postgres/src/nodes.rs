//! Lives of server processes, their checkpoints, and counters that survive a restart.
//!
//! # Whose clock
//!
//! Everywhere else the store takes the caller's time. Leases are the exception: several machines
//! judge each other by them, so one clock must count, and the database's is the one all of them
//! reach.
//!
//! # Fencing
//!
//! See the locks on a life's row in the schema: [`hold`] is weak, [`fence_off`] keeps out everybody.
//! [`lock`] is weak as well, and keeps out other appends by a lock of its own.

mod life;
mod member;

use async_trait::async_trait;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    Beat, Footprint, Hint, Joined, Life, Members, NodeId, Nodes, PruneOrder, Pruned, StoreResult,
};

use crate::fault::FaultResult;
use crate::open::Postgres;
use crate::parameter::params;
use crate::prune;
use crate::row::Columns;
use crate::session::{Mode, Tx, in_transaction};

pub(crate) use life::{NOW, checkpoint, fence_off, find, hold, lock, lock_key, move_checkpoint};

#[async_trait]
impl Nodes for Postgres {
    async fn join(&self, node: &NodeId, beat: Beat) -> StoreResult<Joined> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => life::join(&tx, node, &beat));
        Ok(work.await?)
    }

    async fn beat(&self, life: &Life, beat: Beat) -> StoreResult<Timestamp> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => life::beat(&tx, life, &beat));
        Ok(work.await?)
    }

    async fn leave(&self, life: &Life) -> StoreResult<()> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => life::leave(&tx, life));
        Ok(work.await?)
    }

    async fn members(&self) -> StoreResult<Members> {
        let work = in_transaction!(self.people, Mode::Read, tx => member::members(&tx));
        Ok(work.await?)
    }

    async fn undertake(&self, life: &Life, _: Timestamp) -> StoreResult<Option<Life>> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => life::undertake(&tx, life));
        Ok(work.await?)
    }

    async fn bury(&self, dead: &Life) -> StoreResult<()> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => life::bury(&tx, dead));
        Ok(work.await?)
    }

    async fn next_hint(&self, life: &Life) -> Hint {
        self.hints.next(life).await
    }

    async fn prune(&self, order: PruneOrder) -> StoreResult<Pruned> {
        Ok(prune::prune(self, order).await?)
    }

    async fn check(&self) -> StoreResult<()> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => check(&tx));
        Ok(work.await?)
    }

    async fn footprint(&self) -> StoreResult<Footprint> {
        let work = in_transaction!(self.people, Mode::Read, tx => footprint(&tx));
        Ok(work.await?)
    }
}

/// How full its disk is only the database's own server knows.
async fn footprint(tx: &Tx) -> FaultResult<Footprint> {
    let sql = "SELECT pg_database_size(current_database()), \
         (SELECT max(version) FROM migration)";
    let row = tx.first(sql, params![]).await?;
    let row = row.expect("without a table there is always one row");
    let mut columns = Columns::of(&row, "migration");
    Ok(Footprint {
        bytes: columns.number("size")?,
        free_bytes: None,
        schema: columns.get("version")?,
    })
}

async fn check(tx: &Tx) -> FaultResult<()> {
    let sql = "INSERT INTO counter AS c (name, value) VALUES ('check', 1) \
         ON CONFLICT (name) DO UPDATE SET value = c.value + 1";
    tx.execute(sql, params![]).await?;
    counter(tx, "check").await.map(drop)
}

/// Where a counter stands; 0 if it never moved.
pub(crate) async fn counter(tx: &Tx, name: &str) -> FaultResult<i64> {
    let sql = "SELECT value FROM counter WHERE name = $1";
    let row = tx.first(sql, params![name]).await?;
    row.map_or(Ok(0), |row| Columns::of(&row, "counter").get("value"))
}

pub(crate) async fn set_counter(tx: &Tx, name: &str, value: i64) -> FaultResult<()> {
    let sql = "INSERT INTO counter (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, params![name, value]).await?;
    Ok(())
}
