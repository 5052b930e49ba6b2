//! What the engine's loops share, and the few steps that more than one of them takes.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::time::Instant;
use watchfire_contracts::Catalog as Contracts;
use watchfire_deliver::{Policy, Transport};
use watchfire_domain::ambient::{Clock, Entropy};
use watchfire_domain::health::{Health, Notice};
use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, ChangeNumber, DeliveryRef, EndpointKey, Epoch, NewOwed, OwedReason, Seq, Series, Store,
    StoreResult, Write,
};

use crate::accept;
use crate::catalog::Catalog;
use crate::cluster::Station;
use crate::dispatch::{Dispatcher, FreshMarks, Job, LaneGate, Moving, Pace, Pushed, Terms};
use crate::echo::{Echo, Received};
use crate::endpoint::Endpoint;
use crate::engine::{Config, Parts};
use crate::event::Event;
use crate::health_watch::HealthWatch;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::owed::OwedIndex;
use crate::recipes::RecipeBook;
use crate::record::Entry;
use crate::revocations::Revocations;
use crate::send;
use crate::vault::Vault;

/// Events kept for a watcher that is slow; beyond that it is told how many it missed.
const WATCHED_EVENTS: usize = 1_024;
/// Attempts started under one lock.
const PUMP_BATCH: usize = 64;
/// Entries that may wait to be recorded before accepting pauses.
const RECORDING_MAX: usize = 16 * 1_024;

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transport: Arc<dyn Transport>,
    /// What the built-in receiver got last.
    pub(crate) echoed: Arc<Mutex<VecDeque<Received>>>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) contracts: Arc<Contracts>,
    pub(crate) catalog: Catalog,
    pub(crate) recipes: RecipeBook,
    pub(crate) keyring: Keyring,
    pub(crate) revocations: Revocations,
    pub(crate) owed: OwedIndex,
    pub(crate) health: HealthWatch,
    /// Something waits to be told.
    pub(crate) noticed: Notify,
    /// Something waits to be mailed.
    pub(crate) mail_wanted: Notify,
    /// How long notices are gathered for a mail; `None` if none are sent.
    pub(crate) mail_gather: Option<Duration>,
    pub(crate) metrics: Metrics,
    pub(crate) shared: Mutex<Shared>,
    pub(crate) accepting: mpsc::Sender<accept::Waiting>,
    entries: mpsc::UnboundedSender<(Epoch, Entry)>,
    /// Entries handed to the record loop and not yet on disk.
    recording: AtomicUsize,
    recorded: Notify,
    /// When something was recorded last, or nothing was to be.
    progressed_at: Mutex<Instant>,
    /// Somebody has created or resumed a background task.
    pub(crate) new_task: Notify,
    /// Held while messages are appended and put into the lanes. Whoever takes this and `claiming`
    /// takes that first.
    pub(crate) appending: tokio::sync::Mutex<()>,
    /// Records of own endpoints whose next message is on its way to disk.
    pub(crate) committing: Mutex<HashSet<(EndpointKey, i64)>>,
    /// Held while deliveries are claimed and put into the lanes.
    pub(crate) claiming: tokio::sync::Mutex<()>,
    /// A write was refused: this node's life has ended.
    pub(crate) fence_seen: Notify,
    /// How far the log of changes was followed.
    pub(crate) changes_seen: Mutex<ChangeNumber>,
    /// Another node may have changed something.
    pub(crate) changes_hinted: Notify,
    events: broadcast::Sender<Event>,
    stopping: AtomicBool,
    /// A commit hangs.
    stalled: AtomicBool,
}

/// What the loops share under one short lock.
pub(crate) struct Shared {
    pub(crate) station: Station,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) fresh: FreshMarks,
}

