//! What people do about an endpoint's health, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_engine::service::health::{Activation, Ping};

use super::out::EndpointOut;

/// Why an endpoint is to be left alone.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeactivateIn {
    /// For people; at most 1,000 characters are kept.
    pub(crate) note: Option<String>,
}

/// What came of an activation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivationOut {
    /// Whether the endpoint is sent to from now on.
    activated: bool,
    /// The question that came before, where the contract asks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ping: Option<PingOut>,
    endpoint: EndpointOut,
}

/// A ping and what is known about it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EndpointPing)]
pub(crate) struct PingOut {
    /// `succeeded`, `failed`, or `unknown` if no answer was recorded in time: then ask again.
    #[schema(value_type = String, example = "succeeded")]
    result: &'static str,
    #[schema(value_type = String)]
    msg_id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    attempt_id: Option<AttemptId>,
    /// Absent if no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status_code: Option<u16>,
    /// What happened, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
}

impl ActivationOut {
    pub(crate) fn new(activation: &Activation, endpoint: EndpointOut) -> Self {
        Self {
            activated: activation.activated,
            ping: activation.ping.as_ref().map(PingOut::from),
            endpoint,
        }
    }
}

impl From<&Ping> for PingOut {
    fn from(ping: &Ping) -> Self {
        let attempt = ping.attempt.as_ref();
        let result = match attempt.map(|attempt| attempt.outcome.is_accepted()) {
            Some(true) => "succeeded",
            Some(false) => "failed",
            None => "unknown",
        };
        Self {
            result,
            msg_id: ping.message,
            attempt_id: attempt.map(|attempt| attempt.id),
            response_status_code: attempt.and_then(|attempt| attempt.outcome.status()),
            outcome: attempt.map(|attempt| attempt.outcome.to_string()),
        }
    }
}
