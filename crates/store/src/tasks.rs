//! Background tasks: work that survives a restart, on many deliveries of one endpoint, on all of an
//! application, or on all applications of an organization.
//!
//! A task is read, one step of it is planned from what [`Tasks::candidates`] or the configuration
//! says, and
//! [`Tasks::advance_task`] carries the step out in one transaction with the task's new place. A
//! crash between any two of these repeats nothing and loses nothing.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use watchfire_domain::attempt::Attempt;
use watchfire_domain::id::{ApplicationId, EventType, Ksuid, MessageId, OrganizationId, TaskId};
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::configuration::Range;
use crate::history::{DeliveryStatus, Owed};
use crate::keys::{AppKey, EndpointKey, Seq};
use crate::ledger::{DeliveryRef, NewOwed, StoredMessage};
use crate::nodes::Life;

/// Background tasks. They are created with [`crate::Change::CreateTask`].
#[async_trait]
pub trait Tasks: Send + Sync {
    async fn task(&self, org: &OrganizationId, id: TaskId) -> StoreResult<Option<Task>>;

    /// Tasks of an organization by id.
    async fn tasks(
        &self,
        org: &OrganizationId,
        filter: TaskFilter,
        range: Range<TaskId>,
    ) -> StoreResult<Vec<Task>>;

    /// Running tasks of all organizations, ascending by id, starting after `after`.
    async fn running_tasks(&self, after: Option<TaskId>, limit: usize) -> StoreResult<Vec<Task>>;

    /// The next messages, behind the task's place, whose delivery the task is about, the oldest
    /// first and without their payloads. Looks at a bounded number of rows. None for a task that
    /// is not about messages.
    async fn candidates(&self, task: &Task, limit: usize) -> StoreResult<Candidates>;

    /// Counts an endpoint's ordinary deliveries that are due at `now` and not leased, up to
    /// `at_most`.
    async fn count_due(
        &self,
        endpoint: EndpointKey,
        now: Timestamp,
        at_most: usize,
    ) -> StoreResult<usize>;

    /// Carries out a step and moves the task on, in one transaction. A write whose delivery has
    /// moved on since it was planned is left out.
    /// [`crate::StoreError::Fenced`] if the life has ended.
    async fn advance_task(
        &self,
        life: &Life,
        now: Timestamp,
        step: TaskStep,
    ) -> StoreResult<Advanced>;

    /// What a task has found out so far, a part for each step that found something, in their
    /// order. Nothing for a task of another organization.
    async fn task_report(&self, org: &OrganizationId, id: TaskId) -> StoreResult<Vec<String>>;

    /// Pauses, resumes or ends a task, as [`Task::steered`] says. `None` if there is no such task;
    /// one that can't be steered so stays as it is.
    async fn steer_task(
        &self,
        org: &OrganizationId,
        id: TaskId,
        steering: Steering,
        now: Timestamp,
    ) -> StoreResult<Option<Task>>;
}

