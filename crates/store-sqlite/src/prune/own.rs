//! Applications of organizations that have times of their own, walked by the ids of their messages,
//! whose order is that of acceptance but for milliseconds.

use rusqlite::{OptionalExtension, params};
use watchfire_domain::id::Ksuid;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, Retention, StoredMessage};

use super::{LOOKS_PER_ROW, Removed, Run, messages};
use crate::fault::FaultResult;
use crate::history::remove_payload;
use crate::ledger::is_finished;
use crate::message;
use crate::nodes::{counter, set_counter};
use crate::writer::Tx;

/// Applications looked at in one run.
const APPLICATIONS_PER_RUN: usize = 256;

/// Behind which ids there is something to do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Walk {
    payloads_to: Ksuid,
    messages_to: Ksuid,
}

impl Run {
    /// Learns whom not to treat like everybody. If that has changed, all walks begin anew.
    pub(super) fn find_own(&mut self, tx: &Tx<'_>) -> FaultResult<()> {
        let mark = self.order.retentions.mark();
        if counter(tx.connection(), "own_retention")? != mark {
            set_counter(tx, "own_retention", mark)?;
            set_counter(tx, "payloads_pruned_to", 0)?;
            set_counter(tx, "messages_pruned_to", 0)?;
            tx.execute("DELETE FROM retention_walk", [])?;
        }
        for (org, retention) in &self.order.retentions.own {
            let sql = "SELECT key FROM application WHERE org = ?1 AND deleted_at IS NULL";
            let mut statement = tx.prepare(sql)?;
            let mut rows = statement.query([org.as_str()])?;
            while let Some(row) = rows.next()? {
                self.own.insert(AppKey(row.get(0)?), *retention);
            }
        }
        Ok(())
    }

    pub(super) fn own_applications(&mut self, tx: &mut Tx<'_>) -> FaultResult<()> {
        let after = AppKey(counter(tx.connection(), "own_retention_at")?);
        let behind = self.own.iter().filter(|(app, _)| **app > after);
        let next: Vec<_> = behind
            .map(|(app, retention)| (*app, *retention))
            .take(APPLICATIONS_PER_RUN)
            .collect();
        let is_last = self.own.keys().next_back() == next.last().map(|(app, _)| app);
        let mut done = after.0;
        for (app, retention) in next {
            self.own_application(tx, app, retention)?;
            if self.left == 0 {
                // It may have more.
                self.more = true;
                return set_counter(tx, "own_retention_at", done);
            }
            done = app.0;
        }
        self.more |= !is_last && done != after.0;
        set_counter(tx, "own_retention_at", if is_last { 0 } else { done })
    }

    fn own_application(
        &mut self,
        tx: &mut Tx<'_>,
        app: AppKey,
        retention: Retention,
    ) -> FaultResult<()> {
        let was = walk_of(tx, app)?;
        let mut walk = was;
        let cutoff = self.order.now - retention.payloads;
        for stored in old_behind(tx, app, walk.payloads_to, (self.left, cutoff))? {
            remove_payload(tx, stored.seq, &stored.message.details)?;
            walk.payloads_to = stored.message.id.ksuid();
            self.used(1);
        }
        if self.left > 0 {
            let cutoff = self.order.now - retention.messages;
            walk.messages_to = self.own_messages(tx, app, walk.messages_to, cutoff)?;
        }
        if walk == was {
            return Ok(());
        }
        let sql = "INSERT INTO retention_walk (app, payloads_to, messages_to) VALUES (?1, ?2, ?3) \
             ON CONFLICT (app) DO UPDATE SET payloads_to = excluded.payloads_to, \
             messages_to = excluded.messages_to";
        let (payloads, messages) = (walk.payloads_to.as_bytes(), walk.messages_to.as_bytes());
        tx.execute(sql, params![app.0, payloads, messages])?;
        Ok(())
    }

    /// Removes an application's old messages that are settled, and says where to go on: at the
    /// beginning, unless it ends early.
    fn own_messages(
        &mut self,
        tx: &Tx<'_>,
        app: AppKey,
        behind: Ksuid,
        cutoff: Timestamp,
    ) -> FaultResult<Ksuid> {
        let looks = self.left.saturating_mul(LOOKS_PER_ROW);
        let old = old_behind(tx, app, behind, (looks, cutoff))?;
        let whole_stretch = old.len() == looks;
        let mut reached = behind;
        for stored in old {
            if self.left == 0 {
                return Ok(reached);
            }
            if is_finished(tx.connection(), stored.seq, &stored.matched)?
                && self.remove_message(tx, stored.seq)? == Removed::Part
            {
                return Ok(reached);
            }
            reached = stored.message.id.ksuid();
        }
        self.more |= whole_stretch;
        Ok(if whole_stretch { reached } else { Ksuid::MIN })
    }
}

fn walk_of(tx: &Tx<'_>, app: AppKey) -> FaultResult<Walk> {
    let sql = "SELECT payloads_to, messages_to FROM retention_walk WHERE app = ?1";
    let found = tx
        .prepare(sql)?
        .query_row([app.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (payloads_to, messages_to) = found.unwrap_or_default();
    Ok(Walk {
        payloads_to: Ksuid::from_bytes(payloads_to),
        messages_to: Ksuid::from_bytes(messages_to),
    })
}

/// The next so many messages of an application behind an id that are older than an instant.
fn old_behind(
    tx: &Tx<'_>,
    app: AppKey,
    behind: Ksuid,
    (limit, cutoff): (usize, Timestamp),
) -> FaultResult<Vec<StoredMessage>> {
    let sql = format!(
        "SELECT {} FROM message m WHERE m.app = ?1 AND m.id > ?2 ORDER BY m.id LIMIT ?3",
        message::COLUMNS_WITHOUT_PAYLOAD
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = messages(tx, &sql, params![app.0, behind.as_bytes(), limit])?;
    let is_young = |stored: &StoredMessage| stored.message.accepted_at > cutoff;
    let young = found.iter().position(is_young);
    found.truncate(young.unwrap_or(found.len()));
    Ok(found)
}
