//! One step of a task: its deliveries and its new place, together.

use rusqlite::{OptionalExtension, params};
use watchfire_domain::attempt::{AfterAttempt, Attempt};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{StateCells, Tally, count_cell};
use watchfire_store::{
    Advanced, AttemptRecord, DeliveryRef, Life, NewOwed, Seq, Task, TaskStep, TaskWrite,
};

use super::candidates::standing_of;
use crate::attempt;
use crate::fault::FaultResult;
use crate::history::remove_payload;
use crate::ledger::write_tally;
use crate::message;
use crate::nodes;
use crate::owed::{self, Put, Removed};
use crate::shards;
use crate::writer::Tx;

pub(super) fn carry_out(
    tx: &mut Tx<'_>,
    life: &Life,
    now: Timestamp,
    step: &TaskStep,
) -> FaultResult<Advanced> {
    let node = nodes::key_of(tx.connection(), life)?;
    if !stands_as_read(tx, &step.task)? {
        return Ok(Advanced::Stale);
    }
    let mut doing = Doing {
        tx,
        node,
        now,
        task: &step.task,
        tally: Tally::default(),
    };
    let mut done = 0;
    for write in &step.writes {
        done += usize::from(doing.write(write)?);
    }
    let tally = doing.tally;
    write_tally(tx, tally)?;
    done += write_report(tx, step)?;
    move_on(tx, now, step, done)?;
    Ok(Advanced::Done(done))
}

fn stands_as_read(tx: &Tx<'_>, task: &Task) -> FaultResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM task \
         WHERE id = ?1 AND state = 0 AND cursor IS ?2 AND looked = ?3)";
    let id = task.id.ksuid();
    let place = params![
        id.as_bytes(),
        bytes_of(task.progress.cursor),
        count_cell(task.progress.looked),
    ];
    Ok(tx.prepare(sql)?.query_row(place, |row| row.get(0))?)
}

/// Returns the number of items. A part's number is the place it begins at.
fn write_report(tx: &Tx<'_>, step: &TaskStep) -> FaultResult<usize> {
    let Some(part) = &step.report else {
        return Ok(0);
    };
    let sql = "INSERT INTO task_report (task, part, text) VALUES (?1, ?2, ?3)";
    let (id, place) = (step.task.id.ksuid(), step.task.progress.looked);
    tx.execute(sql, params![id.as_bytes(), count_cell(place), part.text])?;
    Ok(usize::try_from(part.items).unwrap_or(usize::MAX))
}

fn move_on(tx: &Tx<'_>, now: Timestamp, step: &TaskStep, done: usize) -> FaultResult<()> {
    let sql = "UPDATE task SET cursor = ?2, looked = looked + ?3, done = done + ?4, state = ?5, \
         failure = ?6, updated_at = ?7 WHERE id = ?1";
    let StateCells { state, failure } = step.state.into();
    tx.execute(
        sql,
        params![
            step.task.id.ksuid().as_bytes(),
            bytes_of(step.cursor),
            count_cell(step.looked),
            i64::try_from(done).unwrap_or(i64::MAX),
            state,
            failure,
            now.unix_micros(),
        ],
    )?;
    Ok(())
}

fn bytes_of(id: Option<Ksuid>) -> Option<[u8; 20]> {
    id.map(|id| *id.as_bytes())
}

struct Doing<'t, 'c> {
    tx: &'t mut Tx<'c>,
    /// The life that writes.
    node: i64,
    now: Timestamp,
    task: &'t Task,
    tally: Tally,
}

impl Doing<'_, '_> {
    /// Whether the write was done.
    fn write(&mut self, write: &TaskWrite) -> FaultResult<bool> {
        match write {
            TaskWrite::Send(owed) => self.send(owed),
            TaskWrite::Cancel { delivery, attempt } => self.cancel(*delivery, attempt),
            TaskWrite::Expunge(seq) => self.expunge(*seq),
        }
    }

    /// Looks again: since the step was planned, somebody may have asked for the delivery, and it
    /// may even have been made.
    fn send(&mut self, owed: &NewOwed) -> FaultResult<bool> {
        let DeliveryRef { app, endpoint, seq } = owed.delivery;
        let sql = "SELECT id, payload IS NOT NULL FROM message WHERE seq = ?1 AND app = ?2";
        let found: Option<([u8; 20], bool)> = self
            .tx
            .prepare(sql)?
            .query_row(params![seq.0, app.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, true)) = found else {
            return Ok(false);
        };
        let id = MessageId::from_ksuid(Ksuid::from_bytes(id));
        let standing = standing_of(self.tx.connection(), endpoint, id, seq)?;
        if !standing.is_wanted(self.task) || owed::put(self.tx, owed, self.now)? != Put::Inserted {
            return Ok(false);
        }
        self.tally.owed(endpoint, 1);
        shards::tell_holder(self.tx, self.node, owed.delivery)?;
        Ok(true)
    }

    fn expunge(&mut self, seq: Seq) -> FaultResult<bool> {
        let stored = message::at(self.tx.connection(), seq)?;
        let own = stored.filter(|stored| Some(stored.app) == self.task.app());
        let Some(stored) = own.filter(|stored| stored.message.payload.is_some()) else {
            return Ok(false);
        };
        remove_payload(self.tx, seq, &stored.message.details)?;
        Ok(true)
    }

    fn cancel(&mut self, delivery: DeliveryRef, attempt: &Attempt) -> FaultResult<bool> {
        let AfterAttempt::Settled { .. } = attempt.next else {
            debug_assert!(false, "a cancelled delivery is settled");
            return Ok(false);
        };
        let Some(Removed { record }) = owed::remove(self.tx, delivery)? else {
            return Ok(false);
        };
        let final_attempt = AttemptRecord {
            record,
            ..AttemptRecord::by_hand(delivery, attempt.clone())
        };
        // Retention keeps a message while it is owed.
        if let Some(message) = message::id_at(self.tx.connection(), delivery.app, delivery.seq)? {
            attempt::insert(self.tx, &final_attempt, message)?;
        }
        let endpoint = delivery.endpoint;
        self.tally.attempted(delivery, attempt, None);
        self.tally.owed(endpoint, -1);
        if let Some(record) = record {
            owed::wake_next(self.tx, endpoint, record, self.now)?;
            shards::tell_holder(self.tx, self.node, delivery)?;
        }
        Ok(true)
    }
}
