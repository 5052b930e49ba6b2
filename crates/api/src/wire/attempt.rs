//! Attempts and deliveries on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use watchfire_domain::attempt::{AfterAttempt, Settlement, Timing, Trigger};
use watchfire_domain::id::{AttemptId, EndpointId, MessageId};
use watchfire_domain::message::Message;
use watchfire_domain::outcome::{Cause, Outcome, Phase, SkipReason, Verdict};
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::attempts::{AttemptView, Destination};
use watchfire_engine::service::requests::{self, Made, Unshown};
use watchfire_store::{AttemptedMessage, DeliveryStatus, Owed};

use super::endpoint::EndpointOut;
use super::message::{Content, MessageOut};
use crate::error::ApiResult;

/// Where a delivery stands: 0 delivered, 1 pending, 2 failed, 3 sending, 4 canceled.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(try_from = "u8")]
#[schema(value_type = u8)]
pub(crate) struct MessageStatus(pub(crate) DeliveryStatus);

impl TryFrom<u8> for MessageStatus {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Ok(Self(match number {
            0 => DeliveryStatus::Delivered,
            1 => DeliveryStatus::Pending,
            2 => DeliveryStatus::Failed,
            3 => DeliveryStatus::Sending,
            4 => DeliveryStatus::Cancelled,
            _ => return Err("a status is a number from 0 to 4"),
        }))
    }
}

impl Serialize for MessageStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self.0 {
            DeliveryStatus::Delivered => 0,
            DeliveryStatus::Pending => 1,
            DeliveryStatus::Failed => 2,
            DeliveryStatus::Sending => 3,
            DeliveryStatus::Cancelled => 4,
        })
    }
}

impl MessageStatus {
    fn text(self) -> &'static str {
        match self.0 {
            DeliveryStatus::Delivered => "success",
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Failed => "fail",
            DeliveryStatus::Sending => "sending",
            DeliveryStatus::Cancelled => "canceled",
        }
    }
}

/// What is answered of attempts and deliveries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// Bodies of answers and payloads.
    pub(crate) content: bool,
    /// What was canceled as such. Older clients know no such status and are told that it was
    /// delivered, as they expect.
    pub(crate) cancelled: bool,
}

impl Shown {
    fn status(self, status: DeliveryStatus) -> MessageStatus {
        MessageStatus(match status {
            DeliveryStatus::Cancelled if !self.cancelled => DeliveryStatus::Delivered,
            status => status,
        })
    }
}

/// Hundreds of an answer's status: 0 where no answer came, 100 to 500.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(try_from = "u16")]
#[schema(value_type = u16)]
pub(crate) struct StatusCodeClass(pub(crate) u8);

impl TryFrom<u16> for StatusCodeClass {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self(0)),
            100 => Ok(Self(1)),
            200 => Ok(Self(2)),
            300 => Ok(Self(3)),
            400 => Ok(Self(4)),
            500 => Ok(Self(5)),
            _ => Err("a class of status codes is 0, 100, 200, 300, 400 or 500"),
        }
    }
}

/// One HTTP request for a delivery, or why there was none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageAttemptOut {
    #[schema(value_type = String, example = "atmpt_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: AttemptId,
    #[schema(value_type = String)]
    msg_id: MessageId,
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    #[schema(format = "uri")]
    url: String,
    /// The body that was answered; what happened, where no answer came; `EXPUNGED` after it was
    /// removed.
    response: String,
    /// 0 where no answer came.
    response_status_code: u16,
    response_duration_ms: u64,
    status: MessageStatus,
    #[schema(value_type = String)]
    status_text: &'static str,
    /// 0 scheduled, 1 asked for.
    trigger_type: u8,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    outcome: OutcomeOut,
    /// 1 for the first attempt of a series.
    attempt_number: u32,
    timing: TimingOut,
    /// The address that was dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    address: Option<SocketAddr>,
    /// When the delivery is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    /// Names and values in the order received.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<Vec<String>>>)]
    response_headers: Vec<(String, String)>,
    /// The body went on beyond what was kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    response_truncated: bool,
    /// What was sent; only where one attempt is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    request: Option<RequestOut>,
    /// Why `request` is absent where one attempt is asked for: `not_made` (nothing was sent); of
    /// attempts that were made before recipes were kept, also `payload_gone`, `endpoint_deleted` or
    /// `unready` (the settings of today allow no request).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_missing: Option<&'static str>,
    /// The message, without its payload, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessageOut>)]
    msg: Option<Box<RawValue>>,
}

