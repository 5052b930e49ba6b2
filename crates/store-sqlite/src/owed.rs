//! Rows of `owed`, and what moves them between waiting, leased, parked and gone.
//!
//! ```text
//!            put                 claim                  settle
//!   (none) ───────▶ waiting ───────────────▶ leased ───────────────▶ (none)
//!                    ▲   │ blocked            │  │
//!                    │   ▼                    │  │ asked for again meanwhile
//!                    │ parked ◀───────────────┘  │
//!                    └────┴──── retry, return ◀──┘
//! ```
//!
//! A **parked** row has no due time: an earlier delivery of its endpoint and record is not settled.
//! Whoever settles that one wakes the next.

use rusqlite::{OptionalExtension, params};
use watchfire_domain::attempt::Trigger;
use watchfire_domain::time::Timestamp;
use watchfire_store::{DeliveryRef, EndpointKey, FenceToken, NewOwed, OwedReason, Seq, Series};

use crate::fault::FaultResult;
use crate::message;
use crate::writer::Tx;
use watchfire_store::encoding::Code;

/// What [`put`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Inserted,
    /// It was owed already.
    Merged,
    /// The application has no such message.
    Missing,
}

/// What a row of `owed` is, as far as [`put`] needs to know.
enum Standing {
    Waiting { due_at: Timestamp },
    Parked,
    Leased,
}

/// Makes a delivery owed. If it is owed already, the earlier due time wins, together with its
/// series; if it is leased, its own attempt decides, unless a person asks: then it becomes due
/// again afterwards. One that would be due, but is blocked by its record, is parked.
pub(crate) fn put(tx: &Tx<'_>, owed: &NewOwed, now: Timestamp) -> FaultResult<Put> {
    let standing = standing(tx, owed.delivery)?;
    if let Some(Standing::Leased) = standing {
        if owed.reason == OwedReason::Requested {
            ask_again(tx, owed.delivery, owed.due_at.unwrap_or(now))?;
        }
        return Ok(Put::Merged);
    }
    let placed = NewOwed {
        due_at: if parks(tx, owed, now)? {
            None
        } else {
            owed.due_at
        },
        ..*owed
    };
    match (standing, owed.due_at) {
        (None, _) => return insert(tx, &placed),
        (Some(Standing::Parked), Some(_)) => replace(tx, &placed)?,
        (Some(Standing::Waiting { due_at: stands }), Some(due_at)) if due_at < stands => {
            replace(tx, &placed)?;
        }
        (Some(_), _) => {}
    }
    Ok(Put::Merged)
}

/// Only what would be due now is parked: parking forgets the due time.
fn parks(tx: &Tx<'_>, owed: &NewOwed, now: Timestamp) -> FaultResult<bool> {
    match owed.record {
        Some(record) if owed.due_at.is_some_and(|due_at| due_at <= now) => {
            is_blocked(tx, owed.delivery.endpoint, record, owed.delivery.seq)
        }
        Some(_) | None => Ok(false),
    }
}

fn standing(tx: &Tx<'_>, delivery: DeliveryRef) -> FaultResult<Option<Standing>> {
    let sql = "SELECT due_at, lease_token IS NOT NULL FROM owed WHERE seq = ?1 AND endpoint = ?2";
    let found = tx
        .prepare(sql)?
        .query_row(params![delivery.seq.0, delivery.endpoint.0], |row| {
            Ok(match (row.get(0)?, row.get(1)?) {
                (_, true) => Standing::Leased,
                (Some(due_at), false) => Standing::Waiting {
                    due_at: Timestamp::from_unix_micros(due_at),
                },
                (None, false) => Standing::Parked,
            })
        })
        .optional()?;
    Ok(found)
}

fn insert(tx: &Tx<'_>, owed: &NewOwed) -> FaultResult<Put> {
    let DeliveryRef { app, seq, .. } = owed.delivery;
    let Some(message) = message::id_at(tx.connection(), app, seq)? else {
        return Ok(Put::Missing);
    };
    let sql = "INSERT INTO owed (seq, endpoint, message, due_at, reason, trigger, attempts, stale, \
         urgency, record, once) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    tx.execute(
        sql,
        params![
            owed.delivery.seq.0,
            owed.delivery.endpoint.0,
            message.ksuid().as_bytes(),
            owed.due_at.map(Timestamp::unix_micros),
            reason_of(owed).code(),
            owed.series.trigger.code(),
            owed.series.attempts,
            owed.series.stale,
            owed.urgency.code(),
            owed.record,
            owed.series.once,
        ],
    )?;
    Ok(Put::Inserted)
}

