//! What is to be sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::Full;
use watchfire_domain::endpoint;

use crate::spelling::Spelling;
use crate::target::Target;

/// One request, complete: a receiver sees these bytes and `Host`, `Content-Length` and nothing
/// else.
pub struct Request {
    pub target: Arc<Target>,
    pub method: endpoint::Method,
    /// Sent in this order. Fields that frame the message or manage the connection are this
    /// crate's and are left out: two `Content-Length` fields would let an endpoint's custom
    /// header smuggle a second request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How the names are written; in lower case if absent. Receivers must not care.
    pub spelling: Option<Arc<Spelling>>,
    pub body: Bytes,
    /// Deadline over the whole attempt; at most [`watchfire_domain::limit::ATTEMPT_TIMEOUT_MAX`].
    pub timeout: Duration,
}

impl Request {
    /// The message for the HTTP library.
    pub(crate) fn into_message(self) -> http::Request<Full<Bytes>> {
        let mut fields = fields(&self.target, self.headers);
        if needs_zero_length(self.method, &self.body) {
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut message = http::Request::new(Full::new(self.body));
        *message.method_mut() = match self.method {
            endpoint::Method::Post => Method::POST,
            endpoint::Method::Put => Method::PUT,
            endpoint::Method::Patch => Method::PATCH,
            endpoint::Method::Get => Method::GET,
        };
        *message.uri_mut() = self.target.request_uri().clone();
        *message.headers_mut() = fields;
        if let Some(spelling) = self.spelling {
            spelling.apply(message.extensions_mut());
        }
        message
    }
}

fn fields(target: &Target, headers: Vec<(HeaderName, HeaderValue)>) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(headers.len() + 2);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.2
    //# A user agent that sends Host SHOULD send it as the first field in the header section of a
    //# request.
    fields.insert(HOST, target.host_field().clone());
    for (name, value) in headers {
        if !is_ours(&name) {
            fields.append(name, value);
        }
    }
    fields
}

/// Whether the library, which says nothing of an empty body, has to be helped.
fn needs_zero_length(method: endpoint::Method, body: &Bytes) -> bool {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    //# For example, a user agent normally sends Content-Length in a request when the method
    //# defines a meaning for enclosed content and it is not sending Transfer-Encoding. This can be
    //# the case even when the value is 0
    body.is_empty() && method != endpoint::Method::Get
}

/// Whether callers have no say in this field.
fn is_ours(name: &HeaderName) -> bool {
    // Answers are never inflated, so none is asked for compressed: hence `Accept-Encoding`.
    matches!(
        *name,
        HOST | CONTENT_LENGTH
            | TRANSFER_ENCODING
            | CONNECTION
            | UPGRADE
            | TE
            | TRAILER
            | EXPECT
            | ACCEPT_ENCODING
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

impl fmt::Debug for Request {
    /// Without headers and body: both hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("target", &self.target)
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
