//! What a receiver answers, and in which order.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::Request;
use crate::Gate;

/// What a receiver does with one request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) wait: Wait,
    pub(super) act: Act,
    /// Writes one byte at a time, this far apart.
    pub(super) drip: Option<Duration>,
}

/// What comes before a reply.
#[derive(Clone, Debug)]
pub(super) enum Wait {
    None,
    For(Duration),
    Until(Gate),
}

/// What a reply does on the wire.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Answer(Answer),
    /// Writes these bytes and closes the connection.
    Raw(Bytes),
    /// Writes these bytes and then nothing more, until the peer hangs up.
    RawThenHang(Bytes),
    /// Answers 200 with a body that never ends.
    Endless,
}

/// A well-formed answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
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
        Self::new(Act::Answer(Answer {
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

    /// Adds a header to the answer.
    ///
    /// # Panics
    ///
    /// If the reply is not an answer: raw bytes hold their own headers.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.answer()
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
        self.answer().body = body.into();
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

    /// Writes one byte at a time, `interval` apart.
    #[must_use]
    pub fn dripping(mut self, interval: Duration) -> Self {
        self.drip = Some(interval);
        self
    }

    fn answer(&mut self) -> &mut Answer {
        match &mut self.act {
            Act::Answer(answer) => answer,
            other @ (Act::Raw(_) | Act::RawThenHang(_) | Act::Endless) => {
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

    pub(super) fn reply_to(&mut self, request: &Request) -> Option<Reply> {
        (self.0)(request)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}
