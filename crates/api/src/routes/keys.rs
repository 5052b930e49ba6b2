//! API keys: made, listed and revoked by who administers the organization.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use watchfire_domain::id::KeyId;
use watchfire_engine::service::keys;
use watchfire_store::{Order, StoredApiKey};

use crate::auth::{By, Org};
use crate::error::{ApiResult, Code};
use crate::extract::{Body, Params, json};
use crate::openapi::Errors;
use crate::page::{ListResponse, OrderQuery, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::key::{ApiKeyCreatedOut, ApiKeyIn, ApiKeyOut};

/// Lists API keys, expired ones as well
#[utoipa::path(
    get, path = "/api/v1/auth/key", operation_id = "v1.api-key.list", tag = "API Key",
    params(PageQuery, OrderQuery),
    responses((status = 200, body = ListResponse<ApiKeyOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    Org(org): Org,
    Params(query): Params<PageQuery>,
    Params(order): Params<OrderQuery>,
) -> ApiResult<Response> {
    let page = Page::new(&query, order.or(Order::Ascending))?;
    let found = keys::list(api.engine(), &org, page.range()).await?;
    let id = |stored: &StoredApiKey| stored.key.id.to_string();
    let answer = page.answer(found, id, ApiKeyOut::from);
    Ok(json(StatusCode::OK, &answer))
}

/// Makes an API key; the key itself is answered this once
///
/// An idempotency key has no effect here: the answer would have to be kept, and with it the key.
#[utoipa::path(
    post, path = "/api/v1/auth/key", operation_id = "v1.api-key.create", tag = "API Key",
    request_body = ApiKeyIn, responses((status = 201, body = ApiKeyCreatedOut), Errors),
)]
pub(super) async fn create(By(api): By, Org(org): Org, body: Body) -> ApiResult<Response> {
    let input = body.parse::<ApiKeyIn>()?.into_input()?;
    let made = keys::create(api.engine(), &org, input).await?;
    Ok(json(StatusCode::CREATED, &ApiKeyCreatedOut::from(made)))
}

/// A text that can't be an id names nothing.
fn id_in(Path(text): &Path<String>) -> ApiResult<KeyId> {
    text.parse().map_err(|_| Code::NotFound.into())
}

/// Answers an API key, without the key itself
#[utoipa::path(
    get, path = "/api/v1/auth/key/{key_id}", operation_id = "v1.api-key.get", tag = "API Key",
    params(("key_id" = String, Path)), responses((status = 200, body = ApiKeyOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    Org(org): Org,
    path: Path<String>,
) -> ApiResult<Response> {
    let found = keys::find(api.engine(), &org, id_in(&path)?).await?;
    Ok(json(StatusCode::OK, &ApiKeyOut::from(found)))
}

/// Revokes an API key: no request with it is answered from now on
#[utoipa::path(
    delete, path = "/api/v1/auth/key/{key_id}", operation_id = "v1.api-key.delete",
    tag = "API Key", params(("key_id" = String, Path)),
    responses((status = 204), Errors),
)]
pub(super) async fn revoke(
    By(api): By,
    Org(org): Org,
    path: Path<String>,
) -> ApiResult<StatusCode> {
    keys::revoke(api.engine(), &org, id_in(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
