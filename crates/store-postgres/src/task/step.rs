//! One step of a task: its deliveries and its new place, together.

use std::collections::{BTreeSet, HashMap, HashSet};

use watchfire_domain::attempt::{AfterAttempt, Attempt};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{StateCells, Tally, count_cell};
use watchfire_store::selection::TaskStanding;
use watchfire_store::{
    Advanced, AppKey, AttemptRecord, DeliveryRef, Life, NewOwed, Seq, Task, TaskStep, TaskWrite,
};

use super::candidates::standings;
use crate::attempt;
use crate::fault::FaultResult;
use crate::history::remove_payloads;
use crate::ledger::{Writer, write_tally};
use crate::message::{Content, Hold, at_places, bytes_of, ids_at};
use crate::nodes;
use crate::owed::{Book, Put, Removed, Wanted};
use crate::parameter::params;
use crate::row::{Columns, at_most, small};
use crate::session::Tx;
use crate::shards::Arrivals;

pub(super) async fn carry_out(
    tx: &Tx,
    life: &Life,
    now: Timestamp,
    step: &TaskStep,
) -> FaultResult<Advanced> {
    let node = nodes::hold(tx, life).await?;
    if !stands_as_read(tx, &step.task).await? {
        return Ok(Advanced::Stale);
    }
    let mut doing = Doing::open(tx, now, step).await?;
    let mut done = 0;
    for write in &step.writes {
        done += usize::from(doing.write(write));
    }
    doing.close(tx, node).await?;
    done += write_report(tx, step).await?;
    move_on(tx, now, step, done).await?;
    Ok(Advanced::Done(done))
}

/// Locks the task, so that nobody else carries out the same step.
async fn stands_as_read(tx: &Tx, task: &Task) -> FaultResult<bool> {
    let sql = "SELECT 1 FROM task WHERE id = $1 AND state = 0 AND cursor IS NOT DISTINCT FROM $2 \
         AND looked = $3 FOR NO KEY UPDATE";
    let parameters = params![
        bytes_of(task.id.ksuid()),
        cursor_cell(task.progress.cursor),
        count_cell(task.progress.looked),
    ];
    tx.exists(sql, parameters).await
}

/// Returns the number of items. A part's number is the place it begins at.
async fn write_report(tx: &Tx, step: &TaskStep) -> FaultResult<usize> {
    let Some(part) = &step.report else {
        return Ok(0);
    };
    let sql = "INSERT INTO task_report (task, part, text) VALUES ($1, $2, $3)";
    let (id, place) = (step.task.id.ksuid(), step.task.progress.looked);
    let parameters = params![bytes_of(id), count_cell(place), part.text.as_str()];
    tx.execute(sql, parameters).await?;
    Ok(usize::try_from(part.items).unwrap_or(usize::MAX))
}

async fn move_on(tx: &Tx, now: Timestamp, step: &TaskStep, done: usize) -> FaultResult<()> {
    let sql = "UPDATE task SET cursor = $2, looked = looked + $3, done = done + $4, state = $5, \
         failure = $6, updated_at = $7 WHERE id = $1";
    let StateCells { state, failure } = step.state.into();
    let parameters = params![
        bytes_of(step.task.id.ksuid()),
        cursor_cell(step.cursor),
        count_cell(step.looked),
        at_most(done),
        small(state),
        failure.map(small),
        now.unix_micros(),
    ];
    tx.execute(sql, parameters).await?;
    Ok(())
}

fn cursor_cell(id: Option<Ksuid>) -> Option<Vec<u8>> {
    id.map(bytes_of)
}

struct Doing<'s> {
    now: Timestamp,
    task: &'s Task,
    book: Book,
    messages: HashMap<(AppKey, Seq), MessageId>,
    with_payload: HashSet<Seq>,
    standings: HashMap<Seq, TaskStanding>,
    cancelled: Vec<(AttemptRecord, MessageId)>,
    expunged: Vec<Seq>,
    tally: Tally,
    arrivals: Arrivals,
}

