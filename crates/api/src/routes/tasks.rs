//! Background tasks: recover, replay, cancel, and what has become of them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use watchfire_domain::id::TaskId;
use watchfire_engine::service::tasks::{self, Owner, TaskInput};
use watchfire_engine::service::{Repeatable, reports};
use watchfire_store::{EndpointRef, Order, Steering, Task, TaskFilter, TaskKind, TaskState};

use super::endpoints::EndpointPath;
use crate::auth::{App, By, OwnTasks};
use crate::error::{ApiResult, Code};
use crate::extract::{Body, Params, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::page::{ListResponse, OrderQuery, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::task::{
    BackgroundTaskOut, BackgroundTaskState, BackgroundTaskType, BulkReplayIn, CancelMsgsIn,
    RecoverIn, RecoverOut, ReplayIn, ReplayOut,
};

/// Sets a task going, and answers it as `out` says.
async fn create<T: Serialize>(
    (api, app): (&ApiState, &App),
    endpoint: &EndpointRef,
    (kind, input): (TaskKind, TaskInput),
    body: &Body,
    out: impl Fn(&Task) -> T + Send + Sync,
) -> ApiResult<Response> {
    let once = body.once(&app.org);
    let answer = |made: &Task| written(StatusCode::ACCEPTED, &to_json(&out(made)));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    let (engine, work) = (api.engine(), (kind, input));
    match tasks::create(engine, &app.snapshot, endpoint, work, repeatable).await {
        Ok(made) => Ok(json(StatusCode::ACCEPTED, &out(&made))),
        Err(error) => replay(error, once),
    }
}

/// Delivers everything again that failed at the endpoint since a time
///
/// A delivery that was exhausted or skipped is made again, under the same `webhook-id`. What is
/// still being retried is left alone.
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
    operation_id = "v1.endpoint.recover", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    request_body = RecoverIn, responses((status = 202, body = RecoverOut), Errors),
)]
pub(super) async fn recover(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let work = (TaskKind::Recover, body.parse::<RecoverIn>()?.into_input()?);
    let endpoint = path.reference()?;
    let out = |task: &Task| RecoverOut(task.into());
    create((&api, &app), &endpoint, work, &body, out).await
}

/// Delivers what the endpoint subscribes to and never got
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    operation_id = "v1.endpoint.replay-missing", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    request_body = ReplayIn, responses((status = 202, body = ReplayOut), Errors),
)]
pub(super) async fn replay_missing(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let work = (
        TaskKind::ReplayMissing,
        body.parse::<ReplayIn>()?.into_input()?,
    );
    let endpoint = path.reference()?;
    create((&api, &app), &endpoint, work, &body, |task| {
        ReplayOut::from(task)
    })
    .await
}

/// Delivers a selection again, whether it was delivered or failed
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
    operation_id = "v1.endpoint.bulk-replay", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    request_body = BulkReplayIn, responses((status = 202, body = ReplayOut), Errors),
)]
pub(super) async fn bulk_replay(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let work = (
        TaskKind::BulkReplay,
        body.parse::<BulkReplayIn>()?.into_input()?,
    );
    let endpoint = path.reference()?;
    create((&api, &app), &endpoint, work, &body, |task| {
        ReplayOut::from(task)
    })
    .await
}

/// Cancels pending deliveries of the endpoint
///
/// They are cancelled in the background, by a task of the type `endpoint.cancel-msgs`. A request
/// that is on its way is not called back; it is not tried again.
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/cancel-msgs",
    operation_id = "v1.endpoint.cancel-msgs", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    request_body = CancelMsgsIn, responses((status = 204), Errors),
)]
pub(super) async fn cancel_messages(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<CancelMsgsIn>()?.into_input()?;
    let (endpoint, once) = (path.reference()?, body.once(&app.org));
    let answer = |_: &Task| written(StatusCode::NO_CONTENT, &[]);
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    let (engine, work) = (api.engine(), (TaskKind::CancelMessages, input));
    match tasks::create(engine, &app.snapshot, &endpoint, work, repeatable).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => replay(error, once),
    }
}

/// Which tasks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TasksQuery {
    /// How it stands, exactly.
    status: Option<BackgroundTaskState>,
    /// Unless given, all but `endpoint.cancel-msgs`, which no SDK knows.
    task: Option<BackgroundTaskType>,
}

