//! The demo's receivers: each path behaves in its own way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use parking_lot::Mutex;

use crate::http_server::HttpServer;

/// How often each message has come to the receiver that fails twice.
type Seen = Arc<Mutex<HashMap<String, u32>>>;

/// Messages remembered by the receiver that fails twice.
const SEEN_MAX: usize = 10_000;

/// Running receivers on loopback.
pub(super) struct Receivers {
    address: SocketAddr,
}

impl Receivers {
    pub(super) async fn start() -> Result<Self> {
        let router = Router::new()
            .route("/healthy", any(|| async { StatusCode::NO_CONTENT }))
            .route(
                "/products/{*product}",
                any(|| async { (StatusCode::OK, r#"{"message":"ok"}"#) }),
            )
            .route("/fails-twice", any(fail_twice))
            .route("/hangs", any(std::future::pending::<StatusCode>))
            .route(
                "/refuses",
                any(|| async { (StatusCode::FORBIDDEN, "this key was revoked") }),
            )
            .with_state(Seen::default());
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = HttpServer::bind(any_port, Vec::new()).await?;
        let address = server.address()?;
        drop(tokio::spawn(server.serve(
            router,
            std::future::pending(),
            std::time::Duration::ZERO,
        )));
        Ok(Self { address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn fail_twice(State(seen): State<Seen>, headers: HeaderMap) -> StatusCode {
    let id = headers
        .get("webhook-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let mut seen = seen.lock();
    if seen.len() >= SEEN_MAX {
        seen.clear();
    }
    let times = seen.entry(id.to_owned()).or_default();
    *times += 1;
    if *times <= 2 {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}
