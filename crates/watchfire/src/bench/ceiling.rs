//! C: what a bare HTTP client that stores nothing reaches against the same receiver, with signed
//! bodies of the same size. Every other figure is a ratio to it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use tokio::time::Instant;

use super::load::Connection;

/// Requests a second over `connections` connections.
pub(super) async fn measure(
    receiver: SocketAddr,
    connections: usize,
    payload_bytes: usize,
    duration: Duration,
) -> Result<f64> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(receiver).await?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 24]);
            let body = "x".repeat(payload_bytes);
            let mut count = 0u32;
            while start.elapsed() < duration {
                let request = request(receiver, &key, &body, count);
                connection.exchange(request.as_bytes()).await?;
                count += 1;
            }
            anyhow::Ok(count)
        }));
    }
    let mut total = 0.0;
    for task in tasks {
        total += f64::from(task.await.context("a client died")??);
    }
    Ok(total / start.elapsed().as_secs_f64())
}

fn request(receiver: SocketAddr, key: &hmac::Key, body: &str, count: u32) -> String {
    let id = format!("msg_{count:027}");
    let mut context = hmac::Context::with_key(key);
    for part in [id.as_str(), ".", "1700000000", ".", body] {
        context.update(part.as_bytes());
    }
    let signature = BASE64.encode(context.sign());
    format!(
        "POST /hook HTTP/1.1\r\nhost: {receiver}\r\ncontent-type: application/json\r\nwebhook-id: {id}\r\n\
         webhook-timestamp: 1700000000\r\nwebhook-signature: v1,{signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
