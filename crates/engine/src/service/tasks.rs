//! Background tasks: recover, replay, cancel, and what has become of them.

use std::time::Duration;

use watchfire_domain::audit::Action;
use watchfire_domain::id::{EventType, MessageId, OrganizationId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Change, DeliveryStatus, EndpointKey, EndpointRef, Range, Steering, Subject, Task,
    TaskArguments, TaskFilter, TaskKind,
};

use super::audit::{self, Deed, Seen};
use super::check::Faults;
use super::{Error, Repeatable, Result, attempts};
use crate::{Engine, Snapshot};

/// Clocks of callers may differ from ours by this much.
const SLACK: Duration = Duration::from_mins(5);
/// Ids tell the time in steps of 1/256 s: a message accepted in this very step belongs to "until
/// now".
pub(super) const ID_STEP: Duration = Duration::from_millis(4);

/// What somebody asks to be sent again, or cancelled.
#[derive(Clone, Debug, Default)]
pub struct TaskInput {
    /// The beginning of time, if absent.
    pub since: Option<Timestamp>,
    /// Now, if absent or later.
    pub until: Option<Timestamp>,
    /// Any of these; all if empty.
    pub event_types: Vec<EventType>,
    pub channel: Option<String>,
    pub tag: Option<String>,
    /// How the delivery must have ended.
    pub status: Option<DeliveryStatus>,
    /// Hundreds of the last answer's status; 0 where none came.
    pub status_class: Option<u8>,
    /// One attempt each, whatever the retry schedule.
    pub once: bool,
    /// How many messages there are to look at, if a preview has counted them all; for the progress.
    pub messages: Option<u64>,
}

impl TaskInput {
    fn check(&self, kind: TaskKind, now: Timestamp) -> Result<()> {
        let mut faults = Faults::default();
        let age = self.since.map_or(Duration::ZERO, |since| now.since(since));
        if kind == TaskKind::Recover && age > limit::RECOVER_SPAN + SLACK {
            let days = limit::RECOVER_SPAN.as_secs() / (24 * 60 * 60);
            faults.add(
                "since",
                format_args!("must not be more than {days} days ago"),
            );
        }
        if self.until.is_some_and(|until| Some(until) < self.since) {
            faults.add("until", "must not be before `since`");
        }
        if let Some(DeliveryStatus::Pending | DeliveryStatus::Sending) = self.status {
            faults.add("status", "what is not settled will be sent anyway");
        }
        if self.event_types.len() > limit::EVENT_TYPES_PER_ENDPOINT_MAX {
            let max = limit::EVENT_TYPES_PER_ENDPOINT_MAX;
            faults.add("eventTypes", format_args!("may have at most {max} items"));
        }
        for (field, text) in [("channel", &self.channel), ("tag", &self.tag)] {
            if let Some(text) = text {
                faults.chars(field, text, 1, limit::CHANNEL_CHARS_MAX);
            }
        }
        faults.finish()
    }

    fn into_arguments(self, now: Timestamp) -> TaskArguments {
        let until = self.until.filter(|until| *until <= now);
        let since = self.since.unwrap_or(Timestamp::EPOCH);
        TaskArguments {
            event_types: self.event_types,
            channel: self.channel,
            tag: self.tag,
            status: self.status,
            status_class: self.status_class,
            once: self.once,
            messages: self.messages,
            ..TaskArguments::of_span(since, until.unwrap_or(now + ID_STEP))
        }
    }
}

/// Creates a task: on disk when it returns, and carried out in the background.
///
/// # Errors
///
/// [`Error::LimitReached`] while the application has as many running as it may.
pub async fn create(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    (kind, input): (TaskKind, TaskInput),
    repeatable: Option<Repeatable<'_, Task>>,
) -> Result<Task> {
    let now = engine.clock().now();
    input.check(kind, now)?;
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    let id = TaskId::new(now, engine.entropy());
    let owner = owner(app, endpoint);
    let task = Task::new(id, owner, (kind, input.into_arguments(now)), now);
    // First what recognizes a repetition: it must not be refused because the first still runs.
    let remember = repeatable.map(|repeatable| repeatable.remember(now, &task));
    let create = Change::CreateTask(Box::new(task.clone()));
    let deed = Deed::within(app, Action::TaskCreated, &id);
    let noted = deed.noted(engine, Seen::NOTHING, audit::task(&task));
    engine
        .apply(remember.into_iter().chain([create, noted]).collect())
        .await?;
    Ok(task)
}

