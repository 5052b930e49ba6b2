//! What a restart must take up again: matched, minus settled, minus owed.

use std::collections::{HashMap, HashSet};

use watchfire_store::encoding::decode_keys;
use watchfire_store::{EndpointKey, Life, Seq, Unfinished};

use crate::fault::FaultResult;
use crate::message::{Content, at_places, numbers};
use crate::nodes;
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::Tx;

pub(super) async fn unfinished(
    tx: &Tx,
    life: &Life,
    after: Seq,
    limit: usize,
) -> FaultResult<(Vec<Unfinished>, Option<Seq>)> {
    let node = nodes::find(tx, life).await?;
    let sql = "SELECT seq, matched FROM message WHERE node = $1 AND seq > $2 \
         ORDER BY seq LIMIT $3";
    let rows = tx
        .query(sql, params![node, after.0, at_most(limit)])
        .await?;
    let mut open: Vec<(Seq, Vec<EndpointKey>)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row, "message");
        let seq = Seq(columns.get("seq")?);
        open.push((seq, columns.decoded("matched", decode_keys)?));
    }
    let next = open
        .last()
        .map(|(seq, _)| *seq)
        .filter(|_| open.len() >= limit);
    subtract(tx, &mut open).await?;
    let seqs: Vec<Seq> = open.iter().map(|(seq, _)| *seq).collect();
    let mut stored = at_places(tx, &seqs, Content::Kept).await?;
    let unfinished = open.into_iter().filter_map(|(seq, endpoints)| {
        let stored = stored.remove(&seq)?;
        Some(Unfinished { stored, endpoints })
    });
    Ok((unfinished.collect(), next))
}

/// Takes the endpoints away to which a message is settled or owed, and messages without any left.
pub(crate) async fn subtract(tx: &Tx, open: &mut Vec<(Seq, Vec<EndpointKey>)>) -> FaultResult<()> {
    open.retain(|(_, endpoints)| !endpoints.is_empty());
    if open.is_empty() {
        return Ok(());
    }
    let seqs: Vec<Seq> = open.iter().map(|(seq, _)| *seq).collect();
    let sql = "SELECT seq, endpoint FROM attempt \
         WHERE seq = ANY($1) AND settlement IS NOT NULL \
         UNION ALL SELECT seq, endpoint FROM owed WHERE seq = ANY($1)";
    let rows = tx.query(sql, params![numbers(&seqs)]).await?;
    let mut done: HashMap<Seq, HashSet<EndpointKey>> = HashMap::new();
    for row in &rows {
        let mut columns = Columns::of(row, "attempt");
        let seq = Seq(columns.get("seq")?);
        let endpoint = EndpointKey(columns.get("endpoint")?);
        done.entry(seq).or_default().insert(endpoint);
    }
    for (seq, endpoints) in open.iter_mut() {
        if let Some(done) = done.get(seq) {
            endpoints.retain(|key| !done.contains(key));
        }
    }
    open.retain(|(_, endpoints)| !endpoints.is_empty());
    Ok(())
}
