//! Who signed in, remembered in a sealed cookie.
//!
//! # Problem
//!
//! A session must end with the key it came from, on every node, at sign-out even for a copy of the
//! cookie, and cost no table of its own.
//!
//! # Idea
//!
//! The cookie holds what the credential proved ([`Proof`]), sealed with the server's master key,
//! never the credential. A proof by an API key or a token is looked up for every request, so a key
//! that is revoked and a token that is ended end their sessions at once. Signing out remembers the session's id until it would have ended anyway,
//! where requests with an idempotency key are remembered: all nodes look there.
//!
//! A session ends [`limit::SESSION_LIFE`] after it began and [`limit::SESSION_IDLE_MAX`] after it was
//! last used.
//!
//! `docs/decisions/0006-sessions-are-sealed-cookies.md` has the alternatives.

mod cookie;
mod middleware;
mod sealed;

use std::sync::Arc;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use subtle::ConstantTimeEq as _;
use watchfire_domain::audit::Actor;
use watchfire_domain::id::ApplicationId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_engine::Engine;
use watchfire_engine::identity::{Caller, Proof};
use watchfire_engine::service::{self, Error};
use watchfire_store::{Change, Remembered};

pub(crate) use self::cookie::{THEME, clear_theme, named, set_theme};
pub(crate) use self::middleware::remember;
use self::sealed::Sealed;
use crate::state::DashboardState;
use crate::ui::theme::{Accent, Mode};

/// Where a session is valid: cookies of one place mean nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The operator's pages.
    Dashboard,
    /// One application's pages, for its owner.
    Portal(ApplicationId),
}

/// Somebody who signed in.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) caller: Arc<Caller>,
    pub(crate) place: Place,
    pub(crate) look: Look,
    /// When it ends, however busy.
    pub(crate) ends_at: Timestamp,
    proof: Proof,
    id: [u8; 16],
    csrf: String,
}

/// How the pages look to this person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) mode: Mode,
    pub(crate) accent: Option<Accent>,
}

impl Session {
    /// The session a credential proved, and the cookie that keeps it.
    pub(crate) fn begin(
        state: &DashboardState,
        place: Place,
        proof: Proof,
        look: Look,
    ) -> HeaderValue {
        let mut id = [0; 16];
        state.engine().entropy().fill(&mut id);
        let now = state.now();
        let sealed = Sealed {
            id,
            proof,
            look,
            began_at: now,
            seen_at: now,
        };
        sealed.cookie(state, place)
    }

    /// The cookie that takes a place's session out of the browser.
    pub(crate) fn forget(state: &DashboardState, place: Place) -> HeaderValue {
        cookie::clear(state.is_https(), place)
    }

    /// As the audit log names this person: by their key, or by how they came in.
    pub(crate) fn actor(&self) -> Arc<Actor> {
        let actor = &self.caller.actor;
        match (self.place, actor.as_ref()) {
            (Place::Portal(app), Actor::Token { .. }) => Arc::new(Actor::Portal {
                application: app.to_string(),
            }),
            (Place::Dashboard, Actor::Token { subject }) => Arc::new(Actor::Session {
                user: subject.clone(),
            }),
            _ => Arc::clone(actor),
        }
    }

    /// What every form of this session carries.
    pub(crate) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether a form came from one of this session's pages.
    pub(crate) fn accepts_csrf(&self, given: &str) -> bool {
        self.csrf.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Whether it still holds; for views that stay open.
    pub(crate) async fn holds(&self, engine: &Engine) -> service::Result<bool> {
        let now = engine.clock().now();
        if self.ends_at <= now || self.proof.caller(engine).await?.is_none() {
            return Ok(false);
        }
        Ok(!has_ended(engine, self.id).await?)
    }

    /// Ends the session, copies of its cookie included.
    pub(crate) async fn end(&self, engine: &Engine) -> service::Result<()> {
        let now = engine.clock().now();
        let answer = Remembered {
            key: end_mark(engine, self.id),
            request: [0; 32],
            answer: Vec::new(),
            expires_at: self.ends_at,
        };
        let remember = Change::Remember { answer, now };
        match engine.apply(vec![remember]).await.map_err(Error::from) {
            Ok(()) | Err(Error::Repeated(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

async fn has_ended(engine: &Engine, id: [u8; 16]) -> service::Result<bool> {
    let now = engine.clock().now();
    let mark = engine.store().remembered(end_mark(engine, id), now).await?;
    Ok(mark.is_some())
}

/// The name under which a session's end is remembered; hashes keep it apart from all requests.
fn end_mark(engine: &Engine, id: [u8; 16]) -> [u8; 32] {
    engine.vault().hash(&[b"session ended ", &id[..]].concat())
}

fn csrf_of(engine: &Engine, id: [u8; 16]) -> String {
    let hash = engine.vault().hash(&[b"session form ", &id[..]].concat());
    BASE64.encode(hash)
}

/// The session a cookie keeps, and the cookie to renew it with if it is time for that.
async fn resume(
    state: &DashboardState,
    place: Place,
    cookie: &str,
) -> service::Result<Option<(Session, Option<HeaderValue>)>> {
    let engine = state.engine();
    let Some(sealed) = Sealed::open(engine.vault(), place, cookie) else {
        return Ok(None);
    };
    let now = engine.clock().now();
    let ends_at = sealed.began_at + limit::SESSION_LIFE;
    if ends_at <= now || now.since(sealed.seen_at) >= limit::SESSION_IDLE_MAX {
        return Ok(None);
    }
    let Some(caller) = sealed.proof.caller(engine).await? else {
        return Ok(None);
    };
    if has_ended(engine, sealed.id).await? {
        return Ok(None);
    }
    let renewed = sealed
        .renewed(now)
        .map(|sealed| sealed.cookie(state, place));
    let session = Session {
        caller,
        place,
        look: sealed.look,
        ends_at,
        csrf: csrf_of(engine, sealed.id),
        id: sealed.id,
        proof: sealed.proof,
    };
    Ok(Some((session, renewed)))
}
