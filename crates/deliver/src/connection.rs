//! One HTTP/1.1 connection and the exchange of one request for one answer on it.
//!
//! The HTTP library splits a connection in a sender and a driver, and expects the driver to run
//! in a task of its own. Here the attempt drives it: nothing is sent to another task and back, a
//! dropped attempt drops its connection, and an error is seen by the attempt it belongs to. An
//! idle connection is not driven; it is polled once before it is used again, which notices that
//! the peer has closed it.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use watchfire_domain::attempt::Response;
use watchfire_domain::limit;
use watchfire_domain::outcome::{Cause, Phase};

use crate::dial::Progress;
use crate::fault;
use crate::report::Failure;
use crate::stream::{Meter, Metered, Stream};

type Driver = http1::Connection<TokioIo<Metered>, Full<Bytes>>;

/// An open connection, either idle in the pool or owned by one attempt.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended: dropping it is what fails a request still queued.
    driver: Option<Driver>,
    meter: Arc<Meter>,
    address: SocketAddr,
    opened_at: Instant,
    has_served: bool,
}

/// What came back, before it is put in the words of the report.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<http::HeaderValue>,
    pub(crate) response: Response,
}

impl Connection {
    /// Prepares a connected stream. Nothing is sent yet.
    pub(crate) async fn prepare(stream: Stream, address: SocketAddr) -> Result<Self, Failure> {
        let meter = Arc::new(Meter::default());
        let io = TokioIo::new(Metered::new(stream, Arc::clone(&meter)));
        // No limit on the number of fields is set: the library would then allocate per answer.
        // It stops at 100 on its own, and `answer_head` at ours.
        let prepared = http1::Builder::new()
            .max_buf_size(limit::RESPONSE_HEAD_BYTES_MAX)
            .max_header_size(limit::RESPONSE_HEAD_BYTES_MAX)
            .handshake(io)
            .await;
        let (sender, driver) = prepared.map_err(|error| fault::exchange_failure(&error))?;
        Ok(Self {
            sender,
            driver: Some(driver),
            meter,
            address,
            opened_at: Instant::now(),
            has_served: false,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened_at)
    }

    /// Whether another request can be sent: the last answer was read to its end, and the peer did
    /// not ask to close.
    pub(crate) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether it is ready, and the peer has not closed it or sent anything since.
    pub(crate) fn is_still_ready(&mut self, cx: &mut Context<'_>) -> bool {
        poll_driver(&mut self.driver, cx).is_pending() && self.is_ready()
    }

    /// Sends a request and reads the answer. Dropping the future leaves the connection unusable.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        progress: &mut Progress,
    ) -> Result<Received, Failure> {
        self.meter.restart();
        progress.phase = Phase::Send;
        let started = Instant::now();
        let (head, body) = self.answer(request, progress).await?;
        progress.timing.first_byte = Some(started.elapsed());
        progress.phase = Phase::Body;
        self.meter.enter_body();
        let received = self.receive(head, body).await?;
        self.has_served = true;
        Ok(received)
    }

