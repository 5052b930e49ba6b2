//! Messages, attempts and what is owed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use watchfire_domain::attempt::{Attempt, Trigger};
use watchfire_domain::health::Health;
use watchfire_domain::id::MessageId;
use watchfire_domain::message::{Message, Urgency};
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::keys::{AppKey, EndpointKey, FenceToken, Seq};
use crate::nodes::Life;
use crate::notices::NewNotice;
use crate::shards::ShardSet;

/// Messages, attempts and what is owed: the hot path of every delivery.
///
/// Every method is one transaction. If the caller's future is dropped, the transaction still ends
/// whole: either all of it is stored or nothing. A write of a life that has ended is
/// [`crate::StoreError::Fenced`], and nothing of it is stored.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Appends messages in the order given; on disk when it returns. One row a message, whatever
    /// the number of endpoints it matched.
    ///
    /// The answers stand in the order of the batch; one message's conflict does not touch the
    /// others. An answer is remembered if it has not expired when the message was accepted.
    ///
    /// What is to be owed from the start ([`NewMessage::elsewhere`], [`NewMessage::in_turn`]) is
    /// written in the same transaction.
    async fn append(&self, life: &Life, batch: Vec<NewMessage>) -> StoreResult<Vec<Appended>>;

    /// Records attempts, spills and returns; on disk when it returns. The answers stand in the
    /// order of the batch; a stale token's write is dropped alone.
    ///
    /// When a keyed delivery is settled and a later one of the same endpoint and record waits for
    /// its turn in `owed`, that one becomes due at `now`. Settling one and parking another behind it
    /// exclude each other, whoever does them: nothing is parked behind what is settled already.
    async fn record(
        &self,
        life: &Life,
        now: Timestamp,
        batch: Vec<Write>,
    ) -> StoreResult<Vec<Recorded>>;

    /// Leases owed deliveries that are due, per endpoint: urgent ones first, then by due time,
    /// then by `seq`. A keyed delivery is not leased while an earlier one of the same endpoint and
    /// record is owed; it then waits for its turn (its due time is cleared).
    ///
    /// Endpoints whose shard the life does not hold yield nothing. A lease that has expired counts
    /// as none. Each claim draws a new, larger token. Fewer than
    /// were wanted may come although more are due, because a claim ends at
    /// [`watchfire_domain::limit::CLAIM_BYTES_MAX`] and looks at a bounded number of rows; the
    /// endpoint's `due_at` then says so.
    async fn claim(&self, claim: Claim) -> StoreResult<ClaimedBatch>;

    /// Endpoints of the shards with owed deliveries, and when there may be something to claim;
    /// ascending by key, starting after `after`.
    async fn endpoints_owing(
        &self,
        shards: ShardSet,
        after: Option<EndpointKey>,
        limit: usize,
    ) -> StoreResult<Vec<EndpointDue>>;

    /// Makes owed deliveries of an endpoint that wait for a time due at `now`, whatever they wait
    /// for except their turn; for an endpoint that is back, or, with a `seq`, a person who will not
    /// wait. Without a `seq`, [`OwedReason::Scheduled`] ones keep their time.
    ///
    /// A large backlog takes several transactions. If the caller's future is dropped in between,
    /// the rest keeps its time; asking again is harmless. If another life than `life` holds the
    /// endpoint's shard, it is told by an arrival.
    async fn hasten(
        &self,
        life: &Life,
        endpoint: (AppKey, EndpointKey),
        seq: Option<Seq>,
        now: Timestamp,
    ) -> StoreResult<()>;

    /// Says that every message of this node with `seq` at or below the mark is settled or owed.
    /// The checkpoint never moves back.
    async fn move_checkpoint(&self, life: &Life, seq: Seq) -> StoreResult<()>;

    /// The life's checkpoint; [`crate::StoreError::Fenced`] if it has ended.
    async fn checkpoint(&self, life: &Life) -> StoreResult<Seq>;

    /// Messages that the life's node accepted above `after`, ascending, with those of their
    /// endpoints that are neither settled nor owed. Messages without such endpoints are left out,
    /// but count toward `limit` rows read; the second value is the `seq` to go on after, `None` at
    /// the end. [`crate::StoreError::Fenced`] if the life has ended.
    async fn unfinished(
        &self,
        life: &Life,
        after: Seq,
        limit: usize,
    ) -> StoreResult<(Vec<Unfinished>, Option<Seq>)>;

    /// What was answered to a request with this key, if it is remembered.
    async fn remembered(&self, key: [u8; 32], now: Timestamp) -> StoreResult<Option<Remembered>>;
}

