//! The listener of the API: connections with limits on their number, their heads and their time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use watchfire_domain::limit;

/// Rest after the system could not accept a connection, for instance for lack of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A bound listener.
pub(crate) struct HttpServer {
    listener: TcpListener,
}

impl HttpServer {
    pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
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
        let service = TowerToHyperService::new(router);
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
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a connection was not accepted"
                    );
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            };
            let connection = connection().serve_connection(ready(stream), service.clone());
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

fn ready(stream: TcpStream) -> TokioIo<TcpStream> {
    // Answers are small and complete; waiting for more to send only delays them.
    drop(stream.set_nodelay(true));
    TokioIo::new(stream)
}
