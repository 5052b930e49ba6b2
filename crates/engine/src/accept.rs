//! Accept: from an event to a row on disk, then into the lanes.
//!
//! Whatever waits when the last commit ends goes into the next one, so the busier the server, the
//! larger the commit; there is no timer. The caller is answered after the commit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use watchfire_contracts::schema::{Fault, FaultKind};
use watchfire_contracts::{Contract, payload};
use watchfire_domain::id::{EventType, MessageId, Uid};
use watchfire_domain::limit;
use watchfire_domain::message::{Details, Message, Recipients, Urgency};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    Appended, DeliveryRef, Elsewhere, EndpointKey, InTurn, Life, NewMessage, OwedReason,
    Remembered, Seq, Series, ShardSet, Standing, StoreError,
};

use crate::catalog::Snapshot;
use crate::dispatch::{Job, due_at};
use crate::event::Event;
use crate::inner::{Inner, Shared};
use crate::metrics::Commit;

/// An event to accept.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub id: MessageId,
    pub accepted_at: Timestamp,
    pub event_type: EventType,
    pub event_id: Option<Uid>,
    /// The bytes to keep and, in most contracts, to send.
    pub payload: Bytes,
    /// Overrides what the contract reads from the payload.
    pub record_key: Option<String>,
    /// Overrides what the contract reads from the payload.
    pub urgency: Option<Urgency>,
    pub details: Details,
    /// Stored with the message, so that a retried request finds its answer.
    pub remember: Option<Remembered>,
    pub audience: Audience,
}

/// Who a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every endpoint that subscribes to it.
    Subscribers,
    /// This endpoint alone, subscribed or not.
    Only(EndpointKey),
}

/// An event that is on disk.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub seq: Seq,
    pub message: Arc<Message>,
}

/// Why an event was not accepted. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("another message of the application has this event id")]
    EventIdTaken(MessageId),
    #[error("a request with the same idempotency key was answered before")]
    Repeated(Remembered),
    /// The payload breaks its event type's schema, and the server is strict about that.
    #[error("the payload breaks the schema of its event type")]
    Invalid(Vec<Fault>),
    #[error("accept: too many messages wait to be written")]
    Overloaded,
    #[error("accept: the server is stopping")]
    Stopping,
    /// Another node may be taking over from this one.
    #[error("accept: this node has lost touch with the database")]
    NoLease,
    /// The database does not answer. The message may be stored all the same.
    #[error("accept: the database does not answer")]
    Stalled,
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// How long a commit may take; see [`limit`] for the defaults and reasons.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After this, new messages are refused until the commit has ended.
    pub commit: Duration,
    /// After this, a message's producer is told to try again.
    pub accept: Duration,
}

impl Patience {
    /// Waits as long as it takes: where time is simulated, a commit takes any amount of it.
    pub const ENDLESS: Self = Self {
        commit: Duration::MAX,
        accept: Duration::MAX,
    };
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            commit: limit::COMMIT_STALL,
            accept: limit::ACCEPT_WAIT,
        }
    }
}

/// A message that waits for the next commit.
pub(crate) struct Waiting {
    new: NewMessage,
    snapshot: Arc<Snapshot>,
    answer: oneshot::Sender<Result<Accepted, AcceptError>>,
}

impl Inner {
    /// Accepts an event: on disk when it returns.
    ///
    /// If the caller's future is dropped after the message was queued, it is accepted all the same;
    /// so it may be after [`AcceptError::Stalled`].
    pub(crate) async fn accept(
        &self,
        snapshot: &Arc<Snapshot>,
        event: NewEvent,
    ) -> Result<Accepted, AcceptError> {
        if !self.has_lease() {
            return Err(AcceptError::NoLease);
        }
        if self.is_stalled() {
            return Err(AcceptError::Stalled);
        }
        let mut event = event;
        if !event.details.ping {
            self.read_payload(&snapshot.contract, &mut event)?;
        }
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            new: new_message(snapshot, event),
            snapshot: Arc::clone(snapshot),
            answer,
        };
        self.accepting
            .try_send(waiting)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AcceptError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => AcceptError::Stopping,
            })?;
        match tokio::time::timeout(self.config.patience.accept, answered).await {
            Ok(answer) => answer.unwrap_or(Err(AcceptError::Stopping)),
            Err(_) => Err(AcceptError::Stalled),
        }
    }
}

/// What becomes of payloads that break their event type's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// They are refused.
    Strict,
    /// They are accepted, and the faults are noted on the message. A value that an enumeration
    /// does not list is no fault: products add values.
    #[default]
    Warn,
    /// Nobody looks.
    Off,
}

