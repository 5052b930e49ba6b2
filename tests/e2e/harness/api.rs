//! A client of the API with nothing between the test and the wire: one request, one answer.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpStream;

/// Speaks to one server for one caller. Clones share their kept-alive connections.
#[derive(Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    token: Arc<str>,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body of an answer that has to have this status.
    pub(crate) fn expect(&self, status: u16) -> Value {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "unexpected answer: {body}");
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The connection broke before the answer was complete: whether the server acted is unknown.
#[derive(Debug)]
pub(crate) struct Broken;

impl Api {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        Self {
            address,
            token: token.into(),
            idle: Arc::default(),
        }
    }

    /// The same server, with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self::new(self.address, token)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.whole(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.whole(Method::POST, path, Some(body)).await
    }

    /// Posts a body as it is written, byte for byte.
    pub(crate) async fn post_text(&self, path: &str, body: String) -> Answer {
        let request = self
            .request(Method::POST, &format!("/api/v1{path}"))
            .header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(body)));
        let answer = self.send(request.expect("a valid request")).await;
        answer.unwrap_or_else(|Broken| panic!("the server broke off POST {path}"))
    }

    /// What a path outside the API answers, as text.
    pub(crate) async fn page(&self, path: &str) -> String {
        let request = self.request(Method::GET, path);
        let request = request.body(Full::default()).expect("a valid request");
        let answer = self.send(request).await;
        let answer = answer.unwrap_or_else(|Broken| panic!("the server broke off {path}"));
        String::from_utf8(answer.body.to_vec()).expect("text")
    }

    /// Sends a request as a browser might, without the token.
    pub(crate) async fn browse(
        &self,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        form: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let body = Full::new(Bytes::copy_from_slice(form.as_bytes()));
        let answer = self
            .send(request.body(body).expect("a valid request"))
            .await;
        answer.unwrap_or_else(|Broken| panic!("the server broke off {path}"))
    }

    async fn whole(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.exchange(method.clone(), path, body, None).await;
        answer.unwrap_or_else(|Broken| panic!("the server broke off {method} {path}"))
    }

    /// All items of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut iterator) = (Vec::new(), String::new());
        loop {
            let page = format!("{path}{separator}limit=250{iterator}");
            let mut page = self.get(&page).await.expect(200);
            items.append(page["data"].as_array_mut().expect("a list"));
            if page["done"] == true {
                return items;
            }
            let last = page["iterator"].as_str().expect("there is more");
            iterator = format!("&iterator={last}");
        }
    }

    /// Sends a request, under an idempotency key if there is one, and reads the answer. A
    /// connection that broke while it was idle is told from one that broke during the exchange:
    /// only the second is [`Broken`].
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, Broken> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let mut request = self
            .request(method, &format!("/api/v1{path}"))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request.body(Full::new(body)).expect("a valid request"))
            .await
    }

    fn request(&self, method: Method, uri: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {}", self.token))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let mut connection = self.connection().await?;
        let answer = connection.send_request(request).await;
        let (head, body) = answer.map_err(|_| Broken)?.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        self.idle.lock().push(connection);
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        loop {
            let Some(mut idle) = self.idle.lock().pop() else {
                return self.connect().await;
            };
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the client; there is no address policy to go round"
    )]
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        let socket = TcpStream::connect(self.address).await;
        let socket = TokioIo::new(socket.map_err(|_| Broken)?);
        let (sender, connection) = http1::handshake(socket).await.map_err(|_| Broken)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
