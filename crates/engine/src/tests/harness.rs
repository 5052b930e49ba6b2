//! An engine with the embedded store in memory, a scripted transport, and simulated time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use watchfire_contracts::Catalog as Contracts;
use watchfire_contracts::render::SignatureHeaders;
use watchfire_deliver::{Answer, Failure, Mailer, Policy, Report, Request, Transport};
use watchfire_domain::ambient::{Clock, Entropy};
use watchfire_domain::attempt::{AfterAttempt, Attempt, Response, Settlement, Timing, Trigger};
use watchfire_domain::endpoint::{Identity, Secrets};
use watchfire_domain::filter::Subscription;
use watchfire_domain::health::Health;
use watchfire_domain::id::{ApplicationId, AttemptId, EndpointId, MessageId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::message::{Details, Message, Urgency};
use watchfire_domain::outcome::{Cause, Outcome};
use watchfire_domain::secret::SigningKey;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Appended, Application, ApplicationRef, ApplicationSettings, AttemptFilter,
    AttemptRecord, Beat, Change, DeliveryRef, DeliveryStatus, Endpoint, EndpointKey, EndpointRef,
    Life, Load, NewMessage, NodeId, Order, Range, Seq, Series, ShardSet, Standing, Store, Write,
};
use watchfire_store_sqlite::Sqlite;
use watchfire_testkit::{Samples, SeededEntropy};

use crate::cluster;
use crate::{
    AcceptError, Accepted, Audience, Bounds, Company, Config, Engine, NewEvent, Parts, Patience,
    Post, Validation, Vault,
};

pub(super) const PAYLOAD: &str = r#"{"n":0}"#;
/// The default schedule's attempts.
pub(super) const ATTEMPTS_MAX: usize = 8;
/// Simulated time after which a test gives up waiting.
const PATIENCE: Duration = Duration::from_hours(240);

/// The same where time does not leap.
const PATIENCE_AMONG_OTHERS: Duration = Duration::from_hours(3);

/// What a scripted endpoint does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behavior {
    Status(u16),
    Refuses,
    /// This server has no file left for a connection.
    Exhausts,
    Hangs,
    /// Accepts after so long.
    Slow(Duration),
}

/// A request the transport was given.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// The node that sent it.
    pub(super) by: String,
    pub(super) at: Timestamp,
    pub(super) id: MessageId,
    pub(super) number: u64,
    pub(super) record: Option<String>,
    pub(super) body: String,
}

#[derive(Default)]
struct Scripts {
    next: HashMap<String, VecDeque<Behavior>>,
    always: HashMap<String, Behavior>,
    /// Failures per hundred requests.
    random: HashMap<String, u8>,
    sent: Vec<(String, Sent)>,
}

/// A transport that does as it is told and remembers what it was given.
struct Scripted {
    node: String,
    clock: Arc<SimulatedClock>,
    scripts: Arc<Mutex<Scripts>>,
    entropy: SeededEntropy,
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: Request) -> Report {
        let path = request
            .target
            .url()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let behavior = self.note(&path, &request);
        let exchange = match behavior {
            Behavior::Status(status) => Ok(Answer {
                status,
                retry_after: None,
                response: Response::default(),
            }),
            Behavior::Refuses => Err(Failure::Unreachable {
                cause: Cause::ConnectionRefused,
            }),
            Behavior::Exhausts => Err(Failure::Exhausted),
            Behavior::Hangs => std::future::pending().await,
            Behavior::Slow(wait) => {
                tokio::time::sleep(wait).await;
                Ok(Answer {
                    status: 200,
                    retry_after: None,
                    response: Response::default(),
                })
            }
        };
        Report {
            exchange,
            address: None,
            timing: Timing::default(),
        }
    }
}

impl Scripted {
    fn note(&self, path: &str, request: &Request) -> Behavior {
        let id = request
            .headers
            .iter()
            .find(|(name, _)| name == "webhook-id");
        let id = id
            .and_then(|(_, value)| value.to_str().ok())
            .and_then(|id| id.parse().ok());
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        let sent = Sent {
            by: self.node.clone(),
            at: self.clock.now(),
            id: id.expect("every request has an id"),
            number: body["n"].as_u64().unwrap_or_default(),
            record: body["record"].as_str().map(str::to_owned),
            body: String::from_utf8(request.body.to_vec()).expect("text"),
        };
        let mut scripts = self.scripts.lock();
        scripts.sent.push((path.to_owned(), sent));
        if let Some(next) = scripts.next.get_mut(path).and_then(VecDeque::pop_front) {
            return next;
        }
        if let Some(percent) = scripts.random.get(path) {
            let fails = self.entropy.unit() * 100.0 < f64::from(*percent);
            return Behavior::Status(if fails { 500 } else { 200 });
        }
        scripts
            .always
            .get(path)
            .copied()
            .unwrap_or(Behavior::Status(200))
    }
}

