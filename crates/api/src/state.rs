//! What all routes share.

use std::sync::Arc;

use ring::hmac;
use watchfire_domain::audit::Actor;
use watchfire_domain::secret::SecretText;
use watchfire_domain::time::Timestamp;
use watchfire_engine::Engine;
use watchfire_engine::identity::{Authenticator, ClientAddress, Tokens};

use crate::throttle::{RateLimits, Throttle};

/// What an operator sets about the API.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Signs and verifies tokens.
    pub jwt_secret: SecretText,
    /// Where this server is reached from outside, without a trailing slash; for links to the
    /// portal. Taken from the request's `Host` if absent.
    pub public_url: Option<String>,
    /// How often somebody may ask.
    pub rate_limits: RateLimits,
}

/// What all routes share; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    engine: Engine,
    shared: Arc<Inner>,
}

struct Inner {
    authenticator: Authenticator,
    public_url: Option<String>,
    /// Tells two credentials apart without telling what they are.
    fingerprints: hmac::Key,
    throttle: Throttle,
}

impl ApiState {
    pub fn new(engine: Engine, config: ApiConfig) -> Self {
        let shared = Arc::new(Inner {
            authenticator: Authenticator::new(Tokens::new(&config.jwt_secret)),
            public_url: config.public_url,
            fingerprints: fingerprint_key(&config.jwt_secret),
            throttle: Throttle::new(config.rate_limits),
        });
        Self { engine, shared }
    }

    /// The same, with an engine that acts for somebody.
    pub(crate) fn acting_for(&self, actor: Arc<Actor>, from: Option<ClientAddress>) -> Self {
        Self {
            engine: self.engine.by(actor, from),
            shared: Arc::clone(&self.shared),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.shared.authenticator
    }

    pub(crate) fn public_url(&self) -> Option<&str> {
        self.shared.public_url.as_deref()
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.shared.throttle
    }

    pub(crate) fn fingerprints(&self) -> &hmac::Key {
        &self.shared.fingerprints
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.engine.clock().now()
    }
}

/// A key of its own, so that fingerprints say nothing about tokens.
fn fingerprint_key(secret: &SecretText) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let derived = hmac::sign(&root, b"watchfire credential fingerprints");
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}
