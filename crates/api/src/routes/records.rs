//! What people do about a record that is stuck.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use watchfire_engine::service::heads;

use super::endpoints::EndpointPath;
use crate::auth::{App, By};
use crate::error::ApiResult;
use crate::extract::{Body, json};
use crate::openapi::Errors;
use crate::wire::record::{RecordHeadIn, RecordHeadOut};

/// Skips the delivery that holds up a record; the next goes on, and this one can be resent
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/record/skip",
    operation_id = "v1.endpoint.record.skip", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    request_body = RecordHeadIn, responses((status = 200, body = RecordHeadOut), Errors),
)]
pub(super) async fn skip(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<RecordHeadIn>()?.into_input()?;
    let head = heads::skip(api.engine(), &app.snapshot, &path.reference()?, &input).await?;
    let out = RecordHeadOut::new(input.record_key, &head);
    Ok(json(StatusCode::OK, &out))
}

/// Tries the delivery that holds up a record at once; its schedule goes on as before
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/record/retry",
    operation_id = "v1.endpoint.record.retry", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    request_body = RecordHeadIn, responses((status = 200, body = RecordHeadOut), Errors),
)]
pub(super) async fn retry(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<RecordHeadIn>()?.into_input()?;
    let head = heads::retry(api.engine(), &app.snapshot, &path.reference()?, &input).await?;
    let out = RecordHeadOut::new(input.record_key, &head);
    Ok(json(StatusCode::OK, &out))
}
