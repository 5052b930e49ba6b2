//! Access to the portal, and its end.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use watchfire_engine::service::{audit, tokens};

use watchfire_engine::identity::Grant;

use super::applications::find_or_create;
use crate::auth::{By, Org, OrgApp, OrgFor, OwnToken};
use crate::error::ApiResult;
use crate::extract::{Body, json};
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::auth::{AppPortalAccessIn, AppPortalAccessOut, DashboardAccessOut, TokenExpireIn};

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
    let grant = input.grant()?;
    let app = find_or_create(&api, &scope, input.application).await?;
    audit::note_portal_link(api.engine(), &app).await?;
    let id = app.stored.application.id;
    let mint = api.authenticator().tokens();
    let token = mint.for_application(&scope.org, id, grant, api.now());
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
    let mint = api.authenticator().tokens();
    let token = mint.for_application(&app.org, id, Grant::default(), api.now());
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

/// Ends the application's token that asks
///
/// It and the sessions of the portal it signed in to work no more. An organization's token is ended
/// with `auth/expire-all`, and an API key is deleted: both are what programs are set up with.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", operation_id = "v1.authentication.logout",
    tag = "Authentication", params(("idempotency-key" = Option<String>, Header)),
    responses((status = 204), Errors),
)]
pub(super) async fn logout(By(api): By, token: OwnToken) -> ApiResult<StatusCode> {
    tokens::sign_out(api.engine(), &token.mark, token.until).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends tokens of an application that were made until now
#[utoipa::path(
    post, path = "/api/v1/auth/app/{app_id}/expire-all",
    operation_id = "v1.authentication.expire-all", tag = "Authentication",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = TokenExpireIn, responses((status = 204), Errors),
)]
pub(super) async fn expire_of_application(
    By(api): By,
    app: OrgApp,
    body: Body,
) -> ApiResult<StatusCode> {
    let input = body.parse_or_default::<TokenExpireIn>()?;
    tokens::expire_of_application(api.engine(), &app.snapshot, input.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all tokens of the organization and its applications that were made until now
///
/// The token that asks is one of them; `watchfire token` makes a new one. API keys stay valid.
#[utoipa::path(
    post, path = "/api/v1/auth/expire-all",
    operation_id = "v1.authentication.expire-all-of-organization", tag = "Authentication",
    params(("idempotency-key" = Option<String>, Header)),
    responses((status = 204), Errors),
)]
pub(super) async fn expire_of_organization(By(api): By, Org(org): Org) -> ApiResult<StatusCode> {
    tokens::expire_of_organization(api.engine(), &org).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Does nothing, because nothing is ever set aside
///
/// A delivery that can't be made now stays owed, and one that failed for good is in the lists of
/// attempts: resend, recover or replay it.
#[utoipa::path(
    post, path = "/api/v1/admin/redrive-dlq", operation_id = "v1.admin.redrive-dlq",
    tag = "Authentication", params(("idempotency-key" = Option<String>, Header)),
    responses((status = 204), Errors),
)]
#[deprecated = "an older path that clients still use"]
pub(super) async fn redrive(Org(_): Org) -> StatusCode {
    StatusCode::NO_CONTENT
}