/// A message to append.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub app: AppKey,
    pub message: Arc<Message>,
    /// The endpoints it matched, ascending.
    pub matched: Vec<EndpointKey>,
    /// Stored in the same transaction, so that a retried request finds its answer.
    pub remember: Option<Remembered>,
    /// Those of the matched that the appending life does not make itself: owed from the start. A
    /// keyed one that would be due while an earlier one of its record is owed waits for its turn.
    pub elsewhere: Vec<Elsewhere>,
    /// Those of the matched that are the life's own and keep a record's order, on a store with
    /// several nodes: one of them becomes owed, waiting for its turn, if an earlier one of its
    /// record is owed. The life may not know of that one yet: another node accepted it.
    pub in_turn: Vec<InTurn>,
}

/// A delivery of a new message that another node is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub endpoint: EndpointKey,
    pub record: Option<i64>,
    pub due_at: Timestamp,
    pub reason: OwedReason,
}

/// A delivery of a new message that must not overtake an earlier one of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTurn {
    pub endpoint: EndpointKey,
    pub record: i64,
}

/// The answer to an idempotent request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Hash over organisation, path and idempotency key.
    pub key: [u8; 32],
    /// Hash over the request's body.
    pub request: [u8; 32],
    /// What to answer, in a form of the caller's.
    pub answer: Vec<u8>,
    pub expires_at: Timestamp,
}

/// What became of a message to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It stands at this place.
    At {
        seq: Seq,
        /// Those of [`NewMessage::in_turn`] that are owed, waiting for their turn.
        parked: Vec<EndpointKey>,
    },
    /// The application has another message with this `event_id`; nothing was stored.
    EventIdTaken(MessageId),
    /// A request with the same key was answered before; nothing was stored.
    Repeated(Remembered),
}

/// A stored message and where it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    pub seq: Seq,
    pub app: AppKey,
    pub message: Arc<Message>,
    pub matched: Vec<EndpointKey>,
}

/// Names a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRef {
    pub app: AppKey,
    pub endpoint: EndpointKey,
    pub seq: Seq,
}

/// Where a delivery stood before a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In memory only.
    Fresh,
    /// In `owed`, leased under this token.
    Leased(FenceToken),
}

/// How far a delivery's series of attempts has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub trigger: Trigger,
    /// Attempts that count against the retry schedule.
    pub attempts: u32,
    /// The last attempt failed on a stale connection.
    pub stale: bool,
    /// The first attempt that counts is the last, whatever the retry schedule.
    pub once: bool,
}

impl Series {
    /// Before the first attempt.
    pub const START: Self = Self {
        trigger: Trigger::Scheduled,
        attempts: 0,
        stale: false,
        once: false,
    };
}

/// One write of [`Ledger::record`].
#[derive(Clone, Debug)]
pub enum Write {
    /// An attempt, what follows from it, and the endpoint's changed health.
    Attempt(Arc<AttemptRecord>),
    /// A delivery becomes owed: a fresh one, or with [`OwedReason::Requested`] any. If it is owed
    /// already (a resend came in between), the earlier due time wins, together with its series. If
    /// it is leased, its own attempt decides, but what a person requested becomes due again after
    /// that. A keyed one that would be due while an earlier one of its record is owed waits for its
    /// turn.
    Spill(NewOwed),
    /// A leased delivery goes back unattempted: due at `due_at`, or waiting for its turn if `None`.
    Return {
        delivery: DeliveryRef,
        token: FenceToken,
        due_at: Option<Timestamp>,
    },
    /// A person will not wait for an owed delivery that holds up its record: it is settled without
    /// a request, and the next of the record becomes due. The attempt is what stands in the history
    /// instead. [`Recorded::Stale`] if it is leased, or not the first of its record any more.
    SkipHead(Arc<AttemptRecord>),
    /// A person cancels an owed delivery: it is settled without a request, and the next of its
    /// record becomes due. The attempt is what stands in the history instead; which record it is
    /// about, the delivery itself says. [`Recorded::Stale`] if it is leased, or not owed any more.
    Cancel(Arc<AttemptRecord>),
}

