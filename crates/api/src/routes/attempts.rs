//! Attempts and deliveries: what became of messages.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_domain::id::{AttemptId, EndpointId, MessageId};
use watchfire_engine::service::Repeatable;
use watchfire_engine::service::attempts::{self, AttemptView};
use watchfire_engine::service::requests;
use watchfire_store::{AttemptFilter, MessageRef, Order};

use super::endpoints::{EndpointPath, endpoint_ref};
use super::messages::{MessagePath, yes};
use crate::auth::{App, By, OrgApp};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Body, Params, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::page::{EventTypes, ListResponse, Page, PageQuery, Timed, WindowQuery};
use crate::state::ApiState;
use crate::wire::attempt::{
    EmptyResponse, EndpointMessageOut, MessageAttemptOut, MessageEndpointOut, MessageStatus, Shown,
    StatusCodeClass,
};

/// Which attempts to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FilterQuery {
    channel: Option<String>,
    tag: Option<String>,
    /// 0 delivered, 1 pending, 2 failed, 3 sending, 4 canceled.
    #[param(value_type = Option<u8>, maximum = 4)]
    status: Option<MessageStatus>,
    /// 0 where no answer came, 100 to 500.
    #[param(value_type = Option<u16>, maximum = 500, multiple_of = 100)]
    status_code_class: Option<StatusCodeClass>,
    /// Only attempts at this endpoint.
    endpoint_id: Option<String>,
    /// Answer bodies and payloads.
    #[serde(default = "yes")]
    with_content: bool,
    /// Answer what was canceled as such (4); as delivered (0) if false, for older clients.
    #[serde(default = "yes")]
    expanded_statuses: bool,
}

/// Which attempts to list, as the store takes it.
pub(super) struct Wanted {
    filter: AttemptFilter,
    endpoint: Option<String>,
    shown: Shown,
}

impl FromRequestParts<ApiState> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> ApiResult<Self> {
        let Params(query) = Params::<FilterQuery>::from_request_parts(parts, api).await?;
        let EventTypes(event_types) = EventTypes::from_request_parts(parts, api).await?;
        Ok(Self {
            filter: AttemptFilter {
                event_types,
                channel: query.channel,
                tag: query.tag,
                status: query.status.map(|status| status.0),
                status_class: query.status_code_class.map(|class| class.0),
                endpoint: None,
                without_content: !query.with_content,
            },
            endpoint: query.endpoint_id,
            shown: Shown {
                content: query.with_content,
                cancelled: query.expanded_statuses,
            },
        })
    }
}

/// What a list of attempts is asked for.
pub(super) struct AttemptsQuery {
    page: Page<AttemptId>,
    wanted: Wanted,
}

impl FromRequestParts<ApiState> for AttemptsQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> ApiResult<Self> {
        let Timed(page) = Timed::from_request_parts(parts, api).await?;
        let wanted = Wanted::from_request_parts(parts, api).await?;
        Ok(Self { page, wanted })
    }
}

impl AttemptsQuery {
    fn answer(&self, found: Vec<AttemptView>) -> Response {
        let answer = self.page.answer(
            found,
            |view| view.stored.attempt.id.to_string(),
            |view| MessageAttemptOut::new(view, self.wanted.shown),
        );
        json(StatusCode::OK, &answer)
    }
}

/// Lists the attempts at an endpoint, newest first
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    operation_id = "v1.message-attempt.list-by-endpoint", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path), PageQuery, WindowQuery,
        FilterQuery, MessageQuery, ("event_types" = Option<Vec<String>>, Query)
    ),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), Errors),
)]
pub(super) async fn of_endpoint(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
    Params(message): Params<MessageQuery>,
    query: AttemptsQuery,
) -> ApiResult<Response> {
    let (reference, range) = (path.reference()?, query.page.range());
    let (engine, filter) = (api.engine(), &query.wanted.filter);
    let mut found = attempts::of_endpoint(engine, &app.snapshot, &reference, filter, range).await?;
    if message.with_msg {
        found = attempts::with_messages(engine, &app.snapshot, found).await?;
    }
    Ok(query.answer(found))
}

