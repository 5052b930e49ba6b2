//! Who is calling, and what they may do.
//!
//! A credential (a signed token or an API key) becomes a [`Caller`]; nothing behind this module
//! knows which kind it was. The API reads it from a header, the dashboard from what was typed at
//! its sign-in; both ask the same [`Authenticator`] and the same [`Caller`].
//!
//! A [`Ticket`](ticket) is a link that signs in once: it proves nothing but that whoever made it
//! could read the server's data folder.

mod cache;
mod jwt;
pub mod meter;
pub mod ticket;
mod tokens;

pub use meter::ClientAddress;
pub use tokens::{APPLICATION_TOKEN_LIFE_MAX, DEFAULT_ORGANIZATION, Grant, Tokens};

use std::sync::Arc;

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use watchfire_domain::audit::Actor;
use watchfire_domain::id::{ApplicationId, KeyId, OrganizationId};
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_domain::time::Timestamp;
use watchfire_store::{ApiKey, TokenMark};

use crate::Engine;
use crate::service::{self, keys};
use tokens::Verified;

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As the audit log names them.
    pub actor: Arc<Actor>,
    pub org: OrganizationId,
    pub reach: Reach,
    pub scopes: Scopes,
    /// Which flagged event types an application's caller sees.
    pub feature_flags: Vec<String>,
}

/// What a caller can reach of its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Everything,
    Only(ApplicationId),
}

/// Why a caller may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("it needs the scope {0}")]
    Scope(Scope),
    /// The credential is for one application and this is not about it.
    #[error("it is beyond the credential's application")]
    Reach,
}

/// Why a credential does not say who is calling.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Unknown, forged, expired or revoked: which of these is nobody's business.
    #[error("the credential is not valid")]
    NotValid,
    #[error("it is the secret that signs tokens")]
    SigningSecret,
    #[error("the token has no subject")]
    NoSubject,
    #[error("the token's subject is not an organization's id")]
    BadSubject,
    #[error("the token's {claim} is not {kind} id")]
    BadClaim {
        claim: &'static str,
        kind: &'static str,
    },
    #[error(transparent)]
    Service(#[from] service::Error),
}

/// What a credential proved, in a form that can be kept without the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// An API key: it proves something as long as it is there and valid.
    Key(KeyId),
    /// A token: it proves something until then, unless it was ended before.
    Token {
        caller: Caller,
        mark: TokenMark,
        until: Timestamp,
    },
}

/// Turns credentials into callers.
pub struct Authenticator {
    tokens: Tokens,
    /// Verifying a signature costs more than all else a small request does.
    verified: Mutex<cache::Cache>,
}

impl Authenticator {
    pub fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            verified: Mutex::default(),
        }
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Whom a credential speaks for.
    pub async fn caller(&self, engine: &Engine, credential: &str) -> Result<Arc<Caller>, Refused> {
        if !credential.starts_with(keys::PREFIX) {
            return self.caller_by_token(engine, credential).await;
        }
        let stored = keys::authenticate(engine, credential).await?;
        let stored = stored.ok_or(Refused::NotValid)?;
        Ok(Arc::new(Caller::from(&stored.key)))
    }

    /// What a credential proves, for a session that outlives the request.
    pub async fn proof(&self, engine: &Engine, credential: &str) -> Result<Proof, Refused> {
        if credential.starts_with(keys::PREFIX) {
            let stored = keys::authenticate(engine, credential).await?;
            return Ok(Proof::Key(stored.ok_or(Refused::NotValid)?.key.id));
        }
        let now = engine.clock().now();
        let Verified {
            caller,
            mark,
            until,
        } = self.tokens.verify(credential, now)?;
        if is_void(engine, &mark).await? {
            return Err(Refused::NotValid);
        }
        Ok(Proof::Token {
            caller,
            mark,
            until,
        })
    }

    async fn caller_by_token(&self, engine: &Engine, token: &str) -> Result<Arc<Caller>, Refused> {
        let verified = self.verified(token, engine.clock().now())?;
        if is_void(engine, &verified.mark).await? {
            return Err(Refused::NotValid);
        }
        Ok(Arc::clone(&verified.caller))
    }

    fn verified(&self, token: &str, now: Timestamp) -> Result<Arc<cache::Known>, Refused> {
        let name = hash(token);
        if let Some(known) = self.verified.lock().find(&name, now) {
            return Ok(known);
        }
        let known = Arc::new(cache::Known::from(self.tokens.verify(token, now)?));
        self.verified.lock().keep(name, Arc::clone(&known));
        Ok(known)
    }
}

/// The name of a token where what is known of it is kept.
fn hash(token: &str) -> [u8; 32] {
    let name = digest(&SHA256, token.as_bytes());
    <[u8; 32]>::try_from(name.as_ref()).expect("SHA-256 yields 32 bytes")
}

async fn is_void(engine: &Engine, token: &TokenMark) -> service::Result<bool> {
    let now = engine.clock().now();
    Ok(engine.revocations().is_void(token, now).await?)
}

impl Proof {
    /// Whom it speaks for now; `None` if it proves nothing any more.
    pub async fn caller(&self, engine: &Engine) -> service::Result<Option<Arc<Caller>>> {
        match self {
            Self::Key(id) => {
                let stored = keys::valid(engine, *id).await?;
                Ok(stored.map(|stored| Arc::new(Caller::from(&stored.key))))
            }
            Self::Token {
                caller,
                mark,
                until,
            } => {
                let live = *until > engine.clock().now() && !is_void(engine, mark).await?;
                Ok(live.then(|| Arc::new(caller.clone())))
            }
        }
    }
}

impl Caller {
    /// Refuses what none of the scopes allows.
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        Err(Denied::Scope(scope))
    }

    /// The organization, for what is about all of it.
    pub fn organization(&self) -> Result<&OrganizationId, Denied> {
        match self.reach {
            Reach::Everything => Ok(&self.org),
            Reach::Only(_) => Err(Denied::Reach),
        }
    }

    /// Whether the caller may know of this application of its organization.
    pub fn reaches(&self, application: ApplicationId) -> bool {
        match self.reach {
            Reach::Everything => true,
            Reach::Only(only) => only == application,
        }
    }
}

impl From<&ApiKey> for Caller {
    fn from(key: &ApiKey) -> Self {
        Self {
            actor: Arc::new(Actor::Key {
                id: key.id,
                name: key.name.clone(),
            }),
            org: key.org.clone(),
            reach: key.application.map_or(Reach::Everything, Reach::Only),
            scopes: key.scopes,
            feature_flags: Vec::new(),
        }
    }
}
