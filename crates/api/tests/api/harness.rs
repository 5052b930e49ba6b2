//! A server without a socket, and a transcript of what was said to it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use watchfire_api::{ApiConfig, ApiState, DEFAULT_ORGANIZATION, RateLimits, Tokens};
use watchfire_contracts::Catalog;
use watchfire_contracts::render::SignatureHeaders;
use watchfire_domain::ambient::{Clock as _, Entropy};
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::secret::SecretText;
use watchfire_engine::identity::Grant;
use watchfire_engine::{Bounds, Company, Config, Engine, Parts, Patience, Validation, Vault};
use watchfire_store::{NodeId, Retention, Retentions};
use watchfire_store_sqlite::Sqlite;
use watchfire_testkit::{FakeClock, Receiver, Reply, Script, SeededEntropy};

pub(crate) const SECRET: &str = "a secret that signs tokens";
const PATIENCE: Duration = Duration::from_secs(20);

/// Ids that sort as they were drawn, since time stands still, and no jitter: a transcript does not
/// depend on who drew before.
#[derive(Default)]
struct Steady(AtomicU64);

impl Entropy for Steady {
    fn fill(&self, bytes: &mut [u8]) {
        let drawn = self.0.fetch_add(1, Ordering::Relaxed);
        for (byte, count) in bytes.iter_mut().zip(drawn.to_be_bytes()) {
            *byte = count;
        }
        if let Some((_, rest)) = bytes.split_at_mut_checked(size_of::<u64>()) {
            SeededEntropy::new(drawn).fill(rest);
        }
    }

    fn unit(&self) -> f64 {
        0.5
    }
}

