//! Messages: an event's way in.
//!
//! `create` is the hot path. Its payload is never parsed into a tree nor copied: it is found in
//! the body, checked for its form, kept as a part of the body's bytes and answered from there.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_engine::service::messages;
use watchfire_store::{MessageFilter, MessageRef};

use super::applications::find_or_create;
use crate::auth::{App, By, OrgApp, Sender};
use crate::error::{ApiResult, Code};
use crate::extract::{Body, Params, json, json_bytes};
use crate::openapi::Errors;
use crate::page::{EventTypes, ListResponse, Page, PageQuery, Timed, WindowQuery};
use crate::state::ApiState;
use crate::wire::message::{
    Content, MessageIn, MessageOut, MessagePrecheckIn, MessagePrecheckOut, MessageSearchIn,
};

/// The message a path names.
#[derive(Deserialize)]
pub(super) struct MessagePath {
    msg_id: String,
}

impl MessagePath {
    /// A text that can't name a message names none.
    pub(super) fn reference(&self) -> ApiResult<MessageRef> {
        reference_of(&self.msg_id).ok_or_else(|| Code::NotFound.into())
    }
}

/// A text that can't name a message names none.
pub(super) fn reference_of(text: &str) -> Option<MessageRef> {
    if text.starts_with(MessageId::PREFIX) {
        text.parse().ok().map(MessageRef::Id)
    } else {
        text.parse().ok().map(MessageRef::EventId)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ContentQuery {
    /// Answer the payload.
    #[serde(default = "yes")]
    with_content: bool,
}

pub(super) fn yes() -> bool {
    true
}

impl ContentQuery {
    fn content(&self) -> Content<'static> {
        if self.with_content {
            Content::Stored
        } else {
            Content::Omitted
        }
    }
}

/// Accepts a message: it is on disk when this is answered
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg", operation_id = "v1.message.create", tag = "Message",
    params(
        ("app_id" = String, Path), ContentQuery, ("idempotency-key" = Option<String>, Header)
    ),
    request_body = MessageIn, responses((status = 202, body = MessageOut), Errors),
)]
pub(super) async fn create(
    By(api): By,
    sender: Sender,
    Params(query): Params<ContentQuery>,
    body: Body<{ limit::MESSAGE_BODY_BYTES_MAX }>,
) -> ApiResult<Response> {
    let mut message = body.parse::<MessageIn<'_>>()?;
    let application = message.application.take();
    let (input, payload) = message.into_input(&body.bytes)?;
    let application = application.filter(|_| sender.may_create);
    let app = find_or_create(&api, &sender.scope, application).await?;
    let once = body.once(&sender.scope.org);
    let accepted = messages::create(api.engine(), &app, input, once).await?;
    let content = if query.with_content {
        Content::Given(payload)
    } else {
        Content::Omitted
    };
    let out = MessageOut::new(&accepted, content)?;
    let mut answer = Vec::with_capacity(payload.get().len() + 256);
    serde_json::to_writer(&mut answer, &out).expect("a message is plain data with text keys");
    Ok(json_bytes(StatusCode::ACCEPTED, answer))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    channel: Option<String>,
    tag: Option<String>,
    /// Answer the payloads.
    #[serde(default = "yes")]
    with_content: bool,
}

/// Lists an application's messages, newest first
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/msg", operation_id = "v1.message.list", tag = "Message",
    params(
        ("app_id" = String, Path), PageQuery, WindowQuery, ListQuery,
        ("event_types" = Option<Vec<String>>, Query, description = "Only these event types")
    ),
    responses((status = 200, body = ListResponse<MessageOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    app: App,
    Timed(page): Timed<MessageId>,
    Params(wanted): Params<ListQuery>,
    EventTypes(event_types): EventTypes,
) -> ApiResult<Response> {
    let filter = MessageFilter {
        event_types,
        channel: wanted.channel,
        tag: wanted.tag,
        without_payload: !wanted.with_content,
    };
    answered(&api, &app, (&filter, &page)).await
}

async fn answered(
    api: &ApiState,
    app: &App,
    (filter, page): (&MessageFilter, &Page<MessageId>),
) -> ApiResult<Response> {
    let found = messages::list(api.engine(), &app.snapshot, filter, page.range()).await?;
    let content = if filter.without_payload {
        Content::Omitted
    } else {
        Content::Stored
    };
    let answer = page.answer_all(
        &found,
        |stored| stored.message.id.to_string(),
        |stored| MessageOut::new(&stored.message, content),
    )?;
    Ok(json(StatusCode::OK, &answer))
}

/// Lists an application's messages, newest first; without their payloads unless asked for
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg/search", operation_id = "v1.message.search",
    tag = "Message",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = MessageSearchIn,
    responses((status = 200, body = ListResponse<MessageOut>), Errors),
)]
pub(super) async fn search(
    State(api): State<ApiState>,
    app: App,
    body: Body,
) -> ApiResult<Response> {
    let (filter, query, window) = body.parse_or_default::<MessageSearchIn>()?.into_parts()?;
    let page = Page::by_time(&query, &window, api.now())?;
    answered(&api, &app, (&filter, &page)).await
}

/// Answers a message
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/msg/{msg_id}", operation_id = "v1.message.get",
    tag = "Message", params(("app_id" = String, Path), ("msg_id" = String, Path), ContentQuery),
    responses((status = 200, body = MessageOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<MessagePath>,
    Params(query): Params<ContentQuery>,
) -> ApiResult<Response> {
    let found = messages::find(api.engine(), &app.snapshot, &path.reference()?).await?;
    Ok(json(
        StatusCode::OK,
        &MessageOut::new(&found.message, query.content())?,
    ))
}

/// Says whether any endpoint would be sent such a message
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg/precheck/active",
    operation_id = "v1.message.precheck", tag = "Message",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = MessagePrecheckIn,
    responses((status = 200, body = MessagePrecheckOut), Errors),
)]
pub(super) async fn precheck(app: App, body: Body) -> ApiResult<Response> {
    let (event_type, channels) = body.parse::<MessagePrecheckIn>()?.into_parts()?;
    let active = messages::is_wanted(&app.snapshot, &event_type, &channels);
    Ok(json(StatusCode::OK, &MessagePrecheckOut { active }))
}

/// Removes a message's payload
#[utoipa::path(
    delete, path = "/api/v1/app/{app_id}/msg/{msg_id}/content",
    operation_id = "v1.message.expunge-content", tag = "Message",
    params(("app_id" = String, Path), ("msg_id" = String, Path)),
    responses((status = 204), Errors),
)]
pub(super) async fn expunge(
    By(api): By,
    app: OrgApp,
    Path(path): Path<MessagePath>,
) -> ApiResult<StatusCode> {
    messages::expunge(api.engine(), &app.snapshot, &path.reference()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
