//! HTTP/1.1 by hand: nothing is tidied up on the way in, and anything can be sent on the way out.

use std::fmt::Write as _;
use std::io;
use std::ops::ControlFlow;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::script::{Act, Page, Reply, Request};

/// What a request may hold in all. No test sends more; a runaway one must not fill the memory.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection, and what was read from it and not used yet.
pub(super) struct Wire {
    socket: TcpStream,
    unread: BytesMut,
}

/// How far the body of a request goes.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            unread: BytesMut::new(),
        }
    }

    /// The next request, or `None` when the peer has gone or does not speak HTTP/1.1.
    pub(super) async fn read_request(&mut self, connection: usize) -> Option<Request> {
        let head = self.read_through(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers: Option<Vec<_>> = lines.map(header).collect();
        let mut request = Request {
            method,
            target,
            headers: headers?,
            body: Bytes::new(),
            connection,
        };
        request.body = match framing(&request)? {
            Framing::Length(length) => self.read_exactly(length).await?,
            Framing::Chunked => self.read_chunks().await?,
        };
        Some(request)
    }

    /// Does what the reply says. Breaks when the connection is over.
    pub(super) async fn write_reply(&mut self, reply: Reply) -> ControlFlow<()> {
        reply.wait.over().await;
        match &reply.act {
            Act::Answer(page) => match self.write(&encoded(page), &reply).await {
                Ok(()) if !closes(page) => ControlFlow::Continue(()),
                Ok(()) | Err(_) => ControlFlow::Break(()),
            },
            Act::Raw(bytes) => {
                // Whoever hung up first no longer cares.
                self.write(bytes, &reply).await.ok();
                ControlFlow::Break(())
            }
            Act::RawThenHang(bytes) => {
                self.write(bytes, &reply).await.ok();
                while self.read_more().await.is_some() {}
                ControlFlow::Break(())
            }
            Act::Endless => {
                self.write_forever().await.ok();
                ControlFlow::Break(())
            }
            Act::Fail(failure) => panic!("{failure:?} can only be played in memory"),
        }
    }

    async fn write(&mut self, bytes: &[u8], reply: &Reply) -> io::Result<()> {
        let Some(interval) = reply.drip else {
            return self.socket.write_all(bytes).await;
        };
        self.socket.set_nodelay(true)?;
        for byte in bytes {
            self.socket.write_all(&[*byte]).await?;
            tokio::time::sleep(interval).await;
        }
        Ok(())
    }

    async fn write_forever(&mut self) -> io::Result<()> {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
        self.socket.write_all(head).await?;
        loop {
            self.socket.write_all(&[b'x'; 4_096]).await?;
        }
    }

    /// Everything up to and including the first `end`.
    async fn read_through(&mut self, end: &[u8]) -> Option<Bytes> {
        loop {
            let found = self.unread.windows(end.len()).position(|part| part == end);
            if let Some(start) = found {
                return Some(self.unread.split_to(start + end.len()).freeze());
            }
            self.read_more().await?;
        }
    }

    async fn read_exactly(&mut self, length: usize) -> Option<Bytes> {
        while self.unread.len() < length {
            self.read_more().await?;
        }
        Some(self.unread.split_to(length).freeze())
    }

    async fn read_chunks(&mut self) -> Option<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.read_through(b"\r\n").await?;
            let size = std::str::from_utf8(&line).ok()?.trim_end();
            let size = usize::from_str_radix(size, 16).ok()?;
            let mut chunk = self.read_exactly(size.checked_add(2)?).await?;
            if size == 0 {
                return Some(body.freeze());
            }
            chunk.truncate(size);
            body.extend_from_slice(chunk.chunk());
        }
    }

    async fn read_more(&mut self) -> Option<()> {
        let read = self.socket.read_buf(&mut self.unread).await.ok()?;
        (read > 0 && self.unread.len() <= REQUEST_BYTES_MAX).then_some(())
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

fn framing(request: &Request) -> Option<Framing> {
    if let Some(coding) = request.header("transfer-encoding") {
        return coding
            .eq_ignore_ascii_case("chunked")
            .then_some(Framing::Chunked);
    }
    let length = request.header("content-length").unwrap_or("0");
    length.parse().ok().map(Framing::Length)
}

fn closes(page: &Page) -> bool {
    let mut headers = page.headers.iter();
    headers.any(|(name, value)| {
        name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close")
    })
}

fn encoded(page: &Page) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} \r\n", page.status);
    for (name, value) in &page.headers {
        write!(head, "{name}: {value}\r\n").expect("a string grows");
    }
    // RFC 9110 section 8.6: these answers have no body and no length.
    if !matches!(page.status, 100..=199 | 204 | 304) {
        write!(head, "Content-Length: {}\r\n", page.body.len()).expect("a string grows");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&page.body);
    bytes
}
