//! Background tasks on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::{Ksuid, TaskId};
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::reports::{Subscriptions, Usage};
use watchfire_engine::service::tasks::TaskInput;
use watchfire_store::{Task, TaskFailure, TaskKind, TaskState};

use super::attempt::{MessageStatus, StatusCodeClass};
use super::field::{all_named, required};
use super::report::{AppEventTypesOut, AppUsageOut};
use crate::error::ApiResult;

/// Which failures to recover from.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RecoverIn)]
pub(crate) struct RecoverIn {
    /// At most 14 days ago.
    #[schema(value_type = String, required, format = DateTime)]
    since: Option<Timestamp>,
    /// Now unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `false` gives each delivery a single attempt; otherwise it has the endpoint's whole retry
    /// schedule.
    retries: Option<bool>,
}

/// Which messages to look through for those that never went to the endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ReplayIn)]
pub(crate) struct ReplayIn {
    #[schema(value_type = String, required, format = DateTime)]
    since: Option<Timestamp>,
    /// Now unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// `false` gives each delivery a single attempt; otherwise it has the endpoint's whole retry
    /// schedule.
    retries: Option<bool>,
}

/// Which messages to send again, whatever became of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BulkReplayIn {
    #[schema(value_type = String, required, format = DateTime)]
    since: Option<Timestamp>,
    /// Now unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    event_types: Option<Vec<String>>,
    #[schema(max_length = 128)]
    channel: Option<String>,
    #[schema(max_length = 128)]
    tag: Option<String>,
    /// Only deliveries that ended so: 0 delivered, 2 failed, 4 canceled.
    #[schema(value_type = Option<u8>)]
    status: Option<MessageStatus>,
    /// Only deliveries whose last attempt was answered so: 0 where no answer came, 100 to 500.
    #[schema(value_type = Option<u16>)]
    status_code_class: Option<StatusCodeClass>,
    /// `false` gives each delivery a single attempt; otherwise it has the endpoint's whole retry
    /// schedule.
    retries: Option<bool>,
}

/// Which pending deliveries to cancel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelMsgsIn {
    /// Only messages created before then.
    #[schema(value_type = String, required, format = DateTime)]
    created_before: Option<Timestamp>,
    event_types: Option<Vec<String>>,
    #[schema(max_length = 128)]
    channel: Option<String>,
    #[schema(max_length = 128)]
    tag: Option<String>,
}

fn is_single(retries: Option<bool>) -> bool {
    retries == Some(false)
}

impl RecoverIn {
    pub(crate) fn into_input(self) -> ApiResult<TaskInput> {
        Ok(TaskInput {
            since: Some(required("since", self.since)?),
            until: self.until,
            once: is_single(self.retries),
            ..TaskInput::default()
        })
    }
}

impl ReplayIn {
    pub(crate) fn into_input(self) -> ApiResult<TaskInput> {
        Ok(TaskInput {
            since: Some(required("since", self.since)?),
            until: self.until,
            once: is_single(self.retries),
            ..TaskInput::default()
        })
    }
}

impl BulkReplayIn {
    pub(crate) fn into_input(self) -> ApiResult<TaskInput> {
        Ok(TaskInput {
            since: Some(required("since", self.since)?),
            until: self.until,
            event_types: all_named("eventTypes", self.event_types)?,
            channel: self.channel,
            tag: self.tag,
            status: self.status.map(|status| status.0),
            status_class: self.status_code_class.map(|class| class.0),
            once: is_single(self.retries),
            ..TaskInput::default()
        })
    }
}

impl CancelMsgsIn {
    pub(crate) fn into_input(self) -> ApiResult<TaskInput> {
        Ok(TaskInput {
            until: Some(required("createdBefore", self.created_before)?),
            event_types: all_named("eventTypes", self.event_types)?,
            channel: self.channel,
            tag: self.tag,
            ..TaskInput::default()
        })
    }
}

/// What was set going.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayOut {
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: TaskId,
    status: BackgroundTaskStatus,
    task: BackgroundTaskType,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<&Task> for ReplayOut {
    fn from(task: &Task) -> Self {
        Self {
            id: task.id,
            status: task.state.into(),
            task: task.kind.into(),
            updated_at: task.updated_at,
        }
    }
}

/// What was set going.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct RecoverOut(pub(crate) ReplayOut);

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum BackgroundTaskType {
    #[serde(rename = "endpoint.recover")]
    Recover,
    #[serde(rename = "endpoint.replay")]
    Replay,
    #[serde(rename = "endpoint.bulk-replay")]
    BulkReplay,
    /// No SDK knows it: listed only where it is asked for.
    #[serde(rename = "endpoint.cancel-msgs")]
    CancelMessages,
    #[serde(rename = "application.purge_content")]
    PurgeContent,
    #[serde(rename = "application.stats")]
    Usage,
    #[serde(rename = "event-type.aggregate")]
    Subscriptions,
}

impl From<TaskKind> for BackgroundTaskType {
    fn from(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Recover => Self::Recover,
            TaskKind::ReplayMissing => Self::Replay,
            TaskKind::BulkReplay => Self::BulkReplay,
            TaskKind::CancelMessages => Self::CancelMessages,
            TaskKind::PurgeContent => Self::PurgeContent,
            TaskKind::Usage => Self::Usage,
            TaskKind::Subscriptions => Self::Subscriptions,
        }
    }
}

