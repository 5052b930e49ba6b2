//! API keys, as far as a database knows them: by their hash.

use std::fmt;

use async_trait::async_trait;
use watchfire_domain::id::{ApplicationId, KeyId, OrganizationId};
use watchfire_domain::scope::Scopes;
use watchfire_domain::time::Timestamp;

use crate::{Range, StoreResult};

/// API keys. They are created and revoked as a [`crate::Change`].
#[async_trait]
pub trait Credentials: Send + Sync {
    /// A key that was not revoked, whoever owns it: this is how a caller becomes known. Whether it
    /// has expired is for the caller to see.
    async fn api_key(&self, id: KeyId) -> StoreResult<Option<StoredApiKey>>;

    /// Keys of an organization and its applications, expired ones as well.
    async fn api_keys(
        &self,
        org: &OrganizationId,
        range: Range<KeyId>,
    ) -> StoreResult<Vec<StoredApiKey>>;
}

/// An API key as it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub org: OrganizationId,
    /// The one application it reaches; all of the organization if absent.
    pub application: Option<ApplicationId>,
    pub name: String,
    pub scopes: Scopes,
    pub created_at: Timestamp,
    /// It is not valid from then on.
    pub expires_at: Option<Timestamp>,
    /// A keyed hash of the key; the key itself is not stored.
    pub hash: [u8; 32],
}

impl fmt::Debug for ApiKey {
    /// Without the hash, which is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("org", &self.org)
            .field("application", &self.application)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// An API key, and when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApiKey {
    pub key: ApiKey,
    pub last_used_at: Option<Timestamp>,
}
