//! Retention: removes what has outlived its time, a bounded number of rows per transaction.
//!
//! # Order
//!
//! Changes everybody knows of, expired answers and revocations, old tasks, deleted applications, payloads, finished
//! messages with their attempts, recipes, old roll-ups, notices and lines of the audit log,
//! endpoints that were deleted long ago. A run stops when its rows are used up; the next one goes
//! on.
//!
//! # Where it goes on
//!
//! Payloads and messages are walked by `seq`, whose order is that of acceptance but for
//! milliseconds. A counter remembers the place. Messages that are still owed are stepped over, and
//! looked at again when the walk starts anew.
//!
//!
//! An organization with times of its own is stepped over there; `own` walks its applications by the
//! ids of their messages. While there is one, the walk of messages begins anew once a day, since
//! what it steps over may be much.
//!
//! # Traces
//!
//! `secure_delete` overwrites what is deleted, `incremental_vacuum` gives pages back, and the
//! write-ahead log is emptied afterwards.

mod own;
mod recipes;

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Params, params};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{Tally, hour_of};
use watchfire_store::{
    AppKey, EndpointKey, PruneOrder, Pruned, Retention, Seq, StoreResult, StoredMessage,
};

use crate::activity;
use crate::configuration::prune_change_log;
use crate::fault::{Fault, FaultResult};
use crate::history::remove_payload;
use crate::ledger::{is_finished, write_tally};
use crate::message;
use crate::nodes::{counter, set_counter};
use crate::open::Sqlite;
use crate::writer::{Rows, Tx};

/// Free pages given back to the disk after a run.
const VACUUM_PAGES: usize = 256;
/// Free pages that are kept for what comes next: giving them back only to take them again costs.
const FREE_PAGES_KEPT: i64 = 1_024;
/// Age of a walk over messages at which it begins anew, if it steps over other organizations'.
const WALK_AGAIN: Duration = Duration::from_hours(24);
/// Rows looked at in one run, for each that may be removed: what is still owed is stepped over.
const LOOKS_PER_ROW: usize = 4;

pub(crate) async fn prune(store: &Sqlite, order: PruneOrder) -> StoreResult<Pruned> {
    let rows = Rows(order.rows_max);
    let work = move |tx: &mut Tx<'_>| Run::new(order).carry_out(tx);
    Ok(store.writer.run::<_, Fault, _>(rows, work).await?)
}

/// One run: what was ordered, and how many rows may still go.
struct Run {
    order: PruneOrder,
    /// Applications of organizations with times of their own.
    own: BTreeMap<AppKey, Retention>,
    left: usize,
    more: bool,
}

/// How much of a message was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removed {
    Whole,
    Part,
}

impl Run {
    fn new(order: PruneOrder) -> Self {
        Self {
            left: order.rows_max,
            order,
            own: BTreeMap::new(),
            more: false,
        }
    }

    fn carry_out(mut self, tx: &mut Tx<'_>) -> FaultResult<Pruned> {
        self.find_own(tx)?;
        self.change_log(tx)?;
        self.answers(tx)?;
        self.void_tokens(tx)?;
        self.ended_tasks(tx)?;
        self.deleted_applications(tx)?;
        self.recipes_of_deleted_applications(tx)?;
        self.expired_payloads(tx)?;
        self.old_payloads(tx)?;
        self.old_messages(tx)?;
        self.own_applications(tx)?;
        self.old_recipes(tx)?;
        self.old_minutes(tx)?;
        self.old_hours(tx)?;
        self.old_audit(tx)?;
        self.old_notices(tx)?;
        self.deleted_endpoints(tx)?;
        self.empty_applications(tx)?;
        let rows = self.order.rows_max - self.left;
        if rows > 0 {
            give_pages_back(tx)?;
            tx.scrub_log();
        }
        Ok(Pruned {
            rows,
            more: self.more || self.left == 0,
        })
    }

    fn limit(&self) -> i64 {
        i64::try_from(self.left).unwrap_or(i64::MAX)
    }

    fn used(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }

    fn message_cutoff(&self) -> Timestamp {
        self.order.now - self.order.retentions.default.messages
    }

    fn change_log(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        self.used(prune_change_log(tx, self.order.now, self.left)?);
        Ok(())
    }

    fn answers(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM idempotency WHERE key IN \
             (SELECT key FROM idempotency WHERE expires_at <= ?1 LIMIT ?2)";
        let now = self.order.now.unix_micros();
        self.used(tx.execute(sql, params![now, self.limit()])?);
        Ok(())
    }

    fn void_tokens(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM token_void WHERE (org, name, issued_until, void_from) IN \
             (SELECT org, name, issued_until, void_from FROM token_void \
             WHERE forget_at <= ?1 AND forget_at IS NOT NULL LIMIT ?2)";
        let now = self.order.now.unix_micros();
        self.used(tx.execute(sql, params![now, self.limit()])?);
        Ok(())
    }

