//! Who is calling, and what they may do.
//!
//! A credential (a signed token or an API key) becomes a [`Caller`]; nothing behind this module
//! knows which kind it was. A route asks for a permission by the extractor it takes ([`Org`],
//! [`App`], [`OrgApp`], [`OrgFor`], [`Sender`], [`ReadAll`],
//! [`OwnTasks`]), so a route without one stands out.
//! The extractor says whose objects the caller may touch; the scope in `routes/needs.rs` says what
//! may be done with them.

mod cache;
mod jwt;
mod permission;
mod tokens;

pub(crate) use permission::{
    App, By, Operational, Org, OrgApp, OrgFor, OwnTasks, ReadAll, Sender, application_ref,
};
pub use tokens::{DEFAULT_ORGANIZATION, Tokens};

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use watchfire_domain::audit::Actor;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_domain::time::Timestamp;
use watchfire_engine::Engine;
use watchfire_engine::service::keys;
use watchfire_store::ApiKey;

use crate::error::{ApiError, ApiResult, Code};

/// Who is calling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// As the audit log names them.
    pub(crate) actor: Arc<Actor>,
    pub(crate) org: OrganizationId,
    pub(crate) reach: Reach,
    pub(crate) scopes: Scopes,
    /// Which flagged event types an application's caller sees.
    pub(crate) feature_flags: Vec<String>,
}

/// What a caller can reach of its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Everything,
    Only(ApplicationId),
}

/// Turns credentials into callers.
pub(crate) struct Authenticator {
    tokens: Tokens,
    /// Verifying a signature costs more than all else a small request does.
    verified: Mutex<cache::Verified>,
}

impl Authenticator {
    pub(crate) fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            verified: Mutex::default(),
        }
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        engine: &Engine,
    ) -> ApiResult<Arc<Caller>> {
        let credential = bearer(headers).ok_or(Code::AuthenticationFailed)?;
        if !credential.starts_with(keys::PREFIX) {
            return self.caller_by_token(credential, engine.clock().now());
        }
        let stored = keys::authenticate(engine, credential).await?;
        let stored = stored.ok_or(Code::AuthenticationFailed)?;
        Ok(Arc::new(Caller::from(&stored.key)))
    }

    fn caller_by_token(&self, token: &str, now: Timestamp) -> ApiResult<Arc<Caller>> {
        let name = digest(&SHA256, token.as_bytes());
        let name = <[u8; 32]>::try_from(name.as_ref()).expect("SHA-256 yields 32 bytes");
        if let Some(caller) = self.verified.lock().find(&name, now) {
            return Ok(caller);
        }
        let (caller, until) = self.tokens.verify(token, now)?;
        let caller = Arc::new(caller);
        self.verified.lock().keep(name, Arc::clone(&caller), until);
        Ok(caller)
    }
}

impl Caller {
    /// Refuses what none of the scopes allows.
    fn require(&self, scope: Scope) -> ApiResult<()> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        Err(ApiError::new(
            Code::InsufficientAccess,
            format!("Insufficient access for the given operation. It needs the scope {scope}."),
        ))
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

/// The credential of `Authorization: Bearer …`; the scheme's letter case does not count.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
