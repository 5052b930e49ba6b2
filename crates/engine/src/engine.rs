//! The engine's handle, its shared state and its loops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use watchfire_contracts::Catalog as Contracts;
use watchfire_contracts::render::SignatureHeaders;
use watchfire_deliver::{Policy, Transport, UrlFault};
use watchfire_domain::ambient::{Clock, Entropy};
use watchfire_domain::audit::{Actor, Author};
use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_store::{
    AppKey, ApplicationRef, ApplyError, Change, EndpointKey, Life, Members, NodeId, Retentions,
    Seq, Store, StoreError, StoreResult,
};

use crate::accept::{self, AcceptError, Accepted, NewEvent, Patience, Validation};
use crate::catalog::Snapshot;
use crate::cluster::Company;
use crate::dispatch::Bounds;
use crate::echo::Received;
use crate::event::Event;
use crate::identity::ClientAddress;
use crate::inner::Inner;
use crate::keyring::Keyring;
use crate::mail::Post;
use crate::metrics::Metrics;
use crate::revocations::Revocations;
use crate::vault::Vault;
use crate::{apply, cluster, jobs, mail, notices, owed, record, service, upkeep};

/// Whole seconds, as gauges have them.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// How long a stop waits for the store after the attempts have ended.
const WRITE_GRACE: Duration = Duration::from_secs(5);

/// What the engine is made of; the binary and the tests choose each part.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub transport: Arc<dyn Transport>,
    pub policy: Arc<Policy>,
    pub contracts: Arc<Contracts>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub vault: Arc<Vault>,
    /// How administrators are told by e-mail; `None` if they are not.
    pub post: Option<Arc<Post>>,
}

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: NodeId,
    /// Whom it shares its store with.
    pub company: Company,
    pub bounds: Bounds,
    pub patience: Patience,
    /// The contract of applications that name none.
    pub default_contract: String,
    pub signature_headers: SignatureHeaders,
    pub validation: Validation,
    pub retentions: Arc<Retentions>,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("read what the last run left")]
    Store(#[from] StoreError),
    #[error("no contract is named {0:?}; `watchfire contract list` shows them")]
    UnknownContract(String),
}

/// A handle to the running engine; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    tasks: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    /// On whose behalf its holder acts.
    actor: Arc<Actor>,
    /// From where whoever that is asked for it.
    address: Option<ClientAddress>,
}

