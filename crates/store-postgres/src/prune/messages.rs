//! Messages with all about them: those of deleted applications, and old ones that are settled.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Tally;
use watchfire_store::{EndpointKey, Seq, StoredMessage};

use super::{LOOKS_PER_ROW, Run, WALK_AGAIN, messages_after};
use crate::fault::FaultResult;
use crate::ledger::{Writer, subtract, write_tally};
use crate::message::numbers;
use crate::nodes::{counter, set_counter};
use crate::owed::lock_endpoints;
use crate::parameter::params;
use crate::partition::Day;
use crate::row::{Columns, at_most};
use crate::session::Tx;

/// How far some messages were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// All of them.
    Whole,
    /// All before this one, and part of it.
    UpTo(Seq),
}

impl Run {
    /// All that a deleted application had, at once: nobody can see it any more.
    pub(super) async fn deleted_applications(&mut self, tx: &Tx) -> FaultResult<()> {
        while self.left > 0 {
            // Applications whose messages are gone are passed over on the index of messages.
            let sql = "SELECT m.seq FROM application a CROSS JOIN LATERAL \
                 (SELECT seq FROM message WHERE app = a.key LIMIT $1) m \
                 WHERE a.deleted_at IS NOT NULL LIMIT $1";
            let rows = tx.query(sql, params![at_most(self.left)]).await?;
            let seqs = rows
                .iter()
                .map(|row| Columns::of(row, "message").get("seq").map(Seq));
            let seqs: BTreeSet<Seq> = seqs.collect::<FaultResult<_>>()?;
            if seqs.is_empty() {
                break;
            }
            self.remove(tx, seqs.into_iter().collect()).await?;
        }
        Ok(())
    }

    pub(super) async fn old_messages(&mut self, tx: &Tx) -> FaultResult<()> {
        if self.left == 0 {
            return Ok(());
        }
        let after = self.walk_from(tx).await?;
        let looks = self.left.saturating_mul(LOOKS_PER_ROW);
        let mut old = messages_after(tx, Seq(after), looks).await?;
        let whole_stretch = old.len() == looks;
        // The day that is not over its time as a whole is dropped as a whole later.
        let cutoff = Day::of(self.message_cutoff());
        let young = old
            .iter()
            .position(|stored| Day::of_place(stored.seq) >= cutoff);
        old.truncate(young.unwrap_or(old.len()));
        let reached = old.last().map_or(after, |stored| stored.seq.0);
        old.retain(|stored| !self.own.contains_key(&stored.app));
        let finished = finished(tx, &old).await?;
        // Where the next run goes on, if this one ends early.
        let mut next = match self.remove(tx, finished).await? {
            Removed::UpTo(seq) => seq.0 - 1,
            Removed::Whole if whole_stretch && young.is_none() => reached,
            Removed::Whole => 0,
        };
        self.more |= next != 0;
        if next == 0 && !self.own.is_empty() {
            next = reached;
        }
        set_counter(tx, "messages_pruned_to", next).await
    }

    /// Where the walk over messages goes on.
    async fn walk_from(&self, tx: &Tx) -> FaultResult<i64> {
        let began = Timestamp::from_unix_micros(counter(tx, "messages_walk_began").await?);
        if self.own.is_empty() || began + WALK_AGAIN > self.order.now {
            return counter(tx, "messages_pruned_to").await;
        }
        set_counter(tx, "messages_walk_began", self.order.now.unix_micros()).await?;
        Ok(0)
    }

    /// Removes messages and all about them, as far as rows may go. The last one may lose only part
    /// of its attempts; it then no longer counts as having gone anywhere: without its final
    /// attempts it would look as if it were still to be delivered.
    pub(super) async fn remove(&mut self, tx: &Tx, seqs: Vec<Seq>) -> FaultResult<Removed> {
        if seqs.is_empty() {
            return Ok(Removed::Whole);
        }
        let rows = attempts_of(tx, &seqs).await?;
        let mut whole = Vec::new();
        let mut part = None;
        for seq in seqs {
            let attempts = rows.get(&seq).copied().unwrap_or(0);
            if attempts >= self.left {
                part = Some(seq);
                break;
            }
            self.used(attempts + 1);
            whole.push(seq);
        }
        self.remove_whole(tx, &whole).await?;
        let Some(seq) = part else {
            return Ok(Removed::Whole);
        };
        if self.left > 0 {
            remove_part(tx, seq, self.left).await?;
            self.left = 0;
        }
        Ok(Removed::UpTo(seq))
    }