    fn ended_tasks(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM task WHERE id IN \
             (SELECT id FROM task WHERE state <> 0 AND updated_at <= ?1 LIMIT ?2)";
        let cutoff = self.message_cutoff().unix_micros();
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        Ok(())
    }

    /// All that a deleted application had, at once: nobody can see it any more.
    fn deleted_applications(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        while self.left > 0 {
            // Applications whose messages are gone are passed over on the index of messages.
            let sql = "SELECT m.seq FROM application a INDEXED BY application_deleted \
                 CROSS JOIN message m ON m.app = a.key \
                 WHERE a.deleted_at IS NOT NULL LIMIT ?1";
            let mut statement = tx.prepare(sql)?;
            let places: rusqlite::Result<Vec<i64>> = statement
                .query_map([self.limit()], |row| row.get(0))?
                .collect();
            let places = places?;
            if places.is_empty() {
                break;
            }
            for seq in places {
                self.remove_message(tx, Seq(seq))?;
            }
        }
        Ok(())
    }

    fn expired_payloads(&mut self, tx: &mut Tx<'_>) -> FaultResult<()> {
        let sql = format!(
            "SELECT {} FROM message m WHERE m.expire_payload_at <= ?1 \
             AND m.expire_payload_at IS NOT NULL LIMIT ?2",
            message::COLUMNS_WITHOUT_PAYLOAD
        );
        let now = self.order.now.unix_micros();
        for stored in messages(tx, &sql, params![now, self.limit()])? {
            remove_payload(tx, stored.seq, &stored.message.details)?;
            self.used(1);
        }
        Ok(())
    }

    fn old_payloads(&mut self, tx: &mut Tx<'_>) -> FaultResult<()> {
        let cutoff = self.order.now - self.order.retentions.default.payloads;
        let after = counter(tx.connection(), "payloads_pruned_to")?;
        let mut last = after;
        let limit = self.left;
        let found = messages_after(tx, Seq(after), self.limit())?;
        let whole_stretch = found.len() == limit;
        let mut young = false;
        for stored in found {
            young = stored.message.accepted_at > cutoff;
            if young {
                break;
            }
            last = stored.seq.0;
            if self.own.contains_key(&stored.app) {
                continue;
            }
            remove_payload(tx, stored.seq, &stored.message.details)?;
            self.used(1);
        }
        self.more |= whole_stretch && !young && limit > 0;
        if last > after {
            set_counter(tx, "payloads_pruned_to", last)?;
        }
        Ok(())
    }

    fn old_messages(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let cutoff = self.message_cutoff();
        let after = self.walk_from(tx)?;
        let looks = self.left.saturating_mul(LOOKS_PER_ROW);
        let looks = i64::try_from(looks).unwrap_or(i64::MAX);
        // Where the next run goes on, if this one ends early.
        let mut next = 0;
        let mut looked = 0;
        let mut last = after;
        for stored in messages_after(tx, Seq(after), looks)? {
            if stored.message.accepted_at > cutoff {
                break;
            }
            if self.left == 0 {
                next = stored.seq.0 - 1;
                break;
            }
            looked += 1;
            last = stored.seq.0;
            if looked == looks {
                next = stored.seq.0;
            }
            if self.own.contains_key(&stored.app) {
                continue;
            }
            if is_finished(tx.connection(), stored.seq, &stored.matched)?
                && self.remove_message(tx, stored.seq)? == Removed::Part
            {
                next = stored.seq.0 - 1;
                break;
            }
        }
        self.more |= next != 0;
        if next == 0 && !self.own.is_empty() {
            next = last;
        }
        set_counter(tx, "messages_pruned_to", next)
    }

    /// Where the walk over messages goes on.
    fn walk_from(&self, tx: &Tx<'_>) -> FaultResult<i64> {
        let began = Timestamp::from_unix_micros(counter(tx.connection(), "messages_walk_began")?);
        if self.own.is_empty() || began + WALK_AGAIN > self.order.now {
            return counter(tx.connection(), "messages_pruned_to");
        }
        set_counter(tx, "messages_walk_began", self.order.now.unix_micros())?;
        Ok(0)
    }

    /// Removes a message and all about it; only part of its attempts if there are more than may
    /// go, and the rest the next time. It then no longer counts as having gone anywhere: without
    /// its final attempts it would look as if it were still to be delivered.
    fn remove_message(&mut self, tx: &Tx<'_>, seq: Seq) -> FaultResult<Removed> {
        let sql = "DELETE FROM attempt WHERE seq = ?1 AND id IN \
             (SELECT id FROM attempt WHERE seq = ?1 LIMIT ?2)";
        let attempts = tx.execute(sql, params![seq.0, self.limit()])?;
        self.used(attempts);
        if self.left == 0 {
            tx.execute("UPDATE message SET matched = x'' WHERE seq = ?1", [seq.0])?;
            return Ok(Removed::Part);
        }
        self.remove_owed(tx, seq)?;
        tx.execute("DELETE FROM message WHERE seq = ?1", [seq.0])?;
        self.used(1);
        Ok(Removed::Whole)
    }

