//! What lists and tasks ask of a row they have found: the part of a filter that no index answers.
//! Every back end judges by these, so that a filter means the same everywhere.

use watchfire_domain::attempt::Settlement;
use watchfire_domain::id::EventType;
use watchfire_domain::message::Details;

use crate::encoding::{Code as _, is_accepted};
use crate::{
    AttemptFilter, DeliveryStatus, EndpointKey, MessageFilter, Owed, StoredMessage, Task, TaskKind,
};

/// What a list asks of a message.
#[derive(Clone, Copy, Debug)]
pub struct About<'f> {
    event_types: &'f [EventType],
    channel: Option<&'f str>,
    tag: Option<&'f str>,
}

impl<'f> From<&'f MessageFilter> for About<'f> {
    fn from(filter: &'f MessageFilter) -> Self {
        Self {
            event_types: &filter.event_types,
            channel: filter.channel.as_deref(),
            tag: filter.tag.as_deref(),
        }
    }
}

impl<'f> From<&'f AttemptFilter> for About<'f> {
    fn from(filter: &'f AttemptFilter) -> Self {
        Self {
            event_types: &filter.event_types,
            channel: filter.channel.as_deref(),
            tag: filter.tag.as_deref(),
        }
    }
}

impl About<'_> {
    /// Whether the event type is among those asked for.
    pub fn wants_type(&self, name: &str) -> bool {
        let mut wanted = self.event_types.iter();
        self.event_types.is_empty() || wanted.any(|wanted| wanted.as_str() == name)
    }

    /// Whether the details have to be looked at.
    pub fn asks_for_details(&self) -> bool {
        self.channel.is_some() || self.tag.is_some()
    }

    pub fn wants_details(&self, details: &Details) -> bool {
        holds(&details.channels, self.channel) && holds(&details.tags, self.tag)
    }

    /// All of it, for a message that was read.
    pub fn wants(&self, stored: &StoredMessage) -> bool {
        self.wants_type(stored.message.event_type.as_str())
            && self.wants_details(&stored.message.details)
    }
}

fn holds(names: &[String], wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| names.iter().any(|name| name == wanted))
}

/// How a delivery ended.
pub fn status_of_settlement(settlement: Settlement) -> DeliveryStatus {
    match settlement {
        Settlement::Delivered => DeliveryStatus::Delivered,
        Settlement::Exhausted | Settlement::Skipped => DeliveryStatus::Failed,
        Settlement::Cancelled => DeliveryStatus::Cancelled,
    }
}

/// The columns of an attempt that a filter looks at.
#[derive(Clone, Copy, Debug)]
pub struct AttemptFacts {
    pub endpoint: EndpointKey,
    pub outcome: i64,
    pub status: Option<u16>,
    pub settlement: Option<i64>,
}

impl AttemptFacts {
    pub fn meet(&self, filter: &AttemptFilter) -> bool {
        let class = self.status.map_or(0, |status| status / 100);
        let of_class = |wanted| u16::from(wanted) == class;
        filter.endpoint.is_none_or(|wanted| wanted == self.endpoint)
            && filter.status_class.is_none_or(of_class)
            && filter.status.is_none_or(|wanted| wanted == self.became())
    }

    /// An attempt is accepted or not; a cancelled delivery's last one counts as neither.
    fn became(&self) -> DeliveryStatus {
        if self.settlement == Some(Settlement::Cancelled.code()) {
            DeliveryStatus::Cancelled
        } else if is_accepted(self.outcome) {
            DeliveryStatus::Delivered
        } else {
            DeliveryStatus::Failed
        }
    }
}

/// Whether only attempts can meet the filter that were not accepted with 2xx, so that a walk may
/// keep to the indexes that hold no others.
pub fn only_noted(filter: &AttemptFilter) -> bool {
    let failed = match filter.status {
        Some(DeliveryStatus::Delivered) | None => false,
        Some(
            DeliveryStatus::Failed
            | DeliveryStatus::Cancelled
            | DeliveryStatus::Pending
            | DeliveryStatus::Sending,
        ) => true,
    };
    failed || filter.status_class.is_some_and(|class| class != 2)
}

/// Where a delivery stands, as far as a task needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStanding {
    Owed(Owed),
    Leased,
    Settled {
        status: DeliveryStatus,
        /// Hundreds of the last final answer's status.
        class: u8,
    },
    /// Not owed, and without a final attempt.
    Never,
}

impl TaskStanding {
    /// As the last final attempt left it.
    pub fn settled(settlement: Settlement, answer: Option<u16>) -> Self {
        let class = answer.map_or(0, |answer| u8::try_from(answer / 100).unwrap_or(u8::MAX));
        Self::Settled {
            status: status_of_settlement(settlement),
            class,
        }
    }

    pub fn is_wanted(&self, task: &Task) -> bool {
        match (task.kind, self) {
            (TaskKind::Recover, Self::Settled { status, .. }) => *status == DeliveryStatus::Failed,
            (TaskKind::BulkReplay, Self::Settled { status, class }) => {
                let arguments = &task.arguments;
                arguments.status.is_none_or(|wanted| wanted == *status)
                    && arguments.status_class.is_none_or(|wanted| wanted == *class)
            }
            (TaskKind::ReplayMissing, Self::Never)
            | (TaskKind::CancelMessages, Self::Owed(_) | Self::Leased)
            | (TaskKind::PurgeContent, _) => true,
            (
                TaskKind::Recover
                | TaskKind::BulkReplay
                | TaskKind::ReplayMissing
                | TaskKind::CancelMessages
                | TaskKind::Usage
                | TaskKind::Subscriptions,
                _,
            ) => false,
        }
    }
}

/// A message that matched the endpoint when it was accepted is not missing, only not sent yet.
pub fn is_for_task(task: &Task, matched: &[EndpointKey]) -> bool {
    match task.kind {
        TaskKind::ReplayMissing => task
            .endpoint()
            .is_some_and(|endpoint| matched.binary_search(&endpoint).is_err()),
        TaskKind::Recover
        | TaskKind::BulkReplay
        | TaskKind::CancelMessages
        | TaskKind::PurgeContent
        | TaskKind::Usage
        | TaskKind::Subscriptions => true,
    }
}