impl Inner {
    /// Lets the contract look into the payload, where it has something to look for.
    fn read_payload(&self, contract: &Contract, event: &mut NewEvent) -> Result<(), AcceptError> {
        let name = event.event_type.as_str();
        let validates = self.config.validation != Validation::Off
            && (contract.event_type(name).is_some() || !contract.accepts(name));
        if !validates && !contract.reads_payload(name) {
            return Ok(());
        }
        // The API has checked that it is JSON.
        let payload = payload::read(&event.payload).unwrap_or_default();
        let facts = contract.facts(name, &payload);
        if validates {
            let faults = contract.validate(name, &payload);
            event.details.schema_faults = self.weigh(faults)?;
        }
        event.record_key = event.record_key.take().or(facts.record_key);
        event.urgency = Some(event.urgency.unwrap_or(facts.urgency));
        if event.details.recipients.is_none() && !facts.recipients.is_empty() {
            event.details.recipients = Some(Recipients {
                users: facts.recipients,
                shared: true,
            });
        }
        Ok(())
    }

    /// The faults to note on a message, or the refusal.
    fn weigh(&self, mut faults: Vec<Fault>) -> Result<Vec<String>, AcceptError> {
        if self.config.validation == Validation::Strict && !faults.is_empty() {
            return Err(AcceptError::Invalid(faults));
        }
        faults.retain(|fault| fault.kind != FaultKind::UnknownValue);
        if !faults.is_empty() {
            self.metrics.schema_faults.inc();
        }
        let noted = faults.iter().take(limit::SCHEMA_FAULTS_MAX);
        Ok(noted.map(ToString::to_string).collect())
    }
}

fn new_message(snapshot: &Snapshot, event: NewEvent) -> NewMessage {
    let matched = match event.audience {
        Audience::Only(endpoint) => vec![endpoint],
        Audience::Subscribers => {
            let wants = |endpoint: &&Arc<crate::endpoint::Endpoint>| {
                let settings = &endpoint.stored.endpoint.settings;
                settings.wants(&event.event_type, &event.details).is_ok()
            };
            let keys = snapshot.endpoints.iter().filter(wants);
            keys.map(|endpoint| endpoint.stored.key).collect()
        }
    };
    NewMessage {
        app: snapshot.stored.key,
        matched,
        remember: event.remember,
        elsewhere: Vec::new(),
        in_turn: Vec::new(),
        message: Arc::new(Message {
            id: event.id,
            accepted_at: event.accepted_at,
            event_type: event.event_type,
            event_id: event.event_id,
            record_key: event.record_key,
            urgency: event.urgency.unwrap_or_default(),
            payload: Some(event.payload),
            details: event.details,
        }),
    }
}

/// Commits what waits, over and over, until nobody can send any more.
pub(crate) async fn commit_loop(inner: Arc<Inner>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(limit::COMMIT_ROWS_MAX);
    loop {
        inner.recorder_has_room().await;
        if waiting.recv_many(&mut batch, limit::COMMIT_ROWS_MAX).await == 0 {
            return;
        }
        commit(&inner, &mut batch).await;
    }
}

async fn commit(inner: &Arc<Inner>, batch: &mut Vec<Waiting>) {
    let _appending = inner.appending.lock().await;
    let life = inner.divide(batch);
    let rows = batch.iter().map(|waiting| waiting.new.clone()).collect();
    let begun_at = inner.clock.now();
    let appended = watched(inner, inner.store.append(&life, rows)).await;
    match inner.mind(&life, appended) {
        Ok(appended) => {
            let took = inner.clock.now().since(begun_at);
            let rows = appended.len();
            inner.metrics.committed(Commit::Accept, rows, took);
            debug_assert_eq!(appended.len(), batch.len(), "one answer for each message");
            inner.admit(&life, batch.drain(..).zip(appended));
        }
        Err(error) => {
            inner.metrics.store_failed(&error);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "messages were not accepted"
            );
            let error = Arc::new(error);
            for waiting in batch.drain(..) {
                answer(waiting.answer, Err(AcceptError::Store(Arc::clone(&error))));
            }
        }
    }
    inner.committing.lock().clear();
}

/// Waits for a commit, and lets callers know if it hangs.
async fn watched<T>(inner: &Inner, commit: impl Future<Output = T>) -> T {
    let mut commit = std::pin::pin!(commit);
    if let Ok(ended) = tokio::time::timeout(inner.config.patience.commit, &mut commit).await {
        return ended;
    }
    tracing::warn!("the database does not answer: new messages are refused");
    inner.set_stalled(true);
    let ended = commit.await;
    inner.set_stalled(false);
    tracing::info!("the database has answered");
    ended
}

