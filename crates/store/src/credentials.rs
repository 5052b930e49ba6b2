//! Credentials, as far as a database knows them: API keys by their hash, and which signed tokens
//! are void.

use std::fmt::{self, Write as _};

use async_trait::async_trait;
use watchfire_domain::id::{ApplicationId, KeyId, OrganizationId};
use watchfire_domain::scope::Scopes;
use watchfire_domain::time::Timestamp;

use crate::{Range, StoreResult};

/// API keys, and signed tokens that are void. They are created, revoked and made void as a
/// [`crate::Change`].
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

    /// From when on a token is void: the earliest of what was said about a set it is in.
    async fn token_void_from(&self, token: &TokenMark) -> StoreResult<Option<Timestamp>>;
}

/// What tells a signed token from others where tokens are made void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenMark {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    pub org: OrganizationId,
    /// The one application it reaches; all of the organization if absent.
    pub application: Option<ApplicationId>,
    /// What its maker called the session it is for.
    pub session: Option<String>,
    /// When it was made; [`Timestamp::MIN`] if it does not say.
    pub issued_at: Timestamp,
}

/// A set of signed tokens of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSet {
    /// All: its own and those of its applications.
    Organization,
    Application(ApplicationId),
    Session {
        application: ApplicationId,
        session: String,
    },
    /// The one with this hash.
    One([u8; 32]),
}

/// Tokens that are made void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenVoid {
    pub org: OrganizationId,
    pub sets: Vec<TokenSet>,
    /// Those made later stay valid.
    pub issued_until: Timestamp,
    pub void_from: Timestamp,
    /// When this is said: what is in force by then may take the place of what was before.
    pub said_at: Timestamp,
    /// None of them would be valid from then on in any case, so it may be forgotten.
    pub forget_at: Option<Timestamp>,
}

impl TokenVoid {
    /// Rows of the same set, or of any if this is about all, say nothing more beside this one if
    /// they are about tokens made no later and take effect no earlier than this.
    pub fn implies_from(&self) -> Timestamp {
        if self.void_from <= self.said_at {
            Timestamp::MIN
        } else {
            self.void_from
        }
    }
}

impl TokenSet {
    /// Its name in a database, unique in the organization. Names of an application and its
    /// sessions begin with the application's id.
    pub fn name(&self) -> String {
        match self {
            Self::Organization => "all".to_owned(),
            Self::Application(id) => id.to_string(),
            Self::Session {
                application,
                session,
            } => format!("{application}/{session}"),
            Self::One(hash) => hash.iter().fold("one/".to_owned(), |mut name, byte| {
                let _infallible = write!(name, "{byte:02x}");
                name
            }),
        }
    }

    /// The first name behind those of an application and its sessions: `0` follows `/`.
    pub fn name_behind(application: ApplicationId) -> String {
        format!("{application}0")
    }
}

impl TokenMark {
    /// The names of all sets it is in.
    pub fn set_names(&self) -> Vec<String> {
        let mut sets = vec![TokenSet::Organization, TokenSet::One(self.hash)];
        if let Some(application) = self.application {
            sets.push(TokenSet::Application(application));
            let session = self.session.clone();
            sets.extend(session.map(|session| TokenSet::Session {
                application,
                session,
            }));
        }
        sets.iter().map(TokenSet::name).collect()
    }
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
