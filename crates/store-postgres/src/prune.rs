//! Retention: whole days are dropped; the rest goes a bounded number of rows per transaction.
//!
//! # Order
//!
//! Whole days first: nobody keeps what is in them any more. Then changes everybody knows of, expired
//! answers and revocations, old tasks, deleted applications, payloads, finished messages with their
//! attempts, event ids of dropped days, recipes, old roll-ups, notices and lines of the audit log,
//! endpoints that were deleted long ago. A run stops when its rows are used up; the next one goes on.
//!
//! # Days
//!
//! A day is dropped once all of it has outlived its time and is settled everywhere. A day that
//! holds something still owed, or that some organization keeps longer, loses its other messages row
//! by row. So messages go by the day, up to a day late: going by the second, each would be deleted
//! for itself before its day is dropped.
//!
//! Organizations with times of their own are stepped over there; `own` walks their applications by
//! the ids of their messages. While there is one, the walk of messages begins anew once a day, since
//! what it steps over may be much.
//!
//! # Where it goes on
//!
//! Payloads and messages are walked by `seq`, whose order is that of acceptance but for
//! milliseconds. A counter remembers the place. Messages that are still owed are stepped over, and
//! looked at again when the walk starts anew.

mod messages;
mod own;
mod recipes;

use std::collections::BTreeMap;
use std::time::Duration;

use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::hour_of;
use watchfire_store::{AppKey, PruneOrder, Pruned, Retention, Seq, StoredMessage};

use crate::activity;
use crate::configuration::prune_change_log;
use crate::fault::FaultResult;
use crate::history::remove_payloads;
use crate::message;
use crate::nodes::{counter, set_counter};
use crate::open::Postgres;
use crate::parameter::{Parameter, params};
use crate::partition::{Day, drop_day, is_finished};
use crate::row::{Columns, at_most};
use crate::session::{Mode, Tx, in_transaction};

pub(crate) async fn prune(store: &Postgres, order: PruneOrder) -> FaultResult<Pruned> {
    let dropped = drop_old_day(store, &order).await?;
    let left = order.rows_max.saturating_sub(dropped);
    let run = in_transaction!(
        store.ledger, Mode::Background, tx => Run::new(order.clone(), left).carry_out(&tx)
    );
    let pruned = run.await?;
    Ok(Pruned {
        rows: pruned.rows + dropped,
        more: pruned.more || dropped > 0,
    })
}

/// Drops the oldest day that has outlived its time and is settled, if there is one; the number of
/// days dropped. If others use the tables just now, it stays until the next run.
async fn drop_old_day(store: &Postgres, order: &PruneOrder) -> FaultResult<usize> {
    let cutoff = Day::of(order.now - order.retentions.longest());
    let found = in_transaction!(store.ledger, Mode::Read, tx => old_day(&tx, cutoff)).await?;
    let Some(day) = found else {
        return Ok(0);
    };
    let dropped = in_transaction!(store.ledger, Mode::Background, tx => drop_day(&tx, day)).await;
    match dropped {
        Ok(dropped) => {
            store.days.forget();
            Ok(usize::from(dropped))
        }
        Err(fault) if fault.is_locked_out() => Ok(0),
        Err(fault) => Err(fault),
    }
}

async fn old_day(tx: &Tx, cutoff: Day) -> FaultResult<Option<Day>> {
    let sql = "SELECT day FROM day WHERE day < $1 ORDER BY day LIMIT $2";
    let rows = tx.query(sql, params![cutoff.0, DAYS_LOOKED_AT]).await?;
    for row in &rows {
        let day = Day(Columns::of(row, "day").get("day")?);
        if is_finished(tx, day).await? {
            return Ok(Some(day));
        }
    }
    Ok(None)
}

/// Days looked at in one run: those that hold something owed are few.
const DAYS_LOOKED_AT: i64 = 32;
/// Age of a walk over messages at which it begins anew, if it steps over other organizations'.
const WALK_AGAIN: Duration = Duration::from_hours(24);
/// Rows looked at in one run, for each that may be removed: what is still owed is stepped over.
const LOOKS_PER_ROW: usize = 4;

/// One run: what was ordered, and how many rows may still go.
struct Run {
    order: PruneOrder,
    /// Applications of organizations with times of their own.
    own: BTreeMap<AppKey, Retention>,
    rows_max: usize,
    left: usize,
    more: bool,
}

