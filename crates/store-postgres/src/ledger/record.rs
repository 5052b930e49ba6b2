//! Records attempts and what follows from them.
//!
//! A batch of ordinary successes takes three statements: the messages' ids, the attempts, the
//! roll-up. Whatever touches `owed` is worked out in a [`Book`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use watchfire_domain::attempt::AfterAttempt;
use watchfire_domain::health::Health;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Tally;
use watchfire_store::{
    AppKey, AttemptRecord, DeliveryRef, EndpointKey, FenceToken, HealthChange, Life, NewNotice,
    NewOwed, OwedReason, Recorded, Seq, Standing, Write,
};

use super::{Writer, write_tally};
use crate::attempt;
use crate::configuration;
use crate::fault::FaultResult;
use crate::message::{Hold, ids_at};
use crate::nodes;
use crate::notices;
use crate::owed::{Book, Fenced, Put, Removed, Wanted};
use crate::session::Tx;
use crate::shards::Arrivals;

pub(super) async fn record(
    tx: &Tx,
    life: &Life,
    now: Timestamp,
    batch: &[Write],
) -> FaultResult<Vec<Recorded>> {
    let node = nodes::hold(tx, life).await?;
    let mut book = Book::open(tx, &wanted(batch)).await?;
    if batch.iter().any(|write| matches!(write, Write::Cancel(_))) {
        book.learn_records(tx).await?;
    }
    let health = configuration::lock_health(tx, judged(batch)).await?;
    let messages = ids_at(tx, places(batch), hold(batch)).await?;
    let news = insert_fresh(tx, batch, &messages).await?;
    let stored = stored_before(tx, batch, &book).await?;
    let mut recording = Recording {
        now,
        book,
        messages,
        news,
        stored,
        leased: Vec::new(),
        tally: Tally::default(),
        arrivals: Arrivals::default(),
        revisions: health,
        health: BTreeMap::new(),
        notices: Vec::new(),
    };
    let recorded = batch.iter().map(|write| recording.write(write)).collect();
    recording.finish(tx, node).await?;
    Ok(recorded)
}

/// What of `owed` the batch may touch. An ordinary success of a delivery that was never owed, about
/// no record, touches nothing.
fn wanted(batch: &[Write]) -> Wanted {
    let mut wanted = Wanted::default();
    for write in batch {
        let (delivery, record) = match write {
            Write::Attempt(record) if is_ordinary(record) => continue,
            Write::Attempt(record) => (record.delivery, record.record),
            Write::Spill(owed) => (owed.delivery, owed.record),
            Write::Return { delivery, .. } => (*delivery, None),
            Write::SkipHead(skipped) => (skipped.delivery, skipped.record),
            Write::Cancel(cancelled) => (cancelled.delivery, None),
        };
        wanted.delivery((delivery.endpoint, delivery.seq), record);
    }
    wanted
}

/// Endpoints whose health the batch changes.
fn judged(batch: &[Write]) -> BTreeSet<EndpointKey> {
    let judged = batch.iter().filter_map(|write| match write {
        Write::Attempt(record) => record.health.as_ref().map(|change| change.endpoint),
        Write::Spill(_) | Write::Return { .. } | Write::SkipHead(_) | Write::Cancel(_) => None,
    });
    judged.collect()
}

fn is_ordinary(record: &AttemptRecord) -> bool {
    let settled = matches!(record.attempt.next, AfterAttempt::Settled { .. });
    record.standing == Standing::Fresh && settled && record.record.is_none()
}