/// The caller may have gone; the message is accepted or refused all the same.
fn answer(to: oneshot::Sender<Result<Accepted, AcceptError>>, what: Result<Accepted, AcceptError>) {
    drop(to.send(what));
}

impl Inner {
    /// Says which deliveries are other nodes' and which must wait for their turn, if there can be
    /// other nodes. Returns the life under which that is so.
    fn divide(&self, batch: &mut [Waiting]) -> Arc<Life> {
        let (life, held) = {
            let shared = self.shared.lock();
            (Arc::clone(&shared.station.life), shared.station.held)
        };
        if self.rhythm().is_some() {
            let now = self.clock.now();
            let mut committing = self.committing.lock();
            for Waiting { new, snapshot, .. } in batch {
                divide(new, snapshot, held, now);
                let in_turn = new.in_turn.iter();
                committing.extend(in_turn.map(|turn| (turn.endpoint, turn.record)));
            }
        }
        life
    }

    /// Hands committed messages to the lanes and answers those who wait for them.
    fn admit(self: &Arc<Self>, life: &Life, committed: impl Iterator<Item = (Waiting, Appended)>) {
        let mut answers = Vec::new();
        {
            let mut shared = self.shared.lock();
            // Otherwise they are what a life left that has ended since.
            let is_own = *shared.station.life == *life;
            for (waiting, appended) in committed {
                let result = match appended {
                    Appended::At { seq, parked } => {
                        self.metrics.accepted.inc();
                        if is_own {
                            self.enqueue_fresh(&mut shared, &waiting, seq, &parked);
                        }
                        Ok(Accepted {
                            seq,
                            message: Arc::clone(&waiting.new.message),
                        })
                    }
                    Appended::EventIdTaken(id) => Err(AcceptError::EventIdTaken(id)),
                    Appended::Repeated(remembered) => Err(AcceptError::Repeated(remembered)),
                };
                answers.push((waiting, result));
            }
        }
        for (waiting, result) in answers {
            if let Ok(accepted) = &result {
                self.publish(|| Event::Accepted {
                    app: waiting.new.app,
                    seq: accepted.seq,
                    message: Arc::clone(&accepted.message),
                    matched: waiting.new.matched.len(),
                });
            }
            answer(waiting.answer, result);
        }
        self.pump();
    }

    fn enqueue_fresh(
        &self,
        shared: &mut Shared,
        waiting: &Waiting,
        seq: Seq,
        parked: &[EndpointKey],
    ) {
        let Waiting { new, snapshot, .. } = waiting;
        let now = self.clock.now();
        let owed = new.elsewhere.len() + parked.len();
        shared.fresh.add(seq, new.matched.len() - owed);
        for elsewhere in &new.elsewhere {
            // It may have become this node's meanwhile; then nobody else is told.
            if shared.station.makes(elsewhere.endpoint) {
                self.owed
                    .note(elsewhere.endpoint, new.app, Some(elsewhere.due_at));
            }
        }
        for key in parked {
            shared.dispatcher.owes(*key, new.app);
        }
        for &key in &new.matched {
            // Both are in the order of the matched.
            let elsewhere = new
                .elsewhere
                .binary_search_by_key(&key, |owed| owed.endpoint);
            if elsewhere.is_ok() || parked.binary_search(&key).is_ok() {
                continue;
            }
            let endpoint = snapshot.endpoint(key);
            let job = Job {
                delivery: DeliveryRef {
                    app: new.app,
                    endpoint: key,
                    seq,
                },
                standing: Standing::Fresh,
                claimed_until: None,
                message: Arc::clone(&new.message),
                series: Series::START,
                record: endpoint.and_then(|endpoint| endpoint.record_of(&new.message)),
            };
            let terms = endpoint.map(|endpoint| endpoint.terms(now, shared.station.held));
            self.push_fresh(shared, job, terms);
        }
    }
}

/// What of a message's deliveries other nodes are to make, and what must keep its record's order
/// behind those.
fn divide(new: &mut NewMessage, snapshot: &Snapshot, held: ShardSet, now: Timestamp) {
    let later = new.message.details.deliver_at.filter(|at| *at > now);
    for &key in &new.matched {
        let endpoint = snapshot.endpoint(key);
        let record = endpoint.and_then(|endpoint| endpoint.record_of(&new.message));
        if !held.has(key) {
            new.elsewhere.push(Elsewhere {
                endpoint: key,
                record,
                due_at: later.unwrap_or_else(|| due_at(&new.message, now)),
                reason: later.map_or(OwedReason::Spilled, |_| OwedReason::Scheduled),
            });
        } else if let (Some(record), None) = (record, later) {
            new.in_turn.push(InTurn {
                endpoint: key,
                record,
            });
        }
    }
}
