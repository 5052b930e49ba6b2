//! The receiver that is built in: a place to send a first event to, without a network.
//!
//! Requests to [`URL`] are answered here, in place of the transport, and the last few are kept for
//! whoever wants to see them. Everything before and behind the request is as for any other
//! endpoint. The name ends in `.invalid`, which by RFC 2606 never means a host; no connection is
//! opened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use watchfire_deliver::{Answer, Report, Request, Transport};
use watchfire_domain::ambient::Clock;
use watchfire_domain::attempt::{Response, Timing};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

/// Where it is.
pub const URL: &str = "https://echo.watchfire.invalid/";

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Timestamp,
    pub method: &'static str,
    pub url: String,
    /// A value is absent where it is a secret.
    pub headers: Vec<(String, Option<String>)>,
    pub body: Bytes,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_deref())
    }
}

/// Answers what is for the built-in receiver; the rest goes on.
pub(crate) struct Echo {
    next: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    received: Arc<Mutex<VecDeque<Received>>>,
}

impl Echo {
    pub(crate) fn around(next: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self {
            next,
            clock,
            received: Arc::default(),
        }
    }

    /// What came in, the newest first.
    pub(crate) fn received(&self) -> Arc<Mutex<VecDeque<Received>>> {
        Arc::clone(&self.received)
    }

    fn answer(&self, request: &Request) -> Report {
        let value = |value: &http::HeaderValue| {
            let plain = (!value.is_sensitive()).then(|| value.to_str().ok());
            plain.flatten().map(ToOwned::to_owned)
        };
        let headers = request.headers.iter();
        let received = Received {
            at: self.clock.now(),
            method: request.method.as_str(),
            url: request.target.url().to_owned(),
            headers: headers
                .map(|(name, text)| (name.as_str().to_owned(), value(text)))
                .collect(),
            body: request
                .body
                .slice(..request.body.len().min(limit::ECHO_BODY_BYTES_MAX)),
        };
        let mut kept = self.received.lock();
        kept.push_front(received);
        kept.truncate(limit::ECHO_REQUESTS_MAX);
        Report {
            exchange: Ok(Answer {
                status: 200,
                retry_after: None,
                response: Response {
                    headers: vec![("content-type".into(), "application/json".into())],
                    body: Bytes::from_static(br#"{"received":true}"#),
                    truncated: false,
                },
            }),
            address: None,
            timing: Timing {
                total: Duration::from_micros(1),
                ..Timing::default()
            },
        }
    }
}

#[async_trait]
impl Transport for Echo {
    async fn send(&self, request: Request) -> Report {
        // URLs are normalized when they are saved: there is one spelling.
        if request.target.url().starts_with(URL) {
            self.answer(&request)
        } else {
            self.next.send(request).await
        }
    }
}
