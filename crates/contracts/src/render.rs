//! A message, rendered in a contract for an endpoint: method, header fields, body bytes, signature.
//!
//! # Problem
//!
//! This runs for every attempt, thousands of times a second, yet most of it is the same each time:
//! keys, custom headers, the product's own headers.
//!
//! # Idea
//!
//! A [`Destination`] is turned once per version of the endpoint into [`Prepared`]: ready signing
//! keys, ready header values, the body cut into what is fixed and what varies. Rendering a message
//! then fills in its id, its type and the time. Where the contract sends the payload as posted, the
//! body shares the posted bytes: they are neither parsed nor copied.
//!
//! The signature is computed over exactly the bytes in [`Rendered::body`].

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use watchfire_domain::endpoint::{Secrets, Settings};
use watchfire_domain::id::{EventType, MessageId};
use watchfire_domain::message::RawBody;
use watchfire_domain::time::Timestamp;

use crate::contract::Contract;
use crate::header::{HeaderFault, check_headers};
use crate::manifest::{AuthKind, Https, Instance};
use crate::signature::KeyMismatch;

mod body;
mod prepare;
mod recipe;

pub use prepare::Prepared;
pub use recipe::InvalidRecipe;

/// The header that carries the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Who is sent to, and how.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    pub contract: &'a Contract,
    /// What the application's own product instance says; the contract's fills the gaps.
    pub instance: &'a Instance,
    pub settings: &'a Settings,
    pub secrets: &'a Secrets,
    pub signature_headers: SignatureHeaders,
}

/// Under which names the signature goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureHeaders {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    #[default]
    Webhook,
    /// The same values under `svix-…` as well, for verifiers that know only these.
    WebhookAndSvix,
}

/// What is sent, and when.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub message_id: MessageId,
    pub event_type: &'a EventType,
    pub payload: &'a Bytes,
    /// Sent in place of the payload and of everything the contract puts around it.
    pub raw_body: Option<&'a RawBody>,
    /// The time of the attempt.
    pub now: Timestamp,
}

/// A request, except for its URL.
#[derive(Clone)]
pub struct Rendered {
    pub method: http::Method,
    /// Values that hold a secret are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Rendered {
    /// The signature it carries.
    pub fn signature(&self) -> &str {
        let found = self.headers.iter().find(|(name, _)| *name == SIGNATURE);
        let text = found.and_then(|(_, value)| value.to_str().ok());
        text.expect("every request is signed, in printable ASCII")
    }
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered")
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// Why a message can't be rendered: always a fault on our side, or in settings that were accepted
/// under an older contract, never the receiver's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("the contract does not allow the method {0}")]
    Method(&'static str),
    #[error("the contract does not allow {0:?} authentication")]
    Auth(AuthKind),
    #[error("the value of the contract's header {name:?} is not printable ASCII")]
    ContractHeader { name: String },
    #[error(transparent)]
    CustomHeader(#[from] HeaderFault),
    #[error("the credentials can't be written into a header")]
    Credentials,
    #[error(transparent)]
    Key(#[from] KeyMismatch),
    #[error("the content type of the raw body is not printable ASCII")]
    ContentType,
}

/// Why an endpoint can't be saved under a contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    #[error("the contract allows only URLs that begin with https://")]
    InsecureUrl,
    #[error(transparent)]
    Headers(#[from] HeaderFault),
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl Contract {
    /// Whether an endpoint with these settings can be saved: everything that could later keep its
    /// messages from being rendered is refused here.
    pub fn check_endpoint(
        &self,
        settings: &Settings,
        secrets: &Secrets,
    ) -> Result<(), EndpointFault> {
        let wants_https = self.manifest().endpoint.https == Https::Required;
        if wants_https && !settings.url.starts_with("https://") {
            return Err(EndpointFault::InsecureUrl);
        }
        check_headers(&secrets.headers)?;
        let ours = &self.manifest().request.headers;
        let is_ours = |name: &str| ours.iter().any(|own| own.name.eq_ignore_ascii_case(name));
        if let Some((name, _)) = secrets.headers.iter().find(|(name, _)| is_ours(name)) {
            return Err(HeaderFault::Reserved { name: name.clone() }.into());
        }
        Prepared::new(Destination {
            contract: self,
            instance: &Instance::default(),
            settings,
            secrets,
            signature_headers: SignatureHeaders::default(),
        })?;
        Ok(())
    }
}

/// Prepares and renders at once, where only one message is sent.
pub fn render(destination: Destination<'_>, event: &Event<'_>) -> Result<Rendered, RenderError> {
    Prepared::new(destination)?.render(event)
}

#[cfg(test)]
mod tests;
