//! Endpoints as they are answered.

use std::collections::BTreeMap;

use ring::hmac;
use serde::Serialize;
use utoipa::ToSchema;
use watchfire_domain::endpoint::Method;
use watchfire_domain::health::Health;
use watchfire_domain::id::{EndpointId, Uid};
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::endpoints::OpenEndpoint;
use watchfire_store::EndpointCounts;

use super::auth::AuthOut;

/// A URL an application's messages go to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointOut {
    #[schema(value_type = String, example = "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: EndpointId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    uid: Option<Uid>,
    #[schema(format = "uri")]
    url: String,
    description: String,
    /// Switched off by its owner, or by its failures.
    disabled: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    event_types: Vec<String>,
    /// The older name of `eventTypes`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(ignore)]
    filter_types: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    channels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_rate: Option<u32>,
    /// The older name of `throttleRate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    rate_limit: Option<u32>,
    metadata: BTreeMap<String, String>,
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    method: Option<Method>,
    auth: AuthOut,
    /// Deadline over a whole attempt, where it is not the contract's.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    health: HealthOut,
}

/// Whether an endpoint is sent to, and why not.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EndpointHealth)]
pub(crate) struct HealthOut {
    /// `active`, `suspended`, `probation` or `disabled`.
    #[schema(value_type = String, example = "active")]
    state: &'static str,
    /// The state in DefectDojo's words.
    #[schema(value_type = String, example = "active")]
    contract_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The first failure since the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    first_error_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_error_at: Option<Timestamp>,
    /// When it is tried whether it is back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_check_at: Option<Timestamp>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl From<&Health> for HealthOut {
    fn from(health: &Health) -> Self {
        let (since, next_check_at) = match health {
            Health::Active { .. } => (None, None),
            Health::Suspended {
                since, check_at, ..
            } => (Some(*since), Some(*check_at)),
            Health::Probation { since, .. } | Health::Disabled { since, .. } => {
                (Some(*since), None)
            }
        };
        let (state, trouble) = (health.state(), health.trouble());
        Self {
            state: state.as_str(),
            contract_state: state.contract_str(),
            since,
            first_error_at: trouble.map(|trouble| trouble.first_error_at),
            last_error_at: trouble.map(|trouble| trouble.last_error_at),
            next_check_at,
            note: health.note().map(|note| note.to_string()),
        }
    }
}

impl EndpointOut {
    pub(crate) fn new(endpoint: &OpenEndpoint, fingerprints: &hmac::Key) -> Self {
        let stored = endpoint.stored.endpoint.clone();
        let (identity, settings) = (stored.identity, stored.settings);
        let health = &endpoint.stored.health;
        Self {
            id: identity.id,
            uid: identity.uid,
            url: settings.url,
            description: settings.description,
            disabled: settings.disabled || matches!(health, Health::Disabled { .. }),
            filter_types: settings.subscription.event_types.clone(),
            event_types: settings.subscription.event_types,
            channels: settings.subscription.channels,
            throttle_rate: settings.throttle_rate,
            rate_limit: settings.throttle_rate,
            metadata: settings.metadata,
            version: settings.version,
            created_at: identity.created_at,
            updated_at: identity.updated_at,
            method: settings.method,
            auth: AuthOut::new(&endpoint.secrets.auth, identity.id, fingerprints),
            timeout_ms: settings.timeout_ms,
            ordered: settings.ordered,
            owner: settings.owner,
            health: health.into(),
        }
    }
}

/// Counts of an endpoint's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointStats {
    success: u64,
    pending: u64,
    sending: u64,
    fail: u64,
    canceled: u64,
}

impl From<EndpointCounts> for EndpointStats {
    fn from(counts: EndpointCounts) -> Self {
        Self {
            success: counts.delivered,
            pending: counts.pending,
            // A delivery in flight is settled, or owed, a moment later.
            sending: 0,
            fail: counts.failed,
            canceled: counts.cancelled,
        }
    }
}

/// How an endpoint's deliveries of a span ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointAttemptStats {
    success: u64,
    fail: u64,
    canceled: u64,
}

impl From<EndpointCounts> for EndpointAttemptStats {
    fn from(counts: EndpointCounts) -> Self {
        Self {
            success: counts.delivered,
            fail: counts.failed,
            canceled: counts.cancelled,
        }
    }
}