/// Whether attempts bring their messages along.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MessageQuery {
    /// Answer the messages as well, without their payloads.
    #[serde(default)]
    with_msg: bool,
}

/// Lists the attempts to deliver a message, newest first
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/attempt/msg/{msg_id}",
    operation_id = "v1.message-attempt.list-by-msg", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("msg_id" = String, Path), PageQuery, WindowQuery,
        FilterQuery, ("event_types" = Option<Vec<String>>, Query)
    ),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), Errors),
)]
pub(super) async fn of_message(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<MessagePath>,
    query: AttemptsQuery,
) -> ApiResult<Response> {
    attempts_of(&api, &app, &path.reference()?, query).await
}

/// Lists the attempts to deliver a message; use `attempt/msg/{msg_id}`
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt",
    operation_id = "v1.message-attempt.list-by-msg-deprecated", tag = "Message Attempt",
    params(("app_id" = String, Path), ("msg_id" = String, Path), PageQuery, WindowQuery, FilterQuery),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), Errors),
)]
#[deprecated = "an older path that clients still use"]
pub(super) async fn of_message_older(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<MessagePath>,
    query: AttemptsQuery,
) -> ApiResult<Response> {
    attempts_of(&api, &app, &path.reference()?, query).await
}

/// Lists the attempts to deliver a message to an endpoint; use `attempt/msg/{msg_id}`
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt",
    operation_id = "v1.message-attempt.list-by-endpoint-deprecated", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("msg_id" = String, Path), ("endpoint_id" = String, Path),
        PageQuery, WindowQuery, FilterQuery
    ),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), Errors),
)]
#[deprecated = "an older path that clients still use"]
pub(super) async fn of_destination_older(
    State(api): State<ApiState>,
    app: App,
    Path(message): Path<MessagePath>,
    Path(endpoint): Path<EndpointPath>,
    mut query: AttemptsQuery,
) -> ApiResult<Response> {
    query.wanted.endpoint = Some(endpoint.into_text());
    attempts_of(&api, &app, &message.reference()?, query).await
}

async fn attempts_of(
    api: &ApiState,
    app: &App,
    message: &MessageRef,
    mut query: AttemptsQuery,
) -> ApiResult<Response> {
    let engine = api.engine();
    if let Some(endpoint) = &query.wanted.endpoint {
        let reference = endpoint_ref(endpoint).ok_or(Code::NotFound)?;
        let key = attempts::endpoint_key(engine, &app.snapshot, &reference).await?;
        query.wanted.filter.endpoint = Some(key);
    }
    let range = query.page.range();
    let found =
        attempts::of_message(engine, &app.snapshot, message, &query.wanted.filter, range).await?;
    Ok(query.answer(found))
}

/// Lists the messages that went to an endpoint or are owed to it, newest first
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/msg",
    operation_id = "v1.message-attempt.list-attempted-messages", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path), PageQuery, WindowQuery,
        FilterQuery, ("event_types" = Option<Vec<String>>, Query)
    ),
    responses((status = 200, body = ListResponse<EndpointMessageOut>), Errors),
)]
pub(super) async fn messages_to(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
    Timed(page): Timed<MessageId>,
    wanted: Wanted,
) -> ApiResult<Response> {
    let (reference, range) = (path.reference()?, page.range());
    let engine = api.engine();
    let found =
        attempts::messages_to(engine, &app.snapshot, &reference, &wanted.filter, range).await?;
    let answer = page.answer_all(
        &found,
        |attempted| attempted.stored.message.id.to_string(),
        |attempted| EndpointMessageOut::new(attempted, wanted.shown),
    )?;
    Ok(json(StatusCode::OK, &answer))
}