    async fn remove_whole(&mut self, tx: &Tx, seqs: &[Seq]) -> FaultResult<()> {
        if seqs.is_empty() {
            return Ok(());
        }
        let places = numbers(seqs);
        self.remove_owed(tx, &places).await?;
        for sql in [
            "DELETE FROM attempt WHERE seq = ANY($1)",
            "DELETE FROM event_id WHERE seq = ANY($1)",
            "DELETE FROM message WHERE seq = ANY($1)",
        ] {
            tx.execute(sql, params![places]).await?;
        }
        Ok(())
    }

    /// Only a deleted application's messages are still owed.
    async fn remove_owed(&mut self, tx: &Tx, seqs: &[i64]) -> FaultResult<()> {
        let sql = "SELECT DISTINCT endpoint FROM owed WHERE seq = ANY($1)";
        let rows = tx.query(sql, params![seqs.to_vec()]).await?;
        let endpoints = rows
            .iter()
            .map(|row| Columns::of(row, "owed").get("endpoint").map(EndpointKey));
        let endpoints: BTreeSet<EndpointKey> = endpoints.collect::<FaultResult<_>>()?;
        if endpoints.is_empty() {
            return Ok(());
        }
        lock_endpoints(tx, &endpoints).await?;
        let sql = "DELETE FROM owed WHERE seq = ANY($1) RETURNING endpoint";
        let rows = tx.query(sql, params![seqs.to_vec()]).await?;
        let mut tally = Tally::default();
        for row in &rows {
            tally.owed(EndpointKey(Columns::of(row, "owed").get("endpoint")?), -1);
        }
        self.used(rows.len());
        write_tally(tx, (0, Writer::Task), tally).await
    }
}

/// Those of some messages whose deliveries are all settled. They are locked, and looked at only
/// then: what becomes owed meanwhile holds on to its message.
pub(super) async fn finished(tx: &Tx, messages: &[StoredMessage]) -> FaultResult<Vec<Seq>> {
    let seqs: Vec<Seq> = messages.iter().map(|stored| stored.seq).collect();
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let lock = "SELECT 1 FROM message WHERE seq = ANY($1) ORDER BY seq FOR UPDATE";
    tx.query(lock, params![numbers(&seqs)]).await?;
    let matched = messages
        .iter()
        .map(|stored| (stored.seq, stored.matched.clone()));
    let mut open = matched.collect();
    subtract(tx, &mut open).await?;
    let mut open: HashSet<Seq> = open.into_iter().map(|(seq, _)| seq).collect();
    let sql = "SELECT DISTINCT seq FROM owed WHERE seq = ANY($1)";
    for row in &tx.query(sql, params![numbers(&seqs)]).await? {
        open.insert(Seq(Columns::of(row, "owed").get("seq")?));
    }
    Ok(seqs.into_iter().filter(|seq| !open.contains(seq)).collect())
}

/// How many attempts there are of some messages.
async fn attempts_of(tx: &Tx, seqs: &[Seq]) -> FaultResult<BTreeMap<Seq, usize>> {
    let sql = "SELECT seq, count(*) FROM attempt WHERE seq = ANY($1) GROUP BY seq";
    let rows = tx.query(sql, params![numbers(seqs)]).await?;
    let counts = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "attempt");
        let seq = Seq(columns.get("seq")?);
        Ok((seq, columns.number("count")?))
    });
    counts.collect()
}

async fn remove_part(tx: &Tx, seq: Seq, attempts: usize) -> FaultResult<()> {
    let sql = "DELETE FROM attempt WHERE seq = $1 AND id = ANY (ARRAY(\
         SELECT id FROM attempt WHERE seq = $1 LIMIT $2))";
    tx.execute(sql, params![seq.0, at_most(attempts)]).await?;
    let sql = "UPDATE message SET matched = '' WHERE seq = $1";
    tx.execute(sql, params![seq.0]).await?;
    Ok(())
}
