//! Header names in the letters somebody wrote them in.
//!
//! Problem: names are case-insensitive, and the `http` crate keeps them in lower case. But a
//! product documents `X-DefectDojo-Event`, and there are receivers that compare.
//! Idea: the HTTP library keeps the spelling of an answer it has parsed, so that proxies can
//! forward it, and writes it again where it finds it on a request. It offers no way to make such
//! a record, so we let it parse one: a made-up answer with the names in question, read from
//! memory.
//! Limits: one spelling per name and position; names the record does not have are written in
//! lower case. If the library should stop doing this, all names are, and nothing else changes.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Extensions, HeaderName, Request};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use watchfire_domain::limit;

/// How often the library is polled before it has certainly parsed what is in memory.
const POLLS_MAX: usize = 16;

/// A record of how names are written. Make it once per set of names: making one is slow, using
/// one costs a copy of the record.
#[derive(Clone, Default)]
pub struct Spelling(Extensions);

impl Spelling {
    /// Records the names, of which those that are not valid are left out, and those beyond
    /// [`limit::RESPONSE_HEADERS_MAX`] too.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut answer = String::from("HTTP/1.1 204 No Content\r\n");
        let valid = |name: &&str| HeaderName::from_bytes(name.as_bytes()).is_ok();
        for name in names
            .into_iter()
            .filter(valid)
            .take(limit::RESPONSE_HEADERS_MAX)
        {
            answer.push_str(name);
            answer.push_str(":\r\n");
        }
        answer.push_str("\r\n");
        Self(parse(Bytes::from(answer)).unwrap_or_default())
    }

    pub(crate) fn apply(&self, extensions: &mut Extensions) {
        extensions.clone_from(&self.0);
    }
}

/// Lets the library parse `answer`; returns what it noted beside it.
fn parse(answer: Bytes) -> Option<Extensions> {
    let mut cx = Context::from_waker(Waker::noop());
    let io = TokioIo::new(Recording {
        answer,
        is_asked: false,
    });
    let mut builder = http1::Builder::new();
    builder.preserve_header_case(true);
    let Poll::Ready(Ok((mut sender, mut driver))) = pin!(builder.handshake(io)).poll(&mut cx)
    else {
        return None;
    };
    let mut parsed = pin!(sender.send_request(Request::new(Empty::<Bytes>::new())));
    for _ in 0..POLLS_MAX {
        let running = Pin::new(&mut driver).poll(&mut cx);
        if let Poll::Ready(parsed) = parsed.as_mut().poll(&mut cx) {
            return Some(parsed.ok()?.into_parts().0.extensions);
        }
        if running.is_ready() {
            return None;
        }
    }
    None
}

/// A peer that gives one answer once it is asked.
struct Recording {
    answer: Bytes,
    is_asked: bool,
}

impl AsyncRead for Recording {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_asked {
            return Poll::Pending;
        }
        let part = this.answer.len().min(buf.remaining());
        buf.put_slice(&this.answer.split_to(part));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recording {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().is_asked = true;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spelling").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_still_records_spellings() {
        assert_eq!(Spelling::of(["X-DefectDojo-Event"]).0.len(), 1);
    }

    #[test]
    fn names_that_are_not_valid_are_left_out() {
        let spelling = Spelling::of(["X-Good", "bad name", "", "bad\r\nname"]);
        assert_eq!(spelling.0.len(), 1);
    }
}
