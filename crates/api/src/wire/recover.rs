//! Recovering failed deliveries on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::TaskId;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::recover::{Recovery, Span};

use super::field::required;
use crate::error::ApiResult;

/// Which failures to recover from.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RecoverIn {
    /// At most 14 days ago.
    #[schema(value_type = String, required, format = DateTime)]
    since: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl RecoverIn {
    pub(crate) fn into_span(self) -> ApiResult<Span> {
        Ok(Span {
            since: required("since", self.since)?,
            until: self.until,
        })
    }
}

/// What was set going.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecoverOut {
    #[schema(value_type = String, example = "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: TaskId,
    /// Always `running`: the deliveries are owed and will be made.
    #[schema(value_type = String, example = "running")]
    status: &'static str,
    #[schema(value_type = String, example = "endpoint.recover")]
    task: &'static str,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Deliveries that are owed again.
    messages: usize,
}

impl From<Recovery> for RecoverOut {
    fn from(recovery: Recovery) -> Self {
        Self {
            id: recovery.id,
            status: "running",
            task: "endpoint.recover",
            updated_at: recovery.at,
            messages: recovery.messages,
        }
    }
}
