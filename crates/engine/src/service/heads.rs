//! What people do about a record that is stuck: skip the delivery that holds it up, or have it tried
//! at once.

use std::sync::Arc;

use watchfire_domain::attempt::{Attempt, Settlement};
use watchfire_domain::audit::Action;
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::limit;
use watchfire_domain::message::record_hash;
use watchfire_domain::outcome::SkipReason;
use watchfire_store::{
    AttemptRecord, DeliveryRef, DeliveryStatus, EndpointKey, EndpointRef, RecordHead, Recorded,
    Write,
};

use super::audit::{Deed, Seen};
use super::check::Faults;
use super::{Error, Result, UPDATE_TRIES_MAX, attempts};
use crate::{Engine, Snapshot};

/// Which delivery is meant: the first that is owed of a record.
#[derive(Clone, Debug)]
pub struct HeadInput {
    pub record_key: String,
    /// Only if it is this message: two people who press a button at once skip one message.
    pub message: Option<MessageId>,
}

impl HeadInput {
    fn check(&self) -> Result<()> {
        let mut faults = Faults::default();
        let max = limit::RECORD_KEY_CHARS_MAX;
        faults.chars("recordKey", &self.record_key, 1, max);
        faults.finish()
    }
}

/// Settles the first owed delivery of a record as skipped; the next goes on. It can be resent.
///
/// # Errors
///
/// [`Error::NotFound`] if nothing of the record is owed, [`Error::InFlight`] while it is being
/// sent, [`Error::Contended`] if it is another message than was named.
pub async fn skip(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    input: &HeadInput,
) -> Result<RecordHead> {
    input.check()?;
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    for _ in 0..UPDATE_TRIES_MAX {
        let head = find(engine, app, endpoint, input).await?;
        let skipped = AttemptRecord {
            record: Some(record_hash(&input.record_key)),
            ..AttemptRecord::by_hand(
                delivery(app, endpoint, &head),
                skipped(engine, app, endpoint, &head),
            )
        };
        let skip = Write::SkipHead(Arc::new(skipped));
        let settled = engine
            .inner()
            .settle_by_hand((app.stored.key, endpoint), skip);
        if settled.await? == Recorded::Done {
            note(engine, app, Action::RecordHeadSkipped, &head).await?;
            return Ok(head);
        }
        // Settled or claimed at this moment: what is first now?
    }
    Err(Error::Contended)
}

/// Makes the first owed delivery of a record due at once; its schedule goes on as before.
///
/// # Errors
///
/// As for [`skip`].
pub async fn retry(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    input: &HeadInput,
) -> Result<RecordHead> {
    input.check()?;
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    let head = find(engine, app, endpoint, input).await?;
    engine
        .inner()
        .hasten(delivery(app, endpoint, &head))
        .await?;
    note(engine, app, Action::RecordHeadRetried, &head).await?;
    Ok(head)
}

async fn find(
    engine: &Engine,
    app: &Snapshot,
    endpoint: EndpointKey,
    input: &HeadInput,
) -> Result<RecordHead> {
    let record = record_hash(&input.record_key);
    if engine.inner().release_record(endpoint, record).await {
        return Err(Error::InFlight);
    }
    let store = engine.store();
    let heads = store
        .record_heads(app.stored.key, record, vec![endpoint])
        .await?;
    let head = heads.into_iter().next().ok_or(Error::NotFound)?;
    if head.view.status == DeliveryStatus::Sending {
        return Err(Error::InFlight);
    }
    match input.message {
        Some(named) if named != head.message => Err(Error::Contended),
        Some(_) | None => Ok(head),
    }
}

fn delivery(app: &Snapshot, endpoint: EndpointKey, head: &RecordHead) -> DeliveryRef {
    DeliveryRef {
        app: app.stored.key,
        endpoint,
        seq: head.seq,
    }
}

/// What stands in the history instead of a request.
fn skipped(engine: &Engine, app: &Snapshot, endpoint: EndpointKey, head: &RecordHead) -> Attempt {
    let now = engine.clock().now();
    let owed = head.view.owed;
    let url = app
        .endpoint(endpoint)
        .map(|endpoint| endpoint.stored.endpoint.settings.url.clone());
    Attempt {
        number: owed.map_or(0, |owed| owed.attempts) + 1,
        ..Attempt::settled_by_hand(
            (AttemptId::new(now, engine.entropy()), now),
            url.unwrap_or_default(),
            (SkipReason::ByOperator, Settlement::Skipped),
        )
    }
}

async fn note(engine: &Engine, app: &Snapshot, action: Action, head: &RecordHead) -> Result<()> {
    let deed = Deed::within(app, action, &head.message);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    Ok(engine.apply(vec![noted]).await?)
}
