//! A delivery's request, shown to people; and whether a signature is one of ours.
//!
//! Requests are not stored: what a request is made of is, and it is made the same way again. So
//! what is shown is what was sent, as long as the endpoint's settings and its contract are those
//! of then.

use bytes::Bytes;
use watchfire_contracts::verify::{Received, VerifyingKey, verify};
use watchfire_domain::secret::SigningKey;
use watchfire_domain::time::Timestamp;
use watchfire_store::{EndpointKey, EndpointRef, StoredMessage};

use super::endpoints;
use super::{Error, Result};
use crate::{Engine, Snapshot};

/// The names of the headers that sign a request.
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Shown {
    pub method: String,
    pub url: String,
    /// Names and values; no value where it is a secret.
    pub headers: Vec<(String, Option<String>)>,
    pub body: Bytes,
    /// The endpoint's settings were changed after that time, so they may have said something else.
    pub changed_since: bool,
}

/// Why there is no request to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unshown {
    #[error("the endpoint was deleted")]
    EndpointDeleted,
    #[error("the payload was removed")]
    PayloadGone,
    #[error("no request can be made with the endpoint's settings of today")]
    Unready,
}

impl Shown {
    /// The value of a header, unless it is a secret.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_deref())
    }

    /// What the signature is made over, in front of the body.
    pub fn signed_prefix(&self) -> Option<String> {
        Some(format!("{}.{}.", self.header(ID)?, self.header(TIMESTAMP)?))
    }
}

/// The request that brings a message to an endpoint, as made at `at`.
pub fn show(
    app: &Snapshot,
    endpoint: EndpointKey,
    stored: &StoredMessage,
    at: Timestamp,
) -> Result<Shown, Unshown> {
    let endpoint = app.endpoint(endpoint).ok_or(Unshown::EndpointDeleted)?;
    let payload = stored.message.payload.as_ref();
    let payload = payload.ok_or(Unshown::PayloadGone)?;
    let sendable = endpoint.render(&stored.message, payload, at);
    let sendable = sendable.map_err(|_| Unshown::Unready)?;
    let rendered = sendable.rendered;
    let headers = rendered.headers.iter().map(|(name, value)| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), (!value.is_sensitive()).then_some(text))
    });
    Ok(Shown {
        method: rendered.method.to_string(),
        url: sendable.target.url().to_owned(),
        headers: headers.collect(),
        body: rendered.body,
        changed_since: endpoint.stored.endpoint.identity.updated_at > at,
    })
}

/// What is to be said about a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It was made with the endpoint's present secret.
    Genuine,
    /// It was made with a secret that was replaced, and still signs along.
    GenuineOld,
    /// It was made with neither, or over something else.
    Wrong,
}

/// Judges a signature that a receiver got, over the request that is shown.
pub async fn judge(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    shown: &Shown,
    signature: &str,
) -> Result<SignatureVerdict> {
    let secrets = endpoints::find(engine, app, reference).await?.secrets;
    let (Some(id), Some(timestamp)) = (shown.header(ID), shown.header(TIMESTAMP)) else {
        return Err(Error::NotFound);
    };
    let signature = signature.trim();
    let signature = signature
        .strip_prefix(SIGNATURE)
        .map_or(signature, |rest| rest.trim_start_matches([':', ' ']));
    let received = Received {
        id,
        timestamp,
        signature,
        body: &shown.body,
    };
    let seconds = timestamp.parse().unwrap_or_default();
    let then = Timestamp::from_unix_seconds(seconds);
    let signs = |key: &SigningKey| {
        let key = VerifyingKey::parse(&key.shareable());
        key.is_ok_and(|key| verify(received, &[key], then).is_ok())
    };
    let old = secrets.old_keys.iter().any(|old| signs(&old.key));
    Ok(if signs(&secrets.key) {
        SignatureVerdict::Genuine
    } else if old {
        SignatureVerdict::GenuineOld
    } else {
        SignatureVerdict::Wrong
    })
}