fn places(batch: &[Write]) -> Vec<i64> {
    let mut places: Vec<i64> = batch
        .iter()
        .filter_map(|write| match write {
            Write::Attempt(record) => Some(record.delivery.seq.0),
            Write::Spill(owed) => Some(owed.delivery.seq.0),
            Write::SkipHead(settled) | Write::Cancel(settled) => Some(settled.delivery.seq.0),
            Write::Return { .. } => None,
        })
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// What becomes owed must not lose its message to retention meanwhile.
fn hold(batch: &[Write]) -> Hold {
    let owes = |write: &Write| match write {
        Write::Attempt(record) => matches!(record.attempt.next, AfterAttempt::Retry { .. }),
        Write::Spill(_) => true,
        Write::Return { .. } | Write::SkipHead(_) | Write::Cancel(_) => false,
    };
    if batch.iter().any(owes) {
        Hold::Fast
    } else {
        Hold::Loose
    }
}

/// Stores the attempts of fresh deliveries, and says which were new.
async fn insert_fresh(
    tx: &Tx,
    batch: &[Write],
    messages: &HashMap<(AppKey, Seq), MessageId>,
) -> FaultResult<HashSet<(Seq, AttemptId)>> {
    let mut news = HashSet::new();
    let mut rows = attempt::NewRows::default();
    for write in batch {
        if let Write::Attempt(record) = write
            && record.standing == Standing::Fresh
            && let Some(message) = messages.get(&(record.delivery.app, record.delivery.seq))
        {
            rows.push(record, *message)?;
            if rows.is_full() {
                news.extend(std::mem::take(&mut rows).insert(tx).await?);
            }
        }
    }
    news.extend(rows.insert(tx).await?);
    Ok(news)
}

/// Results under a token that is not the delivery's any more, whose attempt is there: the answer to
/// the same call was lost.
async fn stored_before(
    tx: &Tx,
    batch: &[Write],
    book: &Book,
) -> FaultResult<HashSet<(Seq, AttemptId)>> {
    let late = batch.iter().filter_map(|write| match write {
        Write::Attempt(record) => match record.standing {
            Standing::Leased(token) if !holds(book, record.delivery, token) => {
                Some((record.delivery.seq, record.attempt.id))
            }
            Standing::Leased(_) | Standing::Fresh => None,
        },
        Write::Spill(_) | Write::Return { .. } | Write::SkipHead(_) | Write::Cancel(_) => None,
    });
    attempt::stored(tx, &late.collect::<Vec<_>>()).await
}

fn holds(book: &Book, delivery: DeliveryRef, token: FenceToken) -> bool {
    let row = book.row((delivery.endpoint, delivery.seq));
    row.and_then(|row| row.lease)
        .is_some_and(|lease| lease.token == token)
}

struct Recording<'b> {
    now: Timestamp,
    book: Book,
    messages: HashMap<(AppKey, Seq), MessageId>,
    /// Attempts of fresh deliveries that this batch has stored.
    news: HashSet<(Seq, AttemptId)>,
    /// Attempts of leased deliveries that an earlier batch has stored.
    stored: HashSet<(Seq, AttemptId)>,
    /// Attempts of leased deliveries to store.
    leased: Vec<(&'b AttemptRecord, MessageId)>,
    tally: Tally,
    arrivals: Arrivals,
    /// How often people have set the health of the endpoints the batch judges.
    revisions: BTreeMap<EndpointKey, i64>,
    health: BTreeMap<EndpointKey, &'b Health>,
    notices: Vec<&'b NewNotice>,
}

impl<'b> Recording<'b> {
    fn write(&mut self, write: &'b Write) -> Recorded {
        match write {
            Write::Attempt(record) => match record.standing {
                Standing::Fresh => self.fresh(record),
                Standing::Leased(token) => self.leased(record, token),
            },
            Write::Spill(owed) => self.spill(owed),
            Write::Return {
                delivery,
                token,
                due_at,
            } => match self.book.give_back(*delivery, *token, *due_at) {
                Fenced::Done | Fenced::Again => Recorded::Done,
                Fenced::Stale => Recorded::Stale,
            },
            Write::SkipHead(skipped) => self.skip_head(skipped),
            Write::Cancel(cancelled) => self.cancel(cancelled),
        }
    }

    fn skip_head(&mut self, skipped: &'b AttemptRecord) -> Recorded {
        let delivery = skipped.delivery;
        let (endpoint, seq) = (delivery.endpoint, delivery.seq);
        let row = self.book.row((endpoint, seq));
        let is_free = row.is_some_and(|row| row.lease.is_none() && row.record == skipped.record);
        let (true, Some(record), Some(message)) = (is_free, skipped.record, self.message(delivery))
        else {
            return Recorded::Stale;
        };
        if self.book.is_blocked(endpoint, record, seq) || self.book.remove(delivery).is_none() {
            return Recorded::Stale;
        }
        self.settle_by_hand(skipped, (Some(record), message))
    }

    fn cancel(&mut self, cancelled: &'b AttemptRecord) -> Recorded {
        let Some(message) = self.message(cancelled.delivery) else {
            return Recorded::Stale;
        };
        let Some(Removed { record }) = self.book.remove(cancelled.delivery) else {
            return Recorded::Stale;
        };
        self.settle_by_hand(cancelled, (record, message))
    }

    /// What follows when a person took a delivery out of `owed`.
    fn settle_by_hand(
        &mut self,
        settled: &'b AttemptRecord,
        (record, message): (Option<i64>, MessageId),
    ) -> Recorded {
        let delivery = settled.delivery;
        self.leased.push((settled, message));
        self.tally.attempted(delivery, &settled.attempt, None);
        self.tally.owed(delivery.endpoint, -1);
        if let Some(record) = record {
            self.book.wake_next(delivery.endpoint, record, self.now);
        }
        self.arrivals.note(delivery);
        Recorded::Done
    }

    fn message(&self, delivery: DeliveryRef) -> Option<MessageId> {
        self.messages.get(&(delivery.app, delivery.seq)).copied()
    }

    fn fresh(&mut self, record: &'b AttemptRecord) -> Recorded {
        let delivery = record.delivery;
        if self.message(delivery).is_none() {
            return Recorded::Stale;
        }
        if !self.news.remove(&(delivery.seq, record.attempt.id)) {
            // The caller repeats itself.
            return Recorded::Done;
        }
        self.tally.attempted(delivery, &record.attempt, record.lag);
        match record.attempt.next {
            AfterAttempt::Settled { .. } => self.wake_next(record),
            AfterAttempt::Retry { due_at } => {
                self.put(&owed_after(record, due_at));
            }
        }
        self.conclude(record)
    }

    /// The token comes first: the result of a lease that was lost leaves no trace.
    fn leased(&mut self, record: &'b AttemptRecord, token: FenceToken) -> Recorded {
        let delivery = record.delivery;
        if self.stored.contains(&(delivery.seq, record.attempt.id)) {
            return Recorded::Done;
        }
        let fenced = match record.attempt.next {
            AfterAttempt::Settled { .. } => self.book.settle(delivery, token),
            AfterAttempt::Retry { due_at } => {
                self.book.retry(delivery, token, due_at, record.series)
            }
        };
        if fenced == Fenced::Stale {
            return Recorded::Stale;
        }
        // Retention keeps a message while it is owed.
        if let Some(message) = self.message(delivery) {
            self.leased.push((record, message));
        }
        self.tally.attempted(delivery, &record.attempt, record.lag);
        if let AfterAttempt::Settled { .. } = record.attempt.next
            && fenced == Fenced::Done
        {
            self.tally.owed(delivery.endpoint, -1);
            self.wake_next(record);
        }
        self.conclude(record)
    }

    fn spill(&mut self, owed: &NewOwed) -> Recorded {
        if self.put(owed) == Put::Missing {
            return Recorded::Stale;
        }
        if owed.due_at.is_some() {
            self.arrivals.note(owed.delivery);
        }
        Recorded::Done
    }

    fn wake_next(&mut self, record: &AttemptRecord) {
        if let Some(key) = record.record {
            self.book.wake_next(record.delivery.endpoint, key, self.now);
        }
    }

    fn put(&mut self, owed: &NewOwed) -> Put {
        let message = self.message(owed.delivery);
        let put = self.book.put(owed, self.now, message);
        if put == Put::Inserted {
            self.tally.owed(owed.delivery.endpoint, 1);
        }
        put
    }

    /// What goes with an attempt: the endpoint's health, and what people are told.
    fn conclude(&mut self, record: &'b AttemptRecord) -> Recorded {
        self.notices.extend(&record.notices);
        let Some(change) = &record.health else {
            return Recorded::Done;
        };
        let HealthChange {
            endpoint,
            health,
            revision,
            notices,
        } = change;
        if self.revisions.get(endpoint) != Some(revision) {
            return Recorded::HealthKept;
        }
        self.health.insert(*endpoint, health);
        self.notices.extend(notices);
        Recorded::Done
    }

    async fn finish(self, tx: &Tx, node: i64) -> FaultResult<()> {
        self.book.close(tx).await?;
        configuration::write_health(tx, &self.health).await?;
        let mut rows = attempt::NewRows::default();
        for (record, message) in self.leased {
            rows.push(record, message)?;
            if rows.is_full() {
                std::mem::take(&mut rows).insert(tx).await?;
            }
        }
        rows.insert(tx).await?;
        notices::write(tx, &self.notices).await?;
        self.arrivals.tell_holders(tx, node).await?;
        write_tally(tx, (node, Writer::Record), self.tally).await
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
