//! Records attempts and what follows from them.

use watchfire_domain::attempt::AfterAttempt;
use watchfire_domain::id::MessageId;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Tally;
use watchfire_store::{
    AppKey, AttemptRecord, DeliveryRef, FenceToken, HealthChange, Life, NewOwed, OwedReason,
    Recorded, Seq, Standing, Write,
};

use super::write_tally;
use crate::attempt::{self, Inserted};
use crate::configuration;
use crate::fault::FaultResult;
use crate::message;
use crate::nodes;
use crate::notices;
use crate::owed::{self, Fenced, Put, Removed};
use crate::shards;
use crate::writer::Tx;

pub(super) fn record(
    tx: &Tx<'_>,
    life: &Life,
    now: Timestamp,
    batch: &[Write],
) -> FaultResult<Vec<Recorded>> {
    let mut recording = Recording {
        tx,
        node: nodes::key_of(tx.connection(), life)?,
        now,
        tally: Tally::default(),
        last: None,
    };
    let recorded: FaultResult<Vec<_>> = batch.iter().map(|write| recording.write(write)).collect();
    let recorded = recorded?;
    write_tally(tx, recording.tally)?;
    Ok(recorded)
}

struct Recording<'t, 'c> {
    tx: &'t Tx<'c>,
    /// The life that writes.
    node: i64,
    now: Timestamp,
    tally: Tally,
    /// The message looked up last.
    last: Option<((AppKey, Seq), MessageId)>,
}

impl Recording<'_, '_> {
    fn write(&mut self, write: &Write) -> FaultResult<Recorded> {
        match write {
            Write::Attempt(record) => self.attempt(record),
            Write::Spill(owed) => self.spill(owed),
            Write::Return {
                delivery,
                token,
                due_at,
            } => Ok(recorded(owed::give_back(
                self.tx, *delivery, *token, *due_at,
            )?)),
            Write::SkipHead(skip) => self.skip_head(skip),
            Write::Cancel(cancelled) => self.cancel(cancelled),
        }
    }

    fn skip_head(&mut self, skipped: &AttemptRecord) -> FaultResult<Recorded> {
        let delivery = skipped.delivery;
        let Some(message) = self.message(delivery)? else {
            return Ok(Recorded::Stale);
        };
        if !owed::remove_head(self.tx, delivery, skipped.record)? {
            return Ok(Recorded::Stale);
        }
        self.settle_by_hand(skipped, message)
    }

    fn cancel(&mut self, cancelled: &AttemptRecord) -> FaultResult<Recorded> {
        let delivery = cancelled.delivery;
        let Some(message) = self.message(delivery)? else {
            return Ok(Recorded::Stale);
        };
        let Some(Removed { record }) = owed::remove(self.tx, delivery)? else {
            return Ok(Recorded::Stale);
        };
        let cancelled = AttemptRecord {
            record,
            ..cancelled.clone()
        };
        self.settle_by_hand(&cancelled, message)
    }

    /// What follows when a person took a delivery out of `owed`.
    fn settle_by_hand(
        &mut self,
        settled: &AttemptRecord,
        message: MessageId,
    ) -> FaultResult<Recorded> {
        let delivery = settled.delivery;
        attempt::insert(self.tx, settled, message)?;
        self.tally.attempted(delivery, &settled.attempt, None);
        self.tally.owed(delivery.endpoint, -1);
        self.wake_next(settled)?;
        shards::tell_holder(self.tx, self.node, delivery)?;
        Ok(Recorded::Done)
    }

    fn attempt(&mut self, record: &AttemptRecord) -> FaultResult<Recorded> {
        match record.standing {
            Standing::Fresh => self.fresh(record),
            Standing::Leased(token) => self.leased(record, token),
        }
    }