/// An attempt to record.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    pub delivery: DeliveryRef,
    pub standing: Standing,
    pub attempt: Attempt,
    /// Where the series stands after this attempt.
    pub series: Series,
    pub urgency: Urgency,
    /// Hash of the record key, where the delivery keeps its record's order.
    pub record: Option<i64>,
    /// The endpoint's health, where this attempt changes it.
    pub health: Option<HealthChange>,
    /// What people are told about it.
    pub notices: Vec<NewNotice>,
    /// From when the message could be sent until it was delivered, for a delivery that nobody
    /// asked for again; counts in [`crate::ActivityCounts::lag`].
    pub lag: Option<Duration>,
}

impl AttemptRecord {
    /// What a person settled in place of an attempt.
    pub fn by_hand(delivery: DeliveryRef, attempt: Attempt) -> Self {
        Self {
            delivery,
            standing: Standing::Fresh,
            attempt,
            series: Series::START,
            urgency: Urgency::Ordinary,
            record: None,
            health: None,
            notices: Vec::new(),
            lag: None,
        }
    }
}

/// An endpoint's new health, as an outcome made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChange {
    pub endpoint: EndpointKey,
    pub health: Health,
    /// The [`crate::StoredEndpoint::health_revision`] on which it was judged. If a person has set
    /// the health since, it is left alone.
    pub revision: i64,
    /// What people are told about it.
    pub notices: Vec<NewNotice>,
}

/// A delivery to put into `owed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOwed {
    pub delivery: DeliveryRef,
    /// `None` waits for its turn: an earlier delivery of its record is not settled.
    pub due_at: Option<Timestamp>,
    pub reason: OwedReason,
    pub series: Series,
    pub urgency: Urgency,
    pub record: Option<i64>,
}

/// Why a delivery is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwedReason {
    /// An attempt failed; the next is due later.
    Retry,
    /// An earlier message about the same record is not settled.
    Turn,
    /// Nobody could keep it in memory: that was full, its node ended, or it is another node's.
    Spilled,
    /// The endpoint's health or rate holds it.
    Held,
    /// The message is not to be delivered before a time.
    Scheduled,
    /// A person or a job asked for it.
    Requested,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Done,
    /// Done but for the endpoint's health and what was to be said of it: a person has set it since.
    HealthKept,
    /// The token is not the delivery's any more, or the application has no such message; the write
    /// was dropped.
    Stale,
}

/// A request for leases.
#[derive(Clone, Debug)]
pub struct Claim {
    pub life: Life,
    pub now: Timestamp,
    pub lease_until: Timestamp,
    pub wanted: Vec<Wanted>,
}

/// When a ping is due that could not be made at once: before all else, so that it can be told from
/// what has to wait for its endpoint's health.
pub const PING_DUE_AT: Timestamp = Timestamp::EPOCH;

/// How many owed deliveries an endpoint can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub endpoint: EndpointKey,
    pub limit: usize,
    /// Only what is due by then; what the claim's `now` allows, if that is earlier.
    pub due_by: Timestamp,
}

impl Wanted {
    /// Anything that is due.
    pub fn any(endpoint: EndpointKey, limit: usize) -> Self {
        Self {
            endpoint,
            limit,
            due_by: Timestamp::MAX,
        }
    }

    /// Pings alone: nothing else is to be sent now.
    pub fn pings(endpoint: EndpointKey, limit: usize) -> Self {
        Self {
            due_by: PING_DUE_AT,
            ..Self::any(endpoint, limit)
        }
    }
}

/// What a claim yielded.
#[derive(Clone, Debug, Default)]
pub struct ClaimedBatch {
    /// In the order in which each endpoint's are to be sent.
    pub deliveries: Vec<ClaimedDelivery>,
    /// One entry for each endpoint asked for.
    pub endpoints: BTreeMap<EndpointKey, EndpointDue>,
}

/// A leased delivery with all that is needed to send it.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    pub delivery: DeliveryRef,
    pub token: FenceToken,
    pub message: Arc<Message>,
    pub series: Series,
    pub record: Option<i64>,
}

/// What an endpoint still owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointDue {
    pub endpoint: EndpointKey,
    pub app: AppKey,
    /// When there may be something to claim: its earliest unleased delivery is due or its earliest
    /// lease ends; `None` if all wait for their turn.
    pub due_at: Option<Timestamp>,
    /// Whether it owes anything at all.
    pub owes: bool,
}

/// A message of which some deliveries are neither settled nor owed.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub stored: StoredMessage,
    pub endpoints: Vec<EndpointKey>,
}
