//! Who is calling the API.
//!
//! What a credential means is decided by [`watchfire_engine::identity`], for the dashboard as well.
//! A route asks for a permission by the extractor it takes ([`Org`], [`App`], [`OrgApp`],
//! [`OrgFor`], [`Sender`], [`ReadAll`], [`OwnTasks`], [`OwnToken`]), so a route without one stands out. The
//! extractor says whose objects the caller may touch; the scope in `routes/needs.rs` says what may
//! be done with them.

mod permission;

pub(crate) use permission::{
    App, By, Operational, Org, OrgApp, OrgFor, OwnTasks, OwnToken, ReadAll, Sender, application_ref,
};

use axum::http::{HeaderMap, header};
use watchfire_engine::identity::{Denied, Refused};

use crate::error::{ApiError, Code};

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Scope(scope) => Self::new(
                Code::InsufficientAccess,
                format!("Insufficient access for the given operation. It needs the scope {scope}."),
            ),
            Denied::Reach => Code::InsufficientAccess.into(),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotValid => Code::AuthenticationFailed.into(),
            Refused::SigningSecret => Self::new(
                Code::AuthenticationFailed,
                "Invalid token. This is the secret that signs tokens, not a token: mint one with \
                 `watchfire token` and send that.",
            ),
            Refused::NoSubject => {
                Self::new(Code::AuthenticationFailed, "Invalid token (missing `sub`).")
            }
            Refused::BadSubject => Code::BadSubject.into(),
            Refused::BadClaim { claim, kind } => Self::new(
                Code::BadToken,
                format!("`{claim}` is not a valid {kind} id"),
            ),
            Refused::Service(error) => error.into(),
        }
    }
}

/// The credential of `Authorization: Bearer …`; the scheme's letter case does not count.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