impl Inner {
    pub(crate) fn new(
        parts: Parts,
        config: Config,
        accepting: mpsc::Sender<accept::Waiting>,
        entries: mpsc::UnboundedSender<(Epoch, Entry)>,
    ) -> Self {
        let echo = Echo::around(parts.transport.clone(), parts.clock.clone());
        Self {
            catalog: Catalog::new(&parts, &config),
            recipes: RecipeBook::new(Arc::clone(&parts.store)),
            keyring: Keyring::new(Arc::clone(&parts.store)),
            revocations: Revocations::new(Arc::clone(&parts.store)),
            store: parts.store,
            echoed: echo.received(),
            transport: Arc::new(echo),
            policy: parts.policy,
            clock: parts.clock,
            entropy: parts.entropy,
            vault: parts.vault,
            contracts: parts.contracts,
            owed: OwedIndex::default(),
            health: HealthWatch::default(),
            noticed: Notify::new(),
            mail_wanted: Notify::new(),
            mail_gather: parts.post.as_ref().map(|post| post.gather),
            metrics: Metrics::default(),
            shared: Mutex::new(Shared {
                station: Station::none(config.node.clone()),
                dispatcher: Dispatcher::new(config.bounds),
                fresh: FreshMarks::above(Seq(0)),
            }),
            config,
            accepting,
            entries,
            recording: AtomicUsize::new(0),
            recorded: Notify::new(),
            progressed_at: Mutex::new(Instant::now()),
            new_task: Notify::new(),
            appending: tokio::sync::Mutex::default(),
            committing: Mutex::default(),
            claiming: tokio::sync::Mutex::default(),
            fence_seen: Notify::new(),
            changes_seen: Mutex::default(),
            changes_hinted: Notify::new(),
            events: broadcast::channel(WATCHED_EVENTS).0,
            stopping: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
        }
    }

    /// Starts what may be started.
    pub(crate) fn pump(self: &Arc<Self>) {
        if self.is_stopping() {
            return;
        }
        let mut jobs = Vec::new();
        loop {
            let epoch;
            {
                let now = self.clock.now();
                let mut shared = self.shared.lock();
                if !shared.station.may_start(Instant::now()) {
                    return;
                }
                epoch = shared.station.life.epoch;
                jobs.extend(std::iter::from_fn(|| shared.dispatcher.next(now)).take(PUMP_BATCH));
            }
            if jobs.is_empty() {
                return;
            }
            for job in jobs.drain(..) {
                drop(tokio::spawn(send::send(Arc::clone(self), job, epoch)));
            }
        }
    }

    /// The request of a job has ended: the endpoint may be sent the next.
    pub(crate) fn answered(self: &Arc<Self>, epoch: Epoch, endpoint: EndpointKey, pace: Pace) {
        {
            let mut shared = self.shared.lock();
            if shared.station.life.epoch == epoch {
                shared.dispatcher.answered(endpoint, pace);
            }
        }
        self.pump();
    }

    /// Hands something to the record loop, which drops it if the life it belongs to has ended.
    pub(crate) fn write(&self, epoch: Epoch, entry: Entry) {
        if self.recording.fetch_add(1, Ordering::AcqRel) == 0 {
            *self.progressed_at.lock() = Instant::now();
        }
        // After a stop nobody writes any more: what was interrupted is fresh or owed at the next
        // start.
        if self.entries.send((epoch, entry)).is_err() && !self.is_stopping() {
            tracing::error!("the record loop has ended; an outcome will be made up for");
        }
    }

    /// So many entries are on disk.
    pub(crate) fn written(&self, entries: usize) {
        self.recording.fetch_sub(entries, Ordering::AcqRel);
        *self.progressed_at.lock() = Instant::now();
        self.recorded.notify_waiters();
    }

    /// Whether what is to be recorded is recorded.
    pub(crate) fn records(&self) -> bool {
        self.recording.load(Ordering::Acquire) == 0
            || self.progressed_at.lock().elapsed() < limit::STALLED_AFTER
    }

    /// Waits while so much is to be recorded that nothing more should be accepted.
    pub(crate) async fn recorder_has_room(&self) {
        self.recording_at_most(RECORDING_MAX).await;
    }

    /// Entries that wait to be recorded.
    pub(crate) fn recording(&self) -> usize {
        self.recording.load(Ordering::Acquire)
    }

    pub(crate) async fn everything_is_recorded(&self) {
        self.recording_at_most(0).await;
    }

