//! Record and react: what happened is written down in batches, and only then acted upon.
//!
//! # Players
//!
//! - An [`Entry`] is something to write: an ended attempt, or a delivery that must become owed.
//! - The loop takes whatever waits, decides what follows each (pure functions), writes it in one
//!   transaction and then tells the dispatcher, the owed loop and the watchers.
//!
//! What waits here is bounded: an attempt keeps its place among those in flight until its outcome
//! is on disk, and accepting pauses while too many spills wait.

mod write;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use watchfire_domain::attempt::{AfterAttempt, Attempt, Trigger};
use watchfire_domain::delivery::{Decision, Ended, decide};
use watchfire_domain::health::{Effect, Health, Notice};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AttemptRecord, Epoch, HealthChange, Life, NewNotice, NewOwed, OwedReason, Recorded, Series,
    Standing, Write,
};

use self::write::write_down;
use crate::dispatch::{Job, Moving};
use crate::endpoint::Endpoint;
use crate::event::{Attempted, Event};
use crate::inner::{Inner, Shared};
use crate::notices::{About, By};
use crate::send::Finished;

/// Something to write down.
pub(crate) enum Entry {
    /// An attempt ended.
    Ended(Box<Finished>),
    /// A job that never left its lane becomes owed.
    Spill {
        job: Job,
        reason: OwedReason,
        due_at: Timestamp,
    },
    /// A job in flight goes back unattempted, through a fault or stop of ours.
    GiveBack { job: Job, due_at: Timestamp },
    /// Says when everything before it is on disk.
    Mark(oneshot::Sender<()>),
}

/// What to do once a write is on disk.
enum After {
    Attempted(Box<Judged>),
    Owed {
        job: Job,
        due_at: Timestamp,
        in_flight: bool,
    },
}

/// An ended attempt and what was decided about it.
struct Judged {
    finished: Finished,
    /// As it is written.
    record: Arc<AttemptRecord>,
    /// The endpoint's health, if the attempt changed it.
    health: Option<Health>,
    notices: Vec<Notice>,
}

impl Judged {
    fn tells(&self) -> bool {
        let of_health = self.record.health.iter().flat_map(|change| &change.notices);
        self.record.notices.iter().chain(of_health).next().is_some()
    }
}

/// Writes down what waits, over and over, until nobody can send any more.
pub(crate) async fn record_loop(
    inner: Arc<Inner>,
    mut waiting: mpsc::UnboundedReceiver<(Epoch, Entry)>,
) {
    let mut batch = Vec::with_capacity(limit::COMMIT_ROWS_MAX);
    while waiting.recv_many(&mut batch, limit::COMMIT_ROWS_MAX).await > 0 {
        let taken = batch.len();
        let now = inner.clock.now();
        let plan = plan(&inner, now, batch.drain(..));
        if let Some(recorded) = write_down(&inner, &plan.life, now, plan.writes).await {
            react(&inner, &plan.life, plan.after, &recorded);
        }
        drop(plan.marks);
        inner.written(taken);
        inner.pump();
    }
}

/// What is to be written under one life, and what follows.
struct Plan {
    life: Arc<Life>,
    writes: Vec<Write>,
    after: Vec<After>,
    /// Dropped when the writes are on disk.
    marks: Vec<oneshot::Sender<()>>,
}

/// Decides what follows each entry. Followers of a failed record become owed with it.
fn plan(inner: &Inner, now: Timestamp, entries: impl Iterator<Item = (Epoch, Entry)>) -> Plan {
    let mut writes = Vec::new();
    let mut after = Vec::new();
    let mut marks = Vec::new();
    let mut shared = inner.shared.lock();
    let life = Arc::clone(&shared.station.life);
    for (epoch, entry) in entries {
        if epoch != life.epoch {
            // Of a life that has ended: its deliveries are another's now.
            continue;
        }
        match entry {
            Entry::Mark(reached) => marks.push(reached),
            Entry::Ended(finished) => {
                let judged = decide_attempt(inner, now, *finished);
                let record = Arc::clone(&judged.record);
                let retried = matches!(record.attempt.next, AfterAttempt::Retry { .. });
                let deferred = retried.then(|| judged.finished.job.clone());
                writes.push(Write::Attempt(record));
                after.push(After::Attempted(Box::new(judged)));
                if let Some(job) = deferred {
                    defer(&mut shared, &job, now, &mut writes, &mut after);
                }
            }
            Entry::Spill {
                job,
                reason,
                due_at,
            } => {
                writes.push(owe(&job, reason, due_at));
                after.push(After::Owed {
                    job,
                    due_at,
                    in_flight: false,
                });
            }
            Entry::GiveBack { job, due_at } => {
                writes.push(owe(&job, OwedReason::Spilled, due_at));
                after.push(After::Owed {
                    job: job.clone(),
                    due_at,
                    in_flight: true,
                });
                defer(&mut shared, &job, now, &mut writes, &mut after);
            }
        }
    }
    Plan {
        life,
        writes,
        after,
        marks,
    }
}

