//! Access to the portal, and its end, on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::id::EventType;
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_engine::identity::Grant;
use watchfire_engine::service::tokens::{self, ExpireInput};

use super::application::ApplicationIn;
use super::field::all_named;
use crate::error::ApiResult;

/// Whom to give access.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppPortalAccessIn {
    /// Which flagged event types are visible.
    pub(crate) feature_flags: Option<Vec<String>>,
    /// Created if the path names none that exists.
    pub(crate) application: Option<ApplicationIn>,
    /// What may be done with the link; all a customer may do if absent.
    pub(crate) capabilities: Option<Vec<Capability>>,
    /// Only looking; wins over `capabilities`.
    pub(crate) read_only: Option<bool>,
    /// Seconds until the link and its token end, 28 days at most.
    #[schema(example = 604_800)]
    pub(crate) expiry: Option<u64>,
    /// The session the token is for: `auth/app/{app_id}/expire-all` can end the tokens of some
    /// sessions alone.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9@_-]+$")]
    pub(crate) session_id: Option<SessionId>,
}

/// The name of a session, as the one who asks for a token chose it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String)]
pub(crate) struct SessionId(String);

impl TryFrom<String> for SessionId {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        tokens::check_session(&name).map(|()| Self(name))
    }
}

/// Which tokens of an application to end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApplicationTokenExpireIn)]
pub(crate) struct TokenExpireIn {
    /// Seconds until they end, at once if absent.
    #[schema(maximum = 259_200)]
    pub(crate) expiry: Option<u32>,
    /// Only tokens made for one of these sessions; all of the application if empty or absent.
    #[schema(value_type = Option<Vec<String>>, max_items = 1_000)]
    pub(crate) session_ids: Option<Vec<String>>,
}

impl From<TokenExpireIn> for ExpireInput {
    fn from(input: TokenExpireIn) -> Self {
        Self {
            sessions: input.session_ids.unwrap_or_default(),
            grace: Duration::from_secs(input.expiry.unwrap_or(0).into()),
        }
    }
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
    pub(crate) fn grant(&self) -> ApiResult<Grant> {
        let look = Scope::EndpointsRead;
        let scopes = match (self.read_only, &self.capabilities) {
            (Some(true), _) => Some(Scopes::from_iter([look])),
            (_, Some(capabilities)) => {
                let asked = capabilities.iter().filter_map(|one| one.scope());
                Some(asked.chain([look]).collect())
            }
            (_, None) => None,
        };
        let flags: Vec<EventType> = all_named("featureFlags", self.feature_flags.clone())?;
        Ok(Grant {
            feature_flags: flags.iter().map(ToString::to_string).collect(),
            scopes,
            life: self.expiry.map(Duration::from_secs),
            session: self.session_id.clone().map(|session| session.0),
        })
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
