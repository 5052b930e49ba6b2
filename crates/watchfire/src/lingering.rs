//! A connection that is closed in such a way that the peer can read the last answer.
//!
//! A request may be refused before its body is read. If the connection is closed while some of the
//! body lies unread, the system resets it, and the peer may lose the answer that says why. So what
//! is there is read and thrown away first, up to a limit in bytes and in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use watchfire_domain::limit;

/// Read at a time.
const CHUNK: usize = 16 * 1024;

pub(crate) struct Lingering {
    stream: TcpStream,
    closing: Option<Closing>,
}

/// What may still be read, and until when.
struct Closing {
    left: usize,
    end: Pin<Box<Sleep>>,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            closing: None,
        }
    }

    /// Throws away what arrives. Nothing is waited for unless something was there.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut chunk = [0; CHUNK];
        loop {
            let mut read = ReadBuf::new(&mut chunk);
            let polled = Pin::new(&mut self.stream).poll_read(context, &mut read);
            let bytes = read.filled().len();
            match (polled, &mut self.closing) {
                (Poll::Ready(Ok(())), _) if bytes == 0 => return Poll::Ready(()),
                (Poll::Ready(Ok(())), Some(closing)) => {
                    closing.left = closing.left.saturating_sub(bytes);
                    if closing.left == 0 {
                        return Poll::Ready(());
                    }
                }
                (Poll::Ready(Ok(())), none) => {
                    *none = Some(Closing {
                        left: limit::LINGER_BYTES_MAX,
                        end: Box::pin(sleep(limit::LINGER)),
                    });
                }
                (Poll::Pending, Some(closing)) => return closing.end.as_mut().poll(context),
                (Poll::Pending, None) | (Poll::Ready(Err(_)), _) => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.poll_rest(context).map(Ok)
    }
}