/// Lists background tasks, newest first: an application's caller sees its own
#[utoipa::path(
    get, path = "/api/v1/background-task", operation_id = "v1.background-task.list",
    tag = "Background Task", params(TasksQuery, PageQuery, OrderQuery),
    responses((status = 200, body = ListResponse<BackgroundTaskOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    OwnTasks(owner): OwnTasks,
    Params(query): Params<TasksQuery>,
    Params(page): Params<PageQuery>,
    Params(order): Params<OrderQuery>,
) -> ApiResult<Response> {
    let page = Page::<TaskId>::new(&page, order.or(Order::Descending))?;
    let filter = TaskFilter {
        kind: query.task.map(BackgroundTaskType::kind),
        without: query.task.is_none().then_some(TaskKind::CancelMessages),
        state: query.status.map(BackgroundTaskState::state),
        ..TaskFilter::default()
    };
    let found = tasks::list(api.engine(), &owner, filter, page.range()).await?;
    let id = |task: &Task| task.id.to_string();
    let answer = page.answer(found, id, |task| BackgroundTaskOut::from(&task));
    Ok(json(StatusCode::OK, &answer))
}

/// The task a path names.
#[derive(Deserialize)]
pub(super) struct TaskPath {
    task_id: String,
}

impl TaskPath {
    fn id(&self) -> ApiResult<TaskId> {
        self.task_id.parse().map_err(|_| Code::NotFound.into())
    }
}

/// Answers a background task
#[utoipa::path(
    get, path = "/api/v1/background-task/{task_id}", operation_id = "v1.background-task.get",
    tag = "Background Task", params(("task_id" = String, Path)),
    responses((status = 200, body = BackgroundTaskOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    OwnTasks(owner): OwnTasks,
    Path(path): Path<TaskPath>,
) -> ApiResult<Response> {
    let task = tasks::find(api.engine(), &owner, path.id()?).await?;
    let out = BackgroundTaskOut::from(&task);
    let out = match (task.kind, task.state) {
        (TaskKind::Usage, TaskState::Finished) => {
            out.with_usage(reports::found(api.engine(), &task).await?)
        }
        (TaskKind::Subscriptions, TaskState::Finished) => {
            out.with_subscriptions(reports::found(api.engine(), &task).await?)
        }
        _ => out,
    };
    Ok(json(StatusCode::OK, &out))
}

/// Ends a background task; what it has done stays
///
/// One that has ended already stays as it is. One that is paused can be ended as well.
#[utoipa::path(
    post, path = "/api/v1/background-task/{task_id}/cancel",
    operation_id = "v1.background-task.cancel", tag = "Background Task",
    params(("task_id" = String, Path)),
    responses((status = 200, body = BackgroundTaskOut), Errors),
)]
pub(super) async fn cancel(
    By(api): By,
    OwnTasks(owner): OwnTasks,
    Path(path): Path<TaskPath>,
) -> ApiResult<Response> {
    steer((&api, &owner), &path, Steering::Cancel).await
}

/// Pauses a background task
///
/// What it has made due is sent; nothing more is made until it is resumed. One that does not run
/// stays as it is.
#[utoipa::path(
    post, path = "/api/v1/background-task/{task_id}/pause",
    operation_id = "v1.background-task.pause", tag = "Background Task",
    params(("task_id" = String, Path)),
    responses((status = 200, body = BackgroundTaskOut), Errors),
)]
pub(super) async fn pause(
    By(api): By,
    OwnTasks(owner): OwnTasks,
    Path(path): Path<TaskPath>,
) -> ApiResult<Response> {
    steer((&api, &owner), &path, Steering::Pause).await
}

/// Resumes a paused background task
///
/// It goes on where it is. One that is not paused stays as it is.
#[utoipa::path(
    post, path = "/api/v1/background-task/{task_id}/resume",
    operation_id = "v1.background-task.resume", tag = "Background Task",
    params(("task_id" = String, Path)),
    responses((status = 200, body = BackgroundTaskOut), Errors),
)]
pub(super) async fn resume(
    By(api): By,
    OwnTasks(owner): OwnTasks,
    Path(path): Path<TaskPath>,
) -> ApiResult<Response> {
    steer((&api, &owner), &path, Steering::Resume).await
}

async fn steer(
    (api, owner): (&ApiState, &Owner),
    path: &TaskPath,
    steering: Steering,
) -> ApiResult<Response> {
    let task = tasks::steer(api.engine(), owner, path.id()?, steering).await?;
    Ok(json(StatusCode::OK, &BackgroundTaskOut::from(&task)))
}
