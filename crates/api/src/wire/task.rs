//! Background tasks on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::{EventType, TaskId};
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::tasks::TaskInput;
use watchfire_store::{Task, TaskFailure, TaskKind, TaskState};

use super::attempt::{MessageStatus, StatusCodeClass};
use super::field::required;
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
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Vec<EventType>>,
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
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Vec<EventType>>,
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
            event_types: self.event_types.unwrap_or_default(),
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
            event_types: self.event_types.unwrap_or_default(),
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
    #[serde(rename = "endpoint.cancel-msgs")]
    CancelMessages,
}

impl From<TaskKind> for BackgroundTaskType {
    fn from(kind: TaskKind) -> Self {
        match kind {
            TaskKind::Recover => Self::Recover,
            TaskKind::ReplayMissing => Self::Replay,
            TaskKind::BulkReplay => Self::BulkReplay,
            TaskKind::CancelMessages => Self::CancelMessages,
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
        }
    }
}

/// Where a task stands. `paused` and `cancelled` come only from this server's own operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackgroundTaskStatus {
    Running,
    Finished,
    Failed,
    Cancelled,
    Paused,
}

impl From<TaskState> for BackgroundTaskStatus {
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

impl BackgroundTaskStatus {
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

/// How far a task has come.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackgroundTaskData)]
pub(crate) struct TaskData {
    /// Deliveries made by a recover or replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_sent: Option<u64>,
    /// Deliveries settled by a cancelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_cancelled: Option<u64>,
    /// Messages looked at so far.
    messages_seen: u64,
    /// The span the task goes through, from its oldest message to its newest.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// When the last message it looked at was created, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    reached: Option<Timestamp>,
}

impl From<&Task> for BackgroundTaskOut {
    fn from(task: &Task) -> Self {
        let progress = task.progress;
        let cancels = task.kind == TaskKind::CancelMessages;
        let data = TaskData {
            messages_sent: (!cancels).then_some(progress.done),
            messages_cancelled: cancels.then_some(progress.done),
            messages_seen: progress.looked,
            since: task.arguments.since,
            until: task.arguments.until,
            reached: progress.cursor.map(|id| id.ksuid().created_at()),
        };
        Self {
            id: task.id,
            status: task.state.into(),
            task: task.kind.into(),
            data,
            updated_at: task.updated_at,
            created_at: task.created_at,
            error: match task.state {
                TaskState::Failed(TaskFailure::EndpointDeleted) => Some("the endpoint was deleted"),
                TaskState::Running
                | TaskState::Paused
                | TaskState::Finished
                | TaskState::Cancelled => None,
            },
        }
    }
}
