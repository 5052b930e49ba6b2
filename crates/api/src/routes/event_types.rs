//! Event types: the names messages and subscriptions use.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_domain::id::EventType;
use watchfire_engine::service::{Repeatable, event_types};
use watchfire_store::{EventTypeRecord, Order};

use super::applications::put_status;
use crate::auth::{By, Org, ReadAll};
use crate::error::{ApiResult, Code};
use crate::extract::{Body, Params, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::page::{ListResponse, OrderQuery, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::event_type::{EventTypeIn, EventTypeOut, EventTypePatchIn, EventTypeUpdate};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// List archived ones as well.
    #[serde(default)]
    include_archived: bool,
    /// Answer the schemas.
    #[serde(default)]
    with_content: bool,
}

/// Lists event types by name
#[utoipa::path(
    get, path = "/api/v1/event-type", operation_id = "v1.event-type.list", tag = "Event Type",
    params(PageQuery, OrderQuery, ListQuery),
    responses((status = 200, body = ListResponse<EventTypeOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    reader: ReadAll,
    Params(query): Params<PageQuery>,
    Params(order): Params<OrderQuery>,
    Params(wanted): Params<ListQuery>,
) -> ApiResult<Response> {
    let page = Page::<EventType>::new(&query, order.or(Order::Ascending))?;
    let (archived, range) = (wanted.include_archived, page.range());
    let found =
        event_types::list(api.engine(), &reader.org, reader.sight(), archived, range).await?;
    let answer = page.answer(
        found,
        |event_type| event_type.name.to_string(),
        |event_type| EventTypeOut::new(event_type, wanted.with_content),
    );
    Ok(json(StatusCode::OK, &answer))
}

/// Creates an event type; an archived one of the same name is revived
#[utoipa::path(
    post, path = "/api/v1/event-type", operation_id = "v1.event-type.create", tag = "Event Type",
    params(("idempotency-key" = Option<String>, Header)), request_body = EventTypeIn,
    responses((status = 201, body = EventTypeOut), Errors),
)]
pub(super) async fn create(By(api): By, Org(org): Org, body: Body) -> ApiResult<Response> {
    let (name, input) = body.parse::<EventTypeIn>()?.into_input()?;
    let once = body.once(&org);
    let answer = |made: &EventTypeRecord| {
        written(
            StatusCode::CREATED,
            &to_json(&EventTypeOut::new(made.clone(), true)),
        )
    };
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match event_types::create(api.engine(), &org, name, input, repeatable).await {
        Ok(made) => Ok(json(StatusCode::CREATED, &EventTypeOut::new(made, true))),
        Err(error) => replay(error, once),
    }
}

/// A text that can't be a name names nothing.
fn name_in(Path(name): Path<String>) -> ApiResult<EventType> {
    name.parse().map_err(|_| Code::NotFound.into())
}

/// Answers an event type
#[utoipa::path(
    get, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.get",
    tag = "Event Type", params(("event_type_name" = String, Path)),
    responses((status = 200, body = EventTypeOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    reader: ReadAll,
    path: Path<String>,
) -> ApiResult<Response> {
    let name = name_in(path)?;
    let found = event_types::find(api.engine(), &reader.org, reader.sight(), &name).await?;
    Ok(json(StatusCode::OK, &EventTypeOut::new(found, true)))
}

/// Replaces an event type, or creates it
#[utoipa::path(
    put, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.update",
    tag = "Event Type", params(("event_type_name" = String, Path)),
    request_body = EventTypeUpdate,
    responses(
        (status = 200, body = EventTypeOut),
        (status = 201, body = EventTypeOut, description = "It was created"),
        Errors
    ),
)]
pub(super) async fn put(
    By(api): By,
    Org(org): Org,
    Path(name): Path<String>,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<EventTypeUpdate>()?.into_input()?;
    let name = EventType::try_from(name)
        .map_err(|reason| crate::error::ApiError::path("event_type_name", reason))?;
    let (event_type, how) = event_types::put(api.engine(), &org, name, input).await?;
    Ok(json(put_status(how), &EventTypeOut::new(event_type, true)))
}

/// Changes an event type
#[utoipa::path(
    patch, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.patch",
    tag = "Event Type", params(("event_type_name" = String, Path)),
    request_body = EventTypePatchIn,
    responses((status = 200, body = EventTypeOut), Errors),
)]
pub(super) async fn patch(
    By(api): By,
    Org(org): Org,
    path: Path<String>,
    body: Body,
) -> ApiResult<Response> {
    let name = name_in(path)?;
    let changes = body.parse::<EventTypePatchIn>()?.into_patch()?;
    let after = event_types::patch(api.engine(), &org, &name, changes).await?;
    Ok(json(StatusCode::OK, &EventTypeOut::new(after, true)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// Remove it for good instead of archiving it.
    #[serde(default)]
    expunge: bool,
}

/// Archives an event type
#[utoipa::path(
    delete, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.delete",
    tag = "Event Type", params(("event_type_name" = String, Path), DeleteQuery),
    responses((status = 204), Errors),
)]
pub(super) async fn delete(
    By(api): By,
    Org(org): Org,
    path: Path<String>,
    Params(query): Params<DeleteQuery>,
) -> ApiResult<StatusCode> {
    let name = name_in(path)?;
    if query.expunge {
        event_types::remove(api.engine(), &org, &name).await?;
    } else {
        event_types::archive(api.engine(), &org, &name).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
