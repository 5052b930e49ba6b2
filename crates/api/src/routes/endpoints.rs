//! Endpoints: where an application's messages go.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_domain::id::EndpointId;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::endpoints::{self, Condition, EndpointQuery, OpenEndpoint, Sort};
use watchfire_engine::service::{Repeatable, attempts, messages};
use watchfire_store::{EndpointCounts, EndpointRef, Order};

use super::applications::put_status;
use crate::auth::{App, By};
use crate::error::{ApiError, ApiResult, Code};
use crate::extract::{Body, Params, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::page::{ListResponse, OrderQuery, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::endpoint::{
    EndpointAttemptStats, EndpointIn, EndpointOut, EndpointPatchIn, EndpointStats,
};
use crate::wire::message::{Content, EventExampleIn, MessageOut};

/// The endpoint a path names.
#[derive(Deserialize)]
pub(super) struct EndpointPath {
    endpoint_id: String,
}

impl EndpointPath {
    pub(super) fn reference(&self) -> ApiResult<EndpointRef> {
        endpoint_ref(&self.endpoint_id).ok_or_else(|| Code::NotFound.into())
    }

    pub(super) fn into_text(self) -> String {
        self.endpoint_id
    }
}

/// A text that can't name an endpoint names none.
pub(super) fn endpoint_ref(text: &str) -> Option<EndpointRef> {
    if text.starts_with(EndpointId::PREFIX) {
        text.parse().ok().map(EndpointRef::Id)
    } else {
        text.parse().ok().map(EndpointRef::Uid)
    }
}

pub(super) fn out(api: &ApiState, endpoint: &OpenEndpoint) -> EndpointOut {
    EndpointOut::new(endpoint, api.fingerprints())
}

/// Which endpoints to list, beyond what the Svix API knows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointsQuery {
    /// Only those of which this is to be said: `active`, `probation`, `failing`, `suspended`,
    /// `disabled` (by its failures or by a person) or `off` (by its owner).
    state: Option<String>,
    /// Only those of this user.
    owner: Option<String>,
    /// Only those with this text in their URL, description or uid, or with this id.
    search: Option<String>,
    /// Only those that get this event type.
    event_type: Option<String>,
    /// `created` unless given, `name` (the description, or the URL where there is none),
    /// `lastDelivery` or `failing` (descending: the worst first).
    sort: Option<String>,
}

impl EndpointsQuery {
    fn into_query(self) -> ApiResult<EndpointQuery> {
        let state = self.state.map(|name| {
            let names = Condition::ALL.map(Condition::name);
            Condition::named(&name).ok_or_else(|| one_of("state", &names))
        });
        let sort = self.sort.map(|name| {
            let names = Sort::ALL.map(Sort::name);
            Sort::named(&name).ok_or_else(|| one_of("sort", &names))
        });
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(EndpointQuery {
            state: state.transpose()?,
            owner: filled(self.owner),
            search: filled(self.search),
            event_type: filled(self.event_type),
            sort: sort.transpose()?.unwrap_or_default(),
        })
    }
}

fn one_of(name: &'static str, names: &[&str]) -> ApiError {
    ApiError::query(name, format_args!("must be one of {}", names.join(", ")))
}

/// Lists an application's endpoints
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint", operation_id = "v1.endpoint.list",
    tag = "Endpoint", params(("app_id" = String, Path), PageQuery, OrderQuery, EndpointsQuery),
    responses((status = 200, body = ListResponse<EndpointOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    app: App,
    Params(query): Params<PageQuery>,
    Params(order): Params<OrderQuery>,
    Params(wanted): Params<EndpointsQuery>,
) -> ApiResult<Response> {
    let page = Page::new(&query, order.or(Order::Descending))?;
    let wanted = wanted.into_query()?;
    let (engine, app) = (api.engine(), &app.snapshot);
    let found = if wanted.is_plain() {
        endpoints::list(engine, app, page.range()).await?
    } else {
        let found = endpoints::search(engine, app, &wanted, page.range()).await?;
        found.into_iter().map(|listed| listed.endpoint).collect()
    };
    let id = |endpoint: &OpenEndpoint| endpoint.stored.endpoint.identity.id.to_string();
    let answer = page.answer(found, id, |endpoint| out(&api, &endpoint));
    Ok(json(StatusCode::OK, &answer))
}

/// Creates an endpoint
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint", operation_id = "v1.endpoint.create",
    tag = "Endpoint",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = EndpointIn, responses((status = 201, body = EndpointOut), Errors),
)]
pub(super) async fn create(By(api): By, app: App, body: Body) -> ApiResult<Response> {
    let input = body.parse::<EndpointIn>()?.into_input()?;
    let once = body.once(&app.org);
    let answer = |made: &OpenEndpoint| written(StatusCode::CREATED, &to_json(&out(&api, made)));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match endpoints::create(api.engine(), &app.snapshot, input, repeatable).await {
        Ok(made) => Ok(json(StatusCode::CREATED, &out(&api, &made))),
        Err(error) => replay(error, once),
    }
}

