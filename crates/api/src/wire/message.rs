//! Messages on the wire. A payload's bytes are never taken apart: what was posted is kept, and is
//! answered as it was posted.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use watchfire_domain::id::{EventType, MessageId, Uid};
use watchfire_domain::limit;
use watchfire_domain::message::{Message, RawBody, Urgency};
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::messages::{Example, MessageInput};
use watchfire_store::MessageFilter;

use super::application::ApplicationIn;
use super::field::{all_named, named, required};
use crate::error::{ApiError, ApiResult, Code};
use crate::page::{PageQuery, WindowQuery};

/// Days a payload may be asked to be kept.
const RETENTION_DAYS: std::ops::RangeInclusive<u64> = 5..=90;
/// Hours a payload may be asked to be kept.
const RETENTION_HOURS: std::ops::RangeInclusive<u64> = 1..=90 * 24;

/// An event to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageIn)]
pub(crate) struct MessageIn<'a> {
    #[schema(value_type = String, required, pattern = "^[a-zA-Z0-9\\-_.]+$", max_length = 256)]
    event_type: Option<String>,
    /// A JSON object; its bytes are kept as they are.
    #[serde(borrow)]
    #[schema(value_type = Object, required)]
    payload: Option<&'a RawValue>,
    /// The older name of `payload`.
    #[serde(borrow)]
    #[schema(ignore)]
    data: Option<&'a RawValue>,
    /// An id of your own; a second message of the application with the same is refused.
    #[schema(value_type = Option<String>, pattern = "^[a-zA-Z0-9\\-_.]+$", max_length = 256)]
    event_id: Option<String>,
    /// Endpoints that list channels get only messages of one of them.
    #[schema(max_items = 5)]
    channels: Option<Vec<String>>,
    #[schema(max_items = 5)]
    tags: Option<Vec<String>>,
    /// The users it is for: only their endpoints (`owner`) get it, and no others. Empty means that
    /// it is for none of them but for the endpoints that belong to nobody. If absent, a contract
    /// may read users from the payload; then endpoints that belong to nobody get it as well.
    #[schema(max_items = 100)]
    recipients: Option<Vec<String>>,
    /// Days after which the payload is removed.
    #[schema(minimum = 5, maximum = 90)]
    payload_retention_period: Option<u64>,
    /// Hours after which the payload is removed, instead of days.
    #[schema(minimum = 1, maximum = 2160)]
    payload_retention_hours: Option<u64>,
    /// Created along with the message if the path names none that exists.
    #[serde(default)]
    pub(crate) application: Option<ApplicationIn>,
    #[serde(default)]
    transformations_params: Option<TransformationsParams>,
    /// Which record the message is about: messages of one record are delivered in order.
    #[schema(max_length = 256)]
    record_key: Option<String>,
    /// The message is not delivered before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Timestamp>,
    /// Goes before ordinary messages when an endpoint can't take all at once.
    urgent: Option<bool>,
}

/// How the body differs from the payload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransformationsParams {
    /// Sent as the body, as it is.
    raw_payload: Option<String>,
    #[serde(default)]
    headers: Option<std::collections::BTreeMap<String, String>>,
}

impl<'a> MessageIn<'a> {
    /// The message as the service takes it, and its payload. `body` is what it was read from: the
    /// payload stays a part of it and is not copied.
    pub(crate) fn into_input(self, body: &Bytes) -> ApiResult<(MessageInput, &'a RawValue)> {
        let payload = required("payload", self.payload.or(self.data))?;
        let retention = retention(self.payload_retention_period, self.payload_retention_hours)?;
        let input = MessageInput {
            event_type: event_type(self.event_type)?,
            event_id: named("eventId", self.event_id)?,
            payload: body.slice_ref(payload.get().as_bytes()),
            record_key: self.record_key,
            urgency: self.urgent.map(urgency),
            channels: self.channels.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
            recipients: self.recipients,
            deliver_at: self.deliver_at,
            payload_retention: retention,
            raw_body: self
                .transformations_params
                .and_then(TransformationsParams::into_raw_body),
            ping: false,
        };
        Ok((input, payload))
    }
}

fn event_type(text: Option<String>) -> ApiResult<EventType> {
    let field = "eventType";
    required(field, named(field, text)?)
}

/// How long a payload is kept, in days or in hours.
fn retention(days: Option<u64>, hours: Option<u64>) -> ApiResult<Option<Duration>> {
    let (field, reason) = match (days, hours) {
        (Some(_), Some(_)) => (
            "payloadRetentionHours",
            "must not be given together with payloadRetentionPeriod",
        ),
        (Some(days), None) if !RETENTION_DAYS.contains(&days) => {
            ("payloadRetentionPeriod", "must be between 5 and 90 days")
        }
        (None, Some(hours)) if !RETENTION_HOURS.contains(&hours) => {
            ("payloadRetentionHours", "must be between 1 and 2160 hours")
        }
        (Some(days), None) => return Ok(Some(Duration::from_hours(24 * days))),
        (None, hours) => return Ok(hours.map(Duration::from_hours)),
    };
    Err(ApiError::body(field, reason))
}

fn urgency(urgent: bool) -> Urgency {
    if urgent {
        Urgency::Urgent
    } else {
        Urgency::Ordinary
    }
}

