//! Reports on an organization's applications, and the removal of contents, on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::{ApplicationId, Uid};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::reports::{Asked, Subscriptions, Usage, UsageInput};

use super::field::required;
use super::task::ReplayOut;
use crate::error::{ApiError, ApiResult};

/// Whose deliveries to count, by whole hours.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppUsageStatsIn {
    #[schema(value_type = String, required, format = DateTime)]
    since: Option<Timestamp>,
    #[schema(value_type = String, required, format = DateTime)]
    until: Option<Timestamp>,
    /// Ids and uids; all applications unless given.
    #[schema(max_items = 1_000)]
    app_ids: Option<Vec<String>>,
}

impl AppUsageStatsIn {
    pub(crate) fn into_input(self) -> ApiResult<UsageInput> {
        Ok(UsageInput {
            since: required("since", self.since)?,
            until: required("until", self.until)?,
            applications: self.app_ids,
        })
    }
}

/// What was set going.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppUsageStatsOut {
    #[serde(flatten)]
    task: ReplayOut,
    /// What `appIds` holds and names no application; the others are counted.
    unresolved_app_ids: Vec<String>,
}

impl From<&Asked> for AppUsageStatsOut {
    fn from(asked: &Asked) -> Self {
        Self {
            task: (&asked.task).into(),
            unresolved_app_ids: asked.unresolved.clone(),
        }
    }
}

/// What was set going.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct AggregateEventTypesOut(pub(crate) ReplayOut);

/// What was set going.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct ExpungeAllContentsOut(pub(crate) ReplayOut);

/// How much an application was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppUsage)]
pub(crate) struct AppUsageOut {
    #[schema(value_type = String)]
    app_id: ApplicationId,
    #[schema(value_type = Option<String>)]
    app_uid: Option<Uid>,
    /// Deliveries that ended, however they did.
    message_destinations: u64,
}

impl From<Usage> for AppUsageOut {
    fn from(usage: Usage) -> Self {
        Self {
            app_id: usage.application,
            app_uid: usage.uid,
            message_destinations: usage.deliveries,
        }
    }
}

/// What an application's endpoints subscribe to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AppEventTypes)]
pub(crate) struct AppEventTypesOut {
    #[schema(value_type = String)]
    app_id: ApplicationId,
    explicitly_subscribed_event_types: Vec<String>,
    /// An endpoint gets all event types.
    has_catch_all_endpoint: bool,
}

impl From<Subscriptions> for AppEventTypesOut {
    fn from(found: Subscriptions) -> Self {
        Self {
            app_id: found.application,
            explicitly_subscribed_event_types: found.event_types,
            has_catch_all_endpoint: found.everything,
        }
    }
}

/// Whose payloads to remove.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct BulkExpungeContentsIn {
    /// Ids and event ids of messages.
    #[schema(value_type = Vec<String>, required, min_items = 1, max_items = 1_000)]
    ids: Option<Vec<String>>,
}

impl BulkExpungeContentsIn {
    pub(crate) fn into_names(self) -> ApiResult<Vec<String>> {
        let ids = required("ids", self.ids)?;
        let max = limit::EXPUNGED_MESSAGES_MAX;
        if ids.is_empty() || ids.len() > max {
            let reason = format!("must hold 1 to {max} ids");
            return Err(ApiError::body("ids", reason));
        }
        Ok(ids)
    }
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkExpungeContentsOut {
    results: BTreeMap<String, BulkExpungeStatus>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum BulkExpungeStatus {
    Expunged,
    NotFound,
}

impl BulkExpungeContentsOut {
    /// Of each name, whether it named a message.
    pub(crate) fn new(found: &BTreeMap<String, bool>) -> Self {
        let status = |found: &bool| {
            if *found {
                BulkExpungeStatus::Expunged
            } else {
                BulkExpungeStatus::NotFound
            }
        };
        let results = found.iter();
        Self {
            results: results
                .map(|(name, found)| (name.clone(), status(found)))
                .collect(),
        }
    }
}