impl Engine {
    /// Joins the store, takes up what the last run left and starts the loops.
    pub async fn start(parts: Parts, config: Config) -> Result<Self, StartError> {
        if parts.contracts.contract(&config.default_contract).is_none() {
            return Err(StartError::UnknownContract(config.default_contract));
        }
        let (accepting, accepted) = mpsc::channel(limit::ACCEPT_QUEUE_MAX);
        let (entries, written) = mpsc::unbounded_channel();
        let post = parts.post.clone();
        let inner = Arc::new(Inner::new(parts, config, accepting, entries));
        let mut tasks = JoinSet::new();
        tasks.spawn(record::record_loop(Arc::clone(&inner), written));
        let fresh = cluster::begin(&inner).await?;
        tracing::info!(fresh, node = %inner.config.node.0, "engine started");
        tasks.spawn(accept::commit_loop(Arc::clone(&inner), accepted));
        tasks.spawn(owed::due_loop(Arc::clone(&inner)));
        tasks.spawn(notices::tell_loop(Arc::clone(&inner)));
        if let Some(post) = post {
            tasks.spawn(mail::mail_loop(Arc::clone(&inner), post));
        }
        tasks.spawn(jobs::job_loop(Arc::clone(&inner)));
        tasks.spawn(upkeep::upkeep_loop(Arc::clone(&inner)));
        if let Some(rhythm) = inner.rhythm() {
            tasks.spawn(cluster::beat_loop(Arc::clone(&inner), rhythm));
            tasks.spawn(cluster::membership_loop(Arc::clone(&inner), rhythm));
            tasks.spawn(cluster::arrival_loop(Arc::clone(&inner)));
            tasks.spawn(cluster::change_loop(Arc::clone(&inner)));
        }
        inner.pump();
        let engine = Self {
            inner,
            tasks: Arc::new(tokio::sync::Mutex::new(tasks)),
            actor: Arc::default(),
            address: None,
        };
        if let Err(error) = service::event_types::follow_contracts(&engine).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "event types do not follow their contracts");
        }
        Ok(engine)
    }

    /// A handle to the same engine that acts for somebody, who asked for it from somewhere: the
    /// services note what is changed through it in their name.
    #[must_use]
    pub fn by(&self, actor: impl Into<Arc<Actor>>, address: Option<ClientAddress>) -> Self {
        Self {
            actor: actor.into(),
            address,
            ..self.clone()
        }
    }

    pub(crate) fn author(&self) -> Author {
        Author {
            actor: Actor::clone(&self.actor),
            address: self.address.map(|from| from.0),
        }
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    pub fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    pub fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy.as_ref()
    }

    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    pub fn contracts(&self) -> &Contracts {
        &self.inner.contracts
    }

    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// What happens from now on; a slow watcher misses events and is told so.
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.inner.watch()
    }

    /// What the built-in receiver got last at a URL that begins like this, the newest first.
    pub fn echoed(&self, url: &str) -> Vec<Received> {
        let echoed = self.inner.echoed.lock();
        let there = echoed
            .iter()
            .filter(|received| received.url.starts_with(url));
        there.cloned().collect()
    }

    /// The normalized form of an endpoint's URL, or why it is refused.
    pub fn check_url(&self, url: &str) -> Result<String, UrlFault> {
        self.inner
            .policy
            .check_url(url)
            .map(|target| target.url().to_owned())
    }

    /// Applies changes; this node sees them before it returns. Carried out whole even if the
    /// caller goes away.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<(), ApplyError> {
        apply::to_the_end(Arc::clone(&self.inner), changes).await
    }

    pub async fn application(
        &self,
        org: &OrganizationId,
        reference: &ApplicationRef,
    ) -> StoreResult<Option<Arc<Snapshot>>> {
        self.inner.catalog.by_ref(org, reference).await
    }

    pub(crate) fn revocations(&self) -> &Revocations {
        &self.inner.revocations
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    pub async fn application_by_key(&self, key: AppKey) -> StoreResult<Option<Arc<Snapshot>>> {
        self.inner.catalog.by_key(key).await
    }

    /// Accepts an event: on disk when it returns.
    pub async fn accept(
        &self,
        snapshot: &Arc<Snapshot>,
        event: NewEvent,
    ) -> Result<Accepted, AcceptError> {
        self.inner.accept(snapshot, event).await
    }

    /// Begins a new series of attempts of a message at an endpoint, due now.
    pub async fn resend(&self, app: AppKey, endpoint: EndpointKey, seq: Seq) -> StoreResult<()> {
        self.inner.resend(app, endpoint, seq).await
    }

    /// Everybody who shares the store, as the store knows them.
    pub async fn members(&self) -> StoreResult<Members> {
        self.inner.store.members().await
    }

    /// The life under which this node writes.
    pub fn life(&self) -> Arc<Life> {
        self.inner.life()
    }

    /// Whether this node may send: it has extended its lease in time, or needs none.
    pub fn has_lease(&self) -> bool {
        self.inner.has_lease()
    }

    /// Whether deliveries go on: outcomes are recorded, and the lease holds.
    pub fn makes_progress(&self) -> bool {
        self.inner.has_lease() && self.inner.records()
    }

    /// Whether this node makes an endpoint's deliveries.
    pub fn makes(&self, endpoint: EndpointKey) -> bool {
        self.inner.makes(endpoint)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Attempts in flight and deliveries queued in memory.
    pub fn in_memory(&self) -> (usize, usize) {
        let shared = self.inner.shared.lock();
        (shared.dispatcher.in_flight(), shared.dispatcher.queued())
    }

    /// Fills in the gauges of [`Engine::metrics`]: how things stand now.
    ///
    /// # Errors
    ///
    /// If the store can't say what is owed; all that this node knows by itself is filled in.
    pub async fn observe(&self) -> StoreResult<()> {
        let (inner, gauges) = (&self.inner, &self.inner.metrics.gauges);
        let now = inner.clock.now();
        let (in_flight, queued, lanes) = {
            let dispatcher = &inner.shared.lock().dispatcher;
            let (in_flight, queued) = (dispatcher.in_flight(), dispatcher.queued());
            (in_flight, queued, dispatcher.lanes())
        };
        for (gauge, count) in [
            (&gauges.in_flight, in_flight),
            (&gauges.queued, queued),
            (&gauges.lanes, lanes),
            (&gauges.recording, inner.recording()),
        ] {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        gauges.overdue_seconds.set(seconds(inner.owed.overdue(now)));
        let owed = inner.store.owed_by_all().await?;
        let oldest = owed.oldest.map(|(message, _)| message.ksuid().created_at());
        let age = oldest.map_or(Duration::ZERO, |at| now.since(at));
        gauges.oldest_owed_seconds.set(seconds(age));
        for (gauge, count) in [
            (&gauges.owed, owed.deliveries),
            (&gauges.owing_endpoints, owed.endpoints),
        ] {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Takes no more work, lets what runs finish for at most `grace`, hands back the rest and
    /// records everything. Messages that were accepted but not delivered stay owed.
    pub async fn shut_down(&self, grace: Duration) {
        self.inner.begin_stop();
        let finishing = async {
            cluster::hand_everything_over(&self.inner).await;
            self.inner.attempts_are_finished().await;
        };
        let finished = tokio::time::timeout(grace, finishing).await;
        if finished.is_err() {
            tracing::warn!(
                in_flight = self.in_memory().0,
                "attempts are interrupted; they do not count"
            );
        }
        self.inner.spill_everything();
        let written = tokio::time::timeout(WRITE_GRACE, self.inner.everything_is_recorded()).await;
        if written.is_ok() {
            upkeep::note_key_uses(&self.inner).await;
            upkeep::save_checkpoint(&self.inner).await;
            cluster::leave(&self.inner).await;
        } else {
            tracing::warn!("the store did not take the last outcomes; they will be made up for");
        }
        self.tasks.lock().await.shutdown().await;
    }
}
