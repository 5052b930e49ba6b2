//! Many messages in one request, each with its own result. They share a commit, so a batch costs
//! the producer one round trip and the server one flush to disk.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::join_all;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use watchfire_domain::limit;
use watchfire_domain::message::Message;
use watchfire_engine::Snapshot;
use watchfire_engine::service::{Once, messages};

use super::applications::find_or_create;
use crate::auth::Sender;
use crate::error::{ApiError, ApiResult, Code, HttpErrorOut, ValidationErrorItem};
use crate::extract::{Body, json, parsed};
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::message::{Content, MessageIn, MessageOut};

/// Messages to accept.
#[derive(Deserialize, ToSchema)]
pub(super) struct BatchIn<'a> {
    /// In the order in which messages about one record are to be delivered.
    #[serde(borrow)]
    #[schema(value_type = Vec<MessageIn>, min_items = 1, max_items = 1000)]
    messages: Vec<&'a RawValue>,
}

/// What became of each message, in the order given.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchOut<'a> {
    data: Vec<BatchItemOut<'a>>,
}

/// What became of one message.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchItemOut<'a> {
    /// The status its own request would have been answered with; 202 if it was accepted.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<HttpErrorOut>,
    /// The faults of a message that is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Vec<ValidationErrorItem>>,
}

/// Accepts many messages: each that is answered with 202 is on disk, whatever became of the others
#[utoipa::path(
    post, path = "/api/v1/app/{app_id}/msg-batch", operation_id = "v1.message.create-batch",
    tag = "Message",
    params(("app_id" = String, Path), ("idempotency-key" = Option<String>, Header)),
    request_body = BatchIn, responses((status = 202, body = BatchOut), Errors),
)]
pub(super) async fn create(
    State(api): State<ApiState>,
    sender: Sender,
    body: Body<{ limit::BATCH_BYTES_MAX }>,
) -> ApiResult<Response> {
    let app = find_or_create(&api, &sender.scope, None).await?;
    let batch = body.parse::<BatchIn<'_>>()?;
    let count = batch.messages.len();
    if count == 0 || count > limit::BATCH_MESSAGES_MAX {
        let reason = format!("must hold 1 to {} messages", limit::BATCH_MESSAGES_MAX);
        return Err(ApiError::body("messages", reason));
    }
    let once = body.once(&sender.scope.org);
    // Polled in this order the first time, which is when each takes its place in the ledger's queue.
    let accepted = batch.messages.iter().enumerate().map(|(place, raw)| {
        let once = once.map(|once| of_item(once, place));
        accept(&api, &app, raw, &body, once)
    });
    let results = join_all(accepted).await;
    let (messages, errors): (Vec<_>, Vec<_>) = results.into_iter().map(parted).unzip();
    let items = messages.iter().zip(errors);
    let items = items.map(|(message, error)| item(message.as_deref(), error));
    let data = items.collect::<ApiResult<Vec<_>>>()?;
    Ok(json(StatusCode::ACCEPTED, &BatchOut { data }))
}

type Parted = (Option<Arc<Message>>, Option<ApiError>);

fn parted(result: ApiResult<Arc<Message>>) -> Parted {
    match result {
        Ok(message) => (Some(message), None),
        Err(error) => (None, Some(error)),
    }
}

async fn accept(
    api: &ApiState,
    app: &Arc<Snapshot>,
    raw: &RawValue,
    body: &Body<{ limit::BATCH_BYTES_MAX }>,
    once: Option<Once>,
) -> ApiResult<Arc<Message>> {
    let message: MessageIn<'_> = parsed(raw.get().as_bytes())?;
    let (input, _) = message.into_input(&body.bytes)?;
    Ok(messages::create(api.engine(), app, input, once).await?)
}

/// Each message of a batch is done once by itself, under the batch's key and its place.
fn of_item(batch: Once, place: usize) -> Once {
    let mut context = Context::new(&SHA256);
    context.update(&batch.key);
    context.update(&u64::try_from(place).unwrap_or(u64::MAX).to_be_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    Once { key, ..batch }
}

type Refused = (
    StatusCode,
    Option<HttpErrorOut>,
    Option<Vec<ValidationErrorItem>>,
);

fn refused(code: Code, detail: std::borrow::Cow<'static, str>) -> Refused {
    let code_text = code.text().into();
    let error = HttpErrorOut {
        code: code_text,
        detail,
    };
    (code.status(), Some(error), None)
}

/// The payload is not answered: the producer has it.
fn item(message: Option<&Message>, error: Option<ApiError>) -> ApiResult<BatchItemOut<'_>> {
    let message = message
        .map(|message| MessageOut::new(message, Content::Omitted))
        .transpose()?;
    let (status, error, faults) = match error {
        None => (StatusCode::ACCEPTED, None, None),
        Some(ApiError::Coded { code, detail }) => refused(code, detail),
        // Rates count requests, so this is the whole batch's and not one message's.
        Some(ApiError::Limited(_)) => refused(Code::RateLimited, "Too many requests".into()),
        Some(ApiError::Invalid(faults)) => (StatusCode::UNPROCESSABLE_ENTITY, None, Some(faults)),
    };
    Ok(BatchItemOut {
        status: status.as_u16(),
        message,
        error,
        faults,
    })
}
