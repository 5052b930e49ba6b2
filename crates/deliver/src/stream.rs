//! The bytes of a connection, plain or in TLS, and a meter on them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use watchfire_domain::limit;

/// Bytes read before the head of an answer is complete: the head itself, interim answers before
/// it, and the part of the body that came in the same packets. Beyond it the peer is sending
/// interim answers without end.
const READ_BEFORE_ANSWER_MAX: usize = 2 * limit::RESPONSE_HEAD_BYTES_MAX;

/// A connected socket.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a connection has done since its present request began.
///
/// Shared by the two ends of one connection, which are always polled by the same task, one after
/// the other; so no ordering between the fields is needed.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    read: AtomicUsize,
    in_body: AtomicBool,
    overrun: AtomicBool,
    write_blocked: AtomicBool,
}

/// A stream that is metered.
pub(crate) struct Metered {
    stream: Stream,
    meter: Arc<Meter>,
}

impl Meter {
    /// A new request begins.
    pub(crate) fn restart(&self) {
        self.read.store(0, Ordering::Relaxed);
        self.in_body.store(false, Ordering::Relaxed);
        self.write_blocked.store(false, Ordering::Relaxed);
    }

    /// The head of the answer is complete.
    pub(crate) fn enter_body(&self) {
        self.in_body.store(true, Ordering::Relaxed);
    }

    /// Whether any byte of an answer came.
    pub(crate) fn has_read(&self) -> bool {
        self.read.load(Ordering::Relaxed) > 0
    }

    /// Whether more came before the answer than is ever read.
    pub(crate) fn is_overrun(&self) -> bool {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Whether the peer does not take what we have to send.
    pub(crate) fn is_write_blocked(&self) -> bool {
        self.write_blocked.load(Ordering::Relaxed)
    }

    fn count_read(&self, bytes: usize) -> bool {
        let read = self.read.load(Ordering::Relaxed).saturating_add(bytes);
        self.read.store(read, Ordering::Relaxed);
        let within = read <= READ_BEFORE_ANSWER_MAX || self.in_body.load(Ordering::Relaxed);
        if !within {
            self.overrun.store(true, Ordering::Relaxed);
        }
        within
    }

    fn note_write<T>(&self, progress: &Poll<T>) {
        self.write_blocked
            .store(progress.is_pending(), Ordering::Relaxed);
    }
}

impl Metered {
    pub(crate) fn new(stream: Stream, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        })?;
        if this.meter.count_read(buf.filled().len() - before) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()))
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.meter.note_write(&progress);
        progress
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.meter.note_write(&progress);
        progress
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.meter.note_write(&progress);
        progress
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