impl Run {
    fn new(order: PruneOrder, left: usize) -> Self {
        Self {
            order,
            own: BTreeMap::new(),
            rows_max: left,
            left,
            more: false,
        }
    }

    async fn carry_out(mut self, tx: &Tx) -> FaultResult<Pruned> {
        self.find_own(tx).await?;
        self.change_log(tx).await?;
        self.answers(tx).await?;
        self.void_tokens(tx).await?;
        self.ended_tasks(tx).await?;
        self.deleted_applications(tx).await?;
        self.recipes_of_deleted_applications(tx).await?;
        self.expired_payloads(tx).await?;
        self.old_payloads(tx).await?;
        self.old_messages(tx).await?;
        self.own_applications(tx).await?;
        self.event_ids_of_dropped_days(tx).await?;
        self.old_recipes(tx).await?;
        self.old_minutes(tx).await?;
        self.old_hours(tx).await?;
        self.old_audit(tx).await?;
        self.old_notices(tx).await?;
        self.deleted_endpoints(tx).await?;
        self.empty_applications(tx).await?;
        Ok(Pruned {
            rows: self.rows_max - self.left,
            more: self.more || self.left == 0,
        })
    }

    fn used(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows);
    }

    fn message_cutoff(&self) -> Timestamp {
        self.order.now - self.order.retentions.default.messages
    }

    /// Deletes rows of `$2` at most by a statement that begins with a moment.
    async fn delete(&mut self, tx: &Tx, sql: &str, before: i64) -> FaultResult<()> {
        if self.left > 0 {
            let rows = tx.execute(sql, params![before, at_most(self.left)]).await?;
            self.used(rows);
        }
        Ok(())
    }

    async fn change_log(&mut self, tx: &Tx) -> FaultResult<()> {
        self.used(prune_change_log(tx, self.order.now, self.left).await?);
        Ok(())
    }

    async fn answers(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM idempotency WHERE key = ANY (ARRAY(\
             SELECT key FROM idempotency WHERE expires_at <= $1 LIMIT $2)) \
             AND expires_at <= $1";
        self.delete(tx, sql, self.order.now.unix_micros()).await
    }

    async fn void_tokens(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM token_void WHERE (org, name, issued_until, void_from) IN (\
             SELECT org, name, issued_until, void_from FROM token_void \
             WHERE forget_at <= $1 AND forget_at IS NOT NULL LIMIT $2)";
        self.delete(tx, sql, self.order.now.unix_micros()).await
    }

    async fn ended_tasks(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM task WHERE id = ANY (ARRAY(\
             SELECT id FROM task WHERE state <> 0 AND updated_at <= $1 LIMIT $2))";
        self.delete(tx, sql, self.message_cutoff().unix_micros())
            .await
    }

    async fn expired_payloads(&mut self, tx: &Tx) -> FaultResult<()> {
        if self.left == 0 {
            return Ok(());
        }
        let sql = format!(
            "SELECT {} FROM message WHERE expire_payload_at <= $1 \
             AND expire_payload_at IS NOT NULL LIMIT $2",
            message::COLUMNS
        );
        let now = self.order.now.unix_micros();
        let expired = read_messages(tx, &sql, params![now, at_most(self.left)]).await?;
        remove_payloads(tx, &expired).await?;
        self.used(expired.len());
        Ok(())
    }

    async fn old_payloads(&mut self, tx: &Tx) -> FaultResult<()> {
        let cutoff = self.order.now - self.order.retentions.default.payloads;
        let after = counter(tx, "payloads_pruned_to").await?;
        let mut old = messages_after(tx, Seq(after), self.left).await?;
        let whole_stretch = self.left > 0 && old.len() == self.left;
        let young = old
            .iter()
            .position(|stored| stored.message.accepted_at > cutoff);
        old.truncate(young.unwrap_or(old.len()));
        if let Some(last) = old.last() {
            set_counter(tx, "payloads_pruned_to", last.seq.0).await?;
        }
        old.retain(|stored| !self.own.contains_key(&stored.app));
        remove_payloads(tx, &old).await?;
        self.used(old.len());
        self.more |= whole_stretch && young.is_none();
        Ok(())
    }

    /// What is left of dropped days among the event ids.
    async fn event_ids_of_dropped_days(&mut self, tx: &Tx) -> FaultResult<()> {
        let row = tx.first("SELECT min(day) FROM day", params![]).await?;
        let first: Option<i64> = row.map_or(Ok(None), |row| Columns::of(&row, "day").get("min"))?;
        let before = first.map_or(i64::MAX, |day| Day(day).first_place());
        let sql = "DELETE FROM event_id WHERE (app, event_id) IN (\
             SELECT app, event_id FROM event_id WHERE seq < $1 LIMIT $2)";
        self.delete(tx, sql, before).await
    }

    async fn old_hours(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM endpoint_hour WHERE (endpoint, hour) IN (\
             SELECT endpoint, hour FROM endpoint_hour WHERE hour < $1 LIMIT $2)";
        let cutoff = hour_of(self.message_cutoff());
        self.delete(tx, sql, cutoff).await?;
        let sql = "DELETE FROM event_type_hour WHERE (app, hour, event_type, part) IN (\
             SELECT app, hour, event_type, part FROM event_type_hour WHERE hour < $1 LIMIT $2)";
        self.delete(tx, sql, cutoff).await?;
        let sql = "DELETE FROM activity_hour WHERE (owner, hour) IN (\
             SELECT owner, hour FROM activity_hour WHERE hour < $1 LIMIT $2)";
        self.delete(tx, sql, cutoff).await
    }

    /// They stay, as part of their hours; so nothing of it counts as removed.
    async fn old_minutes(&mut self, tx: &Tx) -> FaultResult<()> {
        let folded = activity::fold_minutes(tx, self.order.now, self.left).await?;
        self.more |= folded > 0 && folded == self.left;
        Ok(())
    }

    async fn old_audit(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM audit WHERE id = ANY (ARRAY(\
             SELECT id FROM audit WHERE at < $1 LIMIT $2))";
        let cutoff = self.order.now - self.order.retentions.audit;
        self.delete(tx, sql, cutoff.unix_micros()).await
    }

    /// Lines of the inbox, read or not, that nothing was added to for so long.
    async fn old_notices(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM notice WHERE key = ANY (ARRAY(\
             SELECT key FROM notice WHERE last_at < $1 LIMIT $2))";
        self.delete(tx, sql, self.message_cutoff().unix_micros())
            .await
    }

    /// An endpoint's row outlives it as long as its attempts, which name it.
    async fn deleted_endpoints(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "WITH gone AS (DELETE FROM endpoint WHERE key = ANY (ARRAY(\
             SELECT e.key FROM endpoint e \
             WHERE e.deleted_at <= $1 AND e.deleted_at IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.endpoint = e.key) \
             AND NOT EXISTS (SELECT 1 FROM owed o WHERE o.endpoint = e.key) LIMIT $2)) \
             RETURNING key), \
             recipes AS (DELETE FROM recipe WHERE endpoint IN (SELECT key FROM gone)) \
             DELETE FROM endpoint_owed WHERE endpoint IN (SELECT key FROM gone)";
        self.delete(tx, sql, self.message_cutoff().unix_micros())
            .await
    }

    /// An application's row outlives it as long as a message that was on its way when it was
    /// deleted can still arrive.
    async fn empty_applications(&mut self, tx: &Tx) -> FaultResult<()> {
        let sql = "DELETE FROM application WHERE key = ANY (ARRAY(\
             SELECT a.key FROM application a \
             WHERE a.deleted_at <= $1 AND a.deleted_at IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM endpoint e WHERE e.app = a.key) \
             AND NOT EXISTS (SELECT 1 FROM message m WHERE m.app = a.key) LIMIT $2))";
        self.delete(tx, sql, self.message_cutoff().unix_micros())
            .await
    }
}

async fn messages_after(tx: &Tx, after: Seq, limit: usize) -> FaultResult<Vec<StoredMessage>> {
    let sql = format!(
        "SELECT {} FROM message WHERE seq > $1 ORDER BY seq LIMIT $2",
        message::COLUMNS
    );
    read_messages(tx, &sql, params![after.0, at_most(limit)]).await
}

async fn read_messages(
    tx: &Tx,
    sql: &str,
    parameters: &[&dyn Parameter],
) -> FaultResult<Vec<StoredMessage>> {
    let rows = tx.query(sql, parameters).await?;
    rows.iter().map(message::read).collect()
}
