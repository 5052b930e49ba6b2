//! Whether the server works: for load balancers, without a token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::extract::json;
use crate::state::ApiState;
use crate::wire::health::{HealthCheckOut, PartOut};

/// Checks the server and its database
///
/// The queue is at fault while outcomes can't be recorded, or while the node has lost its lease.
#[utoipa::path(
    get, path = "/api/v1/health", operation_id = "v1.health.get", tag = "Health",
    security(()),
    responses(
        (status = 200, body = HealthCheckOut, description = "It works"),
        (status = 500, body = HealthCheckOut, description = "Some part does not"),
    ),
)]
pub(super) async fn check(State(api): State<ApiState>) -> Response {
    let stored = api.engine().store().check().await;
    let (status, database) = match stored {
        Ok(()) => (StatusCode::OK, PartOut::OK),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the database does not work");
            (StatusCode::INTERNAL_SERVER_ERROR, PartOut::ERROR)
        }
    };
    let (status, queue) = if api.engine().makes_progress() {
        (status, PartOut::OK)
    } else {
        tracing::warn!("this node makes no progress, or has no lease");
        (StatusCode::INTERNAL_SERVER_ERROR, PartOut::ERROR)
    };
    let body = HealthCheckOut {
        database,
        queue,
        cache: PartOut::OK,
    };
    json(status, &body)
}

/// Says that the server runs
#[utoipa::path(
    get, path = "/api/v1/health/ping", operation_id = "v1.health.ping", tag = "Health",
    security(()),
    responses((status = 204, description = "It runs")),
)]
pub(super) async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}
