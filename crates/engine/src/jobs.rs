//! Background tasks, carried out: step by step, at a bounded rate, behind everything fresh.
//!
//! # Problem
//!
//! A recover or replay may be about a million deliveries. It must survive a restart without losing
//! or doubling one, and nobody else may notice it.
//!
//! # Idea
//!
//! The store holds each task with its place. A step looks at what comes next, plans a bounded
//! number of writes and has them written together with the new place; the store looks at every
//! delivery again before it writes. Nothing of a task lives only in memory, except when its next
//! step may be.
//!
//! Tasks about all of an application or organization ([`whole`]) take their steps likewise.
//!
//! # Limits
//!
//! A task makes [`limit::TASK_DELIVERIES_PER_SECOND`] deliveries each second at most, and waits
//! while its endpoint has [`limit::TASK_BACKLOG_MAX`] ordinary deliveries due or is not to be sent
//! to: so what is owed does not grow with the task, and a fresh delivery never queues behind all
//! of it.

mod whole;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::attempt::{Attempt, Settlement, Trigger};
use watchfire_domain::id::{AttemptId, Ksuid, MessageId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::message::Urgency;
use watchfire_domain::outcome::SkipReason;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    Advanced, Candidate, Candidates, DeliveryRef, NewOwed, OwedReason, Series, Shard, StoreResult,
    Subject, Task, TaskFailure, TaskKind, TaskState, TaskStep, TaskWrite,
};

use crate::dispatch::LaneGate;
use crate::dispatch::Moving;
use crate::endpoint::Endpoint;
use crate::inner::Inner;

/// Running tasks read at a time.
const PAGE: usize = 100;
/// Longest sleep while nothing runs.
const NAP: Duration = Duration::from_secs(30);
/// The same where another node may have created a task.
const NAP_AMONG_OTHERS: Duration = Duration::from_secs(1);
/// Rest of a task that must wait for its endpoint or for what is in flight.
const REST: Duration = Duration::from_millis(500);
/// How long a cancelling waits for what was queued in memory to be on disk.
const SPILL_WAIT: Duration = Duration::from_secs(1);

/// When each running task may take its next step, and what this node knows about its walk.
#[derive(Default)]
pub(crate) struct Paces(HashMap<TaskId, Pace>);

#[derive(Clone, Copy)]
struct Pace {
    next_at: Timestamp,
    /// The present walk has met something that it could not settle yet.
    unsettled: bool,
    /// Bytes of the task's report, if it has one and we have written it all.
    reported: Option<usize>,
}

/// What a step leads to.
enum Next {
    At(Pace),
    Ended,
}

/// Runs [`tick`] whenever a task may take a step.
pub(crate) async fn job_loop(inner: Arc<Inner>) {
    let mut paces = Paces::default();
    loop {
        let now = inner.clock.now();
        let longest = if inner.rhythm().is_some() {
            NAP_AMONG_OTHERS
        } else {
            NAP
        };
        let nap = match tick(&inner, &mut paces, now).await {
            Ok(Some(next_at)) => next_at.since(inner.clock.now()).min(longest),
            Ok(None) => longest,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "background tasks rest"
                );
                REST
            }
        };
        drop(tokio::time::timeout(nap, inner.new_task.notified()).await);
    }
}

/// Lets every running task that may take a step take one. Returns when the next may.
pub(crate) async fn tick(
    inner: &Arc<Inner>,
    paces: &mut Paces,
    now: Timestamp,
) -> StoreResult<Option<Timestamp>> {
    let mut after = None;
    let mut running = HashMap::new();
    loop {
        let some = inner.store.running_tasks(after, PAGE).await?;
        let Some(last) = some.last() else { break };
        after = Some(last.id);
        for task in some.into_iter().filter(|task| is_ours(inner, task)) {
            let pace = paces.0.get(&task.id).copied();
            let pace = pace.unwrap_or_else(|| Pace::first(&task, now));
            let next = if inner.is_stopping() || pace.next_at > now {
                Next::At(pace)
            } else {
                step(inner, &task, pace, now).await?
            };
            if let Next::At(pace) = next {
                running.insert(task.id, pace);
            }
        }
    }
    paces.0 = running;
    Ok(paces.0.values().map(|pace| pace.next_at).min())
}

/// A task is worked on where its endpoint is sent to: what it must take from memory is there. One
/// without an endpoint is worked on by one node, as all that belongs to nobody's shard.
fn is_ours(inner: &Inner, task: &Task) -> bool {
    match task.endpoint() {
        Some(endpoint) => inner.makes(endpoint),
        None => inner.shared.lock().station.held.contains(Shard::FIRST),
    }
}

impl Pace {
    /// A task in the middle of its walk was taken over: nobody knows what the walk met.
    fn first(task: &Task, now: Timestamp) -> Self {
        Self {
            next_at: now,
            unsettled: task.progress.cursor.is_some(),
            reported: None,
        }
    }
}

