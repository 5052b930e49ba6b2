//! What people do about an endpoint's health.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use watchfire_engine::service::health;

use super::endpoints::{EndpointPath, out};
use crate::auth::{App, By};
use crate::error::ApiResult;
use crate::extract::{Body, json};
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::endpoint::{ActivationOut, DeactivateIn, EndpointOut};
use crate::wire::message::{Content, MessageOut};

/// Asks an endpoint whether it works, whatever its health; the answer will be in the history
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/ping",
    operation_id = "v1.endpoint.ping", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    responses((status = 202, body = MessageOut), Errors),
)]
pub(super) async fn ping(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let (reference, once) = (path.reference()?, body.once(&app.org));
    let message = health::ping(api.engine(), &app.snapshot, &reference, once).await?;
    Ok(json(
        StatusCode::ACCEPTED,
        &MessageOut::new(&message, Content::Stored)?,
    ))
}

/// Switches an endpoint on and forgets its failures; where its contract says so, it must answer a
/// ping first
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/activate",
    operation_id = "v1.endpoint.activate", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, body = ActivationOut), Errors),
)]
pub(super) async fn activate(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
) -> ApiResult<Response> {
    let done = health::activate(api.engine(), &app.snapshot, &path.reference()?).await?;
    let endpoint = out(&api, &done.endpoint);
    Ok(json(StatusCode::OK, &ActivationOut::new(&done, endpoint)))
}

/// Leaves an endpoint alone until somebody activates it
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/deactivate",
    operation_id = "v1.endpoint.deactivate", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    request_body = DeactivateIn, responses((status = 200, body = EndpointOut), Errors),
)]
pub(super) async fn deactivate(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let input: DeactivateIn = body.parse_or_default()?;
    let note = input.note.as_deref();
    let after = health::deactivate(api.engine(), &app.snapshot, &path.reference()?, note).await?;
    Ok(json(StatusCode::OK, &out(&api, &after)))
}
