//! Applications of organizations that have times of their own, walked by the ids of their messages,
//! whose order is that of acceptance but for milliseconds.

use watchfire_domain::id::Ksuid;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, Retention, StoredMessage};

use super::messages::{Removed, finished};
use super::{LOOKS_PER_ROW, Run, read_messages};
use crate::fault::FaultResult;
use crate::history::remove_payloads;
use crate::message::{self, bytes_of};
use crate::nodes::{counter, set_counter};
use crate::parameter::params;
use crate::partition::Day;
use crate::row::{Columns, at_most};
use crate::session::Tx;

/// Applications looked at in one run.
const APPLICATIONS_PER_RUN: usize = 256;

/// Behind which ids there is something to do.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Walk {
    payloads_to: Ksuid,
    messages_to: Ksuid,
}

/// Old messages of an application behind an id, and whether there are more.
struct Stretch {
    old: Vec<StoredMessage>,
    ends_early: bool,
}

impl Run {
    /// Learns whom not to treat like everybody. If that has changed, all walks begin anew.
    pub(super) async fn find_own(&mut self, tx: &Tx) -> FaultResult<()> {
        let mark = self.order.retentions.mark();
        if counter(tx, "own_retention").await? != mark {
            set_counter(tx, "own_retention", mark).await?;
            set_counter(tx, "payloads_pruned_to", 0).await?;
            set_counter(tx, "messages_pruned_to", 0).await?;
            tx.execute("DELETE FROM retention_walk", params![]).await?;
        }
        for (org, retention) in &self.order.retentions.own {
            let sql = "SELECT key FROM application WHERE org = $1 AND deleted_at IS NULL";
            for row in &tx.query(sql, params![org.as_str()]).await? {
                let app = AppKey(Columns::of(row, "application").get("key")?);
                self.own.insert(app, *retention);
            }
        }
        Ok(())
    }

    pub(super) async fn own_applications(&mut self, tx: &Tx) -> FaultResult<()> {
        let after = AppKey(counter(tx, "own_retention_at").await?);
        let behind = self.own.iter().filter(|(app, _)| **app > after);
        let next: Vec<_> = behind
            .map(|(app, retention)| (*app, *retention))
            .take(APPLICATIONS_PER_RUN)
            .collect();
        let is_last = self.own.keys().next_back() == next.last().map(|(app, _)| app);
        let mut done = after.0;
        for (app, retention) in next {
            self.own_application(tx, app, retention).await?;
            if self.left == 0 {
                // It may have more.
                self.more = true;
                return set_counter(tx, "own_retention_at", done).await;
            }
            done = app.0;
        }
        self.more |= !is_last && done != after.0;
        set_counter(tx, "own_retention_at", if is_last { 0 } else { done }).await
    }

    async fn own_application(
        &mut self,
        tx: &Tx,
        app: AppKey,
        retention: Retention,
    ) -> FaultResult<()> {
        let was = walk_of(tx, app).await?;
        let mut walk = was;
        let cutoff = self.order.now - retention.payloads;
        let is_old = |stored: &StoredMessage| stored.message.accepted_at <= cutoff;
        let stretch = old_behind(tx, (app, walk.payloads_to), self.left, is_old).await?;
        remove_payloads(tx, &stretch.old).await?;
        self.used(stretch.old.len());
        if let Some(last) = stretch.old.last() {
            walk.payloads_to = last.message.id.ksuid();
        }
        if self.left > 0 {
            let cutoff = self.order.now - retention.messages;
            let behind = (app, walk.messages_to);
            walk.messages_to = self.own_messages(tx, behind, cutoff).await?;
        }
        if walk == was {
            return Ok(());
        }
        let sql = "INSERT INTO retention_walk (app, payloads_to, messages_to) VALUES ($1, $2, $3) \
             ON CONFLICT (app) DO UPDATE SET payloads_to = excluded.payloads_to, \
             messages_to = excluded.messages_to";
        let (payloads, messages) = (bytes_of(walk.payloads_to), bytes_of(walk.messages_to));
        tx.execute(sql, params![app.0, payloads, messages]).await?;
        Ok(())
    }

    /// Removes an application's old messages that are settled, and says where to go on: at the
    /// beginning, unless it ends early. Like everybody's, they go by the day.
    async fn own_messages(
        &mut self,
        tx: &Tx,
        (app, behind): (AppKey, Ksuid),
        cutoff: Timestamp,
    ) -> FaultResult<Ksuid> {
        let cutoff = Day::of(cutoff);
        let is_old = |stored: &StoredMessage| Day::of_place(stored.seq) < cutoff;
        let looks = self.left.saturating_mul(LOOKS_PER_ROW);
        let stretch = old_behind(tx, (app, behind), looks, is_old).await?;
        let finished = finished(tx, &stretch.old).await?;
        let id_of_last = |walked: &[StoredMessage]| {
            let last = walked.last().map(|stored| stored.message.id.ksuid());
            last.unwrap_or(behind)
        };
        if let Removed::UpTo(seq) = self.remove(tx, finished).await? {
            let place = stretch.old.iter().position(|stored| stored.seq == seq);
            return Ok(id_of_last(&stretch.old[..place.unwrap_or(0)]));
        }
        self.more |= stretch.ends_early;
        Ok(if stretch.ends_early {
            id_of_last(&stretch.old)
        } else {
            Ksuid::MIN
        })
    }
}

async fn walk_of(tx: &Tx, app: AppKey) -> FaultResult<Walk> {
    let sql = "SELECT payloads_to, messages_to FROM retention_walk WHERE app = $1";
    let Some(row) = tx.first(sql, params![app.0]).await? else {
        return Ok(Walk {
            payloads_to: Ksuid::MIN,
            messages_to: Ksuid::MIN,
        });
    };
    let mut columns = Columns::of(&row, "retention_walk");
    Ok(Walk {
        payloads_to: columns.ksuid("payloads_to")?,
        messages_to: columns.ksuid("messages_to")?,
    })
}

/// The next so many messages of an application behind an id, as long as they are old.
async fn old_behind(
    tx: &Tx,
    (app, behind): (AppKey, Ksuid),
    limit: usize,
    is_old: impl Fn(&StoredMessage) -> bool,
) -> FaultResult<Stretch> {
    let sql = format!(
        "SELECT {} FROM message WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3",
        message::COLUMNS
    );
    let range = params![app.0, bytes_of(behind), at_most(limit)];
    let mut old = read_messages(tx, &sql, range).await?;
    let whole = old.len() == limit;
    let young = old.iter().position(|stored| !is_old(stored));
    old.truncate(young.unwrap_or(old.len()));
    Ok(Stretch {
        old,
        ends_early: whole && young.is_none(),
    })
}
