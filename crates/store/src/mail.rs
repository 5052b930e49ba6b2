//! Mail: which notices are yet to be told to people, durably.
//!
//! Notices that are to be mailed are counted per endpoint and kind, in the transaction that writes
//! them. A count is claimed under a lease when it is due; what is counted meanwhile waits for the
//! next mail. After a mail the count rests, so that a storm sends one mail and not a thousand.

use async_trait::async_trait;
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId, OrganizationId};
use watchfire_domain::mail::Address;
use watchfire_domain::notice::NoticeKind;
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::keys::EndpointKey;
use crate::nodes::Life;

/// Notices to mail, written with [`crate::NewNotice`]s whose place says so.
#[async_trait]
pub trait Mail: Send + Sync {
    /// Leases what is due, the longest due first. A lease that has ended counts as none, and so
    /// does one of a life that has: what it covered is claimed again, and then mailed twice if its
    /// end could not be recorded.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`](crate::StoreError::Fenced) for a life that was taken over.
    async fn claim_mail(&self, claim: MailClaim) -> StoreResult<Vec<DueMail>>;

    /// Records what became of claimed mail. One whose lease was lost is passed over.
    async fn end_mail(&self, ends: Vec<MailEnd>) -> StoreResult<()>;

    /// When something is next to be claimed; `None` if nothing waits.
    async fn next_mail_at(&self) -> StoreResult<Option<Timestamp>>;
}

/// A request for leases of mail.
#[derive(Clone, Debug)]
pub struct MailClaim {
    pub life: Life,
    pub now: Timestamp,
    pub lease_until: Timestamp,
    pub limit: usize,
}

/// All notices of a kind about an endpoint that nobody was told of by e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMail {
    pub endpoint: EndpointKey,
    pub kind: NoticeKind,
    /// Fences off the result of an earlier lease.
    pub token: i64,
    /// The last notice's: the same as long as no other came.
    pub id: NoticeId,
    pub org: OrganizationId,
    pub application: ApplicationId,
    pub endpoint_id: EndpointId,
    pub count: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// The `data` of the last notice.
    pub data: String,
    /// How often it was claimed since the last mail, this time included.
    pub tries: u32,
    /// Who has not got it yet; empty if nobody has.
    pub left: Vec<Address>,
}

/// What became of a claimed mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailEnd {
    pub endpoint: EndpointKey,
    pub kind: NoticeKind,
    pub token: i64,
    /// The notices it told of.
    pub count: u64,
    /// When the last of them was.
    pub last_at: Timestamp,
    pub result: MailResult,
}

/// How the sending of a mail ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailResult {
    /// Everybody was told, or is not to be told. No other mail of the kind goes out before then.
    Told { rest_until: Timestamp },
    /// These are told later; everybody else was.
    Partly {
        left: Vec<Address>,
        due_at: Timestamp,
    },
    /// Nobody was told.
    Failed { due_at: Timestamp },
}
