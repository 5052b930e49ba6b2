//! Access to the portal.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use watchfire_engine::service::audit;

use watchfire_engine::identity::Grant;

use super::applications::find_or_create;
use crate::auth::{By, Org, OrgApp, OrgFor};
use crate::error::{ApiResult, Code};
use crate::extract::{Body, json};
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::auth::{AppPortalAccessIn, AppPortalAccessOut, DashboardAccessOut};

/// Mints a token for one application, and a link that signs in with it
///
/// Repeating the request does no harm, so its answer is not remembered: a token is not stored
/// anywhere.
#[utoipa::path(
    post, path = "/api/v1/auth/app-portal-access/{app_id}",
    operation_id = "v1.authentication.app-portal-access", tag = "Authentication",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = AppPortalAccessIn, responses((status = 200, body = AppPortalAccessOut), Errors),
)]
pub(super) async fn app_portal_access(
    By(api): By,
    scope: OrgFor,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse_or_default::<AppPortalAccessIn>()?;
    let grant = input.grant();
    let app = find_or_create(&api, &scope, input.application).await?;
    audit::note_portal_link(api.engine(), &app).await?;
    let id = app.stored.application.id;
    let tokens = api.authenticator().tokens();
    let token = tokens.for_application(&scope.org, id, grant, api.now());
    let url = portal_url(&api, &headers, &token);
    Ok(json(StatusCode::OK, &AppPortalAccessOut { url, token }))
}

/// Mints a token for one application; use `auth/app-portal-access/{app_id}`
#[utoipa::path(
    post, path = "/api/v1/auth/dashboard-access/{app_id}",
    operation_id = "v1.authentication.dashboard-access", tag = "Authentication",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    responses((status = 200, body = DashboardAccessOut), Errors),
)]
#[deprecated = "an older path that clients still use"]
pub(super) async fn dashboard_access(
    By(api): By,
    app: OrgApp,
    headers: HeaderMap,
) -> ApiResult<Response> {
    audit::note_portal_link(api.engine(), &app.snapshot).await?;
    let id = app.snapshot.stored.application.id;
    let tokens = api.authenticator().tokens();
    let token = tokens.for_application(&app.org, id, Grant::default(), api.now());
    let url = portal_url(&api, &headers, &token);
    Ok(json(StatusCode::OK, &DashboardAccessOut { url, token }))
}

fn portal_url(api: &ApiState, headers: &HeaderMap, token: &str) -> String {
    let host = || {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("localhost"))
    };
    let base = api.public_url().map_or_else(host, ToOwned::to_owned);
    format!("{base}/portal#token={token}")
}

/// Not offered: a token is valid until it expires
#[utoipa::path(
    post, path = "/api/v1/auth/logout", operation_id = "v1.authentication.logout",
    tag = "Authentication", params(("idempotency-key" = Option<String>, Header)),
    responses((status = 501), Errors),
)]
pub(super) async fn logout() -> ApiResult<StatusCode> {
    Err(Code::NotImplemented.into())
}

/// Not needed: nothing is set aside here that is not in a list of attempts
#[utoipa::path(
    post, path = "/api/v1/admin/redrive-dlq", operation_id = "v1.admin.redrive-dlq",
    tag = "Authentication", responses((status = 501), Errors),
)]
#[deprecated = "an older path that clients still use"]
pub(super) async fn redrive(Org(_): Org) -> ApiResult<StatusCode> {
    Err(Code::NotImplemented.into())
}
