//! Attempts and deliveries: what became of messages.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_domain::audit::Action;
use watchfire_domain::id::{AttemptId, EndpointId, MessageId};
use watchfire_domain::message::Message;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AttemptFilter, AttemptedMessage, DeliveryView, EndpointCounts, EndpointKey, EndpointRef,
    MessageRef, Range, StoredAttempt, StoredEndpoint,
};

use super::audit::{Deed, Seen};
use super::endpoints::{self, OpenEndpoint};
use super::messages;
use super::once::done_once;
use super::{Error, Repeatable, Result};
use crate::{Engine, Snapshot};

/// An attempt with the id of the endpoint it went to.
#[derive(Clone, Debug)]
pub struct AttemptView {
    pub stored: StoredAttempt,
    pub endpoint: EndpointId,
    /// What the attempt was about, without its payload, if that was asked for.
    pub message: Option<Arc<Message>>,
}

/// A delivery and the endpoint it goes to.
#[derive(Clone, Debug)]
pub struct Destination {
    pub endpoint: OpenEndpoint,
    pub view: DeliveryView,
}

async fn endpoint_row(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
) -> Result<StoredEndpoint> {
    let stored = engine.store().endpoint(app.stored.key, reference).await?;
    stored.ok_or(Error::NotFound)
}

/// Attempts of one endpoint.
pub async fn of_endpoint(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    filter: &AttemptFilter,
    range: Range<AttemptId>,
) -> Result<Vec<AttemptView>> {
    let endpoint = endpoint_row(engine, app, reference).await?;
    let (app, key) = (app.stored.key, endpoint.key);
    let stored = engine
        .store()
        .attempts_of_endpoint(app, key, filter, range)
        .await?;
    let id = endpoint.endpoint.identity.id;
    Ok(stored
        .into_iter()
        .map(|stored| AttemptView {
            stored,
            endpoint: id,
            message: None,
        })
        .collect())
}

/// Adds the messages to attempts.
pub async fn with_messages(
    engine: &Engine,
    app: &Snapshot,
    mut attempts: Vec<AttemptView>,
) -> Result<Vec<AttemptView>> {
    let mut seqs: Vec<_> = attempts.iter().map(|view| view.stored.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let messages = engine.store().messages_at(app.stored.key, seqs).await?;
    let by_id: HashMap<_, _> = messages
        .into_iter()
        .map(|stored| (stored.message.id, stored.message))
        .collect();
    for view in &mut attempts {
        view.message = by_id.get(&view.stored.message_id).cloned();
    }
    Ok(attempts)
}

/// The key of an endpoint, for a filter.
pub async fn endpoint_key(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
) -> Result<EndpointKey> {
    Ok(endpoint_row(engine, app, reference).await?.key)
}

/// Attempts of one message.
pub async fn of_message(
    engine: &Engine,
    app: &Snapshot,
    message: &MessageRef,
    filter: &AttemptFilter,
    range: Range<AttemptId>,
) -> Result<Vec<AttemptView>> {
    let message = messages::find(engine, app, message).await?;
    let store = engine.store();
    let stored = store
        .attempts_of_message(app.stored.key, message.seq, filter, range)
        .await?;
    with_endpoint_ids(engine, app, stored).await
}

/// Attempts with the ids of their endpoints, which may have been deleted since.
async fn with_endpoint_ids(
    engine: &Engine,
    app: &Snapshot,
    stored: Vec<StoredAttempt>,
) -> Result<Vec<AttemptView>> {
    let keys = stored.iter().map(|stored| stored.endpoint).collect();
    let ids = engine.store().endpoint_ids(app.stored.key, keys).await?;
    let view = |stored: StoredAttempt| {
        let endpoint = *ids.get(&stored.endpoint)?;
        Some(AttemptView {
            stored,
            endpoint,
            message: None,
        })
    };
    Ok(stored.into_iter().filter_map(view).collect())
}

pub async fn find(
    engine: &Engine,
    app: &Snapshot,
    message: &MessageRef,
    id: AttemptId,
) -> Result<AttemptView> {
    let message = messages::find(engine, app, message).await?;
    let stored = engine
        .store()
        .attempt(app.stored.key, message.seq, id)
        .await?;
    let mut views = with_endpoint_ids(engine, app, stored.into_iter().collect()).await?;
    views.pop().ok_or(Error::NotFound)
}

/// Removes what a receiver answered; the attempt stays.
pub async fn expunge(
    engine: &Engine,
    app: &Snapshot,
    message: &MessageRef,
    id: AttemptId,
) -> Result<()> {
    let message = messages::find(engine, app, message).await?;
    let store = engine.store();
    if !store
        .expunge_response(app.stored.key, message.seq, id)
        .await?
    {
        return Err(Error::NotFound);
    }
    let deed = Deed::within(app, Action::AnswerRemoved, &id);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    Ok(engine.apply(vec![noted]).await?)
}

/// Where each of a message's deliveries stands, by endpoint id. Deleted endpoints are left out.
pub async fn destinations(
    engine: &Engine,
    app: &Snapshot,
    message: &MessageRef,
) -> Result<Vec<Destination>> {
    let message = messages::find(engine, app, message).await?;
    let views = engine
        .store()
        .deliveries_of(app.stored.key, message.seq)
        .await?;
    let mut destinations = Vec::with_capacity(views.len());
    for view in views {
        let endpoint = app
            .endpoints
            .iter()
            .find(|endpoint| endpoint.stored.key == view.endpoint);
        if let Some(endpoint) = endpoint {
            let endpoint = endpoints::open(engine, endpoint.stored.clone())?;
            destinations.push(Destination { endpoint, view });
        }
    }
    destinations.sort_unstable_by_key(|to| to.endpoint.stored.endpoint.identity.id);
    Ok(destinations)
}

/// Messages that went to an endpoint, or are owed to it.
pub async fn messages_to(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    filter: &AttemptFilter,
    range: Range<MessageId>,
) -> Result<Vec<AttemptedMessage>> {
    let endpoint = endpoint_row(engine, app, reference).await?;
    let store = engine.store();
    Ok(store
        .attempted_messages(app.stored.key, endpoint.key, filter, range)
        .await?)
}

/// Makes a new delivery of a message to an endpoint, due now.
///
/// # Errors
///
/// [`Error::PayloadGone`] if there is nothing left to send.
pub async fn resend(
    engine: &Engine,
    app: &Snapshot,
    message: &MessageRef,
    reference: &EndpointRef,
    repeatable: Option<Repeatable<'_, ()>>,
) -> Result<()> {
    done_once(engine, repeatable, async {
        let message = messages::find(engine, app, message).await?;
        let endpoint = endpoint_row(engine, app, reference).await?;
        if message.message.payload.is_none() {
            return Err(Error::PayloadGone);
        }
        Ok(engine
            .resend(app.stored.key, endpoint.key, message.seq)
            .await?)
    })
    .await
}

/// Counts of an endpoint's deliveries.
pub async fn counts(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    since: Timestamp,
    until: Timestamp,
) -> Result<EndpointCounts> {
    let endpoint = endpoint_row(engine, app, reference).await?;
    Ok(engine
        .store()
        .endpoint_counts(app.stored.key, endpoint.key, since, until)
        .await?)
}
