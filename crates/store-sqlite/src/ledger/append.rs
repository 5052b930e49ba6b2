//! Appends messages, one row each.

use rusqlite::{Connection, OptionalExtension, params};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Tally;
use watchfire_store::{
    Appended, DeliveryRef, Elsewhere, EndpointKey, InTurn, Life, NewMessage, NewOwed, OwedReason,
    Remembered, Seq, Series, StoreError,
};

use super::write_tally;
use crate::fault::FaultResult;
use crate::message::{self, Inserted};
use crate::nodes;
use crate::owed::{self, Put};
use crate::shards;
use crate::writer::Tx;

pub(super) fn append(
    tx: &mut Tx<'_>,
    life: &Life,
    batch: &[NewMessage],
) -> FaultResult<Vec<Appended>> {
    let node = nodes::key_of(tx.connection(), life)?;
    let mut tally = Tally::default();
    let mut appended = Vec::with_capacity(batch.len());
    for new in batch {
        let one = append_one(tx, node, new, &mut tally)?;
        if let Appended::At { .. } = one {
            tally.accepted(new.app, &new.message);
        }
        appended.push(one);
    }
    write_tally(tx, tally)?;
    Ok(appended)
}

fn append_one(
    tx: &mut Tx<'_>,
    node: i64,
    new: &NewMessage,
    tally: &mut Tally,
) -> FaultResult<Appended> {
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
    let parked = owe(tx, (node, seq), new, tally)?;
    Ok(Appended::At { seq, parked })
}

/// Writes what is owed from the start, and returns which of the life's own had to be parked.
fn owe(
    tx: &Tx<'_>,
    (node, seq): (i64, Seq),
    new: &NewMessage,
    tally: &mut Tally,
) -> FaultResult<Vec<EndpointKey>> {
    let owed = |endpoint, record, due_at, reason| NewOwed {
        delivery: DeliveryRef {
            app: new.app,
            endpoint,
            seq,
        },
        due_at,
        reason,
        series: Series::START,
        urgency: new.message.urgency,
        record,
    };
    for Elsewhere {
        endpoint,
        record,
        due_at,
        reason,
    } in &new.elsewhere
    {
        let owed = owed(*endpoint, *record, Some(*due_at), *reason);
        if owed::put(tx, &owed, new.message.accepted_at)? == Put::Inserted {
            tally.owed(*endpoint, 1);
        }
        shards::tell_holder(tx, node, owed.delivery)?;
    }
    let mut parked = Vec::new();
    for InTurn { endpoint, record } in &new.in_turn {
        if owed::is_blocked(tx, *endpoint, *record, seq)? {
            let owed = owed(*endpoint, Some(*record), None, OwedReason::Turn);
            if owed::put(tx, &owed, new.message.accepted_at)? == Put::Inserted {
                tally.owed(*endpoint, 1);
            }
            parked.push(*endpoint);
        }
    }
    Ok(parked)
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
