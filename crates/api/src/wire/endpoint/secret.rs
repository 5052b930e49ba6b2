//! Signing secrets and custom headers on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::secret::SecretText;
use watchfire_engine::service::Edit;
use watchfire_engine::service::endpoints::Rotation;
use watchfire_engine::service::headers::{Headers, is_sensitive};

use super::super::field::required;
use crate::error::{ApiError, ApiResult};

/// Seconds the old secret goes on signing, unless the request says otherwise.
const GRACE_SECONDS: u32 = 24 * 60 * 60;

/// What signs an endpoint's deliveries.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointSecretOut {
    /// `whsec_` and base64, or `whpk_` and the public half of an asymmetric key.
    pub(crate) key: String,
}

/// A new signing secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointSecretRotateIn {
    /// Generated if absent.
    #[schema(value_type = Option<String>)]
    key: Option<SecretText>,
    /// How long the old secret goes on signing: 24 hours unless given, 7 days at most.
    #[schema(minimum = 0, maximum = 604_800)]
    grace_period_seconds: Option<u32>,
}

impl From<EndpointSecretRotateIn> for Rotation {
    fn from(input: EndpointSecretRotateIn) -> Self {
        let seconds = input.grace_period_seconds.unwrap_or(GRACE_SECONDS);
        Self {
            key: input.key,
            overlap: Duration::from_secs(seconds.into()),
        }
    }
}

/// An endpoint's custom headers.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointHeadersOut {
    headers: BTreeMap<String, String>,
    /// Names of headers whose values are not answered.
    sensitive: BTreeSet<String>,
}

impl From<Headers> for EndpointHeadersOut {
    fn from(all: Headers) -> Self {
        let (sensitive, plain): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(name, _)| is_sensitive(name));
        let shown = plain
            .into_iter()
            .map(|(name, value)| (name, value.expose().to_owned()));
        Self {
            headers: shown.collect(),
            sensitive: sensitive.into_iter().map(|(name, _)| name).collect(),
        }
    }
}

/// Headers that replace all others.
#[derive(Deserialize, ToSchema)]
pub(crate) struct EndpointHeadersIn {
    #[schema(value_type = BTreeMap<String, String>, required)]
    headers: Option<BTreeMap<String, String>>,
}

/// Headers to set, or to remove where the value is null.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointHeadersPatchIn {
    #[schema(value_type = BTreeMap<String, Option<String>>, required)]
    headers: Option<BTreeMap<String, Option<String>>>,
    /// Names of headers to remove, as clients of the second generation say it.
    delete_headers: Option<Vec<String>>,
}

impl EndpointHeadersIn {
    pub(crate) fn into_headers(self) -> ApiResult<BTreeMap<String, String>> {
        required("headers", self.headers)
    }
}

impl EndpointHeadersPatchIn {
    pub(crate) fn into_changes(self) -> ApiResult<BTreeMap<String, Edit<String>>> {
        let headers = required("headers", self.headers)?;
        let mut changes: BTreeMap<_, _> = headers
            .into_iter()
            .map(|(name, value)| (name, Edit::replace(value)))
            .collect();
        for name in self.delete_headers.unwrap_or_default() {
            let set = changes
                .iter()
                .any(|(known, edit)| known.eq_ignore_ascii_case(&name) && *edit != Edit::Clear);
            if set {
                let reason = format_args!("{name} can't be set and removed at once");
                return Err(ApiError::body("deleteHeaders", reason));
            }
            changes.insert(name, Edit::Clear);
        }
        Ok(changes)
    }
}