    /// Waits until what was handed to the record loop before is on disk, or dropped.
    pub(crate) async fn everything_so_far_is_recorded(&self) {
        let (reached, mark) = oneshot::channel();
        let epoch = self.shared.lock().station.life.epoch;
        self.write(epoch, Entry::Mark(reached));
        // An error means the same: the loop has passed it, or has ended.
        drop(mark.await);
    }

    /// Ends when something more is on disk.
    pub(crate) fn something_is_recorded(&self) -> Notified<'_> {
        self.recorded.notified()
    }

    async fn recording_at_most(&self, entries: usize) {
        loop {
            let written = self.recorded.notified();
            if self.recording.load(Ordering::Acquire) <= entries {
                return;
            }
            written.await;
        }
    }

    /// Waits until no attempt is in flight.
    pub(crate) async fn attempts_are_finished(&self) {
        loop {
            let written = self.recorded.notified();
            if self.shared.lock().dispatcher.in_flight() == 0 {
                return;
            }
            written.await;
        }
    }

    pub(crate) fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether a commit hangs, so that nothing can be accepted.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Release);
    }

    /// Tells whoever watches, if anybody does.
    pub(crate) fn publish(&self, event: impl FnOnce() -> Event) {
        if self.events.receiver_count() > 0 {
            drop(self.events.send(event()));
        }
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Puts a fresh job into its lane, or has it written to `owed`.
    pub(crate) fn push_fresh(&self, shared: &mut Shared, job: Job, terms: Option<Terms>) {
        let now = self.clock.now();
        let later = job.message.details.deliver_at.filter(|at| *at > now);
        if let Some(due_at) = later {
            self.spill(shared, job, OwedReason::Scheduled, due_at);
            return;
        }
        if !shared.station.makes(job.delivery.endpoint) {
            self.spill(shared, job, OwedReason::Spilled, now);
            return;
        }
        match shared.dispatcher.push(job, terms.unwrap_or_default()) {
            Pushed::Queued => {}
            Pushed::Spill(job, reason) => self.spill(shared, job, reason, now),
        }
    }

    /// Puts a claimed job into its lane.
    pub(crate) fn push_leased(&self, shared: &mut Shared, job: Job, terms: Option<Terms>) {
        let now = self.clock.now();
        if !shared.station.makes(job.delivery.endpoint) {
            self.spill(shared, job, OwedReason::Spilled, now);
            return;
        }
        match shared.dispatcher.push(job, terms.unwrap_or_default()) {
            Pushed::Queued => {}
            Pushed::Spill(job, reason) => self.spill(shared, job, reason, now),
        }
    }

    pub(crate) fn spill(
        &self,
        shared: &mut Shared,
        job: Job,
        reason: OwedReason,
        due_at: Timestamp,
    ) {
        // From now on a later message of the same record must not overtake it.
        shared
            .dispatcher
            .begin_move(job.delivery.endpoint, job.delivery.app, Moving::of(&job));
        let entry = Entry::Spill {
            due_at: job.due_at(due_at),
            job,
            reason,
        };
        self.write(shared.station.life.epoch, entry);
    }

    /// Has everything that is queued written to `owed`.
    pub(crate) fn spill_everything(&self) {
        let now = self.clock.now();
        let mut shared = self.shared.lock();
        for job in shared.dispatcher.take_all_queued() {
            self.spill(&mut shared, job, OwedReason::Spilled, now);
        }
    }

    /// Has messages that hold back the checkpoint written to `owed`.
    pub(crate) fn spill_below(&self, seq: Seq) {
        let now = self.clock.now();
        let mut shared = self.shared.lock();
        for job in shared.dispatcher.take_fresh_below(seq) {
            self.spill(&mut shared, job, OwedReason::Spilled, now);
        }
    }

    /// Has what is queued for an endpoint written to `owed`, if a message of the span is among it.
    /// Returns whether one was.
    pub(crate) fn spill_queued(&self, key: EndpointKey, span: &Range<MessageId>) -> bool {
        let now = self.clock.now();
        let mut shared = self.shared.lock();
        let holds = shared
            .dispatcher
            .queues_any_of(key, |id| span.contains(&id));
        if holds {
            for job in shared.dispatcher.take_queued(key) {
                self.spill(&mut shared, job, OwedReason::Spilled, now);
            }
        }
        holds
    }

    /// An endpoint's health has changed, on disk: people may want to know.
    pub(crate) fn announce(&self, endpoint: &Endpoint, health: &Health, notices: Vec<Notice>) {
        let id = endpoint.stored.endpoint.identity.id;
        for notice in notices {
            tracing::info!(endpoint.id = %id, health = health.state_name(), ?notice, "health changed");
            self.publish(|| Event::Health {
                app: endpoint.stored.app,
                endpoint: endpoint.stored.key,
                endpoint_id: id,
                health: health.clone(),
                notice,
            });
        }
    }

    /// An endpoint's health was recorded: open or close its lane.
    pub(crate) fn adopt_health(&self, shared: &mut Shared, endpoint: &Endpoint, health: &Health) {
        endpoint.adopt_health(health.clone());
        let now = self.clock.now();
        self.health.follow(endpoint, now);
        let gate = endpoint.gate(now);
        self.set_gate(shared, endpoint.stored.key, endpoint.stored.app, gate);
    }

    /// An endpoint's settings or health were changed: its lane follows, and what it owes is looked
    /// at again.
    pub(crate) async fn endpoint_changed(&self, key: EndpointKey) {
        let app = self.shared.lock().dispatcher.app_of(key);
        if let Some(app) = app {
            self.endpoint_changed_in(app, key).await;
        }
    }

    /// The same for an endpoint that this node may not have sent to yet.
    pub(crate) async fn endpoint_changed_in(&self, app: AppKey, key: EndpointKey) {
        let Ok(endpoint) = self.catalog.endpoint(app, key).await else {
            return;
        };
        self.health.look_at(key, app);
        // The lane of a deleted endpoint stays open, so that what it owes is settled as cancelled.
        let gate = endpoint.map_or(LaneGate::Open, |endpoint| endpoint.gate(self.clock.now()));
        let mut shared = self.shared.lock();
        self.set_gate(&mut shared, key, app, gate);
        drop(shared);
        self.owed.note(key, app, Some(Timestamp::EPOCH));
    }

    fn set_gate(&self, shared: &mut Shared, key: EndpointKey, app: AppKey, gate: LaneGate) {
        shared.dispatcher.set_gate(key, app, gate);
        if gate == LaneGate::Closed {
            let now = self.clock.now();
            for job in shared.dispatcher.take_queued(key) {
                self.spill(shared, job, OwedReason::Held, now);
            }
        }
    }

    /// Does a write that makes something of an endpoint owed, so that nothing overtakes that
    /// meanwhile.
    pub(crate) async fn move_into_owed<T>(
        &self,
        (endpoint, app): (EndpointKey, AppKey),
        moving: Moving,
        write: impl Future<Output = T>,
    ) -> T {
        {
            let mut shared = self.shared.lock();
            if shared.station.makes(endpoint) || shared.dispatcher.app_of(endpoint).is_some() {
                shared.dispatcher.begin_move(endpoint, app, moving);
            }
        }
        let done = write.await;
        self.shared.lock().dispatcher.end_move(endpoint, moving);
        done
    }

    /// Begins a new series of attempts, due now.
    pub(crate) async fn resend(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        seq: Seq,
    ) -> StoreResult<()> {
        let now = self.clock.now();
        let delivery = DeliveryRef { app, endpoint, seq };
        let owed = NewOwed {
            delivery,
            due_at: Some(now),
            reason: OwedReason::Requested,
            series: Series {
                trigger: watchfire_domain::attempt::Trigger::Manual,
                ..Series::START
            },
            urgency: watchfire_domain::message::Urgency::Urgent,
            record: None,
        };
        let life = self.life();
        let write = self.store.record(&life, now, vec![Write::Spill(owed)]);
        let recorded = self
            .move_into_owed((endpoint, app), Moving::Unkeyed, write)
            .await;
        self.mind(&life, recorded)?;
        // If it is another node's, the store has told that one.
        self.owed.note(endpoint, app, Some(now));
        Ok(())
    }
}
