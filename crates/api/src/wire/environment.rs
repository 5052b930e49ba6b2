//! What an organization has set up, in one piece.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::event_types::Import;
use watchfire_store::EventTypeRecord;

use super::event_type::{EventTypeIn, EventTypeOut};
use crate::error::{ApiError, ApiResult};

/// The event types of an organization, to be imported elsewhere.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvironmentOut {
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Archived ones too.
    event_types: Vec<EventTypeOut>,
    /// Always null: an organization has no settings here.
    #[schema(value_type = Option<Object>, required)]
    settings: Option<Value>,
    /// Always empty: contracts take the place of connectors.
    #[schema(value_type = Vec<Object>)]
    connectors: Vec<Value>,
}

impl EnvironmentOut {
    pub(crate) fn new(event_types: impl Iterator<Item = EventTypeRecord>, now: Timestamp) -> Self {
        Self {
            version: 1,
            created_at: now,
            event_types: event_types
                .map(|one| EventTypeOut::new(one, true))
                .collect(),
            settings: None,
            connectors: Vec::new(),
        }
    }
}

/// What an export answered. Other members of it are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvironmentIn {
    event_types: Option<Vec<EventTypeIn>>,
    /// Must be empty: an organization has no settings here.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
    /// Must be empty: contracts take the place of connectors.
    #[schema(value_type = Option<Vec<Object>>)]
    connectors: Option<Vec<Value>>,
}

impl EnvironmentIn {
    pub(crate) fn into_import(self) -> ApiResult<Import> {
        if self.settings.is_some_and(|settings| !settings.is_empty()) {
            return Err(ApiError::body(
                "settings",
                "an organization has no settings",
            ));
        }
        if self.connectors.is_some_and(|all| !all.is_empty()) {
            let reason = "connectors are not offered; a contract shapes requests";
            return Err(ApiError::body("connectors", reason));
        }
        let mut event_types = BTreeMap::new();
        for one in self.event_types.unwrap_or_default() {
            let (name, input) = one.into_input()?;
            event_types.insert(name, input);
        }
        Ok(Import {
            event_types,
            ..Import::default()
        })
    }
}