/// A server without a socket.
pub(crate) struct Server {
    router: Router,
    pub(crate) clock: FakeClock,
    /// What endpoints answer.
    pub(crate) receiver: Receiver,
    token: String,
    transcript: String,
    /// Ids in the order they appeared.
    ids: Vec<String>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A text in the body.
    pub(crate) fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let text = json.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at {pointer} in {json}"))
            .to_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Script::always(Reply::status(200))).await
    }

    /// A server that refuses payloads which break their schema.
    pub(crate) async fn strict() -> Self {
        let script = Script::always(Reply::status(200));
        Self::made_of(script, Validation::Strict, RateLimits::default()).await
    }

    /// A server whose endpoints answer by a script.
    pub(crate) async fn with(script: Script) -> Self {
        Self::made_of(script, Validation::Warn, RateLimits::default()).await
    }

    /// A server that lets nobody ask too often.
    pub(crate) async fn limited(limits: RateLimits) -> Self {
        let script = Script::always(Reply::status(200));
        Self::made_of(script, Validation::Warn, limits).await
    }

    async fn made_of(script: Script, validation: Validation, rate_limits: RateLimits) -> Self {
        let clock = FakeClock::new();
        let receiver = Receiver::in_memory(script);
        let parts = Parts {
            store: Arc::new(Sqlite::in_memory().expect("opened")),
            transport: receiver.transport(),
            policy: Arc::default(),
            contracts: Arc::new(Catalog::embedded()),
            clock: Arc::new(clock.clone()),
            entropy: Arc::<Steady>::default(),
            vault: Arc::new(Vault::new(&[7; 32])),
            post: None,
        };
        let config = Config {
            node: NodeId("test".to_owned()),
            company: Company::Alone,
            bounds: Bounds::default(),
            patience: Patience::default(),
            default_contract: "standard".to_owned(),
            signature_headers: SignatureHeaders::Webhook,
            validation,
            retentions: Arc::new(Retentions::for_all(Retention {
                payloads: Duration::from_hours(90 * 24),
                messages: Duration::from_hours(90 * 24),
            })),
        };
        let engine = Engine::start(parts, config).await.expect("started");
        let state = ApiState::new(
            engine,
            ApiConfig {
                jwt_secret: SecretText::new(SECRET.into()),
                public_url: Some("https://hooks.example.com".into()),
                rate_limits,
            },
        );
        let token = tokens().for_organization(&organization(DEFAULT_ORGANIZATION), clock.now());
        Self {
            router: watchfire_api::router(&state),
            clock,
            receiver,
            token,
            transcript: String::new(),
            ids: Vec::new(),
        }
    }

    pub(crate) fn organization_token(&self, org: &str) -> String {
        tokens().for_organization(&organization(org), self.clock.now())
    }

    pub(crate) fn application_token(&self, app: &str, flags: &[&str]) -> String {
        let app: ApplicationId = app.parse().expect("an id");
        let flags = flags.iter().map(ToString::to_string).collect();
        let org = organization(DEFAULT_ORGANIZATION);
        let grant = Grant {
            feature_flags: flags,
            ..Grant::default()
        };
        tokens().for_application(&org, app, grant, self.clock.now())
    }

    /// Who speaks from now on.
    pub(crate) fn speak_as(&mut self, token: String) {
        self.token = token;
    }

    /// Sends any request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        read(response).await
    }

    /// Asks as the present speaker.
    pub(crate) async fn ask(&self, line: &str, body: &str) -> Answer {
        self.send(self.request(line, body)).await
    }

    /// A request such as `GET /app/x`; the path begins behind `/api/v1`.
    pub(crate) fn request(&self, line: &str, body: &str) -> Request<Body> {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Body::from(body.to_owned()))
            .expect("a request")
    }

    /// Asks, and writes question and answer into the transcript.
    pub(crate) async fn show(&mut self, line: &str, body: &str) -> Answer {
        let answer = self.ask(line, body).await;
        self.note(line, body, &answer);
        answer
    }

    pub(crate) fn note(&mut self, line: &str, body: &str, answer: &Answer) {
        let mut text = format!("### {line}\n");
        if !body.is_empty() {
            writeln!(text, "{body}").expect("a string");
        }
        writeln!(text, "=> {}", answer.status).expect("a string");
        for name in [
            "retry-after",
            "www-authenticate",
            "allow",
            "idempotent-replayed",
        ] {
            if let Some(value) = answer.headers.get(name) {
                writeln!(text, "{name}: {}", value.to_str().expect("text")).expect("a string");
            }
        }
        let body = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(json) => serde_json::to_string_pretty(&timeless(json)).expect("JSON"),
            Err(_) => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        writeln!(text, "{body}").expect("a string");
        let text = self.named(&text);
        self.transcript.push_str(&text);
    }

    /// What was said, with ids named by the order they appeared in.
    pub(crate) fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Replaces ids, secrets and tokens, which differ from run to run.
    fn named(&mut self, text: &str) -> String {
        const PREFIXES: [&str; 7] = ["app_", "ep_", "msg_", "atmpt_", "qtask_", "key_", "notice_"];
        let mut out = String::with_capacity(text.len());
        let mut word = String::new();
        for letter in text.chars().chain(['\n']) {
            if letter.is_ascii_alphanumeric() || letter == '_' {
                word.push(letter);
                continue;
            }
            let prefix = PREFIXES.iter().find(|prefix| word.starts_with(**prefix));
            match prefix {
                Some(prefix) if word.len() == prefix.len() + 27 => {
                    out.push_str(&self.number_of(prefix, &word));
                }
                None if word.starts_with("wfk_") => out.push_str("<an API key>"),
                _ => out.push_str(&word),
            }
            word.clear();
            out.push(letter);
        }
        out.pop();
        out
    }

    fn number_of(&mut self, prefix: &str, id: &str) -> String {
        if !self.ids.iter().any(|known| known == id) {
            self.ids.push(id.to_owned());
        }
        let alike = self.ids.iter().filter(|known| known.starts_with(prefix));
        let place = alike
            .clone()
            .position(|known| known == id)
            .unwrap_or_default();
        format!("<{prefix}{}>", place + 1)
    }

    /// An API key; its id and the key itself.
    pub(crate) async fn key(&self, body: &str) -> (String, String) {
        let answer = self.ask("POST /auth/key", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        (answer.text("/id"), answer.text("/key"))
    }

    /// An application; its id.
    pub(crate) async fn application(&self, body: &str) -> String {
        let answer = self.ask("POST /app", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.text("/id")
    }

    /// An endpoint of an application; its id.
    pub(crate) async fn endpoint(&self, app: &str, body: &str) -> String {
        let answer = self.ask(&format!("POST /app/{app}/endpoint"), body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.text("/id")
    }

    /// A message of an application; its id.
    pub(crate) async fn message(&self, app: &str, body: &str) -> String {
        let answer = self.ask(&format!("POST /app/{app}/msg"), body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.text("/id")
    }

    /// Asks until the answer is as expected.
    pub(crate) async fn until(&self, line: &str, expect: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let answer = self.ask(line, "").await.json();
                if expect(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("it came true in time")
    }

    /// Waits until so many attempts to deliver a message are recorded.
    pub(crate) async fn until_attempted(&self, app: &str, message: &str, attempts: usize) {
        let line = format!("GET /app/{app}/attempt/msg/{message}");
        let recorded = |answer: &Value| answer["data"].as_array().map(Vec::len) == Some(attempts);
        self.until(&line, recorded).await;
    }
}

/// JSON without measured times, which differ from run to run.
fn timeless(mut json: Value) -> Value {
    match &mut json {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                *member = if member.is_number() && name.ends_with("Ms") {
                    Value::from(0)
                } else {
                    timeless(member.take())
                };
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    json
}

async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("read").to_bytes().to_vec();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

pub(crate) fn tokens() -> Tokens {
    Tokens::new(&SecretText::new(SECRET.into()))
}

pub(crate) fn organization(name: &str) -> OrganizationId {
    name.parse().expect("a name")
}
