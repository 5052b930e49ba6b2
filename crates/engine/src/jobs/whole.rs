//! Tasks about all of an application, or all applications of an organization: they send nothing.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use watchfire_domain::id::ApplicationId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    ApplicationFilter, ApplicationRef, Order, Owner, Range, ReportPart, Step, StoreResult,
    StoredApplication, Task, TaskFailure, TaskKind, TaskState, TaskStep, TaskWrite,
};

use super::{Next, Pace, advance, time_for};
use crate::inner::Inner;
use crate::service::reports::{Subscriptions, Usage};

/// Removes the next payloads of an application.
pub(super) async fn purge(inner: &Arc<Inner>, task: &Task, now: Timestamp) -> StoreResult<Next> {
    let most = limit::TASK_STEP_DELIVERIES_MAX;
    let some = inner.store.candidates(task, most).await?;
    let found = some.found.iter();
    let writes: Vec<_> = found
        .map(|candidate| TaskWrite::Expunge(candidate.stored.seq))
        .collect();
    let step = TaskStep {
        task: task.clone(),
        writes,
        cursor: some.next.map(watchfire_domain::id::MessageId::ksuid),
        looked: some.looked,
        report: None,
        state: match some.next {
            Some(_) => TaskState::Running,
            None => TaskState::Finished,
        },
    };
    let state = step.state;
    let removed = advance(inner, step, now).await?;
    Ok(next((removed, state), (now, None)))
}

/// Adds what is to be said of the next applications to a report.
pub(super) async fn survey(
    inner: &Arc<Inner>,
    task: &Task,
    pace: Pace,
    now: Timestamp,
) -> StoreResult<Next> {
    let before = match pace.reported {
        Some(bytes) => bytes,
        None => reported(inner, task).await?,
    };
    let stretch = next_applications(inner, task).await?;
    let text = told(inner, task, &stretch.found).await?;
    let bytes = before + text.len();
    let fits = bytes <= limit::TASK_REPORT_BYTES_MAX;
    let state = match stretch.next {
        _ if !fits => TaskState::Failed(TaskFailure::ReportTooLarge),
        Some(_) => TaskState::Running,
        None => TaskState::Finished,
    };
    let count = stretch.found.len() as u64;
    let report = ReportPart { text, items: count };
    let step = TaskStep {
        task: task.clone(),
        writes: Vec::new(),
        cursor: stretch.next.map(ApplicationId::ksuid),
        looked: stretch.looked,
        report: Some(report).filter(|_| fits && count > 0),
        state,
    };
    let done = advance(inner, step, now).await?;
    Ok(next((done, state), (now, Some(bytes))))
}

fn next(
    (done, state): (Option<usize>, TaskState),
    (now, reported): (Timestamp, Option<usize>),
) -> Next {
    match (done, state) {
        (Some(done), TaskState::Running) => Next::At(Pace {
            next_at: now + time_for(done),
            unsettled: false,
            reported,
        }),
        (Some(_), _) => Next::Ended,
        // It has moved on without us: what we know of it is old.
        (None, _) => Next::At(Pace {
            next_at: now + Duration::ZERO,
            unsettled: false,
            reported: None,
        }),
    }
}

/// Bytes of the report so far.
async fn reported(inner: &Inner, task: &Task) -> StoreResult<usize> {
    if task.progress.looked == 0 {
        return Ok(0);
    }
    let parts = inner.store.task_report(&task.org, task.id).await?;
    Ok(parts.iter().map(String::len).sum())
}

/// A stretch of the applications a task walks, ascending by id.
struct Stretch {
    found: Vec<StoredApplication>,
    /// Those that were deleted meanwhile included.
    looked: u64,
    /// The last of them; `None` if there are no more.
    next: Option<ApplicationId>,
}

async fn next_applications(inner: &Inner, task: &Task) -> StoreResult<Stretch> {
    let most = limit::TASK_STEP_APPLICATIONS_MAX;
    let after = task.progress.cursor.map(ApplicationId::from_ksuid);
    let named = &task.arguments.applications;
    let (found, ids): (Vec<_>, Vec<_>) = if named.is_empty() {
        let range = Range {
            after,
            ..Range::from_start(Order::Ascending, most)
        };
        let filter = ApplicationFilter::default();
        let found = inner.store.applications(&task.org, &filter, range).await?;
        let ids = found.iter().map(|stored| stored.application.id).collect();
        (found, ids)
    } else {
        let rest = named.iter().filter(|id| Some(**id) > after);
        let ids: Vec<_> = rest.take(most).copied().collect();
        let mut found = Vec::with_capacity(ids.len());
        for id in &ids {
            let reference = ApplicationRef::Id(*id);
            found.extend(inner.store.application(&task.org, &reference).await?);
        }
        (found, ids)
    };
    Ok(Stretch {
        looked: ids.len() as u64,
        next: ids.last().copied().filter(|_| ids.len() == most),
        found,
    })
}

/// What the task says of the applications, as a JSON list.
async fn told(inner: &Inner, task: &Task, found: &[StoredApplication]) -> StoreResult<String> {
    if task.kind == TaskKind::Subscriptions {
        let mut all = Vec::with_capacity(found.len());
        for stored in found {
            all.push(subscriptions_of(inner, stored).await?);
        }
        return Ok(written(&all));
    }
    let mut all = Vec::with_capacity(found.len());
    for stored in found {
        all.push(usage_of(inner, task, stored).await?);
    }
    Ok(written(&all))
}

fn written<T: Serialize>(all: &[T]) -> String {
    serde_json::to_string(all).expect("reports are plain data with text keys")
}

/// Counted by the hour, whole hours.
async fn usage_of(inner: &Inner, task: &Task, stored: &StoredApplication) -> StoreResult<Usage> {
    let span = (
        Step::Hour.begin_of(Step::Hour.slot_of(task.arguments.since)),
        task.arguments.until,
    );
    let of = Owner::Application(stored.key);
    let points = inner.store.activity(&of, span, Step::Hour).await?;
    let settled = points.iter().map(|point| point.counts.settled());
    Ok(Usage {
        application: stored.application.id,
        uid: stored.application.uid.clone(),
        deliveries: settled.sum(),
    })
}

async fn subscriptions_of(inner: &Inner, stored: &StoredApplication) -> StoreResult<Subscriptions> {
    let mut event_types = Vec::new();
    let mut everything = false;
    for endpoint in inner.store.endpoints_of(stored.key).await? {
        let asked = endpoint.endpoint.settings.subscription.event_types;
        everything |= asked.is_empty();
        event_types.extend(asked);
    }
    event_types.sort_unstable();
    event_types.dedup();
    Ok(Subscriptions {
        application: stored.application.id,
        event_types,
        everything,
    })
}
