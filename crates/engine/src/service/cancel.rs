//! Cancels a pending delivery: a person does not want it sent any more.

use std::sync::Arc;

use watchfire_domain::attempt::{Attempt, Settlement};
use watchfire_domain::audit::Action;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::outcome::SkipReason;
use watchfire_store::{
    AttemptRecord, DeliveryRef, DeliveryStatus, DeliveryView, EndpointRef, MessageRef, Recorded,
    Write,
};

use super::audit::{Deed, Seen};
use super::{Error, Result, UPDATE_TRIES_MAX, attempts, messages};
use crate::{Engine, Snapshot};

/// Settles a pending delivery as cancelled; the next of its record goes on. It can be resent.
///
/// # Errors
///
/// [`Error::NotFound`] if the message never went to the endpoint, [`Error::Ended`] if its delivery
/// is settled, [`Error::InFlight`] while it is being sent.
pub async fn delivery(
    engine: &Engine,
    app: &Snapshot,
    message: &MessageRef,
    reference: &EndpointRef,
) -> Result<()> {
    let message = messages::find(engine, app, message).await?;
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    let (id, app_key) = (message.message.id, app.stored.key);
    let delivery = DeliveryRef {
        app: app_key,
        endpoint,
        seq: message.seq,
    };
    engine.inner().release_message(endpoint, id).await;
    for _ in 0..UPDATE_TRIES_MAX {
        let views = engine.store().deliveries_of(app_key, message.seq).await?;
        let view = views.iter().find(|view| view.endpoint == endpoint);
        let view = view.ok_or(Error::NotFound)?;
        match view.status {
            DeliveryStatus::Pending => {}
            DeliveryStatus::Sending => return Err(Error::InFlight),
            DeliveryStatus::Delivered | DeliveryStatus::Failed | DeliveryStatus::Cancelled => {
                return Err(Error::Ended);
            }
        }
        let cancelled = AttemptRecord::by_hand(delivery, cancelled(engine, app, view));
        let cancel = Write::Cancel(Arc::new(cancelled));
        let settled = engine.inner().settle_by_hand((app_key, endpoint), cancel);
        if settled.await? == Recorded::Done {
            return note(engine, app, id).await;
        }
        // Settled or claimed at this moment: where does it stand now?
    }
    Err(Error::Contended)
}

/// What stands in the history instead of a request.
fn cancelled(engine: &Engine, app: &Snapshot, view: &DeliveryView) -> Attempt {
    let now = engine.clock().now();
    let url = app
        .endpoint(view.endpoint)
        .map(|endpoint| endpoint.stored.endpoint.settings.url.clone());
    Attempt {
        number: view.owed.map_or(0, |owed| owed.attempts) + 1,
        ..Attempt::settled_by_hand(
            (AttemptId::new(now, engine.entropy()), now),
            url.unwrap_or_default(),
            (SkipReason::Cancelled, Settlement::Cancelled),
        )
    }
}

async fn note(engine: &Engine, app: &Snapshot, message: MessageId) -> Result<()> {
    let deed = Deed::within(app, Action::DeliveryCancelled, &message);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    Ok(engine.apply(vec![noted]).await?)
}
