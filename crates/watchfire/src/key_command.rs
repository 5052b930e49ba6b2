//! `watchfire key`: makes, lists and revokes API keys of a running server.
//!
//! The data folder is locked while the server runs, so the command asks the server, over plain
//! HTTP and therefore on this machine only: the token must not cross a network unencrypted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use watchfire_domain::secret::SecretText;

use crate::cli::{KeyCommand, ServerArgs};
use crate::terminal;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A page of 250 keys, many times over.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Keys of a page of the list.
const PAGE: usize = 250;

pub(crate) async fn run(command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Create {
            server,
            name,
            scopes,
            app,
            expires,
        } => {
            let wanted = json!({
                "name": name, "scopes": scopes, "applicationId": app, "expiresAt": expires,
            });
            let server = Server::named(server)?;
            let made = server.ask(Method::POST, "", Some(&wanted)).await?;
            terminal::line(text(&made, "key"));
            terminal::note(format_args!(
                "The key {} is shown this once.",
                text(&made, "id")
            ));
        }
        KeyCommand::List { server } => list(&Server::named(server)?).await?,
        KeyCommand::Revoke { server, id } => {
            ensure!(is_id(&id), "{id:?} is not a key's id, such as key_…");
            let server = Server::named(server)?;
            server.ask(Method::DELETE, &format!("/{id}"), None).await?;
            terminal::line(format_args!("{id} is revoked."));
        }
    }
    Ok(())
}

fn is_id(text: &str) -> bool {
    text.parse::<watchfire_domain::id::KeyId>().is_ok()
}

async fn list(server: &Server) -> Result<()> {
    let mut query = format!("?limit={PAGE}");
    loop {
        let page = server.ask(Method::GET, &query, None).await?;
        let keys = page["data"].as_array().context("the answer has no list")?;
        for key in keys {
            terminal::line(row(key));
        }
        if page["done"] != Value::Bool(false) {
            return Ok(());
        }
        query = format!("?limit={PAGE}&iterator={}", text(&page, "iterator"));
    }
}

/// One key in one line, tabs between what a script may want.
fn row(key: &Value) -> String {
    let scopes: Vec<&str> = key["scopes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let or = |name, otherwise: &'static str| key[name].as_str().unwrap_or(otherwise).to_owned();
    [
        or("id", ""),
        or("applicationId", "all applications"),
        scopes.join(","),
        format!("expires {}", or("expiresAt", "never")),
        format!("used {}", or("lastUsedAt", "never")),
        or("name", ""),
    ]
    .join("\t")
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

/// A running server, and who asks it.
struct Server {
    address: SocketAddr,
    token: SecretText,
}

impl Server {
    fn named(args: ServerArgs) -> Result<Self> {
        Ok(Self {
            address: address(&args.server).with_context(|| format!("server {:?}", args.server))?,
            token: SecretText::new(args.token),
        })
    }

    async fn ask(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<Value> {
        let answering = self.answer(method, rest, body);
        let answer = tokio::time::timeout(PATIENCE, answering).await;
        let (status, body) = answer
            .context("it does not answer")
            .flatten()
            .with_context(|| format!("ask the server at {}", self.address))?;
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if !status.is_success() {
            bail!("the server answered {status}: {}", reason(&json));
        }
        Ok(json)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a command of the operator asks the server on the same machine"
    )]
    async fn answer(
        &self,
        method: Method,
        rest: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/auth/key{rest}"))
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
        format!("{} {}", way.join("."), text(fault, "msg"))
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