fn owner(app: &Snapshot, endpoint: EndpointKey) -> (OrganizationId, Subject) {
    let subject = Subject::Endpoint {
        app: app.stored.key,
        endpoint,
    };
    (app.stored.org.clone(), subject)
}

/// What a task would be about, as far as somebody has looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Deliveries it would make or cancel.
    pub found: u64,
    /// Messages looked at.
    pub looked: u64,
    /// There are more messages to look at than a preview does.
    pub more: bool,
}

/// Counts what a task would be about, without doing anything. It looks at
/// [`limit::TASK_PREVIEW_STEPS_MAX`] stretches at most.
pub async fn preview(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    (kind, input): (TaskKind, TaskInput),
) -> Result<Preview> {
    let now = engine.clock().now();
    input.check(kind, now)?;
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    let owner = owner(app, endpoint);
    let id = TaskId::new(now, engine.entropy());
    let mut task = Task::new(id, owner, (kind, input.into_arguments(now)), now);
    let mut preview = Preview::default();
    for _ in 0..limit::TASK_PREVIEW_STEPS_MAX {
        let store = engine.store();
        let stretch = store
            .candidates(&task, limit::TASK_STEP_SCAN_ROWS_MAX)
            .await?;
        preview.found += u64::try_from(stretch.found.len()).unwrap_or(u64::MAX);
        preview.looked += stretch.looked;
        preview.more = stretch.next.is_some();
        task.progress.cursor = stretch.next.map(MessageId::ksuid);
        if !preview.more {
            break;
        }
    }
    Ok(preview)
}

/// Whose background tasks somebody may know of.
#[derive(Clone, Debug)]
pub struct Owner {
    pub org: OrganizationId,
    /// Only this application's.
    pub app: Option<AppKey>,
}

impl Owner {
    fn owns(&self, task: &Task) -> bool {
        self.app.is_none_or(|app| Some(app) == task.app())
    }
}

pub async fn find(engine: &Engine, owner: &Owner, id: TaskId) -> Result<Task> {
    let found = engine.store().task(&owner.org, id).await?;
    let own = found.filter(|task| owner.owns(task));
    own.ok_or(Error::NotFound)
}

pub async fn list(
    engine: &Engine,
    owner: &Owner,
    filter: TaskFilter,
    range: Range<TaskId>,
) -> Result<Vec<Task>> {
    let filter = TaskFilter {
        app: owner.app,
        ..filter
    };
    Ok(engine.store().tasks(&owner.org, filter, range).await?)
}

/// Pauses, resumes or ends a task; what it has done stays. One that can't be steered so, because it
/// has ended, rests or runs already, stays as it is.
pub async fn steer(engine: &Engine, owner: &Owner, id: TaskId, steering: Steering) -> Result<Task> {
    find(engine, owner, id).await?;
    let now = engine.clock().now();
    let steered = engine.store().steer_task(&owner.org, id, steering, now);
    let steered = steered.await?.ok_or(Error::NotFound)?;
    if steering == Steering::Resume {
        engine.inner().new_task.notify_one();
    }
    let action = match steering {
        Steering::Pause => Action::TaskPaused,
        Steering::Resume => Action::TaskResumed,
        Steering::Cancel => Action::TaskCancelled,
    };
    let deed = Deed::of(&owner.org, action, &id);
    engine
        .apply(vec![deed.noted(engine, Seen::NOTHING, Seen::NOTHING)])
        .await?;
    Ok(steered)
}
