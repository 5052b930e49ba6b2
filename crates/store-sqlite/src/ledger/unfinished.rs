//! What a restart must take up again: matched, minus settled, minus owed.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use watchfire_store::{EndpointKey, Life, Seq, Unfinished};

use crate::fault::FaultResult;
use crate::message;
use crate::nodes;
use crate::row::Columns;

pub(super) fn unfinished(
    connection: &Connection,
    life: &Life,
    after: Seq,
    limit: usize,
) -> FaultResult<(Vec<Unfinished>, Option<Seq>)> {
    let node = nodes::key_of(connection, life)?;
    let places = places_after(connection, after, limit)?;
    let next = if places.len() < limit {
        None
    } else {
        places.last().map(|place| place.seq)
    };
    let mut unfinished = Vec::new();
    for place in places.into_iter().filter(|place| place.node == node) {
        unfinished.extend(unfinished_at(connection, place.seq)?);
    }
    Ok((unfinished, next))
}

struct Place {
    seq: Seq,
    node: i64,
}

fn places_after(connection: &Connection, after: Seq, limit: usize) -> FaultResult<Vec<Place>> {
    let sql = "SELECT seq, node FROM message WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![after.0, limit])?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row, "message");
        places.push(Place {
            seq: Seq(columns.get("seq")?),
            node: columns.get("node")?,
        });
    }
    Ok(places)
}

/// The message at a place, if some of its deliveries are neither settled nor owed.
fn unfinished_at(connection: &Connection, seq: Seq) -> FaultResult<Option<Unfinished>> {
    let Some(stored) = message::at(connection, seq)? else {
        return Ok(None);
    };
    let done = settled_or_owed(connection, seq)?;
    let endpoints: Vec<_> = stored
        .matched
        .iter()
        .copied()
        .filter(|key| !done.contains(key))
        .collect();
    Ok((!endpoints.is_empty()).then_some(Unfinished { stored, endpoints }))
}

fn settled_or_owed(connection: &Connection, seq: Seq) -> FaultResult<HashSet<EndpointKey>> {
    let sql = "SELECT endpoint FROM attempt WHERE seq = ?1 AND settlement IS NOT NULL \
         UNION ALL SELECT endpoint FROM owed WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([seq.0])?;
    let mut done = HashSet::new();
    while let Some(row) = rows.next()? {
        done.insert(EndpointKey(row.get(0)?));
    }
    Ok(done)
}

/// Whether every delivery of a message is settled and none is owed.
pub(crate) fn is_finished(
    connection: &Connection,
    seq: Seq,
    matched: &[EndpointKey],
) -> FaultResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM owed WHERE seq = ?1)";
    let owes: bool = connection
        .prepare_cached(sql)?
        .query_row([seq.0], |row| row.get(0))?;
    if owes {
        return Ok(false);
    }
    let done = settled_or_owed(connection, seq)?;
    Ok(matched.iter().all(|key| done.contains(key)))
}
