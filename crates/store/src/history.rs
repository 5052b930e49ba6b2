//! Lists for people. All are keyset-paged on an index; none counts rows or skips them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use watchfire_domain::attempt::{Attempt, Trigger};
use watchfire_domain::id::{AttemptId, EndpointId, EventType, MessageId, Uid};
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::configuration::Range;
use crate::keys::{AppKey, EndpointKey, Seq};
use crate::ledger::{OwedReason, PING_DUE_AT, StoredMessage};

/// Lists for people.
#[async_trait]
pub trait History: Send + Sync {
    async fn message(
        &self,
        app: AppKey,
        reference: &MessageRef,
    ) -> StoreResult<Option<StoredMessage>>;

    /// Messages at these places, without their payloads and in any order. Those that are gone are
    /// left out.
    async fn messages_at(&self, app: AppKey, seqs: Vec<Seq>) -> StoreResult<Vec<StoredMessage>>;

    /// Messages of an application by id.
    async fn messages(
        &self,
        app: AppKey,
        filter: &MessageFilter,
        range: Range<MessageId>,
    ) -> StoreResult<Vec<StoredMessage>>;

    /// Attempts of an endpoint by id.
    async fn attempts_of_endpoint(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        filter: &AttemptFilter,
        range: Range<AttemptId>,
    ) -> StoreResult<Vec<StoredAttempt>>;

    /// Attempts of a message by id.
    async fn attempts_of_message(
        &self,
        app: AppKey,
        seq: Seq,
        filter: &AttemptFilter,
        range: Range<AttemptId>,
    ) -> StoreResult<Vec<StoredAttempt>>;

    async fn attempt(
        &self,
        app: AppKey,
        seq: Seq,
        id: AttemptId,
    ) -> StoreResult<Option<StoredAttempt>>;

    /// Where each of a message's deliveries stands, ascending by endpoint key. A delivery that is
    /// neither settled nor owed is fresh: [`DeliveryStatus::Sending`].
    async fn deliveries_of(&self, app: AppKey, seq: Seq) -> StoreResult<Vec<DeliveryView>>;

    /// Messages that went to an endpoint, or are owed to it, by id.
    async fn attempted_messages(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        filter: &AttemptFilter,
        range: Range<MessageId>,
    ) -> StoreResult<Vec<AttemptedMessage>>;

    /// Removes the payloads of messages; their attempts stay. Messages of others are passed over.
    async fn expunge_payloads(&self, app: AppKey, seqs: Vec<Seq>) -> StoreResult<()>;

    /// Removes what a receiver answered; the attempt stays. `false` if there is no such attempt.
    async fn expunge_response(&self, app: AppKey, seq: Seq, id: AttemptId) -> StoreResult<bool>;

    /// Counts of an endpoint's settled deliveries from roll-ups by the hour.
    ///
    /// Whole hours: those that `since` and `until` fall into count in full.
    async fn endpoint_counts(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        since: Timestamp,
        until: Timestamp,
    ) -> StoreResult<EndpointCounts>;
}

/// Names a message by our id or the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MessageRef {
    Id(MessageId),
    EventId(Uid),
}

/// Which messages to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Any of these; all if empty.
    pub event_types: Vec<EventType>,
    pub channel: Option<String>,
    pub tag: Option<String>,
    /// Leave the payloads out.
    pub without_payload: bool,
}

/// Which attempts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptFilter {
    /// Any of these; all if empty.
    pub event_types: Vec<EventType>,
    pub channel: Option<String>,
    pub tag: Option<String>,
    pub status: Option<DeliveryStatus>,
    /// Hundreds of the answer's status: 2 for 200 to 299. `Some(0)`: no answer came.
    pub status_class: Option<u8>,
    pub endpoint: Option<EndpointKey>,
    /// Leave the answers and payloads out.
    pub without_content: bool,
}

/// Where a delivery, or what an attempt led to, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Delivered; of an attempt: accepted.
    Delivered,
    /// Owed.
    Pending,
    /// Exhausted or skipped; of an attempt: not accepted.
    Failed,
    /// In memory or in flight.
    Sending,
    Cancelled,
}

/// An attempt and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttempt {
    pub seq: Seq,
    pub message_id: MessageId,
    pub event_type: EventType,
    pub endpoint: EndpointKey,
    /// Also of an endpoint that was deleted since.
    pub endpoint_id: EndpointId,
    pub attempt: Attempt,
}

/// Where one delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryView {
    pub endpoint: EndpointKey,
    pub status: DeliveryStatus,
    /// Set while it is owed.
    pub owed: Option<Owed>,
}

/// Why and until when a delivery is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    pub due_at: Option<Timestamp>,
    pub reason: OwedReason,
    pub trigger: Trigger,
    pub attempts: u32,
}

impl Owed {
    /// When it is tried, where it is not to be tried at once or after something else.
    pub fn next_at(self) -> Option<Timestamp> {
        self.due_at.filter(|at| *at > PING_DUE_AT)
    }
}

/// A message and where its delivery to one endpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptedMessage {
    pub stored: StoredMessage,
    pub status: DeliveryStatus,
    pub next_attempt_at: Option<Timestamp>,
}

/// Settled and owed deliveries of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointCounts {
    pub delivered: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Owed now.
    pub pending: u64,
}
