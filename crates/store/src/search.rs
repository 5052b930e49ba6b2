//! Deliveries by what is known about them, and all about one record.
//!
//! A search walks the index that leaves out most, newest first, and looks at a bounded number of
//! deliveries a time: it then says how far it came, and where to go on.

use async_trait::async_trait;
use watchfire_domain::attempt::{AfterAttempt, Attempt};
use watchfire_domain::id::{EventType, MessageId};
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::configuration::Range;
use crate::history::{DeliveryStatus, DeliveryView};
use crate::keys::{AppKey, EndpointKey, Seq};
use crate::ledger::StoredMessage;
use crate::selection::status_of_settlement;

/// Deliveries by what is known about them, and all about one record.
#[async_trait]
pub trait Search: Send + Sync {
    /// Deliveries of an application, the newest message first and its endpoints ascending by key.
    ///
    /// With an endpoint and no record, deliveries that were never attempted nor owed are left out:
    /// they are in memory for a moment only.
    async fn deliveries(
        &self,
        app: AppKey,
        filter: &DeliveryFilter,
        page: DeliveryPage,
    ) -> StoreResult<FoundDeliveries>;

    /// Messages about a record by their place, without their payloads.
    async fn messages_of_record(
        &self,
        app: AppKey,
        record_key: &str,
        range: Range<Seq>,
    ) -> StoreResult<Vec<StoredMessage>>;

    /// How a record stands at each of these endpoints that owes something about it, ascending by
    /// key: its earliest delivery that is owed, and how many wait with it. The record is named by
    /// [`watchfire_domain::message::record_hash`].
    async fn record_heads(
        &self,
        app: AppKey,
        record: i64,
        endpoints: Vec<EndpointKey>,
    ) -> StoreResult<Vec<RecordHead>>;
}

/// Which deliveries to find. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub status: Option<DeliveryStatus>,
    /// Hundreds of the last answer's status; `Some(0)`: there was an attempt and no answer came.
    pub status_class: Option<u8>,
    pub endpoint: Option<EndpointKey>,
    /// Any of these, by name or by a prefix that ends in `*`; all if empty.
    pub event_types: Vec<String>,
    pub record_key: Option<String>,
    /// Only messages accepted from then on.
    pub since: Option<Timestamp>,
    /// Only messages accepted before then.
    pub until: Option<Timestamp>,
    /// Somewhere in the payload; ASCII letters in either case.
    pub text: Option<String>,
}

impl DeliveryFilter {
    /// Whether an event type is asked for.
    pub fn wants_type(&self, event_type: &EventType) -> bool {
        let name = event_type.as_str();
        let mut named = self.event_types.iter();
        self.event_types.is_empty()
            || named.any(|pattern| watchfire_domain::filter::pattern_matches(pattern, name))
    }

    /// Whether a delivery that stands so is asked for.
    pub fn wants_standing(&self, view: &DeliveryView, last: Option<&Attempt>) -> bool {
        self.status.is_none_or(|status| status == view.status)
            && self
                .status_class
                .is_none_or(|class| class_of(last) == Some(class))
    }

    /// Whether the payload holds the text, if one is asked for.
    pub fn wants_payload(&self, payload: &[u8]) -> bool {
        let Some(text) = &self.text else {
            return true;
        };
        let Some(first) = text.bytes().next() else {
            return true;
        };
        let (low, high) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
        let mut rest = payload;
        while rest.len() >= text.len() {
            let begins = rest.iter().position(|byte| *byte == low || *byte == high);
            let Some(begins) = begins else { return false };
            rest = &rest[begins..];
            let found = rest.get(..text.len());
            if found.is_some_and(|found| found.eq_ignore_ascii_case(text.as_bytes())) {
                return true;
            }
            rest = &rest[1..];
        }
        false
    }
}

/// Hundreds of an answer's status, 0 without an answer; nothing without an attempt.
fn class_of(last: Option<&Attempt>) -> Option<u8> {
    let status = last?.outcome.status().unwrap_or(0);
    u8::try_from(status / 100).ok()
}

/// Where a delivery that is not owed stands after its last attempt: without a final one it is on
/// its way.
pub fn status_after(last: Option<&Attempt>) -> DeliveryStatus {
    match last.map(|attempt| attempt.next) {
        Some(AfterAttempt::Settled { settlement }) => status_of_settlement(settlement),
        Some(AfterAttempt::Retry { .. }) | None => DeliveryStatus::Sending,
    }
}

/// Which page of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPage {
    /// Where the last page ended.
    pub from: Option<DeliveryPlace>,
    pub limit: usize,
}

/// A place in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPlace {
    /// Deliveries of later messages are behind it.
    pub message: MessageId,
    /// So many of the message's own deliveries that the search considers are behind it as well.
    pub done: usize,
}

/// What a search found on one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundDeliveries {
    pub found: Vec<FoundDelivery>,
    /// Where to go on; `None` at the end.
    pub next: Option<DeliveryPlace>,
    /// Deliveries that were looked at.
    pub looked: usize,
}

/// A delivery, its message without the payload, and its last attempt without the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDelivery {
    pub stored: StoredMessage,
    pub view: DeliveryView,
    pub last_attempt: Option<Attempt>,
}

/// What of a record is owed to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// The earliest message that is owed.
    pub seq: Seq,
    pub message: MessageId,
    /// How its delivery stands.
    pub view: DeliveryView,
    /// Those owed behind it, up to [`watchfire_domain::limit::RECORD_WAITING_MAX`].
    pub waiting: usize,
}

#[cfg(test)]
mod tests {
    use super::DeliveryFilter;

    fn finds(payload: &str, text: &str) -> bool {
        let filter = DeliveryFilter {
            text: Some(text.to_owned()),
            ..DeliveryFilter::default()
        };
        filter.wants_payload(payload.as_bytes())
    }

    #[test]
    fn a_text_is_found_wherever_it_stands_and_in_either_case() {
        assert!(finds("abc", "abc"));
        assert!(finds("xxAbC", "abc"));
        assert!(finds("aaab", "AAB"));
        assert!(finds("été 1", "té 1"));
        assert!(finds("anything", ""));
    }

    #[test]
    fn a_text_that_is_not_there_is_not_found() {
        assert!(!finds("", "a"));
        assert!(!finds("ab", "abc"));
        assert!(!finds("ababab", "abc"));
        assert!(!finds("É", "é"));
    }
}
