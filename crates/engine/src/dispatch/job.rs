//! A delivery on its way through memory.

use std::sync::Arc;

use watchfire_domain::message::Message;
use watchfire_domain::time::Timestamp;
use watchfire_store::{DeliveryRef, PING_DUE_AT, Series, Standing};

/// A delivery on its way through memory.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) delivery: DeliveryRef,
    pub(crate) standing: Standing,
    /// When its claim ends, if it was claimed: then somebody else may claim it.
    pub(crate) claimed_until: Option<Timestamp>,
    pub(crate) message: Arc<Message>,
    pub(crate) series: Series,
    /// Hash of the record key, where this endpoint keeps the record's order.
    pub(crate) record: Option<i64>,
}

impl Job {
    pub(super) fn is_fresh(&self) -> bool {
        self.standing == Standing::Fresh
    }

    /// Whether it asks an endpoint if it works, and so passes a gate that its health has closed.
    pub(super) fn is_ping(&self) -> bool {
        self.message.details.ping
    }

    /// When it is due in `owed`, where others would be due at that time.
    pub(crate) fn due_at(&self, others: Timestamp) -> Timestamp {
        due_at(&self.message, others)
    }

    pub(super) fn payload_bytes(&self) -> usize {
        self.message.payload.as_ref().map_or(0, bytes::Bytes::len)
    }
}

/// When a message is due in `owed`, where others would be due at that time.
pub(crate) fn due_at(message: &Message, others: Timestamp) -> Timestamp {
    if message.details.ping {
        PING_DUE_AT
    } else {
        others
    }
}