/// A background task as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub id: TaskId,
    pub org: OrganizationId,
    pub subject: Subject,
    pub kind: TaskKind,
    pub arguments: TaskArguments,
    pub progress: TaskProgress,
    pub state: TaskState,
    /// How long it was paused so far, a pause that lasts not counted.
    pub paused_for: Duration,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Task {
    /// A task that has not begun.
    pub fn new(
        id: TaskId,
        owner: (OrganizationId, Subject),
        work: (TaskKind, TaskArguments),
        now: Timestamp,
    ) -> Self {
        let ((org, subject), (kind, arguments)) = (owner, work);
        Self {
            id,
            org,
            subject,
            kind,
            arguments,
            progress: TaskProgress::default(),
            state: TaskState::Running,
            paused_for: Duration::ZERO,
            created_at: now,
            updated_at: now,
        }
    }

    /// The endpoint whose deliveries it is about.
    pub fn endpoint(&self) -> Option<EndpointKey> {
        match self.subject {
            Subject::Endpoint { endpoint, .. } => Some(endpoint),
            Subject::Application(_) | Subject::Organization => None,
        }
    }

    /// The application it belongs to.
    pub fn app(&self) -> Option<AppKey> {
        match self.subject {
            Subject::Endpoint { app, .. } | Subject::Application(app) => Some(app),
            Subject::Organization => None,
        }
    }

    /// The task as a person's word makes it; `None` if that changes nothing.
    pub fn steered(&self, steering: Steering, now: Timestamp) -> Option<Self> {
        let state = match (self.state, steering) {
            (TaskState::Running, Steering::Pause) => TaskState::Paused,
            (TaskState::Paused, Steering::Resume) => TaskState::Running,
            (TaskState::Running | TaskState::Paused, Steering::Cancel) => TaskState::Cancelled,
            (TaskState::Running, Steering::Resume)
            | (TaskState::Paused, Steering::Pause)
            | (TaskState::Finished | TaskState::Failed(_) | TaskState::Cancelled, _) => {
                return None;
            }
        };
        Some(Self {
            state,
            paused_for: self.paused_for + self.pause_at(now),
            updated_at: now,
            ..self.clone()
        })
    }

    /// How long it has worked until then.
    pub fn worked(&self, now: Timestamp) -> Duration {
        let until = match self.state {
            TaskState::Running | TaskState::Paused => now,
            TaskState::Finished | TaskState::Failed(_) | TaskState::Cancelled => self.updated_at,
        };
        let paused = self.paused_for + self.pause_at(now);
        until.since(self.created_at).saturating_sub(paused)
    }

    /// How long the pause has lasted, if it is paused.
    fn pause_at(&self, now: Timestamp) -> Duration {
        match self.state {
            TaskState::Paused => now.since(self.updated_at),
            TaskState::Running
            | TaskState::Finished
            | TaskState::Failed(_)
            | TaskState::Cancelled => Duration::ZERO,
        }
    }
}

/// What a person tells a task to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// To rest where it is.
    Pause,
    /// To go on where it rests.
    Resume,
    /// To end; what it did stays.
    Cancel,
}

/// What a task is about. Its kind says which it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Deliveries to one endpoint.
    Endpoint { app: AppKey, endpoint: EndpointKey },
    /// All of an application.
    Application(AppKey),
    /// All applications of the organization.
    Organization,
}

/// What a task does with what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Sends again what was exhausted or skipped.
    Recover,
    /// Sends what never went to the endpoint.
    ReplayMissing,
    /// Sends again whatever was settled.
    BulkReplay,
    /// Settles what is owed as cancelled.
    CancelMessages,
    /// Removes the payloads of an application's messages.
    PurgeContent,
    /// Reports the deliveries of an organization's applications.
    Usage,
    /// Reports which event types an organization's applications subscribe to.
    Subscriptions,
}

/// Which messages a task is about. Never changes once the task was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskArguments {
    /// Only messages accepted from then on.
    pub since: Timestamp,
    /// Only messages accepted before then.
    pub until: Timestamp,
    /// Any of these; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<EventType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// How the delivery must have ended, for [`TaskKind::BulkReplay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    /// As in [`crate::AttemptFilter`], of the delivery's last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_class: Option<u8>,
    /// What is sent again is attempted once, whatever the retry schedule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// How many messages there were to look at, if somebody had counted them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Only these applications, ascending, for [`TaskKind::Usage`]; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationId>,
}

impl TaskArguments {
    /// All messages of a span.
    pub fn of_span(since: Timestamp, until: Timestamp) -> Self {
        Self {
            since,
            until,
            event_types: Vec::new(),
            channel: None,
            tag: None,
            status: None,
            status_class: None,
            once: false,
            messages: None,
            applications: Vec::new(),
        }
    }
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskProgress {
    /// The id of the last message or application that was looked at.
    pub cursor: Option<Ksuid>,
    /// Messages or applications looked at.
    pub looked: u64,
    /// Deliveries made or cancelled, payloads removed, applications reported.
    pub done: u64,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskState {
    Running,
    /// A person has told it to rest; it goes on where it is.
    Paused,
    Finished,
    Failed(TaskFailure),
    /// A person ended it; what it did stays.
    Cancelled,
}

/// Why a task could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskFailure {
    /// The endpoint or its application was deleted.
    EndpointDeleted,
    /// The organization has more to report than a report may hold.
    ReportTooLarge,
}

/// Which tasks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    pub kind: Option<TaskKind>,
    /// Leave these out.
    pub without: Option<TaskKind>,
    /// The state, whatever the reason of a failure.
    pub state: Option<TaskState>,
    /// Only this application's.
    pub app: Option<AppKey>,
}