    /// Only a deleted application's messages are still owed.
    fn remove_owed(&mut self, tx: &Tx<'_>, seq: Seq) -> FaultResult<()> {
        let mut statement = tx.prepare("DELETE FROM owed WHERE seq = ?1 RETURNING endpoint")?;
        let mut rows = statement.query([seq.0])?;
        let mut tally = Tally::default();
        let mut removed = 0;
        while let Some(row) = rows.next()? {
            tally.owed(EndpointKey(row.get(0)?), -1);
            removed += 1;
        }
        self.used(removed);
        write_tally(tx, tally)
    }

    /// They stay, as part of their hours; so nothing of it counts as removed.
    fn old_minutes(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let folded = activity::fold_minutes(tx, self.order.now, self.limit())?;
        self.more |= folded > 0 && folded == self.left;
        Ok(())
    }

    fn old_hours(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM endpoint_hour WHERE (endpoint, hour) IN \
             (SELECT endpoint, hour FROM endpoint_hour WHERE hour < ?1 LIMIT ?2)";
        let cutoff = hour_of(self.message_cutoff());
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        let sql = "DELETE FROM event_type_hour WHERE (app, hour, event_type) IN \
             (SELECT app, hour, event_type FROM event_type_hour WHERE hour < ?1 LIMIT ?2)";
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        let sql = "DELETE FROM activity_hour WHERE (owner, hour) IN \
             (SELECT owner, hour FROM activity_hour WHERE hour < ?1 LIMIT ?2)";
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        Ok(())
    }

    fn old_audit(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 LIMIT ?2)";
        let cutoff = (self.order.now - self.order.retentions.audit).unix_micros();
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        Ok(())
    }

    /// Lines of the inbox, read or not, that nothing was added to for so long.
    fn old_notices(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM notice WHERE key IN \
             (SELECT key FROM notice WHERE last_at < ?1 LIMIT ?2)";
        let cutoff = self.message_cutoff().unix_micros();
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        Ok(())
    }

    /// An endpoint's row outlives it as long as its attempts, which name it.
    fn deleted_endpoints(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM endpoint WHERE key IN (SELECT e.key FROM endpoint e \
             WHERE e.deleted_at <= ?1 AND e.deleted_at IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.endpoint = e.key) \
             AND NOT EXISTS (SELECT 1 FROM owed o WHERE o.endpoint = e.key) LIMIT ?2) \
             RETURNING key";
        let cutoff = self.message_cutoff().unix_micros();
        let mut statement = tx.prepare(sql)?;
        let keys: rusqlite::Result<Vec<i64>> = statement
            .query_map(params![cutoff, self.limit()], |row| row.get(0))?
            .collect();
        for key in keys? {
            tx.execute("DELETE FROM endpoint_owed WHERE endpoint = ?1", [key])?;
            tx.execute("DELETE FROM recipe WHERE endpoint = ?1", [key])?;
            self.used(1);
        }
        Ok(())
    }

    /// An application's row outlives it as long as a message that was on its way when it was
    /// deleted can still arrive.
    fn empty_applications(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let sql = "DELETE FROM application WHERE key IN (SELECT a.key FROM application a \
             WHERE a.deleted_at <= ?1 AND a.deleted_at IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM endpoint e WHERE e.app = a.key) \
             AND NOT EXISTS (SELECT 1 FROM message m WHERE m.app = a.key) LIMIT ?2)";
        let cutoff = self.message_cutoff().unix_micros();
        self.used(tx.execute(sql, params![cutoff, self.limit()])?);
        Ok(())
    }
}

fn messages_after(tx: &Tx<'_>, after: Seq, limit: i64) -> FaultResult<Vec<StoredMessage>> {
    let sql = format!(
        "SELECT {} FROM message m WHERE m.seq > ?1 ORDER BY m.seq LIMIT ?2",
        message::COLUMNS_WITHOUT_PAYLOAD
    );
    messages(tx, &sql, params![after.0, limit])
}

fn messages(tx: &Tx<'_>, sql: &str, params: impl Params) -> FaultResult<Vec<StoredMessage>> {
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(params)?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message::read(row)?);
    }
    Ok(messages)
}

fn give_pages_back(tx: &Tx<'_>) -> FaultResult<()> {
    let free: i64 = tx
        .prepare("PRAGMA freelist_count")?
        .query_row([], |row| row.get(0))?;
    if free <= FREE_PAGES_KEPT {
        return Ok(());
    }
    let mut vacuum = tx.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}