async fn step(inner: &Arc<Inner>, task: &Task, pace: Pace, now: Timestamp) -> StoreResult<Next> {
    match task.kind {
        TaskKind::Recover | TaskKind::ReplayMissing | TaskKind::BulkReplay => {
            match endpoint_of(inner, task).await? {
                Some(endpoint) => send_again(inner, task, &endpoint, now).await,
                None => give_up(inner, task, now).await,
            }
        }
        TaskKind::CancelMessages => match endpoint_of(inner, task).await? {
            Some(endpoint) => cancel(inner, task, &endpoint, (pace, now)).await,
            None => give_up(inner, task, now).await,
        },
        TaskKind::PurgeContent => whole::purge(inner, task, now).await,
        TaskKind::Usage | TaskKind::Subscriptions => whole::survey(inner, task, pace, now).await,
    }
}

async fn endpoint_of(inner: &Inner, task: &Task) -> StoreResult<Option<Arc<Endpoint>>> {
    match task.subject {
        Subject::Endpoint { app, endpoint } => inner.catalog.endpoint(app, endpoint).await,
        Subject::Application(_) | Subject::Organization => Ok(None),
    }
}

/// Ends a task whose endpoint is gone.
async fn give_up(inner: &Arc<Inner>, task: &Task, now: Timestamp) -> StoreResult<Next> {
    let failed = TaskStep {
        task: task.clone(),
        writes: Vec::new(),
        cursor: task.progress.cursor,
        looked: 0,
        report: None,
        state: TaskState::Failed(TaskFailure::EndpointDeleted),
    };
    advance(inner, failed, now).await?;
    tracing::info!(task.id = %task.id, "a background task ended: its endpoint was deleted");
    Ok(Next::Ended)
}

/// Makes the next deliveries of a task.
async fn send_again(
    inner: &Arc<Inner>,
    task: &Task,
    endpoint: &Endpoint,
    now: Timestamp,
) -> StoreResult<Next> {
    let rest = |wait| {
        Next::At(Pace {
            next_at: now + wait,
            unsettled: false,
            reported: None,
        })
    };
    if !takes_more(inner, endpoint, now).await? {
        return Ok(rest(REST));
    }
    let most = limit::TASK_STEP_DELIVERIES_MAX;
    let candidates = inner.store.candidates(task, most).await?;
    let wanted = |candidate: &&Candidate| is_for(task, endpoint, candidate);
    let writes = candidates.found.iter().filter(wanted);
    let writes: Vec<_> = writes
        .map(|candidate| TaskWrite::Send(delivery_again(task, endpoint, candidate, now)))
        .collect();
    let state = match candidates.next {
        Some(_) => TaskState::Running,
        None => TaskState::Finished,
    };
    let made = write(inner, (task, endpoint), (writes, &candidates, state), now).await?;
    let Some(made) = made else {
        return Ok(rest(Duration::ZERO));
    };
    if state == TaskState::Finished {
        return Ok(Next::Ended);
    }
    Ok(rest(time_for(made)))
}

/// Whether the endpoint may be sent to and keeps up.
async fn takes_more(inner: &Inner, endpoint: &Endpoint, now: Timestamp) -> StoreResult<bool> {
    if endpoint.skips(now).is_some() || endpoint.gate(now) == LaneGate::Closed {
        return Ok(false);
    }
    let most = limit::TASK_BACKLOG_MAX;
    let due = inner
        .store
        .count_due(endpoint.stored.key, now, most)
        .await?;
    Ok(due < most)
}

/// What never went to an endpoint goes there only if it subscribes to it.
fn is_for(task: &Task, endpoint: &Endpoint, candidate: &Candidate) -> bool {
    let message = &candidate.stored.message;
    let settings = &endpoint.stored.endpoint.settings;
    match task.kind {
        TaskKind::ReplayMissing => settings
            .wants(&message.event_type, &message.details)
            .is_ok(),
        TaskKind::Recover
        | TaskKind::BulkReplay
        | TaskKind::CancelMessages
        | TaskKind::PurgeContent
        | TaskKind::Usage
        | TaskKind::Subscriptions => true,
    }
}

fn delivery_again(
    task: &Task,
    endpoint: &Endpoint,
    candidate: &Candidate,
    now: Timestamp,
) -> NewOwed {
    NewOwed {
        delivery: delivery_of(endpoint, candidate),
        due_at: Some(now),
        reason: OwedReason::Requested,
        series: Series {
            trigger: Trigger::Manual,
            once: task.arguments.once,
            ..Series::START
        },
        urgency: Urgency::Ordinary,
        record: endpoint.record_of(&candidate.stored.message),
    }
}

