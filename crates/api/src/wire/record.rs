//! The first owed delivery of a record, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::MessageId;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::heads::HeadInput;
use watchfire_store::{Owed, RecordHead};

use super::field::required;
use crate::error::{ApiError, ApiResult};

/// The record whose first owed delivery is meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecordHeadIn)]
pub(crate) struct RecordHeadIn {
    #[schema(value_type = String, required, min_length = 1, max_length = 256)]
    record_key: Option<String>,
    /// Only if it is this message; otherwise the answer is a conflict.
    message_id: Option<String>,
}

impl RecordHeadIn {
    pub(crate) fn into_input(self) -> ApiResult<HeadInput> {
        let message = self.message_id.map(|id| id.parse());
        let message = message
            .transpose()
            .map_err(|_| ApiError::body("messageId", "expected a message's id, such as msg_…"))?;
        Ok(HeadInput {
            record_key: required("recordKey", self.record_key)?,
            message,
        })
    }
}

/// The delivery that was skipped or made due.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecordHead)]
pub(crate) struct RecordHeadOut {
    record_key: String,
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    message_id: MessageId,
    /// Attempts of its present series, before that.
    attempts: u32,
    /// When it would have been tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
    /// Later messages about the record that waited behind it; large numbers are cut.
    waiting: usize,
}

impl RecordHeadOut {
    pub(crate) fn new(record_key: String, head: &RecordHead) -> Self {
        Self {
            record_key,
            message_id: head.message,
            attempts: head.view.owed.map_or(0, |owed| owed.attempts),
            next_attempt: head.view.owed.and_then(Owed::next_at),
            waiting: head.waiting,
        }
    }
}
