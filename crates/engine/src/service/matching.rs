//! Who a message matched, and why the others did not.
//!
//! A message keeps the list of endpoints it matched. Why another was not among them is not kept:
//! it is asked of the endpoint's settings of today, and the answer says where those may differ
//! from the ones of then.

use std::sync::Arc;

use watchfire_domain::filter::Mismatch;
use watchfire_store::StoredMessage;

use crate::{Endpoint, Snapshot};

/// An endpoint of the application, and what it has to do with a message.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub endpoint: Arc<Endpoint>,
    /// Whether it was among those the message matched when it was accepted.
    pub matched: bool,
    /// Whether it asks for the message today, or why not.
    pub today: Result<(), Mismatch>,
    /// How its settings of today relate to the message.
    pub settings: Settings,
}

/// How an endpoint's settings of today relate to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// The endpoint was created after the message was accepted.
    Younger,
    /// They were changed since, so they may have said something else then.
    ChangedSince,
    /// They are those of then.
    Same,
}

/// Says it of each live endpoint, in the order of their keys.
pub fn of(app: &Snapshot, stored: &StoredMessage) -> Vec<Verdict> {
    let message = &*stored.message;
    let endpoints = app.endpoints.iter();
    endpoints
        .map(|endpoint| {
            let identity = &endpoint.stored.endpoint.identity;
            let settings = if identity.created_at > message.accepted_at {
                Settings::Younger
            } else if identity.updated_at > message.accepted_at {
                Settings::ChangedSince
            } else {
                Settings::Same
            };
            let wanted = &endpoint.stored.endpoint.settings;
            Verdict {
                matched: stored.matched.binary_search(&endpoint.stored.key).is_ok(),
                today: wanted.wants(&message.event_type, &message.details),
                settings,
                endpoint: Arc::clone(endpoint),
            }
        })
        .collect()
}
