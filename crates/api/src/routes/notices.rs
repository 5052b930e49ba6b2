//! The inbox: what an organization's people should know.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use watchfire_domain::id::NoticeId;
use watchfire_engine::service::notices;
use watchfire_store::{InboxLine, Order, Reading};

use crate::auth::Org;
use crate::error::{ApiResult, Code};
use crate::extract::{Params, json};
use crate::openapi::Errors;
use crate::page::{ListResponse, Page, PageQuery};
use crate::state::ApiState;
use crate::wire::notice::NoticeOut;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InboxQuery {
    /// Only lines that nobody has read.
    #[serde(default)]
    unread: bool,
}

/// Lists the inbox, newest first: one line for all notices of a kind about an endpoint
#[utoipa::path(
    get, path = "/api/v1/notice", operation_id = "v1.notice.list", tag = "Notice",
    params(PageQuery, InboxQuery),
    responses((status = 200, body = ListResponse<NoticeOut>), Errors),
)]
pub(super) async fn list(
    State(api): State<ApiState>,
    Org(org): Org,
    Params(query): Params<PageQuery>,
    Params(wanted): Params<InboxQuery>,
) -> ApiResult<Response> {
    let page = Page::<NoticeId>::new(&query, Order::Descending)?;
    let reading = if wanted.unread {
        Reading::Unread
    } else {
        Reading::All
    };
    let found = notices::inbox(api.engine(), &org, reading, page.range()).await?;
    let answer = page.answer_all(
        &found,
        |line| line.id.to_string(),
        |line: &InboxLine| Ok(NoticeOut::from(line)),
    )?;
    Ok(json(StatusCode::OK, &answer))
}

/// Marks a line as read; what happens after that begins a new one
#[utoipa::path(
    post, path = "/api/v1/notice/{notice_id}/read", operation_id = "v1.notice.read",
    tag = "Notice", params(("notice_id" = String, Path)),
    responses((status = 200, body = NoticeOut), Errors),
)]
pub(super) async fn read(
    State(api): State<ApiState>,
    Org(org): Org,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let id = id.parse().map_err(|_| Code::NotFound)?;
    let line = notices::mark_read(api.engine(), &org, id).await?;
    Ok(json(StatusCode::OK, &NoticeOut::from(&line)))
}
