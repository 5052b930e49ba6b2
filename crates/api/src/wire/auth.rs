//! Access to the portal on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::EventType;
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_engine::identity::Grant;

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
    /// What may be done with the link; all a customer may do if absent.
    pub(crate) capabilities: Option<Vec<Capability>>,
    /// Only looking; wins over `capabilities`.
    pub(crate) read_only: Option<bool>,
    /// Seconds until the link and its token end, 28 days at most.
    #[schema(example = 604_800)]
    pub(crate) expiry: Option<u64>,
}

/// What a link to the portal allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = AppPortalCapability)]
pub(crate) enum Capability {
    /// Look at everything but secrets.
    ViewBase,
    /// Read the secrets that sign deliveries.
    ViewEndpointSecret,
    /// The same: replacing a secret is part of `ManageEndpoint`.
    ManageEndpointSecret,
    /// There are no transformations; allows nothing.
    ManageTransformations,
    /// Have messages delivered again.
    CreateAttempts,
    /// Create, change and delete endpoints, and replace their secrets.
    ManageEndpoint,
}

impl Capability {
    fn scope(self) -> Option<Scope> {
        match self {
            Self::ViewBase => Some(Scope::EndpointsRead),
            Self::ViewEndpointSecret | Self::ManageEndpointSecret => Some(Scope::SecretsRead),
            Self::ManageTransformations => None,
            Self::CreateAttempts => Some(Scope::Replay),
            Self::ManageEndpoint => Some(Scope::EndpointsWrite),
        }
    }
}

impl AppPortalAccessIn {
    /// What the token gives. Whoever may do something may look as well.
    pub(crate) fn grant(&self) -> Grant {
        let look = Scope::EndpointsRead;
        let scopes = match (self.read_only, &self.capabilities) {
            (Some(true), _) => Some(Scopes::from_iter([look])),
            (_, Some(capabilities)) => {
                let asked = capabilities.iter().filter_map(|one| one.scope());
                Some(asked.chain([look]).collect())
            }
            (_, None) => None,
        };
        let flags = self.feature_flags.as_deref().unwrap_or_default();
        Grant {
            feature_flags: flags.iter().map(ToString::to_string).collect(),
            scopes,
            life: self.expiry.map(Duration::from_secs),
        }
    }
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
