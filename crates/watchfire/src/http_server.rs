//! The listener of the API: connections with limits on their number, their heads and their time.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::util::MapRequest;
use watchfire_api::ClientAddress;
use watchfire_deliver::Cidr;
use watchfire_domain::limit;

use crate::lingering::Lingering;

/// Rest after the system could not accept a connection, for instance for lack of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A bound listener.
pub(crate) struct HttpServer {
    listener: TcpListener,
    /// Peers that say where their requests come from.
    proxies: Arc<[Cidr]>,
}

impl HttpServer {
    pub(crate) async fn bind(address: SocketAddr, proxies: Vec<Cidr>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let proxies = proxies.into();
        Ok(Self { listener, proxies })
    }

    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` ends; then open requests get the grace period to finish.
    pub(crate) async fn serve(
        self,
        router: Router,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let connections = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(limit::API_CONNECTIONS_MAX));
        tokio::pin!(stop);
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&places).acquire_owned() => permit,
                () = &mut stop => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = &mut stop => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a connection was not accepted"
                    );
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            };
            let proxies = Arc::clone(&self.proxies);
            let named = MapRequest::new(router.clone(), move |mut request: Request<Incoming>| {
                let client = client(peer.ip(), request.headers(), &proxies);
                request.extensions_mut().insert(ClientAddress(client));
                request
            });
            let service = TowerToHyperService::new(named);
            let connection = connection().serve_connection(ready(stream), service);
            let connection = connections.watch(connection);
            drop(tokio::spawn(async move {
                // A peer that breaks off is its own business.
                drop(connection.await);
                drop(permit);
            }));
        }
        drop(self.listener);
        drop(tokio::time::timeout(grace, connections.shutdown()).await);
    }
}

/// Where a request comes from: the peer, or whom the last of the proxies we trust heard it from.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Cidr]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    if !is_proxy(peer) {
        return peer;
    }
    let lists = headers.get_all("x-forwarded-for").into_iter();
    let lists: Vec<_> = lists.filter_map(|list| list.to_str().ok()).collect();
    let hops = lists.iter().flat_map(|list| list.split(','));
    let hops: Vec<IpAddr> = hops.filter_map(|hop| hop.trim().parse().ok()).collect();
    // Each proxy adds whom it heard from; what a stranger wrote stands before that.
    let from = hops.into_iter().rev().find(|hop| !is_proxy(*hop));
    from.unwrap_or(peer)
}

fn connection() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limit::REQUEST_HEAD_TIMEOUT)
        .max_headers(limit::REQUEST_HEADERS_MAX)
        .max_buf_size(limit::REQUEST_BUFFER_BYTES)
        .pipeline_flush(true);
    builder
}

fn ready(stream: TcpStream) -> TokioIo<Lingering> {
    // Answers are small and complete; waiting for more to send only delays them.
    drop(stream.set_nodelay(true));
    TokioIo::new(Lingering::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], expect: &str) {
        let proxies: Vec<Cidr> = vec!["10.0.0.0/8".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers.append("x-forwarded-for", list.parse().expect("a value"));
        }
        let found = client(peer.parse().expect("an address"), &headers, &proxies);
        assert_eq!(found.to_string(), expect, "{peer} {forwarded:?}");
    }

    #[test]
    fn only_a_trusted_proxy_says_where_a_request_comes_from() {
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.0.0.1", &["198.51.100.7"], "198.51.100.7");
        check(
            "10.0.0.1",
            &["203.0.113.9, 198.51.100.7, 10.0.0.2"],
            "198.51.100.7",
        );
        check("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7");
        check("10.0.0.1", &["nonsense"], "10.0.0.1");
        check("10.0.0.1", &[], "10.0.0.1");
    }
}