impl BackgroundTaskType {
    pub(crate) fn kind(self) -> TaskKind {
        match self {
            Self::Recover => TaskKind::Recover,
            Self::Replay => TaskKind::ReplayMissing,
            Self::BulkReplay => TaskKind::BulkReplay,
            Self::CancelMessages => TaskKind::CancelMessages,
            Self::PurgeContent => TaskKind::PurgeContent,
            Self::Usage => TaskKind::Usage,
            Self::Subscriptions => TaskKind::Subscriptions,
        }
    }
}

/// Where a task stands, in the words every SDK reads: one that rests is `running`, one that a person
/// ended is `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackgroundTaskStatus {
    Running,
    Finished,
    Failed,
}

impl From<TaskState> for BackgroundTaskStatus {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Running | TaskState::Paused => Self::Running,
            TaskState::Finished => Self::Finished,
            TaskState::Failed(_) | TaskState::Cancelled => Self::Failed,
        }
    }
}

/// Where a task stands, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackgroundTaskState {
    Running,
    Finished,
    Failed,
    /// A person ended it; what it did stays.
    Cancelled,
    /// It rests until a person resumes it.
    Paused,
}

impl From<TaskState> for BackgroundTaskState {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Running => Self::Running,
            TaskState::Finished => Self::Finished,
            TaskState::Failed(_) => Self::Failed,
            TaskState::Cancelled => Self::Cancelled,
            TaskState::Paused => Self::Paused,
        }
    }
}

impl BackgroundTaskState {
    /// The state to filter by; a failure's reason does not matter there.
    pub(crate) fn state(self) -> TaskState {
        match self {
            Self::Running => TaskState::Running,
            Self::Finished => TaskState::Finished,
            Self::Failed => TaskState::Failed(TaskFailure::EndpointDeleted),
            Self::Cancelled => TaskState::Cancelled,
            Self::Paused => TaskState::Paused,
        }
    }
}

/// A background task and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackgroundTaskOut {
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: TaskId,
    status: BackgroundTaskStatus,
    state: BackgroundTaskState,
    task: BackgroundTaskType,
    data: TaskData,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// How far a task has come, and what it found out.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackgroundTaskData)]
pub(crate) struct TaskData {
    /// Deliveries made by a recover or replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_sent: Option<u64>,
    /// Deliveries settled by a cancelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_cancelled: Option<u64>,
    /// Payloads removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_purged: Option<u64>,
    /// Messages looked at so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_seen: Option<u64>,
    /// Applications looked at so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    applications_seen: Option<u64>,
    /// The span the task is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// When the last message or application it looked at was created, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    reached: Option<Timestamp>,
    /// The report of `application.stats`. Not in lists, and not before the task has finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_stats: Option<Vec<AppUsageOut>>,
    /// The report of `event-type.aggregate`. Not in lists, and not before the task has finished.
    #[serde(rename = "event_types", skip_serializing_if = "Option::is_none")]
    event_types: Option<Vec<AppEventTypesOut>>,
}

impl TaskData {
    fn new(task: &Task) -> Self {
        let progress = task.progress;
        let (done, looked) = (Some(progress.done), Some(progress.looked));
        let about_messages = Self {
            messages_seen: looked,
            since: Some(task.arguments.since),
            until: Some(task.arguments.until),
            reached: progress.cursor.map(Ksuid::created_at),
            ..Self::default()
        };
        match task.kind {
            TaskKind::Recover | TaskKind::ReplayMissing | TaskKind::BulkReplay => Self {
                messages_sent: done,
                ..about_messages
            },
            TaskKind::CancelMessages => Self {
                messages_cancelled: done,
                ..about_messages
            },
            TaskKind::PurgeContent => Self {
                messages_purged: done,
                ..about_messages
            },
            TaskKind::Usage => Self {
                applications_seen: looked,
                messages_seen: None,
                ..about_messages
            },
            TaskKind::Subscriptions => Self {
                applications_seen: looked,
                ..Self::default()
            },
        }
    }
}

impl From<&Task> for BackgroundTaskOut {
    fn from(task: &Task) -> Self {
        Self {
            id: task.id,
            status: task.state.into(),
            state: task.state.into(),
            task: task.kind.into(),
            data: TaskData::new(task),
            updated_at: task.updated_at,
            created_at: task.created_at,
            error: match task.state {
                TaskState::Failed(TaskFailure::EndpointDeleted) => Some("the endpoint was deleted"),
                TaskState::Failed(TaskFailure::ReportTooLarge) => {
                    Some("there is more to report than a report may hold; name applications")
                }
                TaskState::Cancelled => Some("somebody ended it"),
                TaskState::Running | TaskState::Paused | TaskState::Finished => None,
            },
        }
    }
}

impl BackgroundTaskOut {
    pub(crate) fn with_usage(mut self, report: Vec<Usage>) -> Self {
        self.data.app_stats = Some(report.into_iter().map(AppUsageOut::from).collect());
        self
    }

    pub(crate) fn with_subscriptions(mut self, report: Vec<Subscriptions>) -> Self {
        let report = report.into_iter().map(AppEventTypesOut::from);
        self.data.event_types = Some(report.collect());
        self
    }
}