/// Simulated time as a clock: it stands still while anything runs.
struct SimulatedClock {
    start: tokio::time::Instant,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000) + self.start.elapsed()
    }
}

/// What one engine has that others may not.
struct Setting {
    node: String,
    company: Company,
    scripts: Arc<Mutex<Scripts>>,
    post: Option<Arc<Post>>,
    /// The clock stands still while the store works.
    holds_time: bool,
}

impl Setting {
    fn new(node: &str, company: Company) -> Self {
        Self {
            node: node.to_owned(),
            company,
            scripts: Arc::default(),
            post: None,
            holds_time: false,
        }
    }

    /// With receivers that have forgotten everything.
    fn again(self) -> Self {
        Self {
            scripts: Arc::default(),
            ..self
        }
    }
}

/// A running engine and the means to look at it.
pub(super) struct Harness {
    pub(super) engine: Engine,
    clock: Arc<SimulatedClock>,
    setting: Setting,
    transport: Arc<Scripted>,
    pub(super) store: Arc<dyn Store>,
    samples: Samples,
    numbers: Arc<AtomicU64>,
}

impl Harness {
    pub(super) async fn start() -> Self {
        Self::first("test", Company::Alone).await
    }

    /// With somebody who is told by mail about all applications.
    pub(super) async fn start_mailing(mailer: Arc<dyn Mailer>) -> Self {
        let post = Post {
            mailer,
            to: vec!["operator@example.com".parse().expect("valid")],
            gather: limit::MAIL_GATHER,
            interval: limit::MAIL_INTERVAL,
        };
        let setting = Setting {
            post: Some(Arc::new(post)),
            ..Setting::new("test", Company::Alone)
        };
        Self::on_new_store(setting).await
    }

    /// With a clock that stands still while the store works: where a receiver hangs and what
    /// happens meanwhile matters.
    pub(super) async fn start_holding_time() -> Self {
        let setting = Setting {
            holds_time: true,
            ..Setting::new("test", Company::Alone)
        };
        Self::on_new_store(setting).await
    }

    /// The first node on a new store.
    pub(super) async fn first(node: &str, company: Company) -> Self {
        Self::on_new_store(Setting::new(node, company)).await
    }

    async fn on_new_store(setting: Setting) -> Self {
        // With several nodes the order of events matters; with one, days must pass quickly.
        let store = match setting.company {
            Company::Alone if !setting.holds_time => Sqlite::in_memory(),
            Company::Alone | Company::Others(_) => Sqlite::in_memory_holding_time(),
        };
        let store: Arc<dyn Store> = Arc::new(store.expect("opened"));
        let start = tokio::time::Instant::now();
        Self::on(store, Arc::new(SimulatedClock { start }), setting).await
    }

    /// Another node on the same store, with the same receivers.
    pub(super) async fn joined_by(&self, node: &str, company: Company) -> Self {
        let setting = Setting {
            scripts: Arc::clone(&self.transport.scripts),
            ..Setting::new(node, company)
        };
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let joined = Self::on(store, clock, setting).await;
        Self {
            numbers: Arc::clone(&self.numbers),
            ..joined
        }
    }

    async fn on(store: Arc<dyn Store>, clock: Arc<SimulatedClock>, setting: Setting) -> Self {
        let transport = Arc::new(Scripted {
            node: setting.node.clone(),
            clock: Arc::clone(&clock),
            scripts: Arc::clone(&setting.scripts),
            entropy: SeededEntropy::new(1),
        });
        // Each node draws its own chance.
        let seed = setting.node.bytes().map(u64::from).sum::<u64>() * 10;
        let parts = Parts {
            store: Arc::clone(&store),
            transport: Arc::clone(&transport) as Arc<dyn Transport>,
            policy: Arc::new(Policy::default()),
            contracts: Arc::new(Contracts::embedded()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(seed + 2)),
            vault: Arc::new(Vault::new(&[7; 32])),
            post: setting.post.clone(),
        };
        let config = Config {
            node: NodeId(setting.node.clone()),
            company: setting.company,
            bounds: Bounds::default(),
            patience: match setting.company {
                Company::Alone => Patience::ENDLESS,
                Company::Others(_) => Patience::default(),
            },
            default_contract: "standard".to_owned(),
            signature_headers: SignatureHeaders::Webhook,
            validation: Validation::Warn,
            payload_retention: Duration::from_hours(90 * 24),
            message_retention: Duration::from_hours(90 * 24),
        };
        Self {
            engine: Engine::start(parts, config).await.expect("started"),
            clock,
            setting,
            transport,
            store,
            samples: Samples::new(seed + 3),
            numbers: Arc::default(),
        }
    }

