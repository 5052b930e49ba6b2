//! A receiver of webhooks that does what it is told.
//!
//! # Problem
//!
//! A test of delivery needs a peer that answers, refuses, hangs, hangs up or lies on demand, and
//! that can say exactly what it was sent: an HTTP library would tidy up both.
//!
//! # Idea
//!
//! The receiver reads and writes HTTP/1.1 by hand over a loopback socket. Each request is
//! recorded with its header names as they were spelled, then the [`Script`] picks the [`Reply`].
//! Connections stay open between requests, so that reuse can be tested as well.
//!
//! # Limits
//!
//! It runs on the runtime of the test and uses real sockets, so the runtime's clock must not be
//! paused. It speaks no TLS and no HTTP/2.

mod log;
mod script;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use self::log::Log;
pub use self::script::{Reply, Script};

/// How long a test waits for what it expects, before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// Listens on a loopback port for as long as it is kept.
///
/// # Panics
///
/// When it is dropped, if it was sent a request for which its script had no reply.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    log: Arc<Log>,
    listening: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port.
    pub async fn start(script: Script) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script).await
    }

    /// Listens on a given address: to come back where an earlier receiver was.
    pub async fn start_at(address: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.unwrap_or_else(|fault| panic!("can't listen on {address}: {fault}"));
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let log = Arc::new(Log::new(script));
        let listening = tokio::spawn(listen(listener, Arc::clone(&log)));
        Self {
            address,
            log,
            listening,
        }
    }

    /// Stops listening and closes every connection; returns the address, for a later
    /// [`Receiver::start_at`].
    pub async fn stop(mut self) -> SocketAddr {
        self.listening.abort();
        (&mut self.listening).await.ok();
        self.address
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL that leads here; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers by another script from now on.
    pub fn follow(&self, script: Script) {
        self.log.follow(script);
    }

    /// Every request so far, in the order they came.
    pub fn requests(&self) -> Vec<Request> {
        self.log.requests()
    }

    /// The largest number of requests that were here at the same time.
    pub fn most_at_once(&self) -> usize {
        self.log.most_at_once()
    }

    /// Waits until `count` requests came, and returns all that did.
    pub async fn wait_for_count(&self, count: usize) -> Vec<Request> {
        self.wait_for(&format!("{count} requests"), |requests| {
            requests.len() >= count
        })
        .await
    }

    /// Waits until `is_met` holds for what was received, and returns that.
    ///
    /// # Panics
    ///
    /// After ten seconds, with `expectation` and what came instead.
    pub async fn wait_for(
        &self,
        expectation: &str,
        is_met: impl FnMut(&[Request]) -> bool,
    ) -> Vec<Request> {
        let met = tokio::time::timeout(PATIENCE, self.log.wait_for(is_met)).await;
        let Ok(requests) = met else {
            let requests = self.requests();
            panic!("waited {PATIENCE:?} for {expectation}, but received {requests:#?}");
        };
        requests
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
        let unexpected = self.log.unexpected();
        assert!(
            unexpected.is_empty() || std::thread::panicking(),
            "the receiver was sent more than its script foresaw: {unexpected:#?}"
        );
    }
}

/// Serves connections until it is aborted, which ends them too.
async fn listen(listener: TcpListener, log: Arc<Log>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((socket, _)) = listener.accept().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(socket, number, Arc::clone(&log)));
    }
}

/// Answers the requests of one connection until either side closes it.
async fn serve(socket: TcpStream, connection: usize, log: Arc<Log>) {
    let mut wire = wire::Wire::new(socket);
    while let Some(request) = wire.read_request(connection).await {
        let (reply, _here) = log.record(request);
        if wire.write_reply(reply).await.is_break() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
