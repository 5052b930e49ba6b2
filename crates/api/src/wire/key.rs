//! API keys on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::{ApplicationId, KeyId};
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::keys::{KeyInput, MadeKey};
use watchfire_store::StoredApiKey;

use super::field::required;
use crate::auth::application_ref;
use crate::error::{ApiError, ApiResult};

/// An API key to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKeyIn {
    /// What it is for, for people.
    #[schema(value_type = String, required, min_length = 1, max_length = 256)]
    name: Option<String>,
    /// The id or uid of the one application it reaches; all of the organization if absent.
    application_id: Option<String>,
    /// `events:write`, `endpoints:read`, `endpoints:write`, `secrets:read`, `replay`, `admin`.
    #[schema(value_type = Vec<String>, required, min_items = 1)]
    scopes: Option<Vec<String>>,
    /// It is valid until it is revoked if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl ApiKeyIn {
    pub(crate) fn into_input(self) -> ApiResult<KeyInput> {
        let nobody = || ApiError::body("applicationId", "names no application");
        let named = |text: String| application_ref(&text).ok_or_else(nobody);
        Ok(KeyInput {
            name: required("name", self.name)?,
            application: self.application_id.map(named).transpose()?,
            scopes: required("scopes", self.scopes)?,
            expires_at: self.expires_at,
        })
    }
}

/// An API key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKeyOut {
    #[schema(value_type = String, example = "key_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: KeyId,
    name: String,
    /// Absent if it reaches all of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    application_id: Option<ApplicationId>,
    scopes: Vec<&'static str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// To about a minute; absent if it was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

impl From<StoredApiKey> for ApiKeyOut {
    fn from(stored: StoredApiKey) -> Self {
        let key = stored.key;
        Self {
            id: key.id,
            name: key.name,
            application_id: key.application,
            scopes: key.scopes.granted().map(Scope::name).collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: stored.last_used_at,
        }
    }
}

/// An API key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyCreatedOut {
    /// The key itself. It is answered this once.
    key: String,
    #[serde(flatten)]
    details: ApiKeyOut,
}

impl From<MadeKey> for ApiKeyCreatedOut {
    fn from(made: MadeKey) -> Self {
        Self {
            key: made.text.expose().to_owned(),
            details: made.stored.into(),
        }
    }
}