/// Lists the endpoints a message went to or is owed to
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint",
    operation_id = "v1.message-attempt.list-attempted-destinations", tag = "Message Attempt",
    params(("app_id" = String, Path), ("msg_id" = String, Path), PageQuery),
    responses((status = 200, body = ListResponse<MessageEndpointOut>), Errors),
)]
pub(super) async fn destinations(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<MessagePath>,
    Params(query): Params<PageQuery>,
) -> ApiResult<Response> {
    let page = Page::<EndpointId>::new(&query, Order::Ascending)?;
    let all = attempts::destinations(api.engine(), &app.snapshot, &path.reference()?).await?;
    let id = |to: &attempts::Destination| to.endpoint.stored.endpoint.identity.id;
    let answer = page.answer(
        page.select(all, id),
        |to| id(to).to_string(),
        |to| MessageEndpointOut::new(&to, api.fingerprints()),
    );
    Ok(json(StatusCode::OK, &answer))
}

/// The attempt a path names.
#[derive(Deserialize)]
pub(super) struct AttemptPath {
    attempt_id: String,
}

impl AttemptPath {
    fn id(&self) -> ApiResult<AttemptId> {
        self.attempt_id.parse().map_err(|_| Code::NotFound.into())
    }
}

/// Answers an attempt
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
    operation_id = "v1.message-attempt.get", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("msg_id" = String, Path), ("attempt_id" = String, Path),
        StatusesQuery
    ),
    responses((status = 200, body = MessageAttemptOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    app: App,
    Path(message): Path<MessagePath>,
    Path(attempt): Path<AttemptPath>,
    Params(statuses): Params<StatusesQuery>,
) -> ApiResult<Response> {
    let (message, id) = (message.reference()?, attempt.id()?);
    let found = attempts::find(api.engine(), &app.snapshot, &message, id).await?;
    let request = requests::of_attempt(api.engine(), &app.snapshot, &found).await?;
    let shown = Shown {
        content: true,
        cancelled: statuses.expanded_statuses,
    };
    let out = MessageAttemptOut::new(found, shown).with_request(request);
    Ok(json(StatusCode::OK, &out))
}

/// Which statuses an attempt may have.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatusesQuery {
    /// Answer what was canceled as such (4); as delivered (0) if false, for older clients.
    #[serde(default = "yes")]
    expanded_statuses: bool,
}

/// Removes what a receiver answered
#[utoipa::path(
    delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
    operation_id = "v1.message-attempt.expunge-content", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("msg_id" = String, Path), ("attempt_id" = String, Path)
    ),
    responses((status = 204), Errors),
)]
pub(super) async fn expunge(
    By(api): By,
    app: OrgApp,
    Path(message): Path<MessagePath>,
    Path(attempt): Path<AttemptPath>,
) -> ApiResult<StatusCode> {
    let (message, id) = (message.reference()?, attempt.id()?);
    attempts::expunge(api.engine(), &app.snapshot, &message, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delivers a message to an endpoint again
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    operation_id = "v1.message-attempt.resend", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("msg_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    responses((status = 202, body = EmptyResponse), Errors),
)]
pub(super) async fn resend(
    State(api): State<ApiState>,
    app: App,
    Path(message): Path<MessagePath>,
    Path(endpoint): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let (message, endpoint) = (message.reference()?, endpoint.reference()?);
    let once = body.once(&app.org);
    let answer = |(): &()| written(StatusCode::ACCEPTED, &to_json(&EmptyResponse {}));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    let engine = api.engine();
    match attempts::resend(engine, &app.snapshot, &message, &endpoint, repeatable).await {
        Ok(()) => Ok(json(StatusCode::ACCEPTED, &EmptyResponse {})),
        Err(error) => replay(error, once),
    }
}

/// Cancels a pending delivery
///
/// It is settled as canceled and not tried again; the next message of its record goes on. A request
/// that is on its way is not called back.
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/cancel",
    operation_id = "v1.message-attempt.cancel", tag = "Message Attempt",
    params(
        ("app_id" = String, Path), ("msg_id" = String, Path), ("endpoint_id" = String, Path)
    ),
    responses((status = 204), Errors),
)]
pub(super) async fn cancel(
    By(api): By,
    app: App,
    Path(message): Path<MessagePath>,
    Path(endpoint): Path<EndpointPath>,
) -> ApiResult<StatusCode> {
    let (message, endpoint) = (message.reference()?, endpoint.reference()?);
    watchfire_engine::service::cancel::delivery(api.engine(), &app.snapshot, &message, &endpoint)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
