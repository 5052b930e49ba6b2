//! Applications on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::{ApplicationId, Uid};
use watchfire_domain::mail::Address;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::Edit;
use watchfire_engine::service::applications::{ApplicationInput, ApplicationPatch};
use watchfire_store::Application;

use super::field::{change, edit, either, required};
use crate::error::ApiResult;

/// An application to create, or to replace another with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApplicationIn)]
pub(crate) struct ApplicationIn {
    #[schema(value_type = String, required, min_length = 1, max_length = 256)]
    name: Option<String>,
    /// An id of your own, by which the application can be named instead of ours.
    #[schema(pattern = "^[a-zA-Z0-9\\-_.]+$", min_length = 1, max_length = 256)]
    pub(crate) uid: Option<String>,
    /// Deliveries per second to its endpoints, at most.
    #[schema(minimum = 1)]
    throttle_rate: Option<u16>,
    #[schema(ignore)]
    rate_limit: Option<u16>,
    metadata: Option<BTreeMap<String, String>>,
    /// The contract its webhooks follow. Kept on replacement unless it is mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    contract: Edit<String>,
    /// Values a contract's headers take from the product's installation. Kept on replacement
    /// unless they are mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    instance: Edit<BTreeMap<String, String>>,
    /// E-mail addresses of those who are told where the contract says that administrators are.
    /// Kept on replacement unless they are mentioned.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<Vec<String>>)]
    administrators: Edit<Vec<String>>,
}

impl ApplicationIn {
    pub(crate) fn into_input(self) -> ApiResult<ApplicationInput> {
        Ok(ApplicationInput {
            name: required("name", self.name)?,
            uid: self.uid,
            throttle_rate: self.throttle_rate.or(self.rate_limit).map(u32::from),
            metadata: self.metadata.unwrap_or_default(),
            contract: self.contract,
            instance: self.instance,
            administrators: self.administrators,
        })
    }
}

/// A change of an application: what is absent is kept, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[derive(Default)]
#[schema(as = ApplicationPatch)]
pub(crate) struct ApplicationPatchIn {
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = String, required = false)]
    name: Edit<String>,
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
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    contract: Edit<String>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    instance: Edit<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<Vec<String>>)]
    administrators: Edit<Vec<String>>,
}

impl From<ApplicationPatchIn> for ApplicationPatch {
    fn from(patch: ApplicationPatchIn) -> Self {
        Self {
            name: patch.name,
            uid: patch.uid,
            throttle_rate: either(patch.throttle_rate, patch.rate_limit).map(u32::from),
            metadata: patch.metadata,
            contract: patch.contract,
            instance: patch.instance,
            administrators: patch.administrators,
        }
    }
}

/// A tenant: a customer, a company account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplicationOut {
    #[schema(value_type = String, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: ApplicationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    uid: Option<Uid>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_rate: Option<u32>,
    /// The older name of `throttleRate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    rate_limit: Option<u32>,
    metadata: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    instance: BTreeMap<String, String>,
    /// E-mail addresses of those who are told where the contract says that administrators are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    administrators: Vec<Address>,
}

impl From<Application> for ApplicationOut {
    fn from(application: Application) -> Self {
        let settings = application.settings;
        Self {
            id: application.id,
            uid: application.uid,
            name: settings.name,
            throttle_rate: settings.throttle_rate,
            rate_limit: settings.throttle_rate,
            metadata: settings.metadata,
            created_at: application.created_at,
            updated_at: application.updated_at,
            contract: settings.contract,
            instance: settings.instance,
            administrators: settings.administrators,
        }
    }
}