impl<'s> Doing<'s> {
    /// Looks again: since the step was planned, somebody may have asked for a delivery, and it may
    /// even have been made.
    async fn open(tx: &Tx, now: Timestamp, step: &'s TaskStep) -> FaultResult<Self> {
        let mut wanted = Wanted::default();
        for write in &step.writes {
            let (delivery, record) = match write {
                TaskWrite::Send(owed) => (owed.delivery, owed.record),
                TaskWrite::Cancel { delivery, .. } => (*delivery, None),
                TaskWrite::Expunge(_) => continue,
            };
            wanted.delivery((delivery.endpoint, delivery.seq), record);
        }
        let mut book = Book::open(tx, &wanted).await?;
        book.learn_records(tx).await?;
        let seqs: BTreeSet<Seq> = step.writes.iter().map(TaskWrite::seq).collect();
        let seqs: Vec<Seq> = seqs.into_iter().collect();
        let numbers: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
        Ok(Self {
            now,
            task: &step.task,
            book,
            messages: ids_at(tx, numbers.clone(), Hold::Fast).await?,
            with_payload: with_payload(tx, numbers).await?,
            standings: match step.task.endpoint() {
                Some(endpoint) => standings(tx, endpoint, &seqs).await?,
                None => HashMap::new(),
            },
            cancelled: Vec::new(),
            expunged: Vec::new(),
            tally: Tally::default(),
            arrivals: Arrivals::default(),
        })
    }

    /// Whether the write was done.
    fn write(&mut self, write: &TaskWrite) -> bool {
        match write {
            TaskWrite::Send(owed) => self.send(owed),
            TaskWrite::Cancel { delivery, attempt } => self.cancel(*delivery, attempt),
            TaskWrite::Expunge(seq) => self.expunge(*seq),
        }
    }

    fn expunge(&mut self, seq: Seq) -> bool {
        let app = self.task.app();
        let is_own = app.is_some_and(|app| self.messages.contains_key(&(app, seq)));
        if is_own && self.with_payload.contains(&seq) {
            self.expunged.push(seq);
            return true;
        }
        false
    }

    fn send(&mut self, owed: &NewOwed) -> bool {
        let DeliveryRef { app, endpoint, seq } = owed.delivery;
        let message = self.messages.get(&(app, seq)).copied();
        let standing = self.standings.get(&seq);
        let wanted = standing.is_some_and(|standing| standing.is_wanted(self.task));
        if message.is_none() || !wanted || !self.with_payload.contains(&seq) {
            return false;
        }
        if self.book.put(owed, self.now, message) != Put::Inserted {
            return false;
        }
        self.tally.owed(endpoint, 1);
        self.arrivals.note(owed.delivery);
        true
    }

    fn cancel(&mut self, delivery: DeliveryRef, attempt: &Attempt) -> bool {
        let AfterAttempt::Settled { .. } = attempt.next else {
            debug_assert!(false, "a cancelled delivery is settled");
            return false;
        };
        let Some(Removed { record }) = self.book.remove(delivery) else {
            return false;
        };
        let endpoint = delivery.endpoint;
        // Retention keeps a message while it is owed.
        if let Some(message) = self.messages.get(&(delivery.app, delivery.seq)) {
            let final_attempt = AttemptRecord {
                record,
                ..AttemptRecord::by_hand(delivery, attempt.clone())
            };
            self.cancelled.push((final_attempt, *message));
        }
        self.tally.attempted(delivery, attempt, None);
        self.tally.owed(endpoint, -1);
        if let Some(record) = record {
            self.book.wake_next(endpoint, record, self.now);
            self.arrivals.note(delivery);
        }
        true
    }

    async fn close(self, tx: &Tx, node: i64) -> FaultResult<()> {
        self.book.close(tx).await?;
        let mut rows = attempt::NewRows::default();
        for (record, message) in &self.cancelled {
            rows.push(record, *message)?;
        }
        rows.insert(tx).await?;
        let expunged = at_places(tx, &self.expunged, Content::LeftOut).await?;
        let mut expunged: Vec<_> = expunged.into_values().collect();
        expunged.sort_unstable_by_key(|stored| stored.seq);
        remove_payloads(tx, &expunged).await?;
        self.arrivals.tell_holders(tx, node).await?;
        write_tally(tx, (node, Writer::Task), self.tally).await
    }
}

/// Those of the messages that have their payload.
async fn with_payload(tx: &Tx, seqs: Vec<i64>) -> FaultResult<HashSet<Seq>> {
    let sql = "SELECT seq FROM message WHERE seq = ANY($1) AND payload IS NOT NULL";
    let rows = tx.query(sql, params![seqs]).await?;
    let found = rows
        .iter()
        .map(|row| Columns::of(row, "message").get("seq").map(Seq));
    found.collect()
}
