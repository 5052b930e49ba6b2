//! What people do about an endpoint's health: ask whether it works, switch it on, leave it alone.
//!
//! A ping is a delivery like any other: it is on disk before it is sent, passes the same address
//! policy, and stands in the history. Nothing here opens a connection; whoever needs the answer
//! waits for the recorded attempt, for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use watchfire_contracts::manifest::PingOn;
use watchfire_domain::attempt::Attempt;
use watchfire_domain::audit::Action;
use watchfire_domain::health::{Decision, Effect};
use watchfire_domain::id::{EndpointId, MessageId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::message::Message;
use watchfire_store::{
    AttemptFilter, Change, EndpointKey, EndpointRef, MessageRef, Order, Range, ShardSet,
};

use super::audit::{self, Deed};
use super::endpoints::{self, OpenEndpoint};
use super::{Error, Once, Result, UPDATE_TRIES_MAX, attempts, messages};
use crate::event::Event;
use crate::notices::{About, By};
use crate::{Endpoint, Engine, Snapshot};

/// Between two looks for the answer to a ping that another node makes.
const LOOK: Duration = Duration::from_millis(100);
/// What DefectDojo writes where a person gave no reason.
const DEACTIVATED: &str = "Deactivate from UI";

/// What came of an activation.
#[derive(Clone, Debug)]
pub struct Activation {
    /// As it is now.
    pub endpoint: OpenEndpoint,
    /// Whether it is sent to from now on.
    pub activated: bool,
    /// The question that came before, where the contract asks it.
    pub ping: Option<Ping>,
}

/// A ping and what is known about it.
#[derive(Clone, Debug)]
pub struct Ping {
    pub message: MessageId,
    /// Absent if nothing was recorded in time; the history will have it.
    pub attempt: Option<Attempt>,
}

impl Ping {
    fn succeeded(&self) -> bool {
        let attempt = self.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.outcome.is_accepted())
    }
}

/// An organization's endpoints that are not active, with their applications; at most so many. Looks
/// at [`limit::UNWELL_LOOKS_MAX`] endpoints of all organizations.
pub async fn unwell(
    engine: &Engine,
    org: &OrganizationId,
    most: usize,
) -> Result<Vec<(Arc<Snapshot>, Arc<Endpoint>)>> {
    let looks = limit::UNWELL_LOOKS_MAX;
    let store = engine.store();
    let all = store.endpoints_unwell(ShardSet::ALL, None, looks).await?;
    let mut found = Vec::new();
    for (key, app) in all {
        let Some(app) = engine.application_by_key(app).await? else {
            continue;
        };
        let endpoint = app.endpoint(key).filter(|_| app.stored.org == *org);
        let Some(endpoint) = endpoint.cloned() else {
            continue;
        };
        found.push((app, endpoint));
        if found.len() == most {
            break;
        }
    }
    Ok(found)
}

/// Asks an endpoint whether it works, whatever its health; the answer will be in the history.
pub async fn ping(
    engine: &Engine,
    app: &Arc<Snapshot>,
    reference: &EndpointRef,
    once: Option<Once>,
) -> Result<Arc<Message>> {
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    messages::ping(engine, app, endpoint, once).await
}

/// Switches an endpoint on and forgets its failures. Where the contract says so, it must answer a
/// ping first: it stays as it was if it does not, or not in time.
pub async fn activate(
    engine: &Engine,
    app: &Arc<Snapshot>,
    reference: &EndpointRef,
) -> Result<Activation> {
    let mut ping = None;
    if pings(app, PingOn::Activate) {
        let endpoint = attempts::endpoint_key(engine, app, reference).await?;
        let asked = ask(engine, app, endpoint).await?;
        if !asked.succeeded() {
            return Ok(Activation {
                endpoint: endpoints::find(engine, app, reference).await?,
                activated: false,
                ping: Some(asked),
            });
        }
        ping = Some(asked);
    }
    let endpoint = change(
        engine,
        app,
        reference,
        Action::EndpointActivated,
        |endpoint| {
            endpoint.stored.endpoint.settings.disabled = false;
            endpoint.stored.health.clone().activate()
        },
    )
    .await?;
    Ok(Activation {
        endpoint,
        activated: true,
        ping,
    })
}

/// Leaves an endpoint alone until somebody activates it.
pub async fn deactivate(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    note: Option<&str>,
) -> Result<OpenEndpoint> {
    let now = engine.clock().now();
    let note = note.unwrap_or(DEACTIVATED);
    change(
        engine,
        app,
        reference,
        Action::EndpointDeactivated,
        |endpoint| endpoint.stored.health.clone().deactivate(now, note),
    )
    .await
}

