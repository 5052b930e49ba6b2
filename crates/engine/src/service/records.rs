//! All about one record, in order: what was sent, what is on its way, what waits and behind what.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_domain::id::{EndpointId, MessageId};
use watchfire_domain::limit;
use watchfire_domain::message::record_hash;
use watchfire_store::{DeliveryView, EndpointKey, Range, RecordHead, Seq, StoredMessage};

use super::Result;
use super::check::Faults;
use super::messages;
use crate::{Engine, Snapshot};

/// A stretch of a record's messages, and what holds it up.
#[derive(Clone, Debug)]
pub struct Record {
    /// In the order asked for, without their payloads.
    pub messages: Vec<RecordMessage>,
    /// For each endpoint that owes something about the record: what comes next, and what waits
    /// behind it.
    pub heads: BTreeMap<EndpointId, RecordHead>,
}

/// A message about a record, and where its deliveries stand.
#[derive(Clone, Debug)]
pub struct RecordMessage {
    pub stored: StoredMessage,
    pub deliveries: BTreeMap<EndpointId, DeliveryView>,
}

/// Reads a stretch of a record by its messages' ids.
///
/// # Errors
///
/// [`super::Error::NotFound`] if the range begins at a message that is not there any more.
pub async fn read(
    engine: &Engine,
    app: &Snapshot,
    record_key: &str,
    range: Range<MessageId>,
) -> Result<Record> {
    let mut faults = Faults::default();
    faults.chars("recordKey", record_key, 1, limit::RECORD_KEY_CHARS_MAX);
    faults.finish()?;
    let (store, key) = (engine.store(), app.stored.key);
    let places = Range {
        after: place(engine, app, range.after).await?,
        before: place(engine, app, range.before).await?,
        order: range.order,
        limit: range.limit.min(limit::PAGE_ITEMS_MAX),
    };
    let stored = store.messages_of_record(key, record_key, places).await?;
    let mut views = Vec::with_capacity(stored.len());
    for message in &stored {
        views.push(store.deliveries_of(key, message.seq).await?);
    }
    let went_to = views.iter().flatten().map(|view| view.endpoint);
    let live = app.endpoints.iter().map(|endpoint| endpoint.stored.key);
    let keys: BTreeSet<EndpointKey> = went_to.chain(live).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let ids = store.endpoint_ids(key, keys.clone()).await?;
    let heads = store
        .record_heads(key, record_hash(record_key), keys)
        .await?;
    let named = |view: DeliveryView| Some((*ids.get(&view.endpoint)?, view));
    let messages = stored.into_iter().zip(views);
    Ok(Record {
        messages: messages
            .map(|(stored, views)| RecordMessage {
                stored,
                deliveries: views.into_iter().filter_map(named).collect(),
            })
            .collect(),
        heads: heads
            .into_iter()
            .filter_map(|head| Some((*ids.get(&head.view.endpoint)?, head)))
            .collect(),
    })
}

async fn place(engine: &Engine, app: &Snapshot, id: Option<MessageId>) -> Result<Option<Seq>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let reference = watchfire_store::MessageRef::Id(id);
    Ok(Some(messages::find(engine, app, &reference).await?.seq))
}