/// A request as it went out: made again from the message and what else shaped it, which is kept with
/// the attempt. So it is what was sent, whatever became of the endpoint and its contract.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AttemptRequest)]
pub(crate) struct RequestOut {
    #[schema(example = "POST")]
    method: String,
    /// Names as they were written, and values, without `Host` and `Content-Length`; null in place of
    /// a value that is a secret.
    #[schema(value_type = Vec<Vec<Option<String>>>)]
    headers: Vec<(String, Option<String>)>,
    /// With everything that the contract puts around the payload; null if the payload was removed.
    body: Option<String>,
    /// The attempt was made before recipes were kept, so this is made with the settings of today:
    /// it is what was sent as far as they and the contract are those of then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    as_today: bool,
    /// With `asToday`: the endpoint or its application was changed after the attempt, and may have
    /// said something else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    changed_since: bool,
}

impl From<requests::Shown> for RequestOut {
    fn from(shown: requests::Shown) -> Self {
        Self {
            method: shown.method,
            headers: shown.headers,
            body: shown
                .body
                .map(|body| String::from_utf8_lossy(&body).into_owned()),
            as_today: shown.made != Made::AsThen,
            changed_since: shown.made
                == Made::AsToday {
                    changed_since: true,
                },
        }
    }
}

fn missing(unshown: Unshown) -> &'static str {
    match unshown {
        Unshown::NotMade => "not_made",
        Unshown::PayloadGone => "payload_gone",
        Unshown::EndpointDeleted => "endpoint_deleted",
        Unshown::Unready => "unready",
    }
}

/// What happened, in a form for programs.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AttemptOutcome)]
pub(crate) struct OutcomeOut {
    /// `accepted`, `refused`, `timed_out`, `unreachable`, `blocked`, `oversize`, `malformed` or
    /// `skipped`.
    #[schema(value_type = String, example = "refused")]
    kind: &'static str,
    /// The status of the answer, where one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What the receiver's `Retry-After` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    /// Where a `timed_out` attempt was: `resolve`, `connect`, `tls`, `send`, `first_byte`, `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    phase: Option<Phase>,
    /// Why an `unreachable` receiver gave no answer, for example `connection_refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cause: Option<Cause>,
    /// Why a `blocked` request was not sent, for example `private`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    verdict: Option<Verdict>,
    /// Why a `skipped` delivery was settled without a request, for example `endpoint_disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<SkipReason>,
}

impl From<&Outcome> for OutcomeOut {
    fn from(outcome: &Outcome) -> Self {
        let of = |kind| Self {
            kind,
            status: outcome.status(),
            ..Self::default()
        };
        match outcome {
            Outcome::Accepted { .. } => of("accepted"),
            Outcome::Refused { retry_after, .. } => Self {
                retry_after_seconds: retry_after.map(|delay| delay.as_secs()),
                ..of("refused")
            },
            Outcome::TimedOut { phase } => Self {
                phase: Some(*phase),
                ..of("timed_out")
            },
            Outcome::Unreachable { cause } => Self {
                cause: Some(*cause),
                ..of("unreachable")
            },
            Outcome::Blocked { verdict } => Self {
                verdict: Some(*verdict),
                ..of("blocked")
            },
            Outcome::Oversize => of("oversize"),
            Outcome::Malformed => of("malformed"),
            Outcome::Skipped { reason } => Self {
                reason: Some(*reason),
                ..of("skipped")
            },
        }
    }
}

/// How long the parts of an attempt took, in milliseconds. A part that did not happen is absent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_field_names,
    reason = "each says its unit, as every number here does"
)]
pub(crate) struct TimingOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    resolve_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    total_ms: f64,
}

impl From<Timing> for TimingOut {
    fn from(timing: Timing) -> Self {
        let millis = |part: Duration| part.as_secs_f64() * 1_000.0;
        Self {
            resolve_ms: timing.resolve.map(millis),
            connect_ms: timing.connect.map(millis),
            tls_ms: timing.tls.map(millis),
            first_byte_ms: timing.first_byte.map(millis),
            total_ms: millis(timing.total),
        }
    }
}

