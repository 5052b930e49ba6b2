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
//! recorded with its header names as they were spelled, then the [`Script`] picks the reply.
//! Connections stay open between requests, so that reuse can be tested as well.
//!
//! [`Receiver::in_memory`] plays the same scripts without a socket, to whoever sends through its
//! [`Receiver::transport`].
//!
//! # Limits
//!
//! With a socket, the clock of the test's runtime must not be paused: it would run ahead of the
//! bytes. It speaks no TLS and no HTTP/2.

mod memory;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use watchfire_deliver::Transport;

use crate::log::Log;
use crate::script::{Request, Script};

/// Where a receiver in memory seems to be: an address kept for examples.
const ADDRESS_IN_MEMORY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 443);

/// How long a test waits for what it expects, before it fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Takes requests for as long as it is kept, and remembers them.
///
/// # Panics
///
/// When it is dropped, if it was sent a request for which its script had no reply.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    log: Arc<Log>,
    /// Absent in memory.
    listening: Option<JoinHandle<()>>,
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
            listening: Some(listening),
        }
    }

    /// Is reached through its [`Receiver::transport`] alone.
    pub fn in_memory(script: Script) -> Self {
        Self {
            address: ADDRESS_IN_MEMORY,
            log: Arc::new(Log::new(script)),
            listening: None,
        }
    }

    /// Leads here without a network, whatever the URL of the request.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(memory::Memory(Arc::clone(&self.log)))
    }

    /// Stops listening and closes every connection; returns the address, for a later
    /// [`Receiver::start_at`].
    pub async fn stop(mut self) -> SocketAddr {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            listening.await.ok();
        }
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
        if let Some(listening) = &self.listening {
            listening.abort();
        }
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
