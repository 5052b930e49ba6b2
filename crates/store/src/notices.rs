//! Notices: what people are told, written together with what causes it.
//!
//! A notice has two lives. As an operational webhook it waits until it was accepted as a message
//! of its own, once each. In the inbox, all of one kind about one endpoint make one line with a
//! count, until somebody reads it: a storm makes one line.

use async_trait::async_trait;
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId, OrganizationId};
use watchfire_domain::notice::NoticeKind;
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::configuration::Range;
use crate::keys::EndpointKey;

/// Notices that were written with [`crate::Write::Attempt`] or [`crate::Change::Tell`].
#[async_trait]
pub trait Notices: Send + Sync {
    /// Operational webhooks that nobody has said to be told yet, the oldest first.
    async fn untold(&self, limit: usize) -> StoreResult<Vec<Untold>>;

    /// These operational webhooks are on their way as messages. Asking twice is harmless.
    async fn told(&self, ids: Vec<NoticeId>) -> StoreResult<()>;

    /// An organization's inbox by id, which is the order in which its lines began.
    async fn inbox(
        &self,
        org: &OrganizationId,
        reading: Reading,
        range: Range<NoticeId>,
    ) -> StoreResult<Vec<InboxLine>>;

    /// Marks a line as read; what comes after begins a new line. `None` if there is no such line;
    /// reading again changes nothing.
    async fn mark_read(
        &self,
        org: &OrganizationId,
        id: NoticeId,
        now: Timestamp,
    ) -> StoreResult<Option<InboxLine>>;
}

/// A notice to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// Names the operational webhook and, where it begins one, the line of the inbox.
    pub id: NoticeId,
    pub org: OrganizationId,
    pub at: Timestamp,
    pub kind: NoticeKind,
    /// The operational webhook's `data`: a JSON object.
    pub data: String,
    /// Whether it becomes an operational webhook.
    pub webhook: bool,
    /// Its line in the inbox, if it stands there.
    pub inbox: Option<InboxPlace>,
}

/// Which line of the inbox a notice counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxPlace {
    pub application: ApplicationId,
    pub endpoint: EndpointKey,
    pub endpoint_id: EndpointId,
    /// When people are told of it by e-mail, at the earliest; `None` if they are not.
    pub mail_at: Option<Timestamp>,
}

/// An operational webhook that waits to be accepted as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    pub id: NoticeId,
    pub org: OrganizationId,
    pub at: Timestamp,
    pub kind: NoticeKind,
    pub data: String,
}

/// One line of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxLine {
    pub id: NoticeId,
    pub org: OrganizationId,
    pub kind: NoticeKind,
    pub application: ApplicationId,
    pub endpoint_id: EndpointId,
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// The `data` of the last notice.
    pub data: String,
    pub read_at: Option<Timestamp>,
}

/// Which lines of the inbox to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    All,
    Unread,
}
