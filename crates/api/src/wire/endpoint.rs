//! Endpoints on the wire.

mod action;
mod auth;
mod out;
mod secret;

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::ToSchema;
use watchfire_domain::endpoint::Method;
use watchfire_domain::secret::SecretText;
use watchfire_engine::service::Edit;
use watchfire_engine::service::endpoints::{EndpointInput, EndpointPatch, Extras};

pub(crate) use self::action::{ActivationOut, DeactivateIn};
pub(crate) use self::auth::AuthIn;
pub(crate) use self::out::{EndpointAttemptStats, EndpointOut, EndpointStats};
pub(crate) use self::secret::{
    EndpointHeadersIn, EndpointHeadersOut, EndpointHeadersPatchIn, EndpointSecretOut,
    EndpointSecretRotateIn,
};
use super::field::{change, edit, either, required};
use crate::error::ApiResult;

/// An endpoint to create, or to replace another with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointIn {
    /// Signs deliveries: `whsec_` and base64 of 24 to 75 bytes; generated if absent. On
    /// replacement the secret stays; rotate it instead.
    #[schema(value_type = Option<String>)]
    secret: Option<SecretText>,
    #[schema(value_type = String, required, format = "uri", min_length = 1, max_length = 2048)]
    url: Option<String>,
    description: Option<String>,
    disabled: Option<bool>,
    /// Event types it subscribes to, or prefixes that end in `*`; all if absent or empty.
    event_types: Option<Vec<String>>,
    #[schema(ignore)]
    filter_types: Option<Vec<String>>,
    /// Only messages of one of these channels; all if absent or empty.
    #[schema(max_items = 10)]
    channels: Option<Vec<String>>,
    /// An id of your own, by which the endpoint can be named instead of ours.
    #[schema(pattern = "^[a-zA-Z0-9\\-_.]+$", min_length = 1, max_length = 256)]
    uid: Option<String>,
    /// Deliveries per second, at most.
    #[schema(minimum = 1)]
    throttle_rate: Option<u16>,
    #[schema(ignore)]
    rate_limit: Option<u16>,
    metadata: Option<BTreeMap<String, String>>,
    #[schema(minimum = 1)]
    version: Option<u32>,
    /// Overrides the contract's request method: POST, PUT, PATCH or GET. Kept on replacement
    /// unless it is mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    method: Edit<Method>,
    /// How the receiver is told who is calling. Kept on replacement unless it is mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<AuthIn>)]
    auth: Edit<AuthIn>,
    /// Deadline over a whole attempt in milliseconds; the contract decides if absent. Kept on
    /// replacement unless it is mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 120_000)]
    timeout_ms: Edit<u32>,
    /// Whether messages about one record wait for each other; the contract decides if absent.
    /// Kept on replacement unless it is mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<bool>)]
    ordered: Edit<bool>,
    /// The user the endpoint belongs to: it gets no message that is for others. Kept on replacement unless it is mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    owner: Edit<String>,
    /// Custom headers of its requests. Kept on replacement unless they are mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Edit<BTreeMap<String, String>>,
}

impl EndpointIn {
    pub(crate) fn into_input(self) -> ApiResult<EndpointInput> {
        Ok(EndpointInput {
            url: required("url", self.url)?,
            description: self.description.unwrap_or_default(),
            disabled: self.disabled.unwrap_or_default(),
            event_types: self.event_types.or(self.filter_types).unwrap_or_default(),
            channels: self.channels.unwrap_or_default(),
            uid: self.uid,
            throttle_rate: self.throttle_rate.or(self.rate_limit).map(u32::from),
            metadata: self.metadata.unwrap_or_default(),
            version: self.version,
            secret: self.secret,
            extras: Extras {
                method: self.method,
                auth: self.auth.map(Into::into),
                timeout_ms: self.timeout_ms,
                ordered: self.ordered,
                owner: self.owner,
                headers: self.headers,
            },
        })
    }
}

/// A change of an endpoint: what is absent is kept, null clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EndpointPatch)]
pub(crate) struct EndpointPatchIn {
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = String, required = false, format = "uri")]
    url: Edit<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = String, required = false)]
    description: Edit<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = bool, required = false)]
    disabled: Edit<bool>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Edit<Vec<String>>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(ignore)]
    filter_types: Edit<Vec<String>>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<Vec<String>>)]
    channels: Edit<Vec<String>>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    uid: Edit<String>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<u16>)]
    throttle_rate: Edit<u16>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(ignore)]
    rate_limit: Edit<u16>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    metadata: Edit<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = u32, required = false)]
    version: Edit<u32>,
    /// Takes the place of the signing secret at once; `secret/rotate` lets both sign for a while.
    #[schema(value_type = Option<String>)]
    secret: Option<SecretText>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    method: Edit<Method>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<AuthIn>)]
    auth: Edit<AuthIn>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 120_000)]
    timeout_ms: Edit<u32>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<bool>)]
    ordered: Edit<bool>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    owner: Edit<String>,
}

impl From<EndpointPatchIn> for EndpointPatch {
    fn from(patch: EndpointPatchIn) -> Self {
        Self {
            url: patch.url,
            description: patch.description,
            disabled: patch.disabled,
            event_types: either(patch.event_types, patch.filter_types),
            channels: patch.channels,
            uid: patch.uid,
            throttle_rate: either(patch.throttle_rate, patch.rate_limit).map(u32::from),
            metadata: patch.metadata,
            version: patch.version,
            secret: patch.secret,
            extras: Extras {
                method: patch.method,
                auth: patch.auth.map(Into::into),
                timeout_ms: patch.timeout_ms,
                ordered: patch.ordered,
                owner: patch.owner,
                headers: Edit::Keep,
            },
        }
    }
}