fn replace(tx: &Tx<'_>, owed: &NewOwed) -> FaultResult<()> {
    let sql = "UPDATE owed SET due_at = ?3, reason = ?4, trigger = ?5, attempts = ?6, stale = ?7, \
         once = ?8 WHERE seq = ?1 AND endpoint = ?2";
    tx.execute(
        sql,
        params![
            owed.delivery.seq.0,
            owed.delivery.endpoint.0,
            owed.due_at.map(Timestamp::unix_micros),
            reason_of(owed).code(),
            owed.series.trigger.code(),
            owed.series.attempts,
            owed.series.stale,
            owed.series.once,
        ],
    )?;
    Ok(())
}

/// What has no due time waits for its turn, whatever else was said.
fn reason_of(owed: &NewOwed) -> OwedReason {
    match owed.due_at {
        Some(_) => owed.reason,
        None => OwedReason::Turn,
    }
}

fn ask_again(tx: &Tx<'_>, delivery: DeliveryRef, at: Timestamp) -> FaultResult<()> {
    let sql = "UPDATE owed SET again_at = min(ifnull(again_at, ?3), ?3) \
         WHERE seq = ?1 AND endpoint = ?2";
    tx.execute(
        sql,
        params![delivery.seq.0, delivery.endpoint.0, at.unix_micros()],
    )?;
    Ok(())
}

/// Whether an earlier delivery of the same endpoint and record is owed.
pub(crate) fn is_blocked(
    tx: &Tx<'_>,
    endpoint: EndpointKey,
    record: i64,
    seq: Seq,
) -> FaultResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM owed WHERE endpoint = ?1 AND record = ?2 AND seq < ?3)";
    Ok(tx
        .prepare(sql)?
        .query_row(params![endpoint.0, record, seq.0], |row| row.get(0))?)
}

/// Takes the due time away: an earlier delivery of the record comes first.
pub(crate) fn park(tx: &Tx<'_>, endpoint: EndpointKey, seq: Seq) -> FaultResult<()> {
    let sql = "UPDATE owed SET due_at = NULL, reason = ?3 WHERE seq = ?1 AND endpoint = ?2";
    tx.execute(sql, params![seq.0, endpoint.0, OwedReason::Turn.code()])?;
    Ok(())
}

/// Makes the first owed delivery of a record due, if it is parked.
pub(crate) fn wake_next(
    tx: &Tx<'_>,
    endpoint: EndpointKey,
    record: i64,
    now: Timestamp,
) -> FaultResult<()> {
    let sql = "SELECT seq, due_at IS NULL FROM owed WHERE endpoint = ?1 AND record = ?2 \
         ORDER BY seq LIMIT 1";
    let first: Option<(i64, bool)> = tx
        .prepare(sql)?
        .query_row(params![endpoint.0, record], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((seq, true)) = first {
        let sql = "UPDATE owed SET due_at = ?3 WHERE seq = ?1 AND endpoint = ?2";
        tx.execute(sql, params![seq, endpoint.0, now.unix_micros()])?;
    }
    Ok(())
}

/// What a fenced write found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fenced {
    Done,
    /// A person asked for the delivery meanwhile, so it is owed again.
    Again,
    Stale,
}

/// Removes a leased row.
pub(crate) fn settle(tx: &Tx<'_>, delivery: DeliveryRef, token: FenceToken) -> FaultResult<Fenced> {
    let sql = "DELETE FROM owed WHERE seq = ?1 AND endpoint = ?2 AND lease_token = ?3 \
         AND again_at IS NULL";
    let changed = tx.execute(sql, params![delivery.seq.0, delivery.endpoint.0, token.0])?;
    done_or_again(tx, changed, delivery, token)
}

/// A row that was removed.
pub(crate) struct Removed {
    /// The record it was about.
    pub(crate) record: Option<i64>,
}

