//! Event types on the wire.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use watchfire_domain::id::EventType;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::Edit;
use watchfire_engine::service::event_types::{EventTypeInput, EventTypePatch};
use watchfire_store::EventTypeRecord;

use super::field::{change, edit, either, required};
use crate::error::{ApiError, ApiResult};

/// An event type to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeIn {
    #[schema(value_type = String, required, pattern = "^[a-zA-Z0-9\\-_.]+$", max_length = 256)]
    name: Option<String>,
    #[schema(value_type = String, required)]
    description: Option<String>,
    archived: Option<bool>,
    deprecated: Option<bool>,
    /// Only tokens with this flag see the event type.
    feature_flag: Option<String>,
    /// The same as a list of one.
    #[schema(max_items = 1)]
    feature_flags: Option<Vec<String>>,
    group_name: Option<String>,
    /// JSON Schemas by version, for example `{"1": {…}}`.
    #[schema(value_type = Option<Object>)]
    schemas: Option<Value>,
}

/// What an event type is replaced with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeUpdate {
    #[schema(value_type = String, required)]
    description: Option<String>,
    archived: Option<bool>,
    deprecated: Option<bool>,
    feature_flag: Option<String>,
    /// The same as a list of one.
    #[schema(max_items = 1)]
    feature_flags: Option<Vec<String>>,
    group_name: Option<String>,
    #[schema(value_type = Option<Object>)]
    schemas: Option<Value>,
}

/// The one flag of a list, which clients of the second generation send.
fn single(flags: Vec<String>) -> ApiResult<Option<String>> {
    if flags.len() > 1 {
        let reason = "an event type may have one feature flag";
        return Err(ApiError::body("featureFlags", reason));
    }
    Ok(flags.into_iter().next())
}

impl EventTypeIn {
    pub(crate) fn into_input(self) -> ApiResult<(EventType, EventTypeInput)> {
        let name = required("name", self.name)?;
        let name = EventType::try_from(name).map_err(|reason| ApiError::body("name", reason))?;
        let update = EventTypeUpdate {
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            feature_flag: self.feature_flag,
            feature_flags: self.feature_flags,
            group_name: self.group_name,
            schemas: self.schemas,
        };
        Ok((name, update.into_input()?))
    }
}

impl EventTypeUpdate {
    pub(crate) fn into_input(self) -> ApiResult<EventTypeInput> {
        Ok(EventTypeInput {
            description: required("description", self.description)?,
            archived: self.archived.unwrap_or_default(),
            deprecated: self.deprecated.unwrap_or_default(),
            feature_flag: match self.feature_flag {
                None => single(self.feature_flags.unwrap_or_default())?,
                flag => flag,
            },
            group_name: self.group_name,
            schemas: self.schemas,
        })
    }
}

/// A change of an event type: what is absent is kept, null clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventTypePatch)]
pub(crate) struct EventTypePatchIn {
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = String, required = false)]
    description: Edit<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = bool, required = false)]
    archived: Edit<bool>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = bool, required = false)]
    deprecated: Edit<bool>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    feature_flag: Edit<String>,
    /// The same as a list of one.
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<Vec<String>>, max_items = 1)]
    feature_flags: Edit<Vec<String>>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<String>)]
    group_name: Edit<String>,
    #[serde(default, deserialize_with = "edit")]
    #[schema(value_type = Option<Object>)]
    schemas: Edit<Value>,
}

impl EventTypePatchIn {
    pub(crate) fn into_patch(self) -> ApiResult<EventTypePatch> {
        let listed = match self.feature_flags {
            Edit::Keep => Edit::Keep,
            Edit::Clear => Edit::Clear,
            Edit::Set(flags) => Edit::replace(single(flags)?),
        };
        Ok(EventTypePatch {
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            feature_flag: either(self.feature_flag, listed),
            group_name: self.group_name,
            schemas: self.schemas,
        })
    }
}

/// A kind of event, with its schemas.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeOut {
    #[schema(value_type = String, example = "threat.created")]
    name: EventType,
    description: String,
    archived: bool,
    deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_flag: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    feature_flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    schemas: Option<Value>,
    /// The contract it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl EventTypeOut {
    pub(crate) fn new(event_type: EventTypeRecord, with_content: bool) -> Self {
        let settings = event_type.settings;
        Self {
            name: event_type.name,
            description: settings.description,
            archived: event_type.archived,
            deprecated: settings.deprecated,
            feature_flags: settings.feature_flag.iter().cloned().collect(),
            feature_flag: settings.feature_flag,
            group_name: settings.group_name,
            schemas: settings.schemas.filter(|_| with_content),
            contract: settings.contract,
            created_at: event_type.created_at,
            updated_at: event_type.updated_at,
        }
    }
}