/// Pings an endpoint that was just saved, where the contract says so. The endpoint is there
/// whatever becomes of the ping.
pub(super) async fn ping_saved(engine: &Engine, app: &Snapshot, id: EndpointId, on: PingOn) {
    if !pings(app, on) {
        return;
    }
    if let Err(error) = ping_by_id(engine, app, id).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, endpoint.id = %id, "an endpoint was saved, but not pinged");
    }
}

async fn ping_by_id(engine: &Engine, app: &Snapshot, id: EndpointId) -> Result<()> {
    // The snapshot is older than the endpoint.
    let fresh = engine.application_by_key(app.stored.key).await?;
    let fresh = fresh.ok_or(Error::NotFound)?;
    let endpoint = attempts::endpoint_key(engine, &fresh, &EndpointRef::Id(id)).await?;
    messages::ping(engine, &fresh, endpoint, None).await?;
    Ok(())
}

fn pings(app: &Snapshot, on: PingOn) -> bool {
    let ping = app.contract.manifest().ping.as_ref();
    ping.is_some_and(|ping| ping.on.contains(&on))
}

/// Pings, and waits for what is recorded about it.
async fn ask(engine: &Engine, app: &Arc<Snapshot>, endpoint: EndpointKey) -> Result<Ping> {
    let mut events = engine.watch();
    let message = messages::ping(engine, app, endpoint, None).await?.id;
    let waiting = async {
        if engine.makes(endpoint) {
            told(&mut events, message).await
        } else {
            looked_up(engine, app, message).await
        }
    };
    let attempt = match tokio::time::timeout(limit::PING_WAIT, waiting).await {
        Ok(Some(attempt)) => Some(attempt),
        // Too slow for the events, or for the time: what is on disk decides.
        Ok(None) | Err(_) => recorded(engine, app, message).await?,
    };
    Ok(Ping { message, attempt })
}

/// The attempt of a message that another node makes: its events are not announced here.
async fn looked_up(engine: &Engine, app: &Snapshot, message: MessageId) -> Option<Attempt> {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some(attempt) = recorded(engine, app, message).await.ok()? {
            return Some(attempt);
        }
    }
}

/// The attempt of a message, as soon as it is announced; `None` if that may have been missed.
async fn told(events: &mut Receiver<Event>, message: MessageId) -> Option<Attempt> {
    loop {
        match events.recv().await {
            Ok(Event::Attempted(attempted)) if attempted.message.id == message => {
                return Some(attempted.attempt);
            }
            Ok(Event::Attempted(_) | Event::Accepted { .. } | Event::Health { .. }) => {}
            Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
        }
    }
}

async fn recorded(engine: &Engine, app: &Snapshot, message: MessageId) -> Result<Option<Attempt>> {
    let range = Range::from_start(Order::Descending, 1);
    let filter = AttemptFilter::default();
    let message = MessageRef::Id(message);
    let mut found = attempts::of_message(engine, app, &message, &filter, range).await?;
    Ok(found.pop().map(|view| view.stored.attempt))
}

/// What people are told about a change that one of them made.
fn notices_of(
    engine: &Engine,
    app: &Snapshot,
    key: EndpointKey,
    decision: &Decision,
) -> impl Iterator<Item = Change> + use<> {
    let told = app.endpoint(key).map(|endpoint| {
        let about = About {
            entropy: engine.entropy(),
            endpoint,
            now: engine.clock().now(),
            mail_gather: None,
        };
        about.health(&decision.next, &decision.notices, By::Person)
    });
    told.unwrap_or_default().into_iter().map(Change::Tell)
}

/// Reads, changes and writes an endpoint and its health.
async fn change(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    action: Action,
    decide: impl Fn(&mut OpenEndpoint) -> Decision,
) -> Result<OpenEndpoint> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut endpoint = endpoints::find(engine, app, reference).await?;
        let (key, before) = (endpoint.stored.key, endpoint.stored.endpoint.clone());
        let stood = audit::health(&endpoint, &endpoint.stored.health);
        let decision = decide(&mut endpoint);
        let id = endpoint.stored.endpoint.identity.id;
        let stands = audit::health(&endpoint, &decision.next);
        let mut changes = vec![Deed::within(app, action, &id).noted(engine, stood, stands)];
        if endpoint.stored.endpoint != before {
            endpoint.stored.endpoint.identity.updated_at = engine.clock().now();
            changes.push(endpoints::update(
                engine,
                key,
                endpoint.stored.revision,
                &endpoint,
            ));
        }
        if decision.effect == Effect::Changed {
            let health = decision.next.clone();
            changes.push(Change::SetHealth {
                key,
                health,
                revision: None,
            });
            changes.extend(notices_of(engine, app, key, &decision));
        }
        endpoint.stored.health = decision.next;
        match engine.apply(changes).await.map_err(Error::from) {
            Ok(()) => return Ok(endpoint),
            Err(Error::Contended) if tries < UPDATE_TRIES_MAX => {}
            Err(error) => return Err(error),
        }
    }
}