    /// Stops cleanly and starts again on the same store.
    pub(super) async fn restart(self) -> Self {
        self.engine.shut_down(Duration::from_millis(10)).await;
        Self::on(self.store, self.clock, self.setting.again()).await
    }

    /// Ends as if the process had died, and starts again on the same store.
    pub(super) async fn die_and_restart(self) -> Self {
        drop(self.engine);
        Self::on(self.store, self.clock, self.setting.again()).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Ends as if the process had died right after writing this, and starts again.
    pub(super) async fn die_after_writing(self, change: Change) -> Self {
        drop(self.engine);
        self.store.apply(vec![change]).await.expect("written");
        Self::on(self.store, self.clock, self.setting.again()).await
    }

    pub(super) async fn application(&self) -> AppKey {
        self.application_of("standard").await
    }

    /// One that follows a contract.
    pub(super) async fn application_of(&self, contract: &str) -> AppKey {
        let application = Application {
            id: ApplicationId::new(self.now(), &self.samples.entropy),
            uid: None,
            created_at: self.now(),
            updated_at: self.now(),
            settings: ApplicationSettings {
                name: "test".to_owned(),
                contract: Some(contract.to_owned()),
                ..ApplicationSettings::default()
            },
        };
        let reference = ApplicationRef::Id(application.id);
        let org: OrganizationId = "org_test".parse().expect("valid");
        let create = Change::CreateApplication {
            org: org.clone(),
            application,
        };
        self.engine.apply(vec![create]).await.expect("created");
        let stored = self
            .store
            .application(&org, &reference)
            .await
            .expect("read");
        stored.expect("it was created").key
    }

    pub(super) async fn endpoint(&self, app: AppKey, path: &str, types: &[&str]) -> EndpointKey {
        let types = types.iter().map(ToString::to_string).collect();
        self.create_endpoint(app, path, types, None).await
    }

    pub(super) async fn throttled_endpoint(
        &self,
        app: AppKey,
        path: &str,
        rate: u32,
    ) -> EndpointKey {
        self.create_endpoint(app, path, Vec::new(), Some(rate))
            .await
    }

    async fn create_endpoint(
        &self,
        app: AppKey,
        path: &str,
        event_types: Vec<String>,
        throttle_rate: Option<u32>,
    ) -> EndpointKey {
        let snapshot = self
            .engine
            .application_by_key(app)
            .await
            .expect("read")
            .expect("there");
        let id = EndpointId::new(self.now(), &self.samples.entropy);
        let mut settings = self
            .samples
            .settings(&format!("https://example.com/{path}"));
        settings.subscription = Subscription {
            event_types,
            channels: Vec::new(),
        };
        settings.throttle_rate = throttle_rate;
        let secrets = Secrets::with_key(SigningKey::generate(&self.samples.entropy));
        let endpoint = Endpoint {
            identity: Identity {
                id,
                uid: None,
                created_at: self.now(),
                updated_at: self.now(),
            },
            settings,
            sealed: self
                .engine
                .vault()
                .seal(id, &secrets, &self.samples.entropy),
        };
        let create = Change::CreateEndpoint {
            application: snapshot.stored.application.id,
            endpoint,
        };
        self.engine.apply(vec![create]).await.expect("created");
        let stored = self
            .store
            .endpoint(app, &EndpointRef::Id(id))
            .await
            .expect("read");
        stored.expect("it was created").key
    }

    /// Does these things first, then succeeds.
    pub(super) fn script(&self, path: &str, behaviors: impl IntoIterator<Item = Behavior>) {
        let mut scripts = self.transport.scripts.lock();
        scripts
            .next
            .entry(path.to_owned())
            .or_default()
            .extend(behaviors);
    }

    pub(super) fn always(&self, path: &str, behavior: Behavior) {
        self.transport
            .scripts
            .lock()
            .always
            .insert(path.to_owned(), behavior);
    }

    /// Fails so many of a hundred requests.
    pub(super) fn fail_at_random(&self, path: &str, percent: u8) {
        self.transport
            .scripts
            .lock()
            .random
            .insert(path.to_owned(), percent);
    }

    pub(super) fn sent_to(&self, path: &str) -> Vec<Sent> {
        let scripts = self.transport.scripts.lock();
        let sent = scripts.sent.iter().filter(|(to, _)| to == path);
        sent.map(|(_, sent)| sent.clone()).collect()
    }

    /// The paths requests went to and the numbers of their messages, in the order of sending.
    pub(super) fn sent_in_order(&self) -> Vec<(String, u64)> {
        let scripts = self.transport.scripts.lock();
        let sent = scripts.sent.iter();
        sent.map(|(path, sent)| (path.clone(), sent.number))
            .collect()
    }

    pub(super) async fn post(&self, app: AppKey, event_type: &str, record: Option<&str>) -> Seq {
        self.accept(app, event_type, record, Details::default())
            .await
    }

    pub(super) async fn post_at(&self, app: AppKey, at: Timestamp) -> Seq {
        let details = Details {
            deliver_at: Some(at),
            ..Details::default()
        };
        self.accept(app, "threat.created", None, details).await
    }

    async fn accept(
        &self,
        app: AppKey,
        event_type: &str,
        record: Option<&str>,
        details: Details,
    ) -> Seq {
        let accepted = self.try_to_accept(app, (event_type, record), details).await;
        accepted.expect("accepted").seq
    }

    pub(super) async fn try_to_accept(
        &self,
        app: AppKey,
        (event_type, record): (&str, Option<&str>),
        details: Details,
    ) -> Result<Accepted, AcceptError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let payload = match record {
            Some(record) => format!(r#"{{"n":{number},"record":"{record}"}}"#),
            None => format!(r#"{{"n":{number}}}"#),
        };
        let event = NewEvent {
            id: MessageId::new(self.now(), &self.samples.entropy),
            accepted_at: self.now(),
            event_type: event_type.parse().expect("valid"),
            event_id: None,
            payload: Bytes::from(payload),
            record_key: record.map(str::to_owned),
            urgency: None,
            details,
            remember: None,
            audience: Audience::Subscribers,
        };
        let snapshot = self
            .engine
            .application_by_key(app)
            .await
            .expect("read")
            .expect("there");
        self.engine.accept(&snapshot, event).await
    }

    /// The shards this node sends to.
    pub(super) fn held(&self) -> ShardSet {
        self.engine.inner().shared.lock().station.held
    }

    /// One beat of a node that does not beat by itself.
    pub(super) async fn keep_alive(&self) {
        let inner = self.engine.inner();
        cluster::beat(inner, inner.rhythm().expect("it is among others")).await;
    }

    /// One round of a node that does not keep house by itself.
    pub(super) async fn keep_house(&self) {
        let inner = self.engine.inner();
        let round = cluster::round(inner, inner.rhythm().expect("it is among others"));
        round.await.expect("kept");
    }

    /// Limits the application to so many requests a second.
    pub(super) async fn throttle_application(&self, app: AppKey, rate: u32) {
        let stored = self.store.application_by_key(app).await.expect("read");
        let stored = stored.expect("there");
        let mut application = stored.application;
        application.settings.throttle_rate = Some(rate);
        let update = Change::UpdateApplication {
            key: app,
            revision: stored.revision,
            application,
        };
        self.engine.apply(vec![update]).await.expect("updated");
    }

    /// A node that was there before.
    async fn earlier_life(&self) -> Life {
        let node = NodeId("before".to_owned());
        let beat = Beat {
            now: self.now(),
            lease: Duration::from_hours(1),
            version: String::new(),
            load: Load::default(),
        };
        self.store.join(&node, beat).await.expect("joined").life
    }

    /// Stores so many messages as if they had been accepted long ago, without sending them.
    pub(super) async fn store_old(
        &self,
        app: AppKey,
        to: &[EndpointKey],
        count: usize,
    ) -> Vec<Seq> {
        let message = |()| {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            NewMessage {
                app,
                message: Arc::new(Message {
                    id: MessageId::new(self.now(), &self.samples.entropy),
                    accepted_at: self.now(),
                    event_type: "threat.created".parse().expect("valid"),
                    event_id: None,
                    record_key: None,
                    urgency: Urgency::Ordinary,
                    payload: Some(Bytes::from(format!(r#"{{"n":{number}}}"#))),
                    details: Details::default(),
                }),
                matched: to.to_vec(),
                remember: None,
                elsewhere: Vec::new(),
                in_turn: Vec::new(),
            }
        };
        let batch = std::iter::repeat_n((), count).map(message).collect();
        let life = self.earlier_life().await;
        let appended = self.store.append(&life, batch).await.expect("stored");
        self.store.leave(&life).await.expect("left");
        let seq = |appended| match appended {
            Appended::At { seq, .. } => seq,
            Appended::EventIdTaken(_) | Appended::Repeated(_) => panic!("it is new"),
        };
        appended.into_iter().map(seq).collect()
    }

    /// Stores so many messages whose delivery to an endpoint was exhausted.
    pub(super) async fn store_failed(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        count: usize,
    ) -> Vec<Seq> {
        let seqs = self.store_old(app, &[endpoint], count).await;
        let attempt = Attempt {
            id: AttemptId::new(self.now(), &self.samples.entropy),
            attempted_at: self.now(),
            number: 1,
            trigger: Trigger::Scheduled,
            url: "https://example.com/".to_owned(),
            address: None,
            outcome: Outcome::Oversize,
            response: None,
            timing: Timing::default(),
            next: AfterAttempt::Settled {
                settlement: Settlement::Exhausted,
            },
        };
        let write = |seq: &Seq| {
            Write::Attempt(Arc::new(AttemptRecord {
                delivery: DeliveryRef {
                    app,
                    endpoint,
                    seq: *seq,
                },
                standing: Standing::Fresh,
                attempt: attempt.clone(),
                series: Series::START,
                urgency: Urgency::Ordinary,
                record: None,
                health: None,
                notices: Vec::new(),
                lag: None,
            }))
        };
        let writes = seqs.iter().map(write).collect();
        let life = self.earlier_life().await;
        let recorded = self.store.record(&life, self.now(), writes).await;
        recorded.expect("recorded");
        self.store.leave(&life).await.expect("left");
        seqs
    }

    /// Attempts of an endpoint, the oldest first.
    pub(super) async fn attempts(&self, endpoint: EndpointKey) -> Vec<Attempt> {
        let app = AppKey(1);
        let range = Range::from_start(Order::Ascending, 250);
        let filter = AttemptFilter::default();
        let stored = self
            .store
            .attempts_of_endpoint(app, endpoint, &filter, range)
            .await;
        let mut attempts: Vec<_> = stored
            .expect("read")
            .into_iter()
            .map(|stored| stored.attempt)
            .collect();
        attempts.sort_by_key(|attempt| attempt.attempted_at);
        attempts
    }

    pub(super) async fn status(
        &self,
        app: AppKey,
        seq: Seq,
        endpoint: EndpointKey,
    ) -> DeliveryStatus {
        let views = self.store.deliveries_of(app, seq).await.expect("read");
        let view = views.into_iter().find(|view| view.endpoint == endpoint);
        view.expect("the endpoint matched").status
    }

    pub(super) async fn health(&self, app: AppKey, endpoint: EndpointKey) -> Health {
        let endpoints = self.store.endpoints_of(app).await.expect("read");
        let stored = endpoints.into_iter().find(|stored| stored.key == endpoint);
        stored.expect("it exists").health
    }

    pub(super) async fn activate(&self, endpoint: EndpointKey) {
        let change = Change::SetHealth {
            key: endpoint,
            health: Health::default(),
            revision: None,
        };
        self.engine.apply(vec![change]).await.expect("applied");
    }

    pub(super) async fn switch_off(&self, app: AppKey, endpoint: EndpointKey) {
        let endpoints = self.store.endpoints_of(app).await.expect("read");
        let stored = endpoints
            .into_iter()
            .find(|stored| stored.key == endpoint)
            .expect("it exists");
        let mut changed = stored.endpoint;
        changed.settings.disabled = true;
        let change = Change::UpdateEndpoint {
            key: endpoint,
            revision: stored.revision,
            endpoint: changed,
        };
        self.engine.apply(vec![change]).await.expect("applied");
    }

    /// Waits until every delivery of a message has a final outcome.
    pub(super) async fn until_settled(&self, app: AppKey, seq: Seq) {
        let settled = async || {
            let views = self.store.deliveries_of(app, seq).await.expect("read");
            let open = [DeliveryStatus::Pending, DeliveryStatus::Sending];
            views.iter().all(|view| !open.contains(&view.status))
        };
        self.until(settled).await;
    }

    /// Waits for a predicate, while simulated time passes.
    pub(super) async fn until(&self, predicate: impl AsyncFn() -> bool) {
        let (patience, step) = match self.engine.config().company {
            Company::Alone => (PATIENCE, Duration::from_millis(20)),
            Company::Others(_) => (PATIENCE_AMONG_OTHERS, Duration::from_millis(100)),
        };
        let deadline = tokio::time::Instant::now() + patience;
        while !predicate().await {
            assert!(tokio::time::Instant::now() < deadline, "it never came true");
            tokio::time::sleep(step).await;
        }
    }
}
