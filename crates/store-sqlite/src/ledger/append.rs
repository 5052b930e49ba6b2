//! Appends messages, one row each.

use rusqlite::{Connection, OptionalExtension, params};
use watchfire_domain::time::Timestamp;
use watchfire_store::{Appended, NewMessage, NodeId, Remembered, StoreError};

use super::Tally;
use crate::fault::FaultResult;
use crate::message::{self, Inserted};
use crate::nodes;
use crate::writer::Tx;

pub(super) fn append(
    tx: &mut Tx<'_>,
    node: &NodeId,
    batch: &[NewMessage],
) -> FaultResult<Vec<Appended>> {
    let node = nodes::key_of(tx, node)?;
    let mut tally = Tally::default();
    let mut appended = Vec::with_capacity(batch.len());
    for new in batch {
        let one = append_one(tx, node, new)?;
        if let Appended::At(_) = one {
            tally.accepted(new.app, new.message.accepted_at);
        }
        appended.push(one);
    }
    tally.write(tx)?;
    Ok(appended)
}

fn append_one(tx: &mut Tx<'_>, node: i64, new: &NewMessage) -> FaultResult<Appended> {
    let accepted_at = new.message.accepted_at;
    if let Some(remember) = &new.remember
        && let Some(answered) = remembered(tx.connection(), &remember.key, accepted_at)?
    {
        return Ok(Appended::Repeated(answered));
    }
    let seq = tx.draw_seq();
    if message::insert(tx, seq, node, new)? == Inserted::EventIdTaken {
        return taken(tx, new);
    }
    if let Some(new) = &new.remember {
        remember(tx, new)?;
    }
    Ok(Appended::At(seq))
}

fn taken(tx: &Tx<'_>, new: &NewMessage) -> FaultResult<Appended> {
    let event_id = new.message.event_id.as_ref().map_or("", |id| id.as_str());
    let holder = message::id_of_event(tx.connection(), new.app, event_id)?;
    // The insert has just met it, within this transaction.
    holder.map(Appended::EventIdTaken).ok_or_else(|| {
        StoreError::Unavailable("an event id was taken and free at once".into()).into()
    })
}

/// What was answered to a request with this key, unless it has expired.
pub(crate) fn remembered(
    connection: &Connection,
    key: &[u8; 32],
    now: Timestamp,
) -> FaultResult<Option<Remembered>> {
    let sql = "SELECT key, request, answer, expires_at FROM idempotency \
         WHERE key = ?1 AND expires_at > ?2";
    let found = connection
        .prepare_cached(sql)?
        .query_row(params![key, now.unix_micros()], |row| {
            Ok(Remembered {
                key: row.get(0)?,
                request: row.get(1)?,
                answer: row.get(2)?,
                expires_at: Timestamp::from_unix_micros(row.get(3)?),
            })
        })
        .optional()?;
    Ok(found)
}

/// Stores an answer; an expired one with the same key gives way.
pub(crate) fn remember(tx: &Tx<'_>, new: &Remembered) -> FaultResult<()> {
    let sql = "INSERT INTO idempotency (key, request, answer, expires_at) \
         VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (key) DO UPDATE SET request = excluded.request, answer = excluded.answer, \
         expires_at = excluded.expires_at";
    let expires_at = new.expires_at.unix_micros();
    tx.execute(sql, params![new.key, new.request, new.answer, expires_at])?;
    Ok(())
}
