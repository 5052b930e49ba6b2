//! What a receiver is sent, what it answers, and in which order.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use watchfire_deliver::Failure;

use crate::Gate;

/// A request as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names as they were spelled, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Counts from 0: two requests with the same number came over the same connection.
    pub connection: usize,
}

impl Request {
    /// The value of the first header of that name, whatever its letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What a receiver does with one request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) wait: Wait,
    pub(crate) act: Act,
    /// Writes one byte at a time, this far apart.
    pub(crate) drip: Option<Duration>,
}

/// What comes before a reply.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    None,
    For(Duration),
    Until(Gate),
}

impl Wait {
    /// Comes back when the wait is over.
    pub(crate) async fn over(&self) {
        match self {
            Self::None => {}
            Self::For(delay) => tokio::time::sleep(*delay).await,
            Self::Until(gate) => gate.pass().await,
        }
    }
}

/// What a reply does on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Answer(Page),
    /// Writes these bytes and closes the connection.
    Raw(Bytes),
    /// Writes these bytes and then nothing more, until the peer hangs up.
    RawThenHang(Bytes),
    /// Answers 200 with a body that never ends.
    Endless,
    /// Reports this in place of an answer; in memory only.
    Fail(Failure),
}

/// A well-formed answer.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    fn new(act: Act) -> Self {
        Self {
            wait: Wait::None,
            act,
            drip: None,
        }
    }

    /// Answers with a status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::new(Act::Answer(Page {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }))
    }

    /// Reads the request and never answers.
    pub fn hang() -> Self {
        Self::new(Act::RawThenHang(Bytes::new()))
    }

    /// Reads the request and closes the connection.
    pub fn close() -> Self {
        Self::new(Act::Raw(Bytes::new()))
    }

    /// Writes these bytes, whatever they are, and closes the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Act::Raw(bytes.into()))
    }

    /// Writes these bytes, whatever they are, and leaves the connection open to the peer.
    pub fn raw_then_hang(bytes: impl Into<Bytes>) -> Self {
        Self::new(Act::RawThenHang(bytes.into()))
    }

    /// Answers 200 and sends a body for as long as somebody reads it.
    pub fn endless() -> Self {
        Self::new(Act::Endless)
    }

    /// Can't be reached, for this reason. Only a receiver in memory can play it.
    pub fn fail(failure: Failure) -> Self {
        Self::new(Act::Fail(failure))
    }

    /// Adds a header to the answer.
    ///
    /// # Panics
    ///
    /// If the reply is not an answer: raw bytes hold their own headers.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.page()
            .headers
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body of the answer.
    ///
    /// # Panics
    ///
    /// If the reply is not an answer.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.page().body = body.into();
        self
    }

    /// Waits before it does anything.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.wait = Wait::For(delay);
        self
    }

    /// Waits for a gate to open before it does anything.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.wait = Wait::Until(gate.clone());
        self
    }

    /// Writes one byte at a time, `interval` apart. In memory there are no bytes to write.
    #[must_use]
    pub fn dripping(mut self, interval: Duration) -> Self {
        self.drip = Some(interval);
        self
    }

    fn page(&mut self) -> &mut Page {
        match &mut self.act {
            Act::Answer(page) => page,
            other @ (Act::Raw(_) | Act::RawThenHang(_) | Act::Endless | Act::Fail(_)) => {
                panic!("{other:?} has no headers and body to set")
            }
        }
    }
}

/// Picks the reply to each request.
pub struct Script(Box<Choice>);

/// `None` means that no more requests were foreseen.
type Choice = dyn FnMut(&Request) -> Option<Reply> + Send;

impl Script {
    /// The same reply, however many requests come.
    pub fn always(reply: Reply) -> Self {
        Self::choose(move |_| reply.clone())
    }

    /// One reply after the other. A request beyond the last fails the test.
    pub fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        let mut replies = replies.into_iter();
        Self(Box::new(move |_| replies.next()))
    }

    /// One status after the other. A request beyond the last fails the test.
    pub fn statuses(statuses: impl IntoIterator<Item = u16>) -> Self {
        Self::replies(statuses.into_iter().map(Reply::status))
    }

    /// A reply that depends on the request.
    pub fn choose(mut choice: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self(Box::new(move |request| Some(choice(request))))
    }

    /// No request is expected.
    pub fn silence() -> Self {
        Self::replies([])
    }

    /// Goes on with the same reply after the last.
    #[must_use]
    pub fn then_always(mut self, reply: Reply) -> Self {
        Self(Box::new(move |request| {
            Some(self.reply_to(request).unwrap_or_else(|| reply.clone()))
        }))
    }

    pub(crate) fn reply_to(&mut self, request: &Request) -> Option<Reply> {
        (self.0)(request)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}
