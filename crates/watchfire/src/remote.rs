//! A running server, asked by a command.
//!
//! The data folder is locked while the server runs, so the commands ask the server, over plain
//! HTTP and therefore on this machine only: the token must not cross a network unencrypted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use watchfire_domain::secret::SecretText;

use crate::cli::ServerArgs;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest page of a list, many times over.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A running server, and who asks it.
pub(crate) struct Server {
    address: SocketAddr,
    token: SecretText,
}

impl Server {
    pub(crate) fn named(args: ServerArgs) -> Result<Self> {
        Ok(Self {
            address: address(&args.server).with_context(|| format!("server {:?}", args.server))?,
            token: SecretText::new(args.token),
        })
    }

    /// What it answers; an answer that refuses is an error.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let (status, json) = self.exchange(method, path, body).await?;
        ensure!(
            status.is_success(),
            "the server answered {status}: {}",
            reason(&json)
        );
        Ok(json)
    }

    /// What stands at a path, if there is anything.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>> {
        let (status, json) = self.exchange(Method::GET, path, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(json)),
            status => bail!("the server answered {status}: {}", reason(&json)),
        }
    }

    /// Removes what stands at a path, if there is anything.
    pub(crate) async fn remove(&self, path: &str) -> Result<()> {
        match self.exchange(Method::DELETE, path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(()),
            (status, _) if status.is_success() => Ok(()),
            (status, json) => bail!("the server answered {status}: {}", reason(&json)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let answering = self.answer(method, path, body);
        let answer = tokio::time::timeout(PATIENCE, answering).await;
        let (status, body) = answer
            .context("it does not answer")
            .flatten()
            .with_context(|| format!("ask the server at {}", self.address))?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a command of the operator asks the server on the same machine"
    )]
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, self.address.to_string())
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.token.expose()),
            )
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(
                body.map(Value::to_string).unwrap_or_default(),
            )))
            .context("WATCHFIRE_TOKEN can't be sent in a header")?;
        // Takes the sender along: its end lets the connection end.
        let exchange = async move {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?;
            Ok((head.status, body.to_bytes()))
        };
        let (answer, _connection) = tokio::join!(exchange, connection);
        answer
    }
}

/// What the server says is wrong, in one line.
fn reason(answer: &Value) -> String {
    let fault = |fault: &Value| {
        let way = fault["loc"].as_array().into_iter().flatten();
        let way: Vec<&str> = way.skip(1).filter_map(Value::as_str).collect();
        format!(
            "{} {}",
            way.join("."),
            fault["msg"].as_str().unwrap_or_default()
        )
    };
    match &answer["detail"] {
        Value::String(detail) => detail.clone(),
        Value::Array(faults) => faults.iter().map(fault).collect::<Vec<_>>().join("; "),
        _ => "no reason given".to_owned(),
    }
}

/// The address in `http://127.0.0.1:8071`.
fn address(url: &str) -> Result<SocketAddr> {
    let rest = url
        .strip_prefix("http://")
        .context("expected a URL such as http://127.0.0.1:8071")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let address: SocketAddr = match rest.strip_prefix("localhost:") {
        Some(port) => (
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            port.parse::<u16>().context("the port is not a number")?,
        )
            .into(),
        None => rest
            .parse()
            .context("expected an address and a port, such as 127.0.0.1:8071")?,
    };
    ensure!(
        address.ip().is_loopback(),
        "the token would cross the network unencrypted; run the command on the server's machine, \
         or use the API over HTTPS"
    );
    Ok(address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_this_machine_is_asked() {
        for url in [
            "http://127.0.0.1:8071",
            "http://127.0.0.1:8071/",
            "http://localhost:8071",
        ] {
            let expect = "127.0.0.1:8071".parse().expect("an address");
            assert_eq!(address(url).expect("loopback"), expect, "{url}");
        }
        assert!(address("http://[::1]:1").is_ok());
        for url in [
            "https://127.0.0.1:8071",
            "127.0.0.1:8071",
            "http://127.0.0.1",
            "http://hooks.example.com:80",
            "http://192.0.2.1:80",
            "http://localhost:x",
            "http://127.0.0.1:8071/api",
        ] {
            assert!(address(url).is_err(), "{url}");
        }
    }

    #[test]
    fn refusals_name_their_fields() {
        let faults = json!({"detail": [
            {"loc": ["body", "scopes", "[0]"], "msg": "is odd"},
            {"loc": ["body", "name"], "msg": "is required"},
        ]});
        assert_eq!(reason(&faults), "scopes.[0] is odd; name is required");
        assert_eq!(reason(&json!({"detail": "Invalid token"})), "Invalid token");
        assert_eq!(reason(&Value::Null), "no reason given");
    }
}