/// Answers an endpoint
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}", operation_id = "v1.endpoint.get",
    tag = "Endpoint", params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 200, body = EndpointOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
) -> ApiResult<Response> {
    let found = endpoints::find(api.engine(), &app.snapshot, &path.reference()?).await?;
    Ok(json(StatusCode::OK, &out(&api, &found)))
}

/// Replaces an endpoint's settings, or creates it
#[utoipa::path(
    put, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.update", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)), request_body = EndpointIn,
    responses(
        (status = 200, body = EndpointOut),
        (status = 201, body = EndpointOut, description = "It was created"),
        Errors
    ),
)]
pub(super) async fn put(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let input = body.parse::<EndpointIn>()?.into_input()?;
    let (endpoint, how) =
        endpoints::put(api.engine(), &app.snapshot, &path.reference()?, input).await?;
    Ok(json(put_status(how), &out(&api, &endpoint)))
}

/// Changes an endpoint
#[utoipa::path(
    patch, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.patch", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    request_body = EndpointPatchIn, responses((status = 200, body = EndpointOut), Errors),
)]
pub(super) async fn patch(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let changes = body.parse::<EndpointPatchIn>()?.into();
    let after = endpoints::patch(api.engine(), &app.snapshot, &path.reference()?, changes).await?;
    Ok(json(StatusCode::OK, &out(&api, &after)))
}

/// Deletes an endpoint
#[utoipa::path(
    delete, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.delete", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204), Errors),
)]
pub(super) async fn delete(
    By(api): By,
    app: App,
    Path(path): Path<EndpointPath>,
) -> ApiResult<StatusCode> {
    endpoints::delete(api.engine(), &app.snapshot, &path.reference()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// 28 days before `until` unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Now unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// The longest stretch of time statistics are answered for.
const STATS_RANGE: Duration = Duration::from_hours(28 * 24);
/// Clocks of callers may be ahead of ours by this much.
const STATS_SLACK: Duration = Duration::from_mins(5);

impl StatsQuery {
    fn range(&self, now: Timestamp) -> ApiResult<(Timestamp, Timestamp)> {
        let until = self.until.unwrap_or(now);
        let since = self.since.unwrap_or(until - STATS_RANGE);
        let fault = if until > now + STATS_SLACK {
            "`until` must not be in the future"
        } else if since > until {
            "`since` must not be after `until`"
        } else if until.since(since) > STATS_RANGE + STATS_SLACK {
            "the range must not be longer than 28 days"
        } else {
            return Ok((since, until));
        };
        Err(ApiError::new(Code::InvalidRange, fault))
    }

    async fn counts(
        &self,
        api: &ApiState,
        app: &App,
        path: &EndpointPath,
    ) -> ApiResult<EndpointCounts> {
        let (since, until) = self.range(api.now())?;
        let reference = path.reference()?;
        let snapshot = &app.snapshot;
        Ok(attempts::counts(api.engine(), snapshot, &reference, since, until).await?)
    }
}

/// Counts an endpoint's deliveries
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats",
    operation_id = "v1.endpoint.get-stats", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path), StatsQuery),
    responses((status = 200, body = EndpointStats), Errors),
)]
pub(super) async fn stats(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
    Params(query): Params<StatsQuery>,
) -> ApiResult<Response> {
    let counts = query.counts(&api, &app, &path).await?;
    Ok(json(StatusCode::OK, &EndpointStats::from(counts)))
}

/// Counts how an endpoint's deliveries ended
///
/// Whole hours: those that `since` and `until` fall into count in full.
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/attempt-stats",
    operation_id = "v1.endpoint.get-attempt-stats", tag = "Endpoint",
    params(("app_id" = String, Path), ("endpoint_id" = String, Path), StatsQuery),
    responses((status = 200, body = EndpointAttemptStats), Errors),
)]
pub(super) async fn attempt_stats(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
    Params(query): Params<StatsQuery>,
) -> ApiResult<Response> {
    let counts = query.counts(&api, &app, &path).await?;
    Ok(json(StatusCode::OK, &EndpointAttemptStats::from(counts)))
}

/// Sends an example of an event type to the endpoint
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example",
    operation_id = "v1.endpoint.send-example", tag = "Endpoint",
    params(
        ("app_id" = String, Path), ("endpoint_id" = String, Path),
        ("idempotency-key" = Option<String>, Header)
    ),
    request_body = EventExampleIn, responses((status = 200, body = MessageOut), Errors),
)]
pub(super) async fn send_example(
    State(api): State<ApiState>,
    app: App,
    Path(path): Path<EndpointPath>,
    body: Body,
) -> ApiResult<Response> {
    let example = body.parse::<EventExampleIn<'_>>()?;
    let example = example.into_example(&body.bytes)?;
    let (reference, once) = (path.reference()?, body.once(&app.org));
    let engine = api.engine();
    let message = messages::send_example(engine, &app.snapshot, &reference, example, once).await?;
    Ok(json(
        StatusCode::OK,
        &MessageOut::new(&message, Content::Stored)?,
    ))
}