    /// Drives the connection until the head of the answer is there.
    async fn answer(
        &mut self,
        request: Request<Full<Bytes>>,
        progress: &mut Progress,
    ) -> Result<(http::response::Parts, Incoming), Failure> {
        let mut answer = pin!(self.sender.send_request(request));
        let (driver, meter) = (&mut self.driver, &self.meter);
        let answer = std::future::poll_fn(|cx| {
            // Driver first: what it has read is then ready for the answer.
            if poll_driver(driver, cx).is_pending() {
                progress.phase = waiting_phase(meter);
            }
            answer.as_mut().poll(cx)
        });
        match answer.await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                check_head(&head)?;
                Ok((head, body))
            }
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Reads the body to its end or to the limit.
    async fn receive(
        &mut self,
        head: http::response::Parts,
        body: Incoming,
    ) -> Result<Received, Failure> {
        let ends_at_close = ends_at_close(&head.headers);
        let mut kept = Kept::with_hint(&body);
        let mut body = pin!(body);
        while !body.is_end_stream() && !kept.is_truncated {
            match self.next_frame(body.as_mut()).await {
                None => break,
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        kept.append(data);
                    }
                }
                // Many servers end TLS without saying so. Where the end of the connection is the
                // only end the body has, what is missing can't be known, but the status can.
                Some(Err(error)) if ends_at_close && fault::is_unannounced_end(&error) => {
                    kept.is_truncated = true;
                }
                Some(Err(error)) => return Err(self.failure(&error)),
            }
        }
        if kept.is_truncated {
            // The rest is still on its way: hang up rather than read it.
            self.driver = None;
        }
        Ok(Received {
            status: head.status,
            retry_after: head.headers.get(RETRY_AFTER).cloned(),
            response: Response {
                headers: readable(&head.headers),
                body: kept.bytes.into(),
                truncated: kept.is_truncated,
            },
        })
    }

    async fn next_frame(
        &mut self,
        mut body: Pin<&mut Incoming>,
    ) -> Option<hyper::Result<hyper::body::Frame<Bytes>>> {
        std::future::poll_fn(|cx| {
            // Asking first tells the driver that it may read; it answers within its poll.
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(frame),
                Poll::Pending => {
                    let _running = poll_driver(&mut self.driver, cx);
                    body.as_mut().poll_frame(cx)
                }
            }
        })
        .await
    }

    fn failure(&self, error: &hyper::Error) -> Failure {
        if self.meter.is_overrun() {
            return Failure::Oversize;
        }
        match fault::exchange_failure(error) {
            Failure::Unreachable {
                cause: Cause::ConnectionClosed,
            } if self.has_served && !self.meter.has_read() => Cause::StaleConnection.into(),
            failure => failure,
        }
    }
}

/// Ready when the connection has ended. Its error, if any, belongs to the request in flight and
/// is reported there.
fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(running) = driver else {
        return Poll::Ready(());
    };
    if Pin::new(running).poll(cx).is_pending() {
        return Poll::Pending;
    }
    *driver = None;
    Poll::Ready(())
}

fn waiting_phase(meter: &Meter) -> Phase {
    if meter.is_write_blocked() {
        Phase::Send
    } else {
        Phase::FirstByte
    }
}

fn check_head(head: &http::response::Parts) -> Result<(), Failure> {
    if head.headers.len() > limit::RESPONSE_HEADERS_MAX {
        return Err(Failure::Oversize);
    }
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Such a message might indicate an attempt to perform request smuggling or response
    //# splitting and ought to be handled as an error.
    let is_framed_twice =
        head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //# A server MUST NOT switch to a protocol that was not indicated by the client in the
    //# corresponding request's Upgrade header field.
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if is_framed_twice || switches {
        return Err(Failure::Malformed);
    }
    Ok(())
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
//# Otherwise, this is a response message without a declared message body length, so the message
//# body length is determined by the number of octets received prior to the server closing the
//# connection.
fn ends_at_close(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING)
}

/// Names and values as text, in the order received. Values are only shown, never decided on, so
/// what is not UTF-8 is replaced.
fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

/// The part of a body that is kept.
struct Kept {
    /// Copied, because what the driver hands out is a window on its read buffer: a kept window
    /// of two bytes would hold all of it.
    bytes: Vec<u8>,
    is_truncated: bool,
}

impl Kept {
    fn with_hint(body: &Incoming) -> Self {
        let hint = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        Self {
            // A declared length is a promise of a stranger: small ones are believed.
            bytes: Vec::with_capacity(hint.min(4_096)),
            is_truncated: false,
        }
    }

    fn append(&mut self, data: &[u8]) {
        let room = limit::RESPONSE_BODY_BYTES - self.bytes.len();
        match data.get(..room) {
            Some(head) if data.len() > room => {
                self.bytes.extend_from_slice(head);
                self.is_truncated = true;
            }
            Some(_) | None => self.bytes.extend_from_slice(data),
        }
    }
}
