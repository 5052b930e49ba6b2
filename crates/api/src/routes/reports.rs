//! Background tasks about all of an application or organization: what they report, what they remove.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use watchfire_engine::service::reports::{self, Asked};
use watchfire_engine::service::{Repeatable, messages};
use watchfire_store::Task;

use super::messages::reference_of;
use crate::auth::{By, Org, OrgApp};
use crate::error::ApiResult;
use crate::extract::{Body, json, to_json};
use crate::once::{replay, written};
use crate::openapi::Errors;
use crate::wire::report::{
    AggregateEventTypesOut, AppUsageStatsIn, AppUsageStatsOut, BulkExpungeContentsIn,
    BulkExpungeContentsOut, ExpungeAllContentsOut,
};
use crate::wire::task::ReplayOut;

/// Counts the deliveries of applications in a span
///
/// They are counted in the background, from roll-ups by the hour: the answer of
/// `background-task/{task_id}` has them when the task has finished.
#[utoipa::path(
    post, path = "/api/v1/stats/usage/app", operation_id = "v1.statistics.aggregate-app-stats",
    tag = "Statistics", params(("idempotency-key" = Option<String>, Header)),
    request_body = AppUsageStatsIn,
    responses((status = 202, body = AppUsageStatsOut), Errors),
)]
pub(super) async fn usage(By(api): By, Org(org): Org, body: Body) -> ApiResult<Response> {
    let input = body.parse::<AppUsageStatsIn>()?.into_input()?;
    let once = body.once(&org);
    let answer = |asked: &Asked| {
        written(
            StatusCode::ACCEPTED,
            &to_json(&AppUsageStatsOut::from(asked)),
        )
    };
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match reports::usage(api.engine(), &org, input, repeatable).await {
        Ok(asked) => Ok(json(StatusCode::ACCEPTED, &AppUsageStatsOut::from(&asked))),
        Err(error) => replay(error, once),
    }
}

/// Lists which event types each application subscribes to
///
/// They are gathered in the background: the answer of `background-task/{task_id}` has them when the
/// task has finished.
#[utoipa::path(
    put, path = "/api/v1/stats/usage/event-types",
    operation_id = "v1.statistics.aggregate-event-types", tag = "Statistics",
    responses((status = 202, body = AggregateEventTypesOut), Errors),
)]
pub(super) async fn event_types(By(api): By, Org(org): Org) -> ApiResult<Response> {
    let task = reports::subscriptions(api.engine(), &org).await?;
    let out = AggregateEventTypesOut(ReplayOut::from(&task));
    Ok(json(StatusCode::ACCEPTED, &out))
}

/// Removes the payloads of all messages that the application has now
///
/// They are removed in the background; attempts and what else is known of the messages stay.
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg/expunge-all-contents",
    operation_id = "v1.message.expunge-all-contents", tag = "Message",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    responses((status = 202, body = ExpungeAllContentsOut), Errors),
)]
pub(super) async fn purge(By(api): By, app: OrgApp, body: Body) -> ApiResult<Response> {
    let once = body.once(&app.org);
    let out = |task: &Task| ExpungeAllContentsOut(task.into());
    let answer = |task: &Task| written(StatusCode::ACCEPTED, &to_json(&out(task)));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    match reports::purge(api.engine(), &app.snapshot, repeatable).await {
        Ok(task) => Ok(json(StatusCode::ACCEPTED, &out(&task))),
        Err(error) => replay(error, once),
    }
}

/// Removes the payloads of some messages
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg/bulk-expunge",
    operation_id = "v1.message.bulk-expunge-content", tag = "Message",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = BulkExpungeContentsIn,
    responses((status = 200, body = BulkExpungeContentsOut), Errors),
)]
pub(super) async fn expunge(By(api): By, app: OrgApp, body: Body) -> ApiResult<Response> {
    let names = body.parse::<BulkExpungeContentsIn>()?.into_names()?;
    let wanted = names.into_iter().map(|name| {
        let reference = reference_of(&name);
        (name, reference)
    });
    let once = body.once(&app.org);
    let out = |found: &BTreeMap<_, _>| BulkExpungeContentsOut::new(found);
    let answer = |found: &BTreeMap<_, _>| written(StatusCode::OK, &to_json(&out(found)));
    let repeatable = once.map(|once| Repeatable {
        once,
        answer: &answer,
    });
    let (engine, wanted) = (api.engine(), wanted.collect());
    match messages::expunge_all(engine, &app.snapshot, wanted, repeatable).await {
        Ok(found) => Ok(json(StatusCode::OK, &out(&found))),
        Err(error) => replay(error, once),
    }
}
