//! The servers that share the database.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use watchfire_engine::service;

use crate::auth::Org;
use crate::error::ApiResult;
use crate::extract::json;
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::node::NodeListOut;

/// Lists the servers that share the database, by name
///
/// What each says of itself is as old as its last beat: some seconds, or half a minute for a server
/// that is alone on its database.
#[utoipa::path(
    get, path = "/api/v1/node", operation_id = "v1.node.list", tag = "Node",
    responses((status = 200, body = NodeListOut), Errors),
)]
pub(super) async fn list(State(api): State<ApiState>, _: Org) -> ApiResult<Response> {
    let members = api.engine().members().await.map_err(service::Error::from)?;
    let own = api.engine().life();
    let answer = NodeListOut::new(&members, &own.node.0);
    Ok(json(StatusCode::OK, &answer))
}
