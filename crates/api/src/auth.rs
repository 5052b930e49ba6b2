//! Who is calling, and what they may do.
//!
//! A credential (a signed token, later an API key) becomes a [`Caller`]; nothing behind this
//! module knows which kind it was. A route asks for a permission by the extractor it takes
//! ([`Org`], [`App`], [`OrgApp`], [`OrgFor`], [`ReadAll`]), so a route without one stands out.

mod cache;
mod jwt;
mod permission;
mod tokens;

pub(crate) use permission::{App, Org, OrgApp, OrgFor, ReadAll};
pub use tokens::{DEFAULT_ORGANIZATION, Tokens};

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::time::Timestamp;

use crate::error::{ApiResult, Code};

/// Who is calling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) org: OrganizationId,
    pub(crate) reach: Reach,
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

    pub(crate) fn caller(&self, headers: &HeaderMap, now: Timestamp) -> ApiResult<Arc<Caller>> {
        let token = bearer(headers).ok_or(Code::AuthenticationFailed)?;
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

/// The credential of `Authorization: Bearer …`; the scheme's letter case does not count.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