/// Notes that a job in flight becomes owed, and that those behind it must wait in `owed` too.
fn defer(
    shared: &mut Shared,
    job: &Job,
    now: Timestamp,
    writes: &mut Vec<Write>,
    after: &mut Vec<After>,
) {
    let (endpoint, app) = (job.delivery.endpoint, job.delivery.app);
    shared.dispatcher.begin_move(endpoint, app, Moving::of(job));
    let Some(record) = job.record else {
        return;
    };
    for follower in shared.dispatcher.take_followers(endpoint, record) {
        shared
            .dispatcher
            .begin_move(endpoint, app, Moving::of(&follower));
        // The store keeps it back while it owes an earlier one of the record. Only the store knows:
        // what is sent again can be earlier than the one it stood behind.
        let due_at = follower.due_at(now);
        writes.push(owe(&follower, OwedReason::Turn, due_at));
        after.push(After::Owed {
            job: follower,
            due_at,
            in_flight: false,
        });
    }
}

fn owe(job: &Job, reason: OwedReason, due_at: Timestamp) -> Write {
    let due_at = Some(due_at);
    match job.standing {
        Standing::Fresh => Write::Spill(NewOwed {
            delivery: job.delivery,
            due_at,
            reason,
            series: job.series,
            urgency: job.message.urgency,
            record: job.record,
        }),
        Standing::Leased(token) => Write::Return {
            delivery: job.delivery,
            token,
            due_at,
        },
    }
}

fn decide_attempt(inner: &Inner, now: Timestamp, mut finished: Finished) -> Judged {
    let job = &finished.job;
    let ended = Ended {
        outcome: &finished.outcome,
        attempts_made: job.series.attempts + 1,
        stale_before: job.series.stale,
        now,
        jitter: inner.entropy.unit(),
    };
    let Decision {
        next,
        attempts_counted,
    } = decide(ended, finished.schedule());
    let (health, notices) = judge_health(&finished, now);
    let series = Series {
        trigger: job.series.trigger,
        attempts: attempts_counted,
        stale: attempts_counted < ended.attempts_made,
        once: job.series.once,
    };
    let attempt = finished.take_attempt(next);
    let (told, told_of_health) = tell(inner, &finished, &attempt, health.as_ref(), &notices);
    let job = &finished.job;
    let record = AttemptRecord {
        lag: lag_of(job, &attempt),
        delivery: job.delivery,
        standing: job.standing,
        attempt,
        series,
        urgency: job.message.urgency,
        record: job.record,
        health: health.clone().map(|health| HealthChange {
            endpoint: job.delivery.endpoint,
            health,
            revision: finished.health_revision(),
            notices: told_of_health,
        }),
        notices: told,
    };
    Judged {
        record: Arc::new(record),
        finished,
        health,
        notices,
    }
}

/// How long the message took, if it was delivered and nobody asked for it again.
fn lag_of(job: &Job, attempt: &Attempt) -> Option<Duration> {
    let message = &*job.message;
    let counts = match attempt.trigger {
        Trigger::Scheduled | Trigger::Probe => {
            attempt.outcome.is_accepted() && !message.details.ping
        }
        Trigger::Manual => false,
    };
    let could_begin_at = message.details.deliver_at.max(Some(message.accepted_at))?;
    let ended_at = attempt.attempted_at + attempt.timing.total;
    counts.then(|| ended_at.since(could_begin_at))
}

/// What people are told about an attempt, and about what it did to its endpoint's health.
fn tell(
    inner: &Inner,
    finished: &Finished,
    attempt: &Attempt,
    health: Option<&Health>,
    notices: &[Notice],
) -> (Vec<NewNotice>, Vec<NewNotice>) {
    let Some(endpoint) = finished.endpoint.as_deref() else {
        return (Vec::new(), Vec::new());
    };
    let about = About {
        entropy: inner.entropy.as_ref(),
        endpoint,
        now: inner.clock.now(),
        mail_gather: inner.mail_gather,
    };
    let of_attempt = about.attempt(&finished.job.message, attempt);
    let of_health = health.map(|health| about.health(health, notices, By::Outcome));
    (
        of_attempt.into_iter().collect(),
        of_health.unwrap_or_default(),
    )
}