/// Removes a row, unless it is leased.
pub(crate) fn remove(tx: &Tx<'_>, delivery: DeliveryRef) -> FaultResult<Option<Removed>> {
    let sql = "DELETE FROM owed WHERE seq = ?1 AND endpoint = ?2 AND lease_token IS NULL \
         RETURNING record";
    Ok(tx
        .prepare(sql)?
        .query_row(params![delivery.seq.0, delivery.endpoint.0], |row| {
            Ok(Removed {
                record: row.get(0)?,
            })
        })
        .optional()?)
}

/// Removes the first row of a record, unless it is leased; returns whether it did.
pub(crate) fn remove_head(
    tx: &Tx<'_>,
    delivery: DeliveryRef,
    record: Option<i64>,
) -> FaultResult<bool> {
    let sql = "DELETE FROM owed WHERE seq = ?1 AND endpoint = ?2 AND record = ?3 \
         AND lease_token IS NULL AND NOT EXISTS (SELECT 1 FROM owed earlier \
         WHERE earlier.endpoint = ?2 AND earlier.record = ?3 AND earlier.seq < ?1)";
    let removed = tx.execute(sql, params![delivery.seq.0, delivery.endpoint.0, record])?;
    Ok(removed > 0)
}

/// Ends a lease: the next attempt is due at `due_at`.
pub(crate) fn retry(
    tx: &Tx<'_>,
    delivery: DeliveryRef,
    token: FenceToken,
    due_at: Timestamp,
    series: Series,
) -> FaultResult<Fenced> {
    let sql = "UPDATE owed SET due_at = ?4, reason = ?5, trigger = ?6, attempts = ?7, stale = ?8, \
         lease_node = NULL, lease_until = NULL, lease_token = NULL \
         WHERE seq = ?1 AND endpoint = ?2 AND lease_token = ?3 AND again_at IS NULL";
    let changed = tx.execute(
        sql,
        params![
            delivery.seq.0,
            delivery.endpoint.0,
            token.0,
            due_at.unix_micros(),
            OwedReason::Retry.code(),
            series.trigger.code(),
            series.attempts,
            series.stale,
        ],
    )?;
    done_or_again(tx, changed, delivery, token)
}

/// Ends a lease without an attempt: due at `due_at`, or parked.
pub(crate) fn give_back(
    tx: &Tx<'_>,
    delivery: DeliveryRef,
    token: FenceToken,
    due_at: Option<Timestamp>,
) -> FaultResult<Fenced> {
    let sql = "UPDATE owed SET due_at = ?4, reason = iif(?4 IS NULL, ?5, reason), \
         lease_node = NULL, lease_until = NULL, lease_token = NULL \
         WHERE seq = ?1 AND endpoint = ?2 AND lease_token = ?3 AND again_at IS NULL";
    let changed = tx.execute(
        sql,
        params![
            delivery.seq.0,
            delivery.endpoint.0,
            token.0,
            due_at.map(Timestamp::unix_micros),
            OwedReason::Turn.code(),
        ],
    )?;
    done_or_again(tx, changed, delivery, token)
}

/// Nothing changed if the token is another one by now, or if a person asked for the delivery while
/// it was leased; the latter starts its new series.
fn done_or_again(
    tx: &Tx<'_>,
    changed: usize,
    delivery: DeliveryRef,
    token: FenceToken,
) -> FaultResult<Fenced> {
    if changed > 0 {
        return Ok(Fenced::Done);
    }
    let sql = "UPDATE owed SET due_at = again_at, again_at = NULL, reason = ?4, trigger = ?5, \
         attempts = 0, stale = 0, once = 0, lease_node = NULL, lease_until = NULL, lease_token = NULL \
         WHERE seq = ?1 AND endpoint = ?2 AND lease_token = ?3 AND again_at IS NOT NULL";
    let changed = tx.execute(
        sql,
        params![
            delivery.seq.0,
            delivery.endpoint.0,
            token.0,
            OwedReason::Requested.code(),
            Trigger::Manual.code(),
        ],
    )?;
    Ok(if changed > 0 {
        Fenced::Again
    } else {
        Fenced::Stale
    })
}
