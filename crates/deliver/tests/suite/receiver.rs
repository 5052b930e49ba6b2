//! A receiver made of a socket and a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens on loopback; closes when dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Runs `serve` for every connection, each in its own task.
    pub(crate) async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream));
            }
        });
        Self {
            address,
            accepted,
            task,
        }
    }

    /// Reads one request per connection, writes `answer` as it stands, and hangs up.
    pub(crate) async fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await;
                // The client may have hung up before taking all of it.
                stream.write_all(&answer).await.ok();
            }
        })
        .await
    }

    /// Answers every request on every connection.
    pub(crate) async fn answering(answer: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            while !read_request(&mut stream).await.is_empty() {
                stream.write_all(answer.as_bytes()).await.ok();
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request as text, head and body; empty if the peer hung up first.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    let mut part = vec![0; 16 * 1024];
    loop {
        if let Some(length) = complete_length(&request) {
            assert_eq!(request.len(), length, "bytes after the request");
            return String::from_utf8(request).expect("text");
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return String::new(),
            Ok(count) => request.extend_from_slice(&part[..count]),
        }
    }
}

fn complete_length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&request[..head]).expect("text");
    let body: usize = text
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    (request.len() >= head + body).then_some(head + body)
}