/// A stretch of the messages a task walks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    pub found: Vec<Candidate>,
    /// Messages looked at, those left out included.
    pub looked: u64,
    /// Deliveries of the stretch that are leased just now, where the task must wait for them.
    pub leased: u64,
    /// The last message looked at; `None` if there are no more.
    pub next: Option<MessageId>,
}

/// A delivery a task may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub stored: StoredMessage,
    /// Set if it is owed.
    pub owed: Option<Owed>,
}

/// One step of a task.
#[derive(Clone, Debug)]
pub struct TaskStep {
    /// The task as it was read; the step is dropped if it has moved on since.
    pub task: Task,
    pub writes: Vec<TaskWrite>,
    /// Where the task goes on; `None` begins again.
    pub cursor: Option<Ksuid>,
    /// Messages or applications looked at in this step.
    pub looked: u64,
    /// What was found out about them.
    pub report: Option<ReportPart>,
    pub state: TaskState,
}

/// What a step has found out, in the words of whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPart {
    pub text: String,
    /// The applications it is about.
    pub items: u64,
}

/// One write of a step.
#[derive(Clone, Debug)]
pub enum TaskWrite {
    /// A new delivery of a message, if what the task looks for still holds and its payload is
    /// there.
    Send(NewOwed),
    /// An owed delivery ends with this attempt, which must be final; if it is leased, it stays.
    Cancel {
        delivery: DeliveryRef,
        attempt: Box<Attempt>,
    },
    /// A message's payload is removed, if it is there.
    Expunge(Seq),
}

impl TaskWrite {
    /// The message's place.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Send(owed) => owed.delivery.seq,
            Self::Cancel { delivery, .. } => delivery.seq,
            Self::Expunge(seq) => *seq,
        }
    }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// So many of its writes were done.
    Done(usize),
    /// The task has ended or moved on since it was read; nothing was done.
    Stale,
}

#[cfg(test)]
mod tests {
    use watchfire_domain::id::Ksuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn task(state: TaskState) -> Task {
        let subject = Subject::Endpoint {
            app: AppKey(1),
            endpoint: EndpointKey(1),
        };
        let owner = ("org_one".parse().expect("valid"), subject);
        let arguments = TaskArguments::of_span(at(0), at(1));
        let id = TaskId::from_ksuid(Ksuid::MIN);
        Task {
            state,
            ..Task::new(id, owner, (TaskKind::Recover, arguments), at(0))
        }
    }

    #[test]
    fn what_has_ended_is_not_steered() {
        use {Steering as S, TaskState as T};
        let failed = T::Failed(TaskFailure::EndpointDeleted);
        for (from, pause, resume, cancel) in [
            (T::Running, Some(T::Paused), None, Some(T::Cancelled)),
            (T::Paused, None, Some(T::Running), Some(T::Cancelled)),
            (T::Finished, None, None, None),
            (failed, None, None, None),
            (T::Cancelled, None, None, None),
        ] {
            let to = |steering| task(from).steered(steering, at(9)).map(|task| task.state);
            let reached = (to(S::Pause), to(S::Resume), to(S::Cancel));
            assert_eq!(reached, (pause, resume, cancel), "{from:?}");
        }
    }

    #[test]
    fn pauses_are_no_work() {
        let steer = |task: &Task, steering, now| task.steered(steering, now).expect("it may");
        let task = task(TaskState::Running);
        assert_eq!(task.worked(at(10)), Duration::from_secs(10));
        let paused = steer(&task, Steering::Pause, at(10));
        assert_eq!(paused.worked(at(100)), Duration::from_secs(10));
        let resumed = steer(&paused, Steering::Resume, at(100));
        assert_eq!(resumed.worked(at(105)), Duration::from_secs(15));
        let again = steer(&resumed, Steering::Pause, at(105));
        let ended = steer(&again, Steering::Cancel, at(200));
        assert_eq!(ended.paused_for, Duration::from_secs(185));
        assert_eq!(ended.worked(at(500)), Duration::from_secs(15));
    }
}
