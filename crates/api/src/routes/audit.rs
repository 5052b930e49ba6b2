//! The audit log.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_domain::id::{ApplicationId, AuditId};
use watchfire_engine::service::audit;
use watchfire_store::{AuditEntry, AuditFilter, Order};

use crate::auth::Org;
use crate::error::{ApiError, ApiResult};
use crate::extract::{Params, json};
use crate::openapi::Errors;
use crate::page::{ListResponse, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::audit::AuditOut;

/// Which lines to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only what belongs to this application, by our id; also one that was deleted.
    app_id: Option<String>,
    /// Only changes of the object with this id or name.
    object: Option<String>,
}

impl AuditQuery {
    fn into_filter(self) -> ApiResult<AuditFilter> {
        let application = self.app_id.map(|id| id.parse::<ApplicationId>());
        let application = application
            .transpose()
            .map_err(|reason| ApiError::query("app_id", reason))?;
        Ok(AuditFilter {
            application,
            object: self.object,
        })
    }
}

/// Lists who changed what, the newest first
///
/// Each line was stored together with the change it is about. `before` and `after` hold what
/// differs; secrets and the values of headers stand in neither.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "v1.audit.list", tag = "Audit",
    params(PageQuery, AuditQuery),
    responses((status = 200, body = ListResponse<AuditOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    Org(org): Org,
    Params(query): Params<PageQuery>,
    Params(wanted): Params<AuditQuery>,
) -> ApiResult<Response> {
    let page = Page::<AuditId>::new(&query, Order::Descending)?;
    let filter = wanted.into_filter()?;
    let found = audit::list(api.engine(), &org, &filter, page.range()).await?;
    let answer = page.answer_all(
        &found,
        |entry| entry.id.to_string(),
        |entry: &AuditEntry| Ok(AuditOut::from(entry)),
    )?;
    Ok(json(StatusCode::OK, &answer))
}