impl TransformationsParams {
    fn into_raw_body(self) -> Option<RawBody> {
        let mut headers = self.headers.unwrap_or_default().into_iter();
        let content_type = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Some(RawBody {
            body: self.raw_payload?,
            content_type: content_type.map(|(_, value)| value),
        })
    }
}

/// An event that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageOut)]
pub(crate) struct MessageOut<'a> {
    #[schema(value_type = String, example = "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: MessageId,
    #[schema(value_type = String, example = "threat.created")]
    event_type: &'a EventType,
    /// As it was posted; `{}` where it was not asked for, `{"expired":true}` after it was removed.
    #[schema(value_type = Object)]
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    event_id: Option<&'a Uid>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    channels: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    tags: &'a [String],
    /// The users it is for, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    recipients: Option<&'a [String]>,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Timestamp>,
    /// Faults the event type's schema found; the message was accepted all the same.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    schema_faults: &'a [String],
}

/// What is answered of a message's payload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// The payload as it was just read.
    Given(&'a RawValue),
    /// The payload as it is stored.
    Stored,
    Omitted,
}

impl<'a> MessageOut<'a> {
    pub(crate) fn new(message: &'a Message, content: Content<'a>) -> ApiResult<Self> {
        Ok(Self::with(message, payload(message, content)?))
    }

    /// Without its payload.
    pub(crate) fn bare(message: &'a Message) -> Self {
        let nothing = serde_json::from_str("{}").expect("an empty object is JSON");
        Self::with(message, nothing)
    }

    fn with(message: &'a Message, payload: &'a RawValue) -> Self {
        let recipients = message.details.recipients.as_ref();
        Self {
            id: message.id,
            event_type: &message.event_type,
            payload,
            event_id: message.event_id.as_ref(),
            channels: &message.details.channels,
            tags: &message.details.tags,
            recipients: recipients.map(|named| named.users.as_slice()),
            timestamp: message.accepted_at,
            record_key: message.record_key.as_deref(),
            deliver_at: message.details.deliver_at,
            schema_faults: &message.details.schema_faults,
        }
    }
}

fn payload<'a>(message: &'a Message, content: Content<'a>) -> ApiResult<&'a RawValue> {
    let text: &[u8] = match (content, &message.payload) {
        (Content::Given(payload), _) => return Ok(payload),
        (Content::Omitted, _) => b"{}",
        (Content::Stored, None) => br#"{"expired":true}"#,
        (Content::Stored, Some(payload)) => payload,
    };
    serde_json::from_slice(text).map_err(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, message.id = %message.id, "a stored payload is not JSON");
        Code::ServerError.into()
    })
}

/// An example to send to an endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventExampleIn)]
pub(crate) struct EventExampleIn<'a> {
    #[schema(value_type = String, required)]
    event_type: Option<String>,
    /// Which of the schema's examples, counted from 0.
    example_index: Option<usize>,
    /// Sent instead of an example.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    payload: Option<&'a RawValue>,
}

impl EventExampleIn<'_> {
    /// The example; `body` is what it was read from.
    pub(crate) fn into_example(self, body: &Bytes) -> ApiResult<Example> {
        let payload = self.payload;
        Ok(Example {
            event_type: event_type(self.event_type)?,
            index: self.example_index.unwrap_or_default(),
            payload: payload.map(|payload| body.slice_ref(payload.get().as_bytes())),
        })
    }
}

/// Which messages to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct MessageSearchIn {
    /// Items to answer at most: 50 unless given, 250 at most.
    #[schema(minimum = 1, maximum = 250)]
    limit: Option<u64>,
    /// The `iterator` or `prevIterator` of a page before.
    iterator: Option<String>,
    channel: Option<String>,
    tag: Option<String>,
    /// Only what was made before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only what was made after this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
    /// Answer the payloads.
    #[serde(default)]
    with_content: bool,
    event_types: Option<Vec<String>>,
}

impl MessageSearchIn {
    pub(crate) fn into_parts(self) -> ApiResult<(MessageFilter, PageQuery, WindowQuery)> {
        let max = limit::EVENT_TYPES_PER_ENDPOINT_MAX;
        if self.event_types.as_ref().is_some_and(|all| all.len() > max) {
            let reason = format!("may have at most {max} names");
            return Err(ApiError::body("eventTypes", reason));
        }
        let filter = MessageFilter {
            event_types: all_named("eventTypes", self.event_types)?,
            channel: self.channel,
            tag: self.tag,
            without_payload: !self.with_content,
        };
        let query = PageQuery {
            limit: self.limit,
            iterator: self.iterator,
        };
        let window = WindowQuery {
            before: self.before,
            after: self.after,
        };
        Ok((filter, query, window))
    }
}

/// A message that somebody thinks of sending.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessagePrecheckIn {
    #[schema(value_type = String, required)]
    event_type: Option<String>,
    channels: Option<Vec<String>>,
}

impl MessagePrecheckIn {
    pub(crate) fn into_parts(self) -> ApiResult<(EventType, Vec<String>)> {
        Ok((
            event_type(self.event_type)?,
            self.channels.unwrap_or_default(),
        ))
    }
}

/// Whether a message would go anywhere.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessagePrecheckOut {
    /// An endpoint that is not switched off subscribes to it.
    pub(crate) active: bool,
}
