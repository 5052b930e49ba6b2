//! Notices on the wire.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId};
use watchfire_domain::time::Timestamp;
use watchfire_store::InboxLine;

/// A line of the inbox.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoticeOut {
    #[schema(value_type = String)]
    id: NoticeId,
    /// What it is about: the event type of the operational webhooks it stands for.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "endpoint.disabled")]
    kind: &'static str,
    /// The same, for people.
    #[schema(value_type = String)]
    description: &'static str,
    #[schema(value_type = String)]
    app_id: ApplicationId,
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// How often it happened while the line was unread.
    count: u64,
    #[schema(value_type = String, format = DateTime)]
    first_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<Timestamp>,
    /// What the last operational webhook says.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<&InboxLine> for NoticeOut {
    fn from(line: &InboxLine) -> Self {
        Self {
            id: line.id,
            kind: line.kind.event_type(),
            description: line.kind.description(),
            app_id: line.application,
            endpoint_id: line.endpoint_id,
            count: line.count,
            first_at: line.first_at,
            last_at: line.last_at,
            read_at: line.read_at,
            data: serde_json::from_str(&line.data).unwrap_or_default(),
        }
    }
}
