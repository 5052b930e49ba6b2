//! Deliveries across an application, found by what is known about them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use watchfire_domain::id::{EndpointId, InvalidId, MessageId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    DeliveryFilter, DeliveryPage, DeliveryPlace, DeliveryStatus, EndpointKey, EndpointRef,
    FoundDelivery,
};

use super::Result;
use super::attempts;
use super::check::Faults;
use crate::{Engine, Snapshot};

/// Which deliveries to find, as somebody typed it. All that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryQuery {
    pub status: Option<DeliveryStatus>,
    /// Hundreds of the last answer's status; 0 where none came.
    pub status_class: Option<u8>,
    pub endpoint: Option<EndpointRef>,
    /// Any of these names or prefixes that end in `*`.
    pub event_types: Vec<String>,
    pub record_key: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Somewhere in the payload.
    pub text: Option<String>,
}

/// A place in a search, as it stands in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(DeliveryPlace);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.message, self.0.done)
    }
}

/// A text that is no place in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    #[error(transparent)]
    Message(#[from] InvalidId),
    #[error("expected the id of a message, a dot and a number")]
    Number,
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let (message, done) = text.split_once('.').ok_or(InvalidPlace::Number)?;
        Ok(Self(DeliveryPlace {
            message: message.parse::<MessageId>()?,
            done: done.parse().map_err(|_| InvalidPlace::Number)?,
        }))
    }
}

/// One page of what was found.
#[derive(Clone, Debug)]
pub struct Deliveries {
    pub found: Vec<Delivery>,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
    /// How far back it has looked, if it is not at the end.
    pub searched_to: Option<Timestamp>,
    /// Deliveries that were looked at.
    pub looked: usize,
}

/// A delivery with the id of the endpoint it goes to, which may have been deleted since.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub delivery: FoundDelivery,
    pub endpoint: EndpointId,
}

/// Finds deliveries, the newest first.
///
/// It looks at a bounded number of deliveries a time; where it stops before the page is full, it
/// says how far back it came and where to go on.
pub async fn find(
    engine: &Engine,
    app: &Snapshot,
    query: DeliveryQuery,
    (from, items): (Option<Place>, usize),
) -> Result<Deliveries> {
    check(&query)?;
    let endpoint = match &query.endpoint {
        Some(reference) => Some(attempts::endpoint_key(engine, app, reference).await?),
        None => None,
    };
    let filter = DeliveryFilter {
        status: query.status,
        status_class: query.status_class,
        endpoint,
        event_types: query.event_types,
        record_key: query.record_key,
        since: query.since,
        until: query.until,
        text: query.text,
    };
    let page = DeliveryPage {
        from: from.map(|place| place.0),
        limit: items.min(limit::PAGE_ITEMS_MAX),
    };
    let store = engine.store();
    let page = store.deliveries(app.stored.key, &filter, page).await?;
    let ids = ids_of(engine, app, &page.found).await?;
    let named = |delivery: FoundDelivery| {
        let endpoint = *ids.get(&delivery.view.endpoint)?;
        Some(Delivery { delivery, endpoint })
    };
    Ok(Deliveries {
        found: page.found.into_iter().filter_map(named).collect(),
        searched_to: page.next.map(|next| next.message.ksuid().created_at()),
        next: page.next.map(Place),
        looked: page.looked,
    })
}

fn check(query: &DeliveryQuery) -> Result<()> {
    let mut faults = Faults::default();
    if let Some(text) = &query.text {
        faults.chars("text", text, 1, limit::SEARCH_TEXT_CHARS_MAX);
    }
    if let Some(record) = &query.record_key {
        faults.chars("recordKey", record, 1, limit::RECORD_KEY_CHARS_MAX);
    }
    if query.event_types.len() > limit::EVENT_TYPES_PER_ENDPOINT_MAX {
        let max = limit::EVENT_TYPES_PER_ENDPOINT_MAX;
        faults.add("eventTypes", format_args!("may have at most {max} items"));
    }
    if query.until.is_some_and(|until| Some(until) < query.since) {
        faults.add("until", "must not be before `since`");
    }
    faults.finish()
}

async fn ids_of(
    engine: &Engine,
    app: &Snapshot,
    found: &[FoundDelivery],
) -> Result<BTreeMap<EndpointKey, EndpointId>> {
    let keys = found.iter().map(|found| found.view.endpoint).collect();
    Ok(engine.store().endpoint_ids(app.stored.key, keys).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Place(DeliveryPlace {
            message: MessageId::from_ksuid(watchfire_domain::id::Ksuid::MAX),
            done: 17,
        });
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "17", "msg_x.1", &place.to_string().replace(".17", ".x")] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
