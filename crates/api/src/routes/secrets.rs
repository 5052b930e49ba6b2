//! What signs an endpoint's deliveries, and the headers it gets.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use watchfire_engine::service::{Repeatable, endpoints};

use super::endpoints::EndpointPath;
use crate::auth::{App, By};
use crate::error::ApiResult;
use crate::extract::{Body, json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::endpoint::{
    EndpointHeadersIn, EndpointHeadersOut, EndpointHeadersPatchIn, EndpointSecretOut,
    EndpointSecretRotateIn,
};

/// Answers the secret that signs deliveries
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret",
    operation_id = "v1.endpoint.get-secret", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, body = EndpointSecretOut), Errors),
)]
pub(super) async fn find(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
) -> ApiResult<Response> {
    let key = endpoints::secret(api.engine(), &app.snapshot, &path.reference()?).await?;
    Ok(json(StatusCode::OK, &EndpointSecretOut { key }))
}

/// Replaces the secret; the old one signs along with it for a while
///
/// Svix's SDKs before 2.0 ignore the answer, those from 2.0 on read the new secret from it.
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.endpoint.rotate-secret", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    request_body = EndpointSecretRotateIn,
    responses((status = 200, body = EndpointSecretOut), Errors),
)]
pub(super) async fn rotate(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let rotation = body.parse_or_default::<EndpointSecretRotateIn>()?.into();
    let (engine, app, once) = (api.engine(), &app.snapshot, body.once(&app.org));
    let reference = path.reference()?;
    // Answers are kept as they are, so a secret must not stand in one.
    let answer = |(): &()| written(StatusCode::OK, b"");
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    let rotated = endpoints::rotate(engine, app, &reference, rotation, repeatable).await;
    let marks = match rotated {
        Ok(()) => HeaderMap::new(),
        Err(error) => replay(error, once)?.headers().clone(),
    };
    let key = endpoints::secret_after_rotation(engine, app, &reference).await?;
    let mut answer = json(StatusCode::OK, &EndpointSecretOut { key });
    answer.headers_mut().extend(marks);
    Ok(answer)
}

/// Answers the custom headers; sensitive values are left out
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.get-headers", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, body = EndpointHeadersOut), Errors),
)]
pub(super) async fn headers(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
) -> ApiResult<Response> {
    let all = endpoints::headers(api.engine(), &app.snapshot, &path.reference()?).await?;
    Ok(json(StatusCode::OK, &EndpointHeadersOut::from(all)))
}

/// Replaces the custom headers
#[utoipa::path(
    put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.update-headers", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    request_body = EndpointHeadersIn, responses((status = 204), Errors),
)]
pub(super) async fn put_headers(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<StatusCode> {
    let wanted = body.parse::<EndpointHeadersIn>()?.into_headers()?;
    endpoints::put_headers(api.engine(), &app.snapshot, &path.reference()?, wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets or removes some of the custom headers
#[utoipa::path(
    patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.patch-headers", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    request_body = EndpointHeadersPatchIn, responses((status = 204), Errors),
)]
pub(super) async fn patch_headers(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<StatusCode> {
    let changes = body.parse::<EndpointHeadersPatchIn>()?.into_changes()?;
    endpoints::patch_headers(api.engine(), &app.snapshot, &path.reference()?, changes).await?;
    Ok(StatusCode::NO_CONTENT)
}
