//! Reads who is there.

use std::collections::HashMap;

use tokio_postgres::Row;
use watchfire_store::{Epoch, Life, Load, Member, Members, NodeId, Seq, Shard, ShardSet};

use super::life::NOW;
use crate::fault::{Fault, FaultResult};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

pub(super) async fn members(tx: &Tx) -> FaultResult<Members> {
    let held = holders(tx).await?;
    let sql = "SELECT key, name, epoch, undertaker IS NOT NULL, version, joined_at, beaten_at, \
         lease_until, clock_ahead, in_flight, queued, lag FROM node ORDER BY name, key";
    let rows = tx.query(sql, params![]).await?;
    let members: FaultResult<Vec<_>> = rows.iter().map(|row| read(row, &held)).collect();
    let sql = format!("SELECT {NOW}, coalesce((SELECT max(seq) FROM message), 0)");
    let row = tx.first(&sql, params![]).await?.ok_or(Fault::Overtaken)?;
    let mut columns = Columns::of(&row, "node");
    Ok(Members {
        now: columns.timestamp("now")?,
        newest: Seq(columns.get("newest")?),
        members: members?,
    })
}

fn read(row: &Row, held: &HashMap<i64, ShardSet>) -> FaultResult<Member> {
    let mut columns = Columns::of(row, "node");
    let key: i64 = columns.get("key")?;
    Ok(Member {
        life: Life {
            node: NodeId(columns.get("name")?),
            epoch: Epoch(columns.get("epoch")?),
        },
        dying: columns.get("dying")?,
        version: columns.get("version")?,
        joined_at: columns.timestamp("joined_at")?,
        beaten_at: columns.timestamp("beaten_at")?,
        lease_until: columns.timestamp("lease_until")?,
        clock_ahead_micros: columns.get("clock_ahead")?,
        load: Load {
            in_flight: columns.number("in_flight")?,
            queued: columns.number("queued")?,
            lag: columns.number("lag")?,
        },
        shards: held.get(&key).copied().unwrap_or_default(),
    })
}

async fn holders(tx: &Tx) -> FaultResult<HashMap<i64, ShardSet>> {
    let sql = "SELECT node, shard::bigint FROM shard WHERE node IS NOT NULL";
    let mut held: HashMap<i64, ShardSet> = HashMap::new();
    for row in &tx.query(sql, params![]).await? {
        let mut columns = Columns::of(row, "shard");
        let node = columns.get("node")?;
        let shard = Shard(columns.number("shard")?);
        held.entry(node).or_default().insert(shard);
    }
    Ok(held)
}
