//! What happened and what is owed, from roll-ups: reading costs the same whatever the history.
//!
//! The counts are written in the transactions that accept and record, once a batch for each
//! application and organization: by the minute first, and summed up by the hour when retention
//! next comes by.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement};
use watchfire_domain::id::{EventType, MessageId, OrganizationId};
use watchfire_domain::lag::Histogram;
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::keys::{AppKey, EndpointKey};

/// What happened and what is owed.
#[async_trait]
pub trait Activity: Send + Sync {
    /// Counts in steps that begin within the span, ascending; steps without any are left out.
    ///
    /// A message counts when it was accepted, an attempt when it began. By the minute only what
    /// is younger than [`watchfire_domain::limit::ACTIVITY_MINUTES`] is there.
    async fn activity(
        &self,
        of: &Owner,
        span: (Timestamp, Timestamp),
        step: Step,
    ) -> StoreResult<Vec<ActivityPoint>>;

    /// Settled deliveries of an application's endpoints in the hours that begin within the span,
    /// ascending by endpoint and hour; hours without any are left out, and so are endpoints of
    /// others.
    async fn endpoint_hours(
        &self,
        app: AppKey,
        endpoints: Vec<EndpointKey>,
        span: (Timestamp, Timestamp),
    ) -> StoreResult<Vec<EndpointHour>>;

    /// Messages an application accepted in the hours that begin within the span, by event type: the
    /// newest hour first, each from the last event type to the first. Up to
    /// [`watchfire_domain::limit::EVENT_TYPE_HOURS_MAX`] of them.
    async fn event_type_hours(
        &self,
        app: AppKey,
        span: (Timestamp, Timestamp),
    ) -> StoreResult<Vec<EventTypeHour>>;

    /// What is owed now. Looks at the endpoints that owe something, up to
    /// [`watchfire_domain::limit::OWING_ENDPOINTS_MAX`].
    async fn owed_now(&self, of: &Owner) -> StoreResult<OwedNow>;

    /// What is owed now over all organizations, for the operator. Looks at no more endpoints than
    /// [`Activity::owed_now`].
    async fn owed_by_all(&self) -> StoreResult<OwedNow>;

    /// What each of an application's endpoints owes now, and its last attempt. Endpoints of others
    /// are left out.
    async fn standings(
        &self,
        app: AppKey,
        endpoints: Vec<EndpointKey>,
    ) -> StoreResult<BTreeMap<EndpointKey, EndpointStanding>>;
}

/// Whose activity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// All applications of an organization together.
    Organization(OrganizationId),
    Application(AppKey),
}

/// The width of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Minute,
    Hour,
}

impl Step {
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// The step an instant falls into, counted since 1970.
    pub fn slot_of(self, at: Timestamp) -> i64 {
        at.unix_seconds().div_euclid(self.seconds())
    }

    /// When a step begins.
    pub fn begin_of(self, slot: i64) -> Timestamp {
        Timestamp::from_unix_seconds(slot.saturating_mul(self.seconds()))
    }
}

/// Counts of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivityPoint {
    pub begins_at: Timestamp,
    pub counts: ActivityCounts,
}

/// What happened in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityCounts {
    /// Messages.
    pub accepted: u64,
    /// Deliveries, by how they were settled.
    pub delivered: u64,
    pub exhausted: u64,
    pub skipped: u64,
    pub cancelled: u64,
    /// Requests that were made and not accepted, whatever came of the delivery.
    pub attempts_failed: u64,
    /// Of what was delivered, as [`crate::AttemptRecord::lag`] says.
    pub lag: Histogram,
}

impl ActivityCounts {
    /// Counts an attempt that was recorded.
    pub fn attempted(&mut self, attempt: &Attempt, lag: Option<Duration>) {
        self.attempts_failed += u64::from(has_failed(&attempt.outcome));
        let AfterAttempt::Settled { settlement } = attempt.next else {
            return;
        };
        match settlement {
            Settlement::Delivered => self.delivered += 1,
            Settlement::Exhausted => self.exhausted += 1,
            Settlement::Skipped => self.skipped += 1,
            Settlement::Cancelled => self.cancelled += 1,
        }
        if let Some(lag) = lag.filter(|_| settlement == Settlement::Delivered) {
            self.lag.add(lag);
        }
    }

    /// Deliveries that ended, however they did.
    pub fn settled(&self) -> u64 {
        self.delivered + self.exhausted + self.skipped + self.cancelled
    }

    pub fn merge(&mut self, other: &Self) {
        let Self {
            accepted,
            delivered,
            exhausted,
            skipped,
            cancelled,
            attempts_failed,
            lag,
        } = other;
        self.accepted += accepted;
        self.delivered += delivered;
        self.exhausted += exhausted;
        self.skipped += skipped;
        self.cancelled += cancelled;
        self.attempts_failed += attempts_failed;
        self.lag.merge(lag);
    }
}

/// Whether a request was made and not accepted.
fn has_failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Accepted { .. } | Outcome::Skipped { .. } => false,
        Outcome::Refused { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Unreachable { .. }
        | Outcome::Blocked { .. }
        | Outcome::Oversize
        | Outcome::Malformed => true,
    }
}

/// An endpoint's settled deliveries of one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointHour {
    pub endpoint: EndpointKey,
    pub begins_at: Timestamp,
    pub delivered: u64,
    /// Exhausted or skipped.
    pub failed: u64,
    pub cancelled: u64,
}

/// Messages of one event type that were accepted in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeHour {
    pub event_type: EventType,
    pub begins_at: Timestamp,
    pub accepted: u64,
}

/// What is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwedNow {
    pub deliveries: u64,
    /// Endpoints that owe something.
    pub endpoints: u64,
    /// The oldest message that is owed, and to whom.
    pub oldest: Option<(MessageId, EndpointKey)>,
    /// More endpoints owe something than were looked at.
    pub more: bool,
}

/// Where an endpoint stands, beyond its settings and health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointStanding {
    pub owed: u64,
    /// The oldest message that is owed to it.
    pub oldest_owed: Option<MessageId>,
    /// Its last attempt, without the answer.
    pub last_attempt: Option<Attempt>,
}
