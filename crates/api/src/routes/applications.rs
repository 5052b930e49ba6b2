//! Applications: the tenants.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_engine::service::{self, Existing, Put, Repeatable, applications};
use watchfire_store::{Application, ApplicationFilter, ApplicationRef, Order};

use crate::auth::{App, By, Org, OrgApp, OrgFor};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Body, Params, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::page::{ListResponse, OrderQuery, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::application::{ApplicationIn, ApplicationOut, ApplicationPatchIn};

/// Which applications to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FilterQuery {
    /// Leave out those without an endpoint.
    #[serde(default)]
    exclude_apps_with_no_endpoints: bool,
    /// Leave out those whose endpoints are all switched off.
    #[serde(default)]
    exclude_apps_with_disabled_endpoints: bool,
    /// Leave out those whose endpoints are all inboxes of Svix Play.
    #[serde(default)]
    exclude_apps_with_svix_play_endpoints: bool,
}

/// Where inboxes of Svix Play are.
const SVIX_PLAY: [&str; 2] = ["https://play.svix.com/", "https://api.play.svix.com/"];

impl From<FilterQuery> for ApplicationFilter {
    fn from(query: FilterQuery) -> Self {
        let play = query.exclude_apps_with_svix_play_endpoints;
        let elsewhere = SVIX_PLAY.iter().filter(|_| play);
        Self {
            with_endpoints: query.exclude_apps_with_no_endpoints,
            with_enabled_endpoints: query.exclude_apps_with_disabled_endpoints,
            with_endpoints_elsewhere: elsewhere.map(ToString::to_string).collect(),
        }
    }
}

/// Lists applications
#[utoipa::path(
    get, path = "/api/v1/app", operation_id = "v1.application.list", tag = "Application",
    params(PageQuery, OrderQuery, FilterQuery),
    responses((status = 200, body = ListResponse<ApplicationOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    Org(org): Org,
    Params(query): Params<PageQuery>,
    Params(order): Params<OrderQuery>,
    Params(filter): Params<FilterQuery>,
) -> ApiResult<Response> {
    let page = Page::new(&query, order.or(Order::Ascending))?;
    let found = applications::list(api.engine(), &org, &filter.into(), page.range()).await?;
    let answer = page.answer(
        found,
        |stored| stored.application.id.to_string(),
        |stored| ApplicationOut::from(stored.application),
    );
    Ok(json(StatusCode::OK, &answer))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CreateQuery {
    /// Answer the application that has the uid, if there is one.
    #[serde(default)]
    get_if_exists: bool,
}

/// Creates an application
#[utoipa::path(
    post, path = "/api/v1/app", operation_id = "v1.application.create", tag = "Application",
    params(CreateQuery, ("idempotency-key" = Option<String>, Header)), request_body = ApplicationIn,
    responses(
        (status = 201, body = ApplicationOut),
        (status = 200, body = ApplicationOut, description = "It existed"),
        Errors
    ),
)]
pub(super) async fn create(
    By(api): By,
    Org(org): Org,
    Params(query): Params<CreateQuery>,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<ApplicationIn>()?.into_input()?;
    let uid = input.uid.clone();
    let once = body.once(&org);
    let answer = |made: &Application| written(StatusCode::CREATED, &to_json(&out(made.clone())));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match applications::create(api.engine(), &org, input, repeatable).await {
        Ok(made) => Ok(json(StatusCode::CREATED, &out(made))),
        Err(service::Error::Exists(Existing::ApplicationUid)) if query.get_if_exists => {
            let uid = uid.and_then(|uid| uid.parse().ok());
            let reference = uid
                .map(ApplicationRef::Uid)
                .ok_or(service::Error::NotFound)?;
            let found = applications::find(api.engine(), &org, &reference).await?;
            Ok(json(StatusCode::OK, &out(found.stored.application.clone())))
        }
        Err(error) => replay(error, once),
    }
}

fn out(application: Application) -> ApplicationOut {
    application.into()
}

/// Answers an application
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}", operation_id = "v1.application.get", tag = "Application",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 200, body = ApplicationOut), Errors),
)]
pub(super) async fn find(app: App) -> Response {
    json(
        StatusCode::OK,
        &out(app.snapshot.stored.application.clone()),
    )
}

/// Replaces an application, or creates it
#[utoipa::path(
    put, path = "/api/v1/app/{app_id}", operation_id = "v1.application.update", tag = "Application",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body = ApplicationIn,
    responses(
        (status = 200, body = ApplicationOut),
        (status = 201, body = ApplicationOut, description = "It was created"),
        Errors
    ),
)]
pub(super) async fn put(
    By(api): By,
    OrgFor { org, reference }: OrgFor,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<ApplicationIn>()?.into_input()?;
    let (application, how) = applications::put(api.engine(), &org, &reference, input).await?;
    Ok(json(put_status(how), &out(application)))
}

pub(super) fn put_status(how: Put) -> StatusCode {
    match how {
        Put::Created => StatusCode::CREATED,
        Put::Updated => StatusCode::OK,
    }
}

/// Changes an application
#[utoipa::path(
    patch, path = "/api/v1/app/{app_id}", operation_id = "v1.application.patch",
    tag = "Application",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body = ApplicationPatchIn,
    responses((status = 200, body = ApplicationOut), Errors),
)]
pub(super) async fn patch(By(api): By, app: OrgApp, body: Body) -> ApiResult<Response> {
    let changes = body.parse::<ApplicationPatchIn>()?.into();
    let reference = ApplicationRef::Id(app.snapshot.stored.application.id);
    let after = applications::patch(api.engine(), &app.org, &reference, changes).await?;
    Ok(json(StatusCode::OK, &out(after)))
}

/// Deletes an application with its endpoints
#[utoipa::path(
    delete, path = "/api/v1/app/{app_id}", operation_id = "v1.application.delete",
    tag = "Application",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses((status = 204), Errors),
)]
pub(super) async fn delete(By(api): By, app: OrgApp) -> ApiResult<StatusCode> {
    applications::delete(api.engine(), &app.snapshot).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The application a path names, created from `input` if there is none.
pub(super) async fn find_or_create(
    api: &ApiState,
    scope: &OrgFor,
    input: Option<ApplicationIn>,
) -> ApiResult<std::sync::Arc<watchfire_engine::Snapshot>> {
    let OrgFor { org, reference } = scope;
    match (
        applications::find(api.engine(), org, reference).await,
        input,
    ) {
        (Err(service::Error::NotFound), Some(input)) => {
            check_uid(reference, &input)?;
            let within = |fault: ApiError| fault.within("application");
            let input = Some(input.into_input().map_err(within)?);
            applications::find_or_create(api.engine(), org, reference, input)
                .await
                .map_err(|error| within(error.into()))
        }
        (found, _) => Ok(found?),
    }
}

/// What is created along the way must be what the path names.
fn check_uid(reference: &ApplicationRef, input: &ApplicationIn) -> ApiResult<()> {
    let named = match reference {
        ApplicationRef::Id(id) => id.to_string(),
        ApplicationRef::Uid(uid) => uid.to_string(),
    };
    let (msg, kind) = match &input.uid {
        Some(uid) if *uid == named => return Ok(()),
        Some(_) => ("must be the uid in the path", "application_uid_mismatch"),
        None => (
            "must be set to the uid in the path",
            "application_uid_missing",
        ),
    };
    Err(ApiError::Invalid(vec![crate::error::ValidationErrorItem {
        loc: ["body", "application", "uid"].map(Into::into).to_vec(),
        msg: msg.into(),
        kind,
    }]))
}