/// What an answer that was removed is replaced with.
const EXPUNGED: &str = "EXPUNGED";

impl MessageAttemptOut {
    pub(crate) fn new(view: AttemptView, shown: Shown) -> Self {
        let (stored, attempt) = (view.stored.message_id, view.stored.attempt);
        let outcome = attempt.outcome;
        let status = shown.status(status_of(&outcome, attempt.next));
        let (response, response_headers, response_truncated) = match attempt.response {
            _ if !shown.content => (String::new(), Vec::new(), false),
            Some(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                (text, answer.headers, answer.truncated)
            }
            None if outcome.status().is_some() => (EXPUNGED.into(), Vec::new(), false),
            None => (outcome.to_string(), Vec::new(), false),
        };
        Self {
            id: attempt.id,
            msg_id: stored,
            endpoint_id: view.endpoint,
            url: attempt.url,
            response,
            response_status_code: outcome.status().unwrap_or(0),
            response_duration_ms: u64::try_from(attempt.timing.total.as_millis())
                .unwrap_or(u64::MAX),
            status,
            status_text: status.text(),
            trigger_type: u8::from(attempt.trigger == Trigger::Manual),
            timestamp: attempt.attempted_at,
            outcome: (&outcome).into(),
            attempt_number: attempt.number,
            timing: attempt.timing.into(),
            address: attempt.address,
            next_attempt_at: match attempt.next {
                AfterAttempt::Retry { due_at } => Some(due_at),
                AfterAttempt::Settled { .. } => None,
            },
            response_headers,
            response_truncated,
            request: None,
            request_missing: None,
            msg: view.message.map(|message| bare(&message)),
        }
    }

    /// With what was sent.
    pub(crate) fn with_request(mut self, shown: Result<requests::Shown, Unshown>) -> Self {
        match shown {
            Ok(shown) => self.request = Some(shown.into()),
            Err(unshown) => self.request_missing = Some(missing(unshown)),
        }
        self
    }
}

/// A message without its payload.
fn bare(message: &Message) -> Box<RawValue> {
    let out = MessageOut::bare(message);
    serde_json::value::to_raw_value(&out).expect("a message is plain data with text keys")
}

fn status_of(outcome: &Outcome, next: AfterAttempt) -> DeliveryStatus {
    let cancelled = AfterAttempt::Settled {
        settlement: Settlement::Cancelled,
    };
    if outcome.is_accepted() {
        DeliveryStatus::Delivered
    } else if next == cancelled {
        DeliveryStatus::Cancelled
    } else {
        DeliveryStatus::Failed
    }
}

/// A message and where its delivery to one endpoint stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EndpointMessageOut)]
pub(crate) struct EndpointMessageOut<'a> {
    #[serde(flatten)]
    message: MessageOut<'a>,
    status: MessageStatus,
    #[schema(value_type = String)]
    status_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
}

impl<'a> EndpointMessageOut<'a> {
    pub(crate) fn new(attempted: &'a AttemptedMessage, shown: Shown) -> ApiResult<Self> {
        let status = shown.status(attempted.status);
        let content = if shown.content {
            Content::Stored
        } else {
            Content::Omitted
        };
        Ok(Self {
            message: MessageOut::new(&attempted.stored.message, content)?,
            status,
            status_text: status.text(),
            next_attempt: attempted.next_attempt_at,
        })
    }
}

/// An endpoint and where a message's delivery to it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageEndpointOut {
    #[serde(flatten)]
    endpoint: EndpointOut,
    status: MessageStatus,
    #[schema(value_type = String)]
    status_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
}

impl MessageEndpointOut {
    pub(crate) fn new(to: &Destination, fingerprints: &hmac::Key) -> Self {
        let status = MessageStatus(to.view.status);
        Self {
            endpoint: EndpointOut::new(&to.endpoint, fingerprints),
            status,
            status_text: status.text(),
            next_attempt: to.view.owed.and_then(Owed::next_at),
        }
    }
}

/// Nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmptyResponse {}
