//! An immutable event accepted for an application.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{EventType, MessageId, Uid};
use crate::time::Timestamp;

/// A message as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub accepted_at: Timestamp,
    pub event_type: EventType,
    /// The caller's own id; unique per application while the message is kept.
    pub event_id: Option<Uid>,
    /// Which record the message is about: messages of one record stay in order.
    pub record_key: Option<String>,
    pub urgency: Urgency,
    /// The bytes as posted. `None` after they expired or were expunged.
    pub payload: Option<Bytes>,
    pub details: Details,
}

/// What few messages have, so that most rows stay small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Details {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Sent as the body in place of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_body: Option<RawBody>,
    /// Not delivered before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_at: Option<Timestamp>,
    /// The payload is removed then; after the default retention if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_expires_at: Option<Timestamp>,
    /// Faults the contract's schema found in a payload that was accepted all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema_faults: Vec<String>,
    /// Whose endpoints it is for, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Recipients>,
    /// It only asks an endpoint whether it works: sent once, past what health or settings would
    /// hold back, and without consequences for its health.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ping: bool,
}

impl Details {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The people a message is for. It matters to personal endpoints, which belong to one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipients {
    pub users: Vec<String>,
    /// Whether endpoints that belong to nobody get it as well.
    pub shared: bool,
}

impl Recipients {
    /// Whether it is for an endpoint of this owner.
    pub fn include(&self, owner: Option<&String>) -> bool {
        owner.map_or(self.shared, |owner| self.users.contains(owner))
    }
}

/// A body that is sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawBody {
    pub body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Which messages go first when an endpoint can't take all at once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    #[default]
    Ordinary,
    Urgent,
}

/// A number that stands for a record key where only equality matters. Two keys that share one
/// would only wait for each other.
///
/// FNV-1a: stored, so it must never change; spread well enough for keys, and nobody gains by
/// making their own records wait.
pub fn record_hash(key: &str) -> i64 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i64::from_ne_bytes(hash.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::record_hash;

    #[test]
    fn record_hashes_never_change() {
        // The published test vectors of FNV-1a.
        assert_eq!(record_hash("").cast_unsigned(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(record_hash("foobar").cast_unsigned(), 0x8594_4171_f739_67e8);
    }
}