fn delivery_of(endpoint: &Endpoint, candidate: &Candidate) -> DeliveryRef {
    DeliveryRef {
        app: endpoint.stored.app,
        endpoint: endpoint.stored.key,
        seq: candidate.stored.seq,
    }
}

/// The time so many deliveries may take.
fn time_for(deliveries: usize) -> Duration {
    let rate = u32::try_from(limit::TASK_DELIVERIES_PER_SECOND).unwrap_or(u32::MAX);
    Duration::from_secs(1) / rate * u32::try_from(deliveries).unwrap_or(u32::MAX)
}

/// Writes a step down. Returns the number of writes that were done, or `None` if the task has moved
/// on without us.
async fn write(
    inner: &Arc<Inner>,
    (task, endpoint): (&Task, &Endpoint),
    (writes, candidates, state): (Vec<TaskWrite>, &Candidates, TaskState),
    now: Timestamp,
) -> StoreResult<Option<usize>> {
    let step = TaskStep {
        task: task.clone(),
        writes,
        cursor: candidates.next.map(MessageId::ksuid),
        looked: candidates.looked,
        report: None,
        state,
    };
    let (key, app) = (endpoint.stored.key, endpoint.stored.app);
    let step = advance(inner, step, now);
    let advanced = inner.move_into_owed((key, app), Moving::Many, step).await;
    // Deliveries may be due now, their turn may have come, or the last one may be gone.
    inner.owed.note(key, app, Some(now));
    let done = advanced?;
    inner
        .metrics
        .task_deliveries
        .inc_by(done.unwrap_or(0) as u64);
    Ok(done)
}

/// Has a step carried out. Returns what was done, or `None` if the task has moved on without us.
async fn advance(inner: &Arc<Inner>, step: TaskStep, now: Timestamp) -> StoreResult<Option<usize>> {
    let life = inner.life();
    let advanced = inner.store.advance_task(&life, now, step).await;
    Ok(match inner.mind(&life, advanced)? {
        Advanced::Done(done) => Some(done),
        Advanced::Stale => None,
    })
}

/// Settles the next owed deliveries of a task as cancelled.
///
/// What is leased is left to its attempt, which settles it or makes it owed again; so a walk that
/// met any is followed by another.
async fn cancel(
    inner: &Arc<Inner>,
    task: &Task,
    endpoint: &Endpoint,
    (mut pace, now): (Pace, Timestamp),
) -> StoreResult<Next> {
    if task.progress.cursor.is_none() {
        pace.unsettled = take_from_memory(inner, task, endpoint).await;
    }
    let most = limit::TASK_STEP_DELIVERIES_MAX;
    let candidates = inner.store.candidates(task, most).await?;
    pace.unsettled |= candidates.leased > 0;
    let writes: Vec<_> = candidates
        .found
        .iter()
        .map(|candidate| cancellation(inner, endpoint, candidate, now))
        .collect();
    let planned = writes.len();
    let walks_on = candidates.next.is_some();
    let state = if walks_on || pace.unsettled {
        TaskState::Running
    } else {
        TaskState::Finished
    };
    let done = write(inner, (task, endpoint), (writes, &candidates, state), now).await?;
    // One of them was claimed before it could be cancelled; the walk that follows meets it.
    pace.unsettled |= done.is_some_and(|done| done < planned);
    if state == TaskState::Finished && done.is_some() {
        return Ok(Next::Ended);
    }
    pace.next_at = if walks_on { now } else { now + REST };
    Ok(Next::At(pace))
}

/// Has what is queued in memory written to `owed`, where a task can reach it. Returns whether there
/// was anything the task is about.
async fn take_from_memory(inner: &Arc<Inner>, task: &Task, endpoint: &Endpoint) -> bool {
    let first_at = |at| MessageId::from_ksuid(Ksuid::first_at(at));
    let span = first_at(task.arguments.since)..first_at(task.arguments.until);
    if !inner.spill_queued(endpoint.stored.key, &span) {
        return false;
    }
    // If the disk is slower, the next walk meets them.
    drop(tokio::time::timeout(SPILL_WAIT, inner.everything_is_recorded()).await);
    true
}

fn cancellation(
    inner: &Inner,
    endpoint: &Endpoint,
    candidate: &Candidate,
    now: Timestamp,
) -> TaskWrite {
    let owed = candidate.owed;
    TaskWrite::Cancel {
        delivery: delivery_of(endpoint, candidate),
        attempt: Box::new(Attempt {
            number: owed.map_or(0, |owed| owed.attempts) + 1,
            trigger: owed.map_or(Trigger::Scheduled, |owed| owed.trigger),
            ..Attempt::settled_by_hand(
                (AttemptId::new(now, inner.entropy.as_ref()), now),
                endpoint.stored.endpoint.settings.url.clone(),
                (SkipReason::Cancelled, Settlement::Cancelled),
            )
        }),
    }
}
