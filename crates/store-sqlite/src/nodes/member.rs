//! Reads who is there.

use std::collections::HashMap;

use rusqlite::{Connection, Row};
use watchfire_domain::time::Timestamp;
use watchfire_store::{Epoch, Life, Load, Member, Members, NodeId, Seq, Shard, ShardSet};

use crate::fault::FaultResult;
use crate::row::Columns;

pub(super) fn members(connection: &Connection) -> FaultResult<Members> {
    let held = holders(connection)?;
    let sql = "SELECT key, name, epoch, undertaker IS NOT NULL AS dying, version, joined_at, \
         beaten_at, lease_until, clock_ahead, in_flight, queued, lag FROM node ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut members = Vec::new();
    while let Some(row) = rows.next()? {
        members.push(read(row, &held)?);
    }
    members.sort_by(|one, other| one.life.node.0.cmp(&other.life.node.0));
    let latest = members.iter().map(|member| member.beaten_at).max();
    Ok(Members {
        now: latest.unwrap_or(Timestamp::EPOCH),
        members,
        newest: newest(connection)?,
    })
}

fn read(row: &Row<'_>, held: &HashMap<i64, ShardSet>) -> FaultResult<Member> {
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
            in_flight: columns.get("in_flight")?,
            queued: columns.get("queued")?,
            lag: columns.get("lag")?,
        },
        shards: held.get(&key).copied().unwrap_or_default(),
    })
}

fn holders(connection: &Connection) -> FaultResult<HashMap<i64, ShardSet>> {
    let sql = "SELECT shard, node FROM shard WHERE node IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut held: HashMap<i64, ShardSet> = HashMap::new();
    while let Some(row) = rows.next()? {
        held.entry(row.get(1)?)
            .or_default()
            .insert(Shard(row.get(0)?));
    }
    Ok(held)
}

fn newest(connection: &Connection) -> FaultResult<Seq> {
    let sql = "SELECT ifnull(max(seq), 0) FROM message";
    let newest = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    Ok(Seq(newest))
}
