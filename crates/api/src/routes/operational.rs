//! Operational webhooks: webhooks about webhooks. Their endpoints are those of an application that
//! each organization has for this, so every route is the one of ordinary endpoints.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::endpoints::{self, EndpointPath, EndpointsQuery};
use super::secrets;
use crate::auth::{By, Operational};
use crate::error::ApiResult;
use crate::extract::{Body, Params};
use crate::openapi::Errors;
use crate::page::{ListResponse, OrderQuery, PageQuery};
use crate::state::ApiState;
use crate::wire::endpoint::{
    EndpointHeadersIn, EndpointHeadersOut, EndpointIn, EndpointOut, EndpointSecretOut,
    EndpointSecretRotateIn,
};

/// Lists the endpoints of operational webhooks
#[utoipa::path(
    get, path = "/api/v1/operational-webhook/endpoint",
    operation_id = "v1.operational-webhook.endpoint.list", tag = "Operational Webhook Endpoint",
    params(PageQuery, OrderQuery, EndpointsQuery),
    responses((status = 200, body = ListResponse<EndpointOut>), Errors),
)]
pub(super) async fn list(
    state: State<ApiState>,
    Operational(app): Operational,
    Params(query): Params<PageQuery>,
    Params(order): Params<OrderQuery>,
    Params(wanted): Params<EndpointsQuery>,
) -> ApiResult<Response> {
    endpoints::list(state, app, Params(query), Params(order), Params(wanted)).await
}

/// Creates an endpoint for operational webhooks
#[utoipa::path(
    post, path = "/api/v1/operational-webhook/endpoint",
    operation_id = "v1.operational-webhook.endpoint.create", tag = "Operational Webhook Endpoint",
    params(("idempotency-key" = Option<String>, Header)),
    request_body = EndpointIn,
    responses((status = 201, body = EndpointOut), Errors),
)]
pub(super) async fn create(
    by: By,
    Operational(app): Operational,
    body: Body,
) -> ApiResult<Response> {
    endpoints::create(by, app, body).await
}

/// Answers an endpoint of operational webhooks
#[utoipa::path(
    get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    operation_id = "v1.operational-webhook.endpoint.get", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path)),
    responses((status = 200, body = EndpointOut), Errors),
)]
pub(super) async fn find(
    state: State<ApiState>,
    Operational(app): Operational,
    path: Path<EndpointPath>,
) -> ApiResult<Response> {
    endpoints::find(state, app, path).await
}

/// Replaces an endpoint of operational webhooks, or creates it
#[utoipa::path(
    put, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    operation_id = "v1.operational-webhook.endpoint.upsert", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path)),
    request_body = EndpointIn,
    responses((status = 200, body = EndpointOut),
        (status = 201, body = EndpointOut, description = "It was created"), Errors),
)]
pub(super) async fn put(
    by: By,
    Operational(app): Operational,
    path: Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    endpoints::put(by, app, path, body).await
}

/// Deletes an endpoint of operational webhooks
#[utoipa::path(
    delete, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    operation_id = "v1.operational-webhook.endpoint.delete", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path)),
    responses((status = 204), Errors),
)]
pub(super) async fn delete(
    by: By,
    Operational(app): Operational,
    path: Path<EndpointPath>,
) -> ApiResult<StatusCode> {
    endpoints::delete(by, app, path).await
}

/// Answers the secret that signs operational webhooks
#[utoipa::path(
    get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret",
    operation_id = "v1.operational-webhook.endpoint.get-secret", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path)),
    responses((status = 200, body = EndpointSecretOut), Errors),
)]
pub(super) async fn secret(
    by: By,
    Operational(app): Operational,
    path: Path<EndpointPath>,
) -> ApiResult<Response> {
    secrets::find(by, app, path).await
}

/// Replaces the secret; the old one signs along with it for a while
#[utoipa::path(
    post, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.operational-webhook.endpoint.rotate-secret", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = EndpointSecretRotateIn,
    responses((status = 200, body = EndpointSecretOut), Errors),
)]
pub(super) async fn rotate(
    by: By,
    Operational(app): Operational,
    path: Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    secrets::rotate(by, app, path, body).await
}

/// Answers the custom headers; sensitive values are left out
#[utoipa::path(
    get, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    operation_id = "v1.operational-webhook.endpoint.get-headers", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path)),
    responses((status = 200, body = EndpointHeadersOut), Errors),
)]
pub(super) async fn headers(
    state: State<ApiState>,
    Operational(app): Operational,
    path: Path<EndpointPath>,
) -> ApiResult<Response> {
    secrets::headers(state, app, path).await
}

/// Replaces the custom headers
#[utoipa::path(
    put, path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    operation_id = "v1.operational-webhook.endpoint.set-headers", tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path)),
    request_body = EndpointHeadersIn,
    responses((status = 204), Errors),
)]
pub(super) async fn put_headers(
    by: By,
    Operational(app): Operational,
    path: Path<EndpointPath>,
    body: Body,
) -> ApiResult<StatusCode> {
    secrets::put_headers(by, app, path, body).await
}
