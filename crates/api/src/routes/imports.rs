//! Many event types at once: from an OpenAPI document, or from another organization.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use watchfire_engine::service::Repeatable;
use watchfire_engine::service::event_types::{self, Import, Imported};

use crate::auth::{By, Org};
use crate::error::ApiResult;
use crate::extract::{Body, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::environment::{EnvironmentIn, EnvironmentOut};
use crate::wire::event_type_import::{EventTypeImportOpenApiIn, EventTypeImportOpenApiOut};

/// Creates and updates an event type for each webhook of an OpenAPI document
///
/// An archived one that the document describes is back. All of them are written, or none. What is
/// already as the document says is left alone.
#[utoipa::path(
    post, path = "/api/v1/event-type/import/openapi",
    operation_id = "v1.event-type.import-openapi", tag = "Event Type",
    params(("idempotency-key" = Option<String>, Header)),
    request_body = EventTypeImportOpenApiIn,
    responses((status = 200, body = EventTypeImportOpenApiOut), Errors),
)]
pub(super) async fn openapi(By(api): By, Org(org): Org, body: Body) -> ApiResult<Response> {
    let import = body.parse::<EventTypeImportOpenApiIn>()?.into_import()?;
    if import.only_asks {
        let imported = event_types::import(api.engine(), &org, import, None).await?;
        return Ok(json(
            StatusCode::OK,
            &EventTypeImportOpenApiOut::asked(imported),
        ));
    }
    let once = body.once(&org);
    let out = |imported: &Imported| to_json(&EventTypeImportOpenApiOut::done(imported));
    let answer = |imported: &Imported| written(StatusCode::OK, &out(imported));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match event_types::import(api.engine(), &org, import, repeatable).await {
        Ok(imported) => Ok(json(
            StatusCode::OK,
            &EventTypeImportOpenApiOut::done(&imported),
        )),
        Err(error) => replay(error, once),
    }
}

/// Answers what the organization has set up: its event types
///
/// It changes nothing, so a repetition is answered anew.
#[utoipa::path(
    post, path = "/api/v1/environment/export", operation_id = "v1.environment.export",
    tag = "Environment", params(("idempotency-key" = Option<String>, Header)),
    responses((status = 200, body = EnvironmentOut), Errors),
)]
pub(super) async fn export(State(api): State<ApiState>, Org(org): Org) -> ApiResult<Response> {
    let all = event_types::all(api.engine(), &org).await?;
    let out = EnvironmentOut::new(all.into_values(), api.now());
    Ok(json(StatusCode::OK, &out))
}

/// Adds what another organization has exported, and updates what is there; nothing is removed
#[utoipa::path(
    post, path = "/api/v1/environment/import", operation_id = "v1.environment.import",
    tag = "Environment", params(("idempotency-key" = Option<String>, Header)),
    request_body = EnvironmentIn, responses((status = 204), Errors),
)]
pub(super) async fn import(By(api): By, Org(org): Org, body: Body) -> ApiResult<Response> {
    let import: Import = body.parse::<EnvironmentIn>()?.into_import()?;
    let once = body.once(&org);
    let answer = |_: &Imported| written(StatusCode::NO_CONTENT, &[]);
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match event_types::import(api.engine(), &org, import, repeatable).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => replay(error, once),
    }
}