/// The endpoint's health after the attempt, if that changed it. It is adopted at once: the next
/// outcome in the same batch is judged on top of it.
fn judge_health(finished: &Finished, now: Timestamp) -> (Option<Health>, Vec<Notice>) {
    let judged = finished.endpoint.as_ref().filter(|_| !finished.is_ping());
    let Some(endpoint) = judged else {
        return (None, Vec::new());
    };
    let decision = endpoint.judge(&finished.outcome, now);
    match decision.effect {
        Effect::Unchanged => (None, Vec::new()),
        Effect::Changed => {
            endpoint.adopt_health(decision.next.clone());
            (Some(decision.next), decision.notices)
        }
    }
}

fn react(inner: &Arc<Inner>, life: &Life, after: Vec<After>, recorded: &[Recorded]) {
    let mut shared = inner.shared.lock();
    if *shared.station.life != *life {
        // The lanes are those of another life.
        return;
    }
    let mut events = Vec::new();
    for (after, recorded) in after.into_iter().zip(recorded) {
        if *recorded == Recorded::Stale {
            tracing::warn!("a late result was dropped: another claim holds the delivery");
        }
        match after {
            After::Attempted(mut judged) => {
                if *recorded == Recorded::HealthKept {
                    judged.health = None;
                    inner.catalog.forget_application(judged.record.delivery.app);
                }
                let finished = &judged.finished;
                react_to_attempt(inner, &mut shared, finished, &judged.record);
                if let (Some(endpoint), Some(health)) = (&finished.endpoint, &judged.health) {
                    inner.adopt_health(&mut shared, endpoint, health);
                }
                events.push(judged);
            }
            After::Owed {
                job,
                due_at,
                in_flight,
            } => {
                let (endpoint, app) = (job.delivery.endpoint, job.delivery.app);
                shared.dispatcher.end_move(endpoint, Moving::of(&job));
                if in_flight {
                    shared.dispatcher.deferred(job.delivery, job.standing);
                }
                if job.standing == Standing::Fresh {
                    shared.fresh.done(job.delivery.seq);
                }
                inner.owed.note(endpoint, app, Some(due_at));
            }
        }
    }
    drop(shared);
    if events.iter().any(|judged| judged.tells()) {
        inner.noticed.notify_one();
        inner.mail_wanted.notify_one();
    }
    for judged in events {
        judged.finished.log(&judged.record.attempt);
        publish(inner, *judged);
    }
}

fn react_to_attempt(
    inner: &Inner,
    shared: &mut Shared,
    finished: &Finished,
    record: &AttemptRecord,
) {
    inner.metrics.attempted(&record.attempt.outcome);
    let job = &finished.job;
    let (endpoint, app) = (job.delivery.endpoint, job.delivery.app);
    match record.attempt.next {
        AfterAttempt::Settled { settlement } => {
            shared
                .dispatcher
                .settled(job.delivery, job.standing, job.record);
            inner.metrics.settled(settlement, record.lag);
            if shared.dispatcher.may_owe(endpoint) {
                inner
                    .owed
                    .recheck(job, &shared.dispatcher, inner.clock.now());
            }
        }
        AfterAttempt::Retry { due_at } => {
            shared.dispatcher.end_move(endpoint, Moving::of(job));
            shared.dispatcher.deferred(job.delivery, job.standing);
            inner.metrics.retried.inc();
            inner.owed.note(endpoint, app, Some(due_at));
        }
    }
    if job.standing == Standing::Fresh {
        shared.fresh.done(job.delivery.seq);
    }
}

fn publish(inner: &Inner, judged: Judged) {
    let Judged {
        finished,
        record,
        health,
        notices,
    } = judged;
    let Some(endpoint) = finished.endpoint.as_deref() else {
        return;
    };
    if let Some(health) = &health {
        inner.announce(endpoint, health, notices);
    }
    inner.publish(|| {
        let Endpoint {
            application_id,
            stored,
            ..
        } = endpoint;
        Event::Attempted(Box::new(Attempted {
            app: stored.app,
            application_id: *application_id,
            endpoint: stored.key,
            endpoint_id: stored.endpoint.identity.id,
            seq: finished.job.delivery.seq,
            message: Arc::clone(&finished.job.message),
            attempt: record.attempt.clone(),
            health,
        }))
    });
}
