//! An engine with the embedded store in memory, a scripted transport, and simulated time.

mod configuration;
mod events;
mod receivers;
mod views;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use watchfire_contracts::Catalog as Contracts;
use watchfire_contracts::render::SignatureHeaders;
use watchfire_deliver::{Mailer, Policy, Transport};
use watchfire_domain::ambient::Clock;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Change, DeliveryStatus, NodeId, Retention, Retentions, Seq, ShardSet, Store,
};
use watchfire_store_sqlite::Sqlite;
use watchfire_testkit::{Samples, SeededEntropy};

use crate::{Bounds, Company, Config, Engine, Parts, Patience, Post, Validation, Vault, cluster};

pub(super) use self::receivers::{Behavior, Sent};
use self::receivers::{Scripted, Scripts};

pub(super) const PAYLOAD: &str = r#"{"n":0}"#;
/// The default schedule's attempts.
pub(super) const ATTEMPTS_MAX: usize = 8;
/// Simulated time after which a test gives up waiting.
const PATIENCE: Duration = Duration::from_hours(240);
const PATIENCE_AMONG_OTHERS: Duration = Duration::from_hours(3);
/// How long a test waits before it looks again: at first, and at most. Days must pass quickly.
const LOOK_FIRST: Duration = Duration::from_millis(20);
const LOOK_LAST: Duration = Duration::from_mins(10);
/// Among others, a node that is looked at rarely has done much meanwhile.
const LOOK_AMONG_OTHERS: Duration = Duration::from_millis(100);

/// Simulated time as a clock: it stands still while anything runs.
struct SimulatedClock {
    start: tokio::time::Instant,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000) + self.start.elapsed()
    }
}

/// What simulated time does while the store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    /// It stands still, so that instants are exact.
    Stands,
    /// It runs on, so that weeks pass quickly.
    Leaps,
}

/// What one engine has that others may not.
struct Setting {
    node: String,
    company: Company,
    scripts: Arc<Mutex<Scripts>>,
    post: Option<Arc<Post>>,
    time: Meanwhile,
}

impl Setting {
    fn new(node: &str, company: Company) -> Self {
        Self {
            node: node.to_owned(),
            company,
            scripts: Arc::default(),
            post: None,
            time: Meanwhile::Stands,
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

    /// Where weeks pass, and nothing depends on an instant.
    pub(super) async fn start_leaping() -> Self {
        let setting = Setting {
            time: Meanwhile::Leaps,
            ..Setting::new("test", Company::Alone)
        };
        Self::on_new_store(setting).await
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

    /// The first node on a new store.
    pub(super) async fn first(node: &str, company: Company) -> Self {
        Self::on_new_store(Setting::new(node, company)).await
    }

    async fn on_new_store(setting: Setting) -> Self {
        let store = match setting.time {
            Meanwhile::Stands => Sqlite::in_memory_holding_time(),
            Meanwhile::Leaps => Sqlite::in_memory(),
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
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
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
            retentions: Arc::new(Retentions::for_all(Retention {
                payloads: Duration::from_hours(90 * 24),
                messages: Duration::from_hours(90 * 24),
            })),
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
        let (patience, mut step, longest) = match self.engine.config().company {
            Company::Alone => (PATIENCE, LOOK_FIRST, LOOK_LAST),
            Company::Others(_) => (PATIENCE_AMONG_OTHERS, LOOK_AMONG_OTHERS, LOOK_AMONG_OTHERS),
        };
        let deadline = tokio::time::Instant::now() + patience;
        while !predicate().await {
            assert!(tokio::time::Instant::now() < deadline, "it never came true");
            tokio::time::sleep(step).await;
            step = (step + step / 4).min(longest);
        }
    }
}