    fn fresh(&mut self, record: &AttemptRecord) -> FaultResult<Recorded> {
        let Some(message) = self.message(record.delivery)? else {
            return Ok(Recorded::Stale);
        };
        if attempt::insert(self.tx, record, message)? == Inserted::Repeated {
            return Ok(Recorded::Done);
        }
        self.tally
            .attempted(record.delivery, &record.attempt, record.lag);
        match record.attempt.next {
            AfterAttempt::Settled { .. } => self.wake_next(record)?,
            AfterAttempt::Retry { due_at } => {
                self.put(&owed_after(record, due_at))?;
            }
        }
        self.finish(record)
    }

    /// The token comes first: the result of a lease that was lost leaves no trace.
    fn leased(&mut self, record: &AttemptRecord, token: FenceToken) -> FaultResult<Recorded> {
        let delivery = record.delivery;
        let fenced = match record.attempt.next {
            AfterAttempt::Settled { .. } => owed::settle(self.tx, delivery, token)?,
            AfterAttempt::Retry { due_at } => {
                owed::retry(self.tx, delivery, token, due_at, record.series)?
            }
        };
        if fenced == Fenced::Stale {
            return Ok(Recorded::Stale);
        }
        // Retention keeps a message while it is owed.
        if let Some(message) = self.message(delivery)? {
            attempt::insert(self.tx, record, message)?;
        }
        self.tally.attempted(delivery, &record.attempt, record.lag);
        if let AfterAttempt::Settled { .. } = record.attempt.next
            && fenced == Fenced::Done
        {
            self.tally.owed(delivery.endpoint, -1);
            self.wake_next(record)?;
        }
        self.finish(record)
    }

    fn wake_next(&self, record: &AttemptRecord) -> FaultResult<()> {
        match record.record {
            Some(key) => owed::wake_next(self.tx, record.delivery.endpoint, key, self.now),
            None => Ok(()),
        }
    }

    /// What goes with an attempt: the endpoint's health, and what people are told.
    fn finish(&self, record: &AttemptRecord) -> FaultResult<Recorded> {
        for notice in &record.notices {
            notices::write(self.tx, notice)?;
        }
        let Some(change) = &record.health else {
            return Ok(Recorded::Done);
        };
        let HealthChange {
            endpoint,
            health,
            revision,
            notices,
        } = change;
        if configuration::write_health(self.tx, *endpoint, health, *revision)? == 0 {
            return Ok(Recorded::HealthKept);
        }
        for notice in notices {
            notices::write(self.tx, notice)?;
        }
        Ok(Recorded::Done)
    }

    fn spill(&mut self, owed: &NewOwed) -> FaultResult<Recorded> {
        if self.put(owed)? == Put::Missing {
            return Ok(Recorded::Stale);
        }
        if owed.due_at.is_some() {
            shards::tell_holder(self.tx, self.node, owed.delivery)?;
        }
        Ok(Recorded::Done)
    }

    fn put(&mut self, owed: &NewOwed) -> FaultResult<Put> {
        let put = owed::put(self.tx, owed, self.now)?;
        if put == Put::Inserted {
            self.tally.owed(owed.delivery.endpoint, 1);
        }
        Ok(put)
    }

    /// The id of a delivery's message, read once for all deliveries of a message in a row.
    fn message(&mut self, delivery: DeliveryRef) -> FaultResult<Option<MessageId>> {
        let place = (delivery.app, delivery.seq);
        if let Some((last, id)) = self.last
            && last == place
        {
            return Ok(Some(id));
        }
        let id = message::id_at(self.tx.connection(), delivery.app, delivery.seq)?;
        self.last = id.map(|id| (place, id));
        Ok(id)
    }
}

fn owed_after(record: &AttemptRecord, due_at: Timestamp) -> NewOwed {
    NewOwed {
        delivery: record.delivery,
        due_at: Some(due_at),
        reason: OwedReason::Retry,
        series: record.series,
        urgency: record.urgency,
        record: record.record,
    }
}

fn recorded(fenced: Fenced) -> Recorded {
    match fenced {
        Fenced::Done | Fenced::Again => Recorded::Done,
        Fenced::Stale => Recorded::Stale,
    }
}
