//! Access to the portal on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::EventType;

use super::application::ApplicationIn;

/// Whom to give access.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppPortalAccessIn {
    /// Which flagged event types are visible.
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) feature_flags: Option<Vec<EventType>>,
    /// Created if the path names none that exists.
    pub(crate) application: Option<ApplicationIn>,
}

/// Access to one application.
#[derive(Serialize, ToSchema)]
pub(crate) struct AppPortalAccessOut {
    /// A link that signs in to the portal. The token stands in its fragment, which browsers do
    /// not send and servers do not log.
    #[schema(format = "uri")]
    pub(crate) url: String,
    pub(crate) token: String,
}

/// Access to one application, under its older name.
#[derive(Serialize, ToSchema)]
pub(crate) struct DashboardAccessOut {
    #[schema(format = "uri")]
    pub(crate) url: String,
    pub(crate) token: String,
}
